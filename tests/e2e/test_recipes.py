#!/usr/bin/env python3
"""docs/recipes.md: each model on the page is good, each price in its tables is the one that comes out, each picture is drawn anew and is the one
that lies there. `test_recipes.py --draw` draws those that are not."""
import shlex

from rialto_test import *

PAGE = ROOT / "docs/recipes.md"
TOKEN = re.compile(r"^```json\n(?P<json>.*?)^```$|^!\[[^]]*\]\((?P<picture>[^)]+)\)\n<!-- rialto try (?P<drawing>.*?) -->$"
                   r"|^\| (?P<words>`[^`]*`)? ?\| (?P<price>\d+) \|", re.M | re.S)

folder = temporary_folder()
models, rows, pictures = [], [], []
for match in TOKEN.finditer(PAGE.read_text()):
    if match["json"]:
        models.append(json.loads(match["json"]))
        (folder / f"{models[-1]['model']}.json").write_text(match["json"])
    elif match["picture"]:
        pictures.append((models[-1]["model"], match["picture"], match["drawing"]))
    else:
        rows.append((models[-1]["model"], (match["words"] or "").strip("`"), int(match["price"])))


def attempt(model, words):
    return run(BIN / "rialto", "try", folder / f"{model}.json", *shlex.split(words))


if sys.argv[1:] == ["--draw"]:
    for model, picture, words in pictures:
        (PAGE.parent / picture).write_text(attempt(model, words)[1])
    sys.exit()

@check(f"the page has its recipes: {len(models)} models, {len(rows)} prices, {len(pictures)} pictures")
def _():
    names = [model["model"] for model in models]
    equal(names, ["kinds", "surge", "umbrellas", "happy-hour", "clearing", "meeting", "loyalty", "favourites", "heavy", "reminders"])
    for name in names:
        require(sum(row[0] == name for row in rows) >= 5, f"{name} has hardly a price")
    status, out, err = run(BIN / "rialto", "check", "--factors")
    kinds = set(re.findall(r"^\| `(\w+)`", out, re.M))
    drawn = [{key for key in factor if key in kinds}.pop() for factor in models[0]["factors"]]
    equal((sorted(drawn), sorted(kinds)), (sorted(kinds), sorted(kinds)), "every kind of factor")
    equal([picture for model, picture, _ in pictures if model == "kinds"], [f"pictures/kinds-{f['name']}.svg" for f in models[0]["factors"]])
    equal({path.name for path in (PAGE.parent / "pictures").glob("*.svg")}, {Path(picture).name for _, picture, _ in pictures})

@check("each model is good, by itself")
def _():
    for model in models:
        status, out, err = run(BIN / "rialto", "check", folder / f"{model['model']}.json")
        equal(status, 0, out + err)

@check("each price is the one that comes out")
def _():
    for model, words, price in rows:
        status, out, err = attempt(model, f"--json {words}")
        require(status == 0, f"{model} {words}: {err}")
        equal(json.loads(out)["amount"], price, f"{model} {words}")

@check("the optimal prices of the literature, tried by hand: what costs nothing is tried, too; amounts are whole minor units")
def _():
    def best(words, **factor):
        (folder / "best.json").write_text(json.dumps({"model": "best", "version": "1", "scope": {"categories": ["*"], "currencies": ["EUR"]},
                                                      "factors": [{"name": "best", **factor}], "guardrails": {"floor": 0.01, "ceiling": 10}}))
        status, out, err = attempt("best", f"--json --list 1000000 {words}")
        equal(status, 0, err)
        return json.loads(out)["amount"]
    equal(best("--cost 500000", markup={"elasticity": -2.62}), 808642)  # 0.5 x 2.62 / 1.62
    equal(best("--cost 0", markup={"utility": 3, "sensitivity": 1}), 2557146)  # p = 1 + W(e^2)
    for left, price in ((1, 3754627), (2, 3065521), (5, 2164413), (10, 1512868), (20, 1041664)):
        equal(best(f"available={left} hours_to_expiry=24", clearing={"customers_per_day": 40, "sensitivity": 1, "until": "expiry"}), price)
    for words in ("--list 9.99", "--cost 0.5", "--cost -1", "--published 0"):
        status, out, err = attempt("kinds", words)
        equal((status, out), (2, ""), words + err)

@check("each picture is current")
def _():
    for model, picture, words in pictures:
        status, out, err = attempt(model, words)
        equal(status, 0, f"{picture}: {err}")
        require((PAGE.parent / picture).read_text() == out, f"{picture} is out of date: tests/e2e/test_recipes.py --draw")
        require(out.startswith("<svg ") and ("<polyline" in out or out.count("<rect") > 2), picture)

with Service(models={"reminders.json": models[-1]}) as service:
    @check("offers that the model makes are those of the page's table")
    def _():
        wanted = [int(price) for price in re.findall(r"^\| [^`|]+ \| [^|]+ \| (\d+) \|", PAGE.read_text(), re.M)]
        both, found = ["behaviour", "purchases"], []
        service.accept(*(product(sku, 1000, category="gifts/mugs") for sku in ("mug", "tea")))
        service.accept(customer("a", both), customer("b", ["behaviour"]), customer("c", ["purchases"]))
        now = service.now_ms()
        service.accept(*(demand("mug", "cart", customer=who, time=now - half * 1800000) for who in ("a", "b") for half in (2, 1, 0)))
        found.append(service.amount("mug", customer="a"))
        service.accept(demand("mug", "order", customer="a", amount=900, currency="EUR"))
        found += [service.amount("mug", customer="a"), service.amount("mug", customer="b")]
        for days in (31, 30, 0):  # from 1 January on
            service.accept(demand("tea", "order", customer="c", amount=1000, currency="EUR"))
            service.pass_time(days * 86400)
        equal(found + [service.amount("tea", customer="c")], wanted)

finish()
