#!/usr/bin/env python3
"""Offers that models make by themselves: three times in the cart and not bought, bought again and again; behind consents, within budgets,
once whatever dies, gone with the consent or the customer. Offers of the shop for so many units: used up by the customer's orders, once each. Prices are worked by hand: 1000 less ten percent, or less 50 cents."""
from rialto_test import *

DAY, DAY_MS, WORDS = 86400, 86400000, "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA."


def rule(name, event, times, discount, kinds=None, **more):
    made = {"name": name, "trigger": {"event": event, "times": times, "within": "7d", "apart": "0s"}, "discount": discount, "valid_for": "2d",
            "cooldown": "30d", "per_customer": {"offers": 16, "per": "30d"}, "budget": {"offers": 6400, "per": "365d"}}
    for key, value in more.items():
        made[key] = {**made[key], **value} if isinstance(value, dict) else value
    return made


MODEL = simple_model(offers=[
    rule("cart-reminder", "cart", 3, {"percent": 10}, trigger={"unless": "order"}),
    rule("regular", "order", 2, {"amount_off": 50, "stackable": True}, trigger={"apart": "1d"}, valid_for="20d"),
])
SMALL_BUDGET = simple_model(model="small", scope={"categories": ["small"], "currencies": ["EUR"]}, group="small", personal=[],
                            offers=[rule("few", "view", 1, {"percent": 10}, budget={"offers": 64, "per": "1d"})])
# A model of one product by itself, with bounds: the guardrails speak last.
BOUND = simple_model(model="bound", scope={"categories": ["bound"], "currencies": ["EUR"]}, group="bound", personal=[],
                     offers=[rule("deep", "view", 1, {"percent": 60})])
NY = {"policy": "ny", "version": "1", "about": "ny", "status": "in_force", "regions": ["US-NY"],
      "disclosure": {"code": 1, "text": WORDS, "citation": "GBL 349-a"}}
FILES = {"shop.json": MODEL, "small.json": SMALL_BUDGET, "bound.json": BOUND, "policies/ny.json": NY}
BOTH = ["behaviour", "purchases"]

