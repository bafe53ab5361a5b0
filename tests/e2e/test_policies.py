#!/usr/bin/env python3
"""What the law asks of prices by region and day: disclosure that follows use, kinds of data that move no price, nothing above the
baseline, a largest rise in an emergency, sensitive attributes refused. Prices are worked by hand: list x what the model says."""
import datetime

from rialto_test import *

DAY_MS = 86400000
WORDS = "THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA."
MODEL = simple_model(
    factors=[{"name": "scarcity", "input": "available", "steps": [[0, 1.4], [10, 1]]}],
    personal=[{"name": "loyalty", "tier": {"gold": 0.9, "plain": 1, "vip": 1.2}}, {"name": "near", "zone": {"ny": 0.95, "ca": 0.95, "de": 0.95}}],
    guardrails={"floor": 0.1, "ceiling": 3, "personal": [0.5, 1.5], "never_above_baseline": False})


def policy(name, regions, status="in_force", **asks):
    return {"policy": name, "version": "1", "about": name, "status": status, "regions": regions, **asks}


def date(days):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


POLICIES = {
    "ny": policy("ny", ["US-NY"], disclosure={"code": 1, "text": WORDS, "citation": "GBL 349-a"}),
    "us": policy("us", ["US"], never_above_baseline={"categories": ["fresh/*"], "citation": "of the house"}),
    "de": policy("de", ["DE"], forbidden_data={"kinds": ["location"], "citation": "of the house"}),
    "draft": policy("draft", ["FR"], status="draft", forbidden_data={"kinds": ["profile"], "citation": "a bill"},
                    disclosure={"code": 9, "text": "not yet", "citation": "a bill"}),
    "doubtful": policy("doubtful", ["IT"], status="uncertain", forbidden_data={"kinds": ["profile"], "citation": "disputed"},
                       never_above_baseline={"categories": ["*"], "citation": "disputed"}, notice={"text": "perhaps", "citation": "disputed"},
                       disclosure={"code": 8, "text": "perhaps", "citation": "disputed"}),
    "emergency": policy("emergency", ["US-CA"], **{"from": date(2), "until": date(4)}, largest_rise={"share": 0.1, "citation": "PC 396"}),
}
ZONES = {"ny": "US-NY", "ca": "US-CA", "de": "DE-BE", "fr": "FR", "it": "IT"}


def files(policies=POLICIES, **changes):
    return {"shop.json": {**MODEL, **changes}, **{f"policies/{name}.json": p for name, p in policies.items()}}


