#!/usr/bin/env python3
"""Price locks and quote records: a price that was just quoted is promised, kept whatever dies, signed, and checked offline by librialto-verify."""
import base64
import hashlib
import secrets
import shlex
import urllib.error
import urllib.request
from rialto_test import *

KINDS = ["location", "behaviour", "purchases", "profile", "partner"]


class Lock(ctypes.Structure):  # struct rialto_lock
    _fields_ = [("key", ctypes.c_char * 20), ("customer", ctypes.c_char * 64), ("sku", ctypes.c_char * 64), ("zone", ctypes.c_char * 64),
                ("amount", ctypes.c_int64), ("currency", ctypes.c_char * 4), ("from_s", ctypes.c_int64), ("until_s", ctypes.c_int64), ("nonce", ctypes.c_char * 40)]


class Expected(ctypes.Structure):  # struct rialto_lock_expected
    _fields_ = [("customer", ctypes.c_char_p), ("sku", ctypes.c_char_p), ("amount", ctypes.c_int64), ("currency", ctypes.c_char_p), ("now_s", ctypes.c_int64)]


verifier = ctypes.CDLL(str((LIB if VARIANT in ("release", "clang") else ROOT / "build/release/lib") / "librialto-verify.so"))
verifier.rialto_verdict_name.restype = ctypes.c_char_p


def verdict(keys, token, customer="anna", sku="milk", amount=1000, currency="EUR", now_s=None, zone=None):
    lock = Lock()
    expected = Expected(customer.encode(), sku.encode(), amount, currency.encode(), now_s)
    found = verifier.rialto_verify_zone(keys.encode(), token.encode(), ctypes.byref(expected), zone.encode() if zone is not None else None, ctypes.byref(lock))
    return verifier.rialto_verdict_name(found).decode()


def metric(service, name):
    return service.status()["metrics"][name]


def payload(signed):
    body = signed.split(".")[2]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


SHOP, TOKENS = secrets.token_urlsafe(32), temporary_folder() / "tokens"
TOKENS.write_text(f"shop till {hashlib.sha256(SHOP.encode()).hexdigest()}\n")
TOKENS.chmod(0o600)

