#!/usr/bin/env python3
"""A reader written from docs/cache-layout.md alone, in Python, says of a living cache what librialto says."""
import mmap
import random
from types import SimpleNamespace

import layout_reader
from layout_reader import Page, Reader, home_of, key_of, pair, partition_of, tag_of
from rialto_test import *

PAGE = Page(ROOT / "docs/cache-layout.md")
SECRET = bytes((37 * i + 11) % 256 for i in range(192))
ZONES = ["de", "de/south", "de/south/store:25", "fr", "gh:u281z", "gh:u28"]
ASKED = [None, "world", *ZONES, "de/north", "de/south/store:25/dairy", "gh:u281z7j", "gh:u2", "xx/yy"]


def key_text(key):
    return f"`lo` 0x{key[0]:016x} `hi` 0x{key[1]:016x}"


@check("the page's example of hashes comes out the same in Python, for ids of every kind of length")
def _():
    rows = {name: value for name, value in PAGE.example["hashes"].items() if value.startswith("`lo`")}
    lengths = []
    for name, value in rows.items():
        word = "" if name.startswith("(empty") else name.strip("`")
        lengths.append(len(word))
        equal(key_text(key_of(SECRET, word)), value, name)
    for low, high in ((0, 0), (1, 3), (4, 8), (9, 16), (17, 32), (33, 63)):
        require(any(low <= n <= high for n in lengths), f"no id of {low} to {high} bytes among the examples")
    equal(max(lengths), 63)


@check("the page's example of places comes out the same in Python")
def _():
    sku, customer_key, zone = (key_of(SECRET, name) for name in ("milk-1l", "C123", "de/south"))
    cell = pair(sku, zone)
    equal({name: value for name, value in PAGE.example["places"].items() if name != "what" and not name.startswith("-")}, {
        "cell of `milk-1l` in the world": key_text(pair(sku, key_of(SECRET, ""))),
        "cell of `milk-1l` in `de/south`": key_text(cell),
        "offer of `C123` for `milk-1l`": key_text(pair(customer_key, sku)),
        "partition of `milk-1l` and all its cells": str(partition_of(sku)),
        "partition of `C123`, its terms and offers": str(partition_of(customer_key)),
        "tag of the cell in `de/south`": f"0x{tag_of(PAGE, cell):02x}",
        "its home line in an extent of 1000 lines": str(home_of(cell, 1000)),
    })


@check("the page's example of quotes comes out the same in Python")
def _():
    cell = SimpleNamespace(baseline=1999, list=2199, lo_product=1500, hi_place=2400, group=3, flags=0, until_s=0)
    rule = SimpleNamespace(ending_step=10, ending_less=1, stale_limit_s=0, currency_number=978, forbidden=0)
    lock = SimpleNamespace(kind=2, value=1000, kinds=0, currency=978, flags=1, until_s=0, from_s=0, locked=1450, lock_until_s=0)
    stackable, offer = SimpleNamespace(**{**vars(lock), "locked": 0}), SimpleNamespace(**{**vars(lock), "locked": 0, "flags": 0})
    never_above = SimpleNamespace(**{**vars(cell), "flags": PAGE.number["RIALTO_CELL_NEVER_ABOVE"]})

    def amount(e4=None, offer=None, cell=cell, mode=0):
        terms = SimpleNamespace(usable=True, multiplier=(e4,) * 16, consent=8, kinds=8) if e4 else None
        return str(layout_reader.compose(PAGE, cell, rule, terms, offer, 1764000000000, 0, 5000, mode))

    wanted = [amount(), amount(10000), amount(9375), amount(13000), amount(13000, cell=never_above), amount(9375, offer, never_above),
              amount(9375, stackable, never_above), amount(9375, lock, never_above), amount(9375, cell=never_above, mode=1)]
    equal([value for value in PAGE.example["quotes"].values() if value.isdigit()], wanted)


def ask_both(service, reader, library, count, seed):
    """Random questions to both; how many had a price, and the kinds of answers that came."""
    dice, priced, seen, wrong = random.Random(seed), 0, set(), []
    for _ in range(count):
        sku, who = f"p{dice.randrange(90)}", dice.choice([None, *(f"c{i}" for i in range(24))])
        zone, basis = dice.choice(ASKED), dice.randrange(4)
        currency = dice.choice([None, None, None, "EUR", "GBP"])
        request = library.Request(who.encode() if who else None, zone.encode() if zone else None, basis, currency.encode() if currency else None)
        quote = library.Quote()
        status = library.lib.rialto_quote(library.handle, ctypes.byref(request), sku.encode(), ctypes.byref(quote))
        mine = reader.quote(sku, who, zone, basis >= 2, currency)
        theirs = None
        if status == library.OK:
            theirs = {name: getattr(quote, name) for name in mine or {}}
            if mine:
                theirs["currency"] = quote.currency.decode()
            priced += 1
            seen |= library.flags(quote)
        if (mine is None) != (status != library.OK) or (mine is not None and mine != theirs):
            wrong.append(f"{sku} {who} {zone} {basis} {currency}: page {mine}, librialto {status} {theirs}")
    require(not wrong, f"{len(wrong)} of {count}: {wrong[:2]}")
    return priced, seen


