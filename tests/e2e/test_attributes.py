#!/usr/bin/env python3
"""Attributes of products and zones as inputs of prices: each price is worked out here with fractions, from what was said and what the model
declares. They outlive workers and state files, stand in recordings, age, and no name that means a person gets in anywhere."""
from fractions import Fraction

from rialto_test import *

ATTRIBUTES = {"product.weight_kg": {"unit": "kg", "from": 0, "to": 50, "missing": 1}, "product.organic": {"from": 0, "to": 1},
              "zone.size_m2": {"unit": "m^2", "from": 50, "to": 5000, "age_limit": "10d"}}
FACTORS = [{"name": "weight", "expression": "1 + 0.004 * max(product.weight_kg - 1, 0)"},
           {"name": "organic", "input": "product.organic", "steps": [[0, 1], [1, 1.1]], "missing": 0.95},
           {"name": "shop", "input": "zone.size_m2", "curve": [[100, 1.2], [1100, 1]], "missing": 1.01}]
LIST = 100000


def model(**changes):
    return simple_model(**{"attributes": ATTRIBUTES, "factors": FACTORS, "zone_levels": 3, "personal": [], **changes})


def price(weight=None, organic=None, size=None):
    weight = Fraction(1 if weight is None else min(max(Fraction(str(weight)), 0), 50))
    amount = LIST * (1 + Fraction("0.004") * max(weight - 1, 0))
    amount *= Fraction("0.95") if organic is None else Fraction("1.1") if organic >= 1 else 1
    if size is None:
        return round(amount * Fraction("1.01"))
    size = min(max(Fraction(size), 50), 5000)
    return round(amount * (Fraction("1.2") - Fraction("0.2") * (min(max(size, 100), 1100) - 100) / 1000))


def said(sku="a", **more):
    return product(sku, LIST, **more)


def zone(name, **more):
    return {"type": "zone", "zone": name, **more}