with Service(models=files(), clock_replay=1, stale_after_ms=60000) as service:
    DATA = ("--set", f"data_dir={service.data}")

    def apply(name, files, status=0):
        folder = service.folder / name
        for file, content in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(json.dumps(content))
        found, out, err = service.cli("apply", str(folder), *DATA, "--json", "--timeout", str(10000 * SLOW), timeout=60)
        equal(found, status, f"{out[-300:]} {err[-300:]}")
        return out + err

    def seen(sku, **options):
        """What a quote says of personal data: amount, direction, kinds read, disclosure, policy."""
        q = service.quote(sku, **options)
        return q["amount"], q["direction"], q["data_used"], q["disclosure"], q.get("policy", "")

    service.accept(*({"type": "zone", "zone": zone, "region": region} for zone, region in ZONES.items()))
    service.accept(*(product("milk", 1000, zone=zone, category="fresh/dairy") for zone in ("", *ZONES) if zone != ""),
                   product("milk", 1000, category="fresh/dairy"), *(product("lamp", 1000, zone=zone, category="home") for zone in ZONES))
    everything = ["profile", "location"]
    service.accept(*(customer(who, everything, tier=tier) for who, tier in (("gold", "gold"), ("plain", "plain"), ("vip", "vip"))),
                   customer("nothing", everything))

    @check("disclosure follows use: data that were read are told, though they changed nothing; nobody's data, nothing told")
    def _():
        equal(seen("milk", zone="ny", customer="gold"), (900, "lower", ["profile"], 1, "ny"))
        equal(seen("milk", zone="ny", customer="plain"), (1000, "same", ["profile"], 1, "ny"))
        equal(seen("milk", zone="ny", customer="nothing"), (1000, "same", [], 0, "ny"))
        equal(seen("milk", zone="ny"), (1000, "same", [], 0, "ny"))
        quote = service.quote("milk", zone="ny", customer="plain")
        equal((quote["disclosure_text"], quote["baseline"]), (WORDS, 1000))
        require("disclosure_text" not in service.quote("milk", zone="ny"), "words beside a price that nothing was read for")
        contains(service.cli("quote", "--zone", "ny", "plain", "milk")[1], WORDS)
        status, out, err = service.cli("quote", "--record", "--zone", "ny", "plain", "milk")
        (service.folder / "record").write_text(out)
        contains(service.cli("explain", "--record", str(service.folder / "record"))[1], f"policy     ny; disclosure 1: {WORDS}")

    @check("a policy holds in its regions only; one that is a draft does nothing, and check says so")
    def _():
        equal(seen("milk", zone="ca", customer="gold"), (900, "lower", ["profile"], 0, "us"))
        equal(seen("milk", zone="fr", customer="gold"), (900, "lower", ["profile"], 0, ""))
        equal(seen("milk", customer="gold"), (900, "lower", ["profile"], 0, ""))
        status, out, err = service.cli("check", str(service.models))
        equal(status, 0, err)
        contains(out, "draft, in FR: it does nothing")
        contains(out, "(GBL 349-a)")

    @check("one whose meaning is uncertain does nothing either, whatever it asks; check marks it, for people and as JSON, and in force it would count")
    def _():
        equal([seen("lamp", zone="it", customer=who) for who in ("gold", "vip")], [(900, "lower", ["profile"], 0, ""), (1200, "higher", ["profile"], 0, "")])
        contains(service.cli("check", str(service.models))[1], "doubtful 1, uncertain, in IT: it does nothing")
        marked = [json.loads(line) for line in service.cli("check", "--json", str(service.models))[1].splitlines()]
        equal({m["policy"]: m["policy_status"] for m in marked if "policy" in m},
              {name: p["status"] for name, p in POLICIES.items()})
        apply("settled", files({**POLICIES, "doubtful": {**POLICIES["doubtful"], "status": "in_force"}}))
        equal(seen("lamp", zone="it", customer="vip"), (1000, "same", [], 0, "doubtful"))
        apply("doubtful", files())
        equal(seen("lamp", zone="it", customer="vip")[0], 1200)

    @check("never above the baseline where a policy says so, by category; a product that moves into the category is held at once")
    def _():
        equal(seen("milk", zone="ny", customer="vip")[:3], (1000, "same", ["profile"]))
        equal(seen("lamp", zone="ny", customer="vip")[:3], (1200, "higher", ["profile"]))
        equal(seen("milk", zone="fr", customer="vip")[:2], (1200, "higher"))
        service.accept(product("lamp", 1000, zone="fr", category="fresh/lamps"))
        equal(seen("lamp", zone="ny", customer="vip")[:2], (1000, "same"))
        equal(seen("lamp", zone="fr", customer="vip")[:2], (1200, "higher"))
        service.accept(product("lamp", 1000, zone="fr", category="home"))
        equal(seen("lamp", zone="ny", customer="vip")[:2], (1200, "higher"))

    @check("kinds of data that are forbidden move no price: terms and offers that rest on them are left out whole")
    def _():
        where = {"type": "location", "customer": "gold", "zone": "de", "lease_s": 3600}
        service.accept(where)
        equal(seen("milk", zone="de", customer="gold")[:3], (1000, "same", []))
        equal(seen("milk", zone="fr", customer="gold")[:3], (855, "lower", ["location", "profile"]))
        equal(seen("milk", zone="de", customer="plain")[:3], (1000, "same", ["profile"]))
        service.accept({"type": "customer", "customer": "gold", "consent": {"location": False}})
        equal(seen("milk", zone="de", customer="gold")[:3], (900, "lower", ["profile"]))

    @check("the zone that a customer's location chose is told as data that were read")
    def _():
        service.accept({"type": "location", "customer": "nothing", "zone": "ny", "lease_s": 3600})
        equal(seen("milk", customer="nothing"), (950, "lower", ["location"], 1, "ny"))
        equal(service.quote("milk", customer="plain", zone="ny", basis="device")["data_used"], ["location", "profile"])

    @check("an emergency caps the rise over the price that stood when it began, new list prices and personal terms included, until it ends")
    def _():
        scarce = [{"type": "supply", "sku": "milk", "zone": "ca", "available": n} for n in (5, 20)]
        service.accept(scarce[0])
        equal(seen("milk", zone="ca")[0], 1400)
        service.accept(scarce[1])
        equal(seen("milk", zone="ca")[0], 1000)
        service.pass_time((DAY_MS * (service.now_ms() // DAY_MS + 2) - service.now_ms()) / 1000 + 1)
        service.accept(scarce[0])
        equal(seen("milk", zone="ca")[0], 1100)
        service.accept(product("milk", 3000, zone="ca", category="fresh/dairy"))
        equal(seen("milk", zone="ca")[0], 1100)
        service.accept(product("lamp", 2000, zone="ca", category="home"))
        equal((seen("lamp", zone="ca")[0], seen("lamp", zone="ca", customer="vip")[0]), (1100, 1100))
        contains(service.cli("explain", "milk", "--zone", "ca")[1], "rise")
        service.restart()
        equal(seen("milk", zone="ca")[0], 1100)
        service.pass_time(2 * DAY_MS / 1000)
        service.accept(product("milk", 3000, zone="ca", category="fresh/dairy"))
        equal(seen("milk", zone="ca")[0], 3000 * 1.4)

    @check("sensitive attributes are refused as inputs; where a policy permits one it counts, and elsewhere it moves nothing")
    def _():
        young = files(version="2", personal=[{"name": "young", "segment": {"age:18-25": 0.8}}])
        contains(apply("young", young, status=4), "moves no price unless a policy permits it")
        kid = customer("kid", ["profile"], tier="income-xq7", segments=["regular", "age:18-25", {"name": "Gender_f-xq7", "party": "zero"}])
        answer = service.ask(kid)  # nor are they kept before a policy permits them: the rest of the signal counts
        equal((answer["accepted"], [(f["pointer"], f["reason"]) for f in answer["findings"]]), (1, [("", "sensitive_attribute")]))
        service.wait_durable()
        kept = {d["name"]: d.get("value") for d in json.loads(service.cli("export", *DATA, "kid")[1])["data"]}
        equal(kept, {"consent": ["profile"], "segments": ["regular"]})
        state = b"".join(file.read_bytes() for file in (service.data / "state").iterdir()) + repr([service.redis().hash(key) for key in service.redis().keys("*:state:*")]).encode()
        equal([word for word in (b"regular", b"18-25", b"xq7") if word in state], [b"regular"])
        young["policies/age.json"] = policy("age", ["DE", "FR"], permitted_attributes={"attributes": ["age"], "citation": "of the house"})
        apply("young", young)
        equal([f["reason"] for f in service.ask(kid)["findings"]], ["sensitive_attribute"])  # it permits age alone
        service.accept(customer("kid", segments=["age:18-25"]))
        equal([seen("milk", zone=zone, customer="kid")[0] for zone in ("fr", "de", "ny")], [800, 800, 1000])

    @check("a policy that is turned off, or a region that a zone loses, is seen at once")
    def _():
        off = files({**POLICIES, "ny": {**POLICIES["ny"], "status": "off"}})
        apply("off", off)
        equal(seen("milk", zone="ny", customer="gold")[3], 0)
        apply("on", files())
        equal(seen("milk", zone="ny", customer="gold")[3], 1)
        service.accept({"type": "zone", "zone": "ny", "region": "US-NJ"})
        equal(seen("milk", zone="ny", customer="gold")[3:], (0, "us"))

    @check("the notice for customers is of the models in force: its limits are reached by a quote, and drafts and what is uncertain are not on it")
    def _():
        status, out, err = service.cli("notice", *DATA, "--json")
        equal(status, 0, err)
        told = json.loads(out)
        shop = told["models"][0]
        equal({name: (shop[name]["lowest"], shop[name]["highest"]) for name in ("profile", "location", "purchases", "together")},
              {"profile": (0.9, 1.2), "location": (0.95, 1), "purchases": (1, 1), "together": (0.855, 1.2)})
        service.accept({"type": "location", "customer": "plain", "zone": "ca", "lease_s": 3600}, customer("plain", everything, tier="gold"))
        equal([seen("lamp", zone="fr", customer=who)[0] for who in ("plain", "vip")], [855, 1200])
        equal(sorted(told["policies"]), ["de", "emergency", "ny", "us"])  # the wall says that the emergency is still to come
        status, page, err = service.cli("notice", *DATA, "--html", "-", "--title", "Shop & <Co>")
        equal(status, 0, err)
        for part in ("<title>Shop &amp; &lt;Co&gt;</title>", "at most 10 % lower, 20 % higher", "at most 14.5 % lower, 20 % higher", f"&quot;{WORDS}&quot; (GBL 349-a)"):
            contains(page, part)
        require(not re.search("src=|href=|url\\(|@import|not yet|a bill|perhaps|disputed", page), "the page needs another file, or shows a draft")
        contains(service.cli("notice", *DATA)[1], "at most 5 % lower, never higher; chooses the place")
        equal(service.cli("notice", "--set", f"data_dir={service.folder / 'none'}")[0], 3)

    @check("the notice says the whole scope of a model, however long, and all that a policy names")
    def _():
        long = service.folder / "long"
        long.mkdir()
        scope = {"categories": [f"{'food-' * 10}{i:02}" for i in range(32)], "skus": [f"{'p' * 55}-{i:02}" for i in range(32)], "currencies": ["EUR"]}
        (long / "long.json").write_text(json.dumps(simple_model(scope=scope)))
        told = [service.cli("notice", long)[1], service.cli("notice", long, "--html", "-")[1], json.loads(service.cli("notice", long, "--json")[1])["models"][0]["prices"]]
        for page in told:
            contains(page, ", ".join(scope["categories"] + scope["skus"]) + ", priced in EUR")

    @check("faults in policies are named with file, line and place, and nothing is changed")
    def _():
        bad = files({"bad": policy("bad", ["US"], forbidden_data={"kinds": ["hair"], "citation": "x"})})
        contains(apply("bad", bad, status=4), "/forbidden_data/kinds/0")
        equal(seen("milk", zone="de", customer="plain")[4], "de")

finish()
