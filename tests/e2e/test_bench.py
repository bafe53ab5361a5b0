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

finish()
