#!/usr/bin/env python3
"""Models that must not get in: each is refused with file, line, column and place in the file, and what was expected. A service that runs keeps
its models, and its prices."""
from rialto_test import *

GOOD = {"model": "good", "version": "1", "scope": {"categories": ["good/*"], "currencies": ["EUR"]},
        "factors": [{"name": "stock", "input": "available", "curve": [[0, 1.1], [10, 1]]}]}


def written(**changes):
    return json.dumps({**GOOD, "model": "bad", "scope": {"categories": ["bad/*"], "currencies": ["EUR"]}, **changes})


def factor(**row):
    return written(factors=[{"name": "f", **row}])


def scope(**row):
    return written(scope={"categories": ["bad/*"], "currencies": ["EUR"], **row})


# What is wrong, the text of bad.json, and what the answer must say of it (":" stands where line and column come before).
BAD = {
    "NaN is no number of JSON": (factor(input="available", curve=[[0, 1]]).replace("[[0, 1]]", "[[0, NaN]]"), ""),
    "1e400 is too large": (factor(input="available", curve=[[0, 1]]).replace("[[0, 1]]", "[[0, 1e400]]"), ""),
    "a curve that goes back": (factor(input="available", curve=[[0, 1], [5, 1.1], [3, 1]]), "/factors/0/curve/2: a curve does not go back"),
    "a curve that stands still": (factor(input="available", steps=[[0, 1], [0, 1.1]]), "/factors/0/steps/1: a curve does not go back"),
    "a scope without products": (written(scope={"currencies": ["EUR"]}), "/scope: name categories, skus or both"),
    "a scope of empty lists": (written(scope={"categories": [], "skus": [], "currencies": ["EUR"]}), "/scope: name categories, skus or both"),
    "no currency": (scope(currencies=[]), "/scope/currencies"),
    "a currency that there is not": (scope(currencies=["EUX"]), "/scope/currencies/0: not a currency of ISO 4217"),
    "an unknown key, with the one that was meant": (written(guardrails={"flor": 0.5}), '/guardrails/flor: unknown key; did you mean "floor"?'),
    "an unknown input, with the one that was meant": (factor(input="avaliable", curve=[[0, 1]]), 'did you mean "available"?'),
    "an unknown name in a formula, at its column": (factor(expression="1 + 0.1 * temprature_c"), 'did you mean "temperature_c"?'),
    "a key given twice": (written().replace('"version": "1"', '"version": "1", "version": "2"'), "/version"),
    "impossible units": (factor(expression="1 + temperature_c + hour"), "/factors/0/expression: impossible units"),
    "a division by what may be zero": (factor(expression="1 / available"), "/factors/0/expression: division by what may be 0"),
    "a logarithm of what may be zero": (factor(expression="log(available / 2)"), "/factors/0/expression: log of what may be 0"),
    "a condition as a multiplier": (factor(expression="hour > 12"), "/factors/0/expression: expected a number"),
    "two ways to compute one factor": (factor(input="available", curve=[[0, 1]], expression="1"), "/factors/0/expression: one way"),
    "a multiplier of 0": (factor(input="available", curve=[[0, 0]]), "/factors/0/curve/0/1"),
    "an elasticity without an optimum": (factor(markup={"elasticity": -0.9}), "/factors/0/markup/elasticity"),
    "a competitor where none may be looked at": (factor(input="competitor_ratio", curve=[[1, 1]]), '"competitors": true'),
    "a time zone that there is not": (written(schedule={"time_zone": "Europe/Bielefeld"}), "/schedule/time_zone: no such time zone"),
    "a 30 February": (written(schedule={"from": "2026-02-30"}), "/schedule/from: expected a date"),
    "a calendar that there is not": (factor(expression="1.1", when={"calendar": "holidays"}), 'no calendar "holidays"'),
    "a formula of 600 bytes": (factor(expression="1" + " + 0.001" * 75), "/factors/0/expression"),
    "nested 40 deep": (factor(expression="(" * 40 + "1" + ")" * 40), "nested more than 32 deep"),
    "lists in lists in lists": ('{"model":' + "[" * 2000 + "]" * 2000 + "}", ""),
    "not an object": ("[]", ""),
    "an end too early": (written()[:-1], ""),
    "the products of another model, as precisely": (written(scope=GOOD["scope"]), '/scope: model good claims category "good/*" just as precisely'),
    "the name of another model": (written(model="good"), "/model: "),
}


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
