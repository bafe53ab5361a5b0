#!/usr/bin/env python3
"""Redis is gone for a while under load: prices follow their signals all the time, and Redis has everything within seconds of its return.

  senders (2)   new list prices in messages with ids, each acknowledged, whatever the answer says about Redis
  watcher       pushes a price of its own, one after the other, and waits until a storefront reads it: pricing never pauses

Then Redis goes, and comes back. As soon as it is said to be complete everything else is killed and removed while the senders go on: what
Redis holds must be at least as new as all that was acknowledged by then. FAULT_GONE_SECONDS says for how long it is away (`make soak`: 60)."""
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from rialto_test import *

GONE_SECONDS = float(os.environ.get("FAULT_GONE_SECONDS", 3))
SENDERS, PRODUCTS, A_MESSAGE, MESSAGES_A_SECOND = 2, 4000, 40, 25  # for each sender: 2,000 signals a second in all
DURABLE_MS = 300
PAUSE_MS = 1000  # from a signal to its price, the machine's own pauses included
COMPLETE_SECONDS = 5


class Sender(threading.Thread):
    def __init__(self, service, index, stop):
        super().__init__(daemon=True)
        self.service, self.index, self.stop = service, index, stop
        self.mine = range(index, PRODUCTS, SENDERS)
        self.sent, self.acked = dict.fromkeys(self.mine, 0), dict.fromkeys(self.mine, 0)
        self.answers, self.slowest_ms, self.problems = {}, 0.0, []

    def run(self):
        at, began, connection = 0, time.monotonic(), Requester(self.service.request_tcp)
        try:
            while not self.stop.is_set():
                some = [self.mine[(at + i) % len(self.mine)] for i in range(A_MESSAGE)]
                for number in some:
                    self.sent[number] += 1
                asked = time.monotonic()
                answer = connection.ask([product(f"p{n}", 1000 + self.sent[n], source=f"sender-{self.index}", id=f"{n}.{self.sent[n]}") for n in some])
                self.slowest_ms = max(self.slowest_ms, 1000 * (time.monotonic() - asked))
                if answer["accepted"] != A_MESSAGE or answer["findings"]:
                    self.problems.append(str(answer)[:300])
                for number in some:
                    self.acked[number] = self.sent[number]
                self.answers[answer["durable"]] = self.answers.get(answer["durable"], 0) + 1
                at += A_MESSAGE
                time.sleep(max(0.0, began + at / A_MESSAGE / MESSAGES_A_SECOND - time.monotonic()))
        except (Closed, OSError) as error:
            if not self.stop.is_set():
                self.problems.append(f"{type(error).__name__}: {error}")
        connection.close()


class Watcher(threading.Thread):
    """How long a pushed price takes until it is read, one after the other."""

    def __init__(self, service, stop):
        super().__init__(daemon=True)
        self.service, self.stop = service, stop
        self.price, self.prices, self.slowest_ms, self.problems = 1000, 0, 0.0, []

    def run(self):
        library = Library(self.service.cache)
        with Pusher(self.service.push_tcp) as pusher:
            while not self.stop.is_set() and not self.problems:
                self.price += 1
                pushed = time.monotonic()
                pusher.push(product("watched", self.price))
                while library.quote("watched")[1].amount != self.price and not self.problems:
                    time.sleep(0.001)
                    if time.monotonic() > pushed + 10 * PAUSE_MS / 1000:
                        self.problems.append(f"{self.price} is not to be seen")
                self.slowest_ms = max(self.slowest_ms, 1000 * (time.monotonic() - pushed))
                self.prices += 1
                time.sleep(0.02)
        library.close()

    def begin_again(self):
        self.prices, self.slowest_ms = 0, 0.0


def say_how(senders):
    answers = {}
    for sender in senders:
        for durable, count in sender.answers.items():
            answers[durable] = answers.get(durable, 0) + count
        sender.answers = {}
    return answers


