#!/usr/bin/env python3
"""The same effect once, by id or by number, whatever is lost in between; and what comes late belongs where it happened."""
from rialto_test import *

SPEND = {"model": "spend", "version": "1", "scope": {"categories": ["spend"], "currencies": ["EUR"]}, "zone_levels": 0, "group": "spend",
         "factors": [], "personal": [{"name": "spend", "spend": [[0, 1], [9000, 0.1]]}],  # each euro lowers it by 1e-4
         "guardrails": {"floor": 0.05, "ceiling": 1, "personal": [0.1, 1]}, "rounding": {"step": 1}, "stale_limit": "1h"}
SHOP = simple_model(
    scope={"categories": ["food/*"], "currencies": ["EUR"]},
    factors=[{"name": "scarcity", "input": "available", "steps": [[0, 1.2], [10, 1]]},
             {"name": "heat", "input": "temperature_c", "steps": [[0, 1], [30, 1.1]]},
             {"name": "demand", "input": "demand_pressure", "curve": [[0, 0.6], [1, 1], [8, 1.4]]}],
    personal=[{"name": "loyalty", "tier": {"gold": 0.9, "silver": 0.95}}, {"name": "near", "zone": {"de": 0.8}}],
    demand={"half_life": "1h", "slow_half_life": "1d", "prior_events": 1, "min_events": 1})
METER = 1_000_000
_serial = 0


def spent(service, who):
    """Euros that count for a customer, read off a price."""
    return round((1 - service.amount("meter", customer=who) / METER) * 10000)


def reasons(answer):
    return [f["reason"] for f in answer.get("findings", [])]


def order(who, euros, **more):
    return demand("meter", customer=who, amount=100 * euros, currency="EUR", **more)


def lose_state(service):
    """All processes die at once, and all that is not in Redis goes."""
    service.wait_durable()
    service.kill()
    shutil.rmtree(service.cache, ignore_errors=True)
    shutil.rmtree(service.data / "state")
    service.start()


