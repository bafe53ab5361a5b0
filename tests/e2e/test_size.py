#!/usr/bin/env python3
"""What `rialtod --size` says a configuration needs is what it takes: files in shared memory, state files, and Redis per customer."""
from rialto_test import *

CUSTOMERS, OFFERS, BATCH = 44000, 5000, 500  # with the first 4,000 far from where a hash of Redis doubles: 750 and then 828 fields in each of 64
MIB = 1 << 20
SETTINGS = {"customers_max": 200000, "worker_count": 1, "cells_max": 8192, "products_max": 4096, "ids_max": 1024}
SAID = {"customer": 0.4, "offer or lock": 0.7}  # of what the table says, at most: the rest is room for what this test does not say
FIELD = 90  # bytes of a field with an empty value: its name, its place in the hash


def tables(settings):
    words = [w for k, v in settings.items() for w in ("--set", f"{k}={v}")]
    status, out, err = run(BIN / "rialtod", "--size", *words)
    equal((status, err), (0, ""))
    first, second = out.split("\n\n")
    rows = [[int(cell) for cell in line.strip("| ").split("|")] for line in first.splitlines()[2:]]
    one = {cells[0].strip(): [int(n) for n in cells[1:]] for cells in (line.strip("| ").split("|") for line in second.splitlines()[2:])}
    return rows, one


def blocks(folder, pattern="*"):
    return sum(path.stat().st_blocks * 512 for path in folder.glob(pattern))


def send(service, make, count):
    for first in range(0, count, BATCH):
        service.accept(*(make(i) for i in range(first, min(first + BATCH, count))))
    service.wait_durable(30)


def memory_of_keys(service):
    """Bytes that the keys take. Not used_memory: buffers of clients and of the append-only file come and go in it."""
    redis = service.redis()
    return sum(redis("MEMORY", "USAGE", key, "SAMPLES", "0") for key in redis("KEYS", "*"))


@check("without a configuration the table has the default's row and 1, 10 and 100 million customers; each is larger than the one before")
def _():
    rows, _ = tables({})
    equal([row[0] for row in rows], [65536, 1000000, 10000000, 100000000])
    for less, more in zip(rows, rows[1:]):
        require(all(a < b for a, b in zip(less, more)), f"{less} then {more}")

@check("a bad configuration is refused, not sized")
def _():
    equal(run(BIN / "rialtod", "--size", "--set", "customers_max=1")[0], 1)

@check("a folder that is too small is refused at start, with the bytes that are missing; nothing is left there")
def _():
    service = Service(customers_max=200000000, cells_max=64000000, offers_max=64000000)
    rows, _ = tables({k: v for k, v in service.settings.items() if k.endswith("_max")})
    try:
        free = shutil.disk_usage(service.shared).free
        if rows[0][2] * MIB < free * 1.1:
            note(f"not tried: {free / MIB:.0f} MiB are free, and the largest tables take {rows[0][2]}")
            return
        status, out, err = run(*service.arguments(), cwd=service.folder)
        said = re.search(r"CACHE-NO-SPACE .*bytes_missing=(\d+)", out + err)
        require(status == 1 and said, f"status {status}: {out}{err}")
        wanted = rows[0][2] * MIB - free
        note(f"{int(said[1])} bytes are missing, {wanted} by the table and the file system")
        require(abs(int(said[1]) - wanted) < free / 20, "another number than that")  # others take and give back meanwhile
        require(not service.cache.exists() or not list(service.cache.glob("cells.*")), "tables are left")
    finally:
        shutil.rmtree(service.shared)
        shutil.rmtree(service.folder)

for percent in (100, 10):
    settings = {**SETTINGS, "cache_start_percent": percent}
    with Service(**settings) as service:
        rows, one = tables({k: v for k, v in service.settings.items() if k.endswith("_max") or k in settings})
        row = rows[0]

        @check(f"the files of the cache, made at {percent} %, and of the state take what the table says")
        def _():
            cache = blocks(service.cache) - (service.cache / f"metrics.v{header_constants('layout.h')['RIALTO_LAYOUT']}").stat().st_blocks * 512
            wanted = row[2] if percent == 100 else row[1]
            require(abs(cache / MIB - wanted) <= 1, f"{cache / MIB:.2f} MiB in {service.cache}, said {wanted}")
            state = blocks(service.data / "state")
            require(abs(state / MIB - row[3]) <= 1, f"{state / MIB:.2f} MiB of state, said {row[3]}")

        if percent == 10:
            @check("one customer more takes of Redis at most what the table says, and less where little was said of them; so does an offer")
            def _():
                send(service, lambda i: customer(f"first{i}", ["profile"]), 4000)  # so that buckets and buffers are there
                before = memory_of_keys(service)
                send(service, lambda i: customer(f"customer-{i:08}", ["profile", "location"], tier="gold"), CUSTOMERS)
                after = memory_of_keys(service)
                send(service, lambda i: {"type": "offer", "customer": f"customer-{i:08}", "sku": "tea", "kind": "fixed", "amount": 390,
                                         "currency": "EUR"}, OFFERS)
                offers = memory_of_keys(service) - after
                for what, bytes_each in (("customer", (after - before) / CUSTOMERS), ("offer or lock", offers / OFFERS)):
                    note(f"{what}: {bytes_each:.0f} bytes of Redis, at most {one[what][2]}")
                    require(FIELD < bytes_each <= SAID[what] * one[what][2], f"{what}: {bytes_each:.0f} bytes, at most {one[what][2]}")

            @check("it grew beyond what it began with, and never above what the table says when full")
            def _():
                cache = blocks(service.cache) / MIB
                require(row[1] + 1 < cache <= row[2] + 1, f"{cache:.1f} MiB, said {row[1]} at first and {row[2]} at most")
finish()
