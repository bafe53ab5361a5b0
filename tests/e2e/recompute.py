#!/usr/bin/env python3
"""recompute.py - the same prices a second time, by another program that knows the documents and nothing else.

    recompute.py --models DIR --signals FILE.ndjson [--at MS] [--config key=value]...

reads what was sent to the service, one JSON object a line, signals and {"control":"tick","time":MS}, and prints what the service
must say, one JSON object a line: each cell's baseline, floor, ceiling and list by (sku, zone), then each customer's multipliers.

Everything here is written after docs/pricing.md, docs/models.md and docs/signals.md, never after the C code; numbers of sections
are those of docs/pricing.md. Python's integers have no width and its decimals any precision, so that nothing here repeats how
the C code computes: E(x) comes from a power in 60 digits, not from tables.

What a price rests on is a pure function of the signals and of now, save the guards that remember: largest rise, largest step, dwell
and dead band (section 4). World.wanted() is that pure part. World.reprice() walks the path too, at the ticks of the stream.
What the factors say is in recompute_factors.py.
"""
import argparse
import collections
import datetime
import functools
import json
import math
import re
import sys
import zoneinfo
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from pathlib import Path

from recompute_factors import DAY_MS, MICRO, RANGES, Factor, Place, Schedule, category_rank, clamp, curve_at, half_even, micro, points