with Service(models={"spend.json": SPEND, "shop.json": SHOP}, cache_on_stop="keep") as service:
    service.accept(product("meter", METER, category="spend"), product("milk", 1000),
                   *(customer(who, ["purchases", "behaviour", "location", "profile"]) for who in ("ann", "bob", "cid", "dan")))
    BY_ID = [order("ann", 10, source="pos-1", id=f"a{i}") for i in range(20)]
    BY_NUMBER = [order("bob", 10, source="pos-2", seq=100 + i) for i in range(20)]

    @check("an id counts once, a number counts once, and what was counted says so")
    def _():
        for signals, who in ((BY_ID, "ann"), (BY_NUMBER, "bob")):
            service.accept(*signals)
            equal(spent(service, who), 200, who)
            answer = service.ask(signals)
            equal((answer["accepted"], set(reasons(answer))), (20, {"duplicate"}), who)
            equal(spent(service, who), 200, who)

    @check("a number below the newest one of its source was counted; of another source it was not")
    def _():
        equal(set(reasons(service.ask(order("bob", 10, source="pos-2", seq=50)))), {"duplicate"})
        equal(spent(service, "bob"), 200)
        service.accept(order("bob", 10, source="pos-3", seq=50))
        service.accept(order("bob", 10, source="pos-2", seq=120))
        equal(spent(service, "bob"), 220)

    @check("a refused signal uses up no number, nor does one refused by a worker")
    def _():
        equal(service.refuse(order("bob", 1, source="pos-4", seq=7, quantity=-1)), ("out_of_range", "/quantity"))
        equal(service.refuse(demand("unheard-of", source="pos-4", seq=7))[0], "unknown_product")
        service.accept(demand("meter", source="pos-4", seq=7))

    @check("a number needs a source, and stands instead of an id")
    def _():
        equal(service.refuse(demand("meter", seq=1)), ("missing_field", "/source"))
        equal(service.refuse(demand("meter", seq=1, source="s", id="1")), ("contradiction", "/seq"))
        for bad, reason in ((0, "out_of_range"), (-3, "out_of_range"), (1.5, "wrong_type"), ("1", "wrong_type"), (2**53, "out_of_range")):
            equal(service.refuse(demand("meter", seq=bad, source="s")), (reason, "/seq"), bad)

    @check("in a CloudEvent the signal's number goes before the event's id")
    def _():
        def event(number, event_id):
            return {"specversion": "1.0", "type": "shop.demand", "source": "/till/9", "id": event_id,
                    "data": {"sku": "meter", "event": "order", "seq": number}}
        service.accept(event(1, "x"), event(2, "x"))
        equal(set(reasons(service.ask(event(2, "y")))), {"duplicate"})

    @check("weather and zones by number: every worker knows them")
    def _():
        service.accept({"type": "weather", "zone": "fr", "temperature_c": 10, "source": "met", "seq": 1})
        equal(set(reasons(service.ask({"type": "weather", "zone": "fr", "temperature_c": 35, "source": "met", "seq": 1}))), {"duplicate"})

    def nothing_counts_again():
        for signals, who, sum_ in ((BY_ID, "ann", 200), (BY_NUMBER, "bob", 220)):
            equal(spent(service, who), sum_, who)
            answer = service.ask(signals)
            equal((answer["accepted"], set(reasons(answer)), sorted(f["index"] for f in answer["findings"])), (20, {"duplicate"}, [*range(20)]), who)
            equal(spent(service, who), sum_, who)
        equal(set(reasons(service.ask({"type": "weather", "zone": "fr", "temperature_c": 35, "source": "met", "seq": 1}))), {"duplicate"})

    @check("after kill -9 of all processes nothing counts again")
    def _():
        service.kill()
        service.start()
        nothing_counts_again()

    @check("state files and cache lost: what Redis holds knows all ids and numbers")
    def _():
        lose_state(service)
        nothing_counts_again()

    @check("Redis emptied behind our back is told all of them again")
    def _():
        prefix = service.instance
        before = {key: service.redis()("STRLEN", key) for key in service.redis().keys(f"{prefix}:ids:*")}
        require(sum(before.values()) >= 8 * len(BY_ID), before)
        service.redis()("FLUSHALL")
        wait_until(lambda: {key: service.redis()("STRLEN", key) for key in before if key in service.redis().keys()} == before, 20, "the ids")
        lose_state(service)
        nothing_counts_again()

    @check("ids that came while Redis was away are in it soon after its return")
    def _():
        redis = service.children()["redis-server"]
        os.kill(redis, signal.SIGSTOP)
        try:
            pushed = [order("cid", 10, source="pos-5", id=f"c{i}") for i in range(20)]
            with Pusher(service.push_ipc) as pusher:
                pusher.push(pushed)
            wait_until(lambda: spent(service, "cid") == 200, 10, "the pushed orders")
        finally:
            os.kill(redis, signal.SIGCONT)
        lose_state(service)
        equal(set(reasons(service.ask(pushed))), {"duplicate"})
        equal(spent(service, "cid"), 200)

    @check("pushed signals are in Redis within a moment, though nobody waits for them")
    def _():
        with Pusher(service.push_ipc) as pusher:
            pusher.push([order("dan", 1, source="pos-6", seq=i + 1) for i in range(100)])
            wait_until(lambda: spent(service, "dan") == 100, 10, "the pushed orders")
            service.wait_durable(5)
        lose_state(service)
        equal(spent(service, "dan"), 100)

    # ---- late ----

    now = service.now_ms() - 5000

    @check("late supply, weather, location and customer signals never overwrite newer ones")
    def _():
        service.accept(product("bread", 1000), customer("eve", ["location", "profile"], time=now),
                       {"type": "supply", "sku": "bread", "available": 100, "time": now},
                       {"type": "weather", "zone": "de", "temperature_c": 10, "time": now},
                       {"type": "location", "customer": "eve", "zone": "fr", "time": now},
                       customer("eve", tier="gold", time=now + 1))
        def seen():
            return (service.amount("bread"), service.amount("bread", zone="de"), service.quote("bread", customer="eve")["multiplier"])
        before = seen()
        late = [{"type": "supply", "sku": "bread", "available": 1, "time": now - 60000},
                {"type": "weather", "zone": "de", "temperature_c": 35, "time": now - 60000},
                {"type": "location", "customer": "eve", "zone": "de", "time": now - 60000},
                customer("eve", tier="silver", time=now - 60000)]
        superseded = service.status()["metrics"]["signals_superseded_total"]
        answer = service.ask(late)
        equal((answer["accepted"], set(reasons(answer)), sorted(f["index"] for f in answer["findings"])), (4, {"superseded"}, [0, 1, 2, 3]), "each once, whoever knows it")
        equal(service.status()["metrics"]["signals_superseded_total"] - superseded, 4, "counted once as well")
        equal(seen(), before)
        for signal_ in late:
            signal_["time"] = now + 2
        equal(service.accept(*late)["accepted"], 4)
        require(all(a != b for a, b in zip(seen(), before) if a), f"{seen()} as {before}: the newer ones have no effect either")

    @check("demand that comes late counts where it belongs in time")
    def _():
        service.accept(*(product(f"late-{name}", 100_000) for name in "abc"))
        begin = service.now_ms()
        service.accept(*(demand("late-a", time=begin) for _ in range(20)))
        service.pass_time(3 * 3600)
        end = service.now_ms()
        service.accept(*(demand("late-a", time=end) for _ in range(5)))
        service.accept(*(demand("late-b", time=end) for _ in range(5)))
        service.accept(*(demand("late-b", time=begin) for _ in range(20)))
        service.accept(*(demand("late-c", time=end) for _ in range(25)))
        # Demand fades with every tick: all are read within one.
        in_order, late, at_once, _ = wait_until(lambda: (lambda read: read if read[0] == read[3] else None)(
            [service.amount(f"late-{name}") for name in "abca"]), 10, "three prices of one moment")
        require(abs(in_order - late) <= 1, f"{in_order} in order of time, {late} late")
        require(abs(in_order - at_once) > 1000, f"{in_order} and {at_once}: nothing would have been noticed")

finish()
