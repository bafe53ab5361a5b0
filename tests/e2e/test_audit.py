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
        connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": f"Bearer {token}"} if token else {})
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

    @check("who exported and erased a customer is on record, by the receipt's nonce and by no name")
    def _():
        equal(ask("GET", f"/v1/customers/{ANNA}", KEYS["till-7"])[0], 200)
        equal(last("export"), {"action": "export", "outcome": "done", "who": "till-7 over HTTP", "from": "127.0.0.1"})
        equal(cli("export", ANNA)[0], 0)
        equal(last("export")["who"], me)
        status, answer = ask("DELETE", f"/v1/customers/{ANNA}", KEYS["till-7"])
        equal(status, 200, answer)
        receipts.append(answer["receipt"]["nonce"])
        equal(last("forget"), {"action": "forget", "outcome": "done", "who": "till-7 over HTTP", "from": "127.0.0.1", "receipt": receipts[0]})
        equal(cli("export", ANNA)[0], 1)
        equal(last("export")["outcome"], "unknown_customer")

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
        text = (service.data / "audit.ndjson").read_text()
        key = (service.data / "key").read_text().strip()
        found = [what for what in (ANNA, key, *KEYS.values(), *(hashlib.sha256(k.encode()).hexdigest() for k in KEYS.values())) if what in text]
        equal(found, [])
        equal(oct((service.data / "audit.ndjson").stat().st_mode & 0o777), "0o600")
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
