#!/usr/bin/env python3
"""Every price twice: by the service, and by recompute.py out of the documents, from the same signals. Not one minor unit apart.

1. Small cases whose numbers are worked out by hand, in the comments: both programs must find them.
2. The beginning of the bundled recording, with the bundled models: every price on its way and where it comes to rest.
3. Made-up streams of all kinds of signals, late, repeated and contradicting ones among them, under made-up models.

The service reprices at the moment of a batch, some milliseconds after the tick before it. Where only signals and time make a price, the
comparison takes place at ticks and is exact. Where the largest step or the dead band remember when a price last changed, ticks keep
clear of the ends of those times, so that the milliseconds decide nothing.

    test_recompute.py [SECONDS [SEED]]    SECONDS of made-up streams at least (default: 4 of them, with sanitizers 2), the first of them from SEED
"""
import datetime
import math
import random

import recompute
from recompute import DAY_MS, MICRO, World, half_even, load_models, read_json
from rialto_test import *

MINUTE_MS, HOUR_MS, WEEK_MS = 60000, 3600000, 7 * DAY_MS
LINES_A_MESSAGE = 250
SHOWN_MAX = 4


class Twice:
    """A service and its recomputation, fed with the same lines."""

    def __init__(self, service, walk=True):
        self.service = service
        config = {k: v for k, v in service.settings.items() if k in ("open_min", "geohash_lengths", "path_depths", "month_zone", "attribute_age_max_s", "signal_age_max_s")}
        self.world = World(load_models(service.models), walk=walk, **config)
        self.library = Library(service.cache)
        self.lines, self.rows = [], []
        self.compared = self.sent = self.later = self.undecided = 0
        self.tick(self.start_ms(service.now_ms()))

    @staticmethod
    def start_ms(now_ms):
        """So that a stream plays alike whenever it is played."""
        return (now_ms // WEEK_MS + 1) * WEEK_MS

    @property
    def now(self):
        return self.world.now

    def say(self, *rows):
        """Signals, kept until the next tick."""
        for row in rows:
            self.rows.append(row)
            self.lines.append(json.dumps(row))

    def flush(self):
        """Send what was said; what the answers remark must be what the recomputation remarks."""
        while self.lines:
            part, self.lines = self.lines[:LINES_A_MESSAGE], self.lines[LINES_A_MESSAGE:]
            answer = self.service.ask("\n".join(part))
            self.world.arrives()
            remarks = {}
            for f in sorted(answer.get("findings", []), key=lambda f: f["reason"]):
                known = remarks.get(f["index"], "").split("+")  # each part of a signal may have one, and the same one
                remarks[f["index"]] = "+".join(filter(None, known + [f["reason"]] * (f["reason"] not in known)))
            for index, line in enumerate(part):
                reason = self.world.signal(read_json(line))
                require(reason == remarks.get(index), f"{line}: the service says {remarks.get(index)}, recomputed {reason}")
            self.sent += len(part)
        self.world.close_batch()
        self.rows = []

    def tick(self, ms):
        self.flush()
        answer = self.service.ask({"control": "tick", "time": ms})
        require(answer.get("ok"), f"the clock does not move: {answer}")
        self.world.tick(ms)

    def pass_time(self, ms):
        self.tick(self.now + ms)

    # -- comparing --

    def found(self, sku, zone):
        status, quote = self.library.quote(sku, zone=zone)
        if status == Library.UNKNOWN_PRODUCT:
            return None
        require(status == Library.OK, f"{sku} in {zone or 'world'}: {self.library.text(status)}")
        return {"zone": quote.zone.decode(), "list": quote.list, "floor": quote.floor, "ceiling": quote.ceiling, "baseline": quote.baseline,
                "currency": quote.currency.decode()}

    @staticmethod
    def wanted(price):
        return price and {**{key: price[key] for key in ("zone", "list", "ceiling", "baseline", "currency")}, "floor": price["least"]}

    def answering(self, prices, sku, zone):
        """The price that answers for a zone: its own, or the nearest around it."""
        return next((prices[sku, z] for z in self.world.zones.around(zone) if (sku, z) in prices), None)

    def check_prices(self, zones=()):
        """All cells, and all products in these zones, which cells around them may answer for."""
        prices = {(p["sku"], p["zone"]): p for p in self.world.prices()}
        asked = sorted(prices) + sorted({(sku, zone) for sku in self.world.products for zone in zones} - {*prices})
        wrong = []
        for sku, zone in asked:
            price = self.answering(prices, sku, zone)
            if price:  # as it stands, perhaps since a moment after the tick
                price = self.world.standing(price, self.world.products[sku].cells[price["zone"]].stands.published)
            found, wanted = self.found(sku, zone), self.wanted(price)
            if found != wanted and not (price and (sku, zone) in prices and (self.a_moment_later(price, found) or self.unsure(price, found))):
                wrong.append(f"{sku} in {zone or 'world'}: found {found}, recomputed {wanted}" +
                             (f" out of {price['inputs']}, factors {price['factors']}, raw {price['raw']}" if price else ""))
        self.compared += len(asked)
        require(not wrong, f"at {self.now}: {len(wrong)} of {len(asked)} differ: " + "; ".join(wrong[:SHOWN_MAX]))

    def a_moment_later(self, price, found):
        """A batch is priced some milliseconds after the tick before it, and what moves with time is priced once a second. The price at
        one of these moments is right too, and the recomputation goes on from there. No other price is forgiven."""
        cell = self.world.products[price["sku"]].cells[price["zone"]]
        before = cell.before if cell.moved == self.now else cell.stands
        for later in range(self.now + 100, self.service.now_ms() + 1, 100):
            moved = self.world.wanted(price["sku"], price["zone"], later)
            stands = self.world.follow(moved, before, later)
            if found == self.wanted(self.world.standing(moved, stands.published)):
                self.later += 1
                cell.stands = stands._replace(changed=self.now if stands.changed == later else stands.changed)
                return True
        return False

    def unsure(self, price, found):
        """Where a logarithm lies within a billionth of the middle of two millionths, the price beside it is right too."""
        cell = self.world.products[price["sku"]].cells[price["zone"]]
        if not price["unsure"] or abs(found["baseline"] - price["baseline"]) > price["rules"].ending_step:
            return False
        self.undecided += 1
        cell.stands = cell.stands._replace(published=found["baseline"])
        return True

    def check_terms(self, skus, zones=("",)):
        """Multiplier and amount of every customer for these products, offers and locks included."""
        prices = {(p["sku"], p["zone"]): p for p in self.world.prices()}
        wrong, count = [], 0
        for name in sorted(self.world.customers):
            multipliers = self.world.multipliers(name)
            for sku in skus:
                for zone in zones:
                    price = self.answering(prices, sku, zone)
                    if price is None:
                        continue
                    status, quote = self.library.quote(sku, customer=name, zone=zone or "world")
                    require(status == Library.OK, f"{sku} for {name}: {self.library.text(status)}")
                    m = multipliers.get(price["rules"].group, 10000)
                    offer = self.world.offers.get((name, sku))
                    wanted = m, recompute.personal_amount(price, price["baseline"], m, offer, self.now)
                    count += 1
                    if (quote.multiplier_e4, quote.amount) != wanted:
                        wrong.append(f"{name}, {sku}: found {quote.multiplier_e4}, {quote.amount}, recomputed {wanted}, "
                                     f"baseline {quote.baseline}, {vars(self.world.customers[name])}")
        self.compared += count
        require(count and not wrong, f"at {self.now}: {len(wrong)} of {count} differ: " + "; ".join(wrong[:SHOWN_MAX]))


# ---- 1. by hand -----------------------------------------------------------------------------------------------------------

def model(name, factors=(), currency="EUR", **more):
    return {"model": name, "version": "1", "scope": {"categories": [f"{name}/*"], "currencies": [currency]}, "zone_levels": 2,
            "factors": list(factors), **more}


def factor(source, points, kind="curve"):
    return {"name": source, "input": source, kind: points}


NINES = {"step": 10, "less": 1}  # 9, 19, 29, ...

BY_HAND = {m["model"]: m for m in (
    model("nines", [factor("available", [[0, 1.08], [10, 1]], "steps"), factor("precipitation_mm_h", [[0, 1], [0.6, 1.02]], "steps")],
          rounding=NINES, guardrails={"ceiling": 1.15, "personal": [0.85, 1]},
          personal=[{"name": "loyalty", "tier": {"gold": 0.95}}, {"name": "family", "segment": {"family": 0.97}},
                    {"name": "spend", "spend": [[0, 1], [100, 1], [500, 0.9]]}]),
    model("rival", [factor("competitor_ratio", [[0.8, 0.95], [1, 1], [1.25, 1.02]])], rounding=NINES, competitors=True),
    model("margin", [], guardrails={"margin": 0.1}, rounding=NINES),
    model("promo", [factor("promotion", [[0.1, 0.1], [1, 1]])], rounding=NINES),
    model("even", [factor("available", [[0, 0.9], [10, 1]], "steps")]),
    model("demand", [factor("demand_pressure", [[0.5, 0.9], [1, 1]])], rounding={"step": 10},
          demand={"half_life": "1h", "slow_half_life": "1d", "prior_events": 5, "min_events": 3}),
    model("clock", [factor("hour", [[0, 1], [19.5, 0.97], [22, 1]], "steps"), factor("weekday", [[1, 1], [6, 1.1]], "steps")]),
    model("calm", [factor("promotion", [[0.1, 0.1], [1, 1]])], guardrails={"largest_step": {"of": 0.1, "per": "10m"}}),
    model("band", [factor("available", [[0, 1.02], [10, 1.01], [20, 1]], "steps")],
          guardrails={"dead_band": {"of": 0.015, "settle": "1h"}}),
)}


def by_hand(service):
    twice = Twice(service)

    def case(name, sku, zone, wanted):
        """wanted: (baseline, floor, ceiling), worked out in the comment above the call."""
        @check(f"by hand: {name}")
        def _():
            twice.flush()
            found = twice.found(sku, zone)
            equal((found["baseline"], found["floor"], found["ceiling"]), wanted, "the service")
            prices = {(p["sku"], p["zone"]): p for p in twice.world.prices()}
            price = twice.answering(prices, sku, zone)
            equal((price["baseline"], price["floor"], price["ceiling"]), wanted, "recomputed")

    def supply(sku, available, zone=""):
        return {"type": "supply", "sku": sku, "zone": zone, "available": available}

    def item(kind, list_price, sku=None, **more):
        return product(sku or kind, list_price, category=f"{kind}/x", **more)

    # 1000 x 1.08 = 1080; x 1.02 = 1101.6; raw 1102. Nearest of 1099 (3 away) and 1109 (7 away). Floor 0.5, ceiling 1.15.
    twice.say(item("nines", 1000), supply("nines", 3), {"type": "weather", "zone": "world", "precipitation_mm_h": 0.7})
    case("list 1000, scarce 1.08, rain 1.02, ending 10 less 1: 1099", "nines", "", (1099, 500, 1150))

    # Of the three rows 0.95 x 0.97 = 0.9215; 300 spent lies half way from 1 to 0.9: x 0.95 = 0.875425, 8754 in 1e-4.
    # 1099 x 0.8754 = 962.0646, 962; nearest of 959 (3) and 969 (7). The floor 500 is far.
    twice.say(customer("anna", ["profile", "purchases"], tier="gold", segments=["sports", "family"], spend=30000, currency="EUR"))
    # Without consent to purchases: 0.9215, 9215. 1099 x 0.9215 = 1012.7285, 1013; nearest of 1009 (4) and 1019 (6).
    twice.say(customer("ben", ["profile"], tier="gold", segments=["family"]))
    # 500 spent and more: 0.9215 x 0.9 = 0.82935 is cut to 0.85. 1099 x 0.85 = 934.15, 934; nearest of 929 (5) and 939 (5): the lower.
    twice.say(customer("carl", ["profile", "purchases"], tier="gold", segments=["family"], spend=99900, currency="EUR"))

    @check("by hand: three customers pay 959, 1009 and 929 instead of 1099")
    def _():
        twice.flush()
        for who, m, amount in (("anna", 8754, 959), ("ben", 9215, 1009), ("carl", 8500, 929)):
            quote = twice.library.quote("nines", customer=who)[1]
            equal((quote.multiplier_e4, quote.amount), (m, amount), who)
            equal(twice.world.multipliers(who)["nines"], m, f"{who}, recomputed")
        twice.check_terms(["nines"])

    # 1111 / 1234 = 0.900324 (0.90032415); 0.95 + 0.05 x 0.100324 / 0.2 = 0.975081; x 1234 = 1203.249954, raw 1203;
    # nearest of 1199 (4) and 1209 (6). Floor 617, ceiling 1851.
    twice.say(item("rival", 1234), {"type": "competitor", "sku": "rival", "competitor": "a", "amount": 1111, "currency": "EUR"},
              {"type": "competitor", "sku": "rival", "competitor": "b", "amount": 1300, "currency": "EUR"})
    case("the lowest competitor asks 1111 for what lists at 1234: 1199", "rival", "", (1199, 617, 1851))

    # Cost 200 x 1.1 = 220 lies above the ceiling 150: both bounds are 220, and no k x 10 - 1 lies within.
    twice.say(item("margin", 100, cost=200))
    case("a margin above the ceiling wins, without an ending: 220", "margin", "", (220, 220, 220))

    # 999 x 0.3 = 299.7, raw 300; the floor is 499.5 rounded inwards, 500; the first ending above is 509. Ceiling 1498.5 -> 1498.
    twice.say(item("promo", 999, promotion=0.3))
    case("a promotion of 0.3 ends at the first ending above the floor: 509", "promo", "", (509, 500, 1498))

    # 1005 x 0.9 = 904.5 and 1015 x 0.9 = 913.5: ties to the even one. Bounds 502.5 -> 503 and 1507.5 -> 1507; 507.5 -> 508 and 1522.
    twice.say(item("even", 1005, "even-a"), item("even", 1015, "even-b"), supply("even-a", 1), supply("even-b", 1))
    case("904.5 is rounded to the even 904", "even-a", "", (904, 503, 1507))
    case("913.5 is rounded to the even 914", "even-b", "", (914, 508, 1522))

    # Ties of the ending: 1004 lies between 999 and 1009.
    twice.say(item("margin", 1004, "tie"))
    case("of two endings equally near the lower one: 1004 -> 999", "tie", "", (999, 502, 1506))

    # Local time is UTC + 8 h: 20 o'clock in zone cn is 0.97, 20 o'clock UTC is 4 o'clock of the next day there: 1, and Saturday 1.1.
    twice.say(item("clock", 1000), item("clock", 1000, zone="cn"), {"type": "zone", "zone": "cn", "utc_offset_min": 480})
    noon = (twice.now // WEEK_MS + 1) * WEEK_MS + DAY_MS + 12 * HOUR_MS  # 1970 began on a Thursday
    twice.tick(noon)
    case("a Friday, 12:00 UTC, is 20:00 in cn: 970 there", "clock", "cn", (970, 500, 1500))
    case("and 1000 in the world", "clock", "", (1000, 500, 1500))
    twice.tick(noon + 8 * HOUR_MS)
    case("at 20:00 UTC it is Saturday in cn: 1100", "clock", "cn", (1100, 500, 1500))
    case("and a Friday evening in the world: 970", "clock", "", (970, 500, 1500))

    # Eight orders at once. An hour later F = 8 / 2 = 4, a_f = 1 - 1/2: F / a_f = 8. Z = 8 x 2^(-1/24) = 7.772255, a_s = 0.028468:
    # Z / a_s / 24 = 11.3755. (8 + 5) / (11.3755 + 5) = 0.79387. 0.9 + 0.2 x 0.29387 = 0.958774: raw 959, 960.
    # Four events of the eight are left, at least three: the zone speaks for itself. In the zone fr nothing was heard: the world answers.
    start = twice.now
    twice.say(item("demand", 1000), *(demand("demand", zone="de", time=start) for _ in range(8)))
    twice.tick(start + HOUR_MS)
    case("eight orders an hour ago make a pressure of 0.794: 960", "demand", "de", (960, 500, 1500))
    case("and the same in the world", "demand", "fr", (960, 500, 1500))

    @check("by hand: the pressure itself is 0.79387, within 1e-4")
    def _():
        price = twice.world.wanted("demand", "de", twice.now)
        require(abs(price["inputs"]["demand_pressure"] - 793870) < 80, f"{price['inputs']['demand_pressure']}")

    # Another hour: two events are left, too few, everywhere: no opinion.
    twice.tick(start + 2 * HOUR_MS)
    case("too few events an hour later: 1000", "demand", "de", (1000, 500, 1500))

    # A tenth at most in ten minutes: 1000 stays at first; 900; - 90 = 810; - 81 = 729; - 72 = 657; - 65 = 592; - 59 = 533; then 500, the floor.
    twice.say(item("calm", 1000))
    twice.pass_time(HOUR_MS)
    twice.say(item("calm", 1000, promotion=0.4))
    case("after an hour of rest the first step is taken at once: 900", "calm", "", (900, 500, 1500))
    for wanted in (900, 810, 810, 729, 729, 657, 657, 592, 592, 533, 533, 500, 500):
        twice.pass_time(6 * MINUTE_MS)
        case(f"a tenth at a time, and only after ten minutes: {wanted}", "calm", "", (wanted, 500, 1500))

    # 1.01 is a change of 1 %, less than 1.5 %: it waits for an hour of rest. 1.02 goes through at once. Back to 1.01: waits again.
    twice.say(item("band", 1000))
    twice.pass_time(MINUTE_MS)
    twice.say(supply("band", 15))
    case("a change of 1 % waits: 1000", "band", "", (1000, 500, 1500))
    twice.pass_time(50 * MINUTE_MS)
    case("and waits: 1000", "band", "", (1000, 500, 1500))
    twice.pass_time(20 * MINUTE_MS)
    case("and goes through after an hour: 1010", "band", "", (1010, 500, 1500))
    twice.say(supply("band", 30))
    case("back to 1000 waits too: 1010", "band", "", (1010, 500, 1500))
    twice.say(supply("band", 5))
    case("1020 is still less than 1.5 % away: 1010", "band", "", (1010, 500, 1500))
    twice.pass_time(61 * MINUTE_MS)
    case("an hour later: 1020", "band", "", (1020, 500, 1500))
    twice.say(supply("band", 30))
    case("from 1020 to 1000 are 2 %: at once", "band", "", (1000, 500, 1500))

    @check("by hand: all of these prices are recomputed alike")
    def _():
        twice.tick(twice.now + MINUTE_MS)
        twice.check_prices()


# ---- what made-up streams have found ----------------------------------------------------------------------------------------

def pilots():
    """What a pilot in one shop and a successor must do at once, with numbers that need no paper."""
    def cut_by(name, value, **scope):
        return {**model(name, [{"name": "cut", "expression": str(value)}]), "zone_levels": 0, "scope": {"categories": ["shop/*"], "currencies": ["EUR"], **scope}}

    tomorrow = Twice.start_ms(time.time_ns() // 10**6) + DAY_MS
    successor = {**cut_by("successor", 0.8), "schedule": {"from": (datetime.date(1970, 1, 1) + datetime.timedelta(days=tomorrow // DAY_MS)).isoformat()}}
    models = (cut_by("usual", 1), cut_by("pilot", 0.9, zones=["de/south/s1"]), successor)
    with Service(models={f"{m['model']}.json": m for m in models}) as service:
        twice = Twice(service)

        def prices():
            return [twice.found("shop-1", zone)["baseline"] for zone in ("", "de/south", "de/south/s1", "de/south/s1/dairy")]

        @check("a pilot in one shop prices there from the first list price on, though nothing else was heard of that shop")
        def _():
            twice.say(product("shop-1", 1000, category="shop/x"))
            twice.flush()
            equal(prices(), [1000, 1000, 900, 900])
            twice.check_prices()

        @check("a successor prices from its first day on, the pilot where it is narrower")
        def _():
            twice.tick(tomorrow - 1000)
            equal(prices(), [1000, 1000, 900, 900])
            twice.tick(tomorrow)
            equal(prices(), [800, 800, 900, 900])
            twice.check_prices()


def found_before():
    def shop(name, currencies, zone_levels, source, points, **more):
        return {**model(name, [factor(source, points)], **more), "scope": {"categories": [f"{name}/*"], "currencies": currencies},
                "zone_levels": zone_levels}

    models = (shop("two", ["EUR", "USD"], 2, "available", [[0, 1]]), shop("rough", ["EUR", "USD"], 1, "competitor_ratio", [[0.5, 0.5], [1, 1]], competitors=True),
              shop("any", ["EUR"], 2, "demand_pressure", [[0.5, 0.5], [1, 1]],
                   demand={"half_life": "1m", "slow_half_life": "28m", "prior_events": 0.001, "min_events": 0}))
    with Service(models={f"{m['model']}.json": m for m in models}) as service:
        twice = Twice(service)

        @check("a list price of the same number in another currency changes the currency, in finer zones too")
        def _():
            twice.say(product("two", 1000, category="two/x"), demand("two", zone="gh:u4pru", time=twice.now))
            twice.pass_time(MINUTE_MS)
            twice.say(product("two", 1000, "USD", category="two/x", zone="gh:u4p"))
            twice.pass_time(MINUTE_MS)
            equal([twice.found("two", zone)["currency"] for zone in ("", "gh:u4p", "gh:u4pru")], ["EUR", "USD", "USD"])

        @check("what a competitor asks in dollars is not held against a list price in euros")
        def _():
            service.ask([product("rough", 1000, category="rough/x"), product("rough", 1000, category="rough/x", zone="de"),
                         product("rough", 1200, "USD", category="rough/x", zone="de/south")])
            service.ask({"type": "competitor", "sku": "rough", "zone": "de/south", "competitor": "a", "amount": 600, "currency": "USD"})
            equal(service.quote("rough", zone="de")["baseline"], 1000)

        @check("where a zone lies holds from its signal on, also for what stands behind it in the same message")
        def _():
            twice.say(product("moved", 1000, category="rough/x"), product("moved", 900, "USD", category="rough/x", zone="de"), demand("moved", zone="shop-1", time=twice.now))
            twice.pass_time(MINUTE_MS)
            for shop in ("shop-1", "shop-2"):  # one that was heard of, and one that was not
                competitor = {"type": "competitor", "sku": "moved", "zone": shop, "competitor": "a", "amount": 600, "currency": "USD"}
                twice.say({"type": "zone", "zone": shop, "parent": "de"}, competitor, demand("moved", zone=shop, time=twice.now))
                twice.flush()
                twice.check_prices(("", "de", shop))
            twice.pass_time(MINUTE_MS)
            twice.check_prices(("", "de", "shop-1", "shop-2"))

        @check("with min_events 0 a price goes on moving as long as usual demand is remembered")
        def _():
            twice.say(product("any", 1000, category="any/x"), *(demand("any", time=twice.now) for _ in range(10)))
            for _ in range(20):
                twice.pass_time(HOUR_MS)
                price = twice.world.wanted("any", "", twice.now)
                equal(twice.found("any", "")["baseline"], price["wanted"], f"{price['inputs']}")

    def edited(half_life, slow_half_life):
        return {**model("tea", [factor("demand_pressure", [[0.1, 0.5], [1, 1], [10, 2]])]), "version": half_life,
                "demand": {"half_life": half_life, "slow_half_life": slow_half_life, "min_events": 1}}

    with Service(models={"tea.json": edited("1h", "1d")}) as service:
        @check("a half-life that is edited later does not silence demand")
        def _():
            now = service.now_ms()
            service.ask([product("tea", 1000, category="tea/x"), *(demand("tea", time=now - k * 600000) for k in range(6, 100))])
            service.pass_time(1)
            service.stop()
            (service.models / "tea.json").write_text(json.dumps(edited("1d", "7d")))
            service.start()
            service.pass_time(1)
            before = service.amount("tea")
            service.ask([demand("tea") for _ in range(500)])
            service.pass_time(1)
            require(service.amount("tea") > before + 100, f"{before}, and after 500 orders {service.amount('tea')}")


# ---- numbers ----------------------------------------------------------------------------------------------------------------

def numbers():
    @check("E(x) is 2^30 x 2^(x / 65536) rounded down, by nested integer square roots")
    def _():
        for x in (0, 1, 2, 255, 4096, 32767, 32768, 65535, *(random.Random(1).sample(range(65536), 20))):
            power = 1 << (x + 128)  # 2^x, of which 16 square roots are taken, with 128 binary places
            for _ in range(16):
                power = math.isqrt(power << 128)
            equal(recompute.E(x), power >> (128 - 30), f"E({x})")
        equal((recompute.E(0), recompute.E(32768)), (1073741824, 1518500249))

    @check("57.64911, 10.40744 lies in gh:u4pruyd (Niemeyer's own example is u4pruydqqvj)")
    def _():
        zones = recompute.Zones(geohash_lengths=(3, 7))
        equal((zones.at(57.64911, 10.40744), zones.around("gh:u4pruydqqvj")), ("gh:u4pruyd", ["gh:u4pruyd", "gh:u4p", ""]))

    @check("half to even: 5/2 = 2, 7/2 = 4, -5/2 = -2, -7/2 = -4, 8/3 = 3, -8/3 = -3")
    def _():
        equal([half_even(n, 2) for n in (5, 7, -5, -7)] + [half_even(8, 3), half_even(-8, 3)], [2, 4, -2, -4, 3, -3])

    @check("recomputed pressure follows the real-number definition to 1e-4")
    def _():
        dice = random.Random(2)
        rules = type("Rules", (), {"half_life": 3600, "slow_half_life": 86400, "prior": 5 * MICRO, "weights": {"order": MICRO}})
        for _ in range(50):
            begin = 1795000000000 + dice.randrange(10**9)
            events = [(begin + dice.randrange(2 * DAY_MS), dice.randrange(1, 5 * MICRO)) for _ in range(dice.randrange(1, 60))]
            now = begin + 2 * DAY_MS + dice.randrange(DAY_MS)
            measured = recompute.Demand(rules)
            for t, q in events:
                measured.add("order", q, t, rules.weights)
            age = max(now - min(t for t, _ in events), 125 * 3600) / 1000

            def rate(h):
                return sum(q / MICRO * 2 ** (-(now - t) / 1000 / h) for t, q in events) / h / (1 - 2 ** (-age / h))
            rho = 5 / 3600
            wanted = (rate(3600) + rho) / (rate(86400) + rho)
            found = measured.pressure(now, measured.model.prior)
            require(abs(found / MICRO / wanted - 1) < 1e-4, f"{found} is not {wanted}")


# ---- 2. the bundled recording ---------------------------------------------------------------------------------------------------

def bundled(hours):
    recorded = temporary_folder() / "recorded.ndjson"
    status, _, err = run(BIN / "rialto", "replay", "--out", recorded, cwd=ROOT, timeout=60)
    if status != 0:
        return failed("the bundled recording can be written to a file", err)
    models = {f.name: f.read_text() for f in (ROOT / "models").glob("*.json")}
    with Service(models=models, products_max=8192, cells_max=32768, customers_max=8192, demo=1) as service:
        twice = Twice(service)

        @check(f"the first {hours} hours of the recording: every price at every recorded hour")
        def _():
            begin = shift = None
            with open(recorded, encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    if begin is None:
                        begin = row["time"]
                        shift = ((twice.now - begin) // WEEK_MS + 1) * WEEK_MS
                    if row["time"] > begin + hours * HOUR_MS:
                        break
                    for key in ("time", "until", "from"):
                        if key in row:
                            row[key] += shift
                    if "control" not in row:
                        twice.say(row)
                        continue
                    twice.tick(row["time"])
                    if row["time"] % HOUR_MS == 0:
                        twice.check_prices()
            twice.flush()
            require(twice.sent > 1000 and len(twice.world.products) > 400, f"{twice.sent} signals")

        @check("Redis holds the same amounts, cell by cell")
        def _():
            prices = {(p["zone"] or "world", p["sku"]): p["baseline"] for p in twice.world.prices()}
            zones = {zone for zone, _ in prices}

            def published():
                found = {zone: service.redis().hash(f"{service.instance}:cell:{{{zone}}}") for zone in zones}
                return {(zone, sku): json.loads(text)["baseline"] for zone, cells in found.items() for sku, text in cells.items()}
            wait_until(lambda: published() == prices, 20, "the same prices in Redis")
            twice.compared += len(prices)

        @check("rialto quote --json says the same")
        def _():
            for zone in ("", "c1", "c1/s25"):
                prices = {p["sku"]: p for p in twice.world.prices() if p["zone"] == zone}
                skus = sorted(prices)[:200]
                found = [(q["baseline"], q["list"]) for q in service.quotes(*skus, zone=zone or "world")]
                equal(found, [(prices[sku]["baseline"], prices[sku]["list"]) for sku in skus], zone)

        @check("every customer's multipliers and amounts, for groceries and gifts")
        def _():
            skus = sorted(twice.world.products)
            twice.check_terms([s for s in skus if s[0] == "F"][:4] + [s for s in skus if s[0] == "G"][:4], ("", "c1/s25", "gb"))

        @check("afterwards: every price as time passes, until all is calm")
        def _():
            for minutes in (14, 46, 61, 130, 130, 400, 740, 740, 1450, 1450, 4400):
                twice.pass_time(minutes * MINUTE_MS)
                twice.check_prices()
        note(f"{twice.sent} signals, {twice.compared} prices compared")


# ---- 3. made-up streams -----------------------------------------------------------------------------------------------------------

def made_up_points(dice, low, high, low_y=0.7, high_y=1.4):
    xs = sorted({round(dice.uniform(low, high), dice.choice((0, 2, 6))) for _ in range(dice.randrange(1, 7))})
    return [[x, round(dice.uniform(low_y, high_y), dice.choice((2, 4, 6)))] for x in xs]


INPUT_RANGES = {"demand_pressure": (0.3, 3), "available": (0, 50), "available_ratio": (0, 1), "temperature_c": (-10, 35),
                "precipitation_mm_h": (0, 5), "wind_m_s": (0, 20), "humidity": (0, 1), "hour": (0, 24), "weekday": (1, 7),
                "competitor_ratio": (0.7, 1.3), "promotion": (0.5, 1), "competitor_median": (0.7, 1.3), "views_per_day": (0, 20),
                "carts_per_day": (0, 20), "orders_per_day": (0, 20), "capacity": (0, 100), "cover_days": (0, 30), "list": (0, 600),
                "cost": (0, 400), "cost_ratio": (0, 1.2), "hours_to_expiry": (0, 48), "month": (1, 12), "day_of_month": (1, 31),
                "zone_level": (0, 3)}

# Each says something else about precedence, missing inputs, rounding or the functions; A, B, C stand for numbers.
FORMULAS = ("1 + A * (temperature_c - 20) / 10", "clamp(1 - A * (hour - 12) * (hour - 12) / 40, 0.8, 1.1)",
            "if(known(wind_m_s) and not wind_m_s < 5 or weekday >= 6, 1 + A, 1 - B)", "1 + A * (default(available, 7) - 3) / 20 - -B",
            "pow(max(cover_days / 10, 0.01), -A)", "exp(-A * min(hours_to_expiry, 24) / 24)", "1 + A * log(max(orders_per_day / 5, 0.1))",
            "max(0.9, min(1.2, demand_pressure, 1 + A * zone_level), 1 - B * abs(promotion - 0.8))", "1 + A - B * C * 2 / 3 + (A - B) / C",
            "pow(max(cost_ratio, 0.05), A) * 1.2", "if(competitor_median < 1 and competitor_ratio != competitor_median, 1 - A, 1)",
            "1 + A * (views_per_day - 2 * carts_per_day) / max(views_per_day + carts_per_day, 0.1)",
            "if(month == 12 or day_of_month > 15, 1 + A, 1) * if(known(capacity), 1, 1 - B)", "if(list > 10, 1 - A, 1) - B * default(humidity, 0.5)")
CONDITIONS = ("temperature_c > 15 and hour >= 12", "available < 10", "demand_pressure >= 1.2 or known(promotion)", "not (weekday <= 5)",
              "default(precipitation_mm_h, 0) > 1", "cover_days < 2", "log(max(demand_pressure, 0.1)) > 0.2", "zone_level == 2")


def made_up_form(dice, kind):
    """Anything that a factor may be besides a curve."""
    def number():
        return f"{dice.uniform(0.01, 0.3):.{dice.choice((2, 4, 9))}f}"

    def multiplier():
        return round(dice.uniform(0.8, 1.25), dice.choice((2, 6)))

    form = dice.choice(("expression", "expression", "expression", "cases", "categories", "zones", "markup", "clearing"))
    if form == "expression":
        text = dice.choice(FORMULAS)
        return {form: "".join(number() if c in "ABC" else c for c in text)}
    if form == "cases":
        return {form: [{"if": c, "then": multiplier()} for c in dice.sample(CONDITIONS, dice.randrange(1, 4))],
                **({"else": multiplier()} if dice.random() < 0.5 else {})}
    if form == "categories":
        return {form: {pattern: multiplier() for pattern in dice.sample(("*", f"{kind}/*", f"{kind}/x", f"{kind}/x/*", "other"), 3)}}
    if form == "zones":
        return {form: {zone: multiplier() for zone in dice.sample([z for z in ZONES if z], 4)}}
    sensitivity = round(dice.uniform(0.8, 4), dice.choice((1, 6)))
    if form == "markup":
        return {form: dice.choice(({"elasticity": round(dice.uniform(-6, -1.4), 4)},
                                   {"utility": round(dice.uniform(-1, 4), 3), "sensitivity": sensitivity}))}
    return {form: {"customers_per_day": dice.choice((0.5, 40, 300.25, "orders_per_day * exp(1.5) + 1", "default(carts_per_day, 3)")),
                   "sensitivity": sensitivity, "until": dice.choice(("expiry", "22:00", "09:30"))}}


def made_up_when(dice, start_ms):
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=start_ms // DAY_MS)
    window = {}
    if dice.random() < 0.5:
        window["hours"] = dice.choice((["07:00", "19:30"], ["22:00", "02:00"], ["00:00", "24:00"]))
    if dice.random() < 0.4:
        window["weekdays"] = dice.sample(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 4)
    if dice.random() < 0.3:
        window["from"] = (day + datetime.timedelta(days=dice.randrange(-2, 4))).isoformat()
    if dice.random() < 0.3:
        window["until"] = (day + datetime.timedelta(days=dice.randrange(4, 9))).isoformat()
    if dice.random() < 0.3:
        window["calendar"] = "days"
    return window


TIME_ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC", "Australia/Lord_Howe", None, None)


def made_up_schedule(dice, start_ms):
    days = sorted({start_ms // DAY_MS + dice.randrange(9) for _ in range(4)})
    zone = dice.choice(TIME_ZONES)
    return {"calendars": {"days": [(datetime.date(1970, 1, 1) + datetime.timedelta(days=d)).isoformat() for d in days]},
            **({"time_zone": zone} if zone else {})}


def made_up_attributes(dice):
    """Some of those that streams say; ages are not multiples of 12 minutes."""
    known = {"product.weight_kg": {"unit": "kg", "from": 0, "to": 20}, "product.organic": {"from": 0, "to": 1},
             "zone.size_m2": {"unit": "m^2", "from": 10, "to": 5000}, "zone.floors": {"from": -2, "to": 4}}
    for row in known.values():
        if dice.random() < 0.5:
            row["missing"] = dice.choice((row["from"], row["to"]))
        if dice.random() < 0.5:
            row["age_limit"] = dice.choice(("31m", "25h"))
    return {name: known[name] for name in dice.sample(sorted(known), dice.randrange(len(known) + 1))}


def made_up_model(dice, name, currencies, calm, start_ms, **more):
    attributes = made_up_attributes(dice)
    likes = random.Random(f"{name} {dice.getstate()[1][:2]}")  # dice of their own: prices for everybody are what they were without affinity
    ranges = {**INPUT_RANGES, **{attribute: (row["from"], row["to"]) for attribute, row in attributes.items()}}
    sources = dice.sample(sorted(ranges), dice.randrange(2, 6))
    if "demand_pressure" not in sources:
        sources.append("demand_pressure")
    factors = [factor(s, made_up_points(dice, *ranges[s]), dice.choice(("curve", "curve", "steps"))) for s in sources]
    factors += [{"name": f"by-{attribute.split('.')[1][:9]}", "expression": f"0.9 + 0.2 / (1 + abs({attribute} / {row['to']} - {dice.choice(('0.1', '0.75'))}))"}
                for attribute, row in attributes.items() if dice.random() < 0.5]
    factors += [{"name": f"form{i}", **made_up_form(dice, name)} for i in range(dice.randrange(1, 6))]
    del factors[12:]  # a model has no more
    dice.shuffle(factors)
    for row in factors:
        if dice.random() < 0.3:
            row["missing"] = round(dice.uniform(0.9, 1.1), 3)
        if dice.random() < 0.25:
            row["when"] = made_up_when(dice, start_ms)
    half_life = dice.choice((60, 600, 3600, 21600, 86400))
    guard = {"floor": round(dice.uniform(0.4, 0.9), 3), "ceiling": round(dice.uniform(1.05, 1.8), 3)}
    if dice.random() < 0.5:
        guard["margin"] = round(dice.uniform(0, 0.3), 3)
    if dice.random() < 0.4:
        guard["spread"] = dice.choice((0.02, 0.1, 0.25))
    if dice.random() < 0.3:
        guard["personal"] = [0.85, 1.04]
        guard["never_above_baseline"] = "spread" in guard
    if calm:
        # Ticks come at multiples of 12 minutes: never near the ends of these times.
        guard["largest_step"] = {"of": round(dice.uniform(0.01, 0.1), 3), "per": dice.choice(("5m", "30m", "54m"))}
        guard["dead_band"] = {"of": round(dice.uniform(0.005, 0.05), 3), "settle": dice.choice(("17m", "90m"))}
        if dice.random() < 0.6:
            guard["largest_rise"] = {"of": dice.choice((0.02, 0.07, 0.333)), "per": dice.choice(("1h", "36h"))}
        if dice.random() < 0.6:
            guard["dwell"] = dice.choice(("7m", "55m"))
        half_life = 86400  # so that milliseconds of decay move nothing
    step = dice.choice((1, 1, 5, 10, 100))
    return {
        "model": name, "version": "1", "scope": {"categories": [f"{name}/*"], "currencies": currencies}, "group": f"group-{name}",
        "competitors": True, "schedule": made_up_schedule(dice, start_ms),
        "zone_levels": dice.randrange(4), "attributes": attributes,
        "demand": {"half_life": f"{half_life}s", "slow_half_life": f"{half_life * dice.choice((2, 7, 28))}s",
                   "prior_events": dice.choice((0.001, 0.5, 5, 20)), "min_events": dice.choice((0.001, 1, 2.5, 6)),
                   "weights": {e: dice.choice((0, 0.1, 0.333333, 1, 2.5)) for e in recompute.EVENTS}},
        "factors": factors, "guardrails": guard,
        "personal": dice.sample([
            {"name": "loyalty", "tier": {"gold": 0.95, "silver": 0.97, "bronze": 0.987654}},
            {"name": "groups", "segment": {"family": 0.97, "student": 0.9, "staff": 0.81}},
            {"name": "spend", "spend": [[0, 1], [50.5, 0.99], [1000, 0.91]]},
            {"name": "steps", "spend_steps": [[10, 1], [100, 0.955], [500, 0.9]]},
            {"name": "progress", "month_spend_steps": [[0, 1], [200, 0.98], [500, 0.9]]},
            {"name": "month", "month_spend": [[0, 1], [1000, 0.94]]},
            {"name": "near", "zone": {"de": 0.99, "de/south/s1": 0.93, "gh:u4p": 0.96}}], dice.randrange(1, 5)) + likes.sample([
                {"name": "likes", "affinity": [[0, 1], [0.1, 0.99], [0.6, 0.87]]},
                {"name": "fan", "affinity_steps": [[0, 1], [0.05, 0.97], [0.35, 0.93]]},
                {"name": "walk", "distance_km_steps": [[0, 0.95], [100, 0.98], [900, 1]], "to": [[57.5, 10.5], [48, 11]]}], likes.randrange(4)),
        "affinity": {"half_life": AFFINITY_HALF_LIFE, "prior_events": likes.choice((0.5, 1, 3)), "weights": {"view": 0.3, "cart": 1, "order": 2.5}},
        "rounding": {"step": step, "less": dice.randrange(step)},
        # Not multiples of 12 minutes either.
        "age_limits": {"weather": dice.choice(("31m", "185m")), "competitor": dice.choice(("65m", "25h")), "supply": dice.choice(("125m", "7d")),
                       "affinity": likes.choice(("3d", "180d"))},
        **more,
    }


ZONES = ["", "de", "de/south", "de/south/s1", "de/south/s2", "de/north", "fr", "fr/paris/x", "gh:u4pru", "gh:u4p", "gh:ezs42", "de/south/s1/dairy",
         "gh:u4pruyd", "store-7"]


# An eighth of it is a day, which ticks divide.
AFFINITY_HALF_LIFE = "8d"


def quiet(name):
    """Do this customer's eighths begin two minutes after a tick at the earliest, and not just before the next?"""
    return 120000 < recompute.Affinity(name).begin(8 * 86400, 10 ** 5) % (12 * MINUTE_MS) < 12 * MINUTE_MS - 1000


CUSTOMERS = [name for name in (f"c{i}" for i in range(100)) if quiet(name)][:12]


class MadeUp:
    """A stream of signals that hang together just enough to be accepted, mostly."""

    def __init__(self, dice, twice, kinds):
        self.dice, self.twice, self.kinds = dice, twice, kinds  # kinds: category -> currencies
        self.likes = random.Random(str(dice.getstate()[1][:2]))
        self.skus = {f"{kind}-{i}": kind for kind in kinds for i in range(4)}
        self.lists = {sku: dice.choice((99, 100, 1000, 1234, 54321)) for sku in self.skus}
        self.number = 0
        self.pairs = []    # customers and products of the last offers
        self.counted = {}  # id -> when it counted, signal

    def when(self):
        dice, now = self.dice, self.twice.now
        return now - dice.choice((0, 0, dice.randrange(1000), dice.randrange(600000), dice.randrange(2 * DAY_MS), -10000 - dice.randrange(20000)))

    def signal(self):
        dice = self.dice
        # The same again counts once for at least ten minutes, and counts anew after at most twenty.
        now = self.twice.now
        again = [number for number, (when, _) in self.counted.items() if when == now or when < now - 1200000]
        if again and dice.random() < 0.04:
            number = dice.choice(again)
            self.counted[number] = now, self.counted[number][1]
            return self.counted[number][1]
        kind = dice.choices(("demand", "product", "supply", "weather", "competitor", "zone", "customer", "location", "receipt",
                             "offer"), (30, 8, 10, 4, 8, 1, 4, 3, 2, 3))[0]
        row = {"type": kind, **getattr(self, "a_" + kind)()}
        if kind == "offer":  # some come late
            row["time"] = now - dice.choice((0, 0, 0, 1, 20 * MINUTE_MS, 5 * HOUR_MS))
        elif kind == "demand" or dice.random() < 0.9:  # else the time of arrival, some milliseconds after the tick
            row["time"] = self.when()
        if dice.random() < 0.5:
            self.number += 1
            row["source"], row["id"] = "made-up", str(self.number)
            self.counted[row["id"]] = now, row
        return row

    def sku(self):
        return self.dice.choice(sorted(self.skus))

    def zone(self):
        return {"zone": self.dice.choice(ZONES)} if self.dice.random() < 0.8 else {}

    def until(self):
        return {"until": self.twice.now + self.dice.randrange(-HOUR_MS, 12 * HOUR_MS)} if self.dice.random() < 0.5 else {}

    def first(self):
        """Every product once, everywhere."""
        rows = [{"type": "product", "sku": sku, "category": f"{kind}/x", "list": self.lists[sku], "currency": self.kinds[kind][0],
                 "time": self.twice.now - 3 * DAY_MS} for sku, kind in self.skus.items()]
        if self.twice.world.zones.cut("store-7"):
            rows.append({"type": "zone", "zone": "store-7", "parent": "de/south", "time": self.twice.now})
        return rows

    def a_product(self):
        dice, sku = self.dice, self.sku()
        list_price = self.lists[sku] if dice.random() < 0.7 else dice.randrange(1, 100000)
        row = {"sku": sku, "list": list_price, "currency": self.kinds[self.skus[sku]][0], **self.zone()}
        if row.get("zone") == "fr" or dice.random() < 0.05:  # abroad; elsewhere mostly refused
            row["currency"] = self.kinds[self.skus[sku]][-1]
            row["list"] += row["currency"] == "USD"
        if dice.random() < 0.5:
            row["cost"] = int(list_price * dice.uniform(0, 1.2))
        if dice.random() < 0.5:
            row["promotion"] = round(dice.uniform(0.4, 1), 3)
            row.update(self.until())
        return {**row, **self.attributes({"weight_kg": (0, 25), "organic": (0, 1), "unread": (-9, 9)})}

    def attributes(self, ranges):
        """Nothing is said of them, or all there are, or none at all."""
        if self.dice.random() < 0.5:
            return {}
        some = self.dice.sample(sorted(ranges), self.dice.randrange(len(ranges) + 1))
        return {"attributes": {name: self.dice.random() < 0.5 if name == "organic" else round(self.dice.uniform(*ranges[name]), self.dice.randrange(7))
                               for name in some}}

    def a_demand(self):
        dice = self.dice
        row = {"sku": self.sku(), "event": dice.choice(recompute.EVENTS), **self.zone()}
        if dice.random() < 0.8:  # else all that is not named is one visit of a zone
            row["session"] = f"v{dice.randrange(200)}"
        if dice.random() < 0.5:
            row["quantity"] = dice.choice((1, 2, 12, 0.25, 0.333333, 1000))
        if dice.random() < 0.2:
            row["customer"] = self.customer()
            limited = sorted(key for key, offer in self.twice.world.offers.items() if offer.units is not None)
            if limited and self.likes.random() < 0.3:
                row["customer"], row["sku"] = self.likes.choice(limited)
                row["event"] = "order"
            if self.likes.random() < 0.8:
                row["category"] = self.likes.choice([f"{kind}/x" for kind in self.kinds] + [f"{self.skus[row['sku']]}/x"] * 6 + ["none/such"])
            if row.get("zone") is None:  # the amount in the currency of the price there
                row["amount"], row["currency"] = dice.randrange(20000), self.kinds[self.skus[row["sku"]]][0]
        return row

    def a_supply(self):
        row = {"sku": self.sku(), "available": self.dice.choice((0, 1, 3.5, 12, 40, 1000)), **self.zone()}
        if self.dice.random() < 0.6:
            row["capacity"] = self.dice.choice((10, 33.3, 40, 100))
        if self.dice.random() < 0.5:
            row["expires"] = self.twice.now + self.dice.randrange(-HOUR_MS, 72 * HOUR_MS)
        return row

    def a_weather(self):
        ranges = {"temperature_c": (-20, 40), "precipitation_mm_h": (0, 8), "wind_m_s": (0, 30), "humidity": (0, 1)}
        some = self.dice.sample(sorted(ranges), self.dice.randrange(1, 5))
        return {"zone": self.dice.choice(ZONES), **{r: round(self.dice.uniform(*ranges[r]), self.dice.randrange(7)) for r in some}, **self.until()}

    def a_competitor(self):
        sku = self.sku()
        return {"sku": sku, "competitor": self.dice.choice(("a", "b", "c")), "amount": int(self.lists[sku] * self.dice.uniform(0.6, 1.4)),
                "currency": self.kinds[self.skus[sku]][0], **self.zone(), **self.until()}

    def a_zone(self):
        return {"zone": self.dice.choice(ZONES[1:-1]), "utc_offset_min": self.dice.choice((-300, 0, 60, 345, 480)),
                **self.attributes({"size_m2": (0, 6000), "floors": (-3, 5)})}

    def customer(self):
        return CUSTOMERS[self.dice.randrange(12)]

    def a_receipt(self):
        return {"customer": self.customer(), "amount": self.dice.randrange(50000), "currency": self.dice.choice(("EUR", "EUR", "JPY"))}

    def a_offer(self):
        dice = self.dice
        if len(self.pairs) < 6 or dice.random() < 0.3:
            self.pairs.append((self.customer(), self.sku()))
        who, sku = dice.choice(self.pairs[-6:])  # offers of few, so that they meet one another
        row = {"customer": who, "sku": sku, "kind": dice.choice(("fixed", "percent", "amount_off", "lock", "withdraw"))}
        if row["kind"] == "withdraw":
            return row
        if row["kind"] == "percent":
            row["percent"] = dice.choice((1, 5, 12.34, 33.3, 90))
        else:
            row["amount"] = max(1, int(self.lists[sku] * dice.uniform(0.05, 1.2)))
            row["currency"] = self.kinds[self.skus[sku]][0]
        if row["kind"] in ("percent", "amount_off") and dice.random() < 0.5:
            row["stackable"] = True
        if row["kind"] != "lock" and dice.random() < 0.3:
            row["basis"] = dice.choice(("location", "purchases"))
        if dice.random() < 0.7:
            row["until"] = self.twice.now + dice.randrange(MINUTE_MS, 12 * HOUR_MS)
            if row["kind"] != "lock" and dice.random() < 0.5:
                row["units"] = dice.choice((1, 2, 2.5, 7))
        return row

    def a_customer(self):
        dice = self.dice
        row = {"customer": self.customer()}
        if dice.random() < 0.6:
            row["consent"] = {kind: dice.random() < 0.7 for kind in dice.sample(("location", "purchases", "profile", "behaviour", "partner"), 2)}
        if dice.random() < 0.3:
            row["party"] = dice.choice(("zero", "first", "second", "third"))
        if dice.random() < 0.5:
            row["tier"] = dice.choice(("gold", "silver", "bronze", "wood", ""))
        if dice.random() < 0.5:
            row["segments"] = [self.a_status(name) for name in dice.sample(("family", "student", "staff", "sports"), dice.randrange(3))]
        if "tier" in row and dice.random() < 0.3:
            row["tier_until"] = self.twice.now + dice.randrange(-HOUR_MS, 2 * DAY_MS)
        if dice.random() < 0.5:
            row["spend"], row["currency"] = dice.randrange(200000), "EUR"
        return row

    def a_status(self, name):
        dice = self.dice
        if dice.random() < 0.5:
            return name
        ends = {"until": self.twice.now + dice.randrange(-HOUR_MS, 2 * DAY_MS)} if dice.random() < 0.7 else {}
        return {"name": name, **ends, **({"party": dice.choice(("zero", "first", "second", "third"))} if dice.random() < 0.4 else {})}

    def a_location(self):
        dice = self.dice
        row = {"customer": self.customer()}
        if dice.random() < 0.2:
            return {**row, "left": True}
        if dice.random() < 0.3:
            return {**row, "lat": round(dice.uniform(57, 58), 4), "lon": round(dice.uniform(9, 12), 4)}
        if dice.random() < 0.5:
            row["lease_s"] = dice.choice((70, 4000, 90100))
        return {**row, "zone": dice.choice([z for z in ZONES if z])}


def made_up(seed, calm):
    dice = random.Random(seed)
    kinds = {"aaa": ["EUR"], "bbb": ["EUR", "USD"], "ccc": ["JPY"]}
    start_ms = Twice.start_ms(time.time_ns() // 10**6)
    models = {f"{kind}.json": made_up_model(dice, kind, currencies, calm, start_ms) for kind, currencies in kinds.items()}
    models["own.json"] = made_up_model(dice, "own", ["EUR"], calm, start_ms, scope={"skus": ["aaa-1", "aaa-3*"], "currencies": ["EUR"]})
    # A pilot in one shop and beside a town, and a successor: dates before none.
    models["pilot.json"] = made_up_model(dice, "pilot", ["EUR"], calm, start_ms, group="group-bbb", personal=[],
                                         scope={"categories": ["bbb/*"], "zones": ["de/south/s1", "gh:u4p"], "currencies": ["EUR"]})
    models["next.json"] = made_up_model(dice, "next", ["JPY"], calm, start_ms, group="group-ccc", scope={"categories": ["ccc/*"], "currencies": ["JPY"]})
    models["next.json"]["schedule"]["from"] = (datetime.date(1970, 1, 1) + datetime.timedelta(days=start_ms // DAY_MS + 2)).isoformat()
    models["next.json"]["demand"] = models["ccc.json"]["demand"]
    what = f"made-up stream {seed}{', with calm prices' if calm else ''}"
    levels = dice.choice(({}, {}, {"geohash_lengths": "4", "path_depths": "1,3"}, {"geohash_lengths": "2,7", "path_depths": "2"}))
    with Service(models=models, open_min=dice.choice((1, 3)), signal_age_max_s=30 * 86400, act_quantity_max=1000, **levels) as service:
        twice = Twice(service)
        stream = MadeUp(dice, twice, kinds)

        @check(f"{what}: every price at every tick")
        def _():
            twice.say(*stream.first())
            for _ in range(40):
                twice.say(*(stream.signal() for _ in range(dice.randrange(60))))
                twice.flush()
                twice.check_prices(ZONES)
                twice.pass_time(12 * MINUTE_MS * dice.choice((1, 1, 2, 3, 10, 40)))
                twice.check_prices(ZONES)
                if twice.world.customers:
                    twice.check_terms(sorted(stream.skus))
        note(f"{twice.sent} signals, {sum(twice.world.refused.values())} without effect, {twice.compared} prices compared, "
             f"{twice.later} of a moment later, {twice.undecided} undecided")


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    numbers()
    with Service(models={f"{name}.json": m for name, m in BY_HAND.items()}) as service:
        by_hand(service)
    pilots()
    found_before()
    bundled(24)
    begin, count = time.monotonic(), 0
    while count < (4 if VARIANT == "release" else 2) or time.monotonic() < begin + seconds:
        made_up(seed + count, calm=count % 2 == 1)
        count += 1
    finish()


if __name__ == "__main__":
    main()
