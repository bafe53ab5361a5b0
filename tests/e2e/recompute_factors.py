"""recompute_factors.py - what one factor of a model multiplies by, after docs/pricing.md section 2 and docs/models.md; see recompute.py.

Formulas are read and computed here by another grammar and another arithmetic than the service's: exp, log, powers, Lambert's function
and the sums of Gallego and van Ryzin are taken in 50 decimal digits. Where such a value lies so near to the middle between two millionths
that the promised 1e-9 does not decide which of them is right, it is called unsure.
"""
import datetime
import functools
import re
import zoneinfo
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from pathlib import Path

MICRO = 10**6
NANO = 10**9
NANO_MAX = 9 * 10**18
DAY_MS = 86400000
FACTOR_LOW, FACTOR_TOP = MICRO // 10, MICRO * 10
UNSURE_NANO = 4  # of a value in nano that came out of exp or log
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH = datetime.date(1970, 1, 1)
UNITS_MAX = 256  # clearing looks at no more than these


def half_even(n, d):
    quotient, rest = divmod(n, d)
    if 2 * rest > d or (2 * rest == d and quotient % 2):
        quotient += 1
    return quotient


def clamp(value, low, high):
    return min(max(value, low), high)


def cut(nano):
    return clamp(nano, -NANO_MAX, NANO_MAX)


def micro(number):
    """A JSON number (int or Decimal) in millionths."""
    if isinstance(number, int):
        return number * MICRO
    with localcontext(Context(prec=60)):
        return int((number * MICRO).to_integral_value(ROUND_HALF_EVEN))


def day_number(text):
    return (datetime.date.fromisoformat(text) - EPOCH).days


def minute_of(text):
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def input_ranges():
    """input -> (from, to) in micro, as the table of docs/models.md has them."""
    text = (Path(__file__).resolve().parents[2] / "docs/models.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- inputs_describe: begin -->\n(.*?)<!-- inputs_describe: end -->", text, re.S)[1]
    rows = (re.split(r" *\| *", row.strip("| ")) for row in table.splitlines()[2:])
    return {row[0].strip("`"): (micro(Decimal(row[2])), micro(Decimal(row[3]))) for row in rows}


RANGES = input_ranges()


# ---- numbers in nano that no ratio of whole numbers gives ---------------------------------------------------------------------

def by_decimal(function):
    """Of whole nanos, in 50 digits, to a whole nano."""
    @functools.lru_cache(maxsize=65536)
    def computed(*nanos):
        with localcontext(Context(prec=50)):
            value = function(*(Decimal(n) / NANO for n in nanos)) * NANO
            return cut(int(value.to_integral_value(ROUND_HALF_EVEN)))
    return computed


@by_decimal
def exp(x):
    return Decimal(0) if x < -22 else Decimal(NANO_MAX) if x > Decimal("22.92") else x.exp()


@by_decimal
def log(x):
    return x.ln() if x > 0 else Decimal(-NANO_MAX)


def power(a, b):
    return 0 if a <= 0 else exp(cut(half_even(b * log(a), NANO)))


@by_decimal
def lambert(z):
    """w with w + ln w = z."""
    w = z if z > 1 else z.exp()
    for _ in range(200):
        step = w * (1 + z - w.ln()) / (1 + w)
        if abs(step - w) < Decimal("1e-40") * w:
            break
        w = step
    return w


@by_decimal
def clearing_worth(units_nano, customers):
    """J(n) - J(n - 1) times the sensitivity: ln of the quotient of two sums of x^i / i!, x = customers / e."""
    x, term, shorter, units = customers / Decimal(1).exp(), Decimal(1), Decimal(0), int(units_nano)
    for i in range(1, units + 1):
        shorter += term
        term = term * x / i
    return ((shorter + term) / shorter).ln()


# ---- formulas ----------------------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|((?:(?:product|zone)\.)?[A-Za-z_]\w*)|(<=|>=|==|!=|[-+*/<>(),]))")


class Missing(Exception):
    """Something that the factor needs is not there."""


