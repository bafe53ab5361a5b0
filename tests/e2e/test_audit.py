#!/usr/bin/env python3
"""The audit log: who did what, when, where from and what became of it, over HTTP and on the command line; nothing of a customer, no secret."""
import calendar
import getpass
import hashlib
import http.client
import secrets

from rialto_test import *

PORT = free_port()
FOLDER = temporary_folder()
TOKENS = FOLDER / "tokens"
KEYS = {name: secrets.token_urlsafe(32) for name in ("alice", "till-7", "bob")}
ANNA = "customer-anna-4711"


def tokens(*rows):
    TOKENS.write_text("".join(f"{role} {name} {hashlib.sha256(KEYS[name].encode()).hexdigest()}\n" for role, name in rows))


def ask(method, path, token=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


tokens(("admin", "alice"), ("shop", "till-7"))
with Service(http_listen=f"127.0.0.1:{PORT}", http_tokens_file=TOKENS) as service:
    me = f"{getpass.getuser()}@{socket.gethostname()[:31]}"
    where = ("--set", f"data_dir={service.data}")

    def cli(command, *words):
        return run(BIN / "rialto", command, "--url", service.request_ipc, *where, *words, cwd=service.folder)

    def audit(*words):
        status, out, err = run(BIN / "rialto", "audit", *where, "--json", "--count", "1000", *words)
        equal(status, 0, err)
        return [json.loads(line) for line in out.splitlines()]

    def last(action):
        """The newest line of that kind, without its time, which must be one."""
        line = audit("--action", action)[-1]
        require(abs(time.time() - calendar.timegm(time.strptime(line.pop("at")[:19], "%Y-%m-%dT%H:%M:%S"))) < 60, "not of now")
        return line

    service.accept(product("milk", 100), customer(ANNA, ["profile"], tier="gold"))

    @check("the start is on record")
    def _():
        equal((last("apply")["who"], last("apply")["outcome"], last("apply")["change"]), ("rialtod", "done", 1))

    @check("over HTTP: whose token, from which address, what, and the change that came of it")
    def _():
        equal(ask("POST", "/v1/freeze", KEYS["alice"], {"sku": "milk", "note": "odd"})[0], 200)
        equal(last("freeze"), {"action": "freeze", "outcome": "done", "who": "alice over HTTP", "from": "127.0.0.1", "what": "freeze sku milk to last: odd", "change": 2})
        equal(ask("POST", "/v1/models/pin", KEYS["alice"], {"pinned": True})[0], 200)
        equal((last("pin")["who"], last("pin")["change"]), ("alice over HTTP", 3))

    @check("a refusal is on record as one, with its reason: HTTP and command line")
    def _():
        model = (service.models / "shop.json").read_text()
        equal(ask("POST", "/v1/models/apply", KEYS["alice"], {"files": {"shop.json": model}})[0], 409)
        equal({k: v for k, v in last("apply").items() if k != "what"}, {"action": "apply", "outcome": "pinned", "who": "alice over HTTP", "from": "127.0.0.1"})
        equal(cli("rollback")[0], 4)
        line = last("rollback")
        equal((line["outcome"], line["who"]), ("models_refused", me), line)
        require(re.fullmatch(rf"local, uid {os.getuid()}, pid \d+", line["from"]), line)

    @check("on the command line: pin taken back, thawed, rejected signals looked at, a new key")
    def _():
        equal(cli("pin", "--off")[0], 0)
        equal((last("unpin")["who"], last("unpin")["outcome"], last("unpin")["change"]), (me, "done", 4))
        equal(cli("freeze", "--all", "--off")[0], 0)
        equal(last("thaw")["change"], 5)
        status, _, err = run(BIN / "rialto", "rejects", *(w for k, v in service.settings.items() if k in ("instance", "data_dir") for w in ("--set", f"{k}={v}")))
        equal(status, 0, err)
        equal((last("rejects")["who"], last("rejects")["what"]), (me, "read"))
        equal(cli("keys", "--rotate")[0], 0)
        equal((last("rotate keys")["who"], last("rotate keys")["outcome"]), (me, "done"))

    @check("SIGHUP is on record")
    def _():
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: last("apply")["who"] == "SIGHUP" and last("apply")["outcome"] == "done", 10, "the line")

    receipts = []

    names = []

    @check("who looked at a customer's data is on record: an export, and why a price is theirs, over HTTP and on the command line")
    def _():
        equal(ask("GET", f"/v1/customers/{ANNA}", KEYS["till-7"])[0], 200)
        line = last("export")
        names.append(line.pop("whose"))
        equal(line, {"action": "export", "outcome": "done", "who": "till-7 over HTTP", "from": "127.0.0.1"})
        require(re.fullmatch("[0-9a-f]{16}", names[0]), names)
        equal(cli("export", ANNA)[0], 0)
        equal((last("export")["who"], last("export")["whose"]), (me, names[0]))
        equal(ask("GET", f"/v1/explain/milk?customer={ANNA}", KEYS["till-7"])[0], 200)
        equal(last("explain"), {"action": "explain", "outcome": "done", "who": "till-7 over HTTP", "from": "127.0.0.1", "whose": names[0]})
        status, out, err = run(BIN / "rialto", "explain", "--url", service.request_ipc, *where, "--cache", service.cache, ANNA, "milk", cwd=service.folder)
        equal(status, 0, err)
        contains(out, "gold")
        equal({k: v for k, v in last("explain").items() if k != "from"}, {"action": "explain", "outcome": "done", "who": me, "whose": names[0]})
        require(re.fullmatch(rf"local, uid {os.getuid()}, pid \d+", last("explain")["from"]), last("explain"))

    @check("why a price is anybody's tells nothing of a customer, and is not")
    def _():
        before = len(audit("--action", "explain"))
        equal(ask("GET", "/v1/explain/milk", KEYS["till-7"])[0], 200)
        equal(len(audit("--action", "explain")), before)

    @check("a customer who asks who looked is told, and others' looks are not among it")
    def _():
        service.accept(customer("bert-12", ["profile"], tier="gold"))
        equal(cli("export", "bert-12")[0], 0)
        lines = audit("--customer", ANNA)
        equal([(line["action"], line["who"]) for line in lines],
              [("export", "till-7 over HTTP"), ("export", me), ("explain", "till-7 over HTTP"), ("explain", me)])
        equal({line["whose"] for line in lines}, {names[0]})
        status, out, err = run(BIN / "rialto", "audit", *where, "--customer", "nobody-ever")
        equal((status, out), (1, ""), err)

    @check("nothing is read of whom nothing is kept: an attempt has no name; nor has one without the key")
    def _():
        equal(cli("export", "nobody-ever")[0], 1)
        equal({k: v for k, v in last("export").items() if k != "from"}, {"action": "export", "outcome": "unknown_customer", "who": me})
        equal(service.ask({"control": "terms", "customer": ANNA, "sku": "milk", "key": "0" * 32, "who": "mallory"})["reason"], "not_allowed")
        equal(last("explain"), {"action": "explain", "outcome": "not_allowed", "who": "mallory", "from": "127.0.0.1"})

    @check("a customer who is looked at again and again by the same one is a line a second that counts")
    def _():
        def count():
            return sum(1 + line.get("more", 0) for line in audit("--action", "export") if line["who"] == "till-7 over HTTP")
        before, lines, began = count(), len(audit("--action", "export")), time.monotonic()
        for _ in range(40):
            equal(ask("GET", f"/v1/customers/{ANNA}", KEYS["till-7"])[0], 200)
        wait_until(lambda: count() == before + 40, 5, "all of them are counted")
        require(len(audit("--action", "export")) - lines <= 3 + 2 * (time.monotonic() - began), audit("--action", "export"))

    @check("who erased a customer is on record, by the receipt's nonce and by no name")
    def _():
        status, answer = ask("DELETE", f"/v1/customers/{ANNA}", KEYS["till-7"])
        equal(status, 200, answer)
        receipts.append(answer["receipt"]["nonce"])
        equal(last("forget"), {"action": "forget", "outcome": "done", "who": "till-7 over HTTP", "from": "127.0.0.1", "receipt": receipts[0]})
        equal(cli("export", ANNA)[0], 1)
        equal(last("export")["outcome"], "unknown_customer")
        require("whose" not in last("export"), last("export"))

    @check("once they are forgotten nobody knows whose data were looked at; back again, they are somebody else")
    def _():
        equal(run(BIN / "rialto", "audit", *where, "--customer", ANNA)[0], 1)
        service.accept(customer(ANNA, ["profile"], tier="gold"))
        equal(cli("export", ANNA)[0], 0)
        require(last("export")["whose"] != names[0], names)
        equal([line["whose"] for line in audit("--customer", ANNA)], [last("export")["whose"]])

    def forgets():
        """By who and where from: how many forget signals are on record."""
        counts = {}
        for line in audit("--action", "forget"):
            if line["outcome"] == "signal taken":
                who = (line.get("who", ""), line["from"])
                counts[who] = counts.get(who, 0) + 1 + line.get("more", 0)
        return counts

    @check("a forget that somebody sends as a signal is on record with whose token, or where from; a flood of them is a line a second that counts")
    def _():
        equal(ask("POST", "/v1/signals", KEYS["till-7"], [{"type": "forget", "customer": ANNA}])[0], 200)
        equal(last("forget"), {"action": "forget", "outcome": "signal taken", "who": "till-7 over HTTP", "from": "127.0.0.1"})
        equal(run(BIN / "rialto", "audit", *where, "--customer", ANNA)[0], 1)
        lines, began = len(audit("--action", "forget")), time.monotonic()
        for at in range(0, 2000, 500):
            service.accept(*({"type": "forget", "customer": f"gone-{i}"} for i in range(at, at + 500)))
        with contextlib.closing(Pusher(service.push_ipc)) as pusher:
            pusher.push([{"type": "forget", "customer": f"gone-{i}"} for i in range(300)])
            wait_until(lambda: sum(forgets().values()) == 2301, 10, "all of them are counted")
        equal(forgets()["till-7 over HTTP", "127.0.0.1"], 1)
        require(len(audit("--action", "forget")) - lines <= 6 + 3 * (time.monotonic() - began), audit("--action", "forget"))

    @check("who wants what needs a token or the key, and has none, is on record; a flood is a line a second that counts")
    def _():
        before = len(audit("--action", "http"))
        began = time.monotonic()
        for _ in range(30):
            equal(ask("POST", "/v1/freeze", None, {"all": True})[0], 401)
        lines = audit("--action", "http")[before:]
        require(1 <= len(lines) <= 2 + time.monotonic() - began, lines)
        equal((lines[0]["outcome"], lines[0]["from"], lines[0]["what"]), ("unauthorized", "127.0.0.1", "POST /v1/freeze"))
        wait_until(lambda: ask("POST", "/v1/freeze", KEYS["till-7"], {"all": True})[0] == 403 and last("http")["outcome"] == "forbidden", 5, "the next line")
        require(sum(1 + line.get("more", 0) for line in audit("--action", "http")[before:]) >= 31, audit("--action", "http"))
        equal(service.ask({"control": "change", "key": "0" * 32, "who": "mallory", "what": "freeze", "mode": "frozen"})["reason"], "not_allowed")
        equal(last("freeze"), {"action": "freeze", "outcome": "not_allowed", "who": "mallory", "from": "127.0.0.1", "what": "freeze"})
        for control in ("diff", "budgets"):  # no deeds, but a door to try keys at
            def tried(control=control):
                equal(service.ask({"control": control, "key": "0" * 32, "who": "mallory"})["reason"], "not_allowed")
                return audit("--action", control)
            wait_until(tried, 5, control)  # refusals of the same second are counted with the first
            equal((last(control)["outcome"], last(control)["who"], last(control)["from"]), ("not_allowed", "mallory", "127.0.0.1"))
        count = len(audit("--action", "budgets"))
        equal(cli("budgets")[0], 0)
        equal(len(audit("--action", "budgets")), count)

    @check("another file of tokens is on record when it is first seen: who has which role")
    def _():
        equal(last("tokens")["what"], "admin alice, shop till-7")
        tokens(("admin", "bob"), ("shop", "till-7"))
        equal(ask("GET", "/v1/models", KEYS["alice"])[0], 401)
        equal((last("tokens")["what"], last("tokens")["from"]), ("admin bob, shop till-7", f"file of uid {os.getuid()}"))
        count = len(audit("--action", "tokens"))
        equal(ask("GET", "/v1/models", KEYS["bob"])[0], 200)
        equal(len(audit("--action", "tokens")), count)

    @check("no customer, no token, no key and no hash of them stands in it, and nobody else may read it")
    def _():
        text = "".join((service.data / name).read_text() for name in ("audit.ndjson", "access.ndjson"))
        key = (service.data / "key").read_text().strip()
        found = [what for what in (ANNA, key, *KEYS.values(), *(hashlib.sha256(k.encode()).hexdigest() for k in KEYS.values())) if what in text]
        equal(found, [])
        for name in ("audit.ndjson", "access.ndjson", "audit.names"):
            equal(oct((service.data / name).stat().st_mode & 0o777), "0o600")
        require(service.status()["metrics"]["audit_total"] >= 14, service.status()["metrics"]["audit_total"])
        equal(service.status()["metrics"]["audit_failed_total"], 0)

    @check("rialto audit tells people the same, the last ones only, and needs no service")
    def _():
        service.stop()
        status, out, err = run(BIN / "rialto", "audit", *where, "--count", "3")
        equal((status, len(out.splitlines())), (0, 3), err)
        status, out, _ = run(BIN / "rialto", "audit", *where, "--who", "till-7 over HTTP", "--action", "forget")
        contains(out, f"receipt {receipts[0]}")
        equal(run(BIN / "rialto", "audit", "--set", "data_dir=/nonexistent")[0], 3)

finish()
