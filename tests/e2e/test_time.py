#!/usr/bin/env python3
"""With no signals at all, time passes: prices come back by themselves, leases and offers end, old observations fall silent.

The clock is moved by ticks, as a recording moves it; only staleness is a matter of real time."""
from rialto_test import *

STALE_MS = 1500 * SLOW
STALE_LIMIT_S = 6 * SLOW
LIMITS = {"guardrails": {"floor": 0.1, "ceiling": 2, "personal": [0.5, 1]}, "rounding": {"step": 1}}


def model(name, factors, **more):
    return {"model": name, "version": "1", "scope": {"categories": [name], "currencies": ["EUR"]}, "zone_levels": 2,
            "group": name, "factors": factors, **LIMITS, **more}


MODELS = {
    "surge": model("surge", [{"name": "demand", "input": "demand_pressure", "curve": [[0.2, 0.8], [1, 1], [3, 1.5]]}],
                   demand={"half_life": "10m", "slow_half_life": "2h", "prior_events": 5, "min_events": 3},
                   personal=[{"name": "loyalty", "tier": {"gold": 0.9}}], stale_limit="1h"),
    "calm": model("calm", [{"name": "demand", "input": "demand_pressure", "curve": [[1, 1], [3, 1.5]]}],
                  demand={"half_life": "10m", "slow_half_life": "2h", "prior_events": 5, "min_events": 3},
                  guardrails={"floor": 0.1, "ceiling": 2, "largest_step": {"of": 0.05, "per": "1m"}}),
    "sky": model("sky", [{"name": "rain", "input": "precipitation_mm_h", "steps": [[0, 1], [1, 1.5]]},
                         {"name": "heat", "input": "temperature_c", "steps": [[0, 1], [30, 0.9]]}], age_limits={"weather": "30m"}),
    "rival": model("rival", [{"name": "competitor", "input": "competitor_ratio", "curve": [[0.5, 0.5], [1, 1]]}],
                   competitors=True, age_limits={"competitor": "1h"}),
    "stock": model("stock", [{"name": "scarcity", "input": "available_ratio", "steps": [[0, 1.3], [0.5, 1]]}], age_limits={"supply": "2h"}),
    "promo": model("promo", [{"name": "promotion", "input": "promotion", "curve": [[0.1, 0.1], [1, 1]]}], stale_limit=f"{STALE_LIMIT_S}s"),
    "clock": model("clock", [{"name": "late", "input": "hour", "steps": [[0, 1], [20, 0.7]]},
                             {"name": "sunday", "input": "weekday", "steps": [[1, 1], [7, 1.2]]}]),
    "place": model("place", [], personal=[{"name": "near", "zone": {"de/south": 0.8}}, {"name": "loyalty", "tier": {"gold": 0.9}}]),
}

