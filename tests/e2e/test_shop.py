#!/usr/bin/env python3
"""The sample shop: prices out of shared memory, consents in force before they are answered, and the page itself in Chromium."""
import hashlib
import http.client
import secrets
import urllib.parse

import browser
from rialto_test import *

PORT, SERVICE_PORT = free_port(), free_port()
FOLDER = temporary_folder("shop.")
TOKEN = secrets.token_urlsafe(32)
MODELS = {str(path.relative_to(ROOT / "models")): path.read_text() for path in (ROOT / "models").rglob("*.json") if "schema" not in path.parts}
NASTY = "<img src=x onerror=alert(1)> & \"Co\""
(FOLDER / "token").write_text(TOKEN + "\n")
(FOLDER / "tokens").write_text(f"shop shop {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")


def ask(method, path, body=None, headers=None, port=PORT):
    """status, parsed body, headers"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20 * SLOW)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers if headers is not None else {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if "json" in answer.headers.get_content_type() else text.decode(), answer.headers
    finally:
        connection.close()


def page(**query):
    status, answer, _ = ask("GET", "/api/page?" + urllib.parse.urlencode(query))
    equal(status, 200, answer)
    return {p["sku"]: p for p in answer["products"]} | {None: answer}


def consent(customer, **kinds):
    status, answer, _ = ask("PUT", f"/api/customers/{customer}/consent", kinds)
    require(status == 200 and answer["rejected"] == 0, f"{status} {answer}")


def start_shop(*words):
    program = subprocess.Popen([BIN / "rialto-shop", "--listen", f"127.0.0.1:{PORT}", *words], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_the_test)
    require("the shop is open" in program.stdout.readline().decode(), "the shop does not open")
    return program


def end_shop(program, number=signal.SIGTERM):
    program.send_signal(number)
    out = program.communicate(timeout=20 * SLOW)[0].decode()
    equal(program.returncode, 0, out)


service = Service(models=MODELS, http_listen=f"127.0.0.1:{SERVICE_PORT}", http_tokens_file=FOLDER / "tokens", demo=1)
shop = start_shop("--cache", service.cache, "--service", f"127.0.0.1:{SERVICE_PORT}", "--token-file", FOLDER / "token")

@check("before there are prices, the shop says that there are none")
def _():
    equal(ask("GET", "/healthz")[0], 503)
    equal(ask("GET", "/api/page")[0], 503)
    equal(run(BIN / "rialto-shop", "--check", "--listen", f"127.0.0.1:{PORT}")[0], 1)
    equal(ask("PUT", "/api/customers/C16422/consent", {"profile": True})[0], 502)

with service:
    service.pass_time_until(8)  # groceries are cheaper in the evening
    service.accept({"type": "zone", "zone": "c1/s25", "utc_offset_min": 480},
                   product("cake", 1275, "GBP", "gifts/all", title="Cake stand"), product("nasty", 250, "GBP", "gifts/all", title=NASTY),
                   product("milk", 1200, "CNY", "fresh/1", title="Milk"),
                   *(product(f"mug-{i:02}", 300 + i, "GBP", "gifts/mugs", title=f"Mug {i:02}") for i in range(30)))

    @check("it shows what is for sale, by title, a page at a time, and marks it as a demonstration")
    def _():
        wait_until(lambda: page()[None]["total"] == 33, 10, "all products")
        first, second = page(), page(**{"from": 24})
        equal([p["title"] for p in first[None]["products"]], sorted([NASTY, "Cake stand", "Milk", *(f"Mug {i:02}" for i in range(30))], key=str.lower)[:24])
        equal(len(second[None]["products"]), 9)
        equal({d["name"]: d["products"] for d in first[None]["departments"]}, {"gifts": 32, "fresh": 1})
        equal(list(page(department="fresh")), ["milk", None])
        equal(list(page(find="cAKE")), ["cake", None])
        equal(page(find="nothing like it")[None]["total"], 0)
        require(all("demo" in p["flags"] for p in first[None]["products"]), "not marked")
        equal(run(BIN / "rialto-shop", "--check", "--listen", f"127.0.0.1:{PORT}"), (0, "ok\n", ""))

    @check("a consent moves the next quote, by what the shop knows and the customer permits; withdrawn, it is the baseline again")
    def _():
        equal(ask("GET", "/api/customers/C16422/consent")[1], {"consent": {kind: False for kind in ("location", "behaviour", "purchases", "profile", "partner")}, "opt_out": False})
        equal(page(customer="C16422")["cake"]["amount"], 1275)
        consent("C16422", profile=True)
        quote = page(customer="C16422")["cake"]
        equal((quote["amount"], quote["baseline"], quote["rests_on"]), (1211, 1275, ["profile"]))  # 1275 x 0.95 = 1211.25: gold
        equal(ask("GET", "/api/customers/C16422/consent")[1]["consent"]["profile"], True)
        kept = json.loads(service.cli("export", "--set", f"data_dir={service.data}", "--json", "C16422")[1])["data"]
        equal([(s["kind"], s["granted"], s["source"], s["text"]) for item in kept if item["name"] == "consent" for s in item["said"]],
              [("profile", True, "sample-shop", "2026-11-27")])
        consent("C16422", purchases=True)
        quote = page(customer="C16422")["cake"]
        # 4251.60 pounds lie 251.60 of 6000 on the way from 0.96 to 0.95: 1275 x 0.95 x 0.959581 = 1162.29
        equal((quote["amount"], quote["rests_on"]), (1162, ["purchases", "profile"]))
        consent("C16422", profile=False, purchases=False)
        quote = page(customer="C16422")["cake"]
        equal((quote["amount"], quote["rests_on"]), (1275, []))

    @check("an opt-out, and Global Privacy Control that a browser sends, end every consent and bar later ones until it is taken back")
    def _():
        for header, wanted in (({}, {"opt_out": True}), ({"Sec-GPC": "1"}, {}), ({"Sec-GPC": "1"}, {"profile": True, "opt_out": False})):
            consent("C16422", profile=True, partner=True)
            equal(page(customer="C16422")["cake"]["amount"], 1211)
            status, answer, _ = ask("PUT", "/api/customers/C16422/consent", wanted, {"Content-Type": "application/json", **header})
            equal((status, answer["rejected"]), (200, 0), wanted)
            equal((page(customer="C16422")["cake"]["amount"], page(customer="C16422")["cake"]["data_used"]), (1275, []))
            told = ask("GET", "/api/customers/C16422/consent")[1]
            equal((told["opt_out"], set(told["consent"].values())), (True, {False}), wanted)
            status, answer, _ = ask("PUT", "/api/customers/C16422/consent", {"profile": True})
            equal((status, answer["findings"][0]["reason"], page(customer="C16422")["cake"]["amount"]), (200, "opted_out", 1275))
            consent("C16422", opt_out=False)
            equal(page(customer="C16422")["cake"]["amount"], 1275)  # what was permitted before is not again
        for header in ({"Sec-GPC": "0"}, {"Sec-GPC": "true"}, {}):
            equal(ask("PUT", "/api/customers/C16422/consent", {}, {"Content-Type": "application/json", **header})[0], 400)
        consent("C16422", profile=True)
        equal(page(customer="C16422")["cake"]["amount"], 1211)
        consent("C16422", profile=False, partner=False)

    @check("where a customer is counts once they permit it")
    def _():
        consent("C14911", location=True)
        quote = page(customer="C14911")["milk"]
        equal((quote["amount"], quote["zone"], quote["rests_on"]), (1180, "", ["location"]))  # 1200 x 0.98 = 1176, in whole jiao
        consent("C14911", location=False)
        equal(page(customer="C14911")["milk"]["amount"], 1200)

    @check("where the law asks for words, the quote brings them, when data were read and only then")
    def _():
        service.accept({"type": "zone", "zone": "us-ny", "region": "US-NY"},
                       {"type": "product", "sku": "cake", "zone": "us-ny", "list": 1275, "currency": "GBP"})  # an own price there
        consent("C16422", profile=True)
        wait_until(lambda: page(customer="C16422", zone="us-ny")["cake"].get("disclosure"), 3, "the words")
        quote = page(customer="C16422", zone="us-ny")["cake"]
        equal((quote["disclosure"], quote["data_used"]), ("THIS PRICE WAS SET BY AN ALGORITHM USING YOUR PERSONAL DATA.", ["profile"]))
        equal([page(zone="us-ny")["cake"].get("disclosure"), page(customer="C16422")["cake"].get("disclosure")], [None, None])
        consent("C16422", profile=False)
        quote = page(customer="C16422", zone="us-ny")["cake"]
        equal((quote.get("disclosure"), quote["data_used"]), (None, []))

    @check("why is told with the shop's token")
    def _():
        status, why, _ = ask("GET", "/api/why/cake?customer=C16422&zone=")
        equal((status, why["baseline"], why["model"]), (200, 1275, "gifts"))
        equal(ask("GET", "/api/why/no%20such%2Fthing%3F")[0], 404)

    @check("it tells of its own customers only, takes consents only, and only as its own page sends them")
    def _():
        service.accept(customer("somebody-else", ["profile"], tier="gold"))
        for method, path in (("GET", "/api/customers/somebody-else/consent"), ("PUT", "/api/customers/somebody-else/consent"),
                             ("GET", "/api/page?customer=somebody-else"), ("GET", "/api/why/cake?customer=somebody-else")):
            equal((path, ask(method, path, {"profile": True} if method == "PUT" else None)[0]), (path, 404))
        for body in ({}, [], {"profile": 1}, {"opt_out": 1}, {"gpc": True}, {"hair": True}, {"profile": True, "tier": "gold"}, b"", b"{", b"[" * 4000):
            equal((body, ask("PUT", "/api/customers/C16422/consent", body)[0]), (body, 400))
        equal(ask("PUT", "/api/customers/C16422/consent", b" " * 5000)[0], 413)
        equal(ask("PUT", "/api/customers/C16422/consent", {"profile": True}, {"Content-Type": "text/plain"})[0], 415)
        equal(ask("DELETE", "/api/page")[0], 405)
        equal(ask("GET", "/nothing")[0], 404)
        equal(ask("GET", "/api/page?zone=" + "x" * 70)[0], 400)
        equal(ask("GET", "/api/page?from=18446744073709551616&find=%00")[0], 200)

    @check("the page may load nothing but its own, and nobody may frame it")
    def _():
        _, text, headers = ask("GET", "/")
        require("default-src 'none'" in headers["Content-Security-Policy"] and "frame-ancestors 'none'" in headers["Content-Security-Policy"], headers)
        equal(re.findall(r"https?://|<script>|style=|\son\w+=", text), [])

    def look_at_the_page():
        """Chromium takes some seconds to start: once, for all that is looked at."""
        chromium = browser.Browser()
        url = f"http://127.0.0.1:{PORT}/"
        card = "return document.querySelector('[data-sku=\"%s\"] %s')"

        def text(sku, part):
            return chromium.run(card % (sku, part) + "?.innerText ?? ''")

        def choose(field, value):
            chromium.run("const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('change'))", field, value)

        def eventually(what, wanted, question):
            wait_until(lambda: question() == wanted, 20, what)

        def is_narrow():
            return chromium.run("return document.documentElement.scrollWidth <= window.innerWidth")

        @check("the page shows products and prices in their currencies, and titles of others as text")
        def _():
            chromium.open(url)
            eventually("the price", "£12.75", lambda: text("cake", ".price .amount"))
            equal(text("milk", ".price .amount"), "CN¥12.00")
            equal(text("nasty", "h3"), NASTY)
            require("Demonstration" in chromium.run("return document.body.innerText"), "it does not say what it is")
            equal(chromium.run("return [...document.querySelectorAll('.disclosure:not([hidden])')].length"), 0)

        @check("a switch, by keyboard, moves the price within a second, and says whose data did it; off, both are gone")
        def _():
            choose("customer", "C16422")
            eventually("the switches", False, lambda: chromium.run("return document.getElementById('consents').disabled"))
            # Measured in the page, from the key to the price: what the test's own questions cost is no part of it.
            chromium.run("const s = document.querySelector('[name=profile]'); s.focus();"
                         "s.addEventListener('change', () => { window.began = performance.now(); });"
                         "new MutationObserver(() => { if (document.querySelector('[data-sku=cake] .price .amount').textContent === '£12.11')"
                         " window.took ??= performance.now() - window.began; })"
                         ".observe(document.querySelector('[data-sku=cake]'), {subtree: true, childList: true, characterData: true})")
            chromium.keys(" ")
            eventually("the own price", "£12.11", lambda: text("cake", ".price .amount"))
            took = chromium.run("return window.took")
            note(f"the price moved {took:.0f} ms after the switch")
            require(0 < took < 1000 * SLOW, f"{took} ms")
            require(text("cake", ".baseline").endswith("£12.75 (-5%)"), text("cake", ".baseline"))
            equal(text("cake", ".disclosure"), "This price was set by an algorithm using your personal data. Used: profile.")
            chromium.keys(" ")
            eventually("the baseline", "£12.75", lambda: text("cake", ".price .amount"))
            equal(text("cake", ".disclosure"), "")

        @check("opting out turns every switch off and bars them, until it is taken back; a browser with Global Privacy Control opts out by itself")
        def _():
            def switches():
                return chromium.run("const f = document.getElementById('consents'), o = document.getElementById('opt-out');"
                                    "return [f.disabled, [...f.querySelectorAll('input')].filter((i) => i.checked).map((i) => i.name), o.checked, o.disabled]")
            chromium.click("[name=profile]")
            eventually("the own price", "£12.11", lambda: text("cake", ".price .amount"))
            chromium.click("#opt-out")
            eventually("the baseline", "£12.75", lambda: text("cake", ".price .amount"))
            eventually("all off", [True, [], True, False], switches)
            chromium.click("#opt-out")
            eventually("choose again", [False, [], False, False], switches)
            chromium.click("[name=profile]")
            eventually("the own price", "£12.11", lambda: text("cake", ".price .amount"))
            script = chromium.devtools("Page.addScriptToEvaluateOnNewDocument", source="Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})")
            chromium.devtools("Network.enable")
            chromium.devtools("Network.setExtraHTTPHeaders", headers={"Sec-GPC": "1"})
            chromium.open(url)
            eventually("customers", True, lambda: chromium.run("return document.querySelector('#customer [value=C16422]') !== null"))
            choose("customer", "C16422")
            eventually("all off, and no way on", [True, [], True, True], switches)
            eventually("the baseline", "£12.75", lambda: text("cake", ".price .amount"))
            require("Global Privacy Control" in chromium.run("return document.getElementById('consent-hint').innerText"), "it does not say why")
            chromium.devtools("Network.setExtraHTTPHeaders", headers={})
            chromium.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
            chromium.open(url)
            consent("C16422", opt_out=False)

        @check("prices move while one looks")
        def _():
            service.accept(product("cake", 1300, "GBP", "gifts/all", title="Cake stand"), {"type": "product", "sku": "milk", "list": 990, "currency": "CNY"})
            eventually("the new price", "CN¥9.90", lambda: text("milk", ".price .amount"))

        @check("why opens with its steps and closes")
        def _():
            chromium.click("[data-sku=milk] .why")
            eventually("the steps", True, lambda: "demand" in chromium.run("return document.getElementById('why-text').innerText"))
            chromium.keys("\ue00c")
            eventually("closed", False, lambda: chromium.run("return document.getElementById('why').open"))

        @check("on a phone nothing is wider than the screen, also while why is open")
        def _():
            chromium.screen(320, 640, is_phone=True, scheme="dark")
            chromium.open(url)
            eventually("the price", "CN¥9.90", lambda: text("milk", ".price .amount"))
            require(is_narrow(), "wider than the screen")
            chromium.run("document.querySelector('[data-sku=milk] .why').click()")
            eventually("the steps", True, lambda: "demand" in chromium.run("return document.getElementById('why-text').innerText"))
            require(is_narrow(), "wider than the screen")

        @check("the console was told nothing")
        def _():
            equal(chromium.complaints(), [])

        def look_for_barriers(axe_text):
            @check("axe finds nothing serious or critical: nobody, a customer with terms of their own, why; light and dark, wide and on a phone")
            def _():
                consent("C16422", profile=True)
                for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)):
                    chromium.screen(width, 900, is_phone=width < 500, scheme=scheme)
                    chromium.open(url)
                    eventually("the price", "CN¥9.90", lambda: text("milk", ".price .amount"))
                    chromium.is_open_to_all(axe_text, f"nobody, {scheme} {width}")
                    choose("customer", "C16422")
                    eventually("the words", True, lambda: text("cake", ".disclosure") != "")
                    eventually("the switches", False, lambda: chromium.run("return document.getElementById('consents').disabled"))
                    chromium.is_open_to_all(axe_text, f"a customer, {scheme} {width}")
                    chromium.run("document.querySelector('[data-sku=cake] .why').click()")
                    eventually("the steps", True, lambda: "demand" in chromium.run("return document.getElementById('why-text').innerText"))
                    chromium.is_open_to_all(axe_text, f"why, {scheme} {width}")
                consent("C16422", profile=False)

        axe_text, missing = browser.axe()
        if missing:
            skipped("axe finds nothing serious", missing)
        else:
            look_for_barriers(axe_text)
        chromium.close()

    if VARIANT != "asan":  # the same page: once is enough
        if browser.is_there():
            look_at_the_page()
        else:
            print("ok - the page in a browser # SKIP chromium and chromedriver are not here", flush=True)

@check("with the service gone the shop goes on quoting, and opens the tables of the next")
def _():
    frozen = Service(models=MODELS, http_listen="off", instance=f"{service.instance}b", cache_on_stop="keep")
    end_shop(shop)
    with frozen:
        frozen.accept(product("tea", 500, "GBP", "gifts/all", title="Tea"))
        program = start_shop("--cache", frozen.cache, "--service", f"127.0.0.1:{SERVICE_PORT}")
        wait_until(lambda: ask("GET", "/api/page")[0] == 200 and "tea" in page(), 10, "tea")
        equal(ask("GET", "/api/why/tea")[0], 502)
        equal(frozen.stop(), 0)
        equal(page()["tea"]["amount"], 500)
        frozen.start()
        frozen.accept(product("tea", 600, "GBP", "gifts/all", title="Tea"))
        wait_until(lambda: page()["tea"]["amount"] == 600, 10, "the price of the next")
        end_shop(program, signal.SIGINT)

finish()
