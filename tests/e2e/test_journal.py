#!/usr/bin/env python3
"""The price journal: what `rialto explain --at` says of the past is what a client saw that followed the prices all along."""
import hashlib
import http.client
import random
from fractions import Fraction

from rialto_test import *

DAY = 86400_000
SEED = int(os.environ.get("SEED", "0")) or int.from_bytes(os.urandom(3), "big")
MODEL = simple_model(rounding={"step": 5, "less": 1})
PORT, TOKEN = free_port(), "t" * 40
TOKENS = temporary_folder("tokens.") / "tokens"
TOKENS.write_text(f"shop till {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
SKUS, ZONES = [f"p{i}" for i in range(8)], ["", "c1", "c1/s25"]


def rfc3339(ms):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ms // 1000)) + f".{ms % 1000:03d}Z"


class Watcher:
    """`rialto watch` writes down every change of a price: (sku, zone) -> [(time, amount)]."""

    def __init__(self, service):
        self.path = service.folder / "seen"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen([BIN / "rialto", "watch", "--cache", service.cache, "--json"], stdout=out,
                                            preexec_fn=die_with_the_test)
        time.sleep(0.5 * SLOW)

    def seen(self):
        rows = {}
        for line in self.path.read_text().splitlines():
            row = json.loads(line)
            if row["before"] != row["after"]:
                rows.setdefault((row["sku"], row["zone"]), []).append((row["time"], row["after"]))
        return rows

    def close(self):
        self.process.terminate()
        self.process.wait()


def stands(rows, at):
    return next((amount for when, amount in reversed(rows) if when <= at), None)


def wanted_lowest(prices, at):
    """What was asked in a zone: its own price, and those around it, nearest first, for as long as nearer ones were not there."""
    begin, amounts = at - 30 * DAY, []
    for rows in prices:
        amounts += [amount for when, amount in rows if begin < when < at]
        before = stands(rows, begin)
        if before is not None:
            return min([*amounts, before])
        at = min([at, *(when for when, _ in rows)])
    return min(amounts, default=0)


def explain(service, at, *skus, zone="", json_=True):
    words = ["--set", f"data_dir={service.data}", "--set", f"instance={service.instance}", "--at", rfc3339(at)]
    status, out, err = service.cli("explain", *words, *(["--zone", zone] if zone else []), *(["--json"] if json_ else []), "--", *skus)
    return status, [json.loads(line) for line in out.splitlines()] if json_ else out, err


def http_journal(sku, **query):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)
    try:
        connection.request("GET", f"/v1/journal/{sku}?" + "&".join(f"{k}={v}" for k, v in query.items() if v != ""), headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        return answer.status, json.load(answer)
    finally:
        connection.close()


def multiplies_out(e):
    amount = None
    for step in e["steps"]:
        op, after = step["step"], Fraction(step["amount_minor"])
        if op == "list":
            wanted = Fraction(e["list"])
        elif op == "factor":
            wanted = Fraction(round(amount * Fraction(step["times"]) * 10**6), 10**6)
        elif op == "round":
            wanted = Fraction(round(amount))
        elif op in ("floor", "ceiling"):
            wanted = Fraction(e[op])
        else:  # five apart, one less: 4, 9, 14 ...
            equal(op, "ending")
            allowed = [n for n in range(int(amount) - 9, int(amount) + 10) if n % 5 == 4 and e["floor"] <= n <= e["ceiling"]]
            wanted = min(allowed, key=lambda n: (abs(n - amount), n))
        equal(after, wanted, f"{e['sku']}: {op}")
        amount = after
    equal(amount, e["baseline"], e["sku"])


def metric(service, name):
    return service.status()["metrics"][name]


def entries(service):
    redis = service.redis()
    return [m.decode().split("\t") for key in redis.keys(f"{service.instance}:journal:*") for m in redis("ZRANGE", key, "0", "-1")]


def settled(service, moves):
    """Every move is in an entry, by itself or together with others."""
    wait_until(lambda: sum(int(r[6]) for r in entries(service)) >= moves, 10, f"{moves} moves in the journal")


note(f"SEED={SEED}")
with Service(models={"shop.json": MODEL}, journal_interval_s=0, clock_replay=1, open_min=1, http_listen=f"127.0.0.1:{PORT}", http_tokens_file=TOKENS) as service:
    dice = random.Random(SEED)
    watcher = Watcher(service)
    service.accept(customer("C-SECRET", ["behaviour"]))
    began = service.now_ms() // DAY * DAY + DAY
    require(service.ask({"control": "tick", "time": began})["ok"], "tick")
    service.accept(*[product(sku, 500) for sku in SKUS])
    for step in range(80):
        for sku in dice.sample(SKUS, 3):
            zone = dice.choice(ZONES)
            if dice.random() < 0.5:
                service.accept(product(sku, dice.randint(100, 999), **({"zone": zone} if zone else {})))
            else:
                service.ask({"type": "supply", "sku": sku, "available": dice.randint(0, 20), **({"zone": zone} if zone else {})})
        service.accept(demand(dice.choice(SKUS), "view", customer="C-SECRET"))
        time.sleep(0.07)
        service.pass_time(dice.choice([1, 60, 3600, 43200, 86400]))
    end = service.now_ms()
    time.sleep(0.5 * SLOW)
    seen = watcher.seen()
    changes = sum(map(len, seen.values()))

    @check("every change that a client saw is in the journal, with its amount and time where it has an entry of its own")
    def _():
        settled(service, changes)
        rows = [r for r in entries(service) if int(r[6]) > 0]
        equal(sum(int(r[6]) for r in rows), changes)
        noted = {(r[0], r[1], int(r[2]), int(r[3])) for r in rows}
        was = {(sku, zone, when, amount) for (sku, zone), rows in seen.items() for when, amount in rows}
        equal(noted - was, set())
        equal(len(noted), len(rows))
        require(changes > 60 and len(rows) > 0.8 * changes, f"{changes} changes, {len(rows)} entries")

    @check("explain --at: the price at any time is what was seen then, its steps multiply out, the lowest of 30 days is the least seen")
    def _():
        looked = 0
        for _ in range(25):
            at, zone = dice.randint(max(began, end - 30 * DAY), end), dice.choice(ZONES)
            around = ["c1/s25", "c1", ""][["c1/s25", "c1", ""].index(zone):]
            priced = {sku: next((z for z in around if stands(seen.get((sku, z), []), at)), None) for sku in SKUS}
            there = [sku for sku in SKUS if priced[sku] is not None]
            if not there:
                continue
            status, rows, err = explain(service, at, *there, zone=zone)
            equal((status, [r["sku"] for r in rows]), (0, there), err)
            for row in rows:
                rows_seen = seen[row["sku"], priced[row["sku"]]]
                if row["known"] == "moved":
                    require(row["at_least"] <= stands(rows_seen, at), row)
                    continue
                equal((row["zone"], row["known"], row["baseline"]), (priced[row["sku"]], "exactly", stands(rows_seen, at)), f"{row['sku']} in {zone!r} at {at}")
                multiplies_out(row)
                equal((row["model"], row["version"]), ("shop", "1"))
                lowest = row["lowest_30_days"]
                equal(lowest["baseline"], wanted_lowest([seen.get((row["sku"], z), []) for z in around[around.index(row["zone"]):]], at), f"lowest of {row['sku']} before {at}")
                low_at = lowest["since_ms"]
                require(low_at == at - 30 * DAY or (low_at, lowest["baseline"]) in seen[row["sku"], lowest["zone"]] or not lowest["baseline"], row)
                looked += 1
        note(f"{changes} changes, {looked} prices looked up")
        require(looked > 50, looked)

    @check("over HTTP, a page after the other: the same changes with what stood before each, and all of what the journal has of a price and a time")
    def _():
        told = 0
        for sku, zone in [(sku, zone) for sku in SKUS[:4] for zone in ZONES]:
            at, until, pages, found = max(began, end - 34 * DAY), end, 0, []
            while at is not None and pages < 100:
                status, page = http_journal(sku, zone=zone, **{"from": at if pages else rfc3339(at)}, to=rfc3339(until), limit=5)
                equal((status, page.get("sku"), page.get("zone"), len(page.get("entries", [])) <= 5), (200, sku, zone, True), page)
                found += page["entries"]
                at, pages = page["next"], pages + 1
            wanted = sorted({(int(r[2]), int(r[3])) for r in entries(service) if r[:2] == [sku, zone] and max(began, end - 34 * DAY) <= int(r[2]) < until})
            equal(sorted({(e["when_ms"], e["amount"]) for e in found}), wanted, f"{sku} in {zone!r}")
            equal([e["when_ms"] for e in found], sorted(e["when_ms"] for e in found))
            for e in found:
                rows_seen = seen.get((sku, zone), [])
                if e["moves"] == 1:
                    befores = [rows_seen[i - 1][1] if i > 0 else 0 for i, row in enumerate(rows_seen) if row == (e["when_ms"], e["amount"])]
                    require(e["before"] in befores, f"{e} after {befores}")
                equal([f["name"] for f in e["factors"]], [f["name"] for f in MODEL["factors"]])
            told += len(found)
        require(told > 30, f"{told} entries")
        status, page = http_journal("nobody-sells-this")
        equal((status, page["entries"], page["next"], page["to_ms"] - page["from_ms"]), (200, [], None, DAY))

    @check("as text; no price before the first one; a bad time and an unknown product are told")
    def _():
        status, out, err = explain(service, end, "p0", json_=False)
        equal(status, 0, err)
        contains(out, "lowest price of the 30 days before")
        contains(out, "scarcity")
        row = explain(service, end, "p0")[1][0]
        contains(out, f"list           {'':12} {row['list'] / 100:14.2f}   list price\n", "in the units of the price")
        equal(explain(service, began - DAY, "p0")[0], 1)
        equal(explain(service, end, "nobody-sells-this")[0], 1)
        status, _, err = service.cli("explain", "--at", "yesterday", "p0")
        equal(status, 2)
        contains(err, "2026-11-26T14:00:00Z")

    @check("the lowest of 30 days in a zone whose price is young: until then people there paid the price of the zone around it, and not after")
    def _():
        lamps = lambda: [r for r in entries(service) if r[0] == "lamp"]
        for count, (list_price, zone) in enumerate(((500, ""), (400, "c1"), (300, ""), (900, "c1/s25"), (200, "c1")), 1):
            service.accept(product("lamp", list_price, **({"zone": zone} if zone else {})))
            wait_until(lambda: len(lamps()) == count, 10, "an entry for each: moves that wait for the same one are joined")
            service.pass_time(3600)
        since = {int(r[3]): int(r[2]) for r in lamps()}
        for zone, wanted in (("c1/s25", (899, 399, "c1")), ("c1", (199, 199, "c1")), ("", (299, 299, ""))):
            (row,) = explain(service, service.now_ms(), "lamp", zone=zone)[1]
            lowest = row["lowest_30_days"]
            equal((row["baseline"], lowest["baseline"], lowest["zone"], lowest["since_ms"], lowest["complete"]), (*wanted, since[wanted[1]], True), zone)
        contains(explain(service, service.now_ms(), "lamp", zone="c1/s25", json_=False)[1], "lowest price of the 30 days before: 3.99 EUR, from ")
        contains(explain(service, service.now_ms(), "lamp", zone="c1/s25", json_=False)[1], ", by the price of c1")
        (row,) = explain(service, since[399] - 1000, "lamp", zone="c1/s25")[1]
        equal((row["zone"], row["baseline"], row["lowest_30_days"]["baseline"]), ("", 499, 499))

    @check("explain --at of a time that is still to come names no price: what stands now need not stand then")
    def _():
        status, out, err = explain(service, service.now_ms() + DAY, "p0", json_=False)
        equal((status, out), (1, ""))
        contains(err, "still to come: service time is")
        for _ in range(20):
            equal(explain(service, service.now_ms(), "p0")[0], 0, "the moment that was just told")

    @check("keys of the journal end by themselves; nothing in it names a customer")
    def _():
        redis = service.redis()
        keys = redis.keys(f"{service.instance}:journal:*")
        for key in keys:
            require(0 < redis("PTTL", key) <= 37 * DAY or key[-10:] < rfc3339(end - 35 * DAY)[:10], f"{key} {redis('PTTL', key)}")
            require(all(b"C-SECRET" not in m for m in redis("ZRANGE", key, "0", "-1")), key)

    @check("Redis does not answer for a while: prices move on, and the journal has them afterwards")
    def _():
        pid = service.children()["redis-server"]
        os.kill(pid, signal.SIGSTOP)
        service.ask([product("p0", 5000)])
        service.pass_time(1)
        service.ask([product("p0", 6000)])
        os.kill(pid, signal.SIGCONT)
        service.wait_durable()
        wait_until(lambda: {int(r[3]) for r in entries(service) if r[0] == "p0"} & {service.quote("p0")["baseline"]}, 15, "the price")

    @check("workers that are killed and come back: the price that stands is in the journal, and what was there stays")
    def _():
        before = {tuple(r[:4]) for r in entries(service)}
        service.accept(product("p1", 7000))
        for name, pid in service.children().items():
            if name.startswith("worker"):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: service.ask({"control": "ping"})["workers"][0]["connected"], 10, "workers")
        amount = wait_until(lambda: service.amount("p1"), 5)
        wait_until(lambda: any(r[0] == "p1" and int(r[3]) == amount for r in entries(service)), 15, "the price after the death")
        require(before <= {tuple(r[:4]) for r in entries(service)}, "an entry is gone")
        status, rows, err = explain(service, service.now_ms(), "p1")
        equal((status, rows[0]["baseline"]), (0, amount), err)

    @check("a declared parent takes nothing from a price that stood in its own zone for all of the 30 days")
    def _():
        service.accept({"type": "zone", "zone": "c1/s26", "parent": "north"}, product("soap", 300, zone="c1/s26"))
        wait_until(lambda: any(r[0] == "soap" for r in entries(service)), 10, "its entry")
        found = []
        for days in (1, 30):
            service.pass_time(days * 86400)
            found.append(explain(service, service.now_ms(), "soap", zone="c1/s26")[1][0]["lowest_30_days"]["missing"])
        equal(found, [["parents"], []])
    watcher.close()