with Service(models={"shop.json": model()}, record_files_max=10) as service:
    DATA = ("--set", f"data_dir={service.data}")

    def amounts(*places, sku="a"):
        return [service.amount(sku, **({"zone": place} if place else {})) for place in places]

    @check("what nobody said is as the model states, what it does not state is missing")
    def _():
        service.accept(said())
        equal(amounts(""), [price()])

    @check("what a product signal says counts in all zones, cut to the declared range; true is 1; names that no model reads are taken")
    def _():
        service.accept(said(zone="de/south"), said(attributes={"weight_kg": 12.5, "organic": True, "colour_count": -3}))
        equal(amounts("", "de/south"), [price(12.5, 1)] * 2)
        service.accept(said(attributes={"weight_kg": 1e9, "organic": False}))
        equal(amounts("", "de/south"), [price(50, 0)] * 2)

    @check("without attributes they stay; the object says all there is; none at all takes them away; late ones change nothing")
    def _():
        service.accept(said(), said(zone="de/south"))
        equal(amounts("", "de/south"), [price(50, 0)] * 2)
        now = service.now_ms()
        service.accept(said(attributes={"organic": 1}, time=now))
        equal(amounts("", "de/south"), [price(None, 1)] * 2)
        service.accept(said(zone="fr", attributes={"weight_kg": 9}, time=now - 60000))  # the first of France, but older
        equal(amounts("", "fr"), [price(None, 1)] * 2)
        service.accept(said(attributes={}))
        equal(amounts("", "fr"), [price()] * 2)
        service.accept(said(attributes={"weight_kg": 3, "organic": 1}))

    @check("a zone's are those of the nearest zone around that says them")
    def _():
        service.accept(said(zone="de/south/s1"), said(zone="de/south/s2"))
        service.accept(zone("de/south", attributes={"size_m2": 600}), zone("de/south/s1", attributes={"footfall": 7}))
        equal(amounts("", "fr", "de/south", "de/south/s1", "de/south/s2"), [price(3, 1)] * 2 + [price(3, 1, 600)] * 3)
        service.accept(zone("de/south/s1", attributes={"size_m2": 350, "footfall": 7}), zone("de/south", utc_offset_min=60))
        equal(amounts("de/south", "de/south/s1", "de/south/s2"), [price(3, 1, 600), price(3, 1, 350), price(3, 1, 600)])
        service.accept(zone("", attributes={"size_m2": 1}))
        equal(amounts("", "fr", "de/south/s1"), [price(3, 1, 1)] * 2 + [price(3, 1, 350)])

    def explained(place):
        status, out, err = service.cli("explain", "--json", "--zone", place, "--", "-", "a")
        equal(status, 0, err)
        return {i["name"]: i for step in json.loads(out)["steps"] for i in step.get("inputs", [])}

    @check("explain tells each with its unit, value, zone and age")
    def _():
        found = explained("de/south/s2")
        equal({n: (i["unit"], Fraction(i["value"]), i["state"]) for n, i in found.items()},
              {"product.weight_kg": ("kg", 3, "current"), "product.organic": ("ratio", 1, "current"), "zone.size_m2": ("m^2", 600, "current")})
        equal(found["zone.size_m2"]["zone"], "de/south")
        require("zone" not in found["product.organic"], "a product's own, in whatever zone")
        text = service.cli("explain", "--zone", "de/south/s2", "--", "-", "a")[1]
        contains(text, "zone.size_m2 600 m^2, of de/south")
        service.accept(said(attributes={"organic": 1}))
        contains(service.cli("explain", "--zone", "de/south/s2", "--", "-", "a")[1], "product.weight_kg 1 kg, stated by the model")
        service.accept(said(attributes={"weight_kg": 3, "organic": 1}))

    @check("they come back from state files, and from Redis alone")
    def _():
        places = ("", "de/south", "de/south/s1")
        before = amounts(*places)
        service.restart()
        equal(amounts(*places), before)
        service.accept(said())
        equal(amounts(*places), before)
        service.wait_durable()
        service.stop()
        shutil.rmtree(service.data / "state")
        service.start()
        equal(amounts(*places), before)
        service.accept(said(zone="de/south/s2", attributes={"weight_kg": 3, "organic": 1}))  # priced anew
        equal(amounts(*places, "de/south/s2"), before + [price(3, 1, 600)])

    def rejects():
        status, text, err = run(BIN / "rialto", "rejects", *DATA, "--set", f"instance={service.instance}", "--url", service.request_ipc, "--json", cwd=service.folder)
        equal(status, 0, err)
        return text

    @check("names of people, too many, too long and wrong ones are refused and counted, and nothing is changed")
    def _():
        before = amounts("", "de/south/s1")
        for attributes, reason, pointer in (
                ({"age": 5}, "bad_attribute", "/age"), ({"mean_income": 54321.25}, "bad_attribute", "/mean_income"), ({"Weight": 5}, "bad_attribute", "/Weight"),
                ({"": 1}, "bad_attribute", "/"), ({"a.b": 1}, "bad_attribute", "/a.b"), ({"w" * 32: 1}, "bad_attribute", "/" + "w" * 32),
                ({"weight_kg": "5"}, "wrong_type", "/weight_kg"), ({"weight_kg": None}, "wrong_type", "/weight_kg"),
                ({"weight_kg": 1.1e9}, "out_of_range", "/weight_kg"), ({f"w{i}": i for i in range(9)}, "too_long", ""), ([1], "wrong_type", "")):
            for signal_ in (said(attributes=attributes), zone("de", attributes=attributes)):
                equal(service.refuse(signal_), (reason, "/attributes" + pointer))
        equal(service.refuse(demand("a", attributes={}))[0], "unknown_field")
        equal(amounts("", "de/south/s1"), before)
        wait_until(lambda: "unknown_field" in rejects(), 10, "the last of them among the dead letters")
        text = rejects()
        contains(text, "bad_attribute")
        require("54321" not in text, "the value of what is refused")

    @check("diff tells what another declaration would move")
    def _():
        other = service.folder / "other"
        other.mkdir()
        changed = model(version="2")
        changed["attributes"] = {**ATTRIBUTES, "product.weight_kg": {"unit": "kg", "from": 0, "to": 2}}
        (other / "shop.json").write_text(json.dumps(changed))
        status, out, err = service.cli("diff", other, *DATA, "--json", "--count", "50")
        require(status in (0, 1), err)
        moves = {move["zone"]: (move["now"], move["at_once"]) for move in json.loads(out)["moves"]}
        equal(moves["de/south/s2"], (price(3, 1, 600), price(2, 1, 600)))

    @check("an age limit ends by itself: the next zone around, or the model's word")
    def _():
        service.pass_time(5 * 86400)
        service.accept(zone("", attributes={"size_m2": 500}))
        equal(amounts("", "de/south/s1"), [price(3, 1, 500), price(3, 1, 350)])
        service.pass_time(5 * 86400)
        wait_until(lambda: amounts("de/south/s1", "de/south/s2") == [price(3, 1, 500)] * 2, 10, f"the world's size: {amounts('de/south/s1')}")
        service.pass_time(5 * 86400 + 1)
        wait_until(lambda: amounts("", "de/south/s1") == [price(3, 1)] * 2, 10, f"no size any more: {amounts('')}")
        equal(explained("de/south/s1")["zone.size_m2"]["state"], "too old")

    @check("CSV: a column for each attribute; a bad cell is told by row and column; an empty one says nothing")
    def _():
        table = service.folder / "products.csv"
        table.write_text("sku,list,currency,category,attributes.weight_kg,Bio\ncsv-1,1000.00,EUR,x,\"2.5\",yes\ncsv-2,1000.00,EUR,x,,\n")
        status, out, err = service.cli("import", "--map", "Bio=attributes.organic", table)
        equal(status, 0, out + err)
        equal(amounts("", sku="csv-1") + amounts("", sku="csv-2"), [price(2.5, 1), price()])
        for header, cells, column in (("attributes.weight_kg", "heavy", "D"), ("attributes.age", "1", "D"), ("attributes.x,attributes.x", "1,2", "E"),
                                      ("attributes", "1", "D")):
            table.write_text(f"sku,list,currency,{header}\ncsv-1,1.00,EUR,{cells}\n")
            status, out, err = service.cli("import", "--dry-run", "--json", table)
            equal((status, [f["column"] for f in json.loads(out)["findings"]]), (4, [column]), header)

    @check("a recording holds names and values, and replayed it gives the same prices")
    def _():
        live = amounts("", "fr", "de/south", "de/south/s1", "de/south/s2") + amounts("", sku="csv-1")
        equal(service.stop(), 0)
        files = sorted((service.data / "recordings").glob("*.ndjson"))
        rows = [json.loads(line) for path in files for line in open(path)]
        require(any(row.get("attributes") == {"weight_kg": 12.5, "organic": 1, "colour_count": -3} for row in rows), "not on record")
        tape, prices, models = service.folder / "tape", service.folder / "prices", service.models
        tape.write_bytes(b"".join(path.read_bytes() for path in files))
        status, out, err = run(BIN / "rialto", "simulate", "--models", models, "--against", models, "--signals", tape, "--prices", prices, "--set",
                               "products_max=1024", "--set", "cells_max=4096", "--set", "zones_max=256", timeout=60)
        equal(status, 0, out + err)
        replayed = {(row["sku"], row["zone"]): row["baseline"] for row in map(json.loads, open(prices))}
        equal([replayed["a", z] for z in ("", "fr", "de/south", "de/south/s1", "de/south/s2")] + [replayed["csv-1", ""]], live)