class Formula:
    """Computed while it is read, as a calculator does; once for each set of inputs."""

    def __init__(self, text, ranges):
        """ranges: of the inputs in the table, and of the attributes that the model declares."""
        self.ranges = ranges
        self.tokens, at = [], 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            self.tokens.append(found[1] or found[2] or found[3])
            at = found.end()

    def value(self, inputs):
        """(nano, rough: exp, log or pow took part)"""
        names = set(self.tokens) & set(self.ranges)
        spared = {self.tokens[i + 2] for i, t in enumerate(self.tokens) if t in ("default", "known")}
        bare = {t for i, t in enumerate(self.tokens) if t in names and not (i >= 2 and self.tokens[i - 2] in ("default", "known"))}
        assert spared <= set(self.ranges), spared
        if bare - set(inputs):
            raise Missing
        self.inputs, self.at = inputs, 0
        value = self.either()
        assert self.at == len(self.tokens), self.tokens[self.at:]
        return value, bool({"exp", "log", "pow"} & set(self.tokens))

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted):
        if self.peek() not in wanted or not self.peek():
            return ""
        self.at += 1
        return self.tokens[self.at - 1]

    def either(self):
        value = self.both()
        while self.take("or"):
            other = self.both()
            value = NANO if value or other else 0
        return value

    def inverse(self):
        if self.take("not"):
            return 0 if self.inverse() else NANO
        return self.compared()

    def both(self):
        value = self.inverse()
        while self.take("and"):
            other = self.inverse()
            value = NANO if value and other else 0
        return value

    def compared(self):
        value = self.added()
        sign = self.take("<", "<=", ">", ">=", "==", "!=")
        if not sign:
            return value
        other = self.added()
        return NANO * {"<": value < other, "<=": value <= other, ">": value > other, ">=": value >= other, "==": value == other,
                       "!=": value != other}[sign]

    def added(self):
        value = self.multiplied()
        while sign := self.take("+", "-"):
            other = self.multiplied()
            value = cut(value + other if sign == "+" else value - other)
        return value

    def multiplied(self):
        value = self.single()
        while sign := self.take("*", "/"):
            other = self.single()
            if sign == "*":
                value = cut(half_even(value * other, NANO))
            else:
                value = cut(half_even(value * NANO * (1 if other > 0 else -1), abs(other)))
        return value

    def of_input(self, name):
        return clamp(self.inputs[name], *self.ranges[name]) * 1000

    def single(self):
        if self.take("-"):
            return -self.single()
        if self.take("("):
            value = self.either()
            assert self.take(")")
            return value
        word = self.tokens[self.at]
        self.at += 1
        if word[0].isdigit():
            return int(Decimal(word) * NANO)
        if word in self.ranges:
            return self.of_input(word)
        assert self.take("(")
        if word in ("known", "default"):
            name = self.tokens[self.at]
            self.at += 1
            if word == "default":
                assert self.take(",")
                instead = (-1 if self.take("-") else 1) * int(Decimal(self.tokens[self.at]) * NANO)
                self.at += 1
            assert self.take(")")
            if word == "known":
                return NANO if name in self.inputs else 0
            return self.of_input(name) if name in self.inputs else instead
        values = [self.either()]
        while self.take(","):
            values.append(self.either())
        assert self.take(")")
        return self.call(word, values)

    @staticmethod
    def call(word, values):
        if word == "if":
            return values[1] if values[0] else values[2]
        if word == "clamp":
            return min(max(values[0], values[1]), values[2])
        return {"min": min, "max": max, "abs": abs, "exp": exp, "log": log, "pow": power}[word](*(values if len(values) > 1 or word not in ("min", "max") else [values]))


# ---- factors -------------------------------------------------------------------------------------------------------------------

def points(rows):
    return [(micro(x), micro(y)) for x, y in rows]


def curve_at(steps, rows, v):
    if v < rows[0][0]:
        return rows[0][1]
    i = max(k for k, (x, _) in enumerate(rows) if x <= v)
    if steps or i == len(rows) - 1:
        return rows[i][1]
    (x0, y0), (x1, y1) = rows[i], rows[i + 1]
    return y0 + half_even((y1 - y0) * (v - x0), x1 - x0)


def category_rank(pattern, category):
    """None if it does not match; the more precise, the larger."""
    if pattern == category:
        return 2, 0
    if pattern == "*":
        return 1, 0
    if pattern.endswith("/*") and (category == pattern[:-2] or category.startswith(pattern[:-1])):
        return 1, pattern.count("/")
    return None


class Place:
    """What a factor sees besides inputs."""

    def __init__(self, category, zones, list_price, cost, local_ms):
        self.category, self.zones, self.list, self.cost, self.local_ms = category, zones, list_price, cost, local_ms


