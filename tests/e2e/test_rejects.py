#!/usr/bin/env python3
"""Dead letters: what was rejected stands in Redis with reason, place, source and time; nothing of a customer does; what is mended
can be sent again, and counts once."""
from rialto_test import *

ANNA = "cust-anna-77"
SECRETS = [ANNA, "anna.geheim@example.com", "+49 170 1234567", "goldtier", "vipsegment", "48.1371", "de/south/home9"]

with Service(worker_count=2, rejects_max=200, zones_max=64) as service:
    def cli(*arguments):
        words = [w for k in ("instance", "data_dir") for w in ("--set", f"{k}={service.settings[k]}")]
        return run(BIN / "rialto", "rejects", *words, "--url", service.request_ipc, *arguments, cwd=service.folder)

    def rows(*arguments):
        status, out, err = cli("--json", *arguments)
        require(status == 0, f"exit {status}: {err}")
        return [json.loads(line) for line in out.splitlines()]

    def kept(count):
        return wait_until(lambda: (lambda found: found if len(found) >= count else None)(rows("--limit", "1000")), 10, f"{count} dead letters")

    service.accept(product("milk", 1000, source="shop", id="p1"))
    at = service.now_ms()

    @check("no rejects: an empty list, a count of nothing")
    def _():
        equal(rows(), [])
        equal(rows("--count"), [{"total": 0, "reasons": {}}])

    @check("what the gateway refuses: reason, pointer, source, index, time, and the signal where it can be kept")
    def _():
        service.ask([product("bread", 1), {"type": "supply", "sku": "bread", "available": -4, "source": "wms"}, {"type": "weather", "zone": "de"}])
        found = {r["reason"]: r for r in kept(2)}
        row = found["out_of_range"]
        equal((row["pointer"], row["source"], row["type"], row["by"], row["index"], row["whole"]), ("/available", "wms", "supply", "gateway", 1, False))
        equal(row["signal"], {"type": "supply", "sku": "bread", "source": "wms"})
        require(at <= row["at"] <= service.now_ms(), row)
        row = found["missing_field"]
        equal((row["pointer"], row["whole"], row["signal"]), ("/temperature_c", True, {"type": "weather", "zone": "de"}))

    @check("what a worker refuses, pushed by somebody who gets no answer: the refused part, with its source")
    def _():
        with Pusher(service.push_tcp) as pusher:
            pusher.push([demand("unicorn", quantity=2.5, source="till-9", id="x1", zone="de/south", time=at),
                         {"type": "supply", "sku": "unicorn", "available": 5, "source": "wms", "id": "x2", "time": at + 1}])
        wait_until(lambda: len(rows("--reason", "unknown_product")) == 2, 10, "two of them")
        view, supply = sorted(rows("--reason", "unknown_product"), key=lambda r: r["type"])
        equal((view["source"], view["pointer"], view["whole"]), ("till-9", "/sku", True))
        require(re.fullmatch(r"worker\.[01]", view["by"]), view["by"])
        equal(view["signal"], {"type": "demand", "time": at, "sku": "unicorn", "zone": "de/south", "event": "order", "quantity": 2.5})
        equal((supply["source"], supply["signal"]["available"], supply["signal"]["time"]), ("wms", 5, at + 1))

    @check("a worker's dead letter names its source however many others there were, by number or by id")
    def _():
        for part in range(2):
            service.ask([{"type": "supply", "sku": "milk", "available": 40, "source": f"others-{part}-{n}"} for n in range(4000)])
        service.ask([demand("unicorn", source="seldom", id="1"), demand("unicorn", source="counts", seq=1), demand("unicorn", source="seldom", id="2")])
        found = wait_until(lambda: (lambda r: r if len(r) == 5 else None)(rows("--reason", "unknown_product")), 10, "three more of them")
        equal(sorted(r["source"] for r in found), ["counts", "seldom", "seldom", "till-9", "wms"])
        for row in found:
            if row["source"] in ("seldom", "counts"):
                service.redis()("XDEL", f"{service.instance}:rejects", row["entry"])

    @check("an entry that somebody else wrote steers no terminal and forges no line")
    def _():
        steering = "\x1b]0;owned\x07\x1b[2J\r\n2026-01-01 forged\x7f\xc2\x9b31m \xc3\xa9".encode("latin-1")  # C1 as UTF-8, and an e with acute
        entry = service.redis()("XADD", f"{service.instance}:rejects", "*", "at", "1", "reason", b"odd" + steering, "by", b"x" + steering,
                                "source", steering, "text", steering, "pointer", steering, "signal", steering)
        for arguments in ((), ("--json",)):
            status, out, err = cli("--source", steering.decode(), *arguments)
            require(status == 0 and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err), repr(out + err))
            contains(out, "\\u001b")
            contains(out, "\\u009b31m \xe9")
            equal([line for line in out.splitlines() if line.startswith("2026-01-01")], [])
            if arguments:
                equal(json.loads(out)["text"], steering.decode())
        service.redis()("XDEL", f"{service.instance}:rejects", entry)

    @check("nor does a name or an answer in a complaint on standard error")
    def _():
        status, out, err = service.cli("import", "--dry-run", "/nothing/\x1b[2J\x7f\x9b31m\xe9.csv")
        require(status == 2 and not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", out + err), repr(out + err))
        contains(err, "/nothing/\\u001b[2J\\u007f\\u009b31m\xe9.csv")

    @check("filters, limits and counts; nothing is lost between them")
    def _():
        equal({r["type"] for r in rows("--source", "wms")}, {"supply"})
        equal(len(rows("--type", "weather")), 1)
        equal(len(rows("--limit", "1")), 1)
        equal(rows("--count"), [{"total": 4, "reasons": {"missing_field": 1, "out_of_range": 1, "unknown_product": 2}}])
        contains(cli()[1], "unknown_product")
        equal(cli("--count", "--resend")[0], 2)

    @check("nothing of a customer is kept, with consent, without, or after forget: all types, faults, and misplaced values")
    def _():
        secret_signals = [
            {"type": "customer", "customer": ANNA, "consent": {"profile": 5}}, {"type": "customer", "customer": ANNA, "tier": "goldtier" * 9},
            {"type": "customer", "customer": SECRETS[1], "tier": "goldtier"}, {"type": "customer", "customer": ANNA, "segments": ["vipsegment", 5]},
            {"type": "customer", "customer": ANNA, "consent": {ANNA: True}}, {"type": "customer", "customer": ANNA, SECRETS[1]: 1},
            {"type": "location", "customer": ANNA, "lat": 48.1371, "lon": 999}, {"type": "location", "customer": ANNA, "zone": "de/south/home9", "lease_s": -1},
            {"type": "offer", "customer": ANNA, "sku": "milk", "kind": "percent"}, {"type": "offer", "customer": ANNA, "sku": "unicorn", "kind": "percent", "percent": 0},
            {"type": "receipt", "customer": ANNA, "amount": 7.5, "currency": "EUR"}, {"type": "forget", "customer": ANNA, "why": SECRETS[2]},
            demand("milk", customer=ANNA, quantity=-1, id=ANNA, source=SECRETS[1]), demand("milk", customer=SECRETS[2]),
            demand("unicorn", customer=ANNA, source=SECRETS[1], id=ANNA), product(SECRETS[1], 5, cost=-1), product("p", 5, title=SECRETS[2], cost=-1),
            {"type": "supply", "sku": "milk", "available": 1, ANNA: 1}, {"type": SECRETS[1]}, {"type": "demand", SECRETS[2]: "x"},
            {"type": "supply", "sku": "milk", "available": 1, "customer": ANNA, "id": ANNA},
            {"type": "customer", "customer": ANNA, "tier": 5, "source": f"phone-of-{ANNA}"}, demand("unicorn", customer=ANNA, source=f"app/{ANNA}", id="1"),
            demand("unicorn", customer=ANNA, source=f"till/{ANNA}", seq=1),
        ]
        def all_refused():
            before = len(rows("--limit", "1000"))
            answer = service.ask(secret_signals)
            equal(answer["rejected"], len(secret_signals), answer)
            service.ask(('{"type":"demand","customer":"%s",' % ANNA))
            kept(before + len(secret_signals) + 1)
            stream = repr(service.redis()("XRANGE", f"{service.instance}:rejects", "-", "+"))
            log = service.log()
            found = [s for s in SECRETS if s in stream or s in log]
            require(not found, f"{found} in dead letters or log")
        all_refused()
        service.accept(customer(ANNA, ["profile", "behaviour", "location", "purchases"], tier="goldtier"))
        all_refused()
        service.accept({"type": "forget", "customer": ANNA})
        stream = repr(service.redis()("XRANGE", f"{service.instance}:rejects", "-", "+"))
        require(not [s for s in SECRETS if s in stream], "after forget")

    @check("after a fix they are sent again and take effect once; what is not whole stays; what is rejected again stands there anew")
    def _():
        service.accept(product("unicorn", 1000))
        equal(service.amount("unicorn"), 1000)
        whole = [r for r in rows("--reason", "unknown_product", "--limit", "1000") if r["whole"]]
        equal(len(whole), 8)  # two pushed, and twice three product parts of a customer's demand
        status, out, err = cli("--json", "--reason", "unknown_product", "--resend")
        equal((status, json.loads(out)), (0, {"accepted": 8, "rejected": 0, "not_whole": 0, "deleted": 8}), err)
        equal(service.amount("unicorn"), 1200, "the price while it is scarce")
        equal(json.loads(cli("--json", "--reason", "unknown_product", "--resend")[1])["accepted"], 0)
        status, out, _ = cli("--json", "--type", "weather", "--resend")
        equal((status, json.loads(out)["rejected"]), (1, 1))
        equal(len(wait_until(lambda: rows("--type", "weather"), 10, "the new entry")), 1)
        before = len(rows("--reason", "out_of_range", "--limit", "1000"))
        status, out, _ = cli("--json", "--reason", "out_of_range", "--resend")
        equal((status, json.loads(out)["not_whole"], len(rows("--reason", "out_of_range", "--limit", "1000"))), (1, before, before))

    @check("a flood of rubbish: the stream stays within its bound, what is beyond 1000 a second is counted, the service is at ease")
    def _():
        for _ in range(8):
            service.ask([{"type": "supply", "sku": f"none{n}", "available": 1, "source": "flood"} for n in range(1000)])
        wait_until(lambda: service.status()["metrics"]["rejects_dropped_total"] > 0, 10, "some to be counted only")
        time.sleep(0.3)
        length = service.redis()("XLEN", f"{service.instance}:rejects")
        require(100 <= length <= 200 + 200, f"{length} entries for a bound of about 200")
        metrics = service.status()["metrics"]
        require(metrics["rejects_kept_total"] + metrics["rejects_dropped_total"] >= 8000, metrics)
        equal(service.status()["status"], "healthy")

    @check("Redis away and back: what was rejected meanwhile stands there afterwards")
    def _():
        time.sleep(1.1)  # the second of the flood is over
        os.kill(service.children()["redis-server"], signal.SIGKILL)
        service._redis = None
        service.ask([{"type": "supply", "sku": f"away{n}", "available": 1, "source": "outage"} for n in range(50)])
        wait_until(lambda: service._redis_connected() and cli()[0] == 0 and len(rows("--source", "outage", "--limit", "1000")) >= 50, 20, "fifty of them")

    @check("without Redis, or with a command line that says nonsense, it says so")
    def _():
        equal(run(BIN / "rialto", "rejects", "--set", f"data_dir={service.folder}/nowhere")[0], 3)
        equal(cli("--limit", "0")[0], 2)
        equal(cli("operand")[0], 2)

with Service(worker_count=1, rejects_max=5000, producer_signals_per_s=500, message_signals_max=200) as service:
    def resend(*arguments):
        words = [w for k in ("instance", "data_dir", "message_signals_max") for w in ("--set", f"{k}={service.settings[k]}")]
        return run(BIN / "rialto", "rejects", *words, "--url", service.request_ipc, "--json", "--resend", *arguments, cwd=service.folder)

    def length():
        return service.redis()("XLEN", f"{service.instance}:rejects")

    def plant(count, sku, source):
        """As many dead letters of one product's stock, each of which is whole."""
        for n in range(count):
            service.redis()("XADD", f"{service.instance}:rejects", "*", "at", n + 1, "reason", "unknown_product", "source", source, "type", "supply", "by", "worker.0",
                            "whole", 1, "signal", json.dumps({"type": "supply", "sku": sku, "available": n + 1}))

    service.accept(product("bread", 1000))

    @check("more than a message holds, and than a producer's share, are sent again: each is taken in its turn, and none is deleted unsent")
    def _():
        plant(1200, "bread", "mended")
        equal(json.loads(resend()[1]), {"accepted": 1200, "rejected": 0, "not_whole": 0, "deleted": 1200})
        equal((length(), service.status()["metrics"]["supply_signals_total"]), (0, 1200))

    @check("more are rejected again than are kept in a second: all of them stand there anew")
    def _():
        plant(1600, "none", "not-mended")
        status, out, err = resend()
        equal((status, json.loads(out)), (1, {"accepted": 0, "rejected": 1600, "not_whole": 0, "deleted": 1600}), err)
        wait_until(lambda: length() == 1600, 10, f"1600 of them, {length()} are there")
finish()