BOUND = 2**48 - 1
INT64_MAX = 2**63 - 1
YEAR_3000_MS = 32503680000000
LEASE_DEFAULT_S = 900
LN2_Q32 = 2977044471  # floor(2^32 ln 2)
COVER_DAYS_MAX = 3650
KM_PER_DEGREE = 111.195080234
REPEAT_MS = 600000  # for so long, at least, the same source and id count once; streams keep clear of the next ten minutes
EVENTS = ("view", "search", "cart", "order", "return")
READINGS = ("temperature_c", "precipitation_mm_h", "wind_m_s", "humidity")
CURRENCY_DECIMALS = {"JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3}  # of ISO 4217; the others that appear here have 2


# ---- 0. numbers -----------------------------------------------------------------------------------------------------------

def ceil_div(n, d):
    return -(-n // d)


@functools.lru_cache(maxsize=65536)
def E(x):
    with localcontext(Context(prec=60)):
        return int((Decimal(2) ** (30 + Decimal(x) / 65536)).to_integral_value(ROUND_FLOOR))


def cut_time(t):
    return clamp(t, 0, YEAR_3000_MS)


def time_ms(when):
    """Unix milliseconds as they are, RFC 3339 text cut to milliseconds."""
    if isinstance(when, int):
        return when
    moment = datetime.datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", re.sub(r"(\.\d{3})\d+", r"\1", when)))
    return (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(milliseconds=1)


def read_json(text):
    return json.loads(text, parse_float=Decimal)


# ---- 1. demand pressure ---------------------------------------------------------------------------------------------------

class DecayedSum:
    """1.1; half-life in seconds."""
    __slots__ = ("half_life", "S", "L")

    def __init__(self, half_life):
        self.half_life, self.S, self.L = half_life, 0, 0

    def add(self, w, t):
        if w <= 0:
            return
        w, t, H = min(w, 10**15), cut_time(t), 1000 * self.half_life
        n = t // H
        x = (t - n * H) * 65536 // H
        place = n // 16
        if place > self.L:
            self.S >>= 16 * (place - self.L)
            self.L = place
        k = n - 16 * self.L
        addend = w * E(x) * 2 ** (k + 64) // (MICRO * 2**10 * 2**64) if k >= -63 else 0
        self.S = min(self.S + addend, 2**64 - 1)

    def at(self, T):
        if self.S == 0:
            return 0
        H = 1000 * self.half_life
        since = max(cut_time(T) - self.L * 16 * H, 0)
        n = since // H
        y = ceil_div((since - n * H) * 65536, H)
        k, x = (-n, 0) if y == 0 else (-n - 1, 65536 - y)
        if k < -77:
            return 0
        return min(self.S * MICRO * E(x) >> (50 - k), INT64_MAX)


class Demand:
    """1.2 and 1.3"""

    def __init__(self, model):
        self.model = model
        self.fast, self.slow = DecayedSum(model.half_life), DecayedSum(model.slow_half_life)
        self.events = DecayedSum(model.half_life)
        self.first = self.last = 0

    def add(self, event, quantity, t, weights):
        """True if the event counts. The weights are those of the model that prices the product here now."""
        t = max(cut_time(t), 1)
        w = min(half_even(weights[event] * quantity, MICRO), 10**15)
        if quantity <= 0 or w <= 0:
            return False
        self.fast.add(w, t)
        self.slow.add(w, t)
        self.events.add(MICRO, t)
        self.first = t if self.first == 0 else min(t, self.first)
        self.last = max(t, self.last)
        return True

    @staticmethod
    def share(age, half_life):
        H = 1000 * half_life
        if age // H >= 31:
            return 2**30
        u = age * 2**32 // H
        m = ceil_div(u, 2**32)
        r = m * 2**32 - u
        p = E(r // 65536)
        p += p * (r % 65536) * LN2_Q32 // 2**64
        return max(2**30 - (p >> m), 1)

    def pressure(self, T, prior):
        """By the half-lives that it was collected with, and the prior of the model that asks."""
        if self.first == 0:
            return MICRO
        T = cut_time(T)
        h_f, h_s, P = self.model.half_life, self.model.slow_half_life, prior
        age = max(T - self.first, 125 * h_f)
        num = self.fast.at(T) * 2**30 // self.share(age, h_f) + P
        den = self.slow.at(T) * 2**30 * h_f // (self.share(age, h_s) * h_s) + P
        return clamp(half_even(num * MICRO, den), 10**4, 10**8)


class Rates:
    """1.4: views, carts and orders, each with its quantity."""
    KINDS = {"view": "views_per_day", "cart": "carts_per_day", "order": "orders_per_day"}

    def __init__(self, half_life):
        self.half_life, self.first = half_life, 0
        self.sums = {event: DecayedSum(half_life) for event in self.KINDS}

    def add(self, event, quantity, t):
        t = max(cut_time(t), 1)
        if event in self.sums and quantity > 0:
            self.sums[event].add(quantity, t)
            self.first = t if self.first == 0 else min(t, self.first)

    def at(self, T):
        """Their inputs, micro a day."""
        if self.first == 0:
            return {name: 0 for name in self.KINDS.values()}
        T = cut_time(T)
        share = Demand.share(max(T - self.first, 125 * self.half_life), self.half_life)
        return {name: min(self.sums[event].at(T) * 2**30 // share * 86400 * LN2_Q32 // (self.half_life * 2**32), 10**15)
                for event, name in self.KINDS.items()}


# ---- models: docs/models.md -----------------------------------------------------------------------------------------------

def without_comments(text):
    keep = r'"(?:\\.|[^"\\])*"'
    return re.sub(rf"({keep})|//[^\n]*|/\*.*?\*/", lambda m: m[1] or " ", text, flags=re.S)


def span_s(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]


class Model:
    def __init__(self, text):
        m = read_json(without_comments(text))
        self.name, self.version = m["model"], m["version"]
        scope = m["scope"]
        self.currencies, self.categories, self.skus = scope["currencies"], scope.get("categories", []), scope.get("skus", [])
        self.scope_zones = scope.get("zones", [])
        self.schedule = Schedule(m.get("schedule", {}))
        self.origin = m.get("origin")
        self.zone_levels = m.get("zone_levels", 0)
        self.group = m.get("group", self.name)
        demand = m.get("demand", {})
        self.half_life = span_s(demand.get("half_life", "6h"))
        self.slow_half_life = span_s(demand.get("slow_half_life", "7d"))
        self.prior = micro(demand.get("prior_events", 5))
        self.min_events = micro(demand.get("min_events", 10))
        usual = dict(zip(EVENTS, (Decimal("0.1"), Decimal("0.1"), Decimal("0.5"), 1, 0)))
        self.weights = {event: micro(w) for event, w in {**usual, **demand.get("weights", {})}.items()}
        self.attributes = {name: {key: span_s(v) * 1000 if key == "age_limit" else v if key == "unit" else micro(v) for key, v in row.items()}
                           for name, row in m.get("attributes", {}).items()}
        ranges = {**RANGES, **{name: (row["from"], row["to"]) for name, row in self.attributes.items()}}
        self.factors = [Factor(f, self.schedule.calendars, ranges) for f in m["factors"]]
        self.personal = m.get("personal", [])
        guard = m.get("guardrails", {})
        self.floor_part = micro(guard.get("floor", Decimal("0.5")))
        self.ceiling_part = micro(guard.get("ceiling", Decimal("1.5")))
        self.margin = micro(guard["margin"]) if "margin" in guard else None
        self.step = self.dead_band = self.rise = None
        self.dwell_ms = 1000 * span_s(guard.get("dwell", "0s"))
        self.spread = micro(guard["spread"]) if "spread" in guard else None
        if "largest_rise" in guard:
            self.rise = micro(guard["largest_rise"]["of"]), 1000 * span_s(guard["largest_rise"]["per"])
        if "largest_step" in guard:
            self.step = micro(guard["largest_step"]["of"]), 1000 * span_s(guard["largest_step"]["per"])
        if "dead_band" in guard:
            self.dead_band = micro(guard["dead_band"]["of"]), 1000 * span_s(guard["dead_band"]["settle"])
        self.personal_low, self.personal_high = (micro(v) for v in guard.get("personal", [Decimal("0.8"), 1]))
        self.never_above = guard.get("never_above_baseline", True)
        rounding = m.get("rounding", {})
        self.ending_step, self.ending_less = rounding.get("step", 1), rounding.get("less", 0)
        self.stale_limit_ms = 1000 * span_s(m.get("stale_limit", "1h"))
        ages = m.get("age_limits", {})
        self.age_ms = {what: 1000 * span_s(ages.get(what, usual)) for what, usual in
                       (("weather", "3h"), ("competitor", "1d"), ("supply", "7d"), ("affinity", "180d"))}
        affinity = m.get("affinity", {})
        self.affinity_half_life = span_s(affinity.get("half_life", "30d"))
        self.affinity_prior = micro(affinity.get("prior_events", 3))
        self.affinity_weights = {"view": Decimal("0.1"), "cart": Decimal("0.5"), "order": 1, **affinity.get("weights", {})}
        self.reads_affinity = any("affinity" in row or "affinity_steps" in row for row in self.personal)

    def claim(self, category, sku, zones):
        """How precisely this model claims a product in a zone (own first, the world not listed), to be compared; None if it does not."""
        best_sku, best_category, best_zone = None, None, 0
        for pattern in self.skus:
            if pattern == sku:
                best_sku = (2, 0)
            elif pattern.endswith("*") and sku.startswith(pattern[:-1]):
                best_sku = max(best_sku or (0, 0), (1, len(pattern.encode())))
        for pattern in self.categories:
            rank = category_rank(pattern, category)
            best_category = max(best_category or (0, 0), rank) if rank else best_category
        if self.scope_zones:
            best_zone = max((len(zones) - level for level, zone in enumerate(zones) if zone in self.scope_zones), default=None)
        if (self.skus and best_sku is None) or (self.categories and best_category is None) or best_zone is None:
            return None
        return best_zone, best_sku or (0, 0), best_category or (0, 0), self.schedule.dated

    def ending(self, amount, lo, hi):
        """Section 3: the nearest k * step - less within [lo, hi], of two the lower; none: amount cut to the bounds."""
        amount, step, less = clamp(amount, lo, hi), self.ending_step, self.ending_less
        k = (amount + less) // step
        near = [j * step - less for j in (k, k + 1) if j >= 1 and lo <= j * step - less <= hi]
        return min(near, key=lambda a: (abs(a - amount), a)) if near else amount

    def highest(self, baseline, floor, ceiling):
        return self.ending(half_even(baseline * half_even(self.personal_high, 100), 10000), floor, ceiling)

    def never_above_at(self, baseline, floor, ceiling):
        return self.never_above or (self.spread is not None and
                                    ceil_div(self.highest(baseline, floor, ceiling) * (MICRO - self.spread), MICRO) > baseline)

    def personal_floor(self, baseline, floor, ceiling):
        """Section 5, spread: what takes the place of the floor in a quote."""
        if self.spread is None:
            return floor
        high = baseline if self.never_above_at(baseline, floor, ceiling) else max(baseline, self.highest(baseline, floor, ceiling))
        return clamp(ceil_div(high * (MICRO - self.spread), MICRO), floor, baseline)

    def multiplier(self, customer, now):
        """Section 5, in 1e-4."""
        p = MICRO
        for row in self.personal:
            p = half_even(p * self.personal_value(row, customer, now), MICRO)
        return half_even(clamp(p, self.personal_low, self.personal_high), 100)

    def personal_value(self, row, customer, now):
        if "tier" in row and "profile" in customer.consent and customer.tier:
            return micro(row["tier"].get(customer.tier, 1))
        if "segment" in row and "profile" in customer.consent:
            named = [micro(row["segment"][s]) for s, _, _ in customer.segments if s in row["segment"]]
            return min(named, default=MICRO)
        if ("month_spend" in row or "month_spend_steps" in row) and "purchases" in customer.consent:
            bought = customer.bought(now, self.currencies)
            if bought is None:
                return MICRO
            return curve_at("month_spend_steps" in row, points(row.get("month_spend_steps") or row["month_spend"]), bought)
        if ("spend" in row or "spend_steps" in row) and "purchases" in customer.consent and customer.spend_in(self.currencies):
            return curve_at("spend_steps" in row, points(row.get("spend_steps") or row["spend"]), customer.spend_micro())
        if "affinity" in row or "affinity_steps" in row:
            share = customer.affinity.share(self.group, customer.consent, self.affinity_prior, self.age_ms["affinity"], now)
            return MICRO if share is None else curve_at("affinity_steps" in row, points(row.get("affinity_steps") or row["affinity"]), share)
        if ("distance_km" in row or "distance_km_steps" in row) and "location" in customer.consent and customer.position is not None:
            far = min(kilometres(to, customer.position) for to in row["to"])
            return curve_at("distance_km_steps" in row, points(row.get("distance_km_steps") or row["distance_km"]), far)
        if "zone" in row and "location" in customer.consent:
            return next((micro(row["zone"][z]) for z in customer.zones if z in row["zone"]), MICRO)
        return MICRO


def kilometres(a, b):
    """1.5, good to the third digit of a kilometre; places are (latitude, longitude). In micro."""
    (lat, lon), (north, east) = [[float(n) for n in place] for place in (b, a)]
    x = ((lon - east + 180) % 360 - 180) * math.cos(math.radians((lat + north) / 2))
    return round(math.hypot(lat - north, x) * KM_PER_DEGREE * MICRO)


def load_models(folder):
    return [Model(path.read_text(encoding="utf-8")) for path in sorted(Path(folder).glob("*.json"))]


# ---- zones ----------------------------------------------------------------------------------------------------------------

class Zones:
    def __init__(self, geohash_lengths=(3, 5), path_depths=(1, 2, 3)):
        self.lengths, self.depths = sorted(geohash_lengths), sorted(path_depths)
        self.parent, self.offset_ms, self.times, self.weather, self.position = {}, {}, {}, {}, {}
        self.attributes = {}  # zone -> time, {name: micro}
        self.known = {}  # zone -> what is around it, until a parent is declared

    def cut(self, name):
        """Own zone first, then the ones its name says; the world is not listed."""
        if name in ("", "world"):
            return []
        if name.startswith("gh:"):
            return [name[:3 + n] for n in reversed(self.lengths) if n <= len(name) - 3]
        parts = name.split("/")
        return ["/".join(parts[:d]) for d in reversed(self.depths) if d <= len(parts)]

    def around(self, name):
        """The zone itself (cut), then what is around it up to the world, ""."""
        if name not in self.known:
            self.known[name] = self.walk(name)
        return self.known[name]

    def declare(self, name, parent):
        self.parent[name] = parent
        self.known = {}

    def walk(self, name):
        by_name = self.cut(name)
        if not by_name:
            return [""]
        chain = [by_name[0]]
        while len(chain) < 3:
            zone = chain[-1]
            outer = self.parent[zone] if zone in self.parent else (self.cut(zone)[1:] or [""])[0]
            if outer == "" or outer in chain:
                break
            chain.append(outer)
        return chain + [""]

    def lies_at(self, zone):
        """Of the zones around a customer the first that somebody said, or that is a cell of a geohash: its middle (Niemeyer 2008)."""
        for name in self.around(zone)[:-1]:
            if name in self.position:
                return self.position[name]
            if name.startswith("gh:"):
                bits = "".join(f"{'0123456789bcdefghjkmnpqrstuvwxyz'.index(letter):05b}" for letter in name[3:])
                return [side * ((2 * int(code, 2) + 1) / 2 ** len(code) - 1) for side, code in ((90, bits[1::2]), (180, bits[0::2]))]
        return None

    def at(self, lat, lon):
        """A position as a geohash zone of the longest length in use (Niemeyer 2008): longitude and latitude halved in turn."""
        bounds, code = [[-180, 180], [-90, 90]], ""
        for place in range(5 * max(self.lengths, default=0)):
            low, high = bounds[place % 2]
            middle = (low + high) / 2
            upper = (lon, lat)[place % 2] >= middle
            bounds[place % 2] = [middle, high] if upper else [low, middle]
            code += "01"[upper]
        letters = "0123456789bcdefghjkmnpqrstuvwxyz"
        return code and "gh:" + "".join(letters[int(code[i:i + 5], 2)] for i in range(0, len(code), 5))


# ---- what is known --------------------------------------------------------------------------------------------------------

# The price that stands: amount, (list price, currency) under it, when it last changed, reference price of the largest rise and its time.
Standing = collections.namedtuple("Standing", "published under changed reference reference_ms")


class Cell:
    """What was heard of one product in one zone, and the price that stands there."""

    def __init__(self):
        self.facts = None       # list, cost, currency
        self.promotion = None   # value, until
        self.supply = None      # available, capacity, time, expiry
        self.competitors = {}   # name -> amount, time, until, currency
        self.demand = self.rates = None
        self.event_count = 0
        self.times = {}         # kind -> time of the newest signal
        self.stands = self.before = Standing(0, None, 0, 0, 0)  # before: until it last moved
        self.moved = 0


class Product:
    def __init__(self):
        self.category = None
        self.attributes = 0, {}  # time, {name: micro}
        self.cells = {}

    def cell(self, zone):
        if zone not in self.cells:
            self.cells[zone] = Cell()
        return self.cells[zone]


OTHERS = ("second", "third")


class Affinity:
    """Section 5, affinity: of each part (kind of data) its half-life, landmark, newest eighth, and sums in 2^-16 by group."""

    # 2^(j / 8) x 2^30, rounded down
    POWERS = [int(Decimal(2) ** (Decimal(j) / 8) * 2 ** 30) for j in range(8)]

    def __init__(self, customer):
        fnv = 0xCBF29CE484222325
        for byte in customer.encode():
            fnv = (fnv ^ byte) * 0x100000001B3 % 2 ** 64
        self.phase = (fnv ^ fnv >> 16 ^ fnv >> 32 ^ fnv >> 48) & 0xFFFF
        self.parts = {}

    def begin(self, half_life, eighth):
        return max(eighth * half_life * 125 - half_life * 125 * self.phase // 65536, 0)

    def eighth(self, half_life, time):
        return (time + half_life * 125 * self.phase // 65536) // (half_life * 125)

    def power(self, value, eighths, shift=0):
        q, j = divmod(eighths, 8)
        return value * self.POWERS[j] >> 30 + shift - q

    def add(self, kind, group, weight, half_life, time):
        part = self.parts.get(kind, {"landmark": 0, "newest": 0, "sums": {}})
        eighth = self.eighth(half_life, time)
        landmark = max(eighth // 8 * 8, part["landmark"])
        addend = self.power(int(weight * 65536), eighth - landmark)
        if addend == 0:
            return
        sums = {g: n >> (landmark - part["landmark"]) // 8 for g, n in part["sums"].items()}
        sums[group] = min(sums.get(group, 0) + addend, 2 ** 32 - 1)
        self.parts[kind] = {"half_life": half_life, "landmark": landmark, "newest": max(eighth, part["newest"]), "sums": sums}

    def counts(self, kind, now):
        part = self.parts.get(kind)
        if part is None:
            return {}, 0
        eighth = self.eighth(part["half_life"], now)
        counts = {g: self.power(n * MICRO, -max(eighth - part["landmark"], 0), 16) for g, n in part["sums"].items()}
        return counts, max(eighth - part["newest"], 0) * part["half_life"] * 125

    def share(self, group, consent, prior, age_ms, now):
        here = total = 0
        for kind in ("behaviour", "purchases"):
            counts, age = self.counts(kind, now)
            if kind in consent and age < age_ms:
                here += counts.get(group, 0)
                total += sum(counts.values())
        return half_even(here * MICRO, total + prior) if total > 0 else None

    def end(self, now, attribute_ms):
        for kind, part in list(self.parts.items()):
            if self.begin(part["half_life"], part["newest"] + 1) + attribute_ms <= now or not sum(self.counts(kind, now)[0].values()):
                del self.parts[kind]


class Customer:
    def __init__(self, month_zone="UTC", name=""):
        self.consent = set()
        self.consent_s = {}     # kind -> when it was given or refused last
        self.affinity = Affinity(name)
        self.tier, self.tier_until, self.tier_party = "", None, "first"
        self.segments = []      # name, until, party
        self.spend, self.spend_party = None, "first"  # minor units, currency
        self.spend_until = None  # of what was bought in months, too
        self.month_zone = zoneinfo.ZoneInfo(month_zone)
        self.months = None      # currency, newest month, {month: minor units}
        self.place = None       # zone, until
        self.zones = []         # filled in for a moment
        self.position = None    # the same: where the zone lies, or what is around it
        self.times = {}

    def spend_in(self, currencies):
        return self.spend is not None and self.spend[1] in currencies

    def spend_micro(self):
        amount, currency = self.spend
        return amount * 10 ** (6 - CURRENCY_DECIMALS.get(currency, 2))

    def spent(self, amount, currency):
        """Orders and receipts add up, returns are taken off; what is in another currency than what is known counts nothing."""
        if self.spend is None:
            self.spend, self.spend_party = (0, currency), "first"
        if self.spend[1] == currency:
            self.spend = max(self.spend[0] + amount, 0), currency

    def month_of(self, time):
        day = datetime.datetime.fromtimestamp(time // 1000, self.month_zone)
        return day.year * 12 + day.month - 1

    def bought_at(self, amount, currency, time):
        """Of the newest month and the one before; a newer month begins in the currency of its first purchase."""
        month = self.month_of(time)
        if self.months is None or month > self.months[1]:
            before = {month - 1: self.months[2].get(month - 1, 0)} if self.months and self.months[0] == currency else {}
            self.months = currency, month, before
        if self.months[0] == currency and month >= self.months[1] - 1:
            self.months[2][month] = clamp(self.months[2].get(month, 0) + amount, -BOUND, BOUND)

    def bought(self, now, currencies):
        """In the running month, micro of the major unit; None without any, or in a currency that is not priced in."""
        if self.months is None or self.months[0] not in currencies:
            return None
        back = self.months[1] - self.month_of(now)
        return max(self.months[2].get(self.month_of(now), 0), 0) * 10 ** (6 - CURRENCY_DECIMALS.get(self.months[0], 2)) if back in (0, 1) else None

    def end(self, now):
        """What has come to its end is gone."""
        if self.tier_until is not None and self.tier_until <= now:
            self.tier, self.tier_until = "", None
        self.segments = [s for s in self.segments if s[1] > now]
        if self.spend_until is not None and self.spend_until <= now:
            self.spend = self.spend_until = self.months = None


class Offer:
    """What one customer was offered or promised for one product."""

    def __init__(self):
        self.kind = self.basis = self.until = self.locked = self.lock_until = self.currency = self.units = None
        self.time = self.value = self.begin = self.given = self.ordered = self.lock_time = 0
        self.stackable = False
        self.rests = set()  # kinds that the time rests on where it outlives the offer: taken back, or in another's place

    # Readers compare whole seconds.
    def runs(self, now):
        return self.kind and (self.units is None or self.ordered < self.units) and self.begin // 1000 <= now // 1000 and (self.until is None or now // 1000 < self.until // 1000)

    def end(self):
        self.kind, self.units, self.ordered = None, None, 0

    def use(self, quantity, time):
        """An order that is permitted, while the offer is given and holds."""
        if self.kind and self.units is not None and self.given <= time and self.begin <= time < self.until:
            self.ordered = min(self.units, self.ordered + quantity)

    def is_locked(self, now):
        return self.locked is not None and (self.lock_until is None or now // 1000 < self.lock_until // 1000)


class NoPrice(Exception):
    pass


class World:
    """All that was sent so far. With walk, standing prices are followed along; without, only wanted() is of use."""

    def __init__(self, models, walk=True, **config):
        self.models, self.walk = models, walk
        self.open_min = int(config.get("open_min", 1))
        self.age_max_ms = 1000 * int(config.get("signal_age_max_s", 604800))
        self.future_max_ms = 1000 * int(config.get("signal_future_max_s", 60))
        self.attribute_ms = 1000 * int(config.get("attribute_age_max_s", 63072000))
        self.month_zone = config.get("month_zone", "UTC")
        numbers = {key: [int(n) for n in str(config[key]).split(",") if n] for key in ("geohash_lengths", "path_depths") if key in config}
        self.zones = Zones(**numbers)
        self.products, self.customers, self.offers = {}, {}, {}
        self.seen = {}          # source, id -> when it counted
        self.window_ms = 1000 * int(config.get("repeat_window_s", 86400))
        self.acts = {}          # event, product, visit or zone -> window in which it counted
        self.now = 0
        self.heard = set()      # products to price again at the end of the batch
        self.refused = {}       # reason -> count
        self.named = {}         # sku -> category, as it stood when the message arrived

    # -- the stream --

    def arrives(self):
        """A message begins."""
        self.named = {sku: product.category for sku, product in self.products.items() if product.category is not None}

    def line(self, row):
        """One line of a recorded stream."""
        if row.get("control") == "tick":
            self.tick(time_ms(row["time"]))
        elif "type" in row:
            self.signal(row)

    def tick(self, now):
        """Time first: what stands is priced again, then signals of this time may follow."""
        self.close_batch()
        self.now = max(self.now, now)
        self.end_offers()
        for customer in self.customers.values():
            customer.end(self.now)
            customer.affinity.end(self.now, self.attribute_ms)
        self.heard.update(self.products)
        self.close_batch()

    def close_batch(self):
        for sku in sorted(self.heard) if self.walk else ():
            self.reprice(sku)
        self.heard.clear()

    def signal(self, row):
        """Apply one signal; the reason why it changed nothing, or None."""
        reason = self.apply(row)
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        return reason

    def apply(self, row):
        row = {**row, **{key: time_ms(row[key]) for key in ("time", "from", "until", "expires", "tier_until") if key in row}}
        time = row.get("time", self.now + 1)  # of arrival: some time after the tick before it
        if time < self.now - self.age_max_ms:
            return "too_old"
        if time > self.now + self.future_max_ms:
            return "from_future"
        if "source" in row and "id" in row:
            mark = row["source"], row["id"]
            if self.now - self.seen.get(mark, -REPEAT_MS - 1) <= REPEAT_MS:
                return "duplicate"
        repeated = row["type"] == "demand" and self.repeated(row)
        reason = getattr(self, "apply_" + row["type"])(row, time, **({"repeated": True} if repeated else {}))
        if "source" in row and "id" in row and set((reason or "").split("+")) <= {"", "superseded", "no_consent", "repeated", "zone_widened"}:
            self.seen[mark] = self.now
        if row.get("sku") in self.products:
            self.heard.add(row["sku"])
        elif row["type"] in ("zone", "weather"):
            self.heard.update(self.products)
        return reason

    def repeated(self, row):
        """Has this visit (or anybody, if none is named, in this zone) done so in this window or the one before?"""
        if row["event"] not in ("view", "search", "cart"):
            return False
        act = row["event"], row["sku"], ("session", row["session"]) if "session" in row else ("zone", self.own_zone(row.get("zone", "")))
        window = self.now // self.window_ms
        if window - self.acts.get(act, window - 2) <= 1:
            return True
        self.acts[act] = window
        return False

    @staticmethod
    def superseded(record, kind, time):
        """Is something newer of this kind known? Else this is the newest now."""
        if time < record.times.get(kind, 0):
            return True
        record.times[kind] = time
        return False

    def place(self, model, zone):
        """The zone of a cell: cut to the model's levels, or to the zone that it names if that lies deeper."""
        around = self.zones.around(zone)
        named = max((len(around) - 1 - level for level, z in enumerate(around[:-1]) if z in model.scope_zones), default=0)
        return around[max(0, len(around) - 1 - max(model.zone_levels, named)):]

    def model_of(self, sku, zone):
        """Who prices the product there."""
        product = self.products[sku]
        facts = self.nearest(product, zone, lambda cell: cell.facts)
        return self.choose(product.category, sku, facts[2], zone) if facts else None

    def open_zones(self, sku):
        """A model that names zones has prices of its own in them, as long as they are no finer than the levels in use."""
        for model in self.models:
            for zone in model.scope_zones:
                if self.own_zone(zone) == zone and self.model_of(sku, zone) is model:
                    self.products[sku].cell(zone)

    def choose(self, category, sku, currency, zone, now=None):
        """The most precise claim among the models in effect."""
        zones, now = self.zones.around(zone)[:-1], self.now if now is None else now
        claims = [(m.claim(category, sku, zones), m) for m in self.models if currency in m.currencies and m.schedule.holds(now)]
        return max((c for c in claims if c[0] is not None), key=lambda c: c[0], default=(None, None))[1]

    def nearest(self, product, zone, what):
        """The first that is there, from the zone itself outwards."""
        for around in self.zones.around(zone):
            if around in product.cells:
                found = what(product.cells[around])
                if found is not None:
                    return found
        return None

    def own_zone(self, name):
        return self.zones.around(name)[0]

    # -- signals about products --

    def apply_product(self, row, time):
        sku, zone = row["sku"], self.own_zone(row.get("zone", ""))
        product = self.products.get(sku)
        category = row.get("category", product.category if product else None)
        if category is None:
            return "no_category"
        model = self.choose(category, sku, row["currency"], zone)
        if model is None:
            return "no_model"
        if product is None:
            product = self.products[sku] = Product()
            product.cell("")
        cell = product.cell(zone)
        if cell.facts and cell.facts[2] != row["currency"]:
            return "other_currency"
        if self.superseded(cell, "product", time):
            return "superseded"
        product.category = category
        product.attributes = self.attributes_said(product.attributes, row, time)
        cell.facts = row["list"], row.get("cost"), row["currency"]
        cell.promotion = (micro(row["promotion"]), row.get("until")) if "promotion" in row else None
        self.open_zones(sku)
        return None

    @staticmethod
    def attributes_said(known, row, time):
        """An object says all attributes there are; without one, and late, things stay as they are."""
        if "attributes" not in row or time < known[0]:
            return known
        return time, {name: micro(int(value)) if isinstance(value, bool) else micro(value) for name, value in row["attributes"].items()}

    def known(self, row):
        """(product, model, zones from the cell's own outwards) of a signal about a product, or a reason."""
        product = self.products.get(row["sku"])
        if product is None:
            return None, "unknown_product"
        model = self.model_of(row["sku"], row.get("zone", ""))
        if model is None:
            return None, "no_model"
        return (product, model, self.place(model, row.get("zone", ""))), None

    def apply_demand(self, row, time, repeated=False):
        found, reason = self.known(row)
        if reason:
            return reason
        product, model, around = found
        for zone in around if not repeated or model.min_events == 0 else ():
            cell = product.cell(zone)
            own = self.model_of(row["sku"], zone) or model
            if cell.demand is None:
                cell.demand, cell.rates = Demand(own), Rates(own.half_life)
            cell.demand.add(row["event"], micro(row.get("quantity", 1)), time, own.weights)
            cell.rates.add(row["event"], micro(row.get("quantity", 1)), time)
            cell.event_count += 1
        remarks = ["no_consent"] if "customer" in row and not self.customer_demand(row, time, repeated and "session" in row) else []
        remarks += ["repeated"] if repeated and model.min_events > 0 else []
        return "+".join(remarks) or None

    def customer_demand(self, row, time, repeated):
        """The customer's part of demand; False: it is not permitted."""
        customer = self.customers.get(row["customer"], Customer())
        kind = "purchases" if row["event"] in ("order", "return") else "behaviour"
        if kind not in customer.consent:
            return False
        if not repeated:
            self.learn(customer, kind, row, min(time, self.now))
        if kind == "purchases" and "amount" in row:
            self.purchase(customer, -row["amount"] if row["event"] == "return" else row["amount"], row["currency"], time)
        if row["event"] == "order":
            self.offers.get((row["customer"], row["sku"]), Offer()).use(micro(row.get("quantity", 1)), time)
        return True

    def learn(self, customer, kind, row, time):
        """What an event tells of the customer's affinity to a price group."""
        reading = [m for m in self.models if m.reads_affinity and m.schedule.holds(self.now)]
        category = row.get("category", self.named.get(row["sku"]))  # of an event that says none it is its product's
        group = self.group_of({**row, "category": category}) if category is not None else None
        if not reading or row["event"] not in ("view", "cart", "order") or time // 1000 < customer.consent_s[kind] or group is None:
            return
        apart = {m.group for m in reading}
        for part in customer.affinity.parts.values():
            for g in [g for g in part["sums"] if g not in apart | {None}]:
                part["sums"][None] = min(part["sums"].get(None, 0) + part["sums"].pop(g), 2 ** 32 - 1)
        customer.affinity.add(kind, group if group in apart else None, Decimal(str(reading[0].affinity_weights[row["event"]])),
                              reading[0].affinity_half_life, time)

    def group_of(self, row):
        """Of the most precise scope by category and sku alone, of equals the first by name."""
        claims = [(m.claim(row["category"], row["sku"], m.scope_zones), m.group) for m in sorted(self.models, key=lambda m: m.name)
                  if m.schedule.holds(self.now) and row.get("currency", m.currencies[0]) in m.currencies]
        return max(((claim[1:3], group) for claim, group in claims if claim), key=lambda c: c[0], default=(None, None))[1]

    def attribute_end(self, time, until=None):
        """Whole seconds, as kept."""
        latest = time + self.attribute_ms
        return (latest if until is None else min(until, latest)) // 1000 * 1000

    def purchase(self, customer, amount, currency, time):
        until = self.attribute_end(time)
        if until <= self.now:
            return
        customer.spend_until = max(until, customer.spend_until or 0)
        customer.bought_at(amount, currency, time)
        customer.spent(amount, currency)

    def apply_supply(self, row, time):
        found, reason = self.known(row)
        if reason:
            return reason
        product, _, around = found
        cell = product.cell(around[0])
        if self.superseded(cell, "supply", time):
            return "superseded"
        capacity = micro(row["capacity"]) if "capacity" in row else (cell.supply[1] if cell.supply else None)
        cell.supply = micro(row["available"]), capacity, time, row.get("expires")
        return self.widened(row, around)

    def apply_competitor(self, row, time):
        found, reason = self.known(row)
        if reason:
            return reason
        product, _, around = found
        facts = self.nearest(product, row.get("zone", ""), lambda cell: cell.facts)
        if row["currency"] != facts[2]:
            return "other_currency"
        cell = product.cell(around[0])
        if self.superseded(cell, ("competitor", row["competitor"]), time):
            return "superseded"
        cell.competitors[row["competitor"]] = row["amount"], time, row.get("until"), facts[2]
        return self.widened(row, around)

    def widened(self, row, around):
        """Is what holds in one zone kept for a wider one?"""
        return "zone_widened" if around[0] != self.own_zone(row.get("zone", "")) else None

    # -- signals about zones --

    def apply_zone(self, row, time):
        zone = self.own_zone(row["zone"])
        if time < self.zones.times.get(zone, 0):
            return "superseded"
        self.zones.times[zone] = time
        if "parent" in row:
            self.zones.declare(zone, self.own_zone(row["parent"]))
        if "utc_offset_min" in row:
            self.zones.offset_ms[zone] = row["utc_offset_min"] * 60000
        if "lat" in row:
            self.zones.position[zone] = row["lat"], row["lon"]
        self.zones.attributes[zone] = self.attributes_said(self.zones.attributes.get(zone, (0, {})), row, time)
        return None

    def apply_weather(self, row, time):
        zone = self.own_zone(row["zone"])
        known = self.zones.weather.get(zone)
        if known and time < known["time"]:
            return "superseded"
        self.zones.weather[zone] = {"time": time, "until": row.get("until"), **{r: micro(row[r]) for r in READINGS if r in row}}
        return None

    # -- signals about customers --

    def apply_customer(self, row, time):
        customer = self.customers.get(row["customer"], Customer(self.month_zone, row["customer"]))
        said = {kind: (c["granted"], time_ms(c["time"]) if "time" in c else time) if isinstance(c, dict) else (c, time)
                for kind, c in row.get("consent", {}).items()}
        if self.superseded(customer, "customer", time):
            return self.revoke_late(row, customer, said, time)
        for kind, (granted, since) in said.items():
            customer.consent_s[kind] = since // 1000
            if granted:
                customer.consent.add(kind)
            else:
                self.revoke(row["customer"], customer, kind)
        remarks = [self.tell(customer, field, row, time) for field in ("tier", "segments", "spend") if field in row]
        refused = not all(granted for granted, _ in said.values())
        # Of who permits nothing, the time of a refusal is kept; a price lock is kept without any consent.
        if customer.consent or refused or any(key[0] == row["customer"] for key in self.offers):
            self.customers[row["customer"]] = customer
        return "no_consent" if "no_consent" in remarks else None

    def taken_back(self, time):
        """What a clock that is ahead has said, as far back as it may be ahead."""
        return time - (self.future_max_ms if time > self.now else 0)

    def revoke(self, name, customer, kind):
        if kind == "location" and kind in customer.consent:
            customer.times["location"] = customer.times["customer"]  # what was seen before, and arrives late, does not count
        customer.consent.discard(kind)
        self.withdraw(customer, kind)
        for key, offer in self.offers.items():
            if key[0] == name and (offer.basis == kind or (kind == "purchases" and offer.units is not None)):
                offer.end()
            if key[0] == name and kind in offer.rests:
                offer.rests = set()
        self.end_offers()

    def revoke_late(self, row, customer, said, time):
        """Of what is late counts what takes away: each kind that was not granted after it."""
        ended = [kind for kind, (granted, _) in said.items()
                 if not granted and kind in customer.consent and self.taken_back(customer.consent_s[kind] * 1000) <= time]
        for kind in ended:
            customer.consent_s[kind] = said[kind][1] // 1000
            self.revoke(row["customer"], customer, kind)
        more = any(granted for granted, _ in said.values()) or any(field in row for field in ("tier", "segments", "spend"))
        return "superseded" if more or not ended else None

    def tell(self, customer, field, row, time):
        """Tier, segments or spend of a customer; whose word it is decides what it needs."""
        party = row.get("party", "first")

        def may(kind, whose):
            return {kind, *(["partner"] if whose in OTHERS else [])} <= customer.consent
        if field == "tier":
            if not may("profile", party):
                return "no_consent"
            until = self.attribute_end(time, row.get("tier_until"))
            customer.tier, customer.tier_until, customer.tier_party = (row["tier"], until, party) if row["tier"] and until > self.now else ("", None, "first")
        elif field == "spend":
            if not may("purchases", party):
                return "no_consent"
            until = self.attribute_end(time)
            if until > self.now:
                customer.spend, customer.spend_party, customer.spend_until = (row["spend"], row["currency"]), party, max(until, customer.spend_until or 0)
        else:
            if not may("profile", party):
                return "no_consent"
            told = [{"name": s} if isinstance(s, str) else s for s in row["segments"]]
            ends = [(s["name"], self.attribute_end(time, time_ms(s["until"]) if "until" in s else None), s.get("party", party)) for s in told]
            customer.segments = [s for s in ends if may("profile", s[2]) and s[1] > self.now]
            return None if all(may("profile", s[2]) for s in ends) else "no_consent"
        return None

    @staticmethod
    def withdraw(customer, kind):
        """What rests on a kind of data goes with its consent."""
        customer.affinity.parts.pop(kind, None)
        if kind == "profile":
            customer.tier, customer.tier_until, customer.segments = "", None, []
        elif kind == "purchases":
            customer.spend = customer.spend_until = customer.months = None
        elif kind == "partner":
            if customer.tier_party in OTHERS:
                customer.tier, customer.tier_until = "", None
            if customer.spend_party in OTHERS:
                customer.spend = None
            customer.segments = [s for s in customer.segments if s[2] not in OTHERS]
        elif kind == "location":
            customer.place = None

    def apply_location(self, row, time):
        customer = self.customers.get(row["customer"], Customer())
        if "location" not in customer.consent:
            return "no_consent"
        until = time + 1000 * row.get("lease_s", LEASE_DEFAULT_S)
        if until <= self.now and "left" not in row:
            return "superseded"
        known = customer.times.get("location", 0)
        if "left" in row:  # takes away: it need not wait for the time of a clock that was ahead
            if self.taken_back(known) > time:
                return "superseded"
            customer.times["location"] = max(known, time)
        elif self.superseded(customer, "location", time):
            return "superseded"
        zone = self.zones.at(row["lat"], row["lon"]) if "lat" in row else row.get("zone")
        customer.place = None if row.get("left") else (zone, until)
        return None

    def apply_receipt(self, row, time):
        customer = self.customers.get(row["customer"], Customer())
        if "purchases" not in customer.consent:
            return "no_consent"
        self.purchase(customer, row["amount"], row["currency"], time)
        return None

    def apply_offer(self, row, time):
        key, kind = (row["customer"], row["sku"]), row["kind"]
        consent = self.customers.get(row["customer"], Customer()).consent
        if kind == "withdraw" and key not in self.offers and not consent:
            return "superseded"
        basis = row.get("basis", "profile")
        needs = {basis, *(["purchases"] if "units" in row else [])}
        if kind not in ("lock", "withdraw") and not needs <= consent:
            return "no_consent"
        known = self.offers.get(key, Offer())
        since = {"withdraw": self.taken_back(known.time), "lock": known.lock_time if known.locked is not None else time}.get(kind, known.time)
        if time < since or row.get("until", self.now + 1) <= self.now:
            return "superseded"
        if "currency" in row and known.currency != row["currency"] and (known.is_locked(self.now) or kind == "lock" and known.kind in ("fixed", "amount_off")):
            return "other_currency"
        offer = self.offers[key] = known
        if kind == "lock":
            offer.locked, offer.lock_until, offer.currency, offer.lock_time = row["amount"], row.get("until"), row["currency"], time
            return None
        ahead = kind == "withdraw" and offer.kind and time < offer.time
        offer.time = max(offer.time + 1 if ahead else offer.time, time)  # behind what it takes back
        longer = offer.kind and "until" in row and (offer.until is None or offer.until > row["until"])
        if kind == "withdraw":
            rested = offer.kind and {offer.basis, *(["purchases"] if offer.units is not None else [])}
            offer.rests = offer.rests or rested or needs & consent or set(consent)
        elif longer:
            offer.rests = offer.rests or needs
        offer.kind, offer.basis, offer.stackable = None if kind == "withdraw" else kind, basis, row.get("stackable", False)
        offer.begin, offer.until = row.get("from", time), row.get("until")
        again = offer.units is not None and offer.given == time and "units" in row
        offer.units = micro(row["units"]) if "units" in row else None
        offer.given, offer.ordered = time, offer.ordered if again else 0
        self.end_offers()
        if kind == "percent":
            offer.value = micro(row["percent"]) // 10000  # in 1e-4, cut
        elif kind != "withdraw":
            offer.value, offer.currency = row["amount"], row["currency"]
        return None

    def end_offers(self):
        for key, offer in list(self.offers.items()):
            if offer.kind and offer.until is not None and offer.until <= self.now:
                offer.end()
            if offer.lock_until is not None and offer.lock_until <= self.now:
                offer.locked = offer.lock_until = None
            if not offer.kind and offer.time + self.age_max_ms <= self.now:
                offer.rests = set()
            if not offer.kind and not offer.is_locked(self.now) and not offer.rests:
                del self.offers[key]

    def apply_forget(self, row, _time):
        self.customers.pop(row["customer"], None)
        self.offers = {key: offer for key, offer in self.offers.items() if key[0] != row["customer"]}

    # -- prices --

    def is_open(self, zone, cell, model=None):
        """Has the cell a price of its own? Once it has, it keeps one; a model that names zones gives them one."""
        return zone == "" or bool(cell.facts or cell.supply or cell.competitors or cell.event_count >= self.open_min or cell.stands.published
                                  or (model and model.scope_zones))

    def weather_at(self, model, zone, reading, now):
        for around in self.zones.around(zone):
            known = self.zones.weather.get(around)
            if known and reading in known:
                until = known["until"] if known["until"] is not None else known["time"] + model.age_ms["weather"]
                if until > now:
                    return known[reading]
        return None

    @staticmethod
    def competitors(cell, model, currency, now):
        """Current prices in this currency, ascending; None without any."""
        return sorted(amount for amount, time, until, asked_in in cell.competitors.values()
                      if asked_in == currency and (until if until is not None else time + model.age_ms["competitor"]) > now) or None

    def inputs(self, sku, zone, model, list_price, cost, currency, now):
        """Section 2: name -> micro; what is missing is not in it. A zone in which nothing counted has no pressure of its own."""
        product, found = self.products[sku], {}

        def running(cell):
            return cell.promotion[0] if cell.promotion and (cell.promotion[1] is None or cell.promotion[1] > now) else None

        found["demand_pressure"] = self.nearest(product, zone, lambda cell: cell.demand.pressure(now, model.prior) if cell.demand and cell.demand.first
                                                and cell.demand.events.at(now) >= model.min_events else None)
        cell = product.cells.get(zone, Cell())
        found.update(cell.rates.at(now) if cell.rates else {name: 0 for name in Rates.KINDS.values()})
        supply = cell.supply
        if supply and supply[2] + model.age_ms["supply"] > now:
            found["available"], found["capacity"] = supply[0], supply[1] or None
            if supply[1]:
                found["available_ratio"] = clamp(half_even(supply[0] * MICRO, supply[1]), 0, MICRO)
            if supply[3] is not None:
                found["hours_to_expiry"] = min(half_even(max(supply[3] - now, 0) * MICRO, 3600000), 8760 * MICRO)
            orders = found["orders_per_day"]
            found["cover_days"] = clamp(half_even(supply[0] * MICRO, orders), 0, COVER_DAYS_MAX * MICRO) if orders else COVER_DAYS_MAX * MICRO
        for reading in READINGS:
            found[reading] = self.weather_at(model, zone, reading, now)
        local = self.local_ms(model, zone, now)
        date = datetime.date(1970, 1, 1) + datetime.timedelta(days=local // DAY_MS)
        found["hour"] = half_even(local % DAY_MS * 24 * MICRO, DAY_MS)
        found["weekday"] = date.isoweekday() * MICRO
        found["month"], found["day_of_month"] = date.month * MICRO, date.day * MICRO
        asked = self.nearest(product, zone, lambda cell: self.competitors(cell, model, currency, now))
        if asked:
            found["competitor_ratio"] = half_even(asked[0] * MICRO, list_price)
            found["competitor_median"] = half_even((asked[(len(asked) - 1) // 2] + asked[len(asked) // 2]) * MICRO, 2 * list_price)
        found["promotion"] = self.nearest(product, zone, running)
        minor = 10 ** (6 - CURRENCY_DECIMALS.get(currency, 2))
        found["list"] = list_price * minor
        if cost is not None:
            found["cost"], found["cost_ratio"] = cost * minor, half_even(cost * MICRO, list_price)
        around = self.zones.around(zone)
        found["zone_level"] = (len(around) - 1) * MICRO
        found["distance_km"] = self.distance(model, next((self.zones.position[z] for z in around if z in self.zones.position), None))
        for name, row in model.attributes.items():
            found[name] = self.attribute(product, around, name, row, now)
        return {name: value for name, value in found.items() if value is not None}

    def attribute(self, product, around, name, row, now):
        """Of the product, or of the nearest zone that says it; too old or never said: as the model states, or None."""
        of, bare = name.split(".")
        said = [product.attributes] if of == "product" else [self.zones.attributes[z] for z in around if z in self.zones.attributes]
        for time, values in said:
            if bare in values and ("age_limit" not in row or time + row["age_limit"] > now):
                return clamp(values[bare], row["from"], row["to"])
        return row.get("missing")

    def local_ms(self, model, zone, now):
        offset = next((self.zones.offset_ms[z] for z in self.zones.around(zone) if z in self.zones.offset_ms), 0)
        return model.schedule.local_ms(now, offset)

    @staticmethod
    def distance(model, position):
        """1.5, good to the third digit of a kilometre."""
        if model.origin is None or position is None:
            return None
        return kilometres(model.origin, position)

    def wanted(self, sku, zone, now):
        """Sections 2 and 3: what depends on the signals and now alone."""
        product = self.products[sku]
        facts = self.nearest(product, zone, lambda cell: cell.facts)
        if facts is None:
            raise NoPrice(f"{sku}: no list price")
        list_price, cost, currency = facts
        if cost is None:  # of the nearest zone around that says it in the same currency
            around = self.nearest(product, zone, lambda cell: cell.facts if cell.facts and cell.facts[1] is not None and cell.facts[2] == currency else None)
            cost = around[1] if around else None
        model = self.choose(product.category, sku, currency, zone)
        if model is None:
            raise NoPrice(f"{sku}: no model")
        inputs = self.inputs(sku, zone, model, list_price, cost, currency, now)
        place = Place(product.category, self.zones.around(zone)[:-1], list_price, cost, self.local_ms(model, zone, now))
        amount, factors, unsure = list_price * MICRO, {}, False
        for factor in model.factors:
            factors[factor.name], rough = factor.value(inputs, place)
            unsure = unsure or rough
            amount = half_even(amount * factors[factor.name], MICRO)
            if amount > INT64_MAX * MICRO:
                raise NoPrice(f"{sku}: overflow")
        raw = half_even(amount, MICRO)
        floor = ceil_div(list_price * model.floor_part, MICRO)
        ceiling = min(list_price * model.ceiling_part // MICRO, BOUND)
        if model.margin is not None and cost is not None:
            floor = max(floor, ceil_div(cost * (MICRO + model.margin), MICRO))
        if floor > BOUND:
            raise NoPrice(f"{sku}: overflow")
        ceiling = max(ceiling, floor)
        return {"sku": sku, "zone": zone, "list": list_price, "currency": currency, "model": model.name, "floor": floor, "ceiling": ceiling,
                "raw": raw, "wanted": model.ending(raw, floor, ceiling), "inputs": inputs, "factors": factors, "rules": model, "unsure": unsure}

    def follow(self, price, stands, now):
        """Section 4: the price that stands now, after the guards that remember."""
        model, floor, ceiling, under = price["rules"], price["floor"], price["ceiling"], (price["list"], price["currency"])
        published, reference, reference_ms = stands.published, 0, now
        if not (0 < published <= BOUND and stands.under == under):
            amount = price["wanted"]
            reference = amount if model.rise else 0
        else:
            top = ceiling
            if model.rise:
                of, per = model.rise
                kept = stands.reference and stands.reference_ms // per == now // per
                reference, reference_ms = (stands.reference, stands.reference_ms) if kept else (published, now)
                top = max(min(ceiling, reference * (MICRO + of) // MICRO), floor)
            lo, hi = floor, top
            if model.step:
                of, per = model.step
                reach = 0 if now - stands.changed < per else max(published * of // MICRO, model.ending_step, 1)
                lo, hi = clamp(published - reach, floor, top), clamp(published + reach, floor, top)
            amount = model.ending(price["raw"], lo, hi)
            if floor <= published <= top and amount != published:
                of, settle = model.dead_band or (0, 0)
                small = abs(amount - published) * MICRO < of * published and now - stands.changed < settle
                amount = published if small or now - stands.changed < model.dwell_ms else amount
        same = amount == published and stands.under is not None and stands.under[1] == under[1]
        return Standing(amount, under, stands.changed if same else now, reference, reference_ms if reference else 0)

    def reprice(self, sku):
        """All cells of a product at this moment, on from what stands."""
        for zone, cell in self.products[sku].cells.items():
            try:
                price = self.wanted(sku, zone, self.now)
            except NoPrice:
                continue
            if self.is_open(zone, cell, price["rules"]):
                stands = self.follow(price, cell.stands, self.now)
                if stands[:3] != cell.stands[:3]:
                    cell.before, cell.moved = cell.stands, self.now
                cell.stands = stands

    def prices(self, now=None):
        """What must stand now: a dict per cell."""
        self.close_batch()
        for sku in sorted(self.products):
            for zone, cell in sorted(self.products[sku].cells.items()):
                try:
                    price = self.wanted(sku, zone, self.now if now is None else now)
                except NoPrice:
                    continue
                if self.is_open(zone, cell, price["rules"]):
                    yield self.standing(price, cell.stands.published if now is None else self.follow(price, cell.stands, now).published)

    @staticmethod
    def standing(price, baseline):
        """The price with its baseline, and the floor that personal amounts have then."""
        return {**price, "baseline": baseline, "least": price["rules"].personal_floor(baseline, price["floor"], price["ceiling"])}

    def multipliers(self, name, now=None):
        """price group -> multiplier in 1e-4; groups without personal rows are neutral."""
        customer, now = self.customers[name], self.now if now is None else now
        customer.zones, customer.position = [], None
        if customer.place and customer.place[1] > now:
            customer.zones = self.zones.around(customer.place[0])[:-1]
            customer.position = self.zones.lies_at(customer.place[0])
        spoken = [m for m in self.models if m.personal and m.schedule.holds(now)]
        return {m.group: m.multiplier(customer, now) for m in sorted(spoken, key=lambda m: m.schedule.dated)}


def personal_amount(price, baseline, m, offer, now):
    """Section 6 and pricing/quote.h: multiplier, offer, never above the baseline, lock."""
    model, floor, ceiling = price["rules"], price["least"], price["ceiling"]
    amount = baseline if m == 10000 else model.ending(half_even(baseline * m, 10000), floor, ceiling)
    if offer and offer.runs(now):
        start = amount if offer.stackable else baseline
        if offer.kind == "percent":
            amount = clamp(half_even(start * (10000 - offer.value), 10000), floor, ceiling)
        elif offer.currency == price["currency"]:
            amount = clamp(offer.value if offer.kind == "fixed" else start - offer.value, floor, ceiling)
    amount = min(amount, baseline) if model.never_above_at(baseline, price["floor"], ceiling) else amount
    locked = offer and offer.is_locked(now) and offer.currency == price["currency"]
    return min(amount, offer.locked) if locked else amount


def main():
    parser = argparse.ArgumentParser(description="What the service must say after a recorded stream, computed anew.")
    parser.add_argument("--models", required=True, metavar="DIR")
    parser.add_argument("--signals", required=True, metavar="FILE.ndjson")
    parser.add_argument("--at", type=int, metavar="MS", help="let time pass until then, at the end")
    parser.add_argument("--config", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--explain", action="store_true", help="inputs and factors too")
    options = parser.parse_args()
    world = World(load_models(options.models), **dict(item.split("=", 1) for item in options.config))
    with open(options.signals, encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                world.line(read_json(line))
    if options.at is not None:
        world.tick(options.at)
    keys = ["sku", "zone", "baseline", "floor", "ceiling", "list", "currency", "model"]
    for price in world.prices():
        row = {key: price[key] for key in keys + (["raw", "wanted", "inputs", "factors"] if options.explain else [])}
        print(json.dumps(row, ensure_ascii=False))
    for name in sorted(world.customers):
        print(json.dumps({"customer": name, "multipliers": world.multipliers(name)}, ensure_ascii=False))
    for reason, count in sorted(world.refused.items()):
        print(f"{count} signals: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