folder = temporary_folder()


def checked(**changes):
    (folder / "shop.json").write_text(json.dumps(model(**changes)))
    status, out, err = run(BIN / "rialto", "check", folder)
    return status, out + err


@check("rialto check: the nearest name, what is not declared, units, zero in the range, names of people, all with their place")
def _():
    equal(checked()[0], 0)
    by = {"name": "x", "input": "product.wieght_kg", "curve": [[0, 1]]}
    for changes, wanted in (
            ({"factors": [by]}, '/factors/0/input: no such input; did you mean "product.weight_kg"?'),
            ({"factors": [{**by, "input": "zone.floors_of_it"}]}, '/factors/0/input: not declared: "attributes" says what it is'),
            ({"factors": [{"name": "x", "expression": "1 + product.wieght_kg"}]}, 'did you mean "product.weight_kg"?'),
            ({"factors": [{"name": "x", "expression": "1 + zone.floors_of_it"}]}, '"zone.floors_of_it" is not declared'),
            ({"factors": [{"name": "x", "expression": "product.weight_kg + zone.size_m2"}]}, "impossible units: kg against m^2"),
            ({"factors": [{"name": "x", "expression": "1 / product.organic"}]}, "division by what may be 0"),
            ({"attributes": {"product.age": {"from": 0, "to": 1}}, "factors": []}, "/attributes/product.age: no price may rest on this"),
            ({"attributes": {"zone.household_income": {"from": 0, "to": 1}}, "factors": []}, "no price may rest on this"),
            ({"attributes": {"weight_kg": {"from": 0, "to": 1}}, "factors": []}, "/attributes/weight_kg: expected the name of an attribute"),
            ({"attributes": {"product.W": {"from": 0, "to": 1}}, "factors": []}, "lower-case"),
            ({"attributes": {"product.w": {"from": 1, "to": 1}}, "factors": []}, '"to" must be larger than "from"'),
            ({"attributes": {"product.w": {"from": 0, "to": 1, "missing": 2}}, "factors": []}, '"missing" must lie between'),
            ({"attributes": {"product.w": {"to": 1}}, "factors": []}, '"from" is missing'),
            ({"attributes": {"product.w": {"from": 0, "to": 1, "unit": "stone"}}, "factors": []}, "/attributes/product.w/unit: expected a unit"),
            ({"attributes": {"product.w": {"from": 0, "to": 1, "agelimit": "1h"}}, "factors": []}, 'did you mean "age_limit"?'),
            ({"attributes": {f"product.w{i}": {"from": 0, "to": 1} for i in range(9)}, "factors": []}, "at most 8 attributes")):
        status, said_ = checked(**changes)
        equal(status, 4, said_)
        contains(said_, wanted)

@check("the page for customers names what of a product and a place moves its price")
def _():
    equal(checked()[0], 0)
    status, out, err = run(BIN / "rialto", "notice", folder)
    equal(status, 0, err)
    contains(out, "weight kg (of the product)")
    contains(out, "size m2 (of the place)")


finish()
