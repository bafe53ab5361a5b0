"""bad_models.py - models that must not get in, for the tests of `rialto check` and of the JSON schema."""
import json
import re

GOOD = {"model": "good", "version": "1", "scope": {"categories": ["good/*"], "currencies": ["EUR"]},
        "factors": [{"name": "stock", "input": "available", "curve": [[0, 1.1], [10, 1]]}]}


def written(**changes):
    return json.dumps({**GOOD, "model": "bad", "scope": {"categories": ["bad/*"], "currencies": ["EUR"]}, **changes})


def factor(**row):
    return written(factors=[{"name": "f", **row}])


def scope(**row):
    return written(scope={"categories": ["bad/*"], "currencies": ["EUR"], **row})


def offer(discount=None, budget=None, **trigger):
    return written(offers=[{"name": "o", "trigger": {"event": "cart", "times": 3, "within": "7d", **trigger}, "discount": discount or {"percent": 10},
                            "valid_for": "1d", "cooldown": "30d", "per_customer": {"offers": 1, "per": "7d"},
                            "budget": budget or {"offers": 1000, "per": "7d"}}])


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
    "an offer of a search": (offer(event="search"), '/offers/0/trigger/event: expected "view", "cart" or "order"'),
    "an offer that needs more events than are remembered": (offer(times=9), "/offers/0/trigger/times: expected a whole number from 1 to 8"),
    "an offer without a budget": (offer().replace('"budget"', '"badget"'), '/offers/0/badget: unknown key; did you mean "budget"?'),
    "an offer of two discounts": (offer({"percent": 10, "fixed": 100}), "/offers/0/discount/fixed: one offer is one of"),
    "a budget of no offer": (offer(budget={"offers": 0, "per": "7d"}), "/offers/0/budget/offers: expected a whole number from 1"),
    "an offer unless what leads to it": (offer(unless="cart"), '/offers/0/trigger: "unless" must be another event'),
    "a multiplier of 0": (factor(input="available", curve=[[0, 0]]), "/factors/0/curve/0/1"),
    "an elasticity without an optimum": (factor(markup={"elasticity": -0.9}), "/factors/0/markup/elasticity"),
    "a competitor where none may be looked at": (factor(input="competitor_ratio", curve=[[1, 1]]), '"competitors": true'),
    "a time zone that there is not": (written(schedule={"time_zone": "Elsewhere"}), "/schedule/time_zone: no such time zone; they are called"),
    "a time zone, with the one that was meant": (written(schedule={"time_zone": "europe/Berln"}), '/schedule/time_zone: no such time zone; did you mean "Europe/Berlin"?'),
    "a 30 February": (written(schedule={"from": "2026-02-30"}), "/schedule/from: expected a date"),
    "a calendar, with the one that was meant": (written(factors=[{"name": "f", "expression": "1", "when": {"calendar": "holiday"}}], schedule={"calendars": {"holidays": ["2026-12-25"]}}), 'no calendar "holiday"; did you mean "holidays"?'),
    "a calendar that there is not": (factor(expression="1.1", when={"calendar": "holidays"}), 'no calendar "holidays"'),
    "a formula of 600 bytes": (factor(expression="1" + " + 0.001" * 75), "/factors/0/expression"),
    "nested 40 deep": (factor(expression="(" * 40 + "1" + ")" * 40), "nested more than 32 deep"),
    "lists in lists in lists": ('{"model":' + "[" * 2000 + "]" * 2000 + "}", ""),
    "not an object": ("[]", ""),
    "an end too early": (written()[:-1], ""),
    "the products of another model, as precisely": (written(scope=GOOD["scope"]), '/scope: model good claims category "good/*" just as precisely'),
    "the name of another model": (written(model="good"), "/model: "),
    "an attribute that means a person": (written(attributes={"zone.mean_income": {"from": 0, "to": 1}}), "/attributes/zone.mean_income: no price may rest on this"),
    "an attribute of nothing": (written(attributes={"weight": {"from": 0, "to": 1}}), "/attributes/weight: expected the name of an attribute"),
    "an attribute without a range": (written(attributes={"product.weight": {"from": 0}}), '/attributes/product.weight: "to" is missing'),
    "an attribute in stones": (written(attributes={"product.weight": {"from": 0, "to": 1, "unit": "stone"}}), "/attributes/product.weight/unit: expected a unit"),
    "nine attributes": (written(attributes={f"product.a{i}": {"from": 0, "to": 1} for i in range(9)}), "/attributes: at most 8"),
    "an attribute that is not declared": (factor(input="zone.size_m2", curve=[[0, 1]]), "/factors/0/input: not declared"),
}

# What no schema can say: contradictions between keys and between models, formulas, names of the world outside, and texts of which a
# parser keeps one of two keys. Everything else in BAD is wrong for any validator.
BEYOND_SCHEMA = {
    "a curve that goes back", "a curve that stands still", "a currency that there is not", "an unknown name in a formula, at its column",
    "a key given twice", "impossible units", "a division by what may be zero", "a logarithm of what may be zero",
    "a condition as a multiplier", "a competitor where none may be looked at", "a time zone that there is not", "a time zone, with the one that was meant", "a 30 February", "a calendar, with the one that was meant",
    "a calendar that there is not", "an attribute that means a person", "an attribute in stones", "an attribute that is not declared", "nested 40 deep", "an offer unless what leads to it", "the products of another model, as precisely", "the name of another model",
}


def without_comments(text):
    """JSON with comments as plain JSON of the same length; what looks like a comment within a text stays."""
    pattern = r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/'
    return re.sub(pattern, lambda m: m[0] if m[0][0] == '"' else re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def refused(text):
    raise ValueError(f"{text} is no JSON")


def as_json(text):
    """As strictly as JSON is: None for what is none."""
    try:
        return json.loads(text, parse_constant=refused)
    except (ValueError, RecursionError):
        return None
