#!/usr/bin/env python3
"""A machine starts again: shared memory is empty, and state is only in Redis, which is not there yet. How far it is, and what is answered
meanwhile."""
from rialto_test import *

PRODUCTS = [f"sku-{i}" for i in range(60)]
HTTP = f"127.0.0.1:{free_port()}"


def readyz():
    """(status, what it says)"""
    import urllib.error, urllib.request
    try:
        with urllib.request.urlopen(f"http://{HTTP}/readyz", timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
    except OSError:
        return 0, None


def unpacked(value):
    """The image of a record in Redis (docs/redis.md), with zeros behind it up to a whole group of 64 words."""
    words, at = [], 8
    while at < len(value):
        mask, at = int.from_bytes(value[at:at + 8], "little"), at + 8
        for bit in range(64):
            kept = mask >> bit & 1
            words.append(value[at:at + 8] if kept else bytes(8))
            at += 8 * kept
    return b"".join(words)


LISTED = {sku: 1000 + 10 * i for i, sku in enumerate(PRODUCTS)}  # in the world
LISTED_DE = {sku: 2000 + 10 * i for i, sku in enumerate(PRODUCTS[:20])}
# A tenth below list; gold pays less.
MODELS = {"shop.json": simple_model(factors=[{"name": "tenth", "categories": {"food/*": 0.9}}], personal=[{"name": "loyalty", "tier": {"gold": 0.8}}],
                                    guardrails={"floor": 0.1, "ceiling": 2, "personal": [0.5, 1]})}

redis = OwnRedis()
with Service(models=MODELS, redis_url=f"unix:{redis.socket}", http_listen=HTTP, worker_count=2) as service:
    service.accept({"type": "zone", "zone": "de", "currency": "EUR"}, {"type": "zone", "zone": "berlin", "parent": "de"},
                   *(product(sku, amount) for sku, amount in LISTED.items()),
                   *(product(sku, amount, zone="de") for sku, amount in LISTED_DE.items()),
                   *(customer(f"c{i}", ["profile"], tier="gold") for i in range(100)),
                   {"type": "offer", "customer": "c1", "sku": "sku-9", "kind": "lock", "amount": 444, "currency": "EUR"})
    service.wait_durable()

    def picture():
        fields = ("amount", "baseline", "list", "zone", "multiplier")
        return [[tuple(q.get(f) for f in fields) + (sorted(q["flags"]),) for q in service.quotes(*PRODUCTS, **who)]
                for who in ({}, {"zone": "de"}, {"zone": "berlin", "customer": "c1"})]

    before = picture()

    def lose_the_machine():
        service.kill()
        shutil.rmtree(service.cache, ignore_errors=True)
        shutil.rmtree(service.data / "state")

    def wait_for_list_prices():
        was = service.log().count("link=load")
        service.spawn()
        wait_until(lambda: service.log().count("link=load") >= was + 2, 20 * SLOW, "workers that wait for Redis")

    @check("a healthy service says of no start, and keeps its list prices in files of its own")
    def _():
        status = service.status()
        equal((status["starting"], status["metrics"]["restore_partitions"]), (None, 0))
        equal(readyz(), (200, {"ready": True, "reasons": [], "degraded": []}))
        require("STARTING" not in str(before), str(before)[:300])
        equal([amount for amount, *_ in before[0]], [amount * 9 // 10 for amount in LISTED.values()])
        equal(service.stop(), 0)
        files = sorted((service.data / "list").iterdir())
        require(10 < len(files) <= 64 and all(f.stat().st_mode & 0o777 == 0o600 for f in files), str(files))
        service.start()

    redis.kill()
    lose_the_machine()
    wait_for_list_prices()

    @check("while Redis is waited for, status, /readyz and the metrics say so, and the process lives")
    def _():
        wait_until(lambda: (readyz()[1] or {}).get("reasons", [""])[0] == "starting: Redis is waited for, 64 partitions are to come back", 20 * SLOW, "the reason")
        equal(readyz()[0], 503)
        status = service.status()
        equal(status["starting"], {"partitions": 64, "records": 0, "records_all": 0, "redis_loaded": 0})
        contains(" ".join(status["problems"]), "starting: Redis is waited for")

    @check("meanwhile every quote is its list price, says so, and nothing personal is in it")
    def _():
        for who in ({}, {"customer": "c1"}):
            for zone, listed in ((None, LISTED), ("de", {**LISTED, **LISTED_DE}), ("berlin", {**LISTED, **LISTED_DE})):
                for sku, q in zip(PRODUCTS, service.quotes(*PRODUCTS, **who, **({"zone": zone} if zone else {}))):
                    equal((sku, zone, q["list"], q["amount"], q["baseline"]), (sku, zone, *3 * [listed[sku]]))
                    require("STARTING" in q["flags"] and "STALE" in q["flags"], str(q))
                    equal(q["rests_on"], [])

        contains(service.cli("quote", "-", PRODUCTS[0])[1], "not known when it was right last")

    @check("what nobody listed is unknown")
    def _():
        equal(service.cli_quote("sku-none")[1][0]["status"], "UNKNOWN_PRODUCT")

    @check("longer than a command of Redis may take: the same processes wait")
    def _():
        pids = service.children()
        time.sleep(2.3)
        equal(service.children(), pids)

    @check("when Redis is there all comes back: as many records as there were, and every quote as before, without the mark")
    def _():
        redis.start()
        wait_until(lambda: readyz()[0] == 200, 20 * SLOW, "ready")
        status = service.status()
        equal(status["starting"], None)
        equal((status["metrics"]["restore_records"], status["metrics"]["restore_records_all"]), (241, 241))
        equal(picture(), before)

    @check("files that are damaged, empty or of another partition are not believed: their products are unknown, and the others are not")
    def _():
        equal(service.stop(), 0)
        files = sorted((service.data / "list").iterdir())
        redis.kill()
        lose_the_machine()
        files = [f for f in files if b"sku-" in f.read_bytes()]
        gone = {sku for sku in PRODUCTS for f in (*files[:3], files[4]) if f"{sku}\0".encode() in f.read_bytes()}
        text = bytearray(files[0].read_bytes())
        text[len(text) // 2] ^= 4
        files[0].write_bytes(text)
        files[1].write_bytes(b"")  # none at all
        files[2].write_bytes(files[3].read_bytes())
        files[4].write_bytes(files[4].read_bytes()[:-8])
        wait_for_list_prices()
        equal(service.log().count("LIST-NOT-BELIEVED"), 3)
        equal({sku for sku, row in zip(PRODUCTS, service.cli_quote(*PRODUCTS)[1]) if row["status"] == "UNKNOWN_PRODUCT"}, gone)
        require(len(gone) >= 4, str(gone))

    @check("after a stop in order the newest list prices are kept")
    def _():
        redis.start()
        wait_until(lambda: readyz()[0] == 200, 20 * SLOW, "ready")
        service.accept(product("sku-1", 3333), product("sku-2", 4444, zone="de"))
        service.wait_durable()
        equal(service.stop(), 0)
        redis.kill()
        lose_the_machine()
        wait_for_list_prices()
        equal((service.amount("sku-1"), service.amount("sku-2", zone="berlin"), service.amount("sku-2")), (3333, 4444, LISTED["sku-2"]))

    @check("SIGTERM while Redis is waited for ends it at once")
    def _():
        began = time.monotonic()
        equal(service.stop(), 0)
        require(time.monotonic() - began < 4 * SLOW, f"{time.monotonic() - began:.1f} s")

finish()
