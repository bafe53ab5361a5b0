#!/usr/bin/env python3
"""Nobody's own clicks set their own price, and no seller's signals another seller's.

One shopper reloads a page a thousand times in a quiet zone: the price does not move, neither there nor around it, however the shop
names the shopper, or does not. The same thousand views by a thousand visits do move it: they are demand."""
from rialto_test import *

MODEL = simple_model(zone_levels=2, factors=[{"name": "demand", "input": "demand_pressure", "curve": [[0.05, 0.5], [1, 1], [20, 2]]}],
                     demand={"half_life": "1h", "slow_half_life": "1d", "prior_events": 1, "min_events": 20,
                             "weights": {"view": 0.1, "search": 0.1, "cart": 0.5, "order": 1, "return": 0}},
                     guardrails={"floor": 0.1, "ceiling": 5})
LONE = {**MODEL, "model": "lone", "scope": {"categories": ["lone"], "currencies": ["EUR"]}, "group": "lone", "personal": [], "demand": {**MODEL["demand"], "min_events": 0}}
WINDOW_S = 7200

with Service(models={"shop.json": MODEL, "lone.json": LONE}, clock_replay=1, repeat_window_s=WINDOW_S) as service:
    amount = service.amount

    def tell(signals):
        answer = service.ask(signals)
        equal((answer["accepted"], answer["rejected"]), (len(signals), 0))
        return {f["reason"] for f in answer["findings"]}

    def prices(sku):
        return [amount(sku, zone=zone) for zone in ("quiet", "busy", "")]

    def busy(sku, **more):
        """A shop with usual demand elsewhere: an order every ten minutes for a day, 40 visits in the last hour."""
        now = service.now_ms()
        service.accept(product(sku, 1000, **more))
        service.accept(*(demand(sku, zone="busy", time=now - k * 600000) for k in range(1, 145)))
        service.accept(*(demand(sku, "view", zone="busy", session=f"b{k}", time=now - k * 90000) for k in range(40)))
        service.pass_time(1)

    ways = {"as a customer": {"customer": "anna"}, "with a visit": {"session": "visit-1"}, "unnamed": {},
            "as a customer with a visit": {"customer": "anna", "session": "visit-1"}}
    for number, (way, who) in enumerate(ways.items()):
        sku = f"milk-{number}"

        @check(f"one shopper reloads a page 1,000 times in a quiet zone, {way}: no price moves")
        def _():
            busy(sku)
            tell([demand(sku, "view", zone="quiet", **{"session": None, **who})])  # the first one counts, as a tenth of an order
            service.pass_time(1)
            before = prices(sku)
            findings = set()
            for _ in range(25):  # each may have two findings, and an answer lists a hundred: those of whoever answers first
                findings |= tell([demand(sku, "view", zone="quiet", **{"session": None, **who})] * 40)
            service.pass_time(1)
            after = prices(sku)
            require("repeated" in findings, f"the sender is told of repeats: {findings}")
            # Two seconds of decay may be worth a cent of the thousand; a thousand views would be worth hundreds.
            require(all(abs(a - b) <= 1 for a, b in zip(before, after)), f"{before} became {after}")

    @check("a thousand visits are demand: they move the price around the zone, which now speaks for itself")
    def _():
        busy("tea")
        before = prices("tea")
        for page in range(10):
            equal(tell([demand("tea", "view", zone="quiet", session=f"v{page}-{k}") for k in range(100)]), set())
        service.pass_time(1)
        after = prices("tea")
        require(before[0] == before[2] and after[0] != after[2] and after[2] > before[2] + 100, f"{before} became {after}")

    @check("a visit that goes through zones, or through products, counts once for each product")
    def _():
        busy("jam")
        first = [demand("jam", "view", zone=zone, session="walker") for zone in ("quiet", "busy", "third")]
        answer = service.ask(first)
        equal([f["index"] for f in answer["findings"] if f["reason"] == "repeated"], [1, 2])
        equal(tell([demand("tea", "view", session="walker")]), set())

    @check("orders count each: they are paid for")
    def _():
        busy("rice")
        before = amount("rice")
        equal(tell([demand("rice", zone="quiet", customer="anna", session="visit-1")] * 50) - {"no_consent"}, set())
        service.pass_time(1)
        require(amount("rice") > before + 50, "fifty orders did not lift the price")

    @check("after two windows a visit counts anew")
    def _():
        equal(tell([demand("tea", "view", session="walker")]), {"repeated"})
        service.pass_time(2 * WINDOW_S)
        equal(tell([demand("tea", "view", session="walker")]), set())

    @check("a cart of a million units counts as one of act_quantity_max, and that is counted; an order counts whole")
    def _():
        now, skus = service.now_ms(), {"cup-a": ("cart", 1000000), "cup-b": ("cart", 100), "cup-c": ("cart", 50), "cup-d": ("order", 100), "cup-e": ("order", 10000)}
        before = service.status()["metrics"]["demand_cut_total"]
        for sku in skus:
            service.accept(product(sku, 1000))
            service.accept(*(demand(sku, zone="busy", time=now - k * 600000) for k in range(1, 145)))
            service.accept(*(demand(sku, "view", zone="busy", session=f"{sku}{k}", time=now - k * 90000) for k in range(40)))
        service.accept(*(demand(sku, event, zone="busy", time=now, session=sku, quantity=quantity) for sku, (event, quantity) in skus.items()))
        service.pass_time(1)
        a, b, c, d, e = (amount(sku, zone="busy") for sku in skus)
        require(a == b and 1000 < c < b < d < e, (a, b, c, d, e))
        equal(service.status()["metrics"]["demand_cut_total"] - before, 1)

    @check("with min_events 0 a model asks for it: its zones' own demand may be one shopper's")
    def _():
        service.accept(product("solo", 1000, category="lone"))
        before = amount("solo", zone="quiet")
        equal(tell([demand("solo", "view", zone="quiet", session="one")] * 500), set())
        service.pass_time(1)
        require(amount("solo", zone="quiet") > before, "500 views moved nothing")

    @check("a visit is stored nowhere: not in memory that others read, state, Redis, dead letters or the log")
    def _():
        secret = b"visit-xq7-unlikely"
        tell([demand("tea", "view", session=secret.decode())])
        service.ask([demand("none-such", "view", session=secret.decode()), {**demand("tea", "view", session=secret.decode()), "quantity": -1}])
        wait_until(lambda: len(service.redis()("XRANGE", f"{service.instance}:rejects", "-", "+")) >= 2, 5, "two dead letters")
        service.wait_durable()
        for folder in (service.data, service.cache):
            for file in folder.rglob("*"):
                require(not file.is_file() or secret not in file.read_bytes(), f"the visit is in {file}")
        require(secret not in repr(service.redis()("XRANGE", f"{service.instance}:rejects", "-", "+")).encode(), "the visit is a dead letter")
        require(secret.decode() not in service.log(), "the visit is in the log")

    # ---- sellers ----

    supply = lambda **more: {"type": "supply", "sku": "vase", "available": 3, "capacity": 10, **more}
    asked = lambda **more: {"type": "competitor", "sku": "vase", "competitor": "x", "amount": 10, "currency": "EUR", **more}

    def refused(signal_):
        answer = service.ask(signal_)
        return [f["reason"] for f in answer["findings"]] if answer["rejected"] else []

    @check("a product belongs to the seller of its first signal: no other seller's signal moves its price, nor one that names none")
    def _():
        service.accept(product("vase", 5000, seller="potter"), product("mug", 700, seller="rival"), product("pot", 900))
        for other in ({"seller": "rival"}, {}):
            for signal_ in (product("vase", 100, **other), product("vase", 100, zone="quiet", **other), supply(**other), asked(**other)):
                equal(refused(signal_), ["other_seller"], f"{signal_['type']} {other}")
        equal(refused(demand("vase", seller="rival")), ["other_seller"])
        equal(refused(product("pot", 1, seller="rival")), ["other_seller"])
        equal((amount("vase"), amount("vase", zone="quiet"), amount("pot")), (5000, 5000, 900))

    @check("its own seller's signals do, and the shop tells of demand for all sellers")
    def _():
        service.accept(product("vase", 4000, seller="potter"), supply(seller="potter"), asked(seller="potter"),
                       demand("vase"), demand("vase", seller="potter"))
        equal(service.quote("vase")["list"], 4000)

    @check("whose a product is survives a restart")
    def _():
        service.wait_durable()
        service.restart()
        equal(refused(product("vase", 100, seller="rival")), ["other_seller"])
        service.accept(product("vase", 4100, seller="potter"))

finish()