with Service(models=FILES) as service:
    service.accept({"type": "zone", "zone": "ny", "region": "US-NY"})
    service.accept(*(product(sku, 1000) for sku in ("tea", "milk", "jam", "rare-zq9", "plum", "kill", "late", "cake", "rare-zq7")),
                   product("drop", 1000, category="small"), product("low", 1000, category="bound"), product("tea", 1000, zone="ny"))

    def carts(who, sku, times=3, **more):
        for _ in range(times):
            service.accept(demand(sku, "cart", customer=who, **more))

    def order(who, sku, **more):
        service.accept(demand(sku, customer=who, amount=1000, currency="EUR", **more))

    def told(who):
        status, out, err = service.cli("export", "--set", f"data_dir={service.data}", "--json", who)
        # but what is looked at: the publisher's for minutes, and gone with the consent (test_erasure.py)
        return [item for item in json.loads(out)["data"] if item["name"] != "looked_at"] if status == 0 else None

    def stored(*words):
        """Which words stand in state files or in Redis."""
        service.wait_durable()
        redis = service.redis()
        state = b"".join(file.read_bytes() for file in sorted((service.data / "state").iterdir()))
        found = b"".join(value for key in redis.keys(f"{service.instance}:state:*") for value in redis.hash(key).values())
        return [word for word in words if word.encode() in state + found]

    def metric(name):
        return service.status()["metrics"][name]

    def budgeted():
        """Offers that budgets have paid for, as Redis knows it: behind a head of 8 bytes and a mask of the words that are not zero the sixth word."""
        def offers(value):
            mask, = struct.unpack_from("<Q", value, 8)
            return struct.unpack_from("<I", value, 16 + 8 * (mask & 31).bit_count())[0] if mask >> 5 & 1 else 0
        service.wait_durable()
        redis = service.redis()
        return sum(offers(value) for key in redis.keys(f"{service.instance}:state:*")
                   for field, value in redis.hash(key).items() if field.startswith("b:"))

    @check("three times in the cart and not bought: a tenth less, said to be an offer, with the data that it rests on; nobody else's price moves")
    def _():
        service.accept(customer("ann", BOTH), customer("bea", BOTH))
        carts("ann", "tea", 2)
        equal((service.amount("tea", customer="ann"), service.quote("tea", customer="ann")["data_used"]), (1000, []))
        carts("ann", "tea", 1)
        quote = service.quote("tea", customer="ann")
        equal((quote["amount"], quote["baseline"], sorted(quote["rests_on"]), sorted(quote["data_used"])), (900, 1000, BOTH, BOTH))
        require("OFFER" in quote["flags"], quote["flags"])
        equal((service.amount("tea"), service.amount("tea", customer="bea"), service.amount("milk", customer="ann")), (1000, 1000, 1000))

    @check("the words that the law asks for stand beside it where a policy asks, and not without it")
    def _():
        quote = service.quote("tea", customer="ann", zone="ny")
        equal((quote["amount"], quote["disclosure"], quote["disclosure_text"]), (900, 1, WORDS))
        equal(service.quote("tea", customer="bea", zone="ny")["disclosure"], 0)

    @check("an explanation says which model made it, by which version and rule, and on which consents it rests")
    def _():
        status, out, err = service.cli("explain", "--set", f"data_dir={service.data}", "ann", "tea")
        equal(status, 0, err)
        contains(out, 'made by the offer "cart-reminder" of model shop, version 1, on ')
        contains(out, "offer        10 % off (consent to behaviour")
        answer = json.loads(service.cli("explain", "--set", f"data_dir={service.data}", "--json", "ann", "tea")[1])
        issuer = answer["personal"]["offer"]["issued_by"]
        equal((issuer["model"], issuer["version"], issuer["offer"]), ("shop", "1", "cart-reminder"))
        require(0 <= service.now_ms() - issuer["at_ms"] < 60000 * SLOW, issuer)

    @check("without one of the consents nothing is counted, and nothing of it is stored")
    def _():
        carts_of = [demand("rare-zq9", "cart", customer="cleo") for _ in range(4)]
        equal([f["reason"] for f in service.ask(carts_of)["findings"]], ["no_consent"] * 4)
        service.accept(customer("cleo", ["behaviour"]))
        carts("cleo", "rare-zq9", 4)
        equal([d["name"] for d in told("cleo")], ["consent"], "what leads to it includes that nothing was ordered")
        service.accept(customer("cleo", BOTH))
        equal((service.amount("rare-zq9", customer="cleo"), [d["name"] for d in told("cleo")]), (1000, ["consent"]))
        carts("cleo", "rare-zq9", 1)
        events = {d["name"]: d for d in told("cleo")}["offer_events"]
        equal((events["sku"], len(events["carts_ms"])), ("rare-zq9", 1))

    @check("bought again and again: half a euro less, off the customer's own price; an order ends the offer that was for who did not buy")
    def _():
        now = service.now_ms()
        service.accept(customer("dora", [*BOTH, "profile"], tier="gold"))
        order("dora", "milk", time=now - 2 * DAY_MS)
        order("dora", "milk", time=now)
        quote = service.quote("milk", customer="dora")
        equal((quote["amount"], sorted(quote["rests_on"])), (850, ["profile", "purchases"]))  # 1000 x 0.9 - 50
        carts("dora", "jam")
        equal(service.amount("jam", customer="dora"), 900)
        order("dora", "jam")
        equal((service.amount("jam", customer="dora"), "OFFER" in service.quote("jam", customer="dora")["flags"]), (900, False), "gold pays as much without")

    @check("guardrails speak last: sixty percent off end at the floor")
    def _():
        service.accept(customer("emma", ["behaviour"]), demand("low", "view", customer="emma"))
        quote = service.quote("low", customer="emma")
        equal(quote["amount"], 500)
        require({"OFFER", "BOUNDED"} <= set(quote["flags"]), quote["flags"])

    @check("taking a consent back ends the offer with the acknowledgement, and all that led to it; the quote says so")
    def _():
        service.accept(customer("fay", BOTH))
        carts("fay", "rare-zq9")
        equal(service.amount("rare-zq9", customer="fay"), 900)
        service.accept({"type": "customer", "customer": "fay", "consent": {"behaviour": False}})
        quote = service.quote("rare-zq9", customer="fay")
        equal((quote["amount"], quote["data_used"], [d["name"] for d in told("fay")]), (1000, [], ["consent"]))
        service.accept(customer("fay", BOTH))
        equal(service.amount("rare-zq9", customer="fay"), 1000, "it does not come back")
        carts("fay", "rare-zq9")  # neither does its cooldown: nothing is kept of it over the revocation
        equal((service.amount("rare-zq9", customer="fay"), [d["name"] for d in told("fay")]), (900, ["consent", "offer", "offer_made"]))

    @check("forget takes it all, and the receipt counts it; neither state nor Redis knows the customer's products any more")
    def _():
        service.accept(customer("gus-zq8", BOTH))
        carts("gus-zq8", "plum")
        equal(service.amount("plum", customer="gus-zq8"), 900)
        carts("gus-zq8", "milk", 1)
        equal(stored("gus-zq8"), ["gus-zq8"])
        receipt = json.loads(service.cli("forget", "--json", "gus-zq8")[1])["receipt"]
        equal((receipt["removed"]["state"]["offers"], receipt["removed"]["state"]["offer_events"], receipt["held_now"]), (1, 2, False))
        equal((service.amount("plum", customer="gus-zq8"), told("gus-zq8"), stored("gus-zq8")), (1000, None, []))

    @check("what is sent again counts once: three carts of one id are one, over the death of the worker in between")
    def _():
        service.accept(customer("ida", BOTH))
        for turn in range(3):
            answer = service.ask({**demand("kill", "cart", customer="ida"), "source": "shop", "id": "cart-1"})
            equal(answer["accepted"], 1, answer)
            if turn == 0:
                for name, pid in service.children().items():
                    if name.startswith("worker"):
                        os.kill(pid, signal.SIGKILL)
        events = {d["name"]: d for d in told("ida")}["offer_events"]
        equal((len(events["carts_ms"]), service.amount("kill", customer="ida")), (1, 1000))

    @check("workers killed between the carts, and again right behind the third, change nothing: one offer, made once, and its budget counted once")
    def _():
        def kill_workers():
            for name, pid in service.children().items():
                if name.startswith("worker"):
                    os.kill(pid, signal.SIGKILL)
        service.accept(customer("jo", BOTH))
        before = budgeted()
        carts("jo", "kill", 2)
        kill_workers()
        carts("jo", "kill", 1)
        made = {d["name"]: d for d in told("jo")}["offer_made"]
        kill_workers()
        service.accept(customer("jo", BOTH))  # answered, so its worker is back
        wait_until(lambda: service.amount("kill", customer="jo") == 900, 10, "the offer")
        equal({d["name"]: d for d in told("jo")}["offer_made"], made)
        carts("jo", "kill", 4)
        equal({d["name"]: d for d in told("jo")}["offer_made"], made, "its cooldown holds")
        equal(budgeted(), before + 1)

    def while_workers_die(signals_of, kills=6):
        """Turn after turn of signals, ten at a time, sent again until each is answered, while workers die at any moment; how many turns it took until so many had."""
        killed, turn, ended = [], 0, threading.Event()

        def killer():
            while not ended.wait(0.2 * SLOW):
                pids = [pid for name, pid in service.children().items() if name.startswith("worker")]
                if pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pids[len(killed) % len(pids)], signal.SIGKILL)
                        killed.append(pids)
        thread = threading.Thread(target=killer)
        thread.start()
        try:
            while turn < 3 or (len(killed) < kills and turn < 1000):
                sent = signals_of(turn)
                for at in range(0, len(sent), 10):
                    wait_until(lambda: service.ask(sent[at:at + 10]).get("accepted") == 10, 20, "an answer for each")  # sent again, each counts once
                    time.sleep(0.02)
                turn += 1
        finally:
            ended.set()
            thread.join()
        require(len(killed) >= kills, f"{len(killed)} kills")
        wait_until(lambda: len(service.children()) >= 4 and service.cli("status", "--json")[0] == 0, 20, "the workers")
        service.accept(*(customer(f"back-{i}", BOTH) for i in range(40)))  # answered by each worker, so they are back
        return turn

    @check("carts that stream in while workers are killed again and again: one offer for each customer, and the budget pays for each once")
    def _():
        who, before = [f"stream-{i}" for i in range(90)], budgeted()
        service.accept(*(customer(c, BOTH) for c in who))

        while_workers_die(lambda turn: [{**demand("plum", "cart", customer=c), "source": "stream", "id": f"{c}.{turn}"} for c in who])
        equal([service.amount("plum", customer=c) for c in who], [900] * len(who))
        equal(budgeted() - before, len(who))

    @check("state files that are lost come back out of Redis: offers, cooldowns, what was counted, budgets")
    def _():
        service.accept(customer("kim", BOTH))
        carts("kim", "late", 2)
        before = {who: told(who) for who in ("ann", "jo", "kim", "cleo")}
        budgets = sum(key.startswith("b:") for name in service.redis().keys(f"{service.instance}:state:*") for key in service.redis().hash(name))
        require(budgets >= 3, budgets)
        service.wait_durable()
        equal(service.stop(), 0)
        shutil.rmtree(service.data / "state")
        service.start()
        equal({who: told(who) for who in before}, before)
        equal((service.amount("tea", customer="ann"), service.amount("kill", customer="jo")), (900, 900))
        carts("kim", "late", 1)
        equal(service.amount("late", customer="kim"), 900)

    def limited(who, units, **more):
        return {"type": "offer", "customer": who, "sku": "cake", "kind": "percent", "percent": 20, "units": units,
                "until": service.now_ms() + 10 * DAY_MS, **more}

    def bought(who, quantity=None, **more):
        return demand("cake", customer=who, **({} if quantity is None else {"quantity": quantity}), **more)

    def left(who):
        """Units of the offer, units ordered, used up?"""
        offers = {d["name"]: d for d in told(who)}.get("offer")
        return offers and (offers["units"], offers["units_ordered"], offers["used_up"])

    PAYING = ["profile", "purchases"]

    @check("an offer of the shop for so many units: the quote holds to the last of them, and is the baseline behind it; the quote names both kinds of data")
    def _():
        service.accept(customer("una", PAYING), limited("una", 3))
        quote = service.quote("cake", customer="una")
        equal((quote["amount"], quote["baseline"], sorted(quote["data_used"])), (800, 1000, PAYING))
        service.accept(bought("una", 2))
        equal((service.amount("cake", customer="una"), left("una")), (800, (3, 2, False)))
        service.accept(bought("una"))
        quote = service.quote("cake", customer="una")
        equal((quote["amount"], quote["data_used"], "OFFER" in quote["flags"], left("una")), (1000, [], False, (3, 3, True)))
        status, out, err = service.cli("explain", "--set", f"data_dir={service.data}", "una", "cake")
        equal(status, 0, err)
        contains(out, "3 of its 3 units are ordered: it is used up")

    @check("an order for more than is left uses it up, whatever it is of; another customer's, another product's, a return or what was ordered before does not")
    def _():
        now = service.now_ms()
        service.accept(customer("vera", PAYING), customer("walt", PAYING), limited("vera", 1.5, time=now), limited("walt", 2, time=now))
        service.accept(bought("vera", time=now - 1000), demand("tea", customer="vera"), bought("vera", event="return"), bought("walt"))
        equal((left("vera"), left("walt")), ((1.5, 0, False), (2, 1, False)))
        service.accept(bought("vera", 12))
        equal((left("vera"), service.amount("cake", customer="vera"), service.amount("cake", customer="walt")), ((1.5, 1.5, True), 1000, 800))

    @check("sent again with the same id an order uses up nothing more, nor does the offer come back, over the death of the worker, and without an id either")
    def _():
        offer, order_of = {**limited("xena", 2), "time": service.now_ms(), "source": "shop", "id": "offer-x"}, {**bought("xena"), "source": "shop", "id": "order-x"}
        service.accept(customer("xena", PAYING), offer, order_of)
        for turn in range(3):
            if turn == 1:
                for name, pid in service.children().items():
                    if name.startswith("worker"):
                        os.kill(pid, signal.SIGKILL)
            equal([(f["index"], f["reason"]) for f in service.ask([order_of, offer])["findings"]], [(0, "duplicate"), (1, "duplicate")])
            equal((left("xena"), service.amount("cake", customer="xena")), ((2, 1, False), 800))
        service.accept(bought("xena"), {name: value for name, value in offer.items() if name not in ("source", "id")})
        equal((left("xena"), service.amount("cake", customer="xena")), ((2, 2, True), 1000))
        service.accept(limited("xena", 2, time=offer["time"] + 1))
        equal((left("xena"), service.amount("cake", customer="xena")), ((2, 0, False), 800), "a newer one is a new offer")

    @check("orders that stream in while workers are killed: each unit is used up once")
    def _():
        who = [f"units-{i}" for i in range(60)]
        service.accept(*(customer(c, PAYING) for c in who), *(limited(c, 100000) for c in who))
        turns = while_workers_die(lambda turn: [{**bought(c), "source": "stream", "id": f"units.{c}.{turn}"} for c in who])
        equal([left(c) for c in who], [(100000, turns, False)] * len(who))
        service.accept(*(bought(c, 100000 - turns) for c in who))
        equal([service.amount("cake", customer=c) for c in who], [1000] * len(who))

    @check("what is left of an offer, and that it is used up, comes back out of Redis, and out of state files; the same offer then gives nothing")
    def _():
        offers = {who: limited(who, 2, time=service.now_ms()) for who in ("yara", "zoe")}
        service.accept(*(customer(who, PAYING) for who in offers), *offers.values(), bought("yara"), bought("zoe", 2))
        for lose in (False, True):
            service.wait_durable()
            equal(service.stop(), 0)
            if lose:
                shutil.rmtree(service.data / "state")
            service.start()
            service.accept(offers["yara"], offers["zoe"])
            equal((left("yara"), left("zoe")), ((2, 1, False), (2, 2, True)))
            equal((service.amount("cake", customer="yara"), service.amount("cake", customer="zoe")), (800, 1000))

    @check("without consent to purchases there is no such offer, and nothing of it is stored; taken back it ends; forget counts what it removed")
    def _():
        offer = {**limited("abe-zq6", 2), "sku": "rare-zq7"}
        equal([f["reason"] for f in service.ask([offer])["findings"]], ["no_consent"])
        service.accept(customer("abe-zq6", ["profile"]))
        equal([f["reason"] for f in service.ask([offer])["findings"]], ["no_consent"])
        equal([d["name"] for d in told("abe-zq6")], ["consent"])
        service.accept(customer("abe-zq6", PAYING), offer, demand("rare-zq7", customer="abe-zq6"))
        service.accept({"type": "customer", "customer": "abe-zq6", "consent": {"purchases": False}})
        equal((service.amount("rare-zq7", customer="abe-zq6"), [d["name"] for d in told("abe-zq6")]), (1000, ["consent"]))
        service.accept(customer("abe-zq6", PAYING), {**offer, "time": service.now_ms()}, demand("rare-zq7", customer="abe-zq6", quantity=2))
        equal(stored("abe-zq6"), ["abe-zq6"])
        receipt = json.loads(service.cli("forget", "--json", "abe-zq6")[1])["receipt"]
        equal((receipt["removed"]["state"]["offers"], receipt["held_now"], told("abe-zq6"), stored("abe-zq6")), (1, False, None, []))

    def given(who, time, **more):
        return {"type": "offer", "customer": who, "sku": "jam", "kind": "percent", "percent": 20, "time": time, **more}

    def taken_back(who, time):
        return {"type": "offer", "customer": who, "sku": "jam", "kind": "withdraw", "time": time}

    @check("what the shop took back stays so: sent again, late or in the wrong order, over deaths of workers, out of state files and out of Redis; a newer one stands")
    def _():
        now = service.now_ms()
        service.accept(customer("cid-zq5", ["profile"]), customer("deb", ["profile"]), customer("eva", ["profile"]), given("cid-zq5", now - 2000), given("eva", now + 20000))
        equal((service.amount("jam", customer="cid-zq5"), service.amount("jam", customer="eva")), (800, 800))
        answer = service.ask([taken_back("cid-zq5", now - 1000), taken_back("deb", now - 1000), taken_back("eva", now)])
        equal((answer["accepted"], answer["findings"]), (3, []), "also the one whose offer has not come yet, and that of an offer by a clock that is ahead")
        late = [given("cid-zq5", now - 2000), given("cid-zq5", now - 1001), given("deb", now - 2000), given("eva", now + 20000)]
        at = told("cid-zq5")
        equal([(d["sku"], d["rests_on"], d["value_ms"], d["until_ms"] - d["value_ms"]) for d in at if d["name"] == "offer_time"], [("jam", ["profile"], now - 1000, 7 * DAY_MS)])
        for turn in range(4):
            equal([f["reason"] for f in service.ask(late)["findings"]], ["superseded"] * 4)
            equal(([service.amount("jam", customer=who) for who in ("cid-zq5", "deb", "eva")], told("cid-zq5")), ([1000] * 3, at))
            if turn == 0:
                for name, pid in service.children().items():
                    if name.startswith("worker"):
                        os.kill(pid, signal.SIGKILL)
            elif turn < 3:
                service.wait_durable()
                equal(service.stop(), 0)
                if turn == 2:
                    shutil.rmtree(service.data / "state")
                service.start()
        service.accept(given("deb", now - 500))
        equal((service.amount("jam", customer="deb"), service.amount("jam", customer="cid-zq5")), (800, 1000))
        receipt = json.loads(service.cli("forget", "--json", "cid-zq5")[1])["receipt"]
        equal((receipt["removed"]["state"]["offer_times"], receipt["held_now"], told("cid-zq5"), stored("cid-zq5")), (1, False, None, []))
        service.accept({"type": "customer", "customer": "eva", "consent": {"profile": False}})
        equal([d["name"] for d in told("eva")], ["consent"])
        equal([f["reason"] for f in service.ask([late[-1]])["findings"]], ["no_consent"])
        service.accept(customer("eva", ["profile"]), late[-1])  # told again once it is permitted again, it rests on the consent of then
        equal(service.amount("jam", customer="eva"), 800)

    @check("of who permits nothing it is not remembered that an offer was taken back")
    def _():
        equal([f["reason"] for f in service.ask([taken_back("flo-zq4", service.now_ms())])["findings"]], ["superseded"])
        equal((told("flo-zq4"), stored("flo-zq4")), (None, []))

    @check("what makes no sense is refused, with the field and the reason")
    def _():
        fixed = {"type": "offer", "customer": "una", "sku": "cake", "kind": "fixed", "amount": 5, "currency": "EUR"}
        until = {"until": service.now_ms() + 60000}
        for wrong, reason, field in (
                ({**fixed, "units": 2}, "missing_field", "/until"), ({**fixed, **until, "units": 0}, "out_of_range", "/units"),
                ({**fixed, **until, "units": -1}, "out_of_range", "/units"), ({**fixed, **until, "units": 1000000.5}, "out_of_range", "/units"),
                ({**fixed, **until, "units": "2"}, "wrong_type", "/units"), ({**fixed, **until, "units": None}, "wrong_type", "/units"),
                ({**fixed, **until, "kind": "lock", "units": 2}, "contradiction", "/units"),
                ({"type": "offer", "customer": "una", "sku": "cake", "kind": "withdraw", "units": 2}, "contradiction", "/units"),
                ({**demand("cake"), "units": 2}, "unknown_field", "/units")):
            found = service.ask([wrong])["findings"][0]
            equal((found["reason"], found["pointer"]), (reason, field), wrong)
        equal(left("una"), (3, 3, True))

    @check("a price that was promised meanwhile is owed, whatever is left; at its end an offer that is used up leaves by itself")
    def _():
        used = metric("offers_used_up_total")
        service.accept(customer("bo", PAYING), limited("bo", 1, until=service.now_ms() + DAY_MS),
                       {"type": "offer", "customer": "bo", "sku": "cake", "kind": "lock", "amount": 850, "currency": "EUR", "until": service.now_ms() + 2 * DAY_MS})
        service.accept(bought("bo"))
        quote = service.quote("cake", customer="bo")
        equal((quote["amount"], "LOCK" in quote["flags"], "OFFER" in quote["flags"], metric("offers_used_up_total") - used), (850, True, False, 1))
        service.pass_time(DAY + 1)
        equal([d["name"] for d in told("bo") if d["name"] != "offer_events"], ["consent", "lock"])
        equal(service.amount("cake", customer="bo"), 850)

    def budgets():
        status, out, err = service.cli("budgets", "--json", "--set", f"data_dir={service.data}")
        equal(status, 0, err)
        return [json.loads(line) for line in out.splitlines()]

    @check("a budget that is used up: as many as it says and no more, what is left can be seen, a metric and one line in the log for each worker; the next window gives again")
    def _():
        who, before = [f"budget-{i}" for i in range(200)], metric("offers_over_budget_total")
        service.accept(*(customer(c, ["behaviour"]) for c in who))
        service.accept(*(demand("drop", "view", customer=c) for c in who))
        amounts = [service.amount("drop", customer=c) for c in who]
        given = amounts.count(900)
        require(40 <= given <= 64, f"{given} of 64")  # 200 customers leave about 3 of 64 partitions without any: e^(-200/64) of them
        equal((given + amounts.count(1000), metric("offers_over_budget_total") - before), (200, 200 - given))
        few = next(row for row in budgets() if row["offer"] == "few")
        equal((few["offers_given"], few["offers_left"], few["offers"], few["partitions"], few["partitions_used_up"]), (given, 64 - given, 64, 64, given))
        shown = next(line.split() for line in service.cli("budgets", "--set", f"data_dir={service.data}")[1].splitlines() if line.split()[1] == "few")
        equal(shown[:5], ["small", "few", str(64 - given), "of", "64"])
        lines = [line for line in service.log().splitlines() if " OFFER-BUDGET " in line]
        require(1 <= len(lines) <= 2 and "model=small offer=few" in lines[0], lines)
        service.pass_time(DAY)
        equal([(row["offers_given"], row["offers_left"]) for row in budgets() if row["offer"] == "few"], [(0, 64)])
        equal(service.ask({"control": "budgets", "key": "nobody's"})["reason"], "not_allowed")
        service.accept(*(demand("drop", "view", customer=c) for c, amount in zip(who, amounts) if amount == 1000))
        require(sum(service.amount("drop", customer=c) == 900 for c, amount in zip(who, amounts) if amount == 1000) >= 30, "no more in the next window")

    @check("while the operator has switched all quotes to list no offer is made, and nothing is counted for one")
    def _():
        def freeze(*words):
            status, out, err = service.cli("freeze", "--all", *words, "--set", f"data_dir={service.data}", timeout=60)
            equal(status, 0, out + err)
        service.accept(customer("nell", BOTH))
        freeze("--to", "list")
        carts("nell", "milk", 4)
        equal([d["name"] for d in told("nell")], ["consent"])
        freeze("--off")
        equal(service.amount("milk", customer="nell"), 1000)
        carts("nell", "milk")
        equal(service.amount("milk", customer="nell"), 900)

    @check("an offer ends by its time, and after its cooldown it is counted anew")
    def _():
        service.accept(customer("lea", BOTH))
        carts("lea", "jam")
        equal(service.amount("jam", customer="lea"), 900)
        service.pass_time(2 * DAY)
        equal(service.amount("jam", customer="lea"), 1000)
        carts("lea", "jam")
        equal(service.amount("jam", customer="lea"), 1000, "its cooldown holds")
        service.pass_time(28 * DAY)
        equal([d["name"] for d in told("lea")], ["consent"])
        carts("lea", "jam")
        equal(service.amount("jam", customer="lea"), 900)

    @check("other models in force from one signal to the next: their offers count, and those that were made stay until they end")
    def _():
        service.accept(customer("max", BOTH))
        folder = service.folder / "next"
        folder.mkdir()
        (folder / "shop.json").write_text(json.dumps({**MODEL, "version": "2", "offers": [rule("look", "view", 2, {"fixed": 777})]}))
        status, out, err = service.cli("apply", str(folder), "--set", f"data_dir={service.data}", "--timeout", str(10000 * SLOW), timeout=60)
        equal(status, 0, out + err)
        equal(service.amount("jam", customer="lea"), 900, "version 1 made it")
        carts("max", "milk")
        equal((service.amount("milk", customer="max"), [d["name"] for d in told("max")]), (1000, ["consent"]), "nobody counts carts any more")
        service.accept(*(demand("milk", "view", customer="max") for _ in range(2)))
        equal(service.amount("milk", customer="max"), 777)

