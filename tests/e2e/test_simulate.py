#!/usr/bin/env python3
"""rialto simulate: two sets of models over recorded signals. Its numbers are worked out here once more, from the documents' words
alone; and what it computes are the prices that a running service gives for the same recording."""
import gzip
import html
import random
import re
import shutil
from fractions import Fraction

import browser
from rialto_test import *

T0 = 1767603600000  # Monday, 5 January 2026, 9:00 UTC
TICK = 900_000


def write(folder, *models):
    folder.mkdir()
    for model in models:
        (folder / f"{model['model']}.json").write_text(json.dumps(model))
    return str(folder)


def flat(factor, **changes):
    return simple_model(factors=[{"name": "all", "input": "weekday", "steps": [[0, factor]]}], **changes)


def scarce(**changes):
    """Less than 10 in stock: half as much again, else a fifth more; stock not known: list."""
    return simple_model(version="2", factors=[{"name": "stock", "input": "available", "steps": [[0, 1.5], [10, 1.2]]}],
                        guardrails={"floor": 0.5, "ceiling": 1.4}, **changes)


def made_up(seed):
    """(lines, ticks): each tick a time and what was told at it."""
    dice, ticks = random.Random(seed), []
    skus = {f"p{i}": dice.randrange(500, 90_000) for i in range(12)}
    for at in range(8):
        told = []
        if at == 0:
            told += [{"type": "product", "sku": s, "category": f"food/{'ab'[i % 2]}", "list": p, "currency": "EUR"} for i, (s, p) in enumerate(skus.items())]
        for _ in range(40):
            sku = dice.choice(sorted(skus))
            told.append({"type": "supply", "sku": sku, "available": dice.choice([3, 9, 10, 50])} if dice.random() < 0.3 else
                        {"type": "demand", "sku": sku, "event": dice.choice(["order", "order", "view"]), "quantity": dice.choice([1, 2, 5])})
        ticks.append((T0 + at * TICK, told))
    lines = []
    for at, told in ticks:
        lines.append({"control": "tick", "time": at})
        lines += [{**s, "time": at} for s in told]
    return skus, ticks, "".join(json.dumps(line) + "\n" for line in lines)


