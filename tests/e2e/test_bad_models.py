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

    @check("a service that is given them keeps its models and its prices")
    def _():
        before = service.quote("good-1")
        for text, wanted in (BAD["a curve that goes back"], BAD["impossible units"]):
            (folder / "a.json").write_text(text)
            (folder / "b.json").write_text(json.dumps({**GOOD, "factors": []}))
            status, out, err = service.cli("apply", folder, "--set", f"data_dir={service.data}")
            require(status == 4 and wanted in out + err, f"{status}: {out}{err}")
        after = service.quote("good-1")
        equal(after, {**before, **{key: after[key] for key in after if "age" in key or "until" in key}})
        equal(after["amount"], 1100)

finish()
