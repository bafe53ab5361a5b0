#!/usr/bin/env python3
"""The HTTP door: quotes as the library gives them, signals as the gateway answers them, errors as RFC 9457 says."""
import http.client

from rialto_test import *

PORT = free_port()


def http_ask(method, path, body=None, headers=None):
    """status, media type, parsed body (lines as a list), headers"""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)
    try:
        connection.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body).encode(), headers or {})
        answer = connection.getresponse()
        text, kind = answer.read(), answer.headers.get_content_type()
        if kind == "application/x-ndjson":
            data = [json.loads(line) for line in text.splitlines()]
        else:
            data = json.loads(text) if text and kind.endswith("json") else text.decode()
        return answer.status, kind, data, dict(answer.headers)
    finally:
        connection.close()


def problem(found, status, name):
    equal((found[0], found[1]), (status, "application/problem+json"))
    equal((found[2]["type"], found[2]["status"]), (f"/problems/{name}", status))
    equal(found[2]["request_id"], found[3]["X-Request-Id"])


def as_library(sku, **options):
    """What `rialto quote --json` prints as the quote."""
    return json.loads(service.cli("quote", *[f"--{k}={v}" for k, v in options.items() if k != "customer"], "--json", options.get("customer", "-"), sku)[1])["quote"]


JSON = {"Content-Type": "application/json"}

