#!/usr/bin/env python3
"""Models that must not get in: each is refused with file, line, column and place in the file, and what was expected. A service that runs keeps
its models, and its prices."""
from bad_models import BAD, GOOD, factor, written
from rialto_test import *


def checked(folder):
    status, out, err = run(BIN / "rialto", "check", folder)
    return status, out + err


with Service(models={"good.json": json.dumps(GOOD)}) as service:
    service.accept(product("good-1", 1000, category="good/x"), {"type": "supply", "sku": "good-1", "available": 0})
    folder = temporary_folder()

    @check("the good model alone is accepted")
    def _():
        (folder / "good.json").write_text(json.dumps(GOOD))
        equal(checked(folder)[0], 0)

    for what, (text, wanted) in BAD.items():
        @check(f"refused with its place: {what}")
        def _():
            name = "zbad.json"
            (folder / name).write_text(text)
            status, said = checked(folder)
            (folder / name).unlink()
            require(status == 4 and re.search(rf"{name}:\d+:\d+: ", said) and wanted in said, f"{status}: {said}")

    @check("what is nearly called like a model is remarked: nobody believes that it prices something")
    def _():
        for name in ("pilot.jsonc", "PILOT.JSON", "old.json.bak"):
            (folder / name).write_text(written())
        status, said = checked(folder)
        equal((status, sorted(re.findall(r"remark: \S*/(\S+) is not looked at", said))), (0, ["PILOT.JSON", "old.json.bak", "pilot.jsonc"]))
        rows = [json.loads(line) for line in run(BIN / "rialto", "check", "--json", folder)[1].splitlines()]
        equal([Path(row["file"]).name for row in rows if row.get("remark") == "not-looked-at"], ["PILOT.JSON", "old.json.bak", "pilot.jsonc"])
        for name in ("pilot.jsonc", "PILOT.JSON", "old.json.bak"):
            (folder / name).unlink()

    @check("a file of 10 MB is refused by its size")
    def _():
        (folder / "big.json").write_text(" " * (10 << 20))
        status, said = checked(folder)
        (folder / "big.json").unlink()
        require(status == 4 and "big.json" in said, f"{status}: {said[:300]}")

    @check("all faults of all files come in one go")
    def _():
        (folder / "a.json").write_text(written(model="a", guardrails={"flor": 1, "ceilng": 2}))
        (folder / "b.json").write_text(factor(input="hours", curve=[[2, 1], [1, 1]]))
        status, said = checked(folder)
        for part in ("a.json:1:", '"floor"', '"ceiling"', "b.json:1:", "does not go back"):
            require(part in said, f"{part} is not in: {said}")
        equal(status, 4)

    @check("also what only shows between good ones, in policies, and beside other faults: nobody mends one to be told of the next")
    def _():
        mixed = temporary_folder()
        (mixed / "policies").mkdir()
        gold = [{"name": "p", "tier": {"gold": 0.9}}]
        (mixed / "a.json").write_text(written(model="a", group="g", personal=gold))
        (mixed / "b.json").write_text(written(model="b", group="g", personal=gold))
        (mixed / "c.json").write_text(written(model="c", scope={"categories": [], "currencies": ["EUX"]}, guardrails={"flor": 1},
                                              factors=[{"name": "f", "input": "competitor_ratio", "curve": [[1, 1]]}]))
        (mixed / "policies/p.json").write_text('{"policy": "p", "nonsense": 1}')
        status, said = checked(mixed)
        for part in ("/scope: model a claims", "/personal: model a gives personal terms", "/scope/currencies/0: not a currency", "/scope: name categories", '"floor"', '"competitors": true',
                     "p.json:1:29: /nonsense"):
            equal((part, said.count(part)), (part, 1))
        equal(status, 4)

    @check("a file with more faults than are kept is told of as one with more; what only shows between others is not lost behind them")
    def _():
        flood = temporary_folder()
        (flood / "a.json").write_text(written(model="a", factors=[{"name": f"f{i}", "input": "available", "curve": [[0, "x"]] * 24} for i in range(12)]))
        (flood / "b.json").write_text(written(model="b"))
        (flood / "c.json").write_text(written(model="c"))
        status, said = checked(flood)
        equal((status, said.count("a.json:1:"), said.count("and 224 more"), said.count("model b claims")), (4, 64, 1, 1))
        rows = [json.loads(line) for line in run(BIN / "rialto", "check", "--json", flood)[1].splitlines()]
        equal([row for row in rows if "more_faults" in row], [{"ok": False, "more_faults": 224}])

    @check("a file in a folder whose path is long is named all the same, once; a name is one line, whatever is in it")
    def _():
        deep = temporary_folder() / ("d" * 120) / "ü\nx\x1b"
        deep.mkdir(parents=True)
        (deep / "gifts.json").write_text(factor(input="hours", curve=[[1, 1]]))
        for command in (("check",), ("apply", "--set", f"data_dir={service.data}")):
            status, out, err = run(BIN / "rialto", *command, deep)
            lines = [line for line in (out + err).splitlines() if "/input: no such input" in line]
            require(status == 4 and len(lines) == 1 and "/ü?x?/gifts.json:1:" in lines[0], f"{status}: {out}{err}")

    def claims(first, second, **keys):
        """What `rialto check` says of two models of these scopes and schedules."""
        pair = temporary_folder()
        for name, (zones, schedule) in zip(("first", "second"), (first, second)):
            where = {"zones": zones} if zones else {}
            (pair / f"{name}.json").write_text(written(model=name, group=name, schedule=schedule,
                                                       scope={"categories": ["bad/*"], "currencies": ["EUR"], **where}))
        return checked(pair)

    SUMMER, AUTUMN = {"from": "2026-06-01", "until": "2026-09-01"}, {"from": "2026-09-01", "until": "2026-12-01"}

    @check("two models for one product in the same zone at the same time are refused, naming both, the product and the place")
    def _():
        for first, second in (((None, {}), (None, {})), ((["c1/s25"], {}), (["c1/s25"], {})), ((["c1", "c2"], {}), (["c3", "c2"], {})),
                              ((["c1"], SUMMER), (["c1"], {"from": "2026-08-31", "until": "2026-09-02"})), ((None, SUMMER), (None, SUMMER))):
            status, said = claims(first, second)
            require(status == 4 and re.search(r'second\.json:\d+:\d+: /scope: model first claims category "bad/\*"( in zone "[c12/s5]+")? just as precisely', said),
                    f"{first} {second}: {status} {said}")

    @check("a narrower zone, a dated successor and other zones or times are no contradiction; check says who wins, and where")
    def _():
        for first, second, wanted in (((["c1/s25"], {}), (None, {}), "first wins over second where both claim a product: its zone is narrower (c1/s25)"),
                                      ((None, {}), (["c1", "c2"], {}), "second wins over first where both claim a product: its zone is narrower (c1, c2)"),
                                      ((["c1/s25"], {}), (["c1"], {}), "first wins over second where both claim a product: its zone"),
                                      ((None, SUMMER), (None, {}), "first wins over second where both claim a product: its dates are narrower (from 2026-06-01 until 2026-09-01)"),
                                      ((None, {}), (None, {"from": "2026-12-01", "time_zone": "Asia/Shanghai"}), "second wins over first where both claim a product: its dates are narrower (from 2026-12-01)"),
                                      ((None, {"until": "2026-12-01", "time_zone": "America/New_York"}), (None, {}), "first wins over second where both claim a product: its dates are narrower (until 2026-12-01)"),
                                      ((["c1"], {}), (["c2"], {}), "no contradictions"), ((None, SUMMER), (None, AUTUMN), "no contradictions")):
            status, said = claims(first, second)
            require(status == 0 and wanted in said, f"{first} {second}: {status} {said}")
            equal("wins over" in said, "wins over" in wanted, said)

    @check("what a model says of zones and days is told beside its products: a pilot is seen to be one")
    def _():
        status, said = claims((["c1/s25", "c2"], {}), (["c3"], {**SUMMER, "time_zone": "Europe/Berlin"}))
        equal([line.partition(" prices ")[2] for line in said.splitlines() if " prices " in line],
              ["bad/* in EUR, in the zones c1/s25, c2", "bad/* in EUR, in the zone c3, from 2026-06-01 until 2026-09-01"])

    @check("zones that lie in each other, round and round, end by themselves: prices go on")
    def _():
        service.accept({"type": "zone", "zone": "z1", "parent": "z2"}, {"type": "zone", "zone": "z2", "parent": "z3"},
                       {"type": "zone", "zone": "z3", "parent": "z1"})
        equal(service.ask({"type": "supply", "sku": "good-1", "zone": "z1", "available": 0})["rejected"], 0)
        for zone in ("z1", "z2", "z3"):
            equal(service.quote("good-1", zone=zone)["amount"], 1100, zone)

    @check("a service that is given them keeps its models and its prices")
    def _():
        before = service.quote("good-1")
        for text, wanted in (BAD["a curve that goes back"], BAD["impossible units"]):
            (folder / "a.json").write_text(text)
            (folder / "b.json").write_text(json.dumps({**GOOD, "factors": []}))
            status, out, err = service.cli("apply", folder, "--set", f"data_dir={service.data}")
            require(status == 4 and wanted in out + err, f"{status}: {out}{err}")
        (folder / "a.json").write_text(" " * (10 << 20))
        (folder / "b.json").unlink()
        status, out, err = service.cli("apply", folder, "--set", f"data_dir={service.data}")
        require(status == 4 and "a.json" in out + err, f"{status}: {out}{err}")
        after = service.quote("good-1")
        equal(after, {**before, **{key: after[key] for key in after if "age" in key or "until" in key}})
        equal(after["amount"], 1100)

finish()
