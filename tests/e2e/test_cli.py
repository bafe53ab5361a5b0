#!/usr/bin/env python3
"""What people type: help, exit statuses, JSON, and that it is said what is wrong, and where."""
import unicodedata

from rialto_test import *

COMMANDS = ("quote", "explain", "signal", "watch", "replay", "check", "status", "diff", "apply", "rollback", "pin", "freeze", "changes", "audit", "simulate", "try", "top", "budgets")
NOWHERE = ("--cache", "/nonexistent/rialto", "--url", "ipc:///nonexistent/rialto.ipc")
rialto = lambda *words, **more: run(BIN / "rialto", *words, **more)


def options_of(text):
    """Long options that a help text explains: words that begin a line."""
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z][a-z-]*)", text, re.M))


@check("rialto --help names all commands; each has a help of its own with usage, options and examples")
def _():
    status, out, _ = rialto("--help")
    equal(status, 0)
    for command in COMMANDS:
        contains(out, f"rialto {command}")
        status, text, err = rialto(command, "--help")
        equal((status, err), (0, ""), command)
        contains(text, f"Usage: rialto {command}")
        require(len(re.findall(rf"^ +.*rialto {command}\b", text, re.M)) >= 2, f"{command}: fewer than two examples")
        require({"--cache", "--url", "--config", "--set", "--json"} <= options_of(text), f"{command}: {options_of(text)}")

@check("each option that a help text explains is understood")
def _():
    for command in COMMANDS:
        _, text, _ = rialto(command, "--help")
        for option in options_of(text):
            _, _, err = rialto(command, "--help", option, "x")
            require("unrecognized option" not in err, f"rialto {command} {option}: {err}")

@check("the examples in the help of rialtod are commands that exist")
def _():
    status, text, _ = run(BIN / "rialtod", "--help")
    equal(status, 0)
    for command in re.findall(r"^ +rialto (\w+)", text, re.M):
        require(command in COMMANDS, f"rialtod --help shows \"rialto {command}\"")

