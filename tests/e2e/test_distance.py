#!/usr/bin/env python3
"""Terms by the distance from where a customer is to the nearest store: with consent to location, as long as the customer is there, and by the zone alone: no position is
kept. Distances by hand: a degree of latitude is 111.195 km."""
from rialto_test import *

STORES = [[52.0, 13.0], [48.0, 11.0]]
MODEL = simple_model(personal=[{"name": "walk", "distance_km_steps": [[0, 0.9], [5, 0.95], [30, 1]], "to": STORES}],
                     guardrails={"floor": 0.5, "ceiling": 1.5, "personal": [0.8, 1], "never_above_baseline": True})

with Service(models={"shop.json": MODEL}, signal_age_max_s=3600) as service:
    OWN = ("--set", f"data_dir={service.data}")
    service.accept(product("milk", 1000), {"type": "zone", "zone": "de/here", "lat": 52.01, "lon": 13.0}, {"type": "zone", "zone": "de/town", "lat": 48.1, "lon": 11.0},
                   {"type": "zone", "zone": "de/far", "lat": 50.0, "lon": 12.0}, customer("ann", ["location"]), customer("bob", ["profile", "behaviour"]))

    def amount(who="ann"):
        return service.amount("milk", customer=who)

    def at(who="ann", **where):
        service.ask({"type": "location", "customer": who, **where})
        return amount(who)

    @check("near, further and far from the nearest store: by the zone where the customer is, and what a position is cut to")
    def _():
        equal([at(zone=zone) for zone in ("de/here", "de/town", "de/far", "de/here/till-3", "nowhere")], [900, 950, 1000, 900, 1000])  # 1.1, 11.1, over 200 km
        # gh:u326 ... is five letters, some 5 km wide: its middle is within 5 km of a place half a kilometre from the store, or within 30.
        require(at(lat=52.004, lon=13.001) in (900, 950), "a cell of a geohash lies where its name says")
        equal(at(lat=50.0, lon=12.0), 1000)
        quote = service.quote("milk", customer="ann")
        equal((quote["data_used"], quote["direction"]), (["location"], "same"))  # it was read, though it changed nothing

    @check("without consent to location it moves nothing; leaving, and taking the consent back, end it at once")
    def _():
        equal(at("bob", zone="de/here"), 1000)
        equal(at(zone="de/here"), 900)
        equal(at(left=True), 1000)
        equal(at(zone="de/here"), 900)
        service.accept({"type": "customer", "customer": "ann", "consent": {"location": False}})
        equal(amount(), 1000)
        service.accept(customer("ann", ["location"]))

    @check("a zone that lies elsewhere from now on, or in another one, is seen at once for those who are in it, and after a restart")
    def _():
        equal(at(zone="de/town"), 950)
        service.accept({"type": "zone", "zone": "de/town", "lat": 48.001, "lon": 11.0})
        equal(amount(), 900)
        service.accept({"type": "zone", "zone": "de/town"}, {"type": "zone", "zone": "de", "lat": 48.1, "lon": 11.0})
        equal(amount(), 950)
        service.accept({"type": "zone", "zone": "de/town", "parent": "de/here"})
        equal(amount(), 900)
        service.restart()
        equal(amount(), 900)

    @check("explain says how far; the notice says by how much at most, and on which consent")
    def _():
        out = service.cli("explain", *OWN, "ann", "milk")[1]
        contains(out, "1.112 km")
        contains(out, "location")
        shop = json.loads(service.cli("notice", *OWN, "--json")[1])["models"][0]
        equal([(shop[kind]["lowest"], shop[kind]["highest"]) for kind in ("location", "profile", "together")], [(0.9, 1), (1, 1), (0.9, 1)])


    @check("when somebody was somewhere last is known for as long as an older word of it could still arrive, and no longer; over a restart, and for who stayed away")
    def _():
        def told(who):
            return [item["name"] for item in json.loads(service.cli("export", *OWN, "--json", who)[1])["data"]]
        service.accept(customer("eve", ["location"]), customer("kim", ["location"]))
        now = service.now_ms()
        at("eve", zone="de/here", lease_s=60, time=now)
        at("kim", zone="de/here", time=now)
        at("kim", left=True, time=now + 1)
        at(zone="de/far", time=now)
        service.accept({"type": "customer", "customer": "ann", "consent": {"location": False, "behaviour": True}, "time": now + 2})
        service.pass_time(3500)
        equal([told(who) for who in ("ann", "eve", "kim")], [["consent", "zone_time"]] * 3)
        equal([f["reason"] for f in service.ask({"type": "location", "customer": "kim", "zone": "de/here", "lease_s": 86400, "time": now - 50000})["findings"]], ["superseded"])
        service.restart()
        service.pass_time(101)
        equal([told(who) for who in ("ann", "eve", "kim")], [["consent"]] * 3)
        equal([f["reason"] for f in service.ask({"type": "location", "customer": "kim", "zone": "de/here", "lease_s": 86400, "time": now - 50000})["findings"]], ["too_old"])


@check("rows that cannot be are refused with their place: no places, places without a distance, a place that is none, less than nothing")
def _():
    def refused(**row):
        folder = temporary_folder()
        (folder / "shop.json").write_text(json.dumps({**MODEL, "personal": [{"name": "walk", **row}]}))
        status, out, err = run(BIN / "rialto", "check", folder)
        require(status != 0, "it was taken")
        return out + err
    contains(refused(distance_km=[[0, 0.9]]), "a distance needs")
    contains(refused(tier={"gold": 0.9}, to=STORES), "goes with")
    contains(refused(distance_km=[[0, 0.9]], to=[[91, 0]]), "/personal/0/to/0/0")
    contains(refused(distance_km=[[-1, 0.9], [0, 1]], to=STORES), "nothing is nearer than 0 km")
    contains(refused(distance_km=[[0, 0.9]], distance_km_steps=[[0, 0.9]], to=STORES), "one row reads one kind of data")
    contains(refused(distance_km=[[0, 0.9]], to=[STORES[0]] * 9), "/personal/0/to")
finish()
