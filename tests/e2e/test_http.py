#!/usr/bin/env python3
"""The HTTP door: quotes as the library gives them, signals as the gateway answers them, errors as RFC 9457 says."""
import gzip
import hashlib
import http.client
import secrets

from rialto_test import *

PORT = free_port()


API = json.loads((ROOT / "web/openapi.json").read_text())
BREACHES = []  # answers that are not as the description says
TYPES = {"string": str, "integer": int, "object": dict, "array": list, "boolean": bool, "number": (int, float), "null": type(None)}


def breach(schema, value, where="$"):
    """Why the value is not what the schema says, by those words of JSON Schema that the description uses; None: it is."""
    unknown = set(schema) - {"$ref", "type", "required", "properties", "items", "additionalProperties", "oneOf", "allOf", "enum", "description", "minimum", "maximum",
                             "minLength", "maxLength", "pattern", "minProperties", "maxProperties", "maxItems", "minItems", "format", "title", "examples", "default", "const"}
    require(not unknown, f"the test does not know {unknown}")
    if "$ref" in schema:
        return breach(API["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]], value, where)
    if "oneOf" in schema and sum(breach(s, value) is None for s in schema["oneOf"]) != 1:
        return f"{where}: not one of the alternatives"
    for part in schema.get("allOf", []):
        if (found := breach(part, value, where)):
            return found
    kinds = schema.get("type", list(TYPES))
    if not any(isinstance(value, TYPES[kind]) and (kind not in ("integer", "number") or not isinstance(value, bool)) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return f"{where}: {value!r} is no {kinds}"
    if value not in schema.get("enum", [schema.get("const", value)]):
        return f"{where}: {value!r} is not what it may be"
    if isinstance(value, dict):
        others = schema.get("additionalProperties")
        for name in schema.get("required", []):
            if name not in value:
                return f"{where}: {name} is missing"
        for name, item in value.items():
            rule = schema.get("properties", {}).get(name, others if isinstance(others, dict) else None)
            if rule is None and others is False:
                return f"{where}: {name} is not described"
            if rule is not None and (found := breach(rule, item, f"{where}.{name}")):
                return found
    for i, item in enumerate(value if isinstance(value, list) and "items" in schema else []):
        if (found := breach(schema["items"], item, f"{where}[{i}]")):
            return found
    return None


def conforms(method, path, status, kind, data):
    """Every answer of this test is held against the description."""
    path = path.split("?")[0]
    fits = [template for template in API["paths"] if re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(template)), path)]
    fits.sort(key=lambda template: (template.count("{"), -template.count("/")))
    if not fits or method.lower() not in API["paths"][fits[0]]:
        return
    answers = API["paths"][fits[0]][method.lower()]["responses"]
    content = answers.get(str(status), {}).get("content", {})
    if kind not in content:
        BREACHES.append(f"{method} {path}: {status} {kind} is not described")
    elif kind.endswith("json") and kind != "application/x-ndjson" and (found := breach(content[kind]["schema"], data)):
        BREACHES.append(f"{method} {path} {status}: {found}")


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
        conforms(method, path, answer.status, kind, data)
        return answer.status, kind, data, dict(answer.headers)
    finally:
        connection.close()


def is_open(connection):
    """Whether the other side has not closed it, which is seen soon after it was done."""
    connection.settimeout(0.002)
    with contextlib.suppress(socket.timeout, BlockingIOError):
        with contextlib.suppress(ConnectionError):
            while connection.recv(4096):
                pass
        return False
    return True


def problem(found, status, name):
    equal((found[0], found[1]), (status, "application/problem+json"))
    equal((found[2]["type"], found[2]["status"]), (f"/problems/{name}", status))
    equal(found[2]["request_id"], found[3]["X-Request-Id"])


def as_library(sku, **options):
    """What `rialto quote --json` prints as the quote."""
    return json.loads(service.cli("quote", *[f"--{k}={v}" for k, v in options.items() if k != "customer"], "--json", options.get("customer", "-"), sku)[1])["quote"]


JSON = {"Content-Type": "application/json"}
ADMIN, SHOP, PRODUCER, SHORT = *(secrets.token_urlsafe(32) for _ in range(3)), "short"


def hash_of(text):
    return hashlib.sha256(text.encode()).hexdigest()


def token(text, kind="application/json"):
    return {"Authorization": f"Bearer {text}", "Content-Type": kind}


ERP = token(PRODUCER)  # which tells of products


FOLDER = tempfile.TemporaryDirectory(prefix="rialto-tokens.")
TOKENS = Path(FOLDER.name) / "tokens"
TOKENS.touch(0o600)
TOKENS.write_text(f"# who may what\nadmin alice {hash_of(ADMIN)}\n\nshop  till-7 {hash_of(SHOP)}\nproducer erp {hash_of(PRODUCER)}\nadmin short {hash_of(SHORT)}\n")

with Service(models={"shop.json": simple_model()}, http_listen=f"127.0.0.1:{PORT}", http_request_timeout_ms=1500, http_tokens_file=TOKENS, message_bytes_max=65536, journal_interval_s=0, answer_timeout_ms=1000,
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
                                                 customer("anna", ["profile"], tier="gold"), {"type": "nonsense"}], token(SHOP))
        equal(found[0], 200)
        equal((found[2]["accepted"], found[2]["rejected"], found[2]["durable"]), (3, 1, "redis"))
        equal([(f["index"], f["pointer"], f["reason"]) for f in found[2]["findings"]], [(3, "/type", "unknown_type")])
        lines = "\n".join(json.dumps(product(sku, 300)) for sku in ("a", "b")).encode()
        equal(http_ask("POST", "/v1/signals", lines, token(PRODUCER, "application/x-ndjson"))[2]["accepted"], 2)

    @check("CloudEvents are taken, one and a batch, and count once by their source and id")
    def _():
        def event(number, sku, amount):
            data = product(sku, amount)
            return {"specversion": "1.0", "id": f"e{number}", "source": "/tills/25", "type": f"com.example.shop.{data.pop('type')}", "data": data}
        equal(http_ask("POST", "/v1/signals", event(1, "a", 310), token(PRODUCER, "application/cloudevents+json"))[2]["accepted"], 1)
        found = http_ask("POST", "/v1/signals", [event(1, "a", 320), event(2, "b", 300)], token(PRODUCER, "application/cloudevents-batch+json"))[2]
        equal((found["accepted"], [(f["index"], f["reason"]) for f in found["findings"]]), (2, [(0, "duplicate")]))
        equal([http_ask("GET", f"/v1/quotes/{sku}")[2]["quote"]["amount"] for sku in ("a", "b")], [310, 300])
        http_ask("POST", "/v1/signals", product("a", 300), ERP)

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
        equal(http_ask("POST", "/v1/signals", {"type": "nonsense"}, ERP)[0], 422)
        equal(http_ask("POST", "/v1/signals", b"not json", ERP)[0], 422)

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

    @check("a request whose end can be seen in two places is refused with its connection: a proxy before the door may see the other one")
    def _():
        hidden = b"GET /v1/quotes/milk HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        body = encode(demand("milk", event="order"))
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        for lengths, sent in ((b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(chunked), chunked),
                              (b"Transfer-Encoding: chunked\r\nContent-Length: 0", chunked),
                              (b"Content-Length: %d\r\nContent-Length: 0" % len(body), body),
                              (b"Content-Length: 0\r\nContent-Length: %d" % len(body), body),
                              (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", chunked),
                              (b"Transfer-Encoding: xchunked", chunked), (b"Transfer-Encoding: gzip, chunked", chunked)):
            with socket.create_connection(("127.0.0.1", PORT), 20) as raw:
                raw.sendall(b"POST /v1/signals HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s\r\n\r\n%s" %
                            (ERP["Authorization"].split()[1].encode(), lengths, sent) + hidden)
                answer = b""
                with contextlib.suppress(ConnectionError):
                    while more := raw.recv(65536):
                        answer += more
                require(answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, f"{lengths}: {answer}")
                contains(answer.lower(), b"connection: close", str(lengths))

    def sent(*heads, body=b""):
        """The answers to heads that are sent one after the other over one connection, as it comes."""
        with socket.create_connection(("127.0.0.1", PORT), 20) as raw:
            raw.sendall(b"".join(head + b"\r\n\r\n" + body for head in heads))
            answer = b""
            with contextlib.suppress(ConnectionError):
                while more := raw.recv(65536):
                    answer += more
            return answer

    @check("a whole address is asked for as its path is, whatever its host and Host are (RFC 9112, 3.2.2); the next path on the connection is one again")
    def _():
        body = encode(demand("milk", event="view"))
        head = (b"Host: other\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d" % (ERP["Authorization"].split()[1].encode(), len(body)))
        answer = sent(*(b"POST %s/v1/signals HTTP/1.1\r\n%s" % (to, head + last) for to, last in
                        ((b"http://shop.example.com", b""), (b"", b""), (b"HTTP://[::1]:80", b"\r\nConnection: close"))), body=body)
        equal((answer.count(b"HTTP/1.1 200 "), answer.count(b'"accepted":1')), (3, 3), str(answer))
        for target, part in ((b"http://x/v1/quotes/50%25%20off", b'"amount":100'), (b"http://x:7480/v1/quotes/milk?currency=EUR", b'"quote"'), (b"http://x/livez", b" 200 ")):
            contains(sent(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close" % target), part, str(target))
        for target in (b"http://x", b"http://x?/livez", b"http://x/http://y/livez", b"ftp://x/livez", b"http%3A//x/livez"):
            contains(sent(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close" % target), b"HTTP/1.1 404 ", str(target))

    @check("an address that a proxy may read in another way is refused with its connection; so are two hosts, and an address without Host")
    def _():
        after = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close"
        for head in (b"GET http://a%2Flivez HTTP/1.1\r\nHost: x", b"GET http://a%2Flivez/livez HTTP/1.1\r\nHost: x", b"GET http:///livez HTTP/1.1\r\nHost: x", b"GET http://me@x/livez HTTP/1.1\r\nHost: x",
                     b"GET https://x/livez HTTP/1.1\r\nHost: x", b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y", b"GET http://x/livez HTTP/1.1\r\nHost: x\r\nHost: x"):
            answer = sent(head, after)
            require(answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, f"{head}: {answer}")
        contains(sent(b"GET http://me@x/livez HTTP/1.1\r\nHost: x"), b"/problems/ambiguous-target")
        answer = sent(b"GET http://x/livez HTTP/1.1", after)  # libmicrohttpd's own answer, whose head it says twice
        require(answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == answer.count(b"HTTP/1.1 400 "), str(answer))

    @check("a body that is packed is told so: gzip is not unpacked")
    def _():
        packed = gzip.compress(encode(demand("milk", event="order")))
        problem(http_ask("POST", "/v1/signals", packed, {**ERP, "Content-Type": "application/json", "Content-Encoding": "gzip"}), 415, "content-encoding")
        plain = encode(demand("milk", event="view"))
        equal(http_ask("POST", "/v1/signals", plain, {**ERP, "Content-Type": "application/json", "Content-Encoding": "identity"})[2]["accepted"], 1)

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
                if http_ask("POST", "/v1/signals", demand("milk", event="view"), ERP)[2].get("accepted") != 1 or http_ask("GET", "/v1/quotes/milk")[0] != 200:
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

    @check("the description names every place, and who may go there")
    def _():
        api = http_ask("GET", "/openapi.json")[2]
        equal(api["openapi"], "3.1.0")
        routes = {(method, path): role for method, path, role in re.findall(r'\{ "([A-Z]+)", "([^"]+)", ROLE_(\w+), web_', (ROOT / "service/web.c").read_text())}
        described = {(method.upper(), re.sub(r"\{\w+\}", "*", path)): "NONE" if {} in op.get("security", api["security"] or [{}]) else
                     "ADMIN" if op["tags"] == ["models"] else "SHOP" for path, methods in api["paths"].items() for method, op in methods.items()}
        equal(routes.pop(("GET", "/console/")), routes["GET", "/console/*"])  # no path of OpenAPI ends with a slash: it is index.html there
        equal(routes.pop(("GET", "/console")), routes["GET", "/console/*"])  # leads there
        equal(described, routes)
        for path in ("/livez", "/readyz", "/metrics", "/v1/prices"):
            equal(http_ask("GET", path)[0], 200)

    @check("what is not for everybody needs a token of its role, of which the service knows the hash")
    def _():
        for method, path in (("GET", "/v1/explain/milk"), ("GET", "/v1/status"), ("GET", "/v1/customers/anna"), ("DELETE", "/v1/customers/anna"), ("GET", "/v1/models"),
                             ("POST", "/v1/models/apply"), ("POST", "/v1/freeze")):
            for headers in ({}, token("x" * 43), token(""), {"Authorization": "Basic " + ADMIN}, {"Authorization": ADMIN}, token(SHORT), token(hash_of(ADMIN))):
                found = http_ask(method, path, headers=headers)
                problem(found, 401, "unauthorized")
                equal(found[3]["WWW-Authenticate"], "Bearer")
        problem(http_ask("GET", "/v1/models", headers=token(SHOP)), 403, "forbidden")
        equal(http_ask("GET", "/v1/status", headers=token(ADMIN))[0], 200)
        equal(http_ask("GET", "/v1/status", headers={"Authorization": "bearer " + SHOP})[0], 200)
        commands = " ".join(" ".join(command) for _, command in processes().values())  # what ps shows, of everybody
        require("--role web" in commands and not any(word in text for word in (ADMIN, SHOP) for text in (TOKENS.read_text(), service.log(), commands)), "no token is kept or shown")

    @check("signals about a customer need a token of the shop's, in whatever form they come; those about products need one of a producer's")
    def _():
        told = [customer("anna", ["profile"]), {"type": "location", "customer": "anna", "zone": "de/south"}, {"type": "offer", "customer": "anna", "sku": "milk", "kind": "percent", "percent": 5},
                {"type": "receipt", "customer": "anna", "amount": 100, "currency": "EUR"}, {"type": "forget", "customer": "anna"}]
        lines = "\n".join(json.dumps(signal) for signal in told).encode()
        event = {"specversion": "1.0", "id": "c1", "source": "/elsewhere", "type": "com.example.customer", "data": {"customer": "anna", "consent": {"profile": True}}}
        forms = ((told, "application/json"), (lines, "application/x-ndjson"), (event, "application/cloudevents+json"), ([event], "application/cloudevents-batch+json"),
                 (b'{"type":"cust\\u006fmer","customer":"anna","consent":{"profile":true}}', "application/json"), (b"\n\n" + lines, "application/x-ndjson"))
        before = http_ask("GET", "/metrics")[2]
        for body, kind in forms:
            place = "/data/customer" if "cloudevents" in kind else "/customer"
            found = http_ask("POST", "/v1/signals", body, token(PRODUCER, kind))
            equal((found[0], found[2]["accepted"], {(f["pointer"], f["reason"]) for f in found[2]["findings"]}), (403, 0, {(place, "no_token")}), body)
        found = http_ask("POST", "/v1/signals", [demand("milk", event="view", customer="anna"), told[0]], ERP)
        equal((found[0], found[2]["accepted"], {f["index"] for f in found[2]["findings"] if f["reason"] == "no_token"}), (200, 1, {1}))
        equal(http_ask("GET", "/v1/customers/stranger", headers=token(SHOP))[0], 404)
        problem(http_ask("GET", "/v1/customers/stranger", headers=ERP), 403, "forbidden")
        for given in (SHOP, ADMIN):
            equal(http_ask("POST", "/v1/signals", customer("berta", ["profile"]), token(given))[0], 200)
        for headers in (JSON, token(SHOP[::-1]), token(""), {**JSON, "Authorization": "Basic " + PRODUCER}):  # a token that is none is a mistake
            problem(http_ask("POST", "/v1/signals", product("milk", 1), headers), 401, "unauthorized")
        # Whoever sends the mark of the HTTP door himself asks for less: no questions, no customers.
        for text in (b"\x15" + json.dumps(told[0]).encode(), b'\x15{"control":"ping"}'):
            answer = service.ask(text)
            equal((answer["accepted"], answer["rejected"]), (0, 1), text)
        largest = b" " * (65536 - len(json.dumps(product("milk", 1000)))) + json.dumps(product("milk", 1000)).encode()
        equal(http_ask("POST", "/v1/signals", largest, ERP)[0], 200)
        counted = [sum(map(float, re.findall(r"^rialto_http_unauthorized_total\S* (\S+)", text, re.M))) for text in (before, http_ask("GET", "/metrics")[2])]
        equal(counted[1] - counted[0], len(forms) + 1 + 1 + 4)

    @check("a token that is taken out of the file is worth nothing at once; a faulty file lets nobody in, and the log says where")
    def _():
        good = TOKENS.read_text()
        try:
            TOKENS.write_text(good.replace(hash_of(SHOP), hash_of("y" * 43)))
            problem(http_ask("GET", "/v1/status", headers=token(SHOP)), 401, "unauthorized")
            time.sleep(1.1)  # a line a second
            TOKENS.write_text(good + "king arthur 00\n")
            problem(http_ask("GET", "/v1/status", headers=token(ADMIN)), 503, "no-tokens")
            wait_until(lambda: f"{TOKENS}:{len(good.splitlines()) + 1}:" in service.log(), 5, "the place in the log")
            TOKENS.write_text(good)
            TOKENS.chmod(0o622)
            problem(http_ask("GET", "/v1/status", headers=token(ADMIN)), 503, "no-tokens")
        finally:
            TOKENS.write_text(good)
            TOKENS.chmod(0o600)
        equal(http_ask("GET", "/v1/status", headers=token(SHOP))[0], 200)

    @check("status: who works, what is in force")
    def _():
        found = http_ask("GET", "/v1/status", headers=token(SHOP))[2]
        equal((found["gateway"], found["ready"], found["reason"], found["instance"]), (True, True, "", service.instance))
        require(all(worker["connected"] for worker in found["workers"]) and found["change"]["number"] >= 1, found)

    @check("an explanation is the command's own, for anybody and for one")
    def _():
        for query, words in (("", ["milk"]), ("?customer=anna", ["anna", "milk"]), ("?customer=nobody", ["nobody", "milk"]), ("?zone=de/south", ["--zone", "de/south", "tea"])):
            found = http_ask("GET", f"/v1/explain/{words[-1]}{query}", headers=token(SHOP))
            equal(found[0], 200)
            want = json.loads(service.cli("explain", "--json", *words, "--set", f"data_dir={service.data}")[1])
            moving = ("computed_ms", "tick_ms", "steps")  # ticks and ages go on
            still = [{k: v for k, v in told.items() if k not in moving} for told in (found[2], want)]
            equal({k for k in still[0] | still[1] if still[0].get(k) != still[1].get(k)}, set(), query)
            equal([(step["step"], step["amount_minor"]) for step in found[2]["steps"]], [(step["step"], step["amount_minor"]) for step in want["steps"]])
        problem(http_ask("GET", "/v1/explain/none", headers=token(SHOP)), 404, "unknown-product")
        problem(http_ask("GET", "/v1/explain/milk?zone=a//b", headers=token(SHOP)), 400, "bad-request")

    @check("consent is switched on and off, and the next quote knows it; all that is kept is told; forgetting comes with a receipt")
    def _():
        quoted = lambda: http_ask("GET", "/v1/quotes/milk?customer=bert")[2]["quote"]
        equal(http_ask("PUT", "/v1/customers/bert/consent", {"profile": True}, token(SHOP))[2]["accepted"], 1)
        service.accept(customer("bert", ["profile"], tier="gold"))
        before = quoted()
        require("PERSONAL" in before["flags"] and before["amount"] < before["baseline"], before)
        exported = json.dumps(http_ask("GET", "/v1/customers/bert", headers=token(SHOP))[2])
        told = json.loads(service.cli("export", "bert", "--json", "--set", f"data_dir={service.data}")[1])
        equal({**json.loads(exported), "at_ms": 0}, {**told, "at_ms": 0})  # a tick later
        contains(exported, "gold")
        said = {"granted": False, "source": "web", "text": "2026-11-27/de"}
        equal(http_ask("PUT", "/v1/customers/bert/consent", {"profile": said}, token(SHOP))[2]["accepted"], 1)
        data = {item["name"]: item for item in http_ask("GET", "/v1/customers/bert", headers=token(SHOP))[2]["data"]}["consent"]["said"]
        equal([{key: each[key] for key in said} for each in data if each["kind"] == "profile"], [said])
        for body, more in (({"opt_out": True}, {}), ({"profile": True}, {"Sec-GPC": "1"}), ({}, {"Sec-GPC": "1"}), ({"profile": True, "opt_out": False}, {"Sec-GPC": "1"})):
            for value in ("0", "true", "11", ""):  # W3C: 1 and nothing else
                equal(http_ask("PUT", "/v1/customers/gustav/consent", {"profile": True}, {**token(SHOP), "Sec-GPC": value})[2]["findings"], [])
            equal(http_ask("PUT", "/v1/customers/gustav/consent", body, {**token(SHOP), **more})[2]["accepted"], 1)
            equal(http_ask("PUT", "/v1/customers/gustav/consent", {"profile": True}, token(SHOP))[2]["findings"][0]["reason"], "opted_out")
            equal(http_ask("PUT", "/v1/customers/gustav/consent", {"opt_out": False}, token(SHOP))[2]["accepted"], 1)
        equal((quoted()["amount"], quoted()["flags"]), (before["baseline"], ["ANONYMOUS"]))
        service.accept(customer("gerd", ["profile"], tier="gold"))  # elsewhere the header is not read: a page that shows a price changes nothing, a message may be about many
        for method, path, body in (("GET", "/v1/quotes/milk?customer=gerd", None), ("POST", "/v1/quotes", {"customer": "gerd", "skus": ["milk"]}), ("POST", "/v1/signals", customer("gerd"))):
            equal(http_ask(method, path, body, {**token(SHOP), "Content-Type": "application/json", "Sec-GPC": "1"})[0], 200)
        require("PERSONAL" in http_ask("GET", "/v1/quotes/milk?customer=gerd")[2]["quote"]["flags"], "a header opted a customer out in passing")
        for wrong in ({"colour": True}, {"profile": 1}, {"profile": {"granted": True, "source": "x" * 14}}, [], "x"):
            require(http_ask("PUT", "/v1/customers/bert/consent", wrong, token(SHOP))[0] in (400, 422), wrong)
        receipt = http_ask("DELETE", "/v1/customers/bert", headers=token(SHOP))
        equal((receipt[0], receipt[2]["receipt"]["kind"], receipt[2]["receipt"]["customer"], receipt[2]["receipt"]["held_now"]), (200, "erasure", "bert", False))
        problem(http_ask("GET", "/v1/customers/bert", headers=token(SHOP)), 404, "unknown-customer")
        problem(http_ask("DELETE", "/v1/customers/" + "x" * 64, headers=token(SHOP)), 400, "bad-request")

    @check("models are checked with all faults at their lines, and nothing is changed")
    def _():
        before = http_ask("GET", "/v1/models", headers=token(ADMIN))[2]
        equal(http_ask("POST", "/v1/models/check", {"files": {"shop.json": simple_model()}}, token(ADMIN))[2], {"models": [{"name": "shop", "version": "1", "group": "all"}], "remarks": [], "winners": []})
        text = json.dumps({**simple_model(), "edings": 1}, indent=1)
        line = next(i for i, row in enumerate(text.splitlines(), 1) if "edings" in row)
        found = http_ask("POST", "/v1/models/check", {"files": {"bad.json": text, "worse.json": "{"}}, token(ADMIN))
        problem(found, 422, "models-refused")
        equal({(fault["file"], fault["line"]) for fault in found[2]["faults"]} >= {("bad.json", line), ("worse.json", 1)}, True, found[2]["faults"])
        for files in ({}, {"../x.json": {}}, {"a/b.json": {}}, {".json": {}}, {"x.txt": {}}, {"x.json": 1}, [], None, {"x" * 61 + ".json": {}}):
            problem(http_ask("POST", "/v1/models/check", {"files": files}, token(ADMIN)), 400, "bad-request")
        equal(http_ask("GET", "/v1/models", headers=token(ADMIN))[2], before)
        equal([path.name for path in (service.data / "models").iterdir() if path.name.startswith("stage.")], [])

    @check("what rialto check remarks of good models, and who wins where, is said over HTTP as well")
    def _():
        offer = {"name": "cart", "trigger": {"event": "cart", "times": 3, "within": "7d"}, "discount": {"percent": 5}, "valid_for": "1d", "cooldown": "30d", "per_customer": {"offers": 1, "per": "7d"}, "budget": {"offers": 1000, "per": "7d"}}
        files = {"shop.json": simple_model(factors=[{"name": "heat", "expression": "0 - clamp(demand_pressure, 1, 2)"}], offers=[offer]),
                 "pilot.json": simple_model(model="pilot", group="other", personal=[], scope={"categories": ["*"], "currencies": ["EUR"], "zones": ["de"]})}
        checked = http_ask("POST", "/v1/models/check", {"files": files}, token(ADMIN))[2]
        equal([{name: value for name, value in remark.items() if name != "text"} for remark in checked["remarks"]],
              [{"remark": "factor-outside", "model": "shop", "factor": "heat", "low": -2, "high": -1}, {"remark": "offer-above-terms", "model": "shop", "offer": "cart", "percent": 5, "terms_percent": 10}])
        equal([(winner["winner"], winner["models"], winner["by"], winner["where"]) for winner in checked["winners"]], [("pilot", ["pilot", "shop"], "zone", "de")])
        for path, text in files.items():
            (service.folder / "remarked").mkdir(exist_ok=True)
            (service.folder / "remarked" / path).write_text(json.dumps(text))
        said = service.cli("check", service.folder / "remarked")[1]
        for row in checked["remarks"] + checked["winners"]:
            contains(said, row["text"], "the same words")

    @check("new models: seen beforehand, in force as the command would bring them, taken back; who did it stands in the record")
    def _():
        dearer = {"shop.json": {**simple_model(), "version": "over-http"}}
        found = http_ask("POST", "/v1/models/diff", {"files": dearer}, token(ADMIN))
        equal((found[0], found[2]["uncovered"]), (200, 0))
        require(found[2]["prices"] > 0, found[2])
        found = http_ask("POST", "/v1/models/apply", {"files": dearer, "note": "a test"}, token(ADMIN))
        equal((found[0], found[2]["everywhere"], found[2]["change"]["who"], found[2]["change"]["what"]), (200, True, "alice over HTTP", "apply: a test"))
        wait_until(lambda: http_ask("GET", "/v1/quotes/milk")[2]["quote"]["version"] == "over-http", 5, "the new version")
        brought = found[2]["change"]["models"]
        kept = http_ask("GET", "/v1/models", headers=token(ADMIN))[2]
        equal(kept["changes"][0]["what"], "apply: a test")
        require(brought in [item["change"] for item in kept["kept"]], kept["kept"])
        equal(json.loads(http_ask("GET", f"/v1/models/{brought}", headers=token(ADMIN))[2]["files"]["shop.json"]), dearer["shop.json"])
        for nothing in ("0", "999999", "x", "1x", "..", "check2"):
            problem(http_ask("GET", f"/v1/models/{nothing}", headers=token(ADMIN)), 404, "unknown-change")
        other = {"other.json": simple_model(scope={"categories": ["nothing/here"], "currencies": ["EUR"]})}
        equal(http_ask("POST", "/v1/models/check", {"files": other}, token(ADMIN))[0], 200)
        require(http_ask("POST", "/v1/models/diff", {"files": other}, token(ADMIN))[2]["uncovered"] > 0, "prices that no model makes any more")
        problem(http_ask("POST", "/v1/models/apply", {"files": other}, token(ADMIN)), 422, "models-refused")
        equal(http_ask("POST", "/v1/models/pin", {"pinned": True}, token(ADMIN))[2]["change"]["pinned"], True)
        problem(http_ask("POST", "/v1/models/apply", {"files": dearer}, token(ADMIN)), 409, "pinned")
        equal(http_ask("POST", "/v1/models/pin", {"pinned": False}, token(ADMIN))[2]["change"]["pinned"], False)
        equal(http_ask("POST", "/v1/models/rollback", None, token(ADMIN))[2]["change"]["what"], "rollback")
        wait_until(lambda: http_ask("GET", "/v1/quotes/milk")[2]["quote"]["version"] == simple_model()["version"], 5, "the version before")
        equal(http_ask("POST", "/v1/models/rollback", {"to": brought}, token(ADMIN))[2]["change"]["models"], brought)
        for wrong in ({"to": 0}, {"to": 1.5}, {"to": "1"}, {"note": "x" * 121}, {"colour": 1}):
            problem(http_ask("POST", "/v1/models/rollback", wrong, token(ADMIN)), 400, "bad-request")
        problem(http_ask("POST", "/v1/models/rollback", {"to": 999999}, token(ADMIN)), 422, "models-refused")

    @check("prices are frozen and move again")
    def _():
        answer = http_ask("POST", "/v1/freeze", {"sku": "milk", "to": "last"}, token(ADMIN))[2]
        require(answer["held"] >= 1, answer)
        equal(http_ask("POST", "/v1/freeze", {"sku": "mlik", "to": "last"}, token(ADMIN))[2]["held"], 0)
        require("held" not in http_ask("POST", "/v1/freeze", {"sku": "mlik", "to": "off"}, token(ADMIN))[2], "thawing holds nothing")
        equal(answer["change"]["freeze"], [{"by": "sku", "pattern": "milk", "to": "frozen"}])
        long = http_ask("POST", "/v1/freeze", {"category": "c" * 63, "note": "n" * 120}, token(ADMIN))[2]["change"]
        equal((long["freeze"][-1]["pattern"], long["what"]), ("c" * 63, f"freeze category {'c' * 63} to last: {'n' * 120}"))
        problem(http_ask("POST", "/v1/freeze", {"zone": "de/*"}, token(ADMIN)), 400, "bad-request")
        equal(http_ask("POST", "/v1/freeze", {"all": True, "to": "list"}, token(ADMIN))[2]["change"]["mode"], "list")
        equal(http_ask("POST", "/v1/freeze", {"all": True, "to": "off"}, token(ADMIN))[2]["change"], {**http_ask("GET", "/v1/status", headers=token(SHOP))[2]["change"], "mode": "normal", "freeze": []})
        for wrong in ({}, {"all": False}, {"all": True, "sku": "milk"}, {"sku": 1}, {"sku": "milk", "to": "up"}, {"zone": "de", "category": "x"}):
            problem(http_ask("POST", "/v1/freeze", wrong, token(ADMIN)), 400, "bad-request")

    @check("paths: the more special one goes first, and the methods of a place are named")
    def _():
        found = http_ask("GET", "/v1/models/check", headers=token(ADMIN))
        problem(found, 405, "method")
        equal(found[3]["Allow"], "POST")
        found = http_ask("POST", "/v1/customers/anna", headers=token(SHOP))
        equal(found[3]["Allow"], "GET, DELETE")
        equal(http_ask("DELETE", "/v1/customers/anna/consent", headers=token(SHOP))[3]["Allow"], "PUT")
        for path in ("/v1/customers/", "/v1/customers//consent", "/v1/explain/"):
            require(http_ask("GET", path, headers=token(SHOP))[0] in (404, 405), path)

    @check("nobody asks the gateway's own questions through the door for signals")
    def _():
        for body in ({"control": "explain", "sku": "milk"}, {"control": "forget", "customer": "anna"}, {"control": "tick", "time": 4102444800000}):
            problem(http_ask("POST", "/v1/signals", body, JSON), 400, "bad-request")
        equal(http_ask("POST", "/v1/signals", product("control", 100), ERP)[2]["accepted"], 1)

    @check("the price journal: what was asked for wrongly is told; without Redis it is away, and quotes are not")
    def _():
        found = wait_until(lambda: (lambda f: f if f[2].get("entries") else None)(http_ask("GET", "/v1/journal/milk", headers=token(SHOP))), 75, "an entry")
        equal((found[0], found[2]["entries"][0]["currency"], found[2]["entries"][0]["decimals"]), (200, "EUR", 2))
        problem(http_ask("GET", "/v1/journal/milk"), 401, "unauthorized")
        for query in ("zone=a//b", "from=yesterday", "to=1", "limit=0", "limit=1001", "limit=1x", "limit=", "from=2026-11-20T09:00:00Z&to=2026-11-20T09:00:00Z", "zone=" + "z" * 64):
            problem(http_ask("GET", f"/v1/journal/milk?{query}", headers=token(SHOP)), 400, "bad-request")
        for sku in ("x" * 64, "a%09b", "a%00b"):
            problem(http_ask("GET", f"/v1/journal/{sku}", headers=token(SHOP)), 400, "bad-request")
        pid = service.children()["redis-server"]
        os.kill(pid, signal.SIGSTOP)
        try:
            problem(http_ask("GET", "/v1/journal/milk", headers=token(SHOP)), 503, "journal-away")
            equal(http_ask("GET", "/v1/quotes/milk")[0], 200)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: http_ask("GET", "/v1/journal/milk", headers=token(SHOP))[0] == 200, 10, "the journal again")

    @check("without a gateway: quotes go on, signals are told to come again in time")
    def _():
        gateway = service.children()["gateway"]
        os.kill(gateway, signal.SIGSTOP)
        try:
            began = time.monotonic()
            problem(http_ask("POST", "/v1/signals", demand("milk"), ERP), 504, "no-answer")
            require(time.monotonic() - began < 6 * SLOW, "an answer in time")
            equal(http_ask("GET", "/v1/quotes/milk")[0], 200)
            equal(http_ask("GET", "/v1/status", headers=token(SHOP))[2]["gateway"], False)
            problem(http_ask("GET", "/v1/explain/milk", headers=token(SHOP)), 504, "no-answer")
        finally:
            os.kill(gateway, signal.SIGCONT)
        wait_until(lambda: http_ask("POST", "/v1/signals", product("late", 10), ERP)[0] == 200, 10, "the gateway again")

    @check("the door is one instance's alone: a second one at the same address says so, and its prices go on without it")
    def _():
        with Service(models={"shop.json": simple_model()}, http_listen=f"127.0.0.1:{PORT}") as second:
            wait_until(lambda: "WEB-NOT-LISTENING" in second.log(), 5, "WEB-NOT-LISTENING")
            second.accept(product("other", 100))
            equal(second.amount("other"), 100)
            equal({http_ask("GET", "/v1/quotes/other")[0] for _ in range(20)}, {404})

    @check("asked to end, it takes no new connection and answers what is under way; then it is back by itself")
    def _():
        gateway, web = service.children()["gateway"], service.children()["web"]
        body = json.dumps(product("last", 10)).encode()
        with socket.create_connection(("127.0.0.1", PORT), 20) as under_way:
            os.kill(gateway, signal.SIGSTOP)
            try:
                under_way.sendall(b"POST /v1/signals HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (PRODUCER.encode(), len(body), body))
                equal(http_ask("GET", "/livez")[0], 200)  # came later to the same thread: the one before has been read
                os.kill(web, signal.SIGTERM)

                def refused():
                    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", PORT), 1):
                        return False
                    return True
                wait_until(refused, 2, "no new connection is taken")
                require(service.children().get("web") == web, "it has ended with a request under way")
            finally:
                os.kill(gateway, signal.SIGCONT)
            answer = http.client.HTTPResponse(under_way)
            answer.begin()
            equal((answer.status, json.loads(answer.read())["accepted"]), (200, 1))
        wait_until(lambda: service.children().get("web") not in (None, web), 10, "the next one")

    @check("killed, it is back by itself")
    def _():
        os.kill(wait_until(lambda: service.children().get("web"), 10, "web"), signal.SIGKILL)

        def answers():
            with contextlib.suppress(OSError):
                return http_ask("GET", "/v1/quotes/milk")[0] == 200
        wait_until(answers, 10, "the HTTP door again")
@check("without a file of tokens nobody is let in; signals are, on this machine alone, or where somebody says that all may")
def _():
    for host, insecure, open_to in (("127.0.0.1", 0, True), ("0.0.0.0", 0, False), ("0.0.0.0", 1, True)):
        with Service(models={"shop.json": simple_model()}, http_listen=f"{host}:{PORT}", insecure_tcp=insecure) as service:
            def found():
                with contextlib.suppress(OSError):
                    return http_ask("GET", "/v1/models", headers=token(ADMIN))
            problem(wait_until(found, 10, "the HTTP door"), 403, "closed")
            told = http_ask("POST", "/v1/signals", [product("milk", 700), customer("anna", ["profile"])], JSON)
            if open_to:
                equal((told[0], told[2]["accepted"]), (200, 2))
            else:
                problem(told, 403, "closed")
                service.accept(product("milk", 800))
            equal(http_ask("GET", "/v1/quotes/milk")[2]["quote"]["amount"], 700 if open_to else 800)

@check("with http_open_signals what happened to products is taken from anybody, and nothing of customers")
def _():
    with Service(models={"shop.json": simple_model()}, http_listen=f"127.0.0.1:{PORT}", http_tokens_file=TOKENS, http_open_signals=1, http_connections_max=64) as service:
        def found():
            with contextlib.suppress(OSError):
                return http_ask("POST", "/v1/signals", [product("milk", 700), customer("anna", ["profile"])], JSON)
        told = wait_until(found, 10, "the HTTP door")
        equal((told[0], told[2]["accepted"], [(f["index"], f["reason"]) for f in told[2]["findings"]]), (200, 1, [(1, "no_token")]))
        equal(http_ask("POST", "/v1/signals", customer("anna", ["profile"]), JSON)[0], 401)
        equal(http_ask("POST", "/v1/signals", customer("anna", ["profile"]), token(SHOP))[0], 200)
        problem(http_ask("POST", "/v1/signals", product("milk", 1), token(SHOP[::-1])), 401, "unauthorized")

        @check("many times more connections than there may be, which say nothing or half a request: others are answered at once, on new ones and on their own")
        def _():
            regular, slowest, idle = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW), 0, []
            for number in range(64 * 5):
                idle.append(socket.create_connection(("127.0.0.1", PORT), 20))
                if number % 2:
                    idle[-1].sendall(b"POST /v1/signals HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{")
                if number % 16 == 0:
                    began = time.monotonic()
                    equal(http_ask("GET", "/v1/quotes/milk")[0], 200)
                    regular.request("GET", "/v1/quotes/milk")
                    equal(regular.getresponse().read() != b"", True)
                    slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.002)
            require(slowest < 1.5 * SLOW, f"an answer took {slowest:.1f} s")
            gone = sum(not is_open(connection) for connection in idle)
            require(gone >= 64 * 4 and is_open(idle[-1]), f"{gone} of {len(idle)} have gone")
            for connection in idle:
                connection.close()

@check("every answer above was as the description says")
def _():
    equal(BREACHES, [])
finish()