class Factor:
    def __init__(self, row, calendars, ranges):
        self.row, self.name = row, row["name"]
        self.missing = micro(row.get("missing", 1))
        self.form = next(f for f in ("curve", "steps", "categories", "zones", "cases", "expression", "markup", "clearing") if f in row)
        self.when, self.calendars = row.get("when"), calendars
        if self.form in ("curve", "steps"):
            self.points = points(row[self.form])
        elif self.form == "cases":
            self.conditions = [Formula(case["if"], ranges) for case in row["cases"]]
        elif self.form == "expression":
            self.formula = Formula(row["expression"], ranges)
        elif self.form == "clearing":
            customers = row["clearing"]["customers_per_day"]
            self.formula = Formula(customers, ranges) if isinstance(customers, str) else None

    def is_open(self, local_ms):
        day, minute = local_ms // DAY_MS, local_ms % DAY_MS // 60000
        if "hours" in self.when:
            a, b = (minute_of(t) for t in self.when["hours"])
            if a < b and not a <= minute < b:
                return False
            if b < a:
                if b <= minute < a:
                    return False
                day -= minute < b
        return not ("from" in self.when and day < day_number(self.when["from"]) or
                    "until" in self.when and day >= day_number(self.when["until"]) or
                    "weekdays" in self.when and WEEKDAYS[(day + 3) % 7] not in self.when["weekdays"] or  # 1970 began on a Thursday
                    "calendar" in self.when and day not in {day_number(d) for d in self.calendars[self.when["calendar"]]})

    def value(self, inputs, place):
        """(micro, unsure)"""
        if self.when is not None and not self.is_open(place.local_ms):
            return MICRO, False
        try:
            return getattr(self, "of_" + self.form)(inputs, place)
        except Missing:
            return self.missing, False

    def of_curve(self, inputs, _place):
        if self.row["input"] not in inputs:
            raise Missing
        return curve_at(self.form == "steps", self.points, inputs[self.row["input"]]), False

    of_steps = of_curve

    def of_categories(self, _inputs, place):
        ranked = [(category_rank(pattern, place.category), y) for pattern, y in self.row["categories"].items()]
        best = max((r for r in ranked if r[0]), key=lambda r: r[0], default=(None, 1))
        return micro(best[1]), False

    def of_zones(self, _inputs, place):
        return micro(next((self.row["zones"][z] for z in place.zones if z in self.row["zones"]), 1)), False

    @staticmethod
    def of_nano(nano, rough):
        near = {half_even(nano + d, 1000) for d in (-UNSURE_NANO, UNSURE_NANO)} if rough else set()
        return clamp(half_even(nano, 1000), FACTOR_LOW, FACTOR_TOP), len({clamp(n, FACTOR_LOW, FACTOR_TOP) for n in near}) > 1

    def of_cases(self, inputs, _place):
        holds = [condition.value(inputs) for condition in self.conditions]  # all of them: what one needs, the factor needs
        rough = any(r for _, r in holds)
        found = next((case["then"] for case, (held, _) in zip(self.row["cases"], holds) if held), self.row.get("else", 1))
        return clamp(micro(found), FACTOR_LOW, FACTOR_TOP), rough

    def of_expression(self, inputs, _place):
        return self.of_nano(*self.formula.value(inputs))

    def of_markup(self, _inputs, place):
        if place.cost is None:
            raise Missing
        row, c = self.row["markup"], half_even(place.cost * NANO, place.list)
        if "elasticity" in row:
            e = -micro(row["elasticity"]) * 1000
            return self.of_nano(cut(half_even(c * e, e - NANO)), False)
        u, s = micro(row["utility"]) * 1000, micro(row["sensitivity"]) * 1000
        z = cut(u - half_even(s * c, NANO) - NANO)
        w = 0 if z < -22 * NANO else lambert(z)
        return self.of_nano(cut(c + half_even((NANO + w) * NANO, s)), True)

    def of_clearing(self, inputs, place):
        row = self.row["clearing"]
        if "available" not in inputs:
            raise Missing
        if row["until"] == "expiry":
            if "hours_to_expiry" not in inputs:
                raise Missing
            days = half_even(clamp(inputs["hours_to_expiry"], *RANGES["hours_to_expiry"]) * 1000, 24)
        else:
            left = minute_of(row["until"]) * 60000 - place.local_ms % DAY_MS
            days = half_even((left if left > 0 else left + DAY_MS) * NANO, DAY_MS)
        customers = self.formula.value(inputs)[0] if self.formula else micro(row["customers_per_day"]) * 1000
        customers = cut(half_even(max(customers, 0) * days, NANO))
        units = clamp(inputs["available"] // MICRO, 1, 10**9)
        if units > UNITS_MAX:
            customers, units = half_even(customers * UNITS_MAX, units), UNITS_MAX
        worth = clearing_worth(units * NANO, customers)
        return self.of_nano(cut(half_even((NANO + worth) * NANO, micro(row["sensitivity"]) * 1000)), True)


# ---- the schedule of a model -----------------------------------------------------------------------------------------------

class Schedule:
    """When a model is in effect, and the clock that it goes by."""

    def __init__(self, row):
        self.zone = zoneinfo.ZoneInfo(row["time_zone"]) if "time_zone" in row else None
        self.calendars = row.get("calendars", {})
        self.begin, self.end = (self.midnight(row[key]) if key in row else None for key in ("from", "until"))
        self.dated = self.begin is not None or self.end is not None

    def midnight(self, text):
        day = datetime.datetime.fromisoformat(text).replace(tzinfo=self.zone or datetime.timezone.utc)
        return int(day.timestamp()) * 1000

    def holds(self, now):
        return (self.begin is None or self.begin <= now) and (self.end is None or now < self.end)

    def local_ms(self, now, zone_offset_ms):
        if self.zone is None:
            return now + zone_offset_ms
        moment = datetime.datetime.fromtimestamp(now // 1000, self.zone)
        return now + round(moment.utcoffset().total_seconds()) * 1000
