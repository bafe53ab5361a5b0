#!/usr/bin/env python3
"""Stop and start: prices are the same before and after, whatever of the data is left; nothing is left running; bad
configuration is refused whole."""
from rialto_test import *

PRODUCTS = [f"sku-{i}" for i in range(40)]
PEOPLE = ["-", "anna", "ben", "cat", "nobody"]

MODEL = simple_model(personal=[{"name": "loyalty", "tier": {"gold": 0.9, "silver": 0.95}},
                               {"name": "spend", "spend": [[0, 1], [1000, 0.9]]}, {"name": "near", "zone": {"de": 0.95}}],
                     factors=simple_model()["factors"] + [
                         {"name": "demand", "input": "demand_pressure", "curve": [[0.5, 0.95], [1, 1], [3, 1.1]]}],
                     demand={"half_life": "30d", "slow_half_life": "365d", "min_events": 1},
                     guardrails={"floor": 0.5, "ceiling": 1.5, "personal": [0.5, 1], "largest_step": {"of": 0.5, "per": "30d"}})


def fill(service):
    """Something of every kind."""
    now = service.now_ms()
    service.accept(
        *(product(sku, 1000 + 10 * i, title=f"Product {i}") for i, sku in enumerate(PRODUCTS)),
        *(product(sku, 1500 + 10 * i, zone="de") for i, sku in enumerate(PRODUCTS[:10])),
        {"type": "zone", "zone": "de", "utc_offset_min": 60, "currency": "EUR"},
        {"type": "weather", "zone": "de", "temperature_c": 20},
        {"type": "supply", "sku": "sku-1", "available": 3}, {"type": "supply", "sku": "sku-2", "zone": "de", "available": 3},
        {"type": "competitor", "sku": "sku-3", "competitor": "x", "amount": 900, "currency": "EUR"},
        product("sku-4", 2000, promotion=0.8, until=now + 86400000),
        *(demand("sku-5", time=now - 1000 * i) for i in range(50)), *(demand("sku-6", zone="de", time=now - 1000 * i) for i in range(50)),
        customer("anna", ["profile", "purchases", "location", "behaviour"], tier="gold", spend=50000, currency="EUR"),
        customer("ben", ["profile"], tier="silver"), customer("cat", ["purchases"]),
        {"type": "receipt", "customer": "cat", "amount": 30000, "currency": "EUR", "source": "post", "id": "1"},
        {"type": "location", "customer": "anna", "zone": "de/south", "lease_s": 86400},
        {"type": "offer", "customer": "ben", "sku": "sku-7", "kind": "percent", "percent": 30, "until": now + 86400000},
        {"type": "offer", "customer": "cat", "sku": "sku-8", "kind": "lock", "amount": 111, "currency": "EUR"},
        demand("sku-9", "view", customer="anna"))


def picture(service):
    """All prices, for all people, in three zones."""
    fields = ("amount", "baseline", "list", "zone", "flags", "multiplier", "rests_on", "model", "version", "as_of")
    return {(who, zone): [tuple(str(q.get(f)) for f in fields) for q in service.quotes(*PRODUCTS, customer=who, **zone_option(zone))]
            for who in PEOPLE for zone in (None, "de", "fr/paris")}


def zone_option(zone):
    return {} if zone is None else {"zone": zone}


def differences(before, after):
    return [f"{key} {PRODUCTS[i]}: {a} -> {b}" for key in before for i, (a, b) in enumerate(zip(before[key], after[key])) if a != b]


def same(before, service, what=""):
    found = differences(before, picture(service))
    require(not found, f"{what} {len(found)} of {sum(map(len, before.values()))} quotes differ: {found[:3]}")


