#!/usr/bin/env python3
"""Each producer has a share: who sends more is told so, or waits, and nobody else does; what takes data away always passes."""
import hashlib
import http.client
import secrets

from rialto_test import *

PORT = free_port()
RATE = 200
TOKENS = temporary_folder() / "tokens"
KEYS = {name: secrets.token_urlsafe(32) for name in ("loud", "quiet")}
TOKENS.write_text("".join(f"shop {name} {hashlib.sha256(key.encode()).hexdigest()}\n" for name, key in KEYS.items()))


def post(rows, token=None):
    """status, headers, body"""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)
    try:
        connection.request("POST", "/v1/signals", json.dumps(rows), {"Content-Type": "application/json", **({"Authorization": f"Bearer {KEYS[token]}"} if token else {})})
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()


def views(count):
    return [demand("milk", "view", session=secrets.token_hex(8)) for _ in range(count)]


def use_up(send):
    """Far more than a second's worth in one message, which is taken whole: what is owed afterwards takes three seconds."""
    send(views(4 * RATE))


with Service(http_listen=f"127.0.0.1:{PORT}", http_tokens_file=TOKENS, http_open_signals=1, producer_signals_per_s=RATE) as service:
    counted = lambda name: service.status()["metrics"][name]
    other = Requester(service.request_ipc)
    other.ask([product("milk", 100), customer("anna", ["profile"], tier="gold")])

    @check("a request past the producer's share is refused, says when to come again, and then is taken")
    def _():
        use_up(service.ask)
        answer = service.ask(views(1))
        equal((answer["ok"], answer["reason"]), (False, "rate_limited"))
        require(0 < answer["retry_after_ms"] <= 3100, answer)
        require(counted("requests_limited_total") == 1, "not counted")
        end = time.monotonic() + answer["retry_after_ms"] / 1000
        while time.monotonic() < end:
            time.sleep(0.02)
        service.accept(*views(1))

    @check("meanwhile others are taken: a process on the local socket, and a token over HTTP")
    def _():
        use_up(service.ask)
        equal(service.ask(views(1))["reason"], "rate_limited")
        equal(other.ask(views(1))["accepted"], 1)
        equal(post(views(1), "quiet")[0], 200)

    @check("what takes data away passes: a revoked consent, an opt-out and a forget, the rest of their message does not")
    def _():
        use_up(service.ask)
        answer = service.ask([demand("milk", "view", customer="anna"), {"type": "customer", "customer": "anna", "consent": {"profile": False}},
                              {"type": "customer", "customer": "ben", "consent": {"profile": True}}, {"type": "forget", "customer": "anna"},
                              {"type": "customer", "customer": "carl", "opt_out": True}])
        equal((answer["accepted"], answer["rejected"]), (3, 2), answer)
        equal([(f["index"], f["reason"]) for f in answer["findings"] if f["reason"] == "rate_limited"], [(0, "rate_limited"), (2, "rate_limited")])
        equal(service.ask({"control": "forget", "customer": "carl"})["ok"], True)
        equal(service.ask({"control": "ping"})["ok"], True)

    @check("over HTTP: 429 with Retry-After for that token; another token goes on, and whoever shows none is his address, as over TCP")
    def _():
        use_up(lambda rows: post(rows, "loud"))
        status, headers, body = post(views(1), "loud")
        equal((status, body["type"]), (429, "/problems/rate-limited"))
        equal((post(views(1), "quiet")[0], post(views(1))[0]), (200, 429))
        require(1 <= int(headers["Retry-After"]) <= 4, headers["Retry-After"])

    @check("pushes wait and none is lost: their endpoint's senders wait too, another endpoint's and requests do not")
    def _():
        start = counted("signals_accepted_total")
        with Pusher(service.push_tcp) as loud, Pusher(service.push_ipc) as local:
            began = time.monotonic()
            for _ in range(30):
                loud.push(views(RATE // 10))  # three seconds' worth, of which at most one is there at once
            local.push(views(3))
            wait_until(lambda: counted("pushes_limited_total") > 0, 10, "a push that has to wait")
            equal(other.ask(views(1))["accepted"], 1)
            wait_until(lambda: counted("signals_accepted_total") >= start + 3 * RATE + 4, 20, "all of them")
            took = time.monotonic() - began
            equal(counted("signals_accepted_total"), start + 3 * RATE + 4)
            require(took > 1.8, f"{3 * RATE} signals at {RATE} a second took {took:.2f} s")

    @check("the door by which HTTP comes in, and says for whom, is nobody else's")
    def _():
        equal(oct((service.data / "web.ipc").stat().st_mode & 0o777), "0o600")

    @check("what waits is taken at a clean stop")
    def _():
        start = counted("signals_accepted_total")
        with Pusher(service.push_tcp) as loud:
            loud.push(views(20 * RATE))
            for _ in range(3):
                loud.push([product("bread", 321)])
            wait_until(lambda: counted("pushes_limited_total") > 1, 10, "a push that has to wait")
            service.restart()
        equal(service.amount("bread"), 321)

finish()