with Service(models={f"{name}.json": m for name, m in MODELS.items()}, clock_replay=1,
             stale_after_ms=STALE_MS, personal_stale_ms=STALE_MS) as service:
    service.accept(*(product(name, 1000, category=name) for name in MODELS))
    amount = service.amount
    minute, hour, day = 60, 3600, 86400

    @check("the clock goes forward with a tick, never back")
    def _():
        before = service.now_ms()
        service.pass_time(minute)
        after = service.now_ms()
        require(before + 60000 <= after <= before + 70000 * SLOW, f"{after - before} ms passed instead of 60000")
        service.ask({"control": "tick", "time": before})
        require(service.now_ms() >= after, "time went back")

    @check("usual demand: the price stands at list")
    def _():
        now = service.now_ms()
        usual = [demand("surge", time=now - k * 300000) for k in range(1, 288)]  # one every five minutes for a day
        service.accept(*usual)
        service.pass_time(1)
        equal(round(amount("surge"), -2), 1000)

    @check("a rush lifts the price, within the ceiling")
    def _():
        service.accept(*(demand("surge") for _ in range(60)))
        service.pass_time(1)
        require(1300 <= amount("surge") <= 1500, f"{amount('surge')}")

    @check("then silence: the price falls, below list for a while, and is exactly list in the end")
    def _():
        course = [amount("surge")]
        for _ in range(6):
            service.pass_time(20 * minute)
            course.append(amount("surge"))
        lowest = course.index(min(course))  # less than usual is asked for; then too little to go by
        require(lowest > 1 and all(a > b for a, b in zip(course[:lowest], course[1:lowest + 1])), f"course {course}")
        require(course[lowest] < 1000 and all(c == 1000 for c in course[lowest + 1:]), f"course {course}")
        service.pass_time(3 * day)
        equal(amount("surge"), 1000)
        for _ in range(3):
            service.pass_time(hour)
            equal(amount("surge"), 1000)

    @check("a largest step lets the price rise and fall in steps, each in its time, also with no signals")
    def _():
        now = service.now_ms()
        service.accept(*(demand("calm", time=now - k * 300000) for k in range(1, 288)))
        service.accept(*(demand("calm") for _ in range(100)))
        course = [amount("calm")]
        for _ in range(20):
            service.pass_time(30)
            course.append(amount("calm"))
        steps = [b / a for a, b in zip(course, course[1:])]
        require(max(course) > 1200 and max(steps) <= 1.0501 and min(steps) >= 0.949, f"course {course}")
        changes = [i for i, s in enumerate(steps) if s != 1]
        require(all(b - a >= 2 for a, b in zip(changes, changes[1:])), f"two changes within a minute: {course}")
        service.pass_time(3 * day)  # many steps are due; each needs its minute
        for _ in range(12):
            service.pass_time(2 * minute)
        equal(amount("calm"), 1000)

    @check("rain counts in its zone and below, and is forgotten after the model's age limit")
    def _():
        service.accept(product("sky", 2000, category="sky", zone="de/south"))
        service.accept({"type": "weather", "zone": "de", "precipitation_mm_h": 5})
        equal([amount("sky", zone="de/south"), amount("sky")], [3000, 1000])
        service.pass_time(29 * minute)
        equal(amount("sky", zone="de/south"), 3000)
        service.pass_time(2 * minute)
        equal(amount("sky", zone="de/south"), 2000)

    @check("weather with an end of its own ends there")
    def _():
        service.accept({"type": "weather", "zone": "", "temperature_c": 35, "until": service.now_ms() + 5 * minute * 1000})
        equal([amount("sky"), amount("sky", zone="de/south")], [900, 1800])
        service.pass_time(5 * minute + 1)
        equal([amount("sky"), amount("sky", zone="de/south")], [1000, 2000])

    @check("a competitor's price counts until it is too old; the lowest counts")
    def _():
        service.accept({"type": "competitor", "sku": "rival", "competitor": "a", "amount": 900, "currency": "EUR"})
        equal(amount("rival"), 900)
        service.pass_time(30 * minute)
        service.accept({"type": "competitor", "sku": "rival", "competitor": "b", "amount": 800, "currency": "EUR"})
        equal(amount("rival"), 800)
        service.accept({"type": "competitor", "sku": "rival", "competitor": "b", "amount": 950, "currency": "EUR"})
        equal(amount("rival"), 900)
        service.pass_time(31 * minute)
        equal(amount("rival"), 950)
        service.pass_time(30 * minute)
        equal(amount("rival"), 1000)

    @check("what was in stock two hours ago says nothing any more")
    def _():
        service.accept({"type": "supply", "sku": "stock", "available": 3, "capacity": 10})
        equal(amount("stock"), 1300)
        service.pass_time(2 * hour + 1)
        equal(amount("stock"), 1000)

    @check("what a clock that is ahead said stands against the truth until its time has come, and that is signal_future_max_s away at most")
    def _():
        supply = lambda available, ahead_s: {"type": "supply", "sku": "stock", "available": available, "capacity": 10, "time": service.now_ms() + ahead_s * 1000}
        answer = service.ask(supply(3, 60 + 30 * SLOW))
        equal(([f["reason"] for f in answer["findings"]], amount("stock")), (["from_future"], 1000))
        service.accept(supply(3, 58))
        equal(amount("stock"), 1300)
        for at_s in (0, 20, 40):
            answer = service.ask(supply(8, 0))
            equal(([f["reason"] for f in answer["findings"]], amount("stock")), (["superseded"], 1300), f"after {at_s} s")
            service.pass_time(20)
        service.accept(supply(8, 0))
        equal(amount("stock"), 1000)

    @check("a promotion ends when it was said to end")
    def _():
        service.accept(product("promo", 1000, category="promo", promotion=0.6, until=service.now_ms() + 10 * minute * 1000))
        equal(amount("promo"), 600)
        service.pass_time(9 * minute)
        equal(amount("promo"), 600)
        service.pass_time(minute + 1)
        equal(amount("promo"), 1000)

    @check("hours and weekdays are those of the zone")
    def _():
        service.accept({"type": "zone", "zone": "east", "utc_offset_min": 300}, product("clock", 1000, category="clock", zone="east"))
        now = service.now_ms() // 1000
        monday = (now // day + 10) // 7 * 7 - 3  # a Monday, counted in days since Thursday, 1970-01-01
        while monday * day <= now:
            monday += 7
        for at, world, east in ((10, 1000, 1000), (15.5, 1000, 700), (20.5, 700, 1000)):
            service.pass_time(monday * day + at * hour - service.now_ms() / 1000)
            equal([amount("clock"), amount("clock", zone="east")], [world, east], f"Monday, {at} h UTC")
        service.pass_time((monday + 5) * day + 19.5 * hour - service.now_ms() / 1000)
        equal([amount("clock"), amount("clock", zone="east")], [1000, 1200], "Saturday evening UTC is Sunday in the east")

    @check("a location holds for its lease: zone and terms of the place, then the world again")
    def _():
        service.accept(product("place", 2000, category="place", zone="de/south"))
        service.accept(customer("lea", ["location", "profile"], tier="gold"),
                       {"type": "location", "customer": "lea", "zone": "de/south", "lease_s": 600})
        equal(amount("place", customer="lea"), 1440)  # 2000 x 0.8 x 0.9
        service.pass_time(9 * minute)
        equal(amount("place", customer="lea"), 1440)
        service.pass_time(minute + 1)
        equal(amount("place", customer="lea"), 900)

    @check("a customer who left is nowhere at once")
    def _():
        service.accept({"type": "location", "customer": "lea", "zone": "de/south"})
        equal(amount("place", customer="lea"), 1440)
        service.accept({"type": "location", "customer": "lea", "left": True})
        equal(amount("place", customer="lea"), 900)

    @check("an offer begins and ends when it was said to")
    def _():
        now = service.now_ms()
        service.accept({"type": "offer", "customer": "lea", "sku": "stock", "kind": "fixed", "amount": 500, "currency": "EUR",
                        "from": now + 10 * minute * 1000, "until": now + 20 * minute * 1000})
        equal(amount("stock", customer="lea"), 1000)
        service.pass_time(10 * minute + 1)
        equal(amount("stock", customer="lea"), 500)
        service.pass_time(10 * minute)
        equal(amount("stock", customer="lea"), 1000)

    @check("a lock ends")
    def _():
        service.accept({"type": "offer", "customer": "lea", "sku": "stock", "kind": "lock", "amount": 50, "currency": "EUR",
                        "until": service.now_ms() + 10 * minute * 1000})
        equal(amount("stock", customer="lea"), 50)
        service.pass_time(10 * minute)
        equal(amount("stock", customer="lea"), 1000)

    # ---- real time from here on ----

    def freeze():
        return [pid for name, pid in service.children().items() if name.startswith("worker")]

    service.accept(*(demand("surge", time=service.now_ms() - k * 300000) for k in range(1, 288)),
                   *(demand("surge") for _ in range(60)), customer("gil", ["profile"], tier="gold"))
    service.accept(product("promo", 1000, category="promo", promotion=0.5))
    service.pass_time(1)
    surge, personal = amount("surge"), amount("surge", customer="gil")

    @check("stopped workers: quotes still come, flagged STALE, not above list, personal terms neutral")
    def _():
        require(surge > 1100 and personal < surge, f"surge {surge}, personal {personal}")
        require("STALE" not in service.quote("surge")["flags"], "stale beforehand")
        for pid in freeze():
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: "STALE" in service.quote("surge")["flags"], STALE_MS / 1000 + 3, "the flag STALE")
        # Terms are another worker's, whose last sign of life may have been a little later.
        wait_until(lambda: "NEUTRAL" in service.quote("surge", customer="gil")["flags"], 3, "neutral terms")
        quote = service.quote("surge", customer="gil")
        equal((quote["amount"], quote["baseline"], quote["multiplier"]), (1000, surge, 1))
        require(quote["age_ms"] >= STALE_MS, f"age {quote['age_ms']}")

    @check("below list the last amount stands while it is stale ...")
    def _():
        equal(amount("promo"), 500)

    @check("... until the model's stale limit: then it is list")
    def _():
        wait_until(lambda: amount("promo") == 1000, 8, "list after the stale limit")

    @check("the workers go on: fresh at once, the same prices as before")
    def _():
        for pid in freeze():
            os.kill(pid, signal.SIGCONT)
        for sku in ("surge", "promo"):  # each worker's
            wait_until(lambda: "STALE" not in service.quote(sku)["flags"], 5, "fresh quotes")
        equal(amount("promo"), 500)
        quote = service.quote("surge", customer="gil")
        require("NEUTRAL" not in quote["flags"] and quote["amount"] < quote["baseline"], f"{quote}")
finish()
