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


redis = OwnRedis()
with Service(redis_url=f"unix:{redis.socket}", http_listen=HTTP, worker_count=2) as service:
    service.accept(*(product(sku, 1000 + 10 * i) for i, sku in enumerate(PRODUCTS)),
                   *(product(sku, 2000 + 10 * i, zone="de") for i, sku in enumerate(PRODUCTS[:20])),
                   *(customer(f"c{i}", ["profile"], tier="gold") for i in range(100)))
    service.wait_durable()
    before = service.quotes(*PRODUCTS, zone="de")

    def machine_starts_again():
        """Nothing but the data folder without its state files."""
        service.kill()
        shutil.rmtree(service.cache)
        shutil.rmtree(service.data / "state")
        service.spawn()

    @check("a healthy service says of no start")
    def _():
        status = service.status()
        equal((status["starting"], status["metrics"]["restore_partitions"]), (None, 0))
        equal(readyz(), (200, {"ready": True, "reasons": [], "degraded": []}))

    redis.kill()
    machine_starts_again()

    @check("while Redis is waited for, status, /readyz and the metrics say so, and the process lives")
    def _():
        wait_until(lambda: (readyz()[1] or {}).get("reasons", [""])[0] == "starting: Redis is waited for, 64 partitions are to come back", 20 * SLOW, "the reason")
        equal(readyz()[0], 503)
        status, out, err = service.cli("status", "--json")
        status = json.loads(out)
        equal(status["starting"], {"partitions": 64, "records": 0, "records_all": 0, "redis_loaded": 0})
        contains(" ".join(status["problems"]), "starting: Redis is waited for")
        pids = service.children()
        time.sleep(2.5)  # longer than redis_timeout_ms
        equal(service.children(), pids)

    @check("when Redis is there all comes back: as many records as there were, and every quote as before")
    def _():
        redis.start()
        wait_until(lambda: readyz()[0] == 200, 20 * SLOW, "ready")
        status = service.status()
        equal(status["starting"], None)
        equal((status["metrics"]["restore_records"], status["metrics"]["restore_records_all"]), (240, 240))
        equal([(q["amount"], q["list"], q["zone"]) for q in service.quotes(*PRODUCTS, zone="de")],
              [(q["amount"], q["list"], q["zone"]) for q in before])

    @check("SIGTERM while Redis is waited for ends it at once")
    def _():
        redis.kill()
        service.kill()
        shutil.rmtree(service.cache)
        shutil.rmtree(service.data / "state")
        before = len(service.log())
        service.spawn()
        wait_until(lambda: "link=load" in service.log()[before:], 20 * SLOW, "a worker that waits")
        began = time.monotonic()
        equal(service.stop(), 0)
        require(time.monotonic() - began < 4 * SLOW, f"{time.monotonic() - began:.1f} s")

finish()