with Service(models={"shop.json": MODEL}, journal_interval_s=60, journal_day_entries_max=192, clock_replay=1) as service:
    begin = service.now_ms() // DAY * DAY + 2 * DAY
    require(service.ask({"control": "tick", "time": begin})["ok"], "tick")

    @check("within an interval a price has one entry, with the lowest in between; what moved is counted")
    def _():
        service.accept(product("tea", 500))
        service.pass_time(90)
        settled(service, 1)
        low = None
        for list_price in (700, 200, 400, 600):
            service.accept(product("tea", list_price))
            low = min(low or 10**9, service.quote("tea")["baseline"])
            service.pass_time(1)
        service.pass_time(120)
        wait_until(lambda: sum(int(r[6]) for r in entries(service)) == 5, 10, "all moves")
        rows = entries(service)
        require(len(rows) <= 3, f"{len(rows)} entries")
        equal(explain(service, service.now_ms(), "tea")[1][0]["lowest_30_days"]["baseline"], low)
        require(metric(service, "journal_coalesced_total") >= 2, "not counted")

    @check("a day's entries are bounded: past it they are refused, and counted")
    def _():
        for list_price in range(1000, 1800, 100):
            service.accept(product("tea", list_price))
            service.pass_time(61)
        wait_until(lambda: metric(service, "journal_refused_total") > 0, 10, "refused entries")
        for key in service.redis().keys(f"{service.instance}:journal:*"):
            require(service.redis()("ZCARD", key) <= 4, key)

