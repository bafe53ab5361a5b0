#!/usr/bin/env python3
"""`rialto forget` leaves nothing of a customer anywhere, and says so in a receipt that anybody can check: neither the id nor its keyed hash is in
shared memory, state, Redis (keys, dump, append-only file after its rewrite), dead letters, logs or any other file."""
import base64
from rialto_test import *

ID, LOOKER, LOOKER_TOO = "erase-me-4417-xq", "other-customer-12", "other-customer-13"
KINDS = ["location", "behaviour", "purchases", "profile", "partner"]


def payload(signed):
    version, key, body, signature = signed.split(".")
    equal(version, "rialto1")
    return key, json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


class Verifier:
    """librialto-verify by ctypes."""

    def __init__(self):
        # Python cannot load a library that is built with a sanitizer.
        folder = LIB if VARIANT in ("release", "clang") else ROOT / "build/release/lib"
        self.lib = ctypes.CDLL(str(folder / "librialto-verify.so"))
        self.lib.rialto_verdict_name.restype = ctypes.c_char_p

    def signed(self, keys, text, kind=None):
        out = ctypes.create_string_buffer(4096)
        verdict = self.lib.rialto_verify_signed(keys.encode(), text.encode(), kind.encode() if kind else None, ctypes.c_size_t(4096), out)
        return self.lib.rialto_verdict_name(verdict).decode(), out.value.decode()


def shared_keys(cache, name):
    """Keys of the lines in use: what include/rialto/layout.h says."""
    data, keys = (cache / name).read_bytes(), set()
    for partition in range(64):
        extents, = struct.unpack_from("<I", data, 4096 + partition * 128)
        for extent in range(extents):
            offset, _, _, capacity = struct.unpack_from("<QQII", data, 4096 + partition * 128 + 8 + extent * 24)
            for slot in range(capacity):
                key = data[offset + slot * 64 + 8:][:16]
                if key not in (b"\0" * 16, b"\xff" * 16):
                    keys.add(key)
    return keys


MODEL = simple_model()
MODEL["personal"] = [*MODEL["personal"], {"name": "likes", "affinity": [[0, 1], [1, 0.99]]}]

