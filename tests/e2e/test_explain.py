#!/usr/bin/env python3
"""Why a price is what it is: the steps that `rialto explain` tells multiply out to the amount that a quote gives, for every
product of the bundled recording; computed here with fractions, from the model files as they stand."""
from fractions import Fraction

from recompute import Model, without_comments
from rialto_test import *

MODELS = {f.name: f.read_text() for f in (ROOT / "models").glob("*.json")}


def half_even(x):
    """To the nearest whole number, ties to the even one."""
    return round(Fraction(x))


def nearest_ending(amount, step, less, floor, ceiling):
    """Looks at the allowed amounts around; ties to the lower one."""
    k = (amount + less) // step
    allowed = [n * step - less for n in range(max(k - 3, 1), k + 4) if floor <= n * step - less <= ceiling]
    return min(allowed, key=lambda a: (abs(a - amount), a), default=amount)


def curve(row, x):
    """The value of a factor as the model file states it."""
    points = [(Fraction(str(a)), Fraction(str(b))) for a, b in row.get("curve", row.get("steps"))]
    if x <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if x < x1:
            return y0 if "steps" in row else y0 + Fraction(half_even((y1 - y0) * (x - x0) / (x1 - x0) * 10**6), 10**6)
    return points[-1][1]


def factor_of(row, inputs):
    for read in inputs:
        require((read["value"] is None) == (read["state"] not in ("current", "always known")), inputs)
    if "clearing" in row:  # no stock of the recording says when it ends
        require([read["value"] for read in inputs if read["name"] == "hours_to_expiry"] == [None], inputs)
        return 1
    [read] = inputs
    equal(read["name"], row["input"])
    return 1 if read["value"] is None else curve(row, Fraction(read["value"]))


def walk(e, models):
    """Follow the steps of the product's part; the amount at their end, in minor units."""
    model, amount, at = models[e["model"]], None, 0
    for step in e["steps"]:
        op, after = step["step"], Fraction(step["amount_minor"])
        if op == "list":
            wanted = Fraction(e["list"])
        elif op == "factor":
            row = model["factors"][at]
            at += 1
            equal(step["name"], row["name"], e["sku"])
            equal(Fraction(step["times"]), factor_of(row, step["inputs"]), f"{e['sku']} {row['name']} {step['inputs']}")
            wanted = Fraction(half_even(amount * Fraction(step["times"]) * 10**6), 10**6)
        elif op == "round":
            wanted = half_even(amount)
        elif op in ("floor", "margin"):
            require(amount < e["floor"], e["sku"])
            wanted = e["floor"]
        elif op == "ceiling":
            require(amount > e["ceiling"], e["sku"])
            wanted = e["ceiling"]
        elif op == "ending":
            wanted = nearest_ending(amount, e["ending_step"], e["ending_less"], e["floor"], e["ceiling"])
        else:
            require(op in ("largest_step", "dead_band") and op in e["guardrails"], f"{e['sku']}: {op} {e['guardrails']}")
            wanted = e["baseline"]
        equal(after, wanted, f"{e['sku']} in {e['zone']!r}: {op}")
        amount = after
    equal(at, len(model["factors"]), "factors")
    return amount


def walk_personal(e, amount):
    for step in e["personal_steps"]:
        op, after = step["step"], Fraction(step["amount_minor"])
        wanted = {"personal": lambda: amount * Fraction(step["times"]), "round": lambda: half_even(amount), "floor": lambda: e["floor"],
                  "ending": lambda: nearest_ending(amount, e["ending_step"], e["ending_less"], e["floor"], e["ceiling"])}[op]()
        equal(after, wanted, f"{e['sku']} {op}")
        amount = after
    return amount