@check("all programs say their version and help with status 0, and refuse an unknown option with 2")
def _():
    for program in ("rialtod", "rialto"):
        status, out, _ = run(BIN / program, "--version")
        require(status == 0 and re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", out), f"{program} --version: {status} {out}")
    for program in ("rialtod", "rialto", "rialto-demo", "rialto-bench"):
        status, out, _ = run(BIN / program, "--help")
        require(status == 0 and len(out) > 100, f"{program} --help: {status} {out}")
        status, out, err = run(BIN / program, "--no-such-option")
        require(status == 2 and err and not out, f"{program} --no-such-option: {status} {out[:100]} {err[:100]}")

@check("wrong usage: status 2, the reason and the usage on standard error, nothing on standard output")
def _():
    for words in ((), ("sing",), ("quote",), ("quote", "--basis", "smell", "-", "milk"), ("quote", "--watch", "-", "milk"),
                  ("watch", "--count", "many"), ("watch", "--seconds", "-1"), ("status", "--wait", "soon"), ("top", "--interval", "0"), ("top", "--json"), ("top", "x"), ("quote", "--nonsense"),
                  ("quote", "--timeout", "0", "-", "milk"), ("replay", "operand")):
        status, out, err = rialto(*words)
        require(status == 2 and err and not out, f"rialto {' '.join(words)}: {status} {out[:80]!r} {err[:80]!r}")

@check("no service where it was looked for: status 3, and what was tried")
def _():
    for words, part in ((("quote", *NOWHERE, "-", "milk"), "/nonexistent/rialto"), (("watch", *NOWHERE, "--seconds", "1"), "/nonexistent/rialto"),
                        (("signal", *NOWHERE, "--json-text", "{}"), "/nonexistent/rialto.ipc"), (("status", *NOWHERE), "")):
        status, out, err = rialto(*words)
        require(status == 3 and part in out + err, f"rialto {' '.join(words)}: {status} {out[:100]} {err[:200]}")

folder = temporary_folder()
good = folder / "good"
good.mkdir()
(good / "shop.json").write_text(json.dumps(simple_model(), indent=1))

@check("rialto check: good models are status 0, in text and as JSON")
def _():
    status, out, _ = rialto("check", good)
    equal(status, 0)
    contains(out, "shop 1")
    status, out, _ = rialto("check", "--json", good)
    row = json.loads(out)
    equal((status, row["ok"], row["model"], row["version"]), (0, True, "shop", "1"))

@check("rialto check: the models that come with it are good")
def _():
    equal(rialto("check", ROOT / "models")[0], 0)

FAULTS = (  # what is changed in the text of a good model, and the place that must be named
    ('"ceiling": 1.5', '"ceiling": 0.2', "/guardrails/ceiling"), ('"step": 1', '"step": 0', "/rounding/step"),
    ('"input": "available"', '"input": "moon"', "/factors/0/input"), ('"gold": 0.9', '"gold": 90', "/personal/0/tier/gold"),
    ('"zone_levels": 2', '"zone_levles": 2', "/zone_levles"), ('"model": "shop"', '"model": ""', "/model"),
    ('"stale_limit": "1h"', '"stale_limit": "one hour"', "/stale_limit"), ('"version": "1",', "", ""), ('"group"', "group", None),
    ('"currencies": [\n   "EUR"', '"currencies": [\n   "EURO"', "/scope/currencies/0"),
)

@check(f"rialto check: {len(FAULTS)} faults, each with file, line, column, place and reason, status 4")
def _():
    text = (good / "shop.json").read_text()
    for old, new, pointer in FAULTS:
        require(old in text, f"{old!r} is not in the model")
        at = text.index(old)
        line = text[:at].count("\n") + 1
        bad = folder / "bad.json"
        bad.write_text(text.replace(old, new, 1))
        status, out, err = rialto("check", bad)
        equal(status, 4, new)
        found = re.match(r"(.*)/bad\.json:(\d+):(\d+): (?:(/\S*): )?(.+)", out + err)
        require(found, f"{new}: {out} {err}")
        if pointer:
            equal(found[4], pointer, new)
        if new:
            require(line <= int(found[2]) <= line + 1, f"{new}: line {found[2]}, wanted {line}")
        status, out, _ = rialto("check", "--json", bad)
        row = json.loads(out)
        equal((status, row["ok"], row["line"], row["column"], row["pointer"]), (4, False, int(found[2]), int(found[3]), found[4] or ""), new)

@check("rialto check: a folder with two faulty files names both; a contradiction between two good ones is found")
def _():
    both = folder / "both"
    both.mkdir()
    for name in ("a", "b"):
        (both / f"{name}.json").write_text("{ no")
    status, out, err = rialto("check", both)
    require(status == 4 and "a.json" in out + err and "b.json" in out + err, f"{status} {out} {err}")
    for name in ("a", "b"):
        (both / f"{name}.json").write_text(json.dumps(simple_model(model=name, group=name)))
    status, out, err = rialto("check", both)
    require(status == 4, f"two models for the same products: {status} {out} {err}")
    equal(rialto("check", folder / "none")[0], 4)

@check("who cannot read the key of the data folder is told so alike, whatever needs it, and how to name another folder")
def _():
    said = {command: rialto(command, "--set", f"data_dir={folder}/nobodys") for command in ("pin", "rollback", "budgets")}
    for command, (status, out, err) in said.items():
        equal((status, out), (3, ""), command)
        contains(err, f"{folder}/nobodys/key cannot be read: ")
        contains(err, " who may write in the service's data folder (--set data_dir=..., or --config with its configuration)")

def percent_off(percent, **discount):
    """A model's offer; the model's personal terms are 10 % for gold."""
    return [{"name": "cart", "trigger": {"event": "cart", "times": 3, "within": "7d"}, "discount": {"percent": percent, **discount}, "valid_for": "1d",
             "cooldown": "30d", "per_customer": {"offers": 1, "per": "7d"}, "budget": {"offers": 1000, "per": "7d"}}]

def remarks(*operands):
    """What `rialto check --json` remarks: (model, offer, its percent, the percent of the terms)."""
    status, out, _ = rialto("check", "--json", *operands)
    equal(status, 0, out)
    return [(row["model"], row["offer"], row["percent"], row["terms_percent"]) for row in map(json.loads, out.splitlines()) if "remark" in row]

@check("rialto check remarks an offer that would replace better personal terms, as no fault; none where it cannot be higher, or comes off the own price")
def _():
    lone = folder / "offer.json"
    for offers, wanted in ((percent_off(5), [("shop", "cart", 5, 10)]), (percent_off(9.99), [("shop", "cart", 9.99, 10)]), (percent_off(10), []), (percent_off(25), []),
                           (percent_off(5, stackable=True), []), ([{**percent_off(5)[0], "discount": {"fixed": 100, "currency": "EUR"}}], [])):
        lone.write_text(json.dumps(simple_model(offers=offers)))
        equal(remarks(lone), wanted, str(offers[0]["discount"]))
    lone.write_text(json.dumps(simple_model(offers=percent_off(5))))
    status, out, _ = rialto("check", lone)
    equal(status, 0)
    contains(out, "remark: shop: the offer cart, 5 % off the baseline, replaces personal terms, which reach 10 % off")
    lone.write_text(json.dumps(simple_model(offers=percent_off(5), guardrails={"personal": [0.97, 1]})))
    equal(remarks(lone), [], "terms no further than 3 %")

@check("rialto check remarks it once for a folder, also where another model gives the price group its terms; one that has ended gives none")
def _():
    for name, schedule, wanted in (("now", {}, [("other", "cart", 5, 10)]), ("ended", {"schedule": {"time_zone": "UTC", "until": "2020-01-01"}}, [])):
        place = folder / f"terms-{name}"
        place.mkdir()
        (place / "shop.json").write_text(json.dumps(simple_model(**schedule)))
        (place / "other.json").write_text(json.dumps({**simple_model(model="other", offers=percent_off(5), scope={"categories": ["other/*"], "currencies": ["EUR"]}), "personal": []}))
        equal(remarks(place), wanted, name)

def outside(expression, **more):
    """What `rialto check --json` remarks of a factor: [(its name, lowest, highest)]."""
    lone = folder / "factor.json"
    lone.write_text(json.dumps(simple_model(factors=[{"name": "f", "expression": expression, **more}])))
    status, out, _ = rialto("check", "--json", lone)
    equal(status, 0, out)
    return [(row["factor"], row["low"], row["high"]) for row in map(json.loads, out.splitlines()) if row.get("remark") == "factor-outside"]

@check("rialto check remarks a formula that is outside what a multiplier may be whatever its inputs are, as no fault; none that may be inside")
def _():
    for expression, wanted in (("-5", [("f", -5, -5)]), ("0", [("f", 0, 0)]), ("10.5", [("f", 10.5, 10.5)]), ("0 - clamp(demand_pressure, 1, 2)", [("f", -2, -1)]), ("20 + humidity", [("f", 20, 21)]),
                               ("0.1", []), ("10", []), ("demand_pressure", []), ("clamp(humidity, 0, 0.1)", []), ("10 + humidity", []), ("if(humidity > 0.5, -5, 1)", [])):
        equal(outside(expression), wanted, expression)
    place = folder / "factors"
    place.mkdir()
    (place / "shop.json").write_text(json.dumps(simple_model(factors=[{"name": "heat", "expression": "-0.05 * clamp(temperature_c - 20, 1, 2)"}, {"name": "dear", "expression": "12"}])))
    status, out, _ = rialto("check", place)
    equal((status, out.count("remark:")), (0, 2), out)
    contains(out, "remark: shop: the factor heat comes to -0.1 to -0.05 whatever its inputs are, and is cut to 0.1: a multiplier is 0.1 to 10")
    contains(out, "remark: shop: the factor dear comes to 12 whatever its inputs are, and is cut to 10")

with Service() as service:
    rialto = service.cli

    @check("rialto signal: from an argument, a file and standard input, by REQ and by PUSH")
    def _():
        file = service.folder / "signals.ndjson"
        file.write_text("".join(json.dumps(product(f"file-{i}", 100 + i)) + "\n" for i in range(600)))
        for words, stdin, name, price in ((("--json-text", json.dumps(product("text", 11))), b"", "text", 11),
                                          (("-",), encode(product("stdin", 12)), "stdin", 12), ((), encode([product("array", 13)]), "array", 13),
                                          ((file,), b"", "file-599", 699)):
            status, out, err = rialto("signal", *words, stdin=stdin)
            equal(status, 0, f"{words}: {out} {err}")
            equal(service.amount(name), price)
        status, out, err = run(BIN / "rialto", "signal", "--set", f"push_urls={service.push_ipc}", "--push", "--json-text", json.dumps(product("pushed", 14)))
        equal(status, 0, err)
        wait_until(lambda: service.cli_quote("pushed")[0] == 0, 5, "what was pushed")

    @check("rialto signal says what was rejected, which, where and why; status 1")
    def _():
        lines = encode(product("fine", 1)) + b"\n" + encode(product("bad", 1.5)) + b"\n"
        status, out, _ = rialto("signal", "-", stdin=lines)
        equal(status, 1)
        require("signal 2" in out and "/list" in out and "not_minor_units" in out, out)
        status, out, _ = rialto("signal", "--json", "-", stdin=lines)
        answers = [json.loads(line) for line in out.split("\n") if line]
        equal((status, answers[0]["accepted"], answers[0]["rejected"]), (1, 1, 1))

    @check("rialto quote: text for people, with baseline, list, bounds and reasons")
    def _():
        service.accept(product("milk", 1000), customer("anna", ["profile"], tier="gold"))
        status, out, _ = rialto("quote", "anna", "milk")
        equal(status, 0)
        for part in ("9.00 EUR", "baseline   10.00 EUR", "0.9000", "profile", "list       10.00 EUR", "5.00 EUR to 15.00 EUR", "world", "shop 1"):
            contains(out, part)

    @check("rialto quote: one operand alone is a product, - is nobody in particular")
    def _():
        for words in (("milk",), ("-", "milk")):
            status, out, err = rialto("quote", *words)
            require(status == 0 and "10.00 EUR" in out, f"{words}: {status} {out} {err}")

    @check("rialto quote: an id that is too long is a negative answer, not a crash")
    def _():
        status, rows = service.cli_quote("x" * 500, "milk", customer="c" * 500)
        equal((status, [r["status"] for r in rows]), (1, ["BAD_INPUT", "BAD_INPUT"]))

    @check("every --json is valid JSON, also with ids that need escapes")
    def _():
        odd = 'q"uo\\te/ü€\u2028'
        service.accept(product(odd, 500, title=odd))
        equal(service.quote(odd, customer=odd)["amount"], 500)
        status, rows = service.cli_quote(odd, customer=odd)
        equal((rows[0]["sku"], rows[0]["customer"]), (odd, odd))
        service.status()
        json.loads(run(BIN / "rialto", "replay", "--dry-run", "--json", cwd=ROOT)[1])

    @check("rialto watch shows a change as it happens: product, zone, before, after, reason")
    def _():
        watch = subprocess.Popen([BIN / "rialto", "watch", "--cache", service.cache, "--json", "--count", "2", "--seconds", str(20 * SLOW), "milk"],
                                 stdout=subprocess.PIPE, preexec_fn=die_with_the_test)
        time.sleep(0.7 * SLOW)
        service.accept(product("butter", 10), product("milk", 1200), {"type": "supply", "sku": "milk", "available": 1})
        service.pass_time(1)
        service.accept({"type": "supply", "sku": "milk", "available": 100}, product("milk", 900, zone="de"))
        out, _ = watch.communicate(timeout=25 * SLOW)
        rows = [json.loads(line) for line in out.splitlines()]
        equal((watch.returncode, [(r["sku"], r["zone"], r["before"], r["after"]) for r in rows][:1]), (0, [("milk", rows[0]["zone"], 1000, 1440)]))
        require(rows[0]["reason"] in ("list", "scarcity") and rows[0]["currency"] == "EUR", f"{rows[0]}")
        equal(rows[1]["after"], 1200)

    @check("columns are as wide as a terminal shows their names, whatever bytes these take")
    def _():
        def cells(text):
            return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
        names = ["plain", "Gruyère", "bu\u0308rste", "奶酪", "ÄÖÜ" * 3]
        # 3 becomes 4: the largest moves of all
        service.accept(*(product(f"wide-{name}", 3, category=f"wide/{name}") for name in names))
        wide = service.folder / "wide"
        wide.mkdir()
        (wide / "shop.json").write_text(json.dumps(simple_model(version="2", factors=[{"name": "all", "input": "weekday", "steps": [[0, 1.2]]}])))
        status, out, err = rialto("diff", "--count", "50", "--set", f"data_dir={service.data}", wide)
        equal(status, 0, err)
        for name in names:
            row = next(line for line in out.splitlines() if line.startswith(f"wide-{name} "))
            equal(cells(row[:row.index(" world") + 1]), 25, row)
            tally = next(line for line in out.splitlines() if line.startswith(f"wide/{name} "))
            equal(cells(tally[:re.search(r" +1 ", tally).end() - 1]), 42, tally)

    @check("rialto explain: what was seen this moment is just now, not -0 s ago; a clock that is ahead is said to be")
    def _():
        service.accept(product("when", 1000), {"type": "supply", "sku": "when", "available": 5})
        contains(rialto("explain", "when")[1], "just now")
        service.accept({"type": "supply", "sku": "when", "available": 5, "time": service.now_ms() + 30000})
        require(re.search(r"(29|30) s ahead", rialto("explain", "when")[1]), rialto("explain", "when"))

    @check("a note that is too long for the record of changes is refused, not cut")
    def _():
        status, out, err = rialto("pin", "--note", "x" * 121)
        equal(status, 2)
        contains(err, "--note: at most 120 bytes")
        words = ("--set", f"data_dir={service.data}")
        equal(rialto("freeze", "--category", "c" * 60, "--note", "y" * 120, *words)[0], 0)
        contains(rialto("changes", *words)[1], f"freeze category {'c' * 60} to last: {'y' * 120}")
        equal(rialto("freeze", "--category", "c" * 60, "--off", *words)[0], 0)

    @check("rialto watch ends after --seconds, with status 1 when fewer lines came than were asked for; Ctrl-C ends it with 0")
    def _():
        equal(rialto("watch", "--seconds", "0.3")[0], 0)
        equal(rialto("watch", "--seconds", "0.3", "--count", "5")[0], 1)
        watch = subprocess.Popen([BIN / "rialto", "watch", "--cache", service.cache], stdout=subprocess.PIPE, preexec_fn=die_with_the_test)
        time.sleep(0.7 * SLOW)
        watch.send_signal(signal.SIGINT)
        equal(watch.wait(10 * SLOW), 0)
        watch.stdout.close()

    @check("rialto status names the processes, their allocator, Redis, tables and signals")
    def _():
        wait_until(lambda: service.status()["status"] == "healthy", 10, "healthy")
        status, out, _ = rialto("status")
        equal(status, 0)
        for part in ("healthy", "supervisor", "gateway", "worker.0", "worker.1", "redis", "up for 2 of 2 workers", "64 of 64 partitions",
                     "cells", "terms", "offers", "zones", "products", "accepted"):
            contains(out, part)
        found = service.status()
        equal(sorted(p["who"] for p in found["processes"]), ["gateway", "supervisor", "worker.0", "worker.1"])
        equal({p["who"]: p["pid"] for p in found["processes"] if p["who"] != "supervisor"},
              {who: pid for who, pid in service.children().items() if who != "redis-server"})
        if VARIANT in ("release", "clang"):
            equal({p["allocator"] for p in found["processes"]}, {"jemalloc"})
            contains(out, "jemalloc")

    @check("rialto status: degraded is status 1 and says what is wrong; --wait waits for health")
    def _():
        os.kill(service.children()["redis-server"], signal.SIGSTOP)
        try:
            wait_until(lambda: service.status()["status"] == "degraded", 15, "degraded")
            status, out, _ = rialto("status")
            equal(status, 1)
            contains(out, "Redis")
        finally:
            os.kill(service.children()["redis-server"], signal.SIGCONT)
        equal(rialto("status", "--wait", str(15 * SLOW))[0], 0)
        equal(service.amount("milk"), 1200)
finish()
