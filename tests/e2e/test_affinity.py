#!/usr/bin/env python3
"""Affinity by price group: learned from a customer's own permitted events while a model asks for it, and from nothing else; it fades, and goes with
the consent that it rests on. Half-life 8 days, so that an eighth of it is a day; weights: view 0.25, cart 0.5, order 1; prior 1."""
from rialto_test import *

DAY_S = 86400
AFFINITY = {"half_life": "8d", "prior_events": 1, "weights": {"view": 0.25, "cart": 0.5, "order": 1}}
GIFTS = simple_model(model="gifts", group="gifts", scope={"categories": ["gifts/*"], "currencies": ["EUR"]}, affinity=AFFINITY, age_limits={"affinity": "30d"},
                     personal=[{"name": "likes", "affinity": [[0, 1], [0.5, 0.9], [0.9, 0.6]]}],
                     guardrails={"floor": 0.5, "ceiling": 1.5, "personal": [0.8, 1], "never_above_baseline": True})
FOOD = simple_model(model="food", group="food", scope={"categories": ["food/*"], "currencies": ["EUR"]})
BOTH = ["behaviour", "purchases"]


def gift(who, event="order", **more):
    return demand("vase", event, customer=who, **{"category": "gifts/home", **more})


def bread(who, event="order", **more):
    return demand("bread", event, customer=who, category="food/bakery", **more)


def price(share):
    """Of the vase at a share up to 0.5: 1000 x (1 - share / 5), multiplier in 1e-4."""
    return round(round(10000 * (1 - share / 5)) / 10)


