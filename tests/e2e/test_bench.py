#!/usr/bin/env python3
"""rialto-bench quote on a small shop: the object it prints is whole, and every price of every store was right."""
from rialto_test import *

FIGURES = ("quote_p50_ns", "quote_p99_ns", "quote_p999_ns", "page50_p50_ns", "page50_p99_ns")

status, out, err = run(BIN / "rialto-bench", "quote", "--customers", "20000", "--cells", "20000", "--offers", "2000", "--seconds", "0.1", "--rounds", "1", "--json")

@check("rialto-bench quote --json ends well and prints one object")
def _():
    equal((status, out.count("\n")), (0, 1))
    require(isinstance(json.loads(out), dict), out[:200])

@check("ours and all peers have their figures, in order, from at least one answer, and none was wrong or missing")
def _():
    result = json.loads(out)
    for store in ("ours", "lmdb", "redis", "memcached", "memory"):
        values = [result[store][name] for name in FIGURES]
        require(all(value > 0 for value in values), f"{store}: {values}")
        require(values[0] <= values[1] <= values[2] and values[3] <= values[4], f"{store}: {values}")
        require(result[store]["quotes"] > 0 and result[store]["pages"] > 0, f"{store}: {result[store]}")
        equal((store, result[store]["wrong"], result[store]["failed"]), (store, 0, 0))
    require(result["offers"]["checked"] > 0, str(result["offers"]))
    equal(result["offers"]["wrong"], 0)

@check("rialto-bench clients: every way in has its figures, and none of its amounts was wrong")
def _():
    # The programs of other languages cannot load a library that is built with a sanitizer; they use the one in build/lib.
    status, out, err = run(BIN / "rialto-bench", "clients", "--seconds", "0.2", "--json", cwd=ROOT, timeout=60)
    equal(status, 0, err)
    result = json.loads(out)
    for way in ("c", "python", "node", "php", "java", "http", "redis"):
        require(0 < result[way]["quote_p50_ns"] <= result[way]["quote_p99_ns"], f"{way}: {result[way]}")
        require(0 < result[way]["page50_p50_ns"] <= result[way]["page50_p99_ns"], f"{way}: {result[way]}")
        require(result[way]["quotes"] > 0 and result[way]["wrong"] == 0, f"{way}: {result[way]}")

finish()
