#!/usr/bin/env python3
"""What is said with a consent is kept with it; what is known of a customer has an end, says whose word it is, and goes by itself;
loyalty by what was bought in a calendar month of a named time zone."""
import datetime

from rialto_test import *

MODEL = simple_model(personal=[
    {"name": "loyalty", "tier": {"gold": 0.9}},
    {"name": "groups", "segment": {"student-xq7": 0.8, "broker-xq7": 0.7}},
    {"name": "spent", "spend_steps": [[0, 1], [1000, 0.95]]},
    {"name": "month", "month_spend_steps": [[0, 1], [50000, 0.9]]},
])
KINDS = ["location", "behaviour", "purchases", "profile", "partner"]
FIRST, DAY_MS = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc), 86400000


def ms(text):
    return (datetime.datetime.fromisoformat(text) - FIRST) // datetime.timedelta(milliseconds=1)


with Service(models={"shop.json": MODEL}, month_zone="Asia/Shanghai", attribute_age_max_s=400 * 86400) as service:
    service.accept(product("milk", 1000))

    def amount(who):
        return service.amount("milk", customer=who)

    def tell(*signals):
        answer = service.ask(list(signals))
        equal(answer["accepted"], len(signals), answer)
        return [f["reason"] for f in answer["findings"]]

    def told(who):
        status, out, err = service.cli("export", "--set", f"data_dir={service.data}", "--json", who)
        equal(status, 0, err)
        return {item["name"]: item for item in json.loads(out)["data"] if item["name"] != "looked_at"}  # which is the publisher's, for minutes

    def at(time_ms):
        answer = service.ask({"control": "tick", "time": time_ms})
        require(answer["service_time_ms"] - time_ms < 60000, f"the clock is ahead of the test: {answer}")

    def traces(*words):
        """Which words stand in state files or in Redis."""
        service.wait_durable()
        redis = service.redis()
        state = b"".join(file.read_bytes() for file in sorted((service.data / "state").iterdir()))
        stored = b"".join(value for key in redis.keys(f"{service.instance}:state:*") for value in redis.hash(key).values())
        return [word for word in words if word.encode() in state + stored]

    # ---- 1. consent ----

    @check("a consent says who said so, when and on which wording; the plain form says when; both stand in the export, over a restart, and out of Redis")
    def _():
        now = service.now_ms()
        service.accept({"type": "customer", "customer": "ann", "time": now - 5000, "tier": "gold", "consent": {
            "profile": {"granted": True, "source": "app-xq7", "text": "2026-11-xq7", "time": "2019-03-01T10:00:00Z"},
            "purchases": {"granted": False, "source": "till-25"}, "location": True}})
        wanted = [{"kind": "location", "granted": True, "time_ms": (now - 5000) // 1000 * 1000},
                  {"kind": "purchases", "granted": False, "time_ms": (now - 5000) // 1000 * 1000, "source": "till-25"},
                  {"kind": "profile", "granted": True, "time_ms": ms("2019-03-01T10:00:00+00:00"), "source": "app-xq7", "text": "2026-11-xq7"}]
        for how in ("at once", "after a restart", "out of Redis"):
            consent = told("ann")["consent"]
            equal((consent["said"], sorted(consent["value"]), consent["since_ms"], amount("ann")),
                  (wanted, ["location", "profile"], now - 5000, 900), how)
            if how == "after a restart":
                service.wait_durable()
                service.stop()
                shutil.rmtree(service.data / "state")
                service.start()
            elif how == "at once":
                service.restart()
        service.accept({"type": "customer", "customer": "ann", "consent": {"profile": {"granted": False, "source": "web", "text": "v7"}}})
        said = {s["kind"]: s for s in told("ann")["consent"]["said"]}["profile"]
        equal((said["granted"], said["source"], said["text"], amount("ann")), (False, "web", "v7", 1000))

    @check("who opts out of everything, or is forgotten, leaves no source and no wording behind")
    def _():
        note = {"granted": True, "source": "desk-zz81", "text": "wording-zz82"}
        service.accept({"type": "customer", "customer": "bob", "consent": {"profile": note, "partner": note}})
        equal(traces("desk-zz81", "wording-zz82"), ["desk-zz81", "wording-zz82"])
        service.accept({"type": "customer", "customer": "bob", "opt_out": True})
        equal((traces("desk-zz81", "wording-zz82"), told("bob")["consent"]["said"]), ([], []))
        service.accept({"type": "customer", "customer": "bea", "consent": {"profile": note}})
        receipt = json.loads(service.cli("forget", "--json", "bea")[1])["receipt"]
        equal((receipt["removed"]["state"]["consent_notes"], traces("desk-zz81", "wording-zz82")), (1, []))

    @check("what is no consent is refused where it stands, and changes nothing")
    def _():
        for consent, pointer, reason in (
                ({"profile": {"source": "app"}}, "/consent/profile", "missing_field"), ({"profile": {"granted": 1}}, "/consent/profile/granted", "wrong_type"),
                ({"profile": "yes"}, "/consent/profile", "wrong_type"), ({"profile": {"granted": True, "source": "x" * 16}}, "/consent/profile/source", "too_long"),
                ({"profile": {"granted": True, "text": ""}}, "/consent/profile/text", "bad_text"),
                ({"profile": {"granted": True, "text": "a\u0007"}}, "/consent/profile/text", "bad_text"),
                ({"profile": {"granted": True, "source": "al@shop.org"}}, "/consent/profile/source", "looks_personal"),
                ({"profile": {"granted": True, "by": "app"}}, "/consent/profile/by", "unknown_field"),
                ({"profile": {"granted": True, "time": service.now_ms() + DAY_MS}}, "/consent/profile/time", "from_future")):
            answer = service.ask({"type": "customer", "customer": "nobody", "tier": "gold", "consent": consent})
            equal((answer["rejected"], answer["findings"][0]["pointer"], answer["findings"][0]["reason"]), (1, pointer, reason))
        equal(service.cli("export", "--set", f"data_dir={service.data}", "nobody")[0], 1)

    # ---- 2. statuses, parties, age ----

    @check("a status counts until its end and is gone then, from the price and from what is kept, over a restart in between")
    def _():
        end = service.now_ms() // 1000 * 1000 + 3600000
        service.accept(customer("cleo", ["profile"], tier="gold", segments=["regular", {"name": "student-xq7", "until": end, "party": "zero"}]))
        equal(amount("cleo"), 720)  # 1000 x 0.9 x 0.8
        each = {s["name"]: s for s in told("cleo")["segments"]["each"]}
        equal((each["student-xq7"]["until_ms"], each["student-xq7"]["party"], each["regular"]["party"]), (end, "zero", "first"))
        service.restart()
        at(end - 60000)
        equal(amount("cleo"), 720)
        at(end)
        equal((amount("cleo"), told("cleo")["segments"]["value"]), (900, ["regular"]))

    @check("a tier has an end too; one that ended before it was said does not count, and one without an end counts for attribute_age_max_s")
    def _():
        now = service.now_ms() // 1000 * 1000
        service.accept(customer("dora", ["profile"], tier="gold", tier_until=now + 7200000), customer("dan", ["profile"], tier="gold", tier_until=now - 1000),
                       customer("drew", ["profile"], tier="gold", time=now))
        equal((amount("dora"), amount("dan"), amount("drew")), (900, 1000, 900))
        equal(told("drew")["tier"]["until_ms"], now + 400 * DAY_MS)
        at(now + 7200000)
        equal((amount("dora"), amount("drew")), (1000, 900))
        require("tier" not in told("dora"), "the tier is still kept")

    @check("what others say counts with consent to partner data only, the quote says that it rests on them, and it goes when that is revoked")
    def _():
        both = {"segments": ["regular", {"name": "broker-xq7", "party": "third"}]}
        equal(tell(customer("emma", ["profile"], **both)), ["no_consent"])
        equal((amount("emma"), told("emma")["segments"]["value"]), (1000, ["regular"]))
        equal(tell(customer("emma", ["partner"], **both)), [])
        quote = service.quote("milk", customer="emma")
        equal((quote["amount"], sorted(quote["rests_on"]), sorted(quote["data_used"])), (700, ["partner", "profile"], ["partner", "profile"]))
        service.accept({"type": "customer", "customer": "emma", "consent": {"partner": False}})
        equal((amount("emma"), told("emma")["segments"]["value"]), (1000, ["regular"]))

    @check("a tier or spend of a partner's word goes with the consent to partner data; the shop's own word does not")
    def _():
        service.accept(customer("finn", KINDS, tier="gold", spend=500000, currency="EUR", party="second"), customer("fred", KINDS, tier="gold", spend=500000, currency="EUR"))
        equal((amount("finn"), amount("fred")), (855, 855))  # 1000 x 0.9 x 0.95
        equal((told("finn")["tier"]["party"], told("fred")["tier"]["party"]), ("second", "first"))
        service.accept(*({"type": "customer", "customer": who, "consent": {"partner": False}} for who in ("finn", "fred")))
        equal((amount("finn"), amount("fred"), sorted(told("finn"))), (1000, 855, ["consent"]))
        equal(tell(customer("finn", tier="gold", party="second")), ["no_consent"])

    # ---- 3. months ----

    def order(who, euros, event="order", **more):
        return demand("milk", event, customer=who, amount=100 * euros, currency="EUR", **more)

    @check("from 50,000 in a month on 10 % less; what comes back is taken off; without consent to purchases nothing counts")
    def _():
        at(ms("2027-03-10T12:00:00+08:00"))
        service.accept(customer("gina", ["purchases"]), order("gina", 49999))
        equal(amount("gina"), 950)  # 1000 x 0.95 for all that was ever spent
        service.accept(order("gina", 1))
        equal(amount("gina"), 855)
        row = told("gina")["month_spend"]
        equal((row["month"], row["value"], row["currency"]), ("2027-03", 5000000, "EUR"))
        service.accept(order("gina", 1, "return"))
        equal(amount("gina"), 950)
        service.accept({"type": "receipt", "customer": "gina", "amount": 100, "currency": "EUR"})
        equal(amount("gina"), 855)
        equal(tell(order("hugo", 60000)), ["no_consent"])
        service.accept(customer("hugo", ["purchases"]))
        equal(amount("hugo"), 1000)

    @check("a month ends at midnight of its time zone, not of UTC; what was bought a moment before and arrives late counts for it")
    def _():
        at(ms("2027-03-31T23:59:00+08:00"))
        equal(amount("gina"), 855)
        at(ms("2027-04-01T00:00:00+08:00"))
        equal((amount("gina"), ms("2027-04-01T00:00:00+08:00")), (950, ms("2027-03-31T16:00:00+00:00")))
        service.accept(order("gina", 3, time="2027-03-31T23:59:30+08:00"), order("gina", 50000))
        equal(amount("gina"), 855)
        service.accept(order("gina", 50000, "return", time="2027-03-31T23:59:40+08:00"))
        equal(amount("gina"), 855, "it came back in the month before")

    @check("a month that ends while the service is down has ended when it comes back; over state files that are lost, too")
    def _():
        equal(service.stop(), 0)
        shutil.rmtree(service.data / "state")
        service.start()
        at(ms("2027-04-30T23:50:00+08:00"))
        equal(amount("gina"), 855)
        service.kill()
        service.start()
        at(ms("2027-05-01T00:00:01+08:00"))
        equal(amount("gina"), 950)

    @check("all that was bought is gone attribute_age_max_s after the last purchase")
    def _():
        service.accept(order("gina", 1, time=service.now_ms()))
        at(service.now_ms() + 400 * DAY_MS - 3600000)
        equal(amount("gina"), 950)
        service.pass_time(3600)
        equal((amount("gina"), sorted(told("gina"))), (1000, ["consent"]))

    @check("revoking consent to purchases takes the months with it")
    def _():
        service.accept(customer("ida", ["purchases"]), order("ida", 60000))
        equal(amount("ida"), 855)
        service.accept({"type": "customer", "customer": "ida", "consent": {"purchases": False}})
        service.accept(customer("ida", ["purchases"]))
        equal((amount("ida"), sorted(told("ida"))), (1000, ["consent"]))

@check("a time zone that there is not is refused with its place")
def _():
    status, _, err = run(BIN / "rialtod", "--check", "--set", "month_zone=Europe/Nowhere")
    require(status != 0 and "time zone" in err, err)
finish()