with Service(models={"gifts.json": GIFTS, "food.json": FOOD}, attribute_age_max_s=60 * DAY_S) as service:
    service.accept(product("vase", 1000, category="gifts/home"), product("bread", 1000, category="food/bakery"))
    OWN = ("--set", f"data_dir={service.data}")

    def amount(who=None, sku="vase"):
        return service.amount(sku, **({"customer": who} if who else {}))

    def tell(*signals):
        answer = service.ask(list(signals))
        equal(answer["accepted"], len(signals), answer)
        return [f["reason"] for f in answer["findings"]]

    def told(who):
        """What is kept of somebody's affinity: (behaviour, purchases), by group."""
        status, out, err = service.cli("export", *OWN, "--json", who)
        if status != 0:
            return None
        data = {item["name"]: item for item in json.loads(out)["data"]}
        return tuple({g: round(n, 3) for g, n in data[name]["value"].items()} if name in data else None for name in ("affinity_behaviour", "affinity_purchases"))

    @check("what a customer orders and looks at moves that customer's price in its group, within the clamp, and nobody else's")
    def _():
        tell(customer("ann", BOTH), customer("eve", BOTH), gift("ann"))
        equal((amount("ann"), told("ann")), (price(1 / 2), (None, {"gifts": 1})))
        tell(gift("ann", "view"))
        equal((amount("ann"), told("ann")), (1000 - 100 - round(300 * (1.25 / 2.25 - 0.5) / 0.4), ({"gifts": 0.25}, {"gifts": 1})))
        tell(bread("ann"), bread("ann"), bread("ann", "cart"))
        equal((amount("ann"), told("ann")), (price(1.25 / 4.75), ({"gifts": 0.25, "elsewhere": 0.5}, {"gifts": 1, "elsewhere": 2})))
        quote = service.quote("vase", customer="ann")
        equal((sorted(quote["rests_on"]), quote["baseline"]), (BOTH, 1000))
        tell(*[gift("ann") for _ in range(40)])
        equal(amount("ann"), 800)
        equal((amount("eve"), amount(), amount("ann", "bread"), amount("unknown")), (1000, 1000, 1000, 1000))

    @check("nothing is counted without consent to its kind, nor of what happened before it; nor a search, a return, or an event of a category that no model prices")
    def _():
        equal(tell(gift("bob"), gift("bob", "view")), ["no_consent", "no_consent"])
        equal(told("bob"), None)
        tell(customer("bob", ["behaviour"]))
        equal(tell(gift("bob")), ["no_consent"])
        now = service.now_ms()
        tell(gift("bob", "view", time=now - 60000), gift("bob", "search"), gift("bob", "view", category="none/such"))
        equal((tell(gift("bob", "return")), told("bob"), amount("bob")), (["no_consent"], (None, None), 1000))
        tell(gift("bob", "view"))
        equal((told("bob"), amount("bob")), (({"gifts": 0.25}, None), price(0.25 / 1.25)))
        equal(service.quote("vase", customer="bob")["rests_on"], ["behaviour"])

    @check("an event that does not say its category is of that of its product, as it is now; what it says goes before that")
    def _():
        tell(customer("gus", BOTH), demand("vase", "view", customer="gus"))
        equal((told("gus"), amount("gus")), (({"gifts": 0.25}, None), price(0.25 / 1.25)))
        tell(demand("bread", customer="gus"), demand("vase", "cart", customer="gus", category="food/bakery"))
        equal(told("gus"), ({"gifts": 0.25, "elsewhere": 0.5}, {"elsewhere": 1}))
        tell(product("bread", 1000, category="gifts/cakes"))
        tell(demand("bread", customer="gus"))
        equal(told("gus"), ({"gifts": 0.25, "elsewhere": 0.5}, {"gifts": 1, "elsewhere": 1}))
        tell(product("bread", 1000, category="food/bakery"))

    @check("of sensitive categories nothing is learned, whether the event says so or its product is of one")
    def _():
        tell(customer("hal", BOTH), gift("hal", category="gifts/Health"), gift("hal", "view", category="gifts/health/tests"))
        equal((told("hal"), amount("hal")), ((None, None), 1000))
        tell(product("test", 1000, category="gifts/health/tests"))
        tell(demand("test", customer="hal"), demand("test", "cart", customer="hal"))
        equal((told("hal"), amount("hal")), ((None, None), 1000))

    @check("what one visit does again and again, and what is sent twice, counts once")
    def _():
        tell(customer("ian", BOTH), *[gift("ian", "view", session="same-visit") for _ in range(5)])
        equal(told("ian"), ({"gifts": 0.25}, None))
        tell(gift("ian", source="till", id="7"))
        equal(tell(gift("ian", source="till", id="7"))[:1], ["duplicate"])
        equal(told("ian"), ({"gifts": 0.25}, {"gifts": 1}))
        tell(*[gift("ian", "view", repeated=True) for _ in range(3)])
        equal(told("ian"), ({"gifts": 0.25}, {"gifts": 1}))

    @check("revoking one kind takes away its part at once and leaves the other as if there had never been one; opting out takes both")
    def _():
        tell(customer("kim", BOTH), customer("lea", ["purchases"]), customer("max", ["behaviour"]))
        for who in ("kim", "lea"):
            tell(gift(who), bread(who))
        for who in ("kim", "max"):
            tell(gift(who, "view"), gift(who, "view"))
        equal(amount("kim"), price(1.5 / 3.5))
        tell({"type": "customer", "customer": "kim", "consent": {"behaviour": False}})
        equal((amount("kim"), told("kim"), told("kim")), (amount("lea"), told("lea"), (None, {"gifts": 1, "elsewhere": 1})))
        tell(customer("kim", ["behaviour"]))
        equal(amount("kim"), price(1 / 3), "a consent that is given again brings nothing back")
        tell({"type": "customer", "customer": "kim", "consent": {"purchases": False}})
        equal((amount("kim"), told("kim")), (1000, (None, None)))
        equal(amount("max"), price(0.5 / 1.5))
        tell({"type": "customer", "customer": "max", "opt_out": True})
        equal((amount("max"), told("max")), (1000, (None, None)))

    @check("explain shows the sum, the age and the consent that it rests on")
    def _():
        status, out, err = service.cli("explain", *OWN, "--json", "lea", "vase")
        equal(status, 0, err)
        row = json.loads(out)["personal"]["rows"][0]
        equal((row["name"], row["kind"], row["rests_on"], row["permitted"], row["age_ms"]), ("likes", "affinity", ["purchases"], True, 0))
        contains(row["data"], "(")
        number = [float(word.strip("()+,/=")) for word in row["data"].split() if word.strip("()+,/=").replace(".", "", 1).isdigit()]
        require(abs(number[0] - 1 / 3) < 1e-4 and abs(number[1] - 1) < 1e-4 and abs(number[2] - 2) < 1e-4 and number[3] == 1, row["data"])
        out = service.cli("explain", *OWN, "lea", "vase")[1]
        contains(out, "affinity 0.333")
        contains(out, "(consent to purchases)")

    @check("it is the same after a restart, a kill and out of Redis: every event counts exactly once")
    def _():
        before = {who: (amount(who), told(who)) for who in ("ann", "bob", "ian", "lea")}
        service.restart()
        equal({who: (amount(who), told(who)) for who in before}, before, "restart")
        service.wait_durable()
        service.kill()
        service.start()
        equal({who: (amount(who), told(who)) for who in before}, before, "kill")
        service.wait_durable()
        service.stop()
        shutil.rmtree(service.data / "state")
        service.start()
        equal({who: (amount(who), told(who)) for who in before}, before, "out of Redis")

    @check("it fades by time alone, says nothing after the model's age limit, and is gone after attribute_age_max_s, over a restart in between")
    def _():
        tell(customer("noa", BOTH), gift("noa"), gift("noa", "cart"))
        equal(amount("noa"), 1000 - 100 - round(300 * (1.5 / 2.5 - 0.5) / 0.4))
        service.pass_time(8 * DAY_S)
        equal((amount("noa"), told("noa")), (price(0.75 / 1.75), ({"gifts": 0.25}, {"gifts": 0.5})))
        service.restart()
        service.pass_time(8 * DAY_S)
        equal((amount("noa"), told("noa")), (price(0.375 / 1.375), ({"gifts": 0.125}, {"gifts": 0.25})))
        service.pass_time(14 * DAY_S)
        equal(amount("noa"), 1000, "the newest is 30 eighths of 8 days old")
        require(told("noa")[1]["gifts"] > 0, "it is still kept")
        service.kill()
        service.start()
        service.pass_time(31 * DAY_S)
        equal(told("noa"), (None, None))

    @check("forget removes all of it, and the receipt says so")
    def _():
        tell(customer("oda", BOTH), gift("oda"), gift("oda", "view"))
        require(amount("oda") < 1000, "learned")
        receipt = json.loads(service.cli("forget", "--json", "oda")[1])["receipt"]
        equal((receipt["removed"]["state"]["affinities"], receipt["held_now"], amount("oda"), told("oda")), (1, False, 1000, None))

    @check("the page for customers says how much it may move at most, by the kinds that it rests on")
    def _():
        status, out, err = service.cli("notice", *OWN, "--json")
        equal(status, 0, err)
        gifts = {m["model"]: m for m in json.loads(out)["models"]}["gifts"]
        equal([(gifts[k]["read"], gifts[k]["lowest"]) for k in ("behaviour", "purchases", "profile", "together")], [(True, 0.8), (True, 0.8), (False, 1), (True, 0.8)])

    @check("the service counts what it learned, and what it could not place")
    def _():
        def counted():
            metrics = service.status()["metrics"]
            return metrics["affinity_events_total"], metrics["affinity_unplaced_total"]
        tell(customer("pia", BOTH))
        events, unplaced = counted()
        tell(gift("pia"), gift("pia", "cart"), demand("vase", customer="pia"), gift("pia", category="none/such"), demand("test", customer="pia"))
        wait_until(lambda: counted() == (events + 3, unplaced + 2), 5, "three and two")