@check("rialto check names the offers of a model")
def _():
    folder = temporary_folder()
    (folder / "shop.json").write_text(json.dumps(MODEL))
    status, out, err = run(BIN / "rialto", "check", folder / "shop.json")
    equal((status, "    offers: cart-reminder regular\n" in out), (0, True), out)
    equal(json.loads(run(BIN / "rialto", "check", "--json", folder / "shop.json")[1])["offers"], 2)

@check("the notice for customers names what may lead to which offer, on which data, and how many there are at most")
def _():
    folder = temporary_folder()
    (folder / "shop.json").write_text(json.dumps({**MODEL, "offers": [{**MODEL["offers"][0], "per_customer": {"offers": 2, "per": "30d"}}]}))
    status, out, err = run(BIN / "rialto", "notice", folder)
    equal(status, 0, err)
    contains(out, "If you put a product into your cart 3 times within 7 days and do not order it, you may be offered 10 % off for 2 days. It rests on your "
                  "behaviour and purchases, and only if you permit that. At most 2 such offers in 30 days.")
    contains(out, "may lead to offers, below")
    offer = json.loads(run(BIN / "rialto", "notice", "--json", folder)[1])["models"][0]["offers"][0]
    equal((offer["offer"], offer["discount"], offer["rests_on"], offer["unless"], offer["per_customer"]), ("cart-reminder", "10 % off", BOTH, "order", 2))

finish()