with Service(models={"shop.json": MODEL}, cache_on_stop="keep") as service:
    fill(service)
    service.pass_time(2)
    first = picture(service)

    @check("the picture to compare holds personal prices, offers, locks, zones and scarcity")
    def _():
        amounts = {row[0] for rows in first.values() for row in rows}
        flags = " ".join(row[4] for rows in first.values() for row in rows)
        require(len(amounts) > 60 and all(f in flags for f in ("PERSONAL", "OFFER", "LOCK", "WIDER_ZONE")), f"{len(amounts)} {flags[:200]}")

    @check("SIGTERM: status 0, no process, no socket is left; the kept cache still answers")
    def _():
        equal(service.stop(), 0)
        equal(service.left(), [])
        equal([f.name for f in service.data.rglob("*") if f.is_socket()], [])
        equal(service.amount("sku-10"), 1100)

    @check("started again on the same data: every quote as before")
    def _():
        service.start()
        same(first, service)

    @check("what was counted once is not counted again after a restart")
    def _():
        answer = service.ask({"type": "receipt", "customer": "cat", "amount": 30000, "currency": "EUR", "source": "post", "id": "1"})
        equal([f["reason"] for f in answer["findings"]], ["duplicate"])
        same(first, service)

    @check("without the cache: every quote as before")
    def _():
        equal(service.stop(), 0)
        shutil.rmtree(service.cache)
        service.start()
        same(first, service)

    @check("without state and cache, out of Redis alone: every quote as before")
    def _():
        equal(service.stop(), 0)
        shutil.rmtree(service.cache)
        shutil.rmtree(service.data / "state")
        service.start()
        same(first, service)

    @check("the same, after all processes were killed at once: every quote as before")
    def _():
        equal(service.accept(product("sku-39", 4444))["durable"], "redis")
        service.kill()
        shutil.rmtree(service.cache)
        shutil.rmtree(service.data / "state")
        service.start()
        equal(service.amount("sku-39"), 4444)
        service.accept(product("sku-39", 1390))
        found = [d for d in differences(first, picture(service)) if "sku-39" not in d]
        require(not found, f"{len(found)} quotes differ: {found[:3]}")

    now_picture = picture(service)

    @check("killed at once, state and cache left: every quote as before, and no process is left to fight over the data")
    def _():
        service.kill()
        equal(service.left(), [])
        service.start()
        same(now_picture, service)

    @check("a worker that was killed goes on without looking at the records that nobody changed; every quote as before")
    def _():
        for i in range(0, 3000, 500):
            service.accept(*(customer(f"crowd-{j}", ["profile"], tier="gold") for j in range(i, i + 500)))
        for round in range(4):
            child = f"worker.{round % 2}"
            pid = service.children()[child]
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: service.children().get(child, pid) != pid, 10, "another process")
            service.accept(product(f"late-{round}", 100 + round)) # it is applied: all workers go on
            looked = service.status()["metrics"]["restart_records"] # of both workers' last starts
            note(f"{looked} records looked at")
            require(looked <= 1200, f"{looked} records looked at: it may look at those of the last batches, not at all 3,000")
            same(now_picture, service)

    @check("a worker that is killed again and again is back in a second each time, and so are all of them after a gateway's death")
    def _():
        back = [service.kill_worker(0) for _ in range(5)]
        gateways = [service.kill_gateway() for _ in range(2)]
        note(f"ms: workers {back}, gateways {gateways}")
        require(max(back + gateways) < 1000 * SLOW, "one was late")

    for count in (3, 1):
        @check(f"with {count} worker{'s' if count > 1 else ''} instead of two: every quote as before")
        def _():
            equal(service.stop(), 0)
            service.settings["worker_count"] = count
            service.start()
            same(now_picture, service)
            equal(len([name for name in service.children() if name.startswith("worker")]), count)
    equal(service.stop(), 0)
    service.settings["worker_count"] = 2
    service.start()

    @check("a second rialtod on the same data folder is refused, with a reason; the first goes on")
    def _():
        second = [a.replace(str(service.cache), str(service.shared / "second")) for a in service.arguments()]
        status, _, err = run(*second, timeout=30)
        equal(status, 1)
        contains(err, "DATA-DIR-IN-USE")
        same(now_picture, service)
        require(not (service.shared / "second").exists(), "the refused one made a cache")

    # ---- models ----

    bad = json.dumps(MODEL, indent=1).replace('"ceiling": 1.5', '"ceiling": 0.2')
    line = next(i for i, text in enumerate(bad.splitlines(), 1) if '"ceiling": 0.2' in text)

    @check("a bad model keeps a first rialtod from starting: file, line, column and place are said, status 1")
    def _():
        equal(service.stop(), 0)
        (service.models / "shop.json").write_text(bad)
        kept = service.data / "change.json"
        kept.rename(service.data / "aside")  # as if nothing had ever been in force
        status, _, err = run(*service.arguments(), timeout=30)
        (service.data / "aside").rename(kept)
        equal(status, 1)
        require(re.search(r"shop\.json:%d:\d+: /guardrails/ceiling: " % line, err), f"{err[-600:]}")
        equal(service.left(), [])

    @check("--check says the same without starting anything")
    def _():
        status, _, err = run(*service.arguments(), "--check", timeout=30)
        equal(status, 1)
        require(re.search(r"shop\.json:%d:\d+: /guardrails/ceiling: " % line, err), err)

    @check("an edit of a model under a running service harms nobody who is started again")
    def _():
        (service.models / "shop.json").write_text(json.dumps(MODEL))
        service.start()
        (service.models / "shop.json").write_text(bad)
        worker = service.children()["worker.1"]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: service.children().get("worker.1", worker) != worker, 10, "a new worker.1")
        wait_until(lambda: service.status()["status"] == "healthy", 10, "healthy")
        same(now_picture, service)

    @check("a new version of a model holds after a restart, and quotes name it")
    def _():
        equal(service.stop(), 0)
        (service.models / "shop.json").write_text(json.dumps({**MODEL, "version": "2", "factors": [], "guardrails": {}}))
        service.start()
        wait_until(lambda: service.quote("sku-1")["version"] == "2", 5, "version 2")
        equal(service.amount("sku-1"), 1010)

    @check("bad settings are refused with the key: unknown, out of bounds, not a number")
    def _():
        for setting, word in (("colour=red", "colour"), ("worker_count=100", "worker_count"), ("tick_ms=soon", "tick_ms"), ("nothing", "nothing")):
            status, _, err = run(BIN / "rialtod", "--check", "--set", setting)
            require(status in (1, 2) and word in err, f"{setting}: status {status}: {err}")

    @check("a configuration file with a fault is refused with line and column")
    def _():
        file = service.folder / "bad.json"
        file.write_text('{\n  "instance": "x",\n  "tick_ms": 7\n}\n')
        status, _, err = run(BIN / "rialtod", "--check", "--config", file)
        equal(status, 1)
        require(re.search(r"bad\.json:3:\d+: /tick_ms: ", err), err)

    # ---- the end ----

    @check("Ctrl-C with cache_on_stop=remove: status 0; no process, no socket, no cache folder, no lock is left")
    def _():
        equal(service.stop(), 0)
        service.settings["cache_on_stop"] = "remove"
        service.start()
        equal(service.stop(number=signal.SIGINT), 0)
        equal(service.left(), [])
        equal([f.name for f in service.data.rglob("*") if f.is_socket()], [])
        require(not service.cache.exists() or not list(service.cache.iterdir()), f"left: {list(service.cache.iterdir()) if service.cache.exists() else ''}")

    @check("Ctrl-C while it is still starting leaves nothing behind either")
    def _():
        for wait in (0.0, 0.02, 0.05, 0.1, 0.2):
            service.spawn()
            time.sleep(wait)
            status = service.stop(number=signal.SIGINT)
            require(status in (0, -signal.SIGINT), f"status {status} after {wait} s")
            wait_until(lambda: not service.left(), 10, f"no process after {wait} s")
    service.start()

