#!/usr/bin/env python3
"""A service of another layout takes over a cache folder: readers whose library is of the old one answer for the grace, and say so."""
from rialto_test import *

OTHER = 9  # any layout that is not this build's
OWN = header_constants("layout.h")["RIALTO_LAYOUT"]
GRACE_S = 10  # what comes before the restart takes some 3 s, and on a busy machine twice that
SUPERSEDED, OTHER_LAYOUT = 18, 5
MODEL = simple_model(stale_limit="1h")


def build_other_library():
    """librialto out of the same sources, with another number."""
    folder = temporary_folder("other.")
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VARIANT")}
    target = f"{folder}/lib/librialto.so"
    status, out, err = run("make", f"BUILD={folder}", f"EXTRA_CFLAGS=-O1 -DRIALTO_LAYOUT={OTHER}", target, timeout=100, env=clean, cwd=ROOT)
    require(status == 0, f"make {target}: {err[-800:]}")
    return target


def make_other(cache):
    """What this build's service left becomes what a service of the other layout would have left: names and numbers."""
    for path in cache.glob(f"*.v{OWN}"):
        if path.name.split(".")[0] != "metrics":
            with open(path, "r+b") as file:
                file.seek(8)
                equal(int.from_bytes(file.read(4), "little"), OWN, path.name)
                file.seek(8)
                file.write(OTHER.to_bytes(4, "little"))
        path.rename(path.with_suffix(f".v{OTHER}"))


def state(library):
    since = ctypes.c_int64()
    library.lib.rialto_state.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64)]
    return library.lib.rialto_state(library.handle, ctypes.byref(since)), since.value


OLD_LIBRARY = build_other_library()
with Service(models={"shop.json": MODEL}, cache_on_stop="keep", superseded_grace_s=GRACE_S, stale_after_ms=1000, personal_stale_ms=1000) as service:
    service.accept(product("milk", 1000), product("tea", 500), customer("anna", ["profile"], tier="gold"))
    service.accept({"type": "offer", "customer": "anna", "sku": "tea", "kind": "lock", "amount": 390, "currency": "EUR"})
    equal(service.amount("milk", customer="anna"), 900)
    equal(service.stop(), 0, "exit status")
    make_other(service.cache)
    old = Library(service.cache, OLD_LIBRARY)

    @check("a library of the other layout reads tables of the other layout; this build's names what it finds")
    def _():
        status, quote = old.quote("milk")
        equal((status, quote.amount, state(old)), (old.OK, 1000, (0, 0)))
        handle = ctypes.c_void_p()
        new = ctypes.CDLL(str((LIB if VARIANT in ("release", "clang") else ROOT / "build/release/lib") / "librialto.so"))
        equal(new.rialto_open(os.fsencode(str(service.cache)), ctypes.byref(handle)), OTHER_LAYOUT)

    began_ms = int(time.time() * 1000)
    service.start()
    marked_ms = int(time.time() * 1000)
    service.accept(product("milk", 1200))

    @check("the service takes over: its own readers have new prices, the old reader's handle answers on, and names it")
    def _():
        equal(service.amount("milk"), 1200)
        status, since = state(old)
        equal(status, SUPERSEDED)
        require(began_ms <= since <= marked_ms, f"superseded at {since}, started between {began_ms} and {marked_ms}")
        contains(old.text(status), "another version")
        status, quote = old.quote("milk")
        equal((status, quote.amount), (old.OK, 1000))
        require("SUPERSEDED" in old.flags(quote), f"flags: {old.flags(quote)}")
        contains(service.log(), f"SUPERSEDED layout={OTHER}")

    @check("its age grows with the clock, it becomes stale, and personal terms go; a lock holds")
    def _():
        wait_until(lambda: "STALE" in old.flags(old.quote("milk")[1]), 5, "STALE")
        first, at = old.quote("milk")[1].age_ms, time.monotonic()
        time.sleep(0.3)
        second, took = old.quote("milk")[1].age_ms, (time.monotonic() - at) * 1000
        require(abs(second - first - took) < 100, f"age {first} ms, {took:.0f} ms later {second} ms")
        status, quote = old.quote("milk", customer="anna")
        equal((status, quote.amount), (old.OK, 1000), "anna's terms")
        require({"SUPERSEDED", "STALE", "NEUTRAL"} <= old.flags(quote), f"flags: {old.flags(quote)}")
        equal(old.quote("tea", customer="anna")[1].amount, 390, "anna's lock")

    @check("it can still be opened by name, and rialto status says what is kept, and until when")
    def _():
        again = Library(service.cache, OLD_LIBRARY)
        equal((state(again)[0], again.quote("milk")[1].amount), (SUPERSEDED, 1000))
        again.close()
        metrics = service.status()["metrics"]
        kept = sum(p.stat().st_blocks * 512 for p in service.cache.glob(f"*.v{OTHER}"))
        equal(metrics["superseded_bytes"], kept)
        require(abs(metrics["superseded_until_ms"] - state(old)[1] - GRACE_S * 1000) < 50, f"until {metrics['superseded_until_ms']}")
        contains(service.cli("status")[1], "of tables of other layouts")

    @check("a restart does not begin the grace anew; at its end the files go, and the old reader is told to open again")
    def _():
        since = state(old)[1]
        service.restart()
        equal(state(old), (SUPERSEDED, since))
        said = json.loads(service.cli("forget", "--json", "anna")[1])["receipt"]["superseded_tables"]
        require("removed within" in said and 1 <= int(said.split()[-2]) <= GRACE_S + 2, f"the receipt: {said}")
        wait_until(lambda: state(old)[0] == old.RETIRED, GRACE_S + 2, "the end of the grace")
        late = time.time() * 1000 - since - GRACE_S * 1000
        require(-50 <= late <= 1500, f"removed {late:.0f} ms after the end of the grace")
        equal(old.quote("milk")[0], old.RETIRED)
        wait_until(lambda: not list(service.cache.glob(f"*.v{OTHER}*")), 2, "files of the other layout to be gone")
        handle = ctypes.c_void_p()
        equal(old.lib.rialto_open(old.cache, ctypes.byref(handle)), OTHER_LAYOUT)
        equal(service.amount("milk"), 1200)
        equal(service.status()["metrics"]["superseded_bytes"], 0)

    @check("with superseded_grace_s 0 tables of another layout go before new ones are made")
    def _():
        equal(service.stop(), 0, "exit status")
        make_other(service.cache)
        service.settings["superseded_grace_s"] = 0
        service.start()
        equal(list(service.cache.glob(f"*.v{OTHER}*")), [])
        wait_until(lambda: service.amount("milk") == 1200, 5, "prices out of the state")
    old.close()
finish()
