#!/usr/bin/env python3
"""The file system of the tables is full, of somebody else's files, when they are to grow: a visible refusal, said once, and never a SIGBUS;
what is there is served. With room again, lines come for what was taken meanwhile. The file system is the test's own, and ends with it."""
import os
import subprocess
import sys

WITHIN = "RIALTO_NO_ROOM"
APART = ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--mount", "--propagation", "private"]
if WITHIN not in os.environ and subprocess.run([*APART, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
    os.execvpe(APART[0], [*APART, sys.executable, __file__], {**os.environ, WITHIN: "1"})

from rialto_test import *

PRODUCTS, CUSTOMERS, BATCH = 6000, 8000, 1000
SKUS, NAMES = [f"p{i}" for i in range(PRODUCTS)], [f"c{i}" for i in range(CUSTOMERS)]
ZONES = [f"z{i}" for i in range(200)]
MODEL = simple_model(zone_levels=1, personal=[{"name": "loyalty", "tier": {"gold": 0.9}}])

service = Service(models={"shop.json": MODEL}, worker_count=1, cache_start_percent=1, products_max=16384, cells_max=65536, customers_max=65536,
                  cache_on_stop="keep", restart_backoff_ms=1)
service.cache.mkdir()
mounted, _, why = run("mount", "-t", "tmpfs", "-o", "size=160m,mode=0750", "tmpfs", service.cache) if WITHIN in os.environ else (1, "", "no name space of mounts may be made")
if mounted != 0:
    skipped("no room to grow", f"no file system of our own: {why}")
    finish()
OTHERS = service.cache / "of-others"


def fill():
    """To the last page."""
    with open(OTHERS, "ab", buffering=0) as others:
        for some in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while others.write(bytes(some)) == some:
                    pass
    equal(shutil.disk_usage(service.cache).free, 0)


def send(signals):
    for first in range(0, len(signals), BATCH):
        service.accept(*signals[first:first + BATCH])


def metrics():
    return service.status()["metrics"]


def said(event):
    """The tables that log lines of that event are about."""
    return re.findall(rf" {event} table=(\w+) ", service.log())


def expect_said_once():
    for event, metric in (("TABLE-GROW-REFUSED", "table_grow_refused_total"), ("TABLE-FULL", "table_full_total")):
        found = said(event)
        require({"products", "cells", "terms"} <= set(found) and len(set(found)) == len(found), f"{event}: {found}")
        require(metrics()[metric] > 0, f"{metric} is 0")


def said_missing():
    return [int(n) for n in re.findall(r" CACHE-TIGHT .*bytes_missing=(\d+)", service.log())]


def held_bytes():
    return sum(path.stat().st_blocks * 512 for path in service.cache.iterdir() if path != OTHERS)


def there(library):
    """How many products have their price, how many customers their terms, how many zones a price of their own; an amount that is neither fails."""
    amounts = [library.quote(sku) for sku in SKUS]
    require(all(status != library.OK or quote.amount == 1000 + i for i, (status, quote) in enumerate(amounts)), "a wrong price")
    personal = [library.quote("p0", customer=name)[1].amount for name in NAMES]
    require(set(personal) <= {900, 1000}, f"amounts {set(personal)}")
    zones = [library.quote("p0", zone=zone)[1].amount for zone in ZONES]
    require(set(zones) <= {1000, 2000}, f"amounts {set(zones)}")
    return sum(status == library.OK for status, _ in amounts), personal.count(900), zones.count(2000)


with service:
    library = Library(service.cache)
    service.accept(product("p0", 1000), customer("c0", ["profile"], tier="gold"))
    equal(service.amount("p0", customer="c0"), 900)
    first_worker = service.children()["worker.0"]

    @check("no room to grow: signals are taken, what finds no line is counted and said once a table, the worker lives, and what is there is served")
    def _():
        fill()
        send([product(sku, 1000 + i) for i, sku in enumerate(SKUS)] + [product("p0", 2000, zone=zone) for zone in ZONES])
        send([customer(name, ["profile"], tier="gold") for name in NAMES])
        expect_said_once()
        products, customers, zones = there(library)
        note(f"lines: {products} of {PRODUCTS} products, {customers} of {CUSTOMERS} customers, {zones} of {len(ZONES)} zones")
        require(0 < products < PRODUCTS and 0 < customers < CUSTOMERS, "some are there, and some not")
        equal(service.children()["worker.0"], first_worker)
        equal(service.amount("p0", customer="c0"), 900)

    @check("a change of what is there is published meanwhile")
    def _():
        service.accept(customer("c0", ["profile"], tier="none", time=service.now_ms()))
        equal(service.amount("p0", customer="c0"), 1000)
        service.accept(customer("c0", ["profile"], tier="gold", time=service.now_ms()))
        equal(service.amount("p0", customer="c0"), 900)

    @check("a start with the tables that are there says how many bytes they miss to grow to the whole, and serves what there is")
    def _():
        equal(said_missing(), [])
        before, held = there(library), held_bytes()
        equal(service.stop(), 0)
        service.start()
        equal(there(library), before)
        status, size, _ = run(BIN / "rialtod", "--size", *(w for k, v in service.settings.items() for w in ("--set", f"{k}={v}")))
        wanted = (int(size.splitlines()[2].strip("| ").split("|")[2]) << 20) - held - shutil.disk_usage(service.cache).free
        require(len(said_missing()) == 1 and 0 <= wanted - said_missing()[0] <= 1 << 20, f"{said_missing()}, and {wanted} by the table")

    @check("with room again all of it has lines within seconds, also when the worker that was refused has died: nothing is said again")
    def _():
        before, worker = there(library), service.children()["worker.0"]
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: service.children().get("worker.0", worker) != worker, 10, "another process")
        wait_until(lambda: service.status()["status"] == "healthy", 30, "healthy")
        equal(there(library), before)
        os.truncate(OTHERS, 0)
        wait_until(lambda: there(library) == (PRODUCTS, CUSTOMERS, len(ZONES)), 40, "all lines")
        wait_until(lambda: " TABLE-ROOM-AGAIN " in service.log(), 5, "that it is said")
        equal([row["quote"]["amount"] for row in service.cli_quote(*SKUS[-50:])[1]], [1000 + i for i in range(PRODUCTS - 50, PRODUCTS)])

    @check("and whoever follows the changes has heard of them")
    def _():
        redis, key = service.redis(), f"{service.instance}:cell:{{world}}"
        wait_until(lambda: redis("HLEN", key) == PRODUCTS, 20, f"{PRODUCTS} prices in Redis")

    library.close()
run("umount", service.cache)  # a folder that something is mounted on is not removed
finish()
