#!/usr/bin/env python3
"""A signal that its worker dies of: it is found and taken out, everything else takes effect once, and the service goes on.

The fault point is a variable of the environment that names a product whose records the worker dies of. Only an instance whose
clock may be moved listens to it."""
from rialto_test import *

MODEL = simple_model(personal=[{"name": "spend", "spend": [[0, 1], [9000, 0.1]]}],
                     guardrails={"floor": 0.05, "ceiling": 2, "personal": [0.1, 1]})

os.environ["RIALTO_TEST_POISON_SKU"] = "poison"

with Service(models={"shop.json": MODEL}, worker_count=1, answer_timeout_ms=20000) as service:
    service.accept(product("meter", 1000000), customer("anna", ["purchases"]))

    def orders(first, count):
        return [demand("meter", customer="anna", amount=100, currency="EUR", source="till", id=f"o{n}") for n in range(first, first + count)]

    @check("the request that holds it is answered: poison at its index, all others accepted and counted once")
    def _():
        signals = orders(0, 30)
        signals[11:11] = [product("poison", 500)]
        answer = service.ask(signals)
        equal((answer["accepted"], answer["rejected"]), (30, 1), answer)
        equal([(f["index"], f["reason"]) for f in answer["findings"]], [(11, "poison")])
        equal((1000000 - service.amount("meter", customer="anna")) // 100, 30, "orders counted")

    @check("pushed among thousands of others it stops nobody: they all count, and what comes later too")
    def _():
        with Pusher(service.push_tcp) as pusher:
            for at in range(100, 1100, 50):
                signals = orders(at, 50)
                if at == 500:
                    signals.insert(25, demand("poison", customer="anna", amount=100, currency="EUR", source="till", id="bad"))
                pusher.push(signals)
        wait_until(lambda: service.status()["metrics"]["signals_poison_total"] == 2, 30, "the second one to be taken out")
        wait_until(lambda: (1000000 - service.amount("meter", customer="anna")) // 100 >= 1030, 20, "all others to count")
        time.sleep(0.3)
        equal((1000000 - service.amount("meter", customer="anna")) // 100, 1030, "orders counted")

    @check("it is counted and logged without a word of what it held; the service is healthy again")
    def _():
        metrics = service.status()["metrics"]
        equal((metrics["signals_poison_total"], metrics["batches_split_total"]), (2, 2))
        lines = [line for line in service.log().splitlines() if "SIGNAL-POISON" in line]
        require(len(lines) == 2 and not any("anna" in line for line in lines), lines)
        wait_until(lambda: service.status()["status"] == "healthy", 20, "health")

    @check("both are dead letters: the product part, with its source")
    def _():
        words = [w for k in ("instance", "data_dir") for w in ("--set", f"{k}={service.settings[k]}")]
        status, out, err = run(BIN / "rialto", "rejects", *words, "--json", "--reason", "poison", cwd=service.folder)
        rows = [r for r in map(json.loads, out.splitlines()) if r["signal"]]  # of a customer's part nothing is kept
        equal([(r["type"], r["source"], r["by"], r["signal"]["sku"]) for r in rows],
              [("demand", "till", "worker.0", "poison"), ("product", "", "worker.0", "poison")], err)

with Service(models={"shop.json": MODEL}, worker_count=1, clock_replay=0) as service:
    @check("an instance in production, whose clock cannot be moved, has no such fault point")
    def _():
        before = service.children()["worker.0"]
        service.accept(product("poison", 500))
        equal((service.amount("poison"), service.children()["worker.0"]), (500, before))
finish()