def recompute(skus, ticks):
    """What scarce() against flat(1.1) must report."""
    def prices(sku):
        a = round(Fraction(skus[sku]) * Fraction("1.1"))  # half to even, as the service rounds
        b = Fraction(skus[sku]) * (1 if sku not in stock else Fraction("1.5") if stock[sku] < 10 else Fraction("1.2"))
        return a, min(round(b), skus[sku] * 14 // 10)

    stock, moves, turnover, units, hits, orders, known = {}, [], [Fraction(0), Fraction(0)], 0, 0, 0, {}
    unpriced = 0
    for _, told in ticks:
        for signal in told:
            if signal["type"] == "demand" and signal["event"] == "order":
                orders += 1
                if signal["sku"] in known:
                    units += signal["quantity"]
                    for side in (0, 1):
                        turnover[side] += Fraction(known[signal["sku"]][side] * signal["quantity"], 100)
                else:
                    unpriced += 1  # the same tick made the product known
        before = {s: s in stock and stock[s] < 10 for s in skus}
        for signal in told:
            if signal["type"] == "supply":
                stock[signal["sku"]] = signal["available"]
        hits += sum(1 for s in skus if s in stock and stock[s] < 10 and not before[s])
        known = {s: prices(s) for s in skus}
        moves += [float(Fraction(b, a) - 1) * 100 for a, b in known.values()]
    return {"compared": len(moves), "mean_pct": sum(moves) / len(moves), "least_pct": min(moves), "most_pct": max(moves), "orders": orders, "unpriced": unpriced,
            "up": sum(m > 0 for m in moves), "down": sum(m < 0 for m in moves), "turnover": [float(t) for t in turnover], "units": units, "ceiling": hits, "end": known}


folder = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR")))
old, new = write(folder / "old", flat(1.1)), write(folder / "new", scarce())


def simulate(*words, status=0, cwd=None):
    result = subprocess.run([f"{os.environ['RIALTO_BIN']}/rialto", "simulate", "--set", "products_max=1024", "--set", "cells_max=4096", "--set", "zones_max=256", *map(str, words)], capture_output=True, text=True, timeout=60 * SLOW, cwd=cwd)
    equal(result.returncode, status, (result.stdout + result.stderr)[-500:])
    return result.stdout


@check("its numbers are those of an independent computation, and the same every time")
def _():
    for seed in (1, 2, 3):
        skus, ticks, text = made_up(seed)
        tape = folder / f"{seed}.ndjson"
        tape.write_text(text)
        out = simulate("--models", new, "--against", old, "--signals", tape, "--json")
        equal(simulate("--models", new, "--against", old, "--signals", tape, "--json"), out)
        found, wanted = json.loads(out), recompute(skus, ticks)
        for name in ("compared", "up", "down", "orders", "unpriced"):
            equal(found[name], wanted[name], name)
        for name in ("mean_pct", "least_pct", "most_pct"):
            require(abs(found[name] - wanted[name]) < 1e-6, (name, found[name], wanted[name]))
        (total,) = found["totals"]
        equal([total[name] for name in ("compared", "up", "down", "mean_pct", "least_pct", "most_pct")],
              [found[name] for name in ("compared", "up", "down", "mean_pct", "least_pct", "most_pct")], "of the one currency")
        equal((total["currency"], total["units"]), ("EUR", wanted["units"]))
        for side in (0, 1):
            require(abs(total["turnover"][side] - wanted["turnover"][side]) < 0.005, (total, wanted))
        equal(found["guardrails"]["ceiling"], [0, wanted["ceiling"]])
        require(wanted["ceiling"] > 0 and wanted["units"] > 0, "a tape that shows nothing")
        for part in ("categories", "zones"):
            equal(sum(row["compared"] for row in found[part]), wanted["compared"], part)
            require(abs(sum(row["turnover"][1] for row in found[part]) - wanted["turnover"][1]) < 0.005, part)
        gains = [row["turnover"][1] - row["turnover"][0] for row in found["winners"]]
        require(gains == sorted(gains, reverse=True) and all(g > 0 for g in gains), gains)
        equal(sorted({row["name"] for row in found["categories"]}), ["food/a", "food/b"])


@check("gates: status 1 when a price, the mean or the turnover moves by more than allowed, or a price is made no more")
def _():
    tape = folder / "1.ndjson"
    words = ("--models", new, "--against", old, "--signals", tape)
    found = json.loads(simulate(*words, "--json"))
    most = max(found["most_pct"], -found["least_pct"])
    simulate(*words, "--max-change-pct", most + 0.01, "--max-mean-pct", abs(found["mean_pct"]) + 0.01, "--max-loss-pct", 1)
    contains(simulate(*words, "--max-change-pct", most - 0.01, status=1), "NOT PASSED: max-change-pct")
    contains(simulate(*words, "--max-mean-pct", abs(found["mean_pct"]) - 0.01, status=1), "max-mean-pct")
    contains(simulate("--models", old, "--against", new, "--signals", tape, "--max-loss-pct", 1, status=1), "max-loss-pct")
    some = write(folder / "some", flat(1.1, scope={"skus": ["p1"], "currencies": ["EUR"]}))
    contains(simulate("--models", some, "--against", old, "--signals", tape, status=1), "do not make")
    for nothing in ("", '{"control":"tick","time":1711900800000}\n', "no signal at all\n"):
        (folder / "nothing.ndjson").write_text(nothing)
        contains(simulate("--models", new, "--against", old, "--signals", folder / "nothing.ndjson", "--max-change-pct", 1, status=1), "NOT PASSED: no price was compared")
    simulate("--models", folder / "nothing", "--against", old, "--signals", tape, status=4)
    simulate("--models", new, "--against", old, "--signals", folder / "none", status=4)
    simulate("--against", old, status=2)


@check("the page holds the numbers, its charts and nothing from elsewhere")
def _():
    page = folder / "page.html"
    simulate("--models", new, "--against", old, "--signals", folder / "1.ndjson", "--html", page)
    text = page.read_text()
    for part in ("<svg", "polyline", "food/a", "Guardrails", "left out"):
        contains(text, part)
    require("http" not in text and "src=" not in text, "the page wants something from elsewhere")
    some = folder / "some"
    found = json.loads(simulate("--models", some, "--against", old, "--signals", folder / "1.ndjson", "--json", "--html", page, status=1))
    require(found["missing"][1] > 0, found["missing"])
    contains(page.read_text(), f"{found['missing'][1]} times only with the new models")
    contains(page.read_text(), f"Of {found['orders']} orders {found['unpriced']} were without a price")


@check("whoever reads the result is told which signals were played: the files in their order, or the bundled data")
def _():
    data = folder / "demo/data"  # those below the working folder come first
    data.mkdir(parents=True)
    for name in ("fresh_daily_price", "fresh_hourly", "fresh_product", "fresh_store_weather", "online_retail"):
        with gzip.open(ROOT / f"demo/data/{name}.csv.gz", "rb") as whole, gzip.open(data / f"{name}.csv.gz", "wb") as some:
            some.writelines(line for _, line in zip(range(300), whole))
    page, odd = folder / "page.html", folder / "a <day> & more.ndjson"
    shutil.copy(folder / "1.ndjson", odd)
    for words, files in ((("--models", ROOT / "models", "--against", ROOT / "models"), []), (("--models", new, "--against", old, "--signals", odd, folder / "2.ndjson"), [str(odd), str(folder / "2.ndjson")])):
        found = json.loads(simulate(*words, "--json", "--html", page, cwd=folder))
        equal((found["signal_files"], found["bundled_data"]), (files, not files))
        said = ", ".join(files) if files else "the bundled data"
        contains(simulate(*words, cwd=folder), f"played: {said}\n")
        contains(html.unescape(page.read_text()), f"Played: {said}.")


@check("a line that is no signal is told with its place and why; a pipe is refused, for a recording is read twice")
def _():
    bad, page = folder / "name_that_no_telephone_is_wide_enough_for.ndjson", folder / "page.html"  # the next check looks at it
    good = (folder / "1.ndjson").read_text().splitlines()
    bad.write_text("\n".join([*good[:5], '{"type":"supply","sku":"p1","available":-3,"time":1767603600000}', '{"type":"supply",}', *good[5:]]) + "\n")
    words = ("--models", new, "--against", old, "--signals")
    found = json.loads(simulate(*words, bad, "--json", "--html", page))
    require(re.fullmatch(re.escape(str(bad)) + r":6(:\d+)?: /available: .+", found["first_refused"]), found["first_refused"])
    equal(found["refused"], [2, 2])
    contains(simulate(*words, bad), f"the first that is no signal: {found['first_refused']}\n")
    contains(html.unescape(page.read_text()), f"The first that is no signal: {found['first_refused']}<")
    equal(json.loads(simulate(*words, folder / "1.ndjson", "--json"))["first_refused"], "")
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    result = run(BIN / "rialto", "simulate", *map(str, words), pipe)
    require(result[0] == 4 and f"{pipe} is no file: a recording is read twice" in result[2], result)


name = "the page fits a telephone and a wide window, light and dark: what is wider scrolls by itself"
if browser.is_there():
    @check(name)
    def _():
        window = browser.Browser()
        try:
            for width, is_phone, scheme in ((390, True, "light"), (1280, False, "dark")):
                window.screen(width, 900, is_phone, scheme)
                window.open(f"file://{folder / 'page.html'}")
                inner, wide, paper, ink = window.run("const style = getComputedStyle(document.body);"
                                                     "return [innerWidth, document.documentElement.scrollWidth, style.backgroundColor, style.color]")
                require(inner == width and wide <= width, f"{wide} of {inner} pixels at {width}")
                dark = [sum(int(n) for n in re.findall(r"\d+", colour)[:3]) < 384 for colour in (paper, ink)]
                equal(dark, [scheme == "dark", scheme != "dark"], f"{paper} and {ink}, {scheme}")
        finally:
            window.close()
else:
    skipped(name, "no chromium and chromedriver")


@check("a recording replays to the prices that a running service gave for it; --against live takes its models")
def _():
    skus, ticks, text = made_up(7)
    tape, prices = folder / "7.ndjson", folder / "prices.ndjson"
    tape.write_text(text)
    with Service(models={"shop.json": scarce()}) as service:
        status, out, err = service.cli("replay", "--signals", tape, "--seconds", "0", "--json")
        equal(status, 0, out + err)
        data = ("--set", f"data_dir={service.data}")
        status, out, err = service.cli("simulate", "--models", old, "--signals", tape, "--json", *data)
        live = json.loads(simulate("--models", old, "--against", new, "--signals", tape, "--json"))
        equal({**json.loads(out), "against": ""}, {**live, "against": ""})
        simulate("--models", new, "--against", old, "--signals", tape, "--prices", prices)
        rows = [json.loads(line) for line in prices.read_text().splitlines()]
        wanted = recompute(skus, ticks)["end"]
        reader = Library(service.cache)
        for row in rows:
            status, quote = reader.quote(row["sku"], zone=row["zone"] or None)
            equal((status, quote.baseline, row["baseline"]), (0, row["baseline"], wanted[row["sku"]][1]), row["sku"])
        equal(len(rows), len(skus))
        reader.close()


def folders():
    return {p for p in os.listdir("/dev/shm") if p.startswith("rialto-simulate")}


@check("whoever ends or kills it in the middle finds nothing of it in memory")
def _():
    tape = folder / "endless.ndjson"
    os.mkfifo(tape)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        before = folders()
        program = subprocess.Popen([BIN / "rialto", "simulate", "--models", new, "--against", old, "--signals", tape], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_the_test, cwd=ROOT)
        wait_until(lambda: len(folders() - before) >= 2, 10, "two folders")
        found = folders() - before
        (janitor,) = map(int, Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split())
        program.send_signal(sent)
        equal(program.wait(10 * SLOW), -sent)
        wait_until(lambda: not found & folders(), 20, f"none of {found} in /dev/shm")
        wait_until(lambda: not is_alive(janitor), 20, "who removed them to end")


@check("nothing stays behind")
def _():
    found = folders()  # others' too, which are at work: theirs go
    wait_until(lambda: not found & folders(), 20, f"none of {found} in /dev/shm")


shutil.rmtree(folder)
finish()