with Service(models={"shop.json": MODEL}, erase_rewrite_s=1) as service:
    redis = service.redis()
    OWN = ("--set", f"data_dir={service.data}")
    redis("CONFIG", "SET", "rdbcompression", "no")  # so that a dump can be searched for bytes
    service.accept(product("milk", 1000), product("tea", 500), customer(LOOKER, ["profile"], tier="gold"), customer(LOOKER_TOO, ["behaviour"]))
    before = shared_keys(service.cache, "terms.v3") | shared_keys(service.cache, "offers.v3")
    service.accept(customer(ID, KINDS, tier="gold", segments=["family"], spend=4711, currency="EUR"),
                   {"type": "location", "customer": ID, "zone": "de/south", "lease_s": 86400},
                   {"type": "offer", "customer": ID, "sku": "milk", "kind": "percent", "percent": 3, "units": 5, "until": service.now_ms() + 86400000},
                   {"type": "offer", "customer": ID, "sku": "tea", "kind": "lock", "amount": 123, "currency": "EUR"},
                   demand("milk", "view", customer=ID, session="visit-1", category="food/dairy"), demand("milk", customer=ID, quantity=2))
    service.ask([demand("none-such", "view", customer=ID), {"type": "location", "customer": ID}, {"type": "customer", "customer": ID, "tier": 7}])
    lines = (shared_keys(service.cache, "terms.v3") | shared_keys(service.cache, "offers.v3")) - before
    # A keyed hash may stand in memory as its bytes, or in Redis as the digits of its two halves.
    halves = [struct.unpack("<QQ", key) for key in lines]
    WORDS = {"id": ID.encode(), **{f"hash {i}": key for i, key in enumerate(lines)},
             **{f"hash {i} in digits": f"{b:016x}{a:016x}".encode() for i, (a, b) in enumerate(halves)},
             **{f"hash {i} in digits, turned": f"{a:016x}{b:016x}".encode() for i, (a, b) in enumerate(halves)}}

    def look(words):
        found = []
        for folder in (service.data, service.cache):
            for file in sorted(f for f in folder.rglob("*") if f.is_file()):
                data = file.read_bytes()
                found += [f"{name} in {file.name}" for name, word in words.items() if word in data]
        log = service.log().encode()
        return found + [f"{name} in the log" for name, word in words.items() if word in log]

    def traces(words=WORDS):
        for _ in range(100):
            with contextlib.suppress(FileNotFoundError):  # Redis renames its files while it rewrites them: then all are looked at again
                return look(words)
        raise Failed("the files never hold still")

    def dumped():
        redis("SAVE")
        return [t for t in traces() if "dump.rdb" in t]

    @check("before: id and hashes are found in memory, state, the append-only file and a dump; so the search looks in the right places")
    def _():
        equal(len(lines), 3)
        service.wait_durable()
        wait_until(lambda: redis("EXISTS", f"{service.instance}:quote:{{{ID}}}") == 1, 5, "the customer's quotes in Redis")
        wait_until(lambda: any("aof" in t for t in traces()), 5, "the id in the append-only file")
        found = traces()
        for place in ("terms.v3", "offers.v3", ".v"):
            require(any(place in t for t in found), f"nothing in {place}: {found}")
        require(dumped(), "nothing in the dump")
        require(not any("log" in t for t in found), f"it is in a log: {found}")

    @check("export gives all that is kept, each with meaning, source and how long; and only to who has the key")
    def _():
        status, out, err = service.cli("export", *OWN, ID)
        equal(status, 0, err)
        data = {d["name"]: d for d in json.loads(out)["data"]}
        equal(sorted(data), ["affinity_behaviour", "affinity_purchases", "consent", "lock", "looked_at", "offer", "segments", "spend", "tier", "zone"])
        equal(sorted(d["sku"] for d in json.loads(out)["data"] if d["name"] == "looked_at"), ["milk", "none-such"])
        ends_in = data["looked_at"]["until_ms"] - service.now_ms()
        require(800_000 < ends_in <= 900_000, f"the default of watch_ttl_s is 15 minutes; it ends in {ends_in} ms")
        require(all(d["meaning"] and d["source"] and d["kept"] for d in data.values()), "something is not explained")
        equal((data["tier"]["value"], data["segments"]["value"], data["spend"]["value"], data["spend"]["currency"], data["zone"]["value"]),
              ("gold", ["family"], 4711, "EUR", "de/south"))
        require(any("audit.names" in t for t in traces()), "that somebody looked has no name")
        require(0 < data["zone"]["since_ms"] == data["zone"]["until_ms"] - 86400000, data["zone"])
        equal((data["lock"]["sku"], data["lock"]["value"], sorted(data["consent"]["value"])), ("tea", 123, sorted(KINDS)))
        for key in ({}, {"key": "0" * 32}, {"key": ""}):
            equal(service.ask({"control": "export", "customer": ID, **key}).get("reason"), "not_allowed")

    @check("what rested on consents that are taken back is as gone as after an erasure: from memory, state, Redis, its dump and its rewritten file; what is left is that no was said")
    def _():
        who, spent, price = "takes-back-5528", 0x7123456789AB, 0x3CBA98765432  # six bytes of which none is zero: a search for zeros in empty files takes minutes
        words = {"id": who.encode(), "tier": b"tier-xq7", "segment": b"segment-xq7", "zone": b"xq7/town", "spend": struct.pack("<q", spent)[:6], "offer": struct.pack("<q", price)[:6]}

        def where():
            found = traces(words)
            return {word: sorted(t.split(" in ")[1] for t in found if t.startswith(f"{word} in ")) for word in words}
        service.accept(customer(who, KINDS, tier="tier-xq7", segments=["segment-xq7"], spend=spent, currency="EUR"), {"type": "location", "customer": who, "zone": "xq7/town", "lease_s": 86400},
                       {"type": "offer", "customer": who, "sku": "milk", "kind": "fixed", "amount": price, "currency": "EUR"})
        service.wait_durable()
        before = wait_until(lambda: (found := where()) and all(any("aof" in file for file in files) for files in found.values()) and found, 5, "all of it in the append-only file")
        equal((any(file.startswith("offers") for file in before["offer"]), "zones.v3" in before["zone"]), (True, True))
        service.accept({"type": "customer", "customer": who, "consent": {kind: False for kind in KINDS}})
        redis("SAVE")
        # the name of a zone stays beside others', and says nothing of who was there
        left = {"tier": [], "segment": [], "zone": ["zones.v3"], "spend": [], "offer": []}
        with contextlib.suppress(Failed):
            wait_until(lambda: where().items() >= left.items(), 20)
        found = where()
        equal({word: found[word] for word in left}, left)
        require(found["id"], "who refused is known for a while, so that an older yes does not count")
        held = json.loads(service.cli("export", *OWN, who)[1])["data"]
        equal([(d["name"], d.get("value")) for d in held], [("consent", []), ("zone_time", None)])

    verifier, receipts = Verifier(), {}

    @check("forget is answered with a signed receipt that says what was removed where")
    def _():
        status, out, err = service.cli("forget", "--json", ID)
        equal(status, 0, err)
        answer = receipts["one"] = json.loads(out)
        receipt = answer["receipt"]
        equal(receipt["removed"]["state"], {"records": 1, "consent": KINDS, "consent_notes": 5, "tiers": 1, "segments": 1, "spends": 1, "affinities": 1, "zones": 1, "offers": 1, "locks": 1, "offer_events": 0, "offer_times": 0})
        equal((receipt["kind"], receipt["customer"], receipt["held_now"]), ("erasure", ID, False))
        equal((receipt["redis"]["state"], receipt["redis"]["quotes"]), ("deleted", "deleted"))
        equal(receipt["superseded_tables"], "there are none")
        equal(payload(answer["signed"])[1], receipt)

    @check("the receipt is true: nothing is found anywhere, the append-only file included once it is rewritten")
    def _():
        equal(redis("EXISTS", f"{service.instance}:quote:{{{ID}}}"), 0)
        with contextlib.suppress(Failed):
            wait_until(lambda: not [t for t in traces() if "dump" not in t], 20)
        dumped()
        require(not traces(), "; ".join(traces()))
        require(not any(ID in key for key in redis.keys()), "a key names the customer")
        equal(service.amount("milk", customer=LOOKER), 900)

    @check("it is over for the customer too: nothing is kept, and the price is the baseline")
    def _():
        equal(service.cli("export", *OWN, ID)[0], 1)
        equal((service.amount("milk", customer=ID), service.amount("tea", customer=ID)), (1000, 500))
        again = json.loads(service.cli("forget", "--json", ID)[1])["receipt"]
        equal((again["removed"]["state"]["records"], again["held_now"]), (0, False))

    @check("a worker that dies between the commit of an erasure and Redis: its successor makes up for it, record and quotes")
    def _():
        key = f"{service.instance}:quote:{{{ID}}}"
        service.accept(customer(ID, KINDS, tier="gold"), {"type": "offer", "customer": ID, "sku": "tea", "kind": "lock", "amount": 123, "currency": "EUR"},
                       demand("milk", "view", customer=ID), demand("milk", "view", customer=LOOKER_TOO))
        service.wait_durable()
        wait_until(lambda: redis("EXISTS", key) == 1, 5, "the customer's quotes in Redis")
        require(dumped(), "nothing in the dump")
        redis("CLIENT", "PAUSE", "60000", "WRITE")  # nothing reaches Redis any more, and what waits there goes with its connection
        try:
            answer = service.ask([{"type": "forget", "customer": ID}])
            equal((answer["accepted"], answer["durable"]), (1, "no"))
            for worker in (w for w in service.children() if w.startswith("worker")):
                service.kill_child(worker)
            equal(redis("EXISTS", key), 1)
        finally:
            redis("CLIENT", "UNPAUSE")
        wait_until(lambda: redis("EXISTS", key) == 0, 10, "the successor deletes the quotes")
        wait_until(lambda: not dumped(), 20, "the successor deletes the record and the lock")
        wait_until(lambda: not traces(), 20, "and the append-only file is rewritten without them")
        require(service.status()["metrics"]["quotes_made_good_total"] == 1, "not counted")
        equal(redis("EXISTS", f"{service.instance}:quote:{{{LOOKER_TOO}}}"), 1)  # nobody else's go
        equal(service.cli("export", *OWN, ID)[0], 1)

    @check("a worker that dies between a revocation and Redis: its successor writes the quotes anew, without what was taken back, and nobody else's lose it")
    def _():
        def in_redis(who):
            text = redis("HGET", f"{service.instance}:quote:{{{who}}}", "milk")
            return text and (json.loads(text)["amount"], json.loads(text)["data_used"])
        both = ("takes-back-5529", "keeps-it-5530")
        service.accept(*(customer(who, ["profile", "behaviour"], tier="gold") for who in both), *(demand("milk", "view", customer=who) for who in both))
        wait_until(lambda: [in_redis(who) for who in both] == [(900, ["behaviour", "profile"])] * 2, 5, "personal quotes in Redis")
        service.wait_durable()
        redis("CLIENT", "PAUSE", "60000", "WRITE")
        try:
            equal(service.ask([{"type": "customer", "customer": both[0], "consent": {"profile": False}}])["durable"], "no")
            for worker in (w for w in service.children() if w.startswith("worker")):
                service.kill_child(worker)
            equal(in_redis(both[0]), (900, ["behaviour", "profile"]))
        finally:
            redis("CLIENT", "UNPAUSE")
        wait_until(lambda: in_redis(both[0]) == (1000, ["behaviour"]), 10, "the successor")
        wait_until(lambda: in_redis(both[1]) == (900, ["behaviour", "profile"]), 10, "the other one's")

    @check("the receipt is checked offline with the public keys; one that was altered in any place is not believed")
    def _():
        keys, text = service.cli("keys")[1], receipts["one"]["signed"]
        verdict, body = verifier.signed(keys, text, "erasure")
        equal(verdict, "VALID")
        equal(json.loads(body), receipts["one"]["receipt"])
        equal(verifier.signed(keys, text, "lock")[0], "OTHER_KIND")
        for at in range(0, len(text), 7):
            other = "A" if text[at] != "A" else "B"
            found = verifier.signed(keys, text[:at] + other + text[at + 1:])[0]
            require(found != "VALID", f"altered at {at}, and {found}")
        equal(verifier.signed("0123456789abcdef " + "0" * 64, text)[0], "UNKNOWN_KEY")
        equal(verifier.signed(keys, text.replace("rialto1", "rialto2"))[0], "OTHER_VERSION")
        equal(verifier.signed("no keys", text)[0], "BAD_KEYS")

    @check("the inventory names every place in which something of customers is: keys in Redis, tables, files of the audit log")
    def _():
        told = " ".join(json.loads(line)["where"] for line in service.cli("inventory", "--json")[1].split("\n") if line)
        kinds = {key.split(":")[1] for key in redis.keys()} - {"cell", "here", "journal", "mark", "rejects"}  # these know nothing of customers
        equal(kinds, {"ids", "quote", "state"})
        for place in ("Redis: ids", "Redis: quotes", "Redis: state", "shared memory: terms", "shared memory: zones", "data folder: access.ndjson", "data folder: audit.names"):
            contains(told, place)
        name = b"de/south"  # where the forgotten customer was, and nobody else
        equal([file.name for file in sorted(service.cache.iterdir()) if name in file.read_bytes()], ["zones.v3"])

    @check("after a rotation a new key signs, and what the old one signed is still believed; over a restart too")
    def _():
        old = service.cli("keys")[1].split()[0]
        equal(service.ask({"control": "keys", "rotate": True}).get("reason"), "not_allowed")
        status, out, err = service.cli("keys", "--rotate", *OWN)
        equal(status, 0, err)
        new = out.split()[0]
        require(new != old and old in out, out)
        service.restart()
        keys = service.cli("keys")[1]
        equal(keys, out)
        fresh = json.loads(service.cli("forget", "--json", "nobody-7")[1])["signed"]
        equal(payload(fresh)[0], new)
        equal([verifier.signed(keys, text)[0] for text in (fresh, receipts["one"]["signed"])], ["VALID", "VALID"])
        equal(verifier.signed("\n".join(line for line in keys.split("\n") if old not in line), receipts["one"]["signed"])[0], "UNKNOWN_KEY")

    @check("secret keys are in private files only, and in no log")
    def _():
        seeds = list((service.data / "keys").glob("*.seed"))
        equal(len(seeds), 2)
        equal({oct(f.stat().st_mode & 0o777) for f in seeds} | {oct((service.data / "keys").stat().st_mode & 0o777)}, {"0o600", "0o700"})
        secrets = [f.read_text().split()[1] for f in seeds]
        require(not any(s in service.log() for s in secrets), "a secret key is in the log")

    @check("the inventory names every kind of datum that export knows, with where, why and how long")
    def _():
        rows = [json.loads(line) for line in service.cli("inventory", "--json")[1].split("\n") if line]
        require(all(r["where"] and r["why"] and r["how_long"] for r in rows), "a row says too little")
        text = " ".join(r["data"] for r in rows)
        for word in ("consent", "tier", "segments", "spend", "affinity", "zone", "offers", "locks"):
            contains(text, word)
        source = (ROOT / "service/export.c").read_text()
        known = set(re.findall(r'datum\(\s*(?:looks->)?data, "(\w+)"', source)) | set(re.findall(r'"(\w+)"', re.search(r"NAME\[AFFINITY_PARTS\] = (.*?);", source).group(1)))
        told = {name for r in rows for name in re.findall(r"\w+_?\w*", r["export"]) if not r["export"].startswith("no: ")} - {"or", "with"}
        require(len(known) >= 14, known)
        equal(told, known | {"customer"})

finish()
