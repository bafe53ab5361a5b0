"""A program of a shop in Python: a question a line (JSON) on stdin, its answer a line on stdout. driver.js, driver.php and Driver.java
do the same.   argv: folder of the cache"""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "clients/python"))
import rialto  # noqa: E402


def plain(quote):
    return {"sku": quote.sku, "status": quote.status, "amount": quote.amount, "baseline": quote.baseline, "list": quote.list,
            "floor": quote.floor, "ceiling": quote.ceiling, "currency": quote.currency, "decimals": quote.decimals,
            "flags": sorted(quote.flags), "rests_on": sorted(quote.rests_on), "data_used": sorted(quote.data_used), "zone": quote.zone, "level": quote.zone_level,
            "as_of_ms": quote.as_of_ms, "valid_until_ms": quote.valid_until_ms, "multiplier_e4": quote.multiplier_e4,
            "disclosure": quote.disclosure, "disclosure_text": quote.disclosure_text, "text": quote.text if quote.ok else ""}


prices = None
for line in sys.stdin:
    asked = json.loads(line)
    who = {key: asked.get(key) for key in ("customer", "zone", "currency")} | {"basis": asked.get("basis") or "store"}
    try:
        prices = prices or rialto.Prices(sys.argv[1])
        if "skus" in asked:
            answer = [plain(quote) for quote in prices.page(asked["skus"], **who)]
        else:
            answer = plain(prices.quote(asked["sku"], **who))
    except rialto.RialtoError as error:
        answer = {"error": error.status}
    print(json.dumps(answer), flush=True)