with Service(models={"shop.json": simple_model()}, http_listen=f"127.0.0.1:{PORT}", http_request_timeout_ms=1500, message_bytes_max=65536, answer_timeout_ms=1000,
             durable_timeout_ms=500) as service:
    @check("alive and ready, and nothing is degraded")
    def _():
        wait_until(lambda: socket.create_connection(("127.0.0.1", PORT), 1).close() is None, 10, "the HTTP door")
        equal(http_ask("GET", "/livez")[2]["alive"], True)
        wait_until(lambda: http_ask("GET", "/readyz")[2] == {"ready": True, "reasons": [], "degraded": []}, 10, "readiness")

    @check("rialto status is well with it: it is no worker")
    def _():
        equal(service.cli("status")[0], 0)

    @check("signals are answered as over NNG: what was taken, what was not and why")
    def _():
        found = http_ask("POST", "/v1/signals", [product("milk", 1000), product("tea", 500, zone="de/south"),
                                                 customer("anna", ["profile"], tier="gold"), {"type": "nonsense"}], JSON)
        equal(found[0], 200)
        equal((found[2]["accepted"], found[2]["rejected"], found[2]["durable"]), (3, 1, "redis"))
        equal([(f["index"], f["pointer"], f["reason"]) for f in found[2]["findings"]], [(3, "/type", "unknown_type")])
        lines = "\n".join(json.dumps(product(sku, 300)) for sku in ("a", "b")).encode()
        equal(http_ask("POST", "/v1/signals", lines, {"Content-Type": "application/x-ndjson"})[2]["accepted"], 2)

    @check("a quote is the one that the library gives, for everybody and for one")
    def _():
        for query, options in (("", {}), ("?customer=anna", {"customer": "anna"}), ("?zone=de/south/store:1", {"zone": "de/south/store:1"})):
            found = http_ask("GET", f"/v1/quotes/milk{query}")
            equal(found[0], 200)
            equal(found[2]["quote"], as_library("milk", **options), query)
        equal(http_ask("GET", "/v1/quotes/milk")[2]["quote"]["amount"], 1000)

    @check("a page answers each product in its order, with a status of its own")
    def _():
        found = http_ask("POST", "/v1/quotes", {"customer": "anna", "zone": "de/south", "basis": "store", "skus": ["tea", "milk", "none", "x" * 64]}, JSON)
        equal([(item["sku"], item["status"]) for item in found[2]["quotes"]],
              [("tea", "OK"), ("milk", "OK"), ("none", "UNKNOWN_PRODUCT"), ("x" * 64, "BAD_INPUT")])
        equal([item["quote"] for item in found[2]["quotes"][:2]], [as_library(sku, customer="anna", zone="de/south") for sku in ("tea", "milk")])
        equal(len(http_ask("POST", "/v1/quotes", {"skus": ["milk"] * 512}, JSON)[2]["quotes"]), 512)

    @check("all baselines of a zone, then what changed since; a cursor of other tables is gone")
    def _():
        world, south = http_ask("GET", "/v1/prices")[2], http_ask("GET", "/v1/prices?zone=de/south")[2]
        equal(sorted((row["sku"], row["amount"]) for row in world[:-1]), [("a", 300), ("b", 300), ("milk", 1000)])
        equal(sorted((row["sku"], row["amount"], row["zone"]) for row in south[:-1]),
              [("a", 300, "world"), ("b", 300, "world"), ("milk", 1000, "world"), ("tea", 500, "de/south")])
        cursor = south[-1]["cursor"]
        equal(http_ask("GET", f"/v1/prices?zone=de/south&cursor={cursor}")[2][:-1], [])
        service.accept(product("tea", 600, zone="de/south"), product("b", 200))
        found = wait_until(lambda: (lambda rows: rows if len(rows) == 3 else None)(http_ask("GET", f"/v1/prices?zone=de/south&cursor={cursor}")[2]), 5, "two changes")
        equal(sorted((row["sku"], row["amount"]) for row in found[:-1]), [("b", 200), ("tea", 600)])
        for bad in ("0.0", "x", f"{cursor}.0", "ffffffffffffffff." + cursor.split(".", 1)[1]):
            problem(http_ask("GET", f"/v1/prices?cursor={bad}"), 410, "cursor-gone")

    @check("errors are problem details with the request's id")
    def _():
        problem(http_ask("GET", "/v1/quotes/none"), 404, "unknown-product")
        problem(http_ask("GET", "/v1/quotes/milk?currency=USD"), 404, "other-currency")
        problem(http_ask("GET", "/v1/quotes/" + "x" * 64), 400, "bad-request")
        problem(http_ask("GET", "/v1/quotes/milk?basis=moon"), 400, "bad-request")
        problem(http_ask("GET", "/v1/prices?zone=a//b"), 400, "bad-request")
        problem(http_ask("GET", "/nowhere"), 404, "not-found")
        problem(http_ask("POST", "/v1/quotes", b"{", JSON), 400, "not-json")
        for body in ([], {}, {"skus": [1]}, {"skus": [], "colour": "red"}, {"skus": ["milk"] * 513}, {"skus": [], "zone": 1}):
            problem(http_ask("POST", "/v1/quotes", body, JSON), 400, "bad-request")
        problem(http_ask("POST", "/v1/signals", b"{}"), 415, "media-type")
        problem(http_ask("POST", "/v1/signals", b"", JSON), 400, "empty")
        found = http_ask("DELETE", "/v1/signals")
        problem(found, 405, "method")
        equal(found[3]["Allow"], "POST")
        equal(http_ask("GET", "/livez", headers={"X-Request-Id": "mine-1.2"})[3]["X-Request-Id"], "mine-1.2")
        require(http_ask("GET", "/livez", headers={"X-Request-Id": 'a"b'})[3]["X-Request-Id"] != 'a"b', "an id of ours instead")
        equal(http_ask("POST", "/v1/signals", {"type": "nonsense"}, JSON)[0], 422)
        equal(http_ask("POST", "/v1/signals", b"not json", JSON)[0], 422)

    @check("a path is decoded once, and %00 ends no id")
    def _():
        service.accept(product("50% off", 100))
        equal(http_ask("GET", "/v1/quotes/50%25%20off")[2]["quote"]["amount"], 100)
        problem(http_ask("GET", "/v1/quotes/%256dilk"), 404, "unknown-product")
        problem(http_ask("GET", "/v1/quotes/milk%00x"), 404, "unknown-product")

    @check("a body that is too large is refused before it is sent, and as it comes")
    def _():
        problem(http_ask("POST", "/v1/signals", b" " * 70000, JSON), 413, "too-large")
        with socket.create_connection(("127.0.0.1", PORT), 20) as raw:
            raw.sendall(b"POST /v1/signals HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(5):
                raw.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            raw.sendall(b"0\r\n\r\n")
            contains(raw.recv(65536).decode(), "413")

    @check("a client that sends a byte now and then is shown the door; others are answered at once meanwhile")
    def _():
        with socket.create_connection(("127.0.0.1", PORT), 20) as slow:
            began = time.monotonic()
            with contextlib.suppress(OSError):
                slow.sendall(b"GET /livez HTTP/1.1\r\n")
                while time.monotonic() - began < 10 * SLOW:
                    slow.sendall(b"X")
                    equal(http_ask("GET", "/livez")[0], 200)
                    time.sleep(0.1)
            require(time.monotonic() - began < 6 * SLOW, "the slow client is still connected")

    @check("many at once are all answered")
    def _():
        wrong = []

        def ask_often():
            for _ in range(50):
                if http_ask("POST", "/v1/signals", demand("milk", event="view"), JSON)[2].get("accepted") != 1 or http_ask("GET", "/v1/quotes/milk")[0] != 200:
                    wrong.append(1)
        threads = [threading.Thread(target=ask_often) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        equal(wrong, [])

    @check("/metrics: every metric of the service with its help and type, in base units, and no customer's id")
    def _():
        status, kind, text, _ = http_ask("GET", "/metrics")
        equal((status, kind), (200, "text/plain"))
        require(re.search(r'^rialto_signals_accepted_total\{process="gateway"\} [1-9]\d*$', text, re.M), text[:300])
        require(re.search(r'^rialto_http_quotes_total\{process="web"\} [1-9]\d*$', text, re.M), "quotes are counted")
        require("rialto_build_info{version=" in text and "anna" not in text and "_ms{" not in text and "_us{" not in text, "units and ids")
        for line in text.splitlines():
            require(re.fullmatch(r'# (HELP|TYPE) rialto_\w+ .+|rialto_\w+\{\w+="[\w.]+"(,le="[\d.e+Inf-]+")?\} [\d.]+', line), line)

    @check("the description names every place, and each answers as it says")
    def _():
        api = http_ask("GET", "/openapi.json")[2]
        equal(api["openapi"], "3.1.0")
        routes = set(re.findall(r'\{ "(GET|POST)", "([^"]+)", web_', (ROOT / "service/web.c").read_text()))
        equal({(method.upper(), re.sub(r"\{\w+\}", "", path)) for path, methods in api["paths"].items() for method in methods}, routes)
        for path in ("/livez", "/readyz", "/metrics", "/v1/prices"):
            status, kind, _, _ = http_ask("GET", path)
            require(kind in api["paths"][path]["get"]["responses"][str(status)]["content"], f"{path}: {status} {kind}")

    @check("without a gateway: quotes go on, signals are told to come again in time")
    def _():
        gateway = service.children()["gateway"]
        os.kill(gateway, signal.SIGSTOP)
        try:
            began = time.monotonic()
            problem(http_ask("POST", "/v1/signals", demand("milk"), JSON), 504, "no-answer")
            require(time.monotonic() - began < 6 * SLOW, "an answer in time")
            equal(http_ask("GET", "/v1/quotes/milk")[0], 200)
        finally:
            os.kill(gateway, signal.SIGCONT)
        wait_until(lambda: http_ask("POST", "/v1/signals", product("late", 10), JSON)[0] == 200, 10, "the gateway again")

    @check("the door is one instance's alone: a second one at the same address says so, and its prices go on without it")
    def _():
        with Service(models={"shop.json": simple_model()}, http_listen=f"127.0.0.1:{PORT}") as second:
            wait_until(lambda: "WEB-NOT-LISTENING" in second.log(), 5, "WEB-NOT-LISTENING")
            second.accept(product("other", 100))
            equal(second.amount("other"), 100)
            equal({http_ask("GET", "/v1/quotes/other")[0] for _ in range(20)}, {404})

    @check("killed, it is back by itself")
    def _():
        os.kill(service.children()["web"], signal.SIGKILL)

        def answers():
            with contextlib.suppress(OSError):
                return http_ask("GET", "/v1/quotes/milk")[0] == 200
        wait_until(answers, 10, "the HTTP door again")
finish()
