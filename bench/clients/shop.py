"""One way in, measured from Python: shop.py FOLDER PRODUCTS SECONDS -> p50 p99 of a quote, p50 p99 of a page of 50 (ns), quotes, wrong.
shop.js, shop.php and Shop.java do the same: products in the order of a linear congruence, one answer at a time, each checked."""
import gc
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients/python"))
import rialto  # noqa: E402

folder, products, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
prices, now = rialto.Prices(folder), time.perf_counter_ns
state, wrong = 1, 0


def draw():
    global state
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return (state >> 8) % products


def measure(ask):
    ticks, end = [], now() + int(seconds * 1e9)
    while now() < end:
        ticks.append(ask())
    ticks.sort()
    return ticks[len(ticks) // 2], ticks[len(ticks) * 99 // 100], len(ticks)


def one():
    global wrong
    number = draw()
    sku = f"sku-{number:06d}"
    began = now()
    amount = prices.quote(sku, customer="anna").amount
    took = now() - began
    wrong += amount != 1000 + number
    return took


def page():
    global wrong
    numbers = [draw() for _ in range(50)]
    skus = [f"sku-{number:06d}" for number in numbers]
    began = now()
    amounts = [quote.amount for quote in prices.page(skus, customer="anna")]
    took = now() - began
    wrong += amounts != [1000 + number for number in numbers]
    return took


gc.disable()
one_p50, one_p99, count = measure(one)
page_p50, page_p99, _ = measure(page)
print(one_p50, one_p99, page_p50, page_p99, count, wrong)