def tape(at_ms):
    """All of the recording, with a tick every eight hours only: what was sold moves prices all the same, in a tenth of the time."""
    path = temporary_folder() / "tape.ndjson"
    status, _, err = run(BIN / "rialto", "replay", "--out", path, "--at", str(at_ms), cwd=ROOT, timeout=60)
    equal(status, 0, err)
    held = []
    for line in path.read_text().splitlines():
        if line.startswith('{"control"'):
            row = json.loads(line)
            if row["time"] % (8 * 3600_000) == 0:
                yield held, row
                held = []
        else:
            held.append(line)
    yield held, None


def play(service):
    """Zones and skus that were heard of."""
    skus, zones = set(), {""}
    for lines, tick in tape(service.now_ms() // 86400_000 * 86400_000 + 86400_000):
        tick = tick or {"control": "tick", "time": json.loads(lines[-1])["time"]}
        require(service.ask(tick)["ok"], tick)
        for at in range(0, len(lines), 500):
            answer = service.ask("\n".join(lines[at:at + 500]).encode())
            equal(answer["rejected"], 0, answer["findings"][:1])
        for row in map(json.loads, lines):
            skus |= {row["sku"]} if row["type"] == "product" else set()
            zones |= {row["zone"]} if "zone" in row else set()
    return sorted(skus), sorted(zones)


with Service(models=MODELS, products_max=8192, cells_max=32768, customers_max=8192, clock_replay=1) as service:
    models = {m["model"]: m for m in (json.loads(without_comments(text)) for text in MODELS.values())}
    skus, zones = play(service)
    library = Library(service.cache)

    def cells():
        """Each product in each zone that has a price of its own."""
        for sku in skus:
            for zone in zones:
                status, quote = library.quote(sku, zone=zone)
                if status == 0 and quote.zone.decode() == zone:
                    yield sku, zone

    @check("every product of the recording has a price to be explained")
    def _():
        known = {sku for sku, _ in cells()}
        equal(sorted(set(skus) - known), [])
        require(len(skus) > 2400, f"{len(skus)} products")

    @check("every price of the recording: the steps multiply out to the amount of the quote, exactly")
    def _():
        ops, moved, looked = {}, 0, 0
        for sku, zone in cells():
            for _ in range(20):
                e = service.ask({"control": "explain", "sku": sku, "zone": zone})
                status, quote = library.quote(sku, zone=zone)
                require(e["ok"], f"{sku} {zone}: {e}")
                equal(walk(e, models), e["baseline"], f"{sku} in {zone}")
                if quote.baseline == e["baseline"]:
                    break
            equal((status, quote.baseline, quote.list, quote.floor, quote.ceiling), (0, e["baseline"], e["list"], e["floor"], e["ceiling"]), sku)
            moved += e["baseline"] != e["list"]
            looked += 1
            for step in e["steps"]:
                ops[step["step"]] = ops.get(step["step"], 0) + 1
        note(f"{looked} prices of {len(skus)} products, {moved} not at list; steps {ops}")
        require(looked > 3000 and moved > 300 and len(ops) >= 4, f"{looked} {moved} {ops}")

    def explained(*words):
        status, out, err = service.cli("explain", *words, "--json", "--set", f"data_dir={service.data}")
        equal((status, err), (0, ""))
        return [json.loads(line) for line in out.splitlines()]

    sku = next(s for s in skus if s.startswith("F"))

    @check("a customer's part: row by row with the consent that it rests on, and exact to the amount of the quote")
    def _():
        service.accept(customer("anna", ["profile", "purchases"], tier="gold", segments=["family"]),
                       {"type": "receipt", "customer": "anna", "amount": 100000, "currency": "CNY"})
        e = explained("anna", *skus[:40])[skus.index(sku)]
        rows = {r["name"]: r for r in e["personal"]["rows"]}
        equal({n: (r["permitted"], r["rests_on"], r["times"]) for n, r in rows.items()},
              {"loyalty": (True, ["profile"], "0.950000"), "family": (True, ["profile"], "0.970000"),
               "spend": (True, ["purchases"], "0.973333"), "nearby": (False, ["location"], "1.000000")})  # 0.98 - 0.02 x 500 / 1500
        product = Fraction(1)
        for row in rows.values():
            product = Fraction(half_even(product * Fraction(row["times"]) * 10**6), 10**6)
            equal(Fraction(row["product"]), product)
        equal(e["personal"]["multiplier_e4"], half_even(max(Fraction("0.85"), product) * 10**4))
        require("data" not in rows["nearby"] and "1000" in rows["spend"]["data"], rows)
        for e in explained("anna", *skus[:40]):
            status, quote = library.quote(e["sku"], customer="anna")
            equal(walk_personal(e, Fraction(walk(e, models))), e["amount"])
            equal((e["amount"], status), (quote.amount, 0), e["sku"])

    @check("a model that caps how far neighbours' prices may lie apart is explained as well: rides")
    def _():
        service.accept(product("ride", 210, category="rides/standard"), {"type": "supply", "sku": "ride", "available": 3, "zone": "gh:u281z"})
        for zone, who in (("", None), ("gh:u281z", None), ("gh:u281z", "anna")):
            [e] = explained(*([who] if who else ["-"]), "ride", *(("--zone", zone) if zone else ()))
            status, quote = library.quote("ride", zone=zone or None, customer=who)
            equal((status, e["zone"], e["amount"], e["floor"], e["ceiling"]), (0, zone, quote.amount, quote.floor, quote.ceiling))
            require(quote.floor == half_even(Fraction(85, 100) * quote.baseline + Fraction(1, 2)) > 0.8 * 210, f"{quote.floor} {quote.baseline}")  # not the model's own floor

    @check("zones of the bundled models are zones as signals name them: the airport is dearer")
    def _():
        def geohash(lat, lon, length):
            """G. Niemeyer's, 2008: halves of longitude and latitude in turn, five of them a character."""
            bits, low, high = "", [-180.0, -90.0], [180.0, 90.0]
            for i in range(5 * length):
                side, middle = i % 2, (low[i % 2] + high[i % 2]) / 2
                upper = (lon, lat)[side] >= middle
                bits += "01"[upper]
                (low if upper else high)[side] = middle
            return "".join("0123456789bcdefghjkmnpqrstuvwxyz"[int(bits[i:i + 5], 2)] for i in range(0, len(bits), 5))
        airport = f"gh:{geohash(48.3538, 11.7861, 5)}"
        service.accept({"type": "supply", "sku": "ride", "available": 30, "zone": airport})
        for zone, times in ((airport, "1.100000"), ("gh:u281z", "1.000000")):
            [e] = explained("-", "ride", "--zone", zone)
            equal((e["zone"], [step.get("times", "1.000000") for step in e["steps"] if step.get("name") == "place"]), (zone, [times]))

    @check("asked between two computations, it explains the price that stands: time moves inputs, not yet prices")
    def _():
        for _ in range(5):
            service.pass_time(0.3)
            for e in explained(*skus[:60]):
                equal(walk(e, models), library.quote(e["sku"])[1].baseline, e["sku"])

    @check("the text names customer, price, factors, consent and model; every amount is one of the steps'")
    def _():
        status, out, _ = service.cli("explain", "anna", sku, "--set", f"data_dir={service.data}")
        e = explained("anna", sku)[0]
        for part in ("anna pays", sku, "model groceries 2026-11-01", "demand", "no opinion", "gold", "consent to profile", "not permitted",
                     "= baseline", "= amount", f"{e['amount'] / 100:.2f}"):
            contains(out, part)

    @check("asking changes nothing: neither prices nor what was applied")
    def _():
        before = service.status()["metrics"]
        for _ in range(20):
            service.ask({"control": "explain", "sku": sku})
        after = service.status()["metrics"]
        equal([before[k] for k in ("cells_changed_total", "records_applied_total")], [after[k] for k in ("cells_changed_total", "records_applied_total")])

    @check("personal data are shown only for the key; what cannot be asked is refused with the reason")
    def _():
        key = (service.data / "key").read_text()
        equal((service.data / "key").stat().st_mode & 0o777, 0o600)
        for question, reason in (({"control": "terms", "customer": "anna", "group": 0}, "not_allowed"),
                                 ({"control": "terms", "customer": "anna", "group": 0, "key": key[:-1] + "x"}, "not_allowed"),
                                 ({"control": "terms", "customer": "ben", "group": 0, "key": key}, "unknown_customer"),
                                 ({"control": "explain"}, "missing_field"), ({"control": "explain", "sku": 7}, "wrong_type"),
                                 ({"control": "explain", "sku": "nothing"}, "unknown_product"),
                                 ({"control": "explain", "sku": sku, "zone": "a//b"}, "bad_zone"),
                                 ({"control": "explain", "sku": sku, "zone": "nowhere"}, "no_price")):
            answer = service.ask(question)
            equal((answer["ok"], answer["reason"]), (False, reason), question)
        require("0.95" not in json.dumps(service.ask({"control": "explain", "sku": sku})), "personal terms in the product's part")
        status, out, err = service.cli("explain", "anna", sku)
        require(status == 0 and "gold" not in out and "data folder" in out, out + err)

    @check("a worker that dies while it is asked: the asker is told at once, and answered again soon")
    def _():
        for pid in (pid for name, pid in service.children().items() if name.startswith("worker")):
            os.kill(pid, signal.SIGSTOP)
            threading.Timer(0.3, os.kill, (pid, signal.SIGKILL)).start()
        began = time.monotonic()
        answer = service.ask({"control": "explain", "sku": sku})
        equal((answer["ok"], answer["reason"]), (False, "no_answer"))
        require(time.monotonic() - began < 3 * SLOW, "too late")
        wait_until(lambda: service.ask({"control": "explain", "sku": sku})["ok"], 10, "an answer")
        equal(walk(explained(sku)[0], models), library.quote(sku)[1].baseline)

with Service(models={"shop.json": simple_model(guardrails={"floor": 0.1, "ceiling": 1.5, "margin": 0.1})}) as service:
    @check("a zone's price without a cost keeps the margin over the cost that is known around it, in its currency")
    def _():
        service.accept(product("bike", 28000, cost=18500), product("bike", 28000, zone="de/a", promotion=0.3), product("bike", 28000, zone="de/b", cost=10000, promotion=0.3))
        equal([service.amount("bike", zone=zone) for zone in ("de/a", "de/b")], [20350, 11000])  # 1.1 x 185.00 and 1.1 x 100.00, by hand
        status, out, err = service.cli("explain", "--json", "--zone", "de/a", "bike")
        equal((status, json.loads(out)["floor"]), (0, 20350), err)
        service.accept(product("bike", 28000, cost=20000))
        equal(service.amount("bike", zone="de/a"), 22000)

ROWS = {cells[1].strip("`"): cells[6] for line in run(BIN / "rialto", "check", "--inputs")[1].splitlines()[2:] for cells in [[c.strip() for c in line.split("|")]]}
NAMES = sorted(ROWS)
FORMULAS = [" or ".join(f"known({name})" for name in NAMES[at:at + 9]) for at in range(0, len(NAMES), 9)]
ALL = simple_model(competitors=True, origin=[48, 11], factors=[{"name": f"f{i}", "expression": f"if({text}, 1, 1)"} for i, text in enumerate(FORMULAS)])
# What is told of every input of a product of which nothing but its list price was heard; then once of it all was; then eight days later.
WEATHER = ("temperature_c", "precipitation_mm_h", "wind_m_s", "humidity")
SUPPLY = ("available", "available_ratio", "capacity", "cover_days", "hours_to_expiry")
RATES = ("views_per_day", "carts_per_day", "orders_per_day")
TOLD = {**dict.fromkeys((*WEATHER, *SUPPLY, "promotion", "competitor_ratio", "competitor_median"), ("never heard of", "current", "too old")),
        **dict.fromkeys(("cost", "cost_ratio", "distance_km"), ("never heard of", "current", "current")), "demand_pressure": ("never heard of", "current", "too little known"),
        **dict.fromkeys(RATES, ("always known", "current", "current")), **dict.fromkeys(("hour", "weekday", "month", "day_of_month"), ("current", "current", "current")),
        **dict.fromkeys(("list", "zone_level"), ("always known", "always known", "always known"))}
with Service(models={"shop.json": ALL}, clock_replay=1) as service:
    def inputs(product="bike"):
        steps = json.loads(service.cli("explain", "--json", product, "--zone", "c1")[1])["steps"]
        return {row["name"]: row for step in steps for row in step.get("inputs", [])}

    def told(at, around=("list", "zone_level")):
        equal({name: (row["state"], row.get("zone")) for name, row in inputs().items()},
              {name: (states[at], "c1" if name not in around and states[at] not in ("never heard of", "always known") else None) for name, states in TOLD.items()})

    @check("what was heard and holds no more is told as that, with whose it was and when, not as never heard of: each input there is")
    def _():
        equal(sorted(TOLD), NAMES)
        day = {"until": service.now_ms() + 86400000}
        service.accept(product("bike", 28000, zone="c1"))
        told(0)
        began = service.now_ms()
        service.accept({"type": "zone", "zone": "c1", "lat": 49, "lon": 12}, {"type": "weather", "zone": "c1", "temperature_c": 20, "precipitation_mm_h": 1, "wind_m_s": 2, "humidity": 0.5},
                       product("bike", 28000, zone="c1", promotion=0.9, cost=20000, **day), {"type": "competitor", "sku": "bike", "zone": "c1", "competitor": "x", "amount": 27000, "currency": "EUR"},
                       {"type": "supply", "sku": "bike", "zone": "c1", "available": 3, "capacity": 10, "expires": service.now_ms() + 30 * 86400000},
                       *(demand("bike", event, zone="c1") for event in ("view", "cart", "order") for _ in range(20)))
        told(1)
        heard = {name: row["observed_ms"] for name, row in inputs().items() if TOLD[name][2] == "too old"}
        require(all(began <= at <= service.now_ms() for at in heard.values()), heard)
        service.pass_time(8 * 86400)
        wait_until(lambda: service.quote("bike", zone="c1")["baseline"] == 28000, 10, "list")
        told(2)
        equal({name: row["observed_ms"] for name, row in inputs().items() if name in heard}, heard)
        out = service.cli("explain", "bike", "--zone", "c1")[1]
        for name in heard:
            contains(out, f"{name}: too old (of c1, 8 days ago), so no opinion")

    @check("stock without a capacity and without an end: of these two nothing was heard, young or old")
    def _():
        service.accept(product("kite", 1000, zone="c1"), {"type": "supply", "sku": "kite", "zone": "c1", "available": 3})
        for state, ratio in (("current", "too little known"), ("too old", "too old")):
            equal([inputs("kite")[name]["state"] for name in SUPPLY], [state, ratio, "never heard of", state, "never heard of"])
            service.pass_time(8 * 86400)
            wait_until(lambda: service.status()["metrics"]["tick_ms"] >= service.now_ms() - 1000, 10, "the tick")

with Service(models={"shop.json": simple_model(personal=[{"name": "loyal", "spend": [[0, 1], [1000, 0.9]]}])}) as service:
    @check("money and offers are told in words of people: no minor units, no ten-thousandths")
    def _():
        def said(*words):
            return service.cli("explain", *words, "--set", f"data_dir={service.data}")[1]

        service.accept(product("bike", 28000), customer("anna", ["purchases", "profile"], spend=12350, currency="EUR"))
        contains(said("anna", "bike"), "spend 123.50 EUR (consent to purchases)")
        for offer, words in (({"kind": "percent", "percent": 12.5}, "12.5 % off (consent to profile)\n"), ({"kind": "amount_off", "amount": 150, "currency": "EUR"}, "1.50 EUR off (consent to profile)\n"),
                             ({"kind": "fixed", "amount": 25000, "currency": "EUR"}, "250.00 EUR (consent to profile)\n")):
            service.accept({"type": "offer", "customer": "anna", "sku": "bike", "until": service.now_ms() + 86400000, **offer})
            contains(said("anna", "bike"), f"offer        {words}")
        service.accept({"type": "offer", "customer": "anna", "sku": "bike", "until": service.now_ms() + 86400000, "kind": "lock", "amount": 24000, "currency": "EUR"})
        contains(said("anna", "bike"), "250.00 EUR, price locked at 240.00 EUR (consent to profile)\n")

    @check("what is no name of a zone is told as that, before anybody is asked")
    def _():
        for command, words in (("quote", ("-", "bike")), ("explain", ("bike",))):
            for name in ("bad zone", "/c1", "c1//s25"):
                status, out, err = service.cli(command, *words, "--zone", name)
                equal((status, out, f'"{name}" is not the name of a zone' in err), (2, "", True), err)
            equal(service.cli(command, *words, "--zone", "nowhere")[0], 0)

TRIED = simple_model(scope={"categories": ["*"], "currencies": ["JPY"]}, personal=[{"name": "loyalty", "tier": {"gold": 0.93}}], rounding={"step": 5},
                     guardrails={"floor": 0.5, "ceiling": 1.5, "personal": [0.5, 1]})
with Service(models={"shop.json": TRIED}) as service:
    @check("a price on paper is told by the steps that the service tells of it, each rounding among them")
    def _():
        service.accept(product("bike", 331, currency="JPY"), {"type": "supply", "sku": "bike", "available": 3}, customer("anna", ["profile"], tier="gold"))
        known = ("--set", f"data_dir={service.data}")
        told = json.loads(service.cli("explain", "anna", "bike", "--json", *known)[1])
        paper = ("try", service.models / "shop.json", "--list", "331", "--tier", "gold", "available=3")
        tried = json.loads(run(BIN / "rialto", *paper, "--json")[1])
        bare = lambda steps: [{key: value for key, value in step.items() if key not in ("inputs", "kind")} for step in steps]
        equal(tried["steps"], bare(told["steps"]) + bare(told["personal_steps"]))
        # by hand: 331 x 1.2 = 397.2, to whole yen, to fives; 395 x 0.93 = 367.35
        equal([(step["step"], step["amount_minor"]) for step in tried["steps"]],
              [(name, f"{amount:.6f}") for name, amount in (("list", 331), ("factor", 397.2), ("factor", 397.2), ("round", 397), ("ending", 395), ("personal", 367.35), ("round", 367), ("ending", 365))])
        equal((tried["baseline"], tried["amount"]), (395, 365))
        lines = lambda text: [line for line in text.splitlines() if re.match("  (round|ending|personal|= baseline) ", line)]
        text = run(BIN / "rialto", *paper)[1]
        equal((lines(text), len(lines(text))), (lines(service.cli("explain", "anna", "bike", *known)[1]), 6), text)

TOMORROW = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 86400))
with Service(models={"shop.json": simple_model(schedule={"until": TOMORROW})}, clock_replay=1) as service:
    @check("a model whose days are over, and that no other follows: its prices stand as they were, over a restart too, and explain says so")
    def _():
        def explained():
            return json.loads(service.cli("explain", "--json", "bike")[1])

        def told():
            quote = service.quote("bike")
            steps = [(step["step"], step["amount_minor"]) for step in explained()["steps"]]
            return (quote["amount"], quote["model"]), steps

        known = ("--set", f"data_dir={service.data}")
        service.accept(product("bike", 1000), {"type": "supply", "sku": "bike", "available": 3})
        before = told()
        equal(before, ((1200, "shop"), [("list", "1000.000000"), ("factor", "1200.000000"), ("factor", "1200.000000")]))
        require("ended" not in explained(), "it is in effect")
        service.pass_time(86405 - service.now_ms() // 1000 % 86400)
        wait_until(lambda: service.ask({"control": "explain", "sku": "bike"}).get("ended"), 10, "the end")
        for restarted in (False, True):
            equal((told(), explained()["ended"]), (before, True), f"restarted: {restarted}")
            contains(service.cli("explain", "bike")[1], "no model prices it any more: it stands as it was")
            found = json.loads(service.cli("diff", "--json", *known)[1])
            equal([found[name] for name in ("prices", "up", "down", "uncovered")], [1, 0, 0, 0])
            if not restarted:
                service.restart()
        equal(service.ask(product("bike", 2000))["findings"][0]["reason"], "no_model")
        model = simple_model(version="2")
        (service.models / "shop.json").write_text(json.dumps(model))
        equal(service.cli("apply", service.models, *known)[0], 0)
        equal((service.quote("bike")["model"], service.quote("bike")["version"], "ended" in explained()), ("shop", "2", False))

with Service(models={"shop.json": simple_model()}) as service:
    @check("a zone that moves to where no list price is: its price stands as it was, while its line is written again and over a restart")
    def _():
        service.accept({"type": "zone", "zone": "de"}, {"type": "zone", "zone": "fr"}, {"type": "zone", "zone": "shop", "parent": "de"},
                       product("bike", 1000, zone="de"), {"type": "supply", "sku": "bike", "zone": "shop", "available": 3})
        equal(service.amount("bike", zone="shop"), 1200)
        service.accept({"type": "zone", "zone": "shop", "parent": "fr"})
        service.accept(product("bike", 1000, zone="de", category="food/other"))
        equal(service.amount("bike", zone="shop"), 1200)
        contains(service.cli("explain", "bike", "--zone", "shop")[2], "no_price")
        service.restart()
        equal(service.amount("bike", zone="shop"), 1200)
        service.accept(product("bike", 2000, zone="fr"))
        equal(service.amount("bike", zone="shop"), 2400)

CLOCK = [{"name": "late", "input": "hour", "steps": [[0, 1.1], [24, 1]]}, {"name": "day", "input": "weekday", "steps": [[1, 1.2], [7, 1.3]]}]
with Service(models={"shop.json": simple_model(factors=CLOCK)}, clock_replay=1) as service:
    @check("people are told the time of day and the day of the week, programs the number")
    def _():
        begin = service.now_ms() // 86400000 * 86400000 + 86400000
        service.accept(product("bike", 28000))
        for minute in (0, 1, 8, 59, 60, 14 * 60 + 7, 14 * 60 + 8, 23 * 60 + 59):
            require(service.ask({"control": "tick", "time": begin + minute * 60000})["ok"], "tick")
            wait_until(lambda: service.status()["metrics"]["tick_ms"] >= begin + minute * 60000, 10, "the tick")
            out = service.cli("explain", "bike")[1]
            contains(out, f"hour {minute // 60:02}:{minute % 60:02}", minute)
            contains(out, "weekday " + time.strftime("%A", time.gmtime(begin // 1000)))
            steps = json.loads(service.cli("explain", "--json", "bike")[1])["steps"]
            equal(round(float(next(row["value"] for step in steps for row in step.get("inputs", []) if row["name"] == "hour")) * 60, 2), minute)

with Service(models={"shop.json": ALL}) as service:
    @check("of a product of which only the list price was heard, every input is what the table of inputs says of a missing one")
    def _():
        service.accept(product("bike", 28000))
        status, out, err = service.cli("explain", "--json", "bike")
        equal(status, 0, err)
        seen = {row["name"]: row["value"] for step in json.loads(out)["steps"] for row in step.get("inputs", [])}
        equal(sorted(seen), NAMES)
        require(set(ROWS.values()) == {"`missing`", "always known", "0: nothing was heard"} and len(NAMES) > 20, ROWS)
        for name, value in seen.items():
            equal("`missing`" if value is None else "0: nothing was heard" if name.endswith("_per_day") and float(value) == 0 else "always known", ROWS[name], f"{name} {value}")
finish()
