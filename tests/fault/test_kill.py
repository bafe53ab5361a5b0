#!/usr/bin/env python3
"""Processes are killed at random under load: what was acknowledged had its effect exactly once, and quotes never failed.

  senders (3)   product prices, orders of customers, tiers, in messages with ids; a message is sent again until it is answered
  reader        quotes through librialto without a pause; each must make sense by itself and against what was acknowledged
  killer        kill -9 of worker, gateway, redis-server, supervisor, several, all; now and then a SIGSTOP

What can be counted:
  list price    1000 k + k mod 7 with k = 1000 (product + 1) + version: a mixed or invented amount is no such number
  spend         every unit of spend lowers a multiplier by exactly 1e-4: the sum of a customer's orders can be read off a quote
  tier          the last one acknowledged must hold

FAULT_SEED, FAULT_SECONDS and FAULT_RATE choose another run, its length and its load; FAULT_KILLS=1000 goes on until so many kills (`make soak`)."""
import random
import re
import sys
import threading
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from rialto_test import *

SEED = int(os.environ.get("FAULT_SEED", int.from_bytes(os.urandom(4), "big")))
SECONDS = float(os.environ.get("FAULT_SECONDS", 60))
KILLS = int(os.environ.get("FAULT_KILLS", 0))
ROOM = 192 * max(1, -(-KILLS // 250))  # a version has three digits, and spend lowers a multiplier down to 0.1: a long storm takes more of them
SENDERS, PRODUCTS, CUSTOMERS = 3, ROOM, ROOM  # products and customers are shared out to the senders: one writer each
RATE = float(os.environ.get("FAULT_RATE", 1200))  # signals a second at most: each partition remembers so many ids in ten minutes
TIERS = 20

LIMITS = {"version": "1", "zone_levels": 0, "rounding": {"step": 1}, "stale_limit": "1h"}
MODELS = {
    # The baseline is the list price, or 1.1 times it while it is scarce; nothing else.
    "exact": {"model": "exact", "scope": {"categories": ["exact"], "currencies": ["EUR"]}, "group": "exact",
              "factors": [{"name": "scarcity", "input": "available", "steps": [[0, 1.1], [10, 1]]}],
              "guardrails": {"floor": 0.2, "ceiling": 1.3}, **LIMITS},
    # Moves with demand: only its bounds are known.
    "market": {"model": "market", "scope": {"categories": ["market"], "currencies": ["EUR"]}, "group": "market",
               "factors": [{"name": "demand", "input": "demand_pressure", "curve": [[0.1, 0.5], [1, 1], [2, 3]]}],
               "demand": {"half_life": "5s", "slow_half_life": "60s", "min_events": 0},
               "guardrails": {"floor": 0.8, "ceiling": 1.25}, **LIMITS},
    # 1 - 1e-4 for each unit of money spent.
    "spend": {"model": "spend", "scope": {"categories": ["spend"], "currencies": ["EUR"]}, "group": "spend", "factors": [],
              "personal": [{"name": "spend", "spend": [[0, 1], [9000, 0.1]]}],
              "guardrails": {"floor": 0.05, "ceiling": 1, "personal": [0.1, 1]}, **LIMITS},
    "tier": {"model": "tier", "scope": {"categories": ["tier"], "currencies": ["EUR"]}, "group": "tier", "factors": [],
             "personal": [{"name": "tier", "tier": {f"t{i}": round(1 - i / 100, 2) for i in range(1, TIERS + 1)}}],
             "guardrails": {"floor": 0.05, "ceiling": 1, "personal": [0.1, 1]}, **LIMITS},
}
METER = 1_000_000  # list price of the two products whose price shows a multiplier: amount = 100 x multiplier in 1e-4


def list_price(number, version):
    k = 1000 * (number + 1) + version
    return 1000 * k + k % 7


class Ledger:
    """What has been sent and what has been acknowledged; each entry has one writer."""

    def __init__(self):
        self.version_sent, self.version_acked = [0] * PRODUCTS, [0] * PRODUCTS
        self.spend_sent, self.spend_acked = [0] * CUSTOMERS, [0] * CUSTOMERS
        self.tier_sent, self.tier_acked = [0] * CUSTOMERS, [0] * CUSTOMERS


class Sender(threading.Thread):
    """Messages, one at a time, each until it is answered."""

    def __init__(self, service, ledger, index, stop):
        super().__init__(daemon=True)
        self.service, self.ledger, self.index, self.stop = service, ledger, index, stop
        self.dice = random.Random(f"{SEED}.{index}")
        self.connection = None
        self.acked = self.messages = self.repeats = self.duplicates = self.serial = self.not_durable = 0
        self.durable = ""
        self.problems = []
        self.began = time.monotonic()

    def run(self):
        try:
            while not self.stop.is_set() and not self.problems:
                self.message()
                time.sleep(max(0.0, self.began + self.acked * SENDERS / RATE - time.monotonic()))
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        if self.connection is not None:
            self.connection.close()

    def message(self):
        ledger, dice = self.ledger, self.dice
        signals, effects = [], []
        for _ in range(dice.randrange(1, 12)):
            self.serial += 1
            identity = {"source": f"sender-{self.index}", "id": f"{SEED}-{self.serial}"}
            mine = range(self.index, PRODUCTS, SENDERS)
            kind = dice.random()
            who = dice.choice(range(self.index, CUSTOMERS, SENDERS))
            if kind < 0.2:
                number = dice.choice(mine)
                if ledger.version_sent[number] >= 990:
                    continue
                ledger.version_sent[number] += 1
                version = ledger.version_sent[number]
                category = "exact" if number % 2 == 0 else "market"
                signals.append(product(f"p{number}", list_price(number, version), category=category, **identity))
                effects.append((ledger.version_acked, number, version))
            elif kind < 0.85:
                units = dice.randrange(0, 4)
                if ledger.spend_sent[who] + units > 8900:
                    continue
                ledger.spend_sent[who] += units
                signals.append(demand(f"p{dice.randrange(PRODUCTS)}", customer=f"c{who}", amount=100 * units, currency="EUR", **identity))
                effects.append((ledger.spend_acked, who, ledger.spend_sent[who]))
            elif kind < 0.95:
                ledger.tier_sent[who] = dice.randrange(1, TIERS + 1)
                signals.append(customer(f"c{who}", tier=f"t{ledger.tier_sent[who]}", **identity))
                effects.append((ledger.tier_acked, who, ledger.tier_sent[who]))
            else:
                signals.append({"type": "supply", "sku": f"p{dice.randrange(PRODUCTS)}", "available": dice.choice((1, 100)), **identity})
        left = signals
        while left and not self.problems:
            left = self.send(left)
        for table, at, value in effects:
            table[at] = value

    def send(self, signals):
        """Returns what must be sent again."""
        try:
            if self.connection is None:
                self.connection = Requester(self.dice.choice((self.service.request_tcp, self.service.request_ipc)), timeout=6)
            answer = self.connection.ask(signals)
        except (Closed, OSError):
            if self.connection is not None:
                self.connection.close()
            self.connection = None
            self.repeats += 1
            time.sleep(0.02)
            return signals
        self.messages += 1
        again = sorted({f["index"] for f in answer["findings"] if f["reason"] == "no_answer"})
        self.duplicates += sum(f["reason"] == "duplicate" for f in answer["findings"])
        for finding in answer["findings"]:
            if finding["reason"] not in ("no_answer", "duplicate"):
                self.problems.append(f"{signals[finding['index']]}: {finding}")
        self.acked += len(signals) - len(again)
        self.durable = answer.get("durable", "")
        self.not_durable += self.durable != "redis"
        if again:
            self.repeats += 1
        return [signals[i] for i in again]


class Reader(threading.Thread):
    """One quote after the other; keeps the first few that are wrong."""

    def __init__(self, library, ledger, stop):
        super().__init__(daemon=True)
        self.library, self.ledger, self.stop = library, ledger, stop
        self.dice = random.Random(f"{SEED}.reader")
        self.quotes = self.reopened = 0
        self.slowest = 0.0
        self.problems = []

    def run(self):
        while not self.stop.is_set() and len(self.problems) < 20:
            if self.dice.random() < 0.6:
                self.read_product()
            else:
                self.read_customer()
            if self.quotes % 8 == 0:
                time.sleep(0.0005)

    def quote(self, sku, who=None):
        began = time.monotonic()
        status, quote = self.library.quote(sku, who)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.quotes += 1
        if status == self.library.RETIRED:
            self.reopened += 1
            self.library.close()
            self.library.open()
            status, quote = self.library.quote(sku, who)
        if status != self.library.OK:
            self.problems.append(f"{sku} {who}: {self.library.text(status)}")
            return None
        if not quote.floor <= quote.amount <= quote.ceiling or not quote.floor <= quote.baseline <= quote.ceiling:
            self.problems.append(f"{sku} {who}: {quote.amount}, {quote.baseline} not within {quote.floor}..{quote.ceiling}")
        return quote

    def read_product(self):
        number = self.dice.randrange(PRODUCTS)
        at_least = self.ledger.version_acked[number]
        quote = self.quote(f"p{number}")
        at_most = self.ledger.version_sent[number]
        if quote is None:
            return
        k, check = divmod(quote.list, 1000)
        if k // 1000 != number + 1 or check != k % 7 or not at_least <= k % 1000 <= at_most:
            self.problems.append(f"p{number}: list {quote.list} was never published (versions {at_least}..{at_most})")
        low, high = (0.2, 1.3) if number % 2 == 0 else (0.8, 1.25)
        if (quote.floor, quote.ceiling) != (-int(-quote.list * round(low * 10) // 10), quote.list * round(high * 100) // 100):
            self.problems.append(f"p{number}: bounds {quote.floor}..{quote.ceiling} do not belong to list {quote.list}")
        if number % 2 == 0 and quote.baseline not in (quote.list, half_even(quote.list * 11, 10)):
            self.problems.append(f"p{number}: baseline {quote.baseline} does not belong to list {quote.list}")
        if quote.amount != quote.baseline and not (quote.flags & self.library.FLAG["STALE"] and quote.amount == quote.list):
            self.problems.append(f"p{number}: amount {quote.amount}, baseline {quote.baseline} for nobody in particular")

    def read_customer(self):
        who = self.dice.randrange(CUSTOMERS)
        at_least = self.ledger.spend_acked[who]
        quote = self.quote("spend-meter", f"c{who}")
        at_most = self.ledger.spend_sent[who]
        if quote is None:
            return
        spend, rest = divmod(METER - quote.amount, 100)
        if rest or not at_least <= spend <= at_most:
            self.problems.append(f"c{who}: spend {spend}, rest {rest}, not within {at_least}..{at_most}; flags {self.library.flags(quote)}")


def half_even(n, d):
    quotient, rest = divmod(n, d)
    return quotient + (2 * rest > d or (2 * rest == d and quotient % 2))


class Killer:
    """The main thread."""

    def __init__(self, service):
        self.service = service
        self.dice = random.Random(f"{SEED}.killer")
        self.kills = {}
        self.told = self.lasted = 0
        self.back_ms, self.gateway_back_ms = [], []

    def killed(self):
        return sum(count for what, count in self.kills.items() if what != "stop")

    def storm(self, goes_on):
        began = time.monotonic()
        while goes_on(time.monotonic() - began):
            time.sleep(self.dice.uniform(0.2, 1.2))
            self.strike(self.dice.choices(("worker", "gateway", "redis-server", "stop", "both workers", "gateway and worker", "all children",
                                           "everything", "supervisor", "gateway, awaited"), (8, 1, 3, 2, 2, 2, 1, 1, 1, 4))[0])
            if self.killed() >= self.told + 100:
                self.told = self.killed()
                note(f"{self.told} kills after {time.monotonic() - began:.0f} s")
        self.lasted = time.monotonic() - began

    def strike(self, what):
        children = self.service.children()
        workers = sorted(name for name in children if name.startswith("worker"))
        names = {"worker": self.dice.sample(workers, min(1, len(workers))), "stop": self.dice.sample(sorted(children), min(1, len(children))),
                 "both workers": workers, "gateway and worker": ["gateway", *workers[:1]],
                 "all children": list(children), "everything": list(children), "supervisor": [], "gateway, awaited": ["gateway"]}.get(what, [what])
        pids = [children[name] for name in names if name in children]
        if not pids and what != "supervisor":
            return
        self.kills[what] = self.kills.get(what, 0) + 1
        if what == "stop":
            self.pause(pids[0])
            return
        if what in ("worker", "gateway, awaited"):
            self.kill_and_wait(names[0])
            return
        if what in ("everything", "supervisor"):
            self.service.process.kill()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if what in ("everything", "supervisor"):
            self.service.process.wait()
            self.service.start(60)

    def pause(self, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.dice.uniform(0.1, 0.5))
            os.kill(pid, signal.SIGCONT)

    def kill_and_wait(self, name):
        with contextlib.suppress(KeyError, ProcessLookupError):  # killed before, and not yet back
            if name == "gateway":
                self.gateway_back_ms.append(self.service.kill_gateway())
            else:
                self.back_ms.append(self.service.kill_worker(int(name.split(".")[1])))


def waits_to_be_heard(log):
    """ms from a worker's state being there until the gateway heard of it, where none of the two died in between."""
    ready, waits = {}, []
    for stamp, who, event, rest in re.findall(r"^(\S+) \w+ \S+/(\S+) (STATE-READY|CHILD-DIED|WORKER-HELLO|STARTING)\b(.*)$", log, re.M):
        ms = datetime.fromisoformat(stamp).timestamp() * 1000
        if event == "STATE-READY":
            ready[who] = ms
        elif event == "WORKER-HELLO":
            since = ready.pop("worker." + re.search(r"worker=(\d+)", rest)[1], None)
            waits += [] if since is None else [round(ms - since)]
        elif event == "STARTING" or "who=gateway" in rest:
            ready.clear()
        elif dead := re.search(r"who=(worker\.\d+)", rest):
            ready.pop(dead[1], None)
    return waits


def differences(library, ledger):
    """What shared memory says against what was acknowledged."""
    wrong = []
    for number in range(PRODUCTS):
        status, quote = library.quote(f"p{number}")
        if status != library.OK or quote.list != list_price(number, ledger.version_acked[number]):
            wrong.append(f"p{number}: list {quote.list}, acknowledged {list_price(number, ledger.version_acked[number])}")
    for who in range(CUSTOMERS):
        _, quote = library.quote("spend-meter", f"c{who}")
        if quote.amount != METER - 100 * ledger.spend_acked[who]:
            wrong.append(f"c{who}: spend {(METER - quote.amount) / 100}, acknowledged {ledger.spend_acked[who]}")
        _, quote = library.quote("tier-meter", f"c{who}")
        if quote.amount != METER - METER // 100 * ledger.tier_acked[who]:
            wrong.append(f"c{who}: tier multiplier {quote.multiplier_e4}, acknowledged t{ledger.tier_acked[who]}")
    return wrong


note(f"FAULT_SEED={SEED} " + (f"FAULT_KILLS={KILLS}" if KILLS else f"FAULT_SECONDS={SECONDS:g}"))
with Service(models={f"{name}.json": model for name, model in MODELS.items()}, cache_on_stop="keep",
             restart_backoff_ms=20, restart_backoff_max_ms=200, log_level="debug", answer_timeout_ms=3000, durable_timeout_ms=1000,
             stale_after_ms=60000, personal_stale_ms=60000) as service:
    ledger, stop = Ledger(), threading.Event()
    service.accept(*(product(f"p{i}", list_price(i, 0), category="exact" if i % 2 == 0 else "market") for i in range(PRODUCTS)),
                   product("spend-meter", METER, category="spend"), product("tier-meter", METER, category="tier"),
                   *(customer(f"c{i}", ["purchases", "profile"]) for i in range(CUSTOMERS)))
    library = Library(service.cache)
    reader = Reader(library, ledger, stop)
    senders = [Sender(service, ledger, i, stop) for i in range(SENDERS)]
    killer = Killer(service)
    for thread in (reader, *senders):
        thread.start()

    @check("the storm: processes are killed and the service comes back each time")
    def _():
        killer.storm(lambda lasted: (killer.killed() < KILLS if KILLS else lasted < SECONDS)
                     and not reader.problems and not any(s.problems for s in senders))
        note(f"{killer.killed()} kills in {killer.lasted:.0f} s: {killer.kills}")
        require(killer.killed() >= (KILLS or SECONDS / 6), f"only {killer.kills}")

    @check("every sender gets every message acknowledged in the end")
    def _():
        stop.set()
        for sender in senders:
            sender.join(60)
        reader.join(10)
        note(f"{sum(s.acked for s in senders)} signals acknowledged in {sum(s.messages for s in senders)} messages, "
             f"{sum(s.repeats for s in senders)} messages sent again, {sum(s.duplicates for s in senders)} parts found to be duplicates, "
             f"{sum(s.not_durable for s in senders)} answers not durable")
        require(not any(s.is_alive() for s in senders), "a sender waits without end")
        problems = [p for s in senders for p in s.problems]
        require(not problems, f"{len(problems)}: {problems[:3]}")
        require(sum(s.acked for s in senders) > 100 * killer.lasted, "hardly any load")

    @check("the reader got a price each time: right product, within bounds, never one that was not published, never an older one")
    def _():
        note(f"{reader.quotes} quotes, slowest {reader.slowest * 1000:.1f} ms seen from Python, tables reopened {reader.reopened} times")
        require(not reader.problems, f"{len(reader.problems)}: {reader.problems[:3]}")
        require(reader.quotes > 100 * killer.lasted, f"only {reader.quotes} quotes")

    @check("a killed worker is back within a second, and so are all workers after a killed gateway")
    def _():
        for who, back in (("a worker", killer.back_ms), ("the gateway", killer.gateway_back_ms)):
            require(back, f"{who} was never killed alone")
            note(f"{who} {len(back)} times alone, ms until all partitions beat again: median {sorted(back)[len(back) // 2]}, most {max(back)}")
        back = sorted(killer.back_ms + killer.gateway_back_ms)
        late = sum(ms > 1000 * SLOW for ms in back)  # one in twenty may be the machine's: a process that others keep from running
        require(late <= len(back) / 20 and back[-1] <= 2000 * SLOW, f"{late} of {len(back)} late: {back[-20:]}")

    @check("a worker that is there is heard within a second, each time: not one waited for NNG")
    def _():
        waits = sorted(waits_to_be_heard(service.log()))
        require(len(waits) >= len(killer.back_ms) / 2, f"only {len(waits)} in the log")
        note(f"{len(waits)} times, ms: median {waits[len(waits) // 2]}, most {waits[-1]}")
        require(waits[-1] <= 1000 * SLOW, f"{waits[-20:]}")

    service.forget_connections()

    @check("after the storm the service calls itself healthy")
    def _():
        wait_until(lambda: service.status()["status"] == "healthy", 30, "healthy")
        service.wait_durable()

    @check("every acknowledged signal had its effect exactly once: prices, sums of spend, tiers")
    def _():
        wrong = differences(library, ledger)
        note(f"{sum(ledger.spend_acked)} units of spend of {CUSTOMERS} customers, {sum(ledger.version_acked)} versions of {PRODUCTS} products")
        require(not wrong, f"{len(wrong)}: {wrong[:4]}")

    @check("what was answered durable: redis survives the loss of everything else, killed right after the answer")
    def _():
        for _ in range(3):
            # A worker that has just come back says "no", and rightly, until it has found its Redis: wait for that, from every worker
            # (these products are spread over all partitions), not for the gateway's memory of the workers before them.
            everywhere = [{"type": "supply", "sku": f"p{i}", "available": 100} for i in range(PRODUCTS)]
            wait_until(lambda: service.ask(everywhere)["durable"] == "redis", 20, "durable: redis")
            last = Sender(service, ledger, 0, threading.Event())
            last.serial = senders[0].serial
            for _ in range(20):
                last.message()
                require(not last.problems and last.durable == "redis", f"durable {last.durable} {last.problems}")
            senders[0].serial = last.serial
            library.close()
            service.kill()
            last.connection.close()
            shutil.rmtree(service.data / "state")
            shutil.rmtree(service.cache)
            service.start()
            library.open()
            wrong = differences(library, ledger)
            require(not wrong, f"{len(wrong)}: {wrong[:4]}")
            service.wait_durable()
    library.close()
finish()
