#!/usr/bin/env python3
"""A day of the bundled data goes through a live service that records; its recording, replayed from nothing, gives every baseline
price as it was live, to the last unit. No customer stands in it, whether he permitted anything or not."""
from rialto_test import *

# A price of it changes once an hour: by what was known when the first of several batches of a tick had come.
SLOWLY = simple_model(model="slowly", scope={"categories": ["slowly"], "currencies": ["EUR"]}, group="slowly",
                      factors=[{"name": "stock", "input": "available", "steps": [[0, 1.04], [10, 1.01]]}],
                      guardrails={"floor": 0.1, "ceiling": 2, "largest_step": {"of": 0.05, "per": "1h"}})
MODELS = {**{f.name: f.read_text() for f in (ROOT / "models").glob("*.json")}, "slowly.json": json.dumps(SLOWLY)}
SIZES = {"products_max": 8192, "cells_max": 32768, "customers_max": 8192}


def day():
    """The first day of the bundled recording, with its quarters of an hour."""
    path, ticks, lines = temporary_folder() / "day.ndjson", 0, []
    status, _, err = run(BIN / "rialto", "replay", "--dump", path, cwd=ROOT, timeout=60)
    equal(status, 0, err)
    with open(path, encoding="utf-8") as whole:
        for line in whole:
            ticks += line.startswith('{"control"')
            if ticks > 97:
                break
            lines.append(line)
    path.write_text("".join(lines))
    return path, lines


def recordings(service):
    return sorted((service.data / "recordings").glob("*.ndjson"))


path, lines = day()
customers = {json.loads(line)["customer"] for line in lines if '"customer":"' in line}
secret = ["secret-customer", "secret-visit", "secret-source", "secret-id"]
recorded = temporary_folder() / "recorded.ndjson"
models = temporary_folder()
for name, text in MODELS.items():
    (models / name).write_text(text)

with Service(models=MODELS, **{**SIZES, "record_files_max": 100, "record_file_bytes_max": 500_000, "cache_on_stop": "keep",
                               "stale_after_ms": 3600_000}) as service:
    shop = [json.loads(line) for line in lines]
    sku = next(s["sku"] for s in shop if s["type" if "type" in s else "control"] == "product")

    @check("a day is played to a service that records, and goes on by itself meanwhile")
    def _():
        status, out, err = service.cli("replay", "--signals", path, "--seconds", "2", "--json")
        equal(status, 0, out + err)
        require(json.loads(out.splitlines()[-1])["accepted"] > 1000 and len(customers) > 10, "a day that shows nothing")

    @check("signals that say who: of a customer, a visit, a sender; sent twice, repeated by a visit, far off in time")
    def _():
        who, visit, source, number = secret
        now = service.now_ms()
        # no permission at all, then one to all: neither is a reason to record who it was
        told = [{"type": "demand", "sku": sku, "event": "view", "customer": who, "session": visit, "source": source, "id": number},
                {"type": "customer", "customer": who, "consent": {"behaviour": True, "profile": True}, "segments": ["vip"]},
                {"type": "location", "customer": who, "zone": "de/south"},
                *({"type": "demand", "sku": sku, "event": "cart", "customer": who, "session": visit} for _ in range(5)),
                *({"type": "demand", "sku": sku, "event": "order", "source": source, "id": number + str(i // 2)} for i in range(20)),
                *({"type": "demand", "sku": sku, "event": "view", "source": source, "seq": i // 2 + 1} for i in range(20)),
                {"type": "demand", "sku": sku, "event": "order", "quantity": 2.25, "time": now - 7_200_000}]
        for i in range(4):  # several batches in one tick, and over several
            service.ask("\n".join(json.dumps(s) for s in told[i::4]))
        service.ask({"type": "product", "sku": "ne\"w\\\u00fc", "category": "fresh/\u00e9", "list": 777, "currency": "EUR", "title": "\\\" \u00df"})
        service.pass_time(3)

    @check("batches that share a tick: what the first of them says stands for an hour")
    def _():
        skus = [f"slow{i}" for i in range(40)]
        service.accept(*(product(s, 1000, category="slowly") for s in skus))
        service.pass_time(7200)
        for sku in skus:
            for available in (10, 3):
                service.ask({"type": "supply", "sku": sku, "available": available})
        equal({service.amount(s) for s in skus}, {1010})

    @check("all of it is on record, in files that are no larger than they may be")
    def _():
        accepted = [s for s in service.log().splitlines() if "RECORD-" in s]
        equal(accepted, [])
        equal(service.stop(), 0)
        files = recordings(service)
        require(2 <= len(files) <= 100, f"{len(files)} files")
        # a file ends at the first tick behind its limit: no more than a quarter of an hour's signals beyond it
        require(all(f.stat().st_size < 1_500_000 for f in files), [f.stat().st_size for f in files])
        missing = [line for f in files for line in open(f) if '"missing"' in line]
        require(len(missing) == 1 and '"missing":0' in missing[0], missing)

    @check("no customer, visit, sender or id stands in a recording, permitted or not")
    def _():
        text = b"".join(f.read_bytes() for f in recordings(service))
        for word in [*customers, *secret]:
            require(word.encode() not in text, word)
        rows = [json.loads(line) for line in text.decode().splitlines()]
        kinds = {row["type"] for row in rows if "type" in row}
        equal(kinds, {"product", "zone", "weather", "supply", "demand"})
        equal({name for row in rows for name in row} & {"customer", "segments", "consent", "tier"}, set())
        require(sum(row.get("repeated", False) for row in rows) >= 4, "a visit repeated what it did")
        equal(oct(recordings(service)[0].stat().st_mode & 0o777), "0o600")

    @check("replayed from nothing it gives every baseline price as it was live")
    def _():
        prices = temporary_folder() / "prices"
        data = ["--set", f"data_dir={service.data}", *(w for k, v in SIZES.items() for w in ("--set", f"{k}={v}"))]
        status, out, err = run(BIN / "rialto", "replay", "--recorded", "--dump", recorded, *data)
        equal(status, 0, out + err)
        equal(recorded.read_bytes(), b"".join(f.read_bytes() for f in recordings(service)))
        status, out, err = run(BIN / "rialto", "simulate", "--models", models, "--against", models, "--signals", recorded, "--prices", prices, *data, timeout=60)
        equal(status, 0, out + err)
        rows = [json.loads(line) for line in prices.read_text().splitlines()]
        reader = Library(service.cache)
        live = [reader.quote(row["sku"], zone=row["zone"] or None) for row in rows]
        wrong = [(row, q.baseline) for row, (status, q) in zip(rows, live) if status != 0 or q.baseline != row["baseline"]]
        moved = sum(q.baseline != q.list for _, q in live)
        reader.close()
        equal(wrong[:5], [], f"{len(wrong)} of {len(rows)}")
        require(len(rows) > 500 and moved > 50, f"{len(rows)} prices, {moved} off list")
        note(f"{len(rows)} prices, {moved} of them off list, from {recorded.stat().st_size} bytes")

with Service(record_files_max=2, record_file_bytes_max=65536) as service:
    @check("past record_files_max the oldest recording goes, and is counted")
    def _():
        service.accept(product("A", 1000))
        first = recordings(service)
        for _ in range(6):
            service.accept(*({"type": "demand", "sku": "A", "event": "order"} for _ in range(1000)))
            service.pass_time(1)
        wait_until(lambda: len(recordings(service)) == 2 and not set(first) & set(recordings(service)), 10, "two recordings, both new")
finish()