redis, stop, stop_watching = OwnRedis(), threading.Event(), threading.Event()
meanwhile = []  # (product, version) that the first sender had acknowledged while Redis was gone
with Service(redis_url=f"unix:{redis.socket}", durable_timeout_ms=DURABLE_MS, models={"shop.json": simple_model()}) as service:
    service.accept(product("watched", 1000), *(product(f"p{i}", 1000) for i in range(PRODUCTS)))
    service.wait_durable()
    senders, watcher = [Sender(service, i, stop) for i in range(SENDERS)], Watcher(service, stop_watching)
    for thread in (*senders, watcher):
        thread.start()

    def check_pricing(seconds):
        note(f"{watcher.prices} prices watched, slowest {watcher.slowest_ms:.0f} ms; slowest answer {max(s.slowest_ms for s in senders):.0f} ms")
        equal([p for t in (watcher, *senders) for p in t.problems][:2], [])
        require(watcher.slowest_ms < PAUSE_MS * SLOW, f"a price took {watcher.slowest_ms:.0f} ms")
        require(watcher.prices > 5 * seconds / SLOW, f"only {watcher.prices} prices in {seconds:g} s")

    @check(f"Redis gone for {GONE_SECONDS:g} s under load: prices follow their signals all the time, and answers say 'not durable' in time")
    def _():
        wait_until(lambda: all(s.answers.get("redis", 0) > 5 for s in senders), 20, "durable answers")
        redis.kill()
        wait_until(lambda: service.ask({"control": "ping"})["workers"] and not any(w["redis"] for w in service.ask({"control": "ping"})["workers"]), 10,
                   "both workers to notice")
        say_how(senders)
        before = dict(senders[0].acked)
        watcher.begin_again()
        for sender in senders:
            sender.slowest_ms = 0.0
        time.sleep(GONE_SECONDS)
        check_pricing(GONE_SECONDS)
        require(max(s.slowest_ms for s in senders) < DURABLE_MS + PAUSE_MS * SLOW, "an answer was late")
        equal(list(say_how(senders)), ["no"])
        meanwhile.extend((n, version) for n, version in dict(senders[0].acked).items() if version > before[n])

    @check("it is complete within seconds of its return, while the load goes on")
    def _():
        watcher.begin_again()
        back = time.monotonic()
        redis.start(wait=False)
        wait_until(lambda: all(w["redis"] for w in service.ask({"control": "ping"})["workers"]), 20, "Redis to be up")
        service.wait_durable()
        took = time.monotonic() - back
        note(f"complete {took:.2f} s after it was started again")
        require(took < COMPLETE_SECONDS * SLOW, f"{took:.1f} s")
        check_pricing(0)

    @check("all else is killed and removed at that moment: nothing that was acknowledged is missing, in Redis's own words")
    def _():
        stop_watching.set()
        watcher.join(20)
        acked = {n: version for s in senders for n, version in s.acked.items()}
        service.wait_durable()
        stop.set()
        service.kill()
        for sender in senders:
            sender.join(60)
        shutil.rmtree(service.data / "state")
        shutil.rmtree(service.cache)
        service.start()
        library = Library(service.cache)
        wrong = []
        for sender in senders:
            for number in sender.mine:
                _, quote = library.quote(f"p{number}")
                if not acked[number] <= quote.amount - 1000 <= sender.sent[number]:
                    wrong.append(f"p{number}: {quote.amount - 1000}, not within {acked[number]}..{sender.sent[number]}")
        equal(library.quote("watched")[1].amount, watcher.price)
        library.close()
        note(f"{sum(acked.values())} signals acknowledged by then")
        equal((len(wrong), wrong[:3]), (0, []))

    @check("ids of the time without Redis still count once")
    def _():
        again = meanwhile[-100:]  # an answer lists as many
        answer = service.ask([product(f"p{n}", 1, source="sender-0", id=f"{n}.{version}") for n, version in again])
        equal((len(again), sorted((f["index"], f["reason"]) for f in answer["findings"])), (100, [(i, "duplicate") for i in range(100)]))
finish()