with Service() as service:
    @check("service time never goes back behind a price, not even when all there is comes out of Redis")
    def _():
        service.accept(product("milk", 100))
        service.pass_time(3 * 86400)
        service.accept(product("milk", 120))
        wait_until(lambda: service.amount("milk") == 120, 10, "the new price")
        service.wait_durable()
        before = service.now_ms()
        equal(service.stop(), 0)
        shutil.rmtree(service.cache, ignore_errors=True)
        shutil.rmtree(service.data / "state")
        service.start()
        require(service.now_ms() > before - 5000, f"{service.now_ms()} after {before}")
        service.accept(product("milk", 140))
        wait_until(lambda: service.amount("milk") == 140, 10, "a price set after the restart")

# ---- models that begin and end: who prices what changes with time, and a death may fall on it ----

DAY = 86400
today = int(time.time()) // DAY


def dated(begin, end, tier, factor):
    day = lambda n: time.strftime("%Y-%m-%d", time.gmtime((today + n) * DAY))
    return simple_model(model=f"from-{begin}", group="all", personal=[{"name": "loyalty", "tier": {"gold": tier}}],
                        schedule={"from": day(begin), "until": day(end)},
                        factors=[{"name": "season", "input": "promotion", "missing": factor, "curve": [[0.1, 0.1], [1, 1]]}])