POLICIES = {"de": {"policy": "de", "version": "1", "about": "de", "status": "in_force", "regions": ["DE"], "forbidden_data": {"kinds": ["behaviour"], "citation": "of the house"}},
            "ny": {"policy": "ny", "version": "1", "about": "ny", "status": "in_force", "regions": ["US-NY"],
                   "disclosure": {"code": 1, "text": "THIS PRICE USED YOUR DATA.", "citation": "GBL 349-a"}}}

with Service(models={"gifts.json": GIFTS, **{f"policies/{name}.json": p for name, p in POLICIES.items()}}) as service:
    @check("where a policy forbids behaviour no affinity that rests on it moves a price; where one asks for words, they stand beside the price that it was read for")
    def _():
        service.accept(product("vase", 1000, category="gifts/home"), {"type": "zone", "zone": "de", "region": "DE"}, {"type": "zone", "zone": "ny", "region": "US-NY"},
                       product("vase", 1000, category="gifts/home", zone="de"), product("vase", 1000, category="gifts/home", zone="ny"),
                       customer("ann", ["behaviour"]), customer("bob", ["purchases"]), customer("eve", BOTH),
                       gift("ann", "cart"), gift("ann", "cart"), gift("bob"))

        def quote(who, zone):
            q = service.quote("vase", customer=who, zone=zone, basis="store")
            return q["amount"], q["data_used"], bool(q.get("disclosure"))
        equal([quote(who, "de") for who in ("ann", "bob", "eve")], [(1000, [], False), (900, ["purchases"], False), (1000, [], False)])
        equal([quote(who, "ny") for who in ("ann", "bob", "eve")], [(900, ["behaviour"], True), (900, ["purchases"], True), (1000, [], False)])

with Service(models={"gifts.json": {**GIFTS, "personal": []}, "food.json": FOOD}) as service:
    @check("no model asks for it: nothing is learned, whatever is permitted")
    def _():
        service.accept(product("vase", 1000, category="gifts/home"), customer("ann", BOTH), demand("vase", "order", customer="ann", category="gifts/home"))
        out = json.loads(service.cli("export", "--set", f"data_dir={service.data}", "--json", "ann")[1])
        equal([item["name"] for item in out["data"] if item["name"] != "looked_at"], ["consent"])  # the order keeps its product's quote fresh in Redis


@check("models that cannot be are refused with their place: a share outside 0 to 1, no row's only key, two ways to measure")
def _():
    def refused(**models):
        folder = temporary_folder()
        for name, model in models.items():
            (folder / f"{name}.json").write_text(json.dumps(model))
        status, out, err = run(BIN / "rialto", "check", folder)
        require(status != 0, "it was taken")
        return out + err
    row = lambda **more: {**GIFTS, "personal": [{"name": "likes", **more}]}
    contains(refused(gifts=row(affinity=[[0, 1], [1.5, 0.9]])), "affinity lies between 0 and 1")
    contains(refused(gifts=row(affinity_steps=[[-0.1, 1]])), "affinity lies between 0 and 1")
    contains(refused(gifts=row(affinity=[[0, 1]], tier={"gold": 0.9})), "one row reads one kind of data")
    contains(refused(gifts={**GIFTS, "affinity": {**AFFINITY, "half_life": "59m"}}), "expected a time from 1h to 365d")
    food = {**FOOD, "personal": GIFTS["personal"], "affinity": {**AFFINITY, "half_life": "9d"}}
    contains(refused(food=food, gifts=GIFTS), "measures affinity by another half_life")
finish()
