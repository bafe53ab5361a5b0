#!/usr/bin/env python3
"""A restart rewrites no line: the bytes of the tables before and after a worker died. With all of its memory gone it comes back out of
Redis. RESTART_CUSTOMERS, RESTART_CELLS: other sizes than those of the test; times are printed."""
from rialto_test import *

CUSTOMERS = int(os.environ.get("RESTART_CUSTOMERS", 6000))
CELLS = int(os.environ.get("RESTART_CELLS", 2000))
ZONES = 100
SKUS = [f"p{i}" for i in range(CELLS // ZONES)]
BATCH = 20000
TABLES = ("cells", "terms", "offers", "products", "zones")
LINE = 64


def tables(service):
    return {f.name: f.read_bytes() for f in sorted(service.cache.iterdir()) if f.name.split(".")[0] in TABLES}


def changed(before, after):
    """Which 64 bytes of which file differ, headers included."""
    found = set()
    for name in before.keys() | after.keys():
        a, b = before.get(name, b""), after.get(name, b"")
        for page in range(0, max(len(a), len(b)), 4096):
            if a[page:page + 4096] != b[page:page + 4096]:
                found |= {(name, at) for at in range(page, page + 4096, LINE) if a[at:at + LINE] != b[at:at + LINE]}
    return found


def kill_worker(service):
    pid = service.children()["worker.0"]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return pid, began


def back(service, pid):
    wait_until(lambda: service.children().get("worker.0", pid) != pid, 30, "another process")
    wait_until(lambda: service.status()["status"] == "healthy", 60, "healthy")


with Service(models={"shop.json": simple_model(zone_levels=1)}, worker_count=1, cache_on_stop="keep", customers_max=max(65536, CUSTOMERS * 5 // 4),
             cells_max=max(65536, CELLS * 3 // 2), products_max=max(4096, len(SKUS) * 2), cells_per_product_max=2048, message_signals_max=65536, message_bytes_max=1 << 26,
             restart_backoff_ms=1) as service:
    began = time.monotonic()
    for first in range(0, len(SKUS), BATCH // ZONES):
        some = SKUS[first:first + BATCH // ZONES]
        service.accept(*(product(sku, 1000) for sku in some), *(product(sku, 1000 + zone, zone=f"z{zone}") for sku in some for zone in range(1, ZONES)))
    for first in range(0, CUSTOMERS, BATCH):
        service.accept(*(customer(f"c{i}", ["profile"], tier="gold") for i in range(first, min(first + BATCH, CUSTOMERS))))
    last = f"c{CUSTOMERS - 1}"
    equal(service.amount(SKUS[-1], customer=last), 900)
    service.wait_durable(120)
    note(f"{CUSTOMERS} customers and {CELLS} prices are there after {time.monotonic() - began:.1f} s")
    service.accept(product(SKUS[0], 1000))  # the last batch: one product, one price

    @check("a worker that is killed again and again rewrites nothing but the lines of the last batch")
    def _():
        before = tables(service)
        for death in range(3):
            pid, _ = kill_worker(service)
            back(service, pid)
            time.sleep(0.5)  # what it might do when it has time
        lines = changed(before, tables(service))
        note(f"{len(lines)} lines of {CUSTOMERS + CELLS} differ: {sorted(lines)[:8]}")
        require(len(lines) <= 8, f"{len(lines)} lines differ after three deaths")

    @check("a worker that is killed sends Redis nothing that Redis has")
    def _():
        service.wait_durable(60)
        before = service.status()["metrics"]
        pid, began = kill_worker(service)
        back(service, pid)
        note(f"healthy {time.monotonic() - began:.2f} s after the death")
        wait_until(lambda: service.status()["metrics"]["mirror_sweeps_total"] >= before["mirror_sweeps_total"] + 65, 60, "a look at every partition")
        service.wait_durable(60)
        sent = service.status()["metrics"]["mirror_records_total"] - before["mirror_records_total"]
        note(f"{sent} of {CUSTOMERS + CELLS} records were sent")
        require(sent < (CUSTOMERS + CELLS) // 8, f"{sent} records were sent to Redis, which had them")

    @check("the comparison sees one line that is written")
    def _():
        before = tables(service)
        service.accept(customer("c0", ["profile"], tier="silver"))
        equal(service.amount(SKUS[0], customer="c0"), 950)
        require(changed(before, tables(service)), "no byte differs")

    @check("a worker that died prices again without looking at what nobody changed")
    def _():
        reader, times, attach = Library(service.cache), [], []
        for death in range(5):
            wanted = 2000 + death
            sender = threading.Thread(target=service.accept, args=(product(SKUS[0], wanted),))
            pid, began = kill_worker(service)
            sender.start()
            end = began + 20
            while reader.quote(SKUS[0])[1].amount != wanted:
                require(time.monotonic() < end, "no new price in 20 s")
            times.append((time.monotonic() - began) * 1000)
            sender.join()
            back(service, pid)
            metrics = service.status()["metrics"]
            attach.append(metrics["recovery_us"] / 1000)
            require(metrics["restart_records"] <= 500, f"{metrics['restart_records']} records looked at")
        reader.close()
        note(f"death to new price, ms: {sorted(round(t, 1) for t in times)}; of that attaching: {sorted(round(a, 1) for a in attach)}")

    @check("shared memory and state gone, as after a start of the machine: all comes back out of Redis")
    def _():
        service.wait_durable(60)
        equal(service.stop(60), 0)
        shutil.rmtree(service.cache)
        shutil.rmtree(service.data / "state")
        began = time.monotonic()
        service.spawn()
        seen = []
        while True:
            require(time.monotonic() - began < 120, "not back in 120 s")
            try:
                status, rows = service.cli_quote(SKUS[-1], customer=last)
                seen.append((round(time.monotonic() - began, 2), rows[0].get("status"), rows[0].get("quote", {}).get("amount")))
                if status == 0 and rows[0]["quote"]["amount"] == 900:
                    break
            except (Failed, IndexError, KeyError) as error:
                seen.append((round(time.monotonic() - began, 2), str(error)[:60], None))
            time.sleep(0.05)
        note(f"served again after {time.monotonic() - began:.2f} s; on the way: {[s for i, s in enumerate(seen) if i == 0 or s[1:] != seen[i - 1][1:]]}")
        wait_until(lambda: service.status()["status"] == "healthy", 60, "healthy")
        note(f"healthy after {time.monotonic() - began:.2f} s; Redis had given all back")


finish()
