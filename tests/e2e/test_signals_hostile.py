#!/usr/bin/env python3
"""Bad input costs the sender an error, and the service nothing."""
import gzip
import random

from rialto_test import *

SEED = 20261122
dice = random.Random(SEED)
SECRETS = ["anna.geheim@example.com", "+49 170 1234567", "0170-1234567"]

with Service(message_signals_max=500, cache_on_stop="keep") as service:
    service.accept(product("milk", 1000), product("usd", 100, category="x"), customer("anna", ["profile"], tier="gold"))
    now = service.now_ms()
    DAY = 86400000

    def p(**changes):
        signal = product("p", 100)
        signal.update(changes)
        return {k: v for k, v in signal.items() if v is not ...}

    def d(**more):
        return demand("milk", **more)

    def c(**more):
        return {"type": "customer", "customer": "ben", **more}

    def o(kind, **more):
        return {"type": "offer", "customer": "anna", "sku": "milk", "kind": kind, **more}

    # what is sent, reason, pointer
    CASES = [
        # not JSON at all
        (b"", "not_json", ""), (b"hello", "not_json", ""), (b"{", "not_json", ""), (b'{"type":"product"', "not_json", ""),
        (b'{"type":"product",}', "not_json", ""), (b"{'type':'product'}", "not_json", ""),
        (b'{"type":"demand","sku":"milk","event":"view"} x', "not_json", ""), (b"\0\0\0\0", "not_json", ""),
        (b'{"type":"demand","sku":"milk","event":"view","quantity":01}', "not_json", ""),
        (b'{"type":"demand","sku":"milk","event":"view","quantity":1e999}', "not_json", "/quantity"),
        (b'{"type":"demand","sku":"milk","event":"view","quantity":NaN}', "not_json", ""),
        (b'{"type":"demand","sku":"mi\\u0000lk","event":"view"}', "not_json", ""),
        (b'{"type":"demand","sku":"mi\nlk","event":"view"}', "not_json", ""),
        (b'{"type":"demand","sku":"milk","sku":"milk","event":"view"}', "not_json", "/sku"),
        (b"\xef\xbb\xbf" + encode(d()), "not_json", ""),
        (b'{"type":"demand","sku":"mi\xfflk","event":"view"}', "not_utf8", ""),
        (b'{"type":"demand","sku":"mi\xc0\xafk","event":"view"}', "not_utf8", ""),
        (b'{"type":"demand","sku":"\xed\xa0\x80","event":"view"}', "not_utf8", ""),
        (b"[" * 100000, "not_json", ""), (b'{"a":' * 50000, "not_json", ""), (b"[" * 33 + b"]" * 33, "not_json", ""),
        (gzip.compress(encode(d()) * 100), "not_utf8", ""),
        (dice.randbytes(5000), "not_utf8", ""),
        # not a signal
        ("null", "not_object", ""), ("17", "not_object", ""), ('"milk"', "not_object", ""), ("[[]]", "not_object", ""),
        ("{}", "missing_field", "/type"), ({"type": 5}, "wrong_type", "/type"), ({"type": "price"}, "unknown_type", "/type"),
        ({"Type": "demand"}, "missing_field", "/type"),
        # fields
        (p(colour="red"), "unknown_field", "/colour"), (p(**{"a/b~c": 1}), "unknown_field", "/a~1b~0c"),
        (d(temperature_c=5), "unknown_field", "/temperature_c"), (p(customer="anna"), "unknown_field", "/customer"),
        (p(list=...), "missing_field", "/list"), (p(sku=...), "missing_field", "/sku"), (p(currency=...), "missing_field", "/currency"),
        ({"type": "demand", "sku": "milk"}, "missing_field", "/event"), ({"type": "forget"}, "missing_field", "/customer"),
        ({"type": "weather", "zone": "de"}, "missing_field", "/temperature_c"),
        ({"type": "supply", "sku": "milk"}, "missing_field", "/available"),
        # types of value
        (p(sku=5), "wrong_type", "/sku"), (p(list="100"), "wrong_type", "/list"), (p(list=None), "wrong_type", "/list"),
        (p(list=[1]), "wrong_type", "/list"), (d(quantity="2"), "wrong_type", "/quantity"), (p(time="yesterday"), "wrong_type", "/time"),
        (p(time="2026-02-30T00:00:00Z"), "wrong_type", "/time"), (p(time=True), "wrong_type", "/time"),
        (c(consent=True), "wrong_type", "/consent"), (c(consent={"profile": 1}), "wrong_type", "/consent/profile"),
        (c(consent={"shoes": True}), "unknown_field", "/consent/shoes"), (c(segments="vip"), "wrong_type", "/segments"),
        (c(segments=["vip", 5]), "wrong_type", "/segments/1"), (o("percent", percent=10, stackable="yes"), "wrong_type", "/stackable"),
        ({"type": "location", "customer": "anna", "zone": "de", "lease_s": 1.5}, "wrong_type", "/lease_s"),
        # ranges
        (p(list=0), "out_of_range", "/list"), (p(list=-1), "out_of_range", "/list"), (p(list=1 << 48), "out_of_range", "/list"),
        (p(list=1e30), "out_of_range", "/list"), (p(cost=-1), "out_of_range", "/cost"), (p(promotion=1.5), "out_of_range", "/promotion"),
        (p(promotion=0), "out_of_range", "/promotion"), (d(quantity=0), "out_of_range", "/quantity"),
        (d(quantity=1e12), "out_of_range", "/quantity"), (d(quantity=-1), "out_of_range", "/quantity"),
        (demand("milk", "steal"), "out_of_range", "/event"), (p(unit="barrel"), "out_of_range", "/unit"),
        ({"type": "supply", "sku": "milk", "available": -1}, "out_of_range", "/available"),
        ({"type": "weather", "zone": "de", "temperature_c": 900}, "out_of_range", "/temperature_c"),
        ({"type": "zone", "zone": "de", "lat": 91, "lon": 0}, "out_of_range", "/lat"),
        ({"type": "location", "customer": "anna", "zone": "de", "lease_s": 0}, "out_of_range", "/lease_s"),
        (o("percent", percent=200), "out_of_range", "/percent"),
        # money
        (p(list=19.99), "not_minor_units", "/list"), (d(amount=1.5, currency="EUR"), "not_minor_units", "/amount"),
        (p(currency="XXQ"), "bad_currency", "/currency"), (p(currency="eur"), "bad_currency", "/currency"),
        (p(currency="EURO"), "bad_currency", "/currency"), (d(amount=5), "missing_field", "/currency"),
        # texts
        (p(sku="x" * 64), "too_long", "/sku"), (p(sku=""), "bad_text", "/sku"), (p(sku="a\u0007b"), "bad_text", "/sku"),
        (p(title="t" * 96), "too_long", "/title"), (c(tier="t" * 32), "too_long", "/tier"), (c(segments=["s"] * 9), "too_long", "/segments"),
        (p(zone="a//b"), "bad_zone", "/zone"), (p(zone="/a"), "bad_zone", "/zone"), (p(zone="a b"), "bad_zone", "/zone"),
        (p(zone="gh:ail"), "bad_zone", "/zone"), (p(zone="z" * 64), "too_long", "/zone"),
        # time
        (p(time=now - 8 * DAY), "too_old", "/time"), (p(time=now + 3600000), "from_future", "/time"),
        (p(time="1999-12-31T23:59:59Z"), "too_old", "/time"),
        # ids that are people
        *((c(customer=secret), "looks_personal", "/customer") for secret in SECRETS),
        # together
        (o("percent"), "missing_field", "/percent"), (o("fixed", currency="EUR"), "missing_field", "/amount"),
        (o("fixed", amount=5), "missing_field", "/currency"),
        (o("percent", percent=5, **{"from": now + 5000, "until": now + 4000}), "contradiction", "/until"),
        ({"type": "location", "customer": "anna", "lat": 50}, "missing_field", "/lon"),
        ({"type": "location", "customer": "anna", "zone": "de", "left": True}, "contradiction", "/left"),
        ({"type": "zone", "zone": "de", "parent": "de"}, "contradiction", "/parent"), (p(until=now + 5000), "missing_field", "/promotion"),
        # what only a worker can know
        (demand("unicorn"), "unknown_product", None), ({"type": "supply", "sku": "unicorn", "available": 1}, "unknown_product", None),
        (d(amount=5, currency="USD"), "other_currency", None), (product("milk", 5, currency="USD"), "other_currency", None),
        (p(sku="new", category=...), "no_category", None), (p(sku="new", currency="USD"), "no_model", None),
    ]

    @check(f"{len(CASES)} bad signals: each is answered, with its reason and the place")
    def _():
        wrong = []
        for sent, reason, pointer in CASES:
            answer = service.ask(sent)
            finding = (answer.get("findings") or [{}])[0]
            if finding.get("reason") != reason or (pointer is not None and finding.get("pointer", "") != pointer):
                wrong.append(f"{encode(sent)[:80]}: {finding.get('reason')} {finding.get('pointer')!r}, wanted {reason} {pointer!r}")
            elif not finding.get("text"):
                wrong.append(f"{encode(sent)[:80]}: no text for people")
        require(not wrong, " | ".join(wrong))

    before = service.children()

    @check("a bad line or element costs only itself, and is named by its place in the message")
    def _():
        lines = [encode(d()), b"{broken", encode(d(quantity=0)), encode(d())]
        answer = service.ask(b"\n".join(lines))
        equal((answer["accepted"], answer["rejected"], [(f["index"], f["reason"]) for f in answer["findings"]]),
              (2, 2, [(1, "not_json"), (2, "out_of_range")]))
        answer = service.ask([d(), demand("unicorn"), {"type": "?"}, d()])
        equal((answer["accepted"], answer["rejected"], sorted((f["index"], f["reason"]) for f in answer["findings"])),
              (2, 2, [(1, "unknown_product"), (2, "unknown_type")]))

    @check("more signals than a message may hold: the rest is refused as too many")
    def _():
        answer = service.ask([d()] * 600)
        equal((answer["accepted"], answer["rejected"], {f["reason"] for f in answer["findings"]}), (500, 100, {"too_many"}))

    @check("a hundred thousand bad signals in one go are counted, not listed without end")
    def _():
        answer = service.ask(b"x\n" * 100000)
        equal((answer["accepted"], answer["rejected"]), (0, 100000))
        equal([(f["index"], f["reason"]) for f in answer["findings"]], [(i, "not_json") for i in range(500)] + [(500, "too_many")])
        equal(answer["more_findings"], 100000 - 501)

    @check("each rejected signal of a large message is named, whatever else there is to say; the good ones are taken")
    def _():
        service.accept(d(source="till", id="seen"))
        kinds = {"seen": d(source="till", id="seen"), "good": d(), "": d(quantity=0), "/sku": demand("unicorn"), "/colour": d(colour="red")}
        sent = [dice.choice([*kinds] + ["seen"] * 3) for _ in range(500)]
        answer = service.ask([kinds[kind] for kind in sent])
        wanted = {i: {"": ("/quantity", "out_of_range"), "/sku": ("/sku", "unknown_product"), "/colour": ("/colour", "unknown_field")}[kind]
                  for i, kind in enumerate(sent) if kind not in ("seen", "good")}
        require(len(wanted) > 120 and sent.count("seen") > 120, "the dice")
        told = {f["index"]: (f["pointer"], f["reason"]) for f in answer["findings"] if f["reason"] != "duplicate"}
        equal(told, wanted)
        equal((answer["rejected"], answer["accepted"]), (len(wanted), 500 - len(wanted)))
        equal(len(answer["findings"]) + answer["more_findings"], len(wanted) + sent.count("seen"))

    @check("a message of nothing but faults with long names of fields: its answer is bounded, and counts what it does not name")
    def _():
        answer = service.requester().ask_bytes(b"\n".join(encode(d(**{'"' * 140 + str(i): 1})) for i in range(500)))
        require(len(answer) < 500 * 320 + 2000, f"{len(answer)} bytes")
        answer = json.loads(answer)
        equal((answer["rejected"], len(answer["findings"]) + answer["more_findings"]), (500, 500))

    @check("an unknown control, and controls with bad fields, are refused with the place")
    def _():
        for sent, reason, pointer in (({"control": "reboot"}, "out_of_range", "/control"), ({"control": 5}, "out_of_range", "/control"),
                                      ({"control": "tick"}, "missing_field", "/time"), ({"control": "tick", "time": "x"}, "wrong_type", "/time"),
                                      ({"control": "watch", "customer": "anna"}, "missing_field", "/skus"),
                                      ({"control": "watch", "customer": "a@b.de", "skus": ["milk"]}, "looks_personal", "/customer"),
                                      ({"control": "watch", "customer": "anna", "skus": ["milk", 5]}, "wrong_type", "/skus/1")):
            answer = service.ask(sent)
            equal(answer.get("ok"), False, str(sent))
            text = json.dumps(answer)
            contains(text, reason, str(sent))
            contains(text, pointer, str(sent))

    rejected_before_push = service.status()["metrics"]["signals_rejected_total"]

    @check("bad signals by PUSH are counted as rejected in rialto status --json")
    def _():
        for url in (service.push_tcp, service.push_ipc):
            with Pusher(url) as pusher:
                for sent in (b"hello", b'{"type":"price"}', dice.randbytes(2000), encode(d(quantity=0))):
                    pusher.send(sent)
        wait_until(lambda: service.status()["metrics"]["signals_rejected_total"] >= rejected_before_push + 8, 5, "8 more rejections")

    @check("every rejection so far was counted")
    def _():
        metrics = service.status()["metrics"]
        wanted = len(CASES) + 2 + 2 + 100 + 100000 + 8
        require(metrics["signals_rejected_total"] >= wanted, f"{metrics['signals_rejected_total']} of {wanted}")
        require(metrics["signals_received_total"] >= metrics["signals_rejected_total"], "received less than rejected")

    ENDPOINTS = (service.request_tcp, service.request_ipc, service.push_tcp, service.push_ipc)

    def still_there(what):
        """Each endpoint takes a good signal that then holds. What is pushed may be lost with its connection: push again."""
        for url in ENDPOINTS:
            signal = product("alive", dice.randrange(1000, 9000))

            def arrives():
                try:
                    if url in (service.request_tcp, service.request_ipc):
                        with Requester(url, 5 * SLOW) as requester:
                            return requester.ask(signal)["accepted"] == 1
                    with Pusher(url, 5 * SLOW) as pusher:
                        pusher.push(signal)
                        wait_until(lambda: service.amount("alive") == signal["list"], 1)
                        return True
                except (OSError, Closed, Failed):
                    return False
            wait_until(arrives, 15, f"{what}: a signal by {url}")
            equal(service.amount("alive"), signal["list"], f"{what}: {url}")

    def raw(url, *pieces, linger=0.0, read=False):
        """Bytes as they are to an endpoint; what came back."""
        with contextlib.closing(socket_to(url)) as connection:
            got = b""
            with contextlib.suppress(OSError):
                for piece in pieces:
                    connection.sendall(piece)
                if read:
                    connection.settimeout(2)
                    got = connection.recv(4096)
            time.sleep(linger)
            return got

    def frame(url, body, length=None):
        return (b"\x01" if url.startswith("ipc") else b"") + struct.pack(">Q", len(body) if length is None else length) + body

    @check("a message of 10 MB is not taken, and the next one is")
    def _():
        for url in ENDPOINTS:
            me = REQ if "request" in url or url == service.request_tcp else PUSH
            with contextlib.suppress(Closed), Sp(url, me, REP if me == REQ else PULL) as sp:
                sp.send(b"\x80\0\0\1" + b'["' + b"x" * (10 << 20) + b'"]')
                if me == REQ:
                    sp.receive(2)
                    raise Failed("it was answered")
        still_there("after 10 MB")

    @check("a frame that announces 2^62 bytes, and other impossible lengths")
    def _():
        for url in ENDPOINTS:
            me = REQ if url in (service.request_tcp, service.request_ipc) else PUSH
            for length in (1 << 62, (1 << 64) - 1, (1 << 64) - 32, 1 << 63, 1 << 32):
                raw(url, handshake(me), frame(url, b"abc", length))
        still_there("after 2^62")

    @check("frames that break off, in the handshake, in the length, in the body")
    def _():
        for url in ENDPOINTS:
            me = REQ if url in (service.request_tcp, service.request_ipc) else PUSH
            whole = handshake(me) + frame(url, b"\x80\0\0\1" + encode(p()))
            for cut in (1, 4, 7, 8, 9, 12, 16, 20, len(whole) - 1):
                raw(url, whole[:cut])
        still_there("after broken frames")

    @check("the wrong protocol: HTTP, TLS, another SP protocol, noise")
    def _():
        for url in ENDPOINTS:
            for greeting in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", handshake(0x21),
                             handshake(0x10), b"\0SP\1\0\x30\0\0", b"\0SP\0\0\x30\xff\xff", dice.randbytes(64), b"\0" * 64):
                raw(url, greeting, b"more" * 100, read=True)
        still_there("after the wrong protocol")

    @check("requests without a request id, with one of one byte, with a deep trace")
    def _():
        for url in (service.request_tcp, service.request_ipc):
            for body in (b"", b"\x80", b"\0\0\0\1{}", b"\0\0\0\1" * 200 + b"\x80\0\0\1{}", b"\x80\0\0\1"):
                raw(url, handshake(REQ), frame(url, body), linger=0.01)
        still_there("after odd requests")

    @check("200 connections to each endpoint that close at once")
    def _():
        for url in ENDPOINTS:
            for _ in range(200):
                with contextlib.suppress(OSError):
                    socket_to(url, 2).close()
        still_there("after connect and close")

    @check("50 connections to each endpoint that say nothing, while others are served")
    def _():
        idle = []
        try:
            for url in ENDPOINTS:
                for i in range(50):
                    with contextlib.suppress(OSError):
                        connection = socket_to(url, 2)
                        connection.sendall(handshake(REQ)[:i % 9])
                        idle.append(connection)
            still_there("beside silent connections")
        finally:
            for connection in idle:
                connection.close()

    @check("200 questions whose sender does not wait for the answer")
    def _():
        for i in range(200):
            with contextlib.suppress(Closed), Requester(dice.choice((service.request_tcp, service.request_ipc)), 5) as requester:
                requester.send(struct.pack(">I", 0x80000000 | i) + encode(d()))
        still_there("after unread answers")

    @check("random bytes in good frames, 2000 of them")
    def _():
        good = [encode(p()), encode(d(customer="anna")), encode(o("percent", percent=5)), encode(c(consent={"profile": True}))]
        with Requester(service.request_tcp) as requester:
            for _ in range(2000):
                text = bytearray(dice.choice(good))
                for _ in range(dice.randrange(1, 6)):
                    text[dice.randrange(len(text))] = dice.randrange(256)
                answer = json.loads(requester.ask_bytes(bytes(text)))
                require("accepted" in answer or "ok" in answer, f"{bytes(text)}: {answer}")
        still_there("after random bytes")

    @check("through all of that no process died, and the service calls itself healthy")
    def _():
        equal(service.children(), before)
        equal(service.status()["status"], "healthy")

    @check("good signals take effect as at first, and what was known is still known")
    def _():
        service.accept(product("milk", 1500))
        equal([service.amount("milk"), service.amount("milk", customer="anna")], [1500, 1350])

    @check("neither log nor state nor Redis holds what looked personal")
    def _():
        places = [service.log_path, *(f for folder in (service.data, service.cache) for f in folder.rglob("*") if f.is_file())]
        found = [f"{secret} in {path}" for path in places for secret in SECRETS if secret.encode() in path.read_bytes()]
        require(not found, "; ".join(found))
finish()