with Service(models={"shop.json": MODEL}, journal_interval_s=0, open_min=1) as service:  # times of changes are by the clock on the wall
    DATA = ("--set", f"data_dir={service.data}")

    def complete(sku, at=None, zone=""):
        status, rows, err = explain(service, at or service.now_ms(), sku, zone=zone)
        equal(status, 0, err)
        lowest = rows[0]["lowest_30_days"]
        equal(lowest["complete"], lowest["missing"] == [], lowest)
        return lowest["missing"]

    def lasting():
        """A moment, with others before and after it."""
        time.sleep(0.3)
        now = service.now_ms()
        time.sleep(0.3)
        return now

    def freeze(*words):
        status, out, err = service.cli("freeze", *words, *DATA, timeout=60 * SLOW)
        equal(status, 0, out + err)

    @check("the lowest of 30 days does not pass for all of it when every quote stood at list price for a while, which is no change of the price")
    def _():
        service.accept(product("oil", 500), product("rum", 500))
        settled(service, 2)
        before = lasting()
        freeze("--all", "--to", "list")
        during = lasting()
        freeze("--all", "--off")
        freeze("--all")  # to their last values: what stands is in the journal
        freeze("--all", "--off")
        lasting()  # ticks are on a grid, times of changes are not
        service.accept(product("gin", 500))
        settled(service, 3)
        after = lasting()
        equal([complete("oil", at) for at in (before, during, after)], [[], ["list_mode"], ["list_mode"]])
        equal(complete("gin", after), [], "a price that is younger than that")
        contains(explain(service, after, "oil", json_=False)[1], "of what is known: every quote stood at list price for a part of it")

    @check("nor when the record of changes is away, or lacks one: nobody knows how quotes stood then")
    def _():
        record = service.data / "changes.ndjson"
        lines = record.read_text().splitlines(keepends=True)
        try:
            equal([json.loads(line)["mode"] for line in lines], ["normal", "list", "normal", "frozen", "normal"])
            for left in (lines[:1] + lines[2:], lines[3:], lines[:1], []):
                record.write_text("".join(left))
                equal(complete("oil"), ["changes"], f"{len(left)} lines")
            record.write_text("".join(lines[:2] + ["{\"change\":3,\n"] + lines[3:]))
            equal(complete("oil"), ["list_mode"])
            record.unlink()
            equal(complete("gin"), ["changes"])
        finally:
            record.write_text("".join(lines))

    @check("nor when a signal declared what is around the zone, while its price was not there: names say something else")
    def _():
        service.accept({"type": "zone", "zone": "c1/s25", "parent": "north"}, product("gin", 400, zone="north"), product("ale", 500), product("ale", 300, zone="north"))
        settled(service, 6)
        equal(service.quote("ale", zone="c1/s25")["zone"], "north")
        equal([complete("ale", zone=z) for z in ("c1/s25", "c1", "north", "")], [["parents"], [], [], []])
        service.accept(product("ale", 200, zone="c1/s25"))
        settled(service, 7)
        equal(complete("ale", zone="c1/s25"), ["parents"], "it was not there all along")