MODEL = simple_model(scope={"categories": ["*"], "currencies": ["EUR", "GBP"]}, zone_levels=3, rounding={"step": 10, "less": 1},
                     guardrails={"floor": 0.5, "ceiling": 1.2, "personal": [0.5, 1.5]},
                     personal=[{"name": "loyalty", "tier": {"gold": 0.87, "silver": 0.95, "bronze": 1.31}}])
SETTINGS = {"customers_max": 4096, "cells_max": 4096, "cache_start_percent": 1, "cache_on_stop": "keep", "stale_after_ms": 3600000, "personal_stale_ms": 3600000}

with Service(models={"shop.json": MODEL}, **SETTINGS) as service:
    dice = random.Random(7)
    service.accept(*({"type": "zone", "zone": z, **({"currency": "GBP"} if z == "fr" else {})} for z in ("de", "de/south", "fr", "gh:u28")))
    service.accept(*(product(f"p{i}", dice.randrange(100, 90000), currency=dice.choice(["EUR", "EUR", "GBP"])) for i in range(80)))
    for i in range(80):
        for zone in dice.sample(ZONES, 2):
            service.ask({"type": "supply", "sku": f"p{i}", "zone": zone, "available": dice.randrange(20)})
    now = service.now_ms()
    for i in range(20):
        service.accept(customer(f"c{i}", ["profile", "purchases"] + ["location"] * (i % 3 > 0), tier=dice.choice(["gold", "silver", "bronze"])))
        if i % 3 == 2:
            service.ask({"type": "location", "customer": f"c{i}", "zone": dice.choice(ZONES)})
    for i in range(16):
        for sku in dice.sample(range(80), 12):
            kind = dice.choice(["fixed", "percent", "amount_off", "lock"])
            value = {"percent": dice.randrange(1, 40)} if kind == "percent" else {"amount": dice.randrange(50, 5000), "currency": "EUR"}
            service.ask({"type": "offer", "customer": f"c{i}", "sku": f"p{sku}", "kind": kind, **value,
                         **({"stackable": True} if kind in ("percent", "amount_off") and dice.random() < 0.5 else {}), "until": now + 3600000})
    reader, library = Reader(service.cache), Library(service.cache)

    @check("4000 quotes by the page and by librialto are the same: customers, zones, offers, locks, currencies")
    def _():
        priced, seen = ask_both(service, reader, library, 4000 if SLOW == 1 else 1500, 1)
        note(f"{priced} had a price; flags seen: {' '.join(sorted(seen))}")
        require(priced > 1000, f"only {priced} had a price")
        equal(sorted({"ANONYMOUS", "PERSONAL", "OFFER", "LOCK", "WIDER_ZONE", "BOUNDED", "IGNORED_ZONE"} - seen), [])

    @check("and after tables have grown, in the same handle, while they are written")
    def _():
        before = sum(len(reader.extents("terms", p)) for p in range(64))
        for first in range(100, 3700, 200):
            service.ask([customer(f"x{i}", ["profile"], tier="gold") for i in range(first, first + 200)])
        extents = sum(len(reader.extents("terms", p)) for p in range(64))
        require(extents > before, f"terms did not grow: {before} extents, {extents} then")
        wrong = [i for i in range(100, 3700, 11) if reader.quote("p1", f"x{i}")["amount"] != library.quote("p1", f"x{i}")[1].amount]
        require(not wrong, f"other amounts for x{wrong[:5]}")
        ask_both(service, reader, library, 1000, 2)
        note(f"{before} extents of terms, then {extents}")

    @check("and in mode list, and when the service is gone and prices are stale")
    def _():
        with open(service.cache / f"control.v{PAGE.number['RIALTO_LAYOUT']}", "r+b") as file, mmap.mmap(file.fileno(), 0) as control:
            def set_field(name, value):
                offset, size = PAGE.field["rialto_control"][name]
                control[offset:offset + size] = value.to_bytes(size, "little")

            set_field("mode", PAGE.number["RIALTO_MODE_LIST"])
            _, seen = ask_both(service, reader, library, 600, 3)
            require("LIST_MODE" in seen, f"librialto does not say so: {seen}")
            set_field("mode", PAGE.number["RIALTO_MODE_NORMAL"])
            equal(service.stop(), 0, "exit status")
            set_field("stale_after_ms", 1)
            time.sleep(0.05)
            _, seen = ask_both(service, reader, library, 600, 4)
            require({"STALE", "OFFER"} <= seen, f"stale and personal: {seen}")
            set_field("personal_stale_ms", 1)
            _, seen = ask_both(service, reader, library, 600, 5)
            require({"NEUTRAL", "LOCK"} <= seen and "OFFER" not in seen, f"stale and neutral: {seen}")

    library.close()
finish()
