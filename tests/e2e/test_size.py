#!/usr/bin/env python3
"""What `rialtod --size` says a configuration needs is what it takes: files in shared memory, state files, and Redis per customer.
File systems that are a little too small, or just large enough, are the test's own, and end with it."""
import os
import subprocess
import sys

WITHIN = "RIALTO_SIZE_MOUNTS"
APART = ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--mount", "--propagation", "private"]
if WITHIN not in os.environ and subprocess.run([*APART, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
    os.execvpe(APART[0], [*APART, sys.executable, __file__], {**os.environ, WITHIN: "1"})

from rialto_test import *

CUSTOMERS, OFFERS, BATCH = 44000, 5000, 500  # with the first 4,000 far from where a hash of Redis doubles: 750 and then 828 fields in each of 64
MIB, PAGE = 1 << 20, 4096
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

def mount(service, size):
    """A file system of that size for its cache."""
    run("umount", service.cache)
    status, _, why = run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0750", "tmpfs", service.cache)
    require(status == 0, why)


def missing_at_start(service):
    status, out, err = run(*service.arguments(), cwd=service.folder)
    said = re.search(r"CACHE-NO-SPACE .*bytes_missing=(\d+)", out + err)
    require(status == 1 and said, f"status {status}: {out}{err}")
    equal(list(service.cache.iterdir()), [], "what is left there")
    return int(said[1])


def starts(service):
    service.start()
    service.accept(product("milk", 1000))
    equal((service.amount("milk"), service.stop()), (1000, 0))


if WITHIN in os.environ:
    for percent in (100, 10):
        @check(f"with {percent} % at the start: the bytes that are missing are enough when they are given, and a page less is not")
        def _():
            service = Service(cache_start_percent=percent, cache_on_stop="keep")
            service.cache.mkdir()
            try:
                mount(service, MIB)
                enough = (MIB + missing_at_start(service) + PAGE - 1) // PAGE * PAGE
                mount(service, enough - PAGE)
                require(0 < missing_at_start(service) <= PAGE, "a page was taken away")
                mount(service, enough)
                starts(service)
                next(service.cache.glob("cells.*")).unlink()  # tables are made anew; what is beside them is there already
                starts(service)
                with open(next(service.cache.glob("metrics.*")), "r+b") as metrics:  # of another version, and there is no room for two
                    metrics.write(bytes(16))
                starts(service)
                require(" CACHE-TIGHT " not in service.log(), "nothing is missing")
                rows, _ = tables({k: v for k, v in service.settings.items() if k.endswith("_max") or k in ("worker_count", "cache_start_percent")})
                mount(service, f"{rows[0][2]}m")
                starts(service)
            finally:
                run("umount", service.cache)
                shutil.rmtree(service.shared)
else:
    skipped("a file system that is just large enough", "no name space of mounts may be made")

for percent in (100, 10):
    settings = {**SETTINGS, "cache_start_percent": percent}
    with Service(**settings) as service:
        rows, one = tables({k: v for k, v in service.settings.items() if k.endswith("_max") or k in settings})
        row = rows[0]

        @check(f"the files of the cache, made at {percent} %, and of the state take what the table says")
        def _():
            cache, wanted = blocks(service.cache) / MIB, row[2] if percent == 100 else row[1]
            require(0 <= wanted - cache <= 1.1, f"{cache:.2f} MiB in {service.cache}, said {wanted}")  # to whole MiB, and what a folder takes elsewhere
            state = blocks(service.data / "state") / MIB
            require(0 <= row[3] - state <= 1, f"{state:.2f} MiB of state, said {row[3]}")

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
                require(row[1] + 1 < cache <= row[2], f"{cache:.1f} MiB, said {row[1]} at first and {row[2]} at most")
finish()
