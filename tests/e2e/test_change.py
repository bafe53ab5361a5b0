#!/usr/bin/env python3
"""Models and frozen prices come into force: on all workers or on none, whoever dies meanwhile, and each price is wholly of the
old models or wholly of the new. Prices are worked by hand: list x what the model says."""
import random

from rialto_test import *

PRODUCTS = 6000  # in three zones each


def shop(version, factor, **changes):
    """Everything costs list x factor, gold customers 10 % less."""
    return simple_model(version=version, factors=[{"name": "all", "input": "weekday", "steps": [[0, factor]]}], **changes)


def write(folder, model, name="shop.json"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(model if isinstance(model, str) else json.dumps(model))
    return str(folder)


class Reader(Library):
    """Quotes with the version of the model that made them."""

    def open(self):
        self.rules = {}
        super().open()

    def version(self, rule):
        if rule not in self.rules:
            row = ctypes.create_string_buffer(256)
            equal(self.lib.rialto_rule(self.handle, ctypes.c_uint16(rule), row), 0)
            self.rules[rule] = row.raw[56:88].split(b"\0")[0].decode()
        return self.rules[rule]

    def look(self, sku, zone=None, customer=None):
        """(version, amount)"""
        status, quote = self.quote(sku, customer=customer, zone=zone)
        require(status == 0, f"{sku}: {self.text(status)}")
        return self.version(quote.rule), quote.amount


class Watcher(threading.Thread):
    """Reads prices all the time; each must be what the version that it names makes of the list price."""

    def __init__(self, cache, prices, factors):
        super().__init__(daemon=True)
        self.reader, self.prices, self.factors = Reader(cache), prices, factors
        self.ended, self.reads, self.wrong, self.seen = False, 0, [], set()

    def run(self):
        dice = random.Random(1)
        skus = sorted(self.prices)
        while not self.ended:
            sku = dice.choice(skus)
            version, amount = self.reader.look(sku)
            self.reads += 1
            self.seen.add(version)
            if amount != round(self.prices[sku] * self.factors[version]):
                self.wrong.append((sku, version, amount))

    def stop(self):
        self.ended = True
        self.join()
        equal(self.wrong[:3], [], "prices that are neither old nor new")


FACTORS = {"1": 1.1, "2": 1.3, "3": 0.8}
with Service(models={"shop.json": shop("1", 1.1)}, products_max=8192, cells_max=32768, customers_max=1024, answer_timeout_ms=2000 * SLOW,
             stale_after_ms=60000) as service:  # a stale price is never above list: not what is looked at here
    DATA = ("--set", f"data_dir={service.data}")
    prices = {f"p{i}": 1000 + 10 * i for i in range(PRODUCTS)}

    def change(command, *words, status=0):
        found, out, err = service.cli(command, *words, *DATA, "--json", "--timeout", str(5000 * SLOW))
        equal(found, status, f"{command} {words}: {out[-300:]} {err[-300:]}")
        return json.loads(out) if out else err

    def versions():
        found = {}
        for sku in prices:
            version, amount = reader.look(sku)
            equal(amount, round(prices[sku] * FACTORS[version]), sku)
            found[version] = found.get(version, 0) + 1
        return found

    rows = [product(sku, amount, **more) for sku, amount in prices.items() for more in ({}, {"zone": "de"}, {"zone": "fr"})]
    for at in range(0, len(rows), 500):
        service.accept(*rows[at:at + 500])
    service.accept(customer("anna", ["profile"], tier="gold"))
    reader = Reader(service.cache)
    two, three = write(service.folder / "two", shop("2", 1.3)), write(service.folder / "three", shop("3", 0.8))

    @check("diff: what other models would change now, from the largest move on; nothing is changed by asking")
    def _():
        equal(versions(), {"1": PRODUCTS})
        found = change("diff", two, "--count", "50")
        equal((found["prices"], found["up"], found["down"], found["uncovered"]), (3 * PRODUCTS, 3 * PRODUCTS, 0, 0))
        equal(len(found["moves"]), 50)
        for move in found["moves"]:
            list_price = prices[move["sku"]]
            equal((move["now"], move["stays"], move["becomes"], move["at_once"]),
                  (round(list_price * 1.1), round(list_price * 1.1), round(list_price * 1.3), round(list_price * 1.3)))
            require(abs(move["pct"] - (move["becomes"] / move["stays"] - 1) * 100) < 1e-9, move)
        equal({z["name"]: z["prices"] for z in found["zones"]}, {"": PRODUCTS, "de": PRODUCTS, "fr": PRODUCTS})
        require(abs(found["sum_pct"] / found["prices"] - (1.3 / 1.1 - 1) * 100) < 0.01, found["sum_pct"])
        equal(versions(), {"1": PRODUCTS})
        same = change("diff", str(service.models))
        equal((same["up"], same["down"], same["moves"]), (0, 0, []))
        change("diff", two, "--max-change-pct", "18.3")
        change("diff", two, "--max-change-pct", "18", status=1)

    @check("apply: all prices move, each wholly old or wholly new, and the quote says which; terms follow")
    def _():
        watcher = Watcher(service.cache, prices, FACTORS)
        watcher.start()
        answer = change("apply", two, "--note", "second")
        equal(versions(), {"2": PRODUCTS})
        watcher.stop()
        note(f"{3 * PRODUCTS} prices after {answer['took_ms']} ms; {watcher.reads} reads meanwhile, of versions {sorted(watcher.seen)}")
        equal((answer["everywhere"], answer["change"]["number"], answer["change"]["models"]), (True, 2, 2))
        equal(reader.look("p5", customer="anna"), ("2", round(round(1050 * 1.3) * 0.9)))
        equal(reader.look("p5", zone="de"), ("2", round(1050 * 1.3)))

    @check("a fault changes nothing, and is named with its place: broken files, contradictions, an empty folder")
    def _():
        for name, model, part in (("broken", '{"model": "shop",}', "shop.json:1:18"), ("odd", shop("4", 99), "/factors/0"), ("none", None, "none")):
            folder = service.folder / name
            err = change("apply", write(folder, model) if model else (folder.mkdir(), str(folder))[1], status=4)
            contains(err, part)
        equal((versions(), service.ask({"control": "ping"})["change"]["number"]), ({"2": PRODUCTS}, 2))
        equal([f.name for f in (service.data / "models").iterdir() if f.name.startswith("stage")], [])

    @check("prices that no model would make any more are a fault, unless they are allowed; then they are gone")
    def _():
        narrow = write(service.folder / "narrow", shop("3", 0.8, scope={"skus": [f"p{i}" for i in range(10)] + ["p*"], "currencies": ["EUR"]}))
        service.accept(product("other", 700))
        equal(reader.look("other"), ("2", 910))
        contains(change("apply", narrow, status=4)["text"], "other")
        equal(reader.look("p1"), ("2", round(1010 * 1.3)))
        change("diff", narrow, status=1)
        change("apply", narrow, "--allow-uncovered")
        equal(reader.quote("other")[0], reader.UNKNOWN_PRODUCT)
        equal(versions(), {"3": PRODUCTS})
        change("rollback")
        equal(reader.look("other"), ("2", 910))

    @check("a worker that does not answer stops the change: nothing happens, not even later")
    def _():
        pid = service.children()["worker.0"]
        os.kill(pid, signal.SIGSTOP)
        try:
            answer = change("apply", three, status=1)
        finally:
            os.kill(pid, signal.SIGCONT)
        equal(answer["reason"], "no_answer")
        time.sleep(0.5)
        equal((versions(), service.ask({"control": "ping"})["change"]["models"]), ({"2": PRODUCTS}, 2))

    def kill_when_committed(pid, before):
        """As soon as the change is written down: the worker has just been told, or is about to be."""
        end = time.monotonic() + 5
        while time.monotonic() < end and service.log().count(" CHANGE change=") == before:
            pass
        os.kill(pid, signal.SIGKILL)

    def wait_for_workers():
        wait_until(lambda: len(service.children()) >= 4 and all(w["connected"] and w["waiting"] < 3 for w in service.ask({"control": "ping"})["workers"]), 15, "all workers")

    def change_is_everywhere():
        answer = service.ask({"control": "ping"})
        return len({w["applied"] for w in answer["workers"]}) == 1

    def versions_safe():
        try:
            return versions()
        except Failed:
            return None

    @check("kill -9 of a worker in the middle of an apply, again and again: it comes back on what is in force")
    def _():
        watcher = Watcher(service.cache, prices, FACTORS)
        watcher.start()
        dice, folders, outcomes = random.Random(7), [three, two], []
        current = "2"
        for round_ in range(8 if SLOW == 1 else 3):
            wait_for_workers()
            wait_until(lambda: change_is_everywhere(), 15, "the change before")
            pid = service.children()[f"worker.{round_ // 2 % 2}"]
            if round_ % 2:
                killer = threading.Thread(target=kill_when_committed, args=(pid, service.log().count(" CHANGE change=")))
            else:
                killer = threading.Timer(dice.uniform(0.002, 0.05), os.kill, (pid, signal.SIGKILL))
            killer.start()
            status, out, err = service.cli("apply", folders[round_ // 2 % 2 ^ round_ % 2], *DATA, "--json", "--timeout", str(5000 * SLOW))
            killer.join()
            require(out, err)
            answer = json.loads(out)
            if answer["ok"]:
                current = ("3", "2")[round_ // 2 % 2 ^ round_ % 2]
            outcomes.append((answer["ok"], answer.get("everywhere")))
            wait_until(lambda: versions_safe() == {current: PRODUCTS}, 20, f"all prices of {current}")
        watcher.stop()
        note(f"committed, everywhere when answered: {outcomes}; {watcher.reads} reads, none mixed")
        require(any(ok for ok, _ in outcomes), "no change came into force")
        wait_for_workers()
        change("apply", three)
        change("apply", two)

    @check("it stays so over kill -9 of the gateway, over a restart, and after a rollback; models_dir is taken when it was changed")
    def _():
        before = service.ask({"control": "ping"})["change"]["models"]
        (current,) = versions()
        os.kill(service.children()["gateway"], signal.SIGKILL)
        service.forget_connections()
        wait_until(lambda: service.cli("status")[0] == 0, 15, "the gateway")
        equal(service.ask({"control": "ping"})["change"]["models"], before)
        service.restart()
        reader.close(), reader.open()
        equal(versions(), {current: PRODUCTS})
        change("rollback")
        (other,) = versions()
        require(other != current, other)
        service.restart()
        reader.close(), reader.open()
        equal(versions(), {other: PRODUCTS})
        write(service.models, shop("1", 1.1))
        (service.models / "shop.json").write_text(json.dumps(shop("1", 1.1)) + "\n")
        service.restart()
        reader.close(), reader.open()
        equal(versions(), {"1": PRODUCTS})

    @check("SIGHUP applies models_dir; a bad file changes nothing, and the log says where")
    def _():
        write(service.models, shop("2", 1.3))
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: versions_safe() == {"2": PRODUCTS}, 10, "version 2")
        write(service.models, '{"model": }')
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "NOT-APPLIED" in service.log(), 10, "a refusal")
        contains(service.log(), f"{service.models}/shop.json:1:11")
        equal(versions(), {"2": PRODUCTS})
        service.restart()
        reader.close(), reader.open()
        equal(versions(), {"2": PRODUCTS}, "a start with a bad file goes on with what was in force")
        contains(service.log(), "MODELS-KEPT")
        write(service.models, shop("2", 1.3))

    @check("pinned models stay: apply, rollback, SIGHUP and a restart change nothing until the pin is taken back")
    def _():
        change("pin", "--note", "sale")
        equal(change("apply", three, status=1)["reason"], "pinned")
        equal(change("rollback", status=1)["reason"], "pinned")
        write(service.models, shop("3", 0.8))
        refusals = service.log().count("CHANGE-REFUSED")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: service.log().count("CHANGE-REFUSED") > refusals, 10, "a refusal")
        service.restart()
        reader.close(), reader.open()
        equal(versions(), {"2": PRODUCTS})
        change("pin", "--off")
        change("apply", three)
        equal(versions(), {"3": PRODUCTS})

    @check("where the kernel can, pages that a change-over comes to next are made writable before it is there")
    def _():
        def made():
            return service.status()["metrics"]["change_ahead_bytes_total"]

        before, rounds = made(), 0
        while made() == before and rounds < 20:  # nobody promises that the thread runs at all before all is done
            change("apply", two), change("apply", three)
            rounds += 1
        note(f"{made() - before} bytes in {2 * rounds} change-overs; the last one met {service.status()['metrics']['change_faults']} pages first")
        if tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (5, 14):
            require(made() > before, "none")

    @check("who, when and what: changes lists every change, status and ping show the one in force")
    def _():
        status, out, _ = service.cli("changes", *DATA, "--json", "--count", "50")
        rows = [json.loads(line) for line in out.splitlines()]
        equal([r["change"] for r in rows], list(range(rows[0]["change"], rows[0]["change"] + len(rows))))
        now = time.time() * 1000
        require(all(0 < now - r["when_ms"] < 600_000 for r in rows), "times")
        what = [r["what"] for r in rows]
        require(any("apply" in w and "second" in w for w in what) and "rollback" in what and "pin: sale" in what and any("SIGHUP" in w for w in what), what)
        require(all("@" in r["who"] or r["who"] in ("rialtod", "SIGHUP") for r in rows), rows)
        equal((status, service.ask({"control": "ping"})["change"]["number"]), (0, rows[-1]["change"]))
        _, out, _ = service.cli("status")
        contains(out, rows[-1]["what"])
        contains(out, rows[-1]["who"])
        equal(service.status()["change"]["number"], rows[-1]["change"])

    @check("without the key nobody changes anything, nor compares")
    def _():
        for question in ({"control": "change", "who": "x", "what": "x", "mode": "list"}, {"control": "change", "key": "0" * 32, "who": "x", "what": "x", "mode": "list"},
                         {"control": "diff", "stage": "stage.1"}):
            equal(service.ask(question)["reason"], "not_allowed")
        key = (service.data / "key").read_text()
        for more, pointer in (({"mode": "loud"}, "/mode"), ({"stage": "../models"}, "/stage"), ({"stage": "stage.1/../x"}, "/stage"), ({"pin": 1}, "/pin"),
                              ({"freeze": [{"by": "moon", "pattern": "x", "to": "list"}]}, "/freeze"), ({"freeze": [{"by": "sku", "pattern": "x", "to": "up"}]}, "/freeze"),
                              ({"models": 999999}, "/models"), ({"who": "a\nb", "mode": "list"}, "/who")):
            answer = service.ask({"control": "change", "key": key, "who": "x", "what": "x", **more})
            equal((answer["ok"], answer["pointer"]), (False, pointer), more)
        equal(versions(), {"3": PRODUCTS})

with Service(models={"shop.json": simple_model()}) as service:
    DATA = ("--set", f"data_dir={service.data}")
    reader = Reader(service.cache)

    def change(command, *words):
        status, out, err = service.cli(command, *words, *DATA, "--json")
        equal(status, 0, out + err)
        return json.loads(out)["change"]

    def supply(available, *skus, **more):
        service.accept(*({"type": "supply", "sku": s, "available": available, **more} for s in skus))

    def amounts():
        return [reader.look(*where)[1] for where in (("milk",), ("milk", "de"), ("tea",), ("tea", "fr"))]

    service.accept(product("milk", 1000), product("milk", 1000, zone="de"), product("tea", 500, category="dry/tea"), product("tea", 500, category="dry/tea", zone="fr"))
    service.accept(customer("anna", ["profile"], tier="gold"))

    def all_scarce():
        """Scarce: 20 % more. In every cell."""
        supply(5, "milk", "tea"), supply(5, "milk", zone="de"), supply(5, "tea", zone="fr")

    def all_plenty():
        supply(50, "milk", "tea"), supply(50, "milk", zone="de"), supply(50, "tea", zone="fr")

    @check("freeze to the last value or to list: a product, a category, a zone, everything; the rest goes on")
    def _():
        scarce, plenty = [1200, 1200, 600, 600], [1000, 1000, 500, 500]
        for words, held in ((("--sku", "milk"), [True, True, False, False]), (("--sku", "m*"), [True, True, False, False]),
                            (("--category", "dry/*"), [False, False, True, True]), (("--category", "dry"), [False, False, True, True]), (("--category", "dry/t*"), [False, False, True, True]),
                            (("--category", "dry/te"), [False] * 4), (("--zone", "de"), [False, True, False, False]), (("--all",), [True] * 4)):
            all_scarce()
            equal(amounts(), scarce)
            change("freeze", *words, "--to", "last")
            all_plenty()
            equal(amounts(), [s if h else p for s, p, h in zip(scarce, plenty, held)], words)
            change("freeze", *words, "--off")
            equal(amounts(), plenty)
            change("freeze", *words, "--to", "list")
            all_scarce()
            equal(amounts(), [p if h else s for s, p, h in zip(scarce, plenty, held)], words)
            change("freeze", *words, "--off")
            equal(amounts(), scarce, words)

    @check("who freezes is told how many prices that holds, and warned when it is none: a name was mistyped, or nothing of it is known yet")
    def _():
        def held(*words):
            status, out, err = service.cli("freeze", *words, *DATA, "--json")
            equal(status, 0, out + err)
            return json.loads(out).get("held", "not said")

        change("freeze", "--sku", "tea", "--to", "list")  # others that are in force do not count
        for words, wanted in ((("--sku", "milk"), 2), (("--sku", "m*"), 2), (("--category", "dry"), 2), (("--category", "*"), 4), (("--zone", "de"), 1), (("--zone", "fr"), 1),
                              (("--sku", "mlik"), 0), (("--category", "dry/te"), 0), (("--zone", "es"), 0), (("--sku", "milk", "--to", "list"), 2), (("--sku", "milk", "--to", "list"), 2),
                              (("--sku", "milk", "--off"), "not said"), (("--all",), "not said"), (("--all", "--off"), "not said")):
            equal(held(*words), wanted, words)
        equal(service.cli("pin", *DATA, "--json")[1].count('"held"'), 0, "a change that freezes nothing")
        service.cli("pin", "--off", *DATA)
        status, out, err = service.cli("freeze", "--sku", "mlik", *DATA)
        equal((status, "no price is held" in err, "held by these words" in out), (0, True, False), out + err)
        status, out, err = service.cli("freeze", "--sku", "milk", *DATA)
        equal((status, out.splitlines()[-1], err), (0, "2 prices are held by these words", ""))
        os.kill(service.children()["worker.0"], signal.SIGKILL)

        def counted():  # refused while the worker is away, not said of the change that it began with
            status, out, _ = service.cli("freeze", "--zone", "de", *DATA, "--json")
            return status == 0 and "held" in json.loads(out)
        wait_until(counted, 10, "the worker")
        equal((held("--zone", "de"), held("--zone", "es"), held("--sku", "*")), (1, 0, 4), "after a death")
        change("freeze", "--all", "--off")

    @check("who freezes some prices makes nobody else's wait: only products that the order means are priced, and none by a pin")
    def _():
        def priced(*words):
            before = service.status()["metrics"]["cells_repriced_total"]
            change(*words)
            return service.status()["metrics"]["cells_repriced_total"] - before

        for words, wanted in ((("freeze", "--sku", "milk"), 2), (("freeze", "--zone", "fr"), 2), (("freeze", "--category", "dry", "--to", "list"), 2), (("freeze", "--sku", "mlik"), 0),
                              (("pin",), 0), (("pin", "--off"), 0), (("freeze", "--sku", "mlik", "--off"), 0), (("freeze", "--category", "dry", "--off"), 2),
                              (("freeze", "--sku", "milk", "--to", "list"), 4),  # said anew, it goes behind the one of the zone, which is not the same any more
                              (("freeze", "--all"), 4), (("freeze", "--all", "--off"), 4)):
            equal(priced(*words), wanted, words)

    @check("words that can mean no price are refused, and so is thawing what nobody froze: who is in a hurry is not left to believe that something is held")
    def _():
        before = service.ask({"control": "ping"})["change"]
        for words, part in ((("--zone", "de/*"), "without a star"), (("--zone", "world"), "the world is around everybody"), (("--zone", "d e"), "a zone is made of"),
                            (("--category", "dry/"), "joined by single slashes"), (("--category", "d*y"), "a star stands at the end"), (("--sku", "m*k"), "a star stands at the end"),
                            (("--sku", "milk", "--off"), "nothing is frozen by these words")):
            status, out, err = service.cli("freeze", *words, *DATA)
            require(status == 1 and part in err, f"{words}: {status} {out}{err}")
        one = "one of --all, --sku, --category and --zone"
        for words, part in ((("milk",), one), ((), one), (("--sku", "milk", "tea"), one), (("--sku", "milk", "--to", "up"), "--to is list or last"),
                            (("--sku", "milk", "--sku", "tea"), "--sku is said twice"), (("--zone", "de", "--zone", "de"), "--zone is said twice"), (("--category", "dry", "--category", "x"), "--category is said twice")):
            status, out, err = service.cli("freeze", *words, *DATA)
            require(status == 2 and part in err, f"{words}: {status} {out}{err}")
        equal(service.ask({"control": "ping"})["change"], before)
        for i in range(64):
            change("freeze", "--sku", f"x{i}")
        status, out, err = service.cli("freeze", "--sku", "milk", *DATA)
        require(status == 1 and "64 such orders" in err, f"{status} {out}{err}")
        change("freeze", "--sku", "x63", "--to", "list")  # the same words once more are no order more
        lines = [line for line in service.cli("status", *DATA)[1].splitlines() if line.startswith("frozen ")]
        equal((len(lines), lines[0].split(), lines[-1].split()), (64, ["frozen", "sku", "x0", "to", "last"], ["frozen", "sku", "x63", "to", "list"]))
        change("freeze", "--all", "--off")

    @check("what was said last holds; thawing everything takes all of it back; explain says that a price is frozen")
    def _():
        all_scarce()
        change("freeze", "--category", "*", "--to", "list")
        change("freeze", "--sku", "tea", "--to", "last")
        equal(amounts(), [1000, 1000, 500, 500])  # tea stood at list by then
        explained = service.ask({"control": "explain", "sku": "milk"})
        equal(([s["step"] for s in explained["steps"]][-1], explained["guardrails"]), ("frozen", ["frozen"]))
        equal(explained["steps"][-1]["amount_minor"], "1000.000000")
        equal(len(change("freeze", "--all", "--off")["freeze"]), 0)
        equal(amounts(), [1200, 1200, 600, 600])

    @check("frozen prices keep their personal terms and their bounds, stay frozen over a restart and a kill; list mode is impersonal")
    def _():
        change("freeze", "--sku", "milk", "--to", "last")
        all_plenty()
        equal((reader.look("milk"), reader.look("milk", customer="anna")), (("1", 1200), ("1", 1080)))
        os.kill(service.children()["worker.0"], signal.SIGKILL)
        os.kill(service.children()["worker.1"], signal.SIGKILL)
        service.restart()
        reader.close(), reader.open()
        wait_until(lambda: reader.look("milk")[1] == 1200, 5, "the frozen price")
        service.accept(product("milk", 2000))  # a floor of half: 1200 is within
        equal(reader.look("milk")[1], 1200)
        service.accept(product("milk", 4000))  # 1200 is below the floor of 2000
        equal(reader.look("milk")[1], 2000)
        change("freeze", "--all", "--to", "list")
        equal((reader.look("milk")[1], reader.look("milk", customer="anna")[1]), (4000, 4000))
        service.restart()
        reader.close(), reader.open()
        equal(reader.look("milk")[1], 4000)
        change("freeze", "--all", "--off")
        wait_until(lambda: reader.look("milk", customer="anna")[1] == 3600, 5, "normal prices")
finish()
