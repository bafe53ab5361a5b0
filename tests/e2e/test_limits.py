#!/usr/bin/env python3
"""Limits: a full table refuses and counts, and never what takes data away; a stalled worker makes senders wait, and costs
nothing that was acknowledged."""
import hashlib
import http.client

from rialto_test import *

MODEL = simple_model(personal=[{"name": "loyalty", "tier": {"gold": 0.9}}, {"name": "spend", "spend": [[0, 1], [9000, 0.1]]}],
                     guardrails={"floor": 0.05, "ceiling": 2, "personal": [0.1, 1]})


def half_even(n, d):
    quotient, rest = divmod(n, d)
    return quotient + (2 * rest > d or (2 * rest == d and quotient % 2))


PORT = free_port()
TOKENS = temporary_folder() / "tokens"
TOKENS.touch(0o600)
TOKENS.write_text(f"shop till {hashlib.sha256(b'a-token-of-the-shop-for-a-till-7').hexdigest()}\n")


def http_opts_out(who):
    """Status and findings of an opt-out that a browser's flag asks for."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)) as connection:
        connection.request("PUT", f"/v1/customers/{who}/consent", b"{}",
                           {"Authorization": "Bearer a-token-of-the-shop-for-a-till-7", "Content-Type": "application/json", "Sec-GPC": "1"})
        answer = connection.getresponse()
        return answer.status, [f["reason"] for f in json.loads(answer.read())["findings"]]


with Service(models={"shop.json": MODEL}, worker_count=2, products_max=64, cells_max=64, customers_max=64, offers_max=64, zones_max=64,
             watch_customers_max=16, http_listen=f"127.0.0.1:{PORT}", http_tokens_file=TOKENS) as service:
    def fill(make):
        """Sends blocks of signals until many were refused; (those that were taken, reasons of the others)."""
        taken, reasons, refused = [], set(), 0
        for block in range(150):
            rows = [make(f"{block}-{i}", i) for i in range(100)]
            bad = {f["index"]: f["reason"] for f in service.ask(rows)["findings"]}
            taken += [row for i, row in enumerate(rows) if i not in bad]
            reasons |= set(bad.values())
            refused += len(bad)
            if refused > 300:
                break
        return taken, reasons

    def said_once(*settings):
        """The log line of a full table: at most one for each worker and kind, and at least one, however often it refused."""
        lines = [line for line in service.log().splitlines() if " TABLE-FULL " in line and line.endswith(tuple(f"raise {s}" for s in settings))]
        said = [(next(word for word in line.split() if "/worker." in word), line.split()[-1]) for line in lines]
        require(said and len(set(said)) == len(said), f"{settings}: {lines}")

    def full_total():
        return service.status()["metrics"]["table_full_total"]

    # Room is shared out to 64 partitions, each with some to spare: the first refusals come well past the configured 64.
    known = []

    @check("more products than there is room for: the rest is refused as table_full, and counted")
    def _():
        taken, reasons = fill(lambda name, i: product(f"p{name}", 1000 + i))
        known.extend(taken)
        equal(reasons, {"table_full"})
        require(len(known) > 64 and service.status()["metrics"]["table_full_total"] > 0, f"{len(known)} taken, none counted")
        note(f"{len(known)} products were taken")
        said_once("products_max", "cells_max")

    @check("what was taken has its price: an accepted product is never without one")
    def _():
        rows = [row for at in range(0, len(known), 500) for row in service.cli_quote(*(r["sku"] for r in known[at:at + 500]))[1]]
        missing = [row["sku"] for row in rows if row["status"] != "OK"]
        wrong = [row["sku"] for row, sent in zip(rows, known) if row["status"] == "OK" and row["quote"]["amount"] != sent["list"]]
        known[:] = [row for row in known if row["sku"] not in set(missing)]
        require(not missing and not wrong, f"{len(missing)} of {len(rows)} accepted products have no price, {len(wrong)} a wrong one")

    @check("a full table takes changes of what it holds")
    def _():
        service.accept(product(known[0]["sku"], 7777))
        equal(service.amount(known[0]["sku"]), 7777)

    customers = []

    @check("more customers than there is room for: refused as table_full; those who fit have their terms")
    def _():
        before = full_total()
        taken, reasons = fill(lambda name, _: customer(f"c{name}", ["profile", "purchases"], tier="gold"))
        customers.extend(row["customer"] for row in taken)
        equal(reasons, {"table_full"})
        note(f"{len(customers)} customers were taken")
        require(full_total() - before > 300, f"{full_total() - before} refusals were counted")
        said_once("customers_max")
        for who in customers[:5] + customers[-5:]:
            equal(service.amount(known[1]["sku"], customer=who), half_even(known[1]["list"] * 9, 10), who)

    @check("more offers than there is room for: refused as table_full; those that fit hold")
    def _():
        pairs = ((who, row["sku"]) for row in known for who in customers)
        taken, reasons = fill(lambda *_: (lambda who, sku: {"type": "offer", "customer": who, "sku": sku, "kind": "fixed", "amount": 900,
                                                           "currency": "EUR"})(*next(pairs)))
        equal(reasons, {"table_full"})
        note(f"{len(taken)} offers were taken")
        said_once("offers_max")
        for row in taken[:5] + taken[-5:]:
            equal(service.amount(row["sku"], customer=row["customer"]), 900)

    @check("switching consent off is never refused, nor is forget; both make room at once")
    def _():
        service.accept(*({"type": "customer", "customer": who, "consent": {"profile": False, "purchases": False}} for who in customers[:30]))
        service.accept(*({"type": "forget", "customer": who} for who in customers[:40]))
        equal([service.amount(known[1]["sku"], customer=who) for who in customers[:40]], [known[1]["list"]] * 40)
        service.accept(*(customer(who, ["profile"], tier="gold", time=service.now_ms()) for who in customers[:40]))

    @check("an opt-out or a refusal of somebody unknown that cannot be kept says so by a reason of its own; sent again when there is room, it stands")
    def _():
        says = {"opt_out": True}, {"gpc": True}, {"consent": {"profile": False}}, {"gpc": True, "consent": {"profile": True}, "tier": "gold"}
        before, refused = service.status()["metrics"]["refusals_not_kept_total"], {}
        for block in range(30):
            rows = [{"type": "customer", "customer": f"o{block}-{i}", **says[i % 4], "source": "web", "id": f"o{block}-{i}"} for i in range(100)]
            bad = {f["index"]: f["reason"] for f in service.ask(rows)["findings"] if f["reason"] != "opted_out"}
            equal(set(bad.values()) - {"refusal_not_kept"}, set())
            refused.update((i % 4, rows[i]) for i in bad)
            if len(bad) > 90:
                break
        equal(sorted(refused), [0, 1, 2, 3])
        require(service.status()["metrics"]["refusals_not_kept_total"] - before > 90, "they were not counted")
        opt_out, half = refused[0], {"type": "customer", "customer": refused[1]["customer"], "consent": {"profile": True, "location": False}, "tier": "gold"}
        who = opt_out["customer"]
        equal([f["reason"] for f in service.ask([half])["findings"]], ["table_full"])  # it grants: nothing of it counts
        equal(http_opts_out(who), (422, ["refusal_not_kept"]))
        equal(service.quote(known[1]["sku"], customer=who)["flags"], service.quote(known[1]["sku"], customer="nobody")["flags"])
        service.accept({"type": "customer", "customer": customers[-1], "opt_out": True})  # who is known needs no room
        for gone in customers[40:-1]:
            service.accept({"type": "forget", "customer": gone})
            if not service.ask([opt_out])["findings"]:
                break
        equal(http_opts_out(who), (200, []))
        equal([f["reason"] for f in service.ask([customer(who, ["profile"], tier="gold")])["findings"]], ["opted_out"])
        equal(service.amount(known[1]["sku"], customer=who), known[1]["list"])

    @check("after all of that a restart finds the same")
    def _():
        skus = [row["sku"] for row in known[:500]]
        before = [q["amount"] for q in service.quotes(*skus, customer=customers[-1])]
        service.settings["cache_on_stop"] = "keep"
        service.restart()
        equal([q["amount"] for q in service.quotes(*skus, customer=customers[-1])], before)

with Service(models={"shop.json": MODEL}, worker_count=1, answer_timeout_ms=800, window_batches_max=8, batch_signals_max=16, ingest_messages_max=16,
             cells_per_product_max=4, clock_replay=0) as service:
    service.accept(product("meter", 1000000), customer("anna", ["purchases"]))

    def spent():
        return (1000000 - service.amount("meter", customer="anna")) // 100

    def order(number):
        return demand("meter", customer="anna", amount=100, currency="EUR", source="till", id=str(number))

    @check("the clock of a live instance cannot be moved: clock_is_live")
    def _():
        answer = service.ask({"control": "tick", "time": service.now_ms() + 3600000})
        equal((answer["ok"], answer["reason"]), (False, "clock_is_live"))

    @check("a product may have prices of its own in so many zones only; further zones are answered by those around them")
    def _():
        sku, price = "wide", 1000
        service.accept(product(sku, price))
        service.ask([product(sku, 2000 + i, zone=f"z{i}") for i in range(20)])
        own = [i for i in range(20) if service.quote(sku, zone=f"z{i}")["zone"] != "world"]
        require(1 <= len(own) <= 4, f"{len(own)} zones of its own")
        equal({service.amount(sku, zone=f"z{i}") for i in range(20) if i not in own}, {price})

    @check("an id counts once for minutes, however many others come for the same customer: 16000 orders, the first ones sent again")
    def _():
        service.accept(customer("bulk", ["purchases"]))
        orders = [{"type": "receipt", "customer": "bulk", "amount": 100 if number < 1000 else 0, "currency": "EUR", "source": "till",
                   "id": f"bulk-{number}"} for number in range(16000)]
        for at in range(0, 16000, 1000):
            service.accept(*orders[at:at + 1000])
        spent = lambda: (1000000 - service.amount("meter", customer="bulk")) // 100
        equal(spent(), 1000)
        service.ask(orders[:1000])
        equal(spent(), 1000, "units of spend after the first 1000 ids were sent again")

    worker = service.children()["worker.0"]
    os.kill(worker, signal.SIGSTOP)
    unanswered = []

    @check("a worker that hangs: requests are answered in time, with no_answer, and nothing is called accepted")
    def _():
        for number in range(5):
            began = time.monotonic()
            answer = service.ask([order(number)])
            took = time.monotonic() - began
            equal((answer["accepted"], [f["reason"] for f in answer["findings"]]), (0, ["no_answer"]))
            require(took < 3 * SLOW, f"answered after {took:.1f} s")
            unanswered.append(number)

    @check("meanwhile the gateway answers a ping at once, and the reader has its prices")
    def _():
        began = time.monotonic()
        equal(service.ask({"control": "ping"})["ok"], True)
        require(time.monotonic() - began < 0.5 * SLOW, f"after {time.monotonic() - began:.1f} s")
        equal(service.amount("meter"), 1000000)

    @check("senders of pushed signals wait when all queues are full, and lose nothing; memory stays bounded")
    def _():
        sent = [0]

        def push():
            with contextlib.suppress(Closed, OSError), Pusher(service.push_tcp, timeout=60) as pusher:
                for _ in range(3000):
                    pusher.push([{"type": "receipt", "customer": "anna", "amount": 0, "currency": "EUR"}] * 100)
                    sent[0] += 1
                service.pushed_all = True
        service.pushed_all = False
        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        time.sleep(2)
        first = sent[0]
        time.sleep(1)
        require(not service.pushed_all and sent[0] - first < 300, f"{sent[0]} messages went on being taken while nothing was applied")
        note(f"{first} messages of 100 signals before the sender had to wait")
        memory = int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{service.children()['gateway']}/status").read_text())[1])
        require(memory < 400000 * SLOW, f"the gateway holds {memory} kB")
        os.kill(worker, signal.SIGCONT)
        thread.join(60 * SLOW)
        require(service.pushed_all, f"only {sent[0]} messages were taken in the end")

    @check("the same ids sent again when the worker goes on: each order counts exactly once")
    def _():
        answer = wait_until(lambda: (lambda a: a if a["accepted"] == 5 else None)(service.ask([order(n) for n in unanswered])), 20, "an answer")
        equal({f["reason"] for f in answer["findings"]} - {"duplicate"}, set())
        equal(spent(), 5)
        service.accept(order(99))
        equal(spent(), 6)
finish()
