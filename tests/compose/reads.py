#!/usr/bin/env python3
"""reads.py URL - ask the sample shop for its page again and again until a line or the end of the input comes; every page has prices, or the read has failed.

Ends with 0 only if none failed. The last line is "reads=N failed=N slowest_ms=N"."""
import json
import select
import sys
import time
import urllib.request

reads, failed, slowest = 0, [], 0.0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    began = time.monotonic()
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=5) as answer:
            products = json.load(answer)["products"]
        if not products or any("no_price" in product for product in products):
            failed.append(f"{len(products)} products: {products[:1]}")
    except (OSError, ValueError) as error:
        failed.append(str(error))
    reads += 1
    slowest = max(slowest, time.monotonic() - began)
for why in failed[:10]:
    print(why)
print(f"reads={reads} failed={len(failed)} slowest_ms={1000 * slowest:.0f}")
sys.exit(bool(failed) or reads < 20)