with Service(models={"shop.json": simple_model()}, lock_grace_s=2, lock_max_s=86400, http_listen=f"127.0.0.1:{(PORT := free_port())}", http_tokens_file=TOKENS) as service:
    OWN = ("--set", f"data_dir={service.data}")

    def now_ms():
        return service.ask({"control": "ping"})["service_time_ms"]

    def lock(customer="anna", sku="milk", amount=1000, hold_s=600, **more):
        return service.ask({"control": "lock", "customer": customer, "sku": sku, "amount": amount, "until": (now_ms() // 1000 + hold_s) * 1000, **more})

    def promised(*a, **k):
        answer = lock(*a, **k)
        require(answer.get("ok"), answer)
        return answer

    def http(method, path, body=None, token=SHOP):
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", method=method, data=json.dumps(body).encode() if body is not None else None,
                                         headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})})
        try:
            with urllib.request.urlopen(request, timeout=20 * SLOW) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    service.accept(product("milk", 1000), product("tea", 500), product("bread", 300), product("salt", 77), customer("anna", ["profile"]))
    KEYS = service.cli("keys")[1]

    @check("the price that was quoted is promised; who has only public keys can check it, and each thing that is wrong has its name")
    def _():
        answer = promised()
        equal((answer["durable"], answer["lock"]["amount"], answer["lock"]["zone"], answer["lock"]["customer"]), ("redis", 1000, "", "anna"))
        equal(payload(answer["signed"]), answer["lock"])
        token, at = answer["signed"], answer["lock"]["from"]
        equal(verdict(KEYS, token, now_s=at), "VALID")
        equal(verdict(KEYS, token, now_s=answer["lock"]["until"] - 1), "VALID")
        for wanted, wrong in {"WRONG_CUSTOMER": {"customer": "ben"}, "WRONG_PRODUCT": {"sku": "tea"}, "WRONG_AMOUNT": {"amount": 999},
                              "WRONG_CURRENCY": {"currency": "GBP"}, "EXPIRED": {"now_s": answer["lock"]["until"]}, "NOT_YET": {"now_s": at - 1}}.items():
            equal(verdict(KEYS, token, **{"now_s": at, **wrong}), wanted)
        named = promised("zoe", zone="de/south", basis="store")["signed"]
        equal((payload(named)["zone"], [verdict(KEYS, named, "zoe", now_s=payload(named)["from"], zone=zone) for zone in ("de/south", None, "de", "")]),
              ("de/south", ["VALID", "VALID", "WRONG_ZONE", "WRONG_ZONE"]))
        equal([verdict(KEYS, token, now_s=at, zone=zone) for zone in ("", "de/south")], ["VALID", "WRONG_ZONE"])
        equal(verdict("0123456789abcdef " + "0" * 64, token, now_s=at), "UNKNOWN_KEY")
        forged = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
        equal(verdict(KEYS, forged, now_s=at), "BAD_SIGNATURE")

    @check("docs/locks.md: its commands do as printed, and its C builds and takes the lock that they gave")
    def _():
        shell, c = re.findall(r"^```c?\n(.*?)^```", (ROOT / "docs/locks.md").read_text(), re.M | re.S)
        quote, promise, curl = [shlex.split(line, comments=True) for line in shell.splitlines()]
        service.accept(product("milk-1l", 109))
        for command, wanted in ((quote, shell.split("#")[1].split("\n")[0].strip()), (promise, "rialto1.")):
            equal(command.pop(0), "rialto")
            status, out, err = service.cli(command[0], *command[1:])
            equal(status, 0, err)
            contains(out, wanted)
        asked = json.loads(curl[curl.index("-d") + 1]) | {"until": (now_ms() // 1000 + 60) * 1000}
        status, body = http("POST", re.sub(r"^http://[^/]*", "", curl[-1]), asked)
        equal((status, sorted(body)), (200, ["durable", "lock", "signed"]))
        include = "".join(f"#include <{name}.h>\n" for name in ("rialto/verify", "stdio", "time"))
        (service.folder / "shop.c").write_text(f"{include}int main(int argc, char *argv[])\n{{\nconst char *keys = argv[1], *token = argv[argc - 1];\n{c}return (int)verdict;\n}}\n")
        library = Path(verifier._name).parent
        subprocess.run(["gcc", "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{ROOT}/include", "-o", service.folder / "shop", service.folder / "shop.c",
                        f"-L{library}", "-lrialto-verify"], check=True, timeout=60)
        for token, wanted in ((out.split()[-1], (0, "")), (body["signed"], (0, "")), (promised("ben", "milk-1l", 109)["signed"], (6, "WRONG_CUSTOMER\n"))):
            shop = subprocess.run([service.folder / "shop", KEYS, token], capture_output=True, text=True, timeout=20, check=False, env={"LD_LIBRARY_PATH": str(library)})
            equal((shop.returncode, shop.stdout), wanted)

    @check("while it lives the customer's quote does not rise above it, and falls with the price; others pay the price")
    def _():
        service.accept(product("milk", 1400))
        equal((service.amount("milk", customer="anna"), service.amount("milk", customer="ben"), service.amount("milk")), (1000, 1400, 1400))
        contains(service.quote("milk", customer="anna")["flags"], "LOCK")
        service.accept(product("milk", 800))
        equal(service.amount("milk", customer="anna"), 800)
        service.accept(product("milk", 1400))

    @check("what was never this customer's quote is not promised: another amount, another's price, one that is too long ago, a lock that would be dearer")
    def _():
        for refused in (lock("ben", amount=1399), lock("ben", amount=1), lock(amount=1400)):
            equal((refused["ok"], refused["reason"], refused["pointer"]), (False, "not_quoted", "/amount"))
        promised("ben", amount=1400)
        service.accept(product("bread", 320))
        promised("carl", "bread", 300)  # it was, a moment ago
        service.accept(product("bread", 330))
        time.sleep(2.5)
        equal([lock("dora", "bread", a).get("reason") for a in (300, 320)], ["not_quoted", "not_quoted"])
        promised("dora", "bread", 330)

    @check("a personal price is promised to whom it was quoted; consent and terms of a moment ago count, unless they were taken back")
    def _():
        service.accept(customer("gold", ["profile"], tier="gold"))
        equal(service.amount("tea", customer="gold"), 450)
        equal(lock("ben", "tea", 450)["reason"], "not_quoted")
        service.accept({"type": "customer", "customer": "gold", "tier": ""})
        equal(service.amount("tea", customer="gold"), 500)
        promised("gold", "tea", 450)
        equal(service.amount("tea", customer="gold"), 450)
        service.accept(customer("back", ["profile"], tier="gold"), {"type": "customer", "customer": "back", "consent": {"profile": False}})
        equal((service.amount("tea", customer="back"), lock("back", "tea", 450)["reason"]), (500, "not_quoted"))

    @check("a lock survives the revocation of every consent with its amount alone, and not forget; its customer can see it")
    def _():
        service.accept({"type": "customer", "customer": "gold", "consent": {k: False for k in KINDS}})
        quote = service.quote("tea", customer="gold")
        equal((quote["amount"], quote["rests_on"]), (450, []))
        status, out, err = service.cli("export", *OWN, "gold")
        held = [d for d in json.loads(out)["data"] if d["name"] == "lock"]
        equal([(d["sku"], d["value"]) for d in held], [("tea", 450)])
        receipt = json.loads(service.cli("forget", "--json", "gold")[1])["receipt"]
        equal(receipt["removed"]["state"]["locks"], 1)
        equal(service.amount("tea", customer="gold"), 500)

    @check("the same request again is the same lock; another one never makes it dearer or shorter")
    def _():
        until = (now_ms() // 1000 + 500) * 1000
        one, two = (service.ask({"control": "lock", "customer": "eva", "sku": "tea", "amount": 500, "until": until, "id": "order-7"}) for _ in "12")
        require(one["ok"], one)
        equal((one["lock"], one["signed"]), (two["lock"], two["signed"]))
        other = promised("eva", "tea", 500, hold_s=10, id="order-8")
        require(other["lock"]["nonce"] != one["lock"]["nonce"], "two promises with one nonce")
        equal(other["lock"]["until"], one["lock"]["until"])
        said = service.ask([{"type": "offer", "customer": "eva", "sku": "tea", "kind": "lock", "amount": 600, "currency": "EUR"}, product("tea", 700)])
        equal([f["reason"] for f in said["findings"]], ["superseded"])
        equal(service.amount("tea", customer="eva"), 500)
        service.accept(product("tea", 500))

    @check("what is wrong with a request is said with its place")
    def _():
        for member, bad, reason in (("amount", 0, "out_of_range"), ("amount", "x", "wrong_type"), ("customer", "a@b.com", "looks_personal"),
                                    ("until", 5, "out_of_range"), ("basis", "moon", "out_of_range"), ("currency", "XXQ", "bad_currency"),
                                    ("sku", "none-such", "unknown_product"), ("colour", "red", "unknown_field")):
            body = {"customer": "anna", "sku": "milk", "amount": 1400, "until": (now_ms() // 1000 + 60) * 1000, member: bad}
            equal(service.ask({"control": "lock", **body}).get("reason"), reason, member)
            equal(http("POST", "/v1/locks", body)[0], 404 if reason == "unknown_product" else 400, member)
        equal(lock(amount=800, hold_s=90000).get("reason"), "out_of_range")

    @check("over HTTP too: 200 with the lock, 409 for what was not quoted, and a record of any quote by record=1")
    def _():
        until = (now_ms() // 1000 + 60) * 1000
        status, body = http("POST", "/v1/locks", {"customer": "hans", "sku": "salt", "amount": 77, "until": until})
        equal((status, body["durable"], body["lock"]["amount"]), (200, "redis", 77))
        equal(verdict(KEYS, body["signed"], "hans", "salt", 77, now_s=body["lock"]["from"]), "VALID")
        status, body = http("POST", "/v1/locks", {"customer": "hans", "sku": "salt", "amount": 78, "until": until})
        equal((status, body["type"]), (409, "/problems/not-quoted"))
        equal(http("POST", "/v1/locks", {"customer": "hans", "sku": "salt", "amount": 77, "until": until}, token=None)[0], 401)
        status, body = http("GET", "/v1/quotes/salt?customer=hans&record=1", token=None)
        equal((status, body["record"]["amount"], body["record"]["kind"], payload(body["signed"])), (200, 77, "quote", body["record"]))
        equal(http("GET", "/v1/quotes/none-such?record=1")[0], 404)

    @check("a quote's record carries what it rests on, and explain reads it after checking its signature; an altered one is refused")
    def _():
        service.accept(customer("rita", ["profile"], tier="gold"))
        status, out, err = service.cli("quote", "--record", "rita", "tea")
        equal(status, 0, err)
        record, signed = payload(out.strip().split("\n")[-1]), out.strip().split("\n")[-1]
        for member, wanted in {"amount": 450, "baseline": 500, "list": 500, "direction": "lower", "rests_on": ["profile"], "data_used": ["profile"], "customer": "rita", "sku": "tea",
                               "multiplier": 0.9, "currency": "EUR"}.items():
            equal(record[member], wanted, member)
        require(record["model"] and record["version"] and len(record["model_hash"]) == 16 and abs(record["at_ms"] - now_ms()) < 60000, record)
        file, keys = service.folder / "record.txt", service.folder / "keys.txt"
        file.write_text(out)
        keys.write_text(KEYS)
        for more in ((), ("--keys", str(keys))):
            status, said, err = service.cli("explain", "--record", str(file), *more)
            equal(status, 0, err)
            for word in ("4.50 EUR", "5.00 EUR", "profile", "0.9000", record["model_hash"], "rita"):
                contains(said, word)
        at = out.index("rialto1.") + 40
        file.write_text(out[:at] + ("A" if out[at] != "A" else "B") + out[at + 1:])
        status, said, err = service.cli("explain", "--record", str(file))
        equal((status, said), (1, ""))
        contains(err, "BAD_SIGNATURE")
        file.write_text(promised("rita", "tea", 450)["signed"])
        contains(service.cli("explain", "--record", str(file))[2], "OTHER_KIND")

    @check("the command line asks for a lock, and says why there is none")
    def _():
        status, out, err = service.cli("lock", "--amount", "77", "--for", "60", "--json", "kim", "salt")
        equal((status, json.loads(out)["lock"]["amount"]) if status == 0 else err, (0, 77))
        status, out, err = service.cli("lock", "--amount", "70", "--for", "60", "kim", "salt")
        equal(status, 1)
        contains(err, "/amount")
        equal(service.cli("lock", "--amount", "70", "kim", "salt")[0], 2)

    @check("a worker that is killed between promise and answer: the same request again gives the same lock, and it holds")
    def _():
        service.accept(product("salt", 80))
        for round in range(4):
            who, until = f"kill-{round}", (now_ms() // 1000 + 300) * 1000
            body = {"control": "lock", "customer": who, "sku": "salt", "amount": 80, "until": until, "id": f"k{round}"}
            first = []

            def ask():
                with contextlib.suppress(Exception):
                    first.append(service.ask(body))
            asker = threading.Thread(target=ask)
            asker.start()
            time.sleep(0.0015 * round)
            for pid in [p for name, p in service.children().items() if name.startswith("worker")]:
                os.kill(pid, signal.SIGKILL)
            asker.join()

            def again():
                answer = service.ask(body)
                return answer if answer.get("ok") else None
            second = wait_until(again, 15, "the lock after the death of its worker")
            third = again()
            equal((third["lock"], third["signed"]), (second["lock"], second["signed"]))
            if first and first[0].get("ok"):
                equal(first[0]["lock"], second["lock"])

    @check("they come back: out of the state after a restart, and out of Redis when the state is gone")
    def _():
        service.accept(product("salt", 99))
        service.wait_durable()
        service.restart()
        equal((service.amount("salt", customer="kill-1"), service.amount("salt", customer="nobody")), (80, 99))
        service.stop()
        shutil.rmtree(service.data / "state")
        service.start()
        equal((service.amount("salt", customer="kill-1"), service.amount("milk", customer="anna")), (80, 1000))

    @check("those that are over leave by themselves, line and record")
    def _():
        promised("short", "salt", 99, hold_s=2)
        service.accept(product("salt", 120))
        equal(service.amount("salt", customer="short"), 99)
        wait_until(lambda: service.amount("salt", customer="short") == 120, 6, "the end of the lock")
        equal(service.cli("export", *OWN, "short")[0], 1)

    @check("of thousands that end in one moment none is quoted any longer, with a worker that does nothing at all; they leave in many ticks, and signals go on")
    def _():
        service.accept(product("oats", 900))
        until = (now_ms() // 1000 + 4 + 2 * SLOW) * 1000
        for at in range(0, 4000, 2000):
            service.accept(*[{"type": "offer", "customer": f"m{i}", "sku": "oats", "kind": "lock", "amount": 500, "currency": "EUR", "until": until} for i in range(at, at + 2000)])
        some = [f"m{i}" for i in range(0, 4000, 400)]
        equal({service.amount("oats", customer=who) for who in some}, {500})
        workers = [pid for name, pid in service.children().items() if name.startswith("worker")]
        time.sleep(max(0, (until - now_ms() - 500) / 1000))
        require(now_ms() < until, "giving them took too long")
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: now_ms() > until, 5, "their end")
            equal({service.amount("oats", customer=who) for who in some}, {900})
            require(metric(service, "locks") >= 4000, "they are not over by themselves here")
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
        service.accept(product("oats", 910))
        equal({service.amount("oats", customer=who) for who in some}, {910})
        wait_until(lambda: metric(service, "locks") < 100, 20, "all of them gone")
        require(metric(service, "offers_waited_total") > 0, "all in one tick")

with Service(models={"shop.json": simple_model(scope={"categories": ["*"], "currencies": ["EUR", "USD"]})}, locks_max=64, offers_max=16384,
             customers_max=16384) as service:
    @check("what is owed in one currency is not relabelled by an offer or a lock in another; nor is an offer of money by a lock")
    def _():
        def told(**offer):
            return [f["reason"] for f in service.ask({"type": "offer", "sku": "wine", **offer})["findings"]]

        def asked(amount, zone, until):
            return service.ask({"control": "lock", "customer": "fay", "sku": "wine", "zone": zone, "amount": amount, "until": until})

        later = (int(time.time()) + 3600) * 1000
        service.accept(product("wine", 1400), product("wine", 1500, "USD", zone="us"), customer("fay", ["profile"]), customer("gus", ["profile"]))
        require(asked(1400, "", later)["ok"], "the lock that the rest is about")
        service.accept(product("wine", 2000), product("wine", 2000, "USD", zone="us"))
        for kind in ("fixed", "amount_off", "lock"):
            equal((kind, told(customer="fay", kind=kind, amount=100, currency="USD", until=later)), (kind, ["other_currency"]))
        refused = asked(2000, "us", later)
        equal((refused["ok"], refused["reason"]), (False, "other_currency"))
        equal(told(customer="fay", kind="percent", percent=5, currency="USD", until=later), [])
        equal((service.amount("wine", customer="fay"), service.amount("wine", zone="us", customer="fay")), (1400, 1900))
        contains(service.quote("wine", customer="fay")["flags"], "LOCK")
        equal(told(customer="fay", kind="fixed", amount=1300, currency="EUR", until=later), [])
        equal((service.amount("wine", customer="fay"), service.amount("wine", zone="us", customer="fay")), (1300, 2000))
        equal(told(customer="gus", kind="fixed", amount=1200, currency="EUR", until=later), [])
        equal(told(customer="gus", kind="lock", amount=100, currency="USD", until=later), ["other_currency"])
        equal((service.amount("wine", customer="gus"), service.amount("wine", zone="us", customer="gus")), (1200, 2000))
        equal(told(customer="gus", kind="fixed", amount=1100, currency="USD", until=later), [])  # nothing is owed: the newer one counts
        equal((service.amount("wine", customer="gus"), service.amount("wine", zone="us", customer="gus")), (2000, 1100))
        service.accept({"type": "forget", "customer": "fay"})  # and the lock

    @check("locks_max is the end of them, is said and counted; what is there still holds")
    def _():
        service.accept(product("milk", 100))
        # Each partition has its share, and some room more: many more than locks_max are needed to be sure of a refusal.
        rows = [{"type": "offer", "customer": f"c{i}", "sku": "milk", "kind": "lock", "amount": 50, "currency": "EUR", "until": int(time.time() * 1000) + 3600000} for i in range(9000)]
        said = [service.ask(rows[i:i + 3000]) for i in range(0, 9000, 3000)]
        full = sum(s["rejected"] for s in said)
        require(full > 0 and all(f["reason"] == "locks_full" for s in said for f in s["findings"]), [s["findings"][:2] for s in said])
        equal(metric(service, "locks_full_total"), full)
        wait_until(lambda: metric(service, "locks") == 9000 - full, 10, "the metric")
        equal(service.amount("milk", customer="c0"), 50)

finish()