SEASONS = {"shop.json": simple_model(personal=[{"name": "loyalty", "tier": {"gold": 0.9}}]),
           "one.json": dated(2, 4, 0.8, 1.2), "two.json": dated(4, 5, 0.7, 1.3)}
with Service(models=SEASONS, cache_on_stop="keep") as service:
    def prices(at):
        """Of a product's price for all, and for gold customers whom nobody has heard of again since."""
        return {service.amount("milk"), *(service.quote("milk", customer=f"gold-{i}")["amount"] for i in range(0, 300, 50))} == set(at)

    def to_day(n):
        service.pass_time((today + n) * DAY + 60 - service.now_ms() / 1000)

    @check("a model that begins prices everything and everybody anew, whoever dies as it does; one that began or ended while all "
           "stood still, too")
    def _():
        service.accept(product("milk", 1000), *(customer(f"gold-{i}", ["profile"], tier="gold") for i in range(300)))
        wait_until(lambda: prices((1000, 900)), 10, "the model without dates")
        for worker in (name for name in service.children() if name.startswith("worker")):
            os.kill(service.children()[worker], signal.SIGKILL)
        to_day(2)
        for worker in (name for name in service.children() if name.startswith("worker")):
            os.kill(service.children()[worker], signal.SIGKILL)
        wait_until(lambda: prices((1200, 960)), 10, "the first with dates")
        equal(service.stop(), 0)
        service.start()
        wait_until(lambda: prices((1200, 960)), 1, "no other than before")
        service.kill()
        service.start()
        to_day(4)
        wait_until(lambda: prices((1300, 910)), 10, "the second with dates")
        to_day(5)
        wait_until(lambda: prices((1000, 900)), 10, "the one without dates again")
        equal(service.stop(), 0)

# ---- models of zones: what a zone signal opens, in products that nothing else is said of --------------------------------

PILOT = simple_model(model="pilot", personal=[], scope={"categories": ["*"], "zones": ["de/south/s1"], "currencies": ["EUR"]},
                     factors=[{"name": "pilot", "input": "promotion", "missing": 0.5, "curve": [[0.1, 0.1], [1, 1]]}])
with Service(models={"shop.json": simple_model(), "pilot.json": PILOT}, cache_on_stop="keep") as service:
    @check("a zone that moves into a pilot opens its price in every product at once, and deaths change nothing about it")
    def _():
        skus = [f"p{i}" for i in range(200)]
        amounts = lambda skus: {service.cli_quote(sku, zone="de/south/s1")[1][0].get("quote", {}).get("amount") for sku in skus[::5]}
        service.accept(*(product(sku, 1000) for sku in skus[:100]), *(product(sku, 800, zone="north") for sku in skus[100:]))
        wait_until(lambda: amounts(skus[:100]) == {500}, 10, "the pilot's price")
        service.accept({"type": "zone", "zone": "de/south/s1", "parent": "north"})
        wait_until(lambda: amounts(skus[100:]) == {400}, 10, "the pilot's price of what has one in the north only")
        for name, pid in service.children().items():
            if name.startswith("worker"):
                os.kill(pid, signal.SIGKILL)
        service.accept({"type": "zone", "zone": "de/south/s1", "parent": "de/south"})
        wait_until(lambda: amounts(skus[:100]) == {500}, 10, "prices as before")

finish()
