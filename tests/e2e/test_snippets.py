#!/usr/bin/env python3
# release: what it runs is run by other tests with sanitizers; it looks at words
"""Every block of code in README and docs is run by a test: here, or by a check elsewhere that is named here. A block that is new, or that nobody runs any
more, is a failure; the few that cannot be run stand in NOT_RUN, each with its reason."""
import csv
import gzip
import hashlib
import http.client
import shlex

from rialto_test import *

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
PORT, WORK = free_port(), temporary_folder("snippets.")
TOKEN = "t" * 40
DRAWING = "a drawing"
NOT_RUN = {  # a line of the block: why
    "README.md: producers                              rialtod": DRAWING,
    "docs/architecture.md: producers                         rialtod: supervisor": DRAWING,
    "docs/security.md: producers ──signals──▶": DRAWING,
    **{f"docs/concepts.md: {words}": DRAWING for words in ("everybody's", "world ─┬─ c1", "list ──▶ factor", "producer ─▶ gateway", "models/groceries.json", "what is away")},
    "docs/redis.md: MULTI": "the shape of a transaction, with its keys left out",
    "README.md: make run     # installs": "they install packages and run everything; a test runs within the second",
    "CONTRIBUTING.md: make  ": "the same",
    "docs/deployment.md: docker compose run --rm keys rm": "a change of keys by hand; the keys themselves are made and used in tests/compose",
}
ELSEWHERE = {  # a line of the block: file, and the words that its check begins with
    "docs/http.md: openssl req": ("tests/e2e/test_https.py", "docs/http.md: the certificate that is made as printed lets a client in that was given it"),
    "README.md: /* storefront.c": ("tests/e2e/test_readme.py", "the example in the README is the one in the tree"),
    "docs/changes.md: rialto catalogue --at": ("tests/e2e/test_catalogue.py", "--at another moment"),
    "docs/deployment.md: token=$(docker compose run": ("tests/compose/run.sh", "a producer has one, which sends signals over HTTP"),
    "docs/deployment.md: docker compose up --build": ("tests/compose/run.sh", "docker compose up: all are healthy"),
    "docs/privacy.md: customer id (a pseudonym)": ("tests/e2e/test_docs.py", "docs/privacy.md lists what is stored"),
    "docs/shop.md: build/bin/rialto-shop --token-file": ("tests/e2e/test_shop.py", "it shows what is for sale"),
    'docs/signals.md: {"type":"product","sku":"milk-1l"': ("tests/e2e/test_docs.py", "every signal that the pages show is accepted"),
    'docs/signals.md: {"type":"product","sku":"potatoes-5kg"': ("tests/e2e/test_docs.py", "every signal that the pages show is accepted"),
    'docs/signals.md: {"type":"customer","customer":"C123","consent":{"profile":{': ("tests/e2e/test_docs.py", "every signal that the pages show is accepted"),
    'docs/signals.md: {"type":"demand","event":"view","sku":"vase","category":"gif': ("tests/e2e/test_docs.py", "every signal that the pages show is accepted"),
    'docs/signals.md: {"type":"customer","customer":"C123","tier":"gold","tier_unt': ("tests/e2e/test_docs.py", "every signal that the pages show is accepted"),
    "docs/your-shop.md: cp -r examples/my-shop": ("tests/e2e/test_import.py", "docs/your-shop.md as printed"),
    "docs/your-shop.md: build/bin/rialto import --dry-run my-shop/products.csv my-shop/stock.csv": ("tests/e2e/test_import.py", "docs/your-shop.md as printed"),
    "docs/your-shop.md: build/bin/rialto check my-shop": ("tests/e2e/test_import.py", "docs/your-shop.md as printed"),
    "docs/your-shop.md: build/bin/rialto quote - tea-mint-100": ("tests/e2e/test_import.py", "docs/your-shop.md as printed"),
    **{f'docs/recipes.md: "model": "{name}",': ("tests/e2e/test_recipes.py", "each model is good, by itself")
       for name in ("kinds", "surge", "umbrellas", "happy-hour", "clearing", "meeting", "loyalty", "favourites", "heavy", "reminders")},
}