KINDS = {"name": "kind", "categories": {"wine": 1.2, "milk": 0.9, "*": 1}}
with Service(models={"shop.json": simple_model(factors=[KINDS], stale_limit="1s")}, journal_interval_s=0, stale_after_ms=500 * SLOW, cache_on_stop="keep") as service:
    DATA = ("--set", f"data_dir={service.data}")
    LIST, BASELINE = 500, {"wine": 600, "beer": 500, "milk": 450}
    FILES = [service.data / f"silence.{n}.ndjson" for n in range(2)]

    silent = []  # as each answer says of its moment

    def missing():
        """Of each product; the lowest baseline price is what it always was."""
        found = {}
        for row in explain(service, service.now_ms(), *BASELINE)[1]:
            lowest = row["lowest_30_days"]
            equal((lowest["baseline"], lowest["complete"]), (BASELINE[row["sku"]], lowest["missing"] == []), lowest)
            found[row["sku"]] = lowest["missing"]
            silent.append(row["silent"])
        return found

    def workers():
        return [pid for name, pid in service.children().items() if name.startswith("worker")]

    def stop(pids, look=missing):
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: all(service.quote(sku)["amount"] == LIST for sku in BASELINE), 10, "quotes past the stale limit at list price")
            return look()
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def priced():
        return all(service.quote(sku)["amount"] == BASELINE[sku] for sku in BASELINE)

    KNOWN, SILENT = {sku: [] for sku in BASELINE}, {"wine": ["silence"], "beer": [], "milk": []}
    for sku in BASELINE:
        service.accept(product(sku, LIST, category=sku))
    wait_until(lambda: len(entries(service)) == 3, 10, "their entries")
    for path in FILES:  # of a test that was kept waiting
        path.unlink(missing_ok=True)

    @check("the lowest of 30 days is not complete where nobody priced for so long that quotes stood at a lower list price, and is where it is not lower")
    def _():
        equal(missing(), KNOWN)
        equal(stop(workers()), SILENT, "while it lasts")
        wait_until(priced, 10, "prices")
        equal(missing(), SILENT, "afterwards")
        equal(silent, [False] * 3 + [True] * 3 + [False] * 3)
        contains(explain(service, service.now_ms(), "wine", json_=False)[1], "of what is known: for a part of it nobody priced")
        for path in FILES:
            require(json.loads(path.read_text().splitlines()[0])["workers"] == 2, path)

    @check("nor where the gateway, from which all time comes, was silent, nor while the service was stopped, or dead")
    def _():
        for silence in (lambda: stop([service.children()["gateway"]], lambda: None), lambda: service.stop(), service.kill):
            for path in FILES:
                path.unlink(missing_ok=True)
            equal(missing(), KNOWN)
            silence()
            if service.process is None:
                time.sleep(0.7 * SLOW)
                service.start()
            wait_until(priced, 10, "prices")
            equal(missing(), SILENT)

    @check("a product that is younger than the silence knows nothing of it; a record that is damaged leaves all of the time open")
    def _():
        BASELINE["wine-new"] = 600
        service.accept(product("wine-new", LIST, category="wine"))
        wait_until(lambda: any(r[0] == "wine-new" for r in entries(service)), 10, "its entry")
        equal(missing(), {**SILENT, "wine-new": []})
        FILES[0].write_text("{\"worker\":0,")
        equal(missing(), {**SILENT, "wine-new": ["silence"]})
finish()