class Block:
    def __init__(self, page, text):
        self.page, self.text, self.ran = page, text, False
        self.lines = [line.strip() for line in text.splitlines() if line.strip()]
        self.name = f"{page}: {self.lines[0][:60]}"

    def stands_for(self, key):
        page, _, words = key.partition(": ")
        return page == self.page and any(line.startswith(words.strip()) for line in self.lines)


BLOCKS = [Block(str(page.relative_to(ROOT)), text) for page in PAGES for text in re.findall(r"^ *```\w*\n(.*?)^ *```$", page.read_text(), re.M | re.S)]


def block(page, begins):
    """The one block of the page with a line that begins so: it counts as run from here on."""
    found = [b for b in BLOCKS if b.stands_for(f"{page}: {begins}")]
    equal(len(found), 1, f"blocks of {page} with {begins!r}")
    found[0].ran = True
    return found[0].text


def words_of(line):
    return shlex.split(line, comments=True)


def curl(line, **instead):
    """The command of a page, by Python's own HTTP: the image of a test may lack curl. Status and body."""
    words, headers, data, url = words_of(line), {}, None, ""
    equal(words.pop(0), "curl")
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value.replace("$token", instead.get("token", TOKEN))
        elif word == "-d":
            data = words.pop(0)
        else:
            url = word
    require(url.startswith("http://127.0.0.1:7480/"), url)
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)
    try:
        connection.request("POST" if data else "GET", url.removeprefix("http://127.0.0.1:7480"), data, {"Content-Type": "application/x-www-form-urlencoded", **headers} if data else headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def rialto(service, line, ok=0):
    words = words_of(line)
    require(words[0] in ("rialto", "build/bin/rialto"), line)
    status, out, err = service.cli(words[1], *words[2:])
    equal((line, status), (line, ok), out + err)
    return out


def redis_cli(service, line):
    """Its own words on the instance of this test."""
    words = [word.replace("rialto:", f"{service.instance}:") for word in words_of(line)]
    equal(words.pop(0), "redis-cli")
    if words[0] == "-s":
        words = words[2:]
    status, out, err = run("redis-cli", "-s", service.data / "redis.sock", *words)
    equal((line, status), (line, 0), err)
    return out.strip()


(WORK / "tokens").write_text(f"shop till {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
MODEL = simple_model(scope={"categories": ["*"], "currencies": ["EUR", "CNY"]})
with Service(models={"shop.json": MODEL}, http_listen=f"127.0.0.1:{PORT}", http_tokens_file=WORK / "tokens") as service:
    wait_until(lambda: socket.create_connection(("127.0.0.1", PORT), 1).close() is None, 10, "the HTTP door")

    @check("README: a first price, the price that changes, the status; the same out of Redis")
    def _():
        for line in block("README.md", "build/bin/rialto signal").splitlines():
            if words_of(line)[1] != "watch":
                rialto(service, line)
                continue
            watch = subprocess.Popen([BIN / "rialto", "watch", "--cache", service.cache], stdout=subprocess.PIPE, preexec_fn=die_with_the_test)
            end = time.monotonic() + 20 * SLOW
            turn = itertools.cycle((1300, 1200))
            seen = threading.Thread(target=watch.stdout.readline, daemon=True)
            seen.start()
            while seen.is_alive() and time.monotonic() < end:
                service.accept({"type": "product", "sku": "milk-1l", "list": next(turn), "currency": "CNY"})
                seen.join(0.2)
            watch.terminate()
            watch.wait()
            require(not seen.is_alive(), "no change was seen")
        service.accept({"type": "product", "sku": "milk-1l", "list": 1200, "currency": "CNY"})
        service.accept(customer("anna", ["behaviour"]))  # as the README says
        service.cli("quote", "--watch", "anna", "milk-1l")
        quote, cell = block("README.md", "redis-cli -s run/redis.sock HMGET").splitlines()
        wait_until(lambda: '"amount":1080' in redis_cli(service, quote), 10, "what Anna, gold, pays")
        wait_until(lambda: '"amount":1200' in redis_cli(service, cell), 10, "what anybody pays")

    @check("docs/redis.md: its questions have answers, and a quote has the members that the page shows")
    def _():
        service.accept({"type": "zone", "zone": "c1/s25"}, {"type": "product", "sku": "milk-1l", "zone": "c1/s25", "list": 1100, "currency": "CNY"},
                       customer("C123", ["profile", "behaviour"], tier="gold"))
        service.cli("quote", "--watch", "--zone", "c1/s25", "C123", "milk-1l")
        for line in block("docs/redis.md", "redis-cli HGET 'rialto:quote:{C123}' milk-1l").splitlines():
            told = wait_until(lambda: redis_cli(service, line), 10, line)
            quote = json.loads(told.splitlines()[-1])
        shown = json.loads(block("docs/redis.md", '{"amount":114,"baseline"'))
        require(set(quote) <= set(shown), f"not on the page: {set(quote) - set(shown)}")
        require({"amount", "baseline", "list", "currency", "decimals", "text", "flags", "zone", "model", "version", "as_of"} <= set(quote), quote)

    @check("docs/redis.md: a user with these rights and no others is taken by Redis, and may do what the page says")
    def _():
        rights = " ".join(block("docs/redis.md", "ACL SETUSER rialto").split())
        out = redis_cli(service, "redis-cli " + rights.replace("rialto:*", f"{service.instance}:*"))
        equal(out, "OK")
        as_user = ["redis-cli", "-s", service.data / "redis.sock", "--no-auth-warning", "--user", "rialto", "--pass", "PASSWORD"]
        equal([run(*as_user, *words)[1].split()[0] for words in (("SET", f"{service.instance}:here:{{x}}", "1"), ("SET", "elsewhere", "1"), ("FLUSHALL",))],
              ["OK", "NOPERM", "NOPERM"])
        run("redis-cli", "-s", service.data / "redis.sock", "ACL", "DELUSER", "rialto")

    @check("docs/redis.md: with these rights a service keeps its state, comes back from it, and is refused nothing; without the newest of them as well")
    def _():
        rights = " ".join(block("docs/redis.md", "ACL SETUSER rialto").split())
        password = WORK / "redis-password"
        password.write_text("PASSWORD\n")
        password.chmod(0o600)
        for less in ((), ("+type", "+hlen")):
            redis = OwnRedis()
            redis(*[word for word in rights.split() if word not in less])
            with Service(models={"shop.json": MODEL}, redis_url=f"unix:{redis.socket}", redis_user="rialto", redis_password_file=password, instance="rialto") as own:
                own.accept(product("rights", 1000))
                own.wait_durable()
                wait_until(lambda: redis("HEXISTS", "rialto:cell:{world}", "rights") == 1, 5, "the price in Redis")
                own.accept(customer("rita", ["behaviour", "profile"]), {"type": "demand", "event": "view", "sku": "rights", "customer": "rita"})
                wait_until(lambda: redis("HEXISTS", "rialto:quote:{rita}", "rights") == 1, 5, "her quote in Redis")
                require(own.ask({"control": "lock", "customer": "rita", "sku": "rights", "amount": 1000, "until": own.now_ms() + 60000})["ok"], "no lock")
                own.ask({"type": "no such type"})
                wait_until(lambda: redis("EXISTS", "rialto:rejects") == 1, 5, "a dead letter in Redis")
                equal(own.cli("forget", "rita")[0], 0)
                wait_until(lambda: redis("EXISTS", "rialto:quote:{rita}") == 0, 5, "her quote gone")
                own.kill()
                shutil.rmtree(own.cache, ignore_errors=True)
                shutil.rmtree(own.data / "state")
                own.start()
                own.accept(product("rights-2", 1000))
                own.wait_durable()
                equal(own.cli_quote("rights")[1][0]["status"], "OK")
                require(less or "NOPERM" not in own.log(), [line for line in own.log().splitlines() if "NOPERM" in line])
            redis.kill()

    @check("docs/redis.md: the rights are the commands that the programs send, and no others")
    def _():
        page = (ROOT / "docs/redis.md").read_text()
        there = set(run("redis-cli", "-s", service.data / "redis.sock", "COMMAND", "LIST")[1].split())
        sources = "".join(p.read_text() for folder in ("service", "cli", "demo", "web/shop") for p in (ROOT / folder).glob("*.c"))
        sent = {word.lower() for word in re.findall(r'"([A-Z]{3,})[" ]', sources)} & there
        allowed = {word[1:].split("|")[0] for word in block("docs/redis.md", "ACL SETUSER rialto").split() if word.startswith("+")}
        also = set(re.findall(r"\+(\w+)", re.search(r"^`rialto rejects` needs.*", page, re.M)[0]))
        # What only its own Redis is sent, and how an answer begins.
        equal((sent - allowed - also, allowed - sent, also - sent), ({"bgrewriteaof", "readonly"}, set(), set()))

    @check("docs/http.md: quotes and prices as printed; a token that is made as printed lets in")
    def _():
        one, page, prices = block("docs/http.md", "curl 'http://127.0.0.1:7480/v1/quotes").splitlines()
        equal((curl(one)[0], json.loads(curl(one)[1])["quote"]["amount"]), (200, 1080))
        equal([item["status"] for item in json.loads(curl(page)[1])["quotes"]], ["OK", "UNKNOWN_PRODUCT"])
        equal(json.loads(curl(prices)[1].splitlines()[0])["sku"], "milk-1l")
        *making, asking = block("docs/http.md", "token=$(head").splitlines()
        status, token, err = run("sh", "-c", "\n".join([*making, 'printf %s "$token"']), cwd=WORK)
        equal((status, len(token)), (0, 43), err)
        equal(curl(asking, token=token)[0], 200)
        equal(curl(asking, token=token[::-1])[0], 401)

with Service(models={"shop.json": MODEL}, http_listen=f"127.0.0.1:{PORT}", http_tokens_file=WORK / "tokens") as service:
    wait_until(lambda: socket.create_connection(("127.0.0.1", PORT), 1).close() is None, 10, "the HTTP door")

    @check("docs/locks.md: from quote to lock, over the command line and HTTP; the checkout's lines find it valid")
    def _():
        service.accept({"type": "product", "sku": "milk-1l", "category": "fresh/dairy", "list": 121, "currency": "EUR"}, customer("anna", ["profile"], tier="gold"))
        wait_until(lambda: service.amount("milk-1l", customer="anna") == 109, 5, "1.09 EUR")
        quote, lock, over_http = block("docs/locks.md", "rialto quote anna milk-1l").splitlines()
        contains(rialto(service, quote), "1.09 EUR")
        signed = re.search(r"rialto1\.\S+", rialto(service, lock)).group(0).strip('"')
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(service.now_ms() / 1000 + 600))
        status, answer = curl(re.sub(r'"until":"[^"]*"', f'"until":"{until}"', over_http))
        equal((status, json.loads(answer)["lock"]["amount"]), (200, 109), answer)
        (WORK / "checkout.c").write_text("#include <rialto/verify.h>\n#include <stdio.h>\n#include <time.h>\nint main(int argc, char *argv[])\n{\nconst char *keys = argv[1], *token = argv[2];\n"
                                         "(void)argc;\n" + block("docs/locks.md", "struct rialto_lock_expected expected") + "return verdict != RIALTO_VERDICT_VALID;\n}\n")
        sanitizer = ["-fsanitize=address,undefined"] if VARIANT == "asan" else []
        status, out, err = run("gcc", "-std=c17", "-Wall", "-Wextra", *sanitizer, f"-I{ROOT}/include", "-o", WORK / "checkout", WORK / "checkout.c", f"-L{LIB}", f"-Wl,-rpath,{LIB}", "-lrialto-verify")
        equal(status, 0, err)
        keys = service.cli("keys", "--set", f"data_dir={service.data}")[1]
        equal(run(WORK / "checkout", keys, signed)[:2], (0, ""))
        equal(run(WORK / "checkout", keys, signed[:-8] + "AAAAAAAA")[:2], (1, "BAD_SIGNATURE\n"))

    @check("docs/signals.md: an event is taken; an answer to three signals looks as it is shown")
    def _():
        event = json.loads(block("docs/signals.md", '{"specversion":"1.0"'))
        event["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(service.now_ms() / 1000))
        equal((service.ask(event)["accepted"], service.ask(event)["findings"][0]["reason"]), (1, "duplicate"))
        for signal in ('{"type":"customer","customer":"C123","consent":{"profile":{', '{"type":"customer","customer":"C123","tier":"gold","tier_unt'):
            sent = json.loads(block("docs/signals.md", signal))
            equal((service.ask(sent)["accepted"], service.ask(sent)["rejected"]), (1, 0), signal)
        offer = json.loads(block("docs/signals.md", '{"type":"offer","customer":"C123","sku":"milk-1l","kind":"percent","percent":20'))
        offer["until"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(service.now_ms() / 1000 + 3600))
        service.accept(customer("C123", ["profile", "purchases"]))
        equal(service.ask(offer)["findings"], [])
        shown = json.loads(block("docs/signals.md", '{"accepted":2,"rejected":1'))
        equal(service.ask([product("a", 100), product("b", 0), product("c", 100)]), shown)


@check("docs/config.md: a file as printed is good, a fault in it is told as printed")
def _():
    checks = block("docs/config.md", "rialtod --config /etc/rialto/rialto.json --set worker_count=4").splitlines()
    text = block("docs/config.md", "// One brand, one instance")
    for folder in ("data", "models"):
        (WORK / folder).mkdir(exist_ok=True)
    (WORK / "models/shop.json").write_text(json.dumps(MODEL))
    text = text.replace("/var/lib/rialto", str(WORK / "data")).replace("/etc/rialto/models", str(WORK / "models"))
    (WORK / "rialto.json").write_text(text)
    for line in checks:
        words = [word.replace("/etc/rialto/", f"{WORK}/") for word in words_of(line)]
        equal(words.pop(0), "rialtod")
        status, out, err = run(BIN / "rialtod", *words, *([] if "--check" in words else ["--check"]))
        equal((line, status), (line, 0), out + err)
    (WORK / "rialto.json").write_text(text.replace('"worker_count": 4', '"worker_count": 65'))
    status, out, err = run(BIN / "rialtod", "--check", "--config", WORK / "rialto.json")
    require(status != 0, "65 workers were taken")
    contains(out + err, block("docs/config.md", "rialto.json:").strip())


@check("docs/models.md: its model is good")
def _():
    (WORK / "bakery.json").write_text(block("docs/models.md", '"model": "bakery"'))
    status, out, err = run(BIN / "rialto", "check", WORK / "bakery.json")
    equal(status, 0, out + err)


@check("docs/your-shop.md: faults look as they are shown; tables with names of their own are taken as printed")
def _():
    rows = (ROOT / "examples/my-shop/products.csv").read_text().splitlines()
    rows += ["more-" + row for row in rows[1:]]
    shop = WORK / "my-shop"
    shop.mkdir()

    def look(line):
        words = words_of(line)
        equal(words[:2], ["build/bin/rialto", "import"])
        return run(BIN / "rialto", *words[1:], cwd=WORK)

    def with_cell(row, column, value):
        cells = next(csv.reader([rows[row - 1]]))
        cells[column] = value
        return ",".join(f'"{cell}"' for cell in cells)
    (shop / "products.csv").write_text("\n".join([*rows[:2], with_cell(3, 3, "4.505"), *rows[3:6], with_cell(7, 2, "c" * 64), *rows[7:]]) + "\n")
    status, out, err = look("build/bin/rialto import --dry-run my-shop/products.csv")
    equal((status, [line.removeprefix("my-shop/") for line in out.splitlines()[:2]]), (4, block("docs/your-shop.md", "products.csv:3:D").splitlines()), err)
    renamed = rows[0].replace("sku", "Article no.").replace("list", "Price").replace("cost,currency", "cost,Colour")
    (shop / "products.csv").write_text("\n".join([renamed, *rows[1:]]) + "\n")
    (shop / "Artikel.csv").write_text("\ufeffArticle no.;Price;category;Pieces\r\nx-1;19,90;drinks/tea;12\r\n")
    (shop / "Kunden.csv").write_text("Kunde;Stufe;darf\nk-1;Stammkunde;ja\nk-2;keine;nein\n")
    for line in (block("docs/your-shop.md", "build/bin/rialto import --dry-run --map 'Article no.=sku'") +
                 block("docs/your-shop.md", "build/bin/rialto import --dry-run --as customers")).splitlines():
        status, out, err = look(line)
        equal((line, status), (line, 0), out + err)
    (line,) = block("docs/your-shop.md", "build/bin/rialtod --set").splitlines()
    shutil.copytree(ROOT / "examples/my-shop/models", shop / "models")
    equal(run(BIN / "rialtod", "--check", *words_of(line)[1:], cwd=WORK)[0], 0)


def cut(name, keep):
    """Rows of the bundled data: the header, and those of which `keep` is true."""
    with gzip.open(ROOT / f"demo/data/{name}.csv.gz", "rt", encoding="utf-8") as rows:
        text = next(rows) + "".join(row for row in rows if keep(row.split(",")))
    (WORK / f"{name}.csv").write_text(text)


cut("fresh_hourly", lambda cells: cells[3] == "31" and cells[4] == "4")
cut("fresh_daily_price", lambda cells: cells[2] == "31" and cells[3] == "4")
cut("fresh_store_weather", lambda cells: cells[2] == "31")
cut("fresh_product", lambda cells: cells[0] == "4")
cut("online_retail", lambda cells: cells[1] == "22838" or cells[-2] == "16422")
CUT = ["--fresh", WORK, "--retail", WORK / "online_retail.csv"]
SHIPPED = {str(path.relative_to(ROOT / "models")): path.read_text() for path in (ROOT / "models").rglob("*.json") if "schema" not in path.parts}
with Service(models=SHIPPED, clock_replay=1, cache_on_stop="remove", http_listen=f"127.0.0.1:{PORT}") as service:
    # What the command line is told by its default folders: where this test has them.
    OWN = {"explain", "diff", "apply", "rollback", "changes", "freeze", "export", "forget", "simulate"}

    def tour(begins):
        said = []
        for line in block("docs/tutorial.md", begins).splitlines():
            words = words_of(line)
            if words[0] != "build/bin/rialto":
                status, out, err = run("sh", "-c", line, cwd=WORK)
                equal((line, status), (line, 0), err)
                continue
            more = ["--set", f"data_dir={service.data}"] if words[1] in OWN else []
            more += CUT if words[1] == "replay" else []
            status, out, err = run(BIN / "rialto", words[1], "--cache", service.cache, "--url", service.request_ipc, *more, *words[2:], cwd=WORK, timeout=60)
            equal((line, status), (line, 0), out + err)
            said.append(out)
        return said

    @check("docs/tutorial.md: every command of the tour works on a cut of the data, and shows what the page says")
    def _():
        shutil.copytree(ROOT / "models", WORK / "models", dirs_exist_ok=True)
        equal(service.cli("replay", "--seconds", "0", *CUT, timeout=60)[0], 0)
        contains(tour("build/bin/rialto status")[1], "c1/s31")
        contains(tour("build/bin/rialto explain F4")[0], "scarcity")
        own, others, why = tour("build/bin/rialto quote - G22838")
        require("personal" in own and "personal" not in others and "tier gold (consent to profile)" in why, why[-600:])
        require("personal" not in tour("build/bin/rialto signal --json-text")[1], "the consent still counts")
        tour("build/bin/rialto export C16422")
        contains(tour("cp -r models my-models")[1], "prices: ")
        tour("build/bin/rialto replay --out")
        applied, changes, back = tour("build/bin/rialto apply --note")
        contains(changes, "a tour")
        tour("build/bin/rialto freeze --category")

    @check("docs/operations.md: a frame of rialto top has the rows that are shown")
    def _():
        shown, (status, out, err) = block("docs/operations.md", "shop: healthy"), run(BIN / "rialto", "top", "--once", "--cache", service.cache)
        equal(status, 0, err)
        rows = [[re.match(r" *(at most|\S+( to price| lag)?)", line).group(1) for line in text.splitlines()[1:] if line.strip() and "worker." not in line and not line.startswith("q:")] for text in (shown, out)]
        missing = [row for row in rows[0] if row not in rows[1]]
        require(not missing, f"rows that are not told: {missing}; told: {rows[1]}")

    @check("docs/operations.md: what was backed up as printed quotes the same after everything else was lost")
    def _():
        service.accept(product("kept", 700, "GBP", "gifts/all"), customer("anna", ["profile"], tier="gold"))
        before = [service.amount("kept"), service.amount("kept", customer="anna"), service.amount("F4", zone="c1/s31")]
        require(before[1] < before[0], before)
        service.wait_durable()
        equal(service.stop(), 0)
        for line in block("docs/operations.md", "tar -C run --exclude=./state").splitlines():
            status, out, err = run("sh", "-c", line.replace("-C run ", f"-C {service.data} "), cwd=WORK)
            equal((line, status), (line, 0), err)
        shutil.rmtree(service.data)
        shutil.rmtree(service.cache, ignore_errors=True)
        shutil.move(WORK / "restored", service.data)
        service.start()
        wait_until(lambda: service.cli("quote", "-", "kept")[0] == 0, 20, "the product again")
        wait_until(lambda: [service.amount("kept"), service.amount("kept", customer="anna"), service.amount("F4", zone="c1/s31")] == before, 20, f"{before}")


if VARIANT == "release":
    @check("README: what is installed is found by pkg-config, and a shop builds with it")
    def _():
        install, build = block("README.md", "make install PREFIX=").splitlines()
        prefix = WORK / "usr"
        status, out, err = run(*[word.replace("/usr/local", str(prefix)) for word in words_of(install)], "VARIANT=release", cwd=ROOT, timeout=120,
                               env={name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")})
        equal(status, 0, err[-500:])
        (WORK / "shop.c").write_text((ROOT / "examples/storefront.c").read_text())
        status, out, err = run("sh", "-c", build.split("#")[0] + f" -o shop && LD_LIBRARY_PATH={prefix}/lib ./shop anna milk-1l 120", cwd=WORK,
                               env={**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig", "RIALTO_CACHE": str(WORK / "nothing")})
        equal((status, out), (0, "anna pays 1.20 GBP for milk-1l (list price)\n"), err)
else:
    block("README.md", "make install PREFIX=")


@check("every block of code of README and docs is run by a test; those that cannot be are the ones listed")
def _():
    for key, (path, words) in ELSEWHERE.items():
        source = (ROOT / path).read_text()
        require(any(f'{form}{words}' in source for form in ('@check("', '@check(f"', 'check "')), f"{path} has no check {words!r}")
    for key in (*NOT_RUN, *ELSEWHERE):
        require(any(b.stands_for(key) for b in BLOCKS), f"there is no such block any more: {key}")
    nobody = [b.name for b in BLOCKS if not b.ran and not any(b.stands_for(key) for key in (*NOT_RUN, *ELSEWHERE))]
    equal(nobody, [], "blocks that no test runs")
    note(f"{len(BLOCKS)} blocks: {sum(b.ran for b in BLOCKS)} run here, {len(NOT_RUN)} not run")
finish()
