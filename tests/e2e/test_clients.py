#!/usr/bin/env python3
# release: programs of other languages cannot load a library with sanitizers
"""The clients for Python, Node.js, PHP and Java answer what the command line answers, for every kind of question: one program in
each language (tests/clients) is asked the same. They stay open while the service replaces its tables; their examples run as printed."""
import pwd
import subprocess

from rialto_test import *

WORK = temporary_folder()
# None of the four languages' own programs can load a library that is built with a sanitizer: the release one reads the same tables.
LIBRARY = (LIB if VARIANT in ("release", "clang") else ROOT / "build/release/lib").resolve()
JNA = "/usr/share/java/jna.jar"
ENV = {**os.environ, "RIALTO_LIBRARY": str(LIBRARY / "librialto.so"), "RIALTO_LIB": str(LIBRARY), "RIALTO_INCLUDE": str(ROOT / "include"),
       "RIALTO_ADDON": str(WORK / "rialto.node"), "LD_LIBRARY_PATH": str(LIBRARY)}
JAVA = ["java", "-cp", f"{WORK}/java:{JNA}", f"-Drialto.library={LIBRARY}/librialto.so", "-XX:+UseSerialGC", "-Xshare:auto"]
COMMANDS = {
    "Python": ["python3", ROOT / "tests/clients/driver.py"],
    "Node.js": ["node", ROOT / "tests/clients/driver.js"],
    "PHP": ["php", ROOT / "tests/clients/driver.php"],
    "Java": [*JAVA, "Driver"],
}


class Client:
    """One shop's program, asked line by line."""

    def __init__(self, language, cache):
        self.process = subprocess.Popen([*map(str, COMMANDS[language]), str(cache)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=ENV, preexec_fn=die_with_the_test, encoding="utf-8")

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or '{"error": "it ended"}')

    def end(self):
        self.process.stdin.close()
        return self.process.wait(20)


@check("the Node.js addon builds as its package builds it, without a warning")
def _():
    status, out, err = run("node", ROOT / "clients/node/build.js", ENV["RIALTO_ADDON"], env=ENV)
    equal((status, out + err), (0, ""))


@check("the Java classes compile for Java 17, without a warning")
def _():
    sources = [*(ROOT / "clients/java/src/rialto").glob("*.java"), ROOT / "clients/java/Example.java", ROOT / "tests/clients/Driver.java"]
    status, out, err = run("javac", "-Xlint:all,-processing", "-Werror", "--release", "17", "-d", WORK / "java", "-cp", JNA, *sources, timeout=60)
    equal((status, out + err), (0, ""))


TYPES = """import { Prices, Quote, RialtoError, PAGE_MAX, Kind, Request } from 'rialto-prices';
const asked: Request = { customer: 'anna', zone: 'de/south', basis: 'store', currency: 'EUR' };
const prices: Prices = new Prices('/nowhere');
try {
    const one: Quote = prices.quote('milk-1l', asked), page: Quote[] = prices.page(['milk-1l'], asked);
    const kinds: Kind[] = one.dataUsed.concat(page[0]!.restsOn);
    const money: number = one.amount + one.baseline + PAGE_MAX + prices.now().getTime() + kinds.length;
    console.log(`${one.text} ${one.ok} ${money}`);
} catch (error) {
    if (error instanceof RialtoError) console.log(error.status);
}
prices.close();
"""
TYPESCRIPT = "typescript@5.9.2"


def types_are_checked():
    folder = temporary_folder("types.")
    missing = npm_install(folder, TYPESCRIPT)
    if missing:
        skipped("the Node.js client's types", missing)
        return

    def compile(text):
        (folder / "shop.ts").write_text(text)
        return run("node", folder / "node_modules/typescript/bin/tsc", "--strict", "--noEmit", "--target", "es2022", "--lib", "es2022,dom", "--module", "node16", "--moduleResolution", "node16",
                   folder / "shop.ts", cwd=folder, timeout=60 * SLOW)
    (folder / "node_modules/rialto-prices").symlink_to(ROOT / "clients/node")

    @check("the Node.js client's types compile strictly, refuse what is none, and name every member that a quote has and no other")
    def _():
        equal(compile(TYPES)[:2], (0, ""))
        status, out, _ = compile(TYPES.replace("'store'", "'moon'").replace("one.amount +", "one.price +").replace("customer: 'anna'", "customer: 7"))
        require(status != 0, "no mistake was found")
        equal(sorted(re.findall(r"^shop.ts\((\d+),", out, re.M)), ["2", "2", "7"], out)
        declared = re.search(r"class Quote \{(.*?)\n\}", (ROOT / "clients/node/index.d.ts").read_text(), re.S)[1]
        source = re.search(r"class Quote \{(.*?)\n\}", (ROOT / "clients/node/index.js").read_text(), re.S)[1]
        members = [own or got for own, got in re.findall(r"^ {8}this\.(\w+) =|^ {4}get (\w+)\(", source, re.M)]
        equal(sorted(re.findall(r"readonly (\w+):", declared)), sorted(members))


if VARIANT != "asan":  # the same types: once is enough
    types_are_checked()


def expected(row):
    """What the command line printed for one product, in the words of the drivers."""
    quote = row.get("quote")
    if quote is None:
        return {"status": row["status"], "amount": 0, "text": ""}
    return {"status": "OK", **{k: quote[k] for k in ("amount", "baseline", "list", "currency", "decimals", "text")},
            "disclosure": quote["disclosure"], "disclosure_text": quote.get("disclosure_text", ""),
            "flags": sorted(quote["flags"]), "rests_on": sorted(quote["rests_on"]), "data_used": sorted(quote["data_used"]), "zone": quote["zone"].replace("world", ""),
            "multiplier_e4": round(quote["multiplier"] * 10000)}


def compare(found, wanted, what):
    equal({k: found.get(k) for k in wanted}, wanted, what)


WORDS = "Set with your data: \"ä\" " + "x" * 90  # of what a policy asks for, the longest that it may ask for is 127 bytes
POLICY = {"policy": "south", "version": "1", "about": "words", "status": "in_force", "regions": ["DE-BY"], "disclosure": {"code": 7, "text": WORDS, "citation": "of the house"}}
PEOPLE = [None, "anna", "ben", "Zoë 7", "tess"]  # tess permits what moves nothing
PLACES = [{}, {"zone": "de/south"}, {"zone": "fr"}, {"zone": "de", "basis": "ip"}]
SKUS = ["milk", "Käse/ganz alt №5", "bread", "unicorn", "car"]


def shop(service):
    service.accept({"type": "zone", "zone": "de", "region": "DE-BY"}, product("milk", 1000), product("milk", 2000, zone="de"), product("Käse/ganz alt №5", 555), product("bread", 205),
                   product("car", 1234567), customer("anna", ["profile"], tier="gold"), customer("Zoë 7", ["profile"], tier="gold"),
                   customer("tess", ["profile"], tier="bronze"),
                   {"type": "offer", "customer": "anna", "sku": "bread", "kind": "fixed", "amount": 150, "currency": "EUR"})


def examples(service):
    """Each 10-line example, as its first line says it is run."""
    env = {**ENV, "RIALTO_CACHE": str(service.cache), "NODE_PATH": str(WORK / "node_modules")}
    (WORK / "node_modules").mkdir()
    (WORK / "node_modules/rialto-prices").symlink_to(ROOT / "clients/node")
    for language, command in {"Python": ["python3", ROOT / "clients/python/example.py"], "PHP": ["php", ROOT / "clients/php/example.php"],
                              "Node.js": ["node", ROOT / "clients/node/example.js"], "Java": [*JAVA, "Example"]}.items():
        @check(f"{language}: the example prints anna's price of milk, and why there is none of a unicorn")
        def _():
            status, out, err = run(*command, "anna", "milk", "unicorn", env=env)
            equal((status, out.splitlines(), err), (0, ["anna pays 9.00 EUR for milk", "anna pays UNKNOWN_PRODUCT for unicorn"], ""))


def preloaded(service):
    """As a web server's PHP runs: FFI only for what opcache.preload loaded, and no library path in the program."""
    @check("PHP: behind a web server, where FFI is allowed to preloaded files only, the three lines of php.ini are enough")
    def _():
        command = ["php", "-d", "opcache.enable_cli=1", "-d", "ffi.enable=preload", "-d", f"ffi.preload={ROOT}/clients/php/rialto.ffi.h", "-d", f"opcache.preload={ROOT}/clients/php/preload.php",
                   "-d", "opcache.preload_user=" + pwd.getpwuid(os.getuid()).pw_name, ROOT / "tests/clients/preloaded.php", service.cache]
        status, out, err = run(*command, env={key: value for key, value in ENV.items() if key != "RIALTO_LIBRARY"})
        equal((status, out, err), (0, "9.00 EUR\n", ""))


with Service({"shop.json": simple_model(), "policies/south.json": POLICY}, cache_on_stop="remove") as service:
    shop(service)
    clients = {}
    for language in COMMANDS:
        clients[language] = client = Client(language, service.cache)

        @check(f"{language}: single quotes are those of the command line, for five people in four places")
        def _():
            found = client.ask(sku="milk", customer="tess")
            equal((found["rests_on"], found["data_used"]), ([], ["profile"]))  # read, and it moved nothing
            for who in PEOPLE:
                for place in PLACES:
                    arguments = {**({"customer": who} if who else {}), **place}
                    _, rows = service.cli_quote(*SKUS, **arguments)
                    for sku, row in zip(SKUS, rows):
                        found = client.ask(sku=sku, **arguments)
                        if row["status"] == "OK":
                            compare(found, expected(row), f"{sku} {arguments}")
                            equal(found["sku"], sku)
                        else:
                            equal(found, {"error": row["status"]}, f"{sku} {arguments}")

        @check(f"{language}: the words that a policy asks for come with the price, alone and in a page, where data were read and nowhere else")
        def _():
            asked = {"customer": "tess", "zone": "de/south"}
            equal(client.ask(sku="milk", **asked)["disclosure_text"], WORDS)
            equal([q["disclosure_text"] for q in client.ask(skus=["unicorn", "milk", "bread"], **asked)], ["", WORDS, ""])  # bread has the price of the world
            equal([client.ask(sku="milk", **other)["disclosure_text"] for other in ({**asked, "zone": "fr"}, {**asked, "customer": None})], ["", ""])

        @check(f"{language}: a page answers each product by itself, in order")
        def _():
            _, rows = service.cli_quote(*SKUS, customer="anna", zone="de")
            found = client.ask(skus=SKUS, customer="anna", zone="de")
            for sku, row, quote in zip(SKUS, rows, found, strict=True):
                compare(quote, {"sku": sku, **expected(row)}, sku)

        @check(f"{language}: a page of 512 is answered, one of 513 refused, an empty one is empty")
        def _():
            found = client.ask(skus=["milk", "unicorn"] * 256, customer="anna")
            equal([(q["status"], q["amount"]) for q in found], [("OK", 900), ("UNKNOWN_PRODUCT", 0)] * 256)
            equal(client.ask(skus=["milk"] * 513), {"error": "BAD_INPUT"})
            equal(client.ask(skus=[]), [])

        @check(f"{language}: bounds, times and levels are those of the C struct")
        def _():
            library = Library(service.cache)
            for sku in ("milk", "bread"):
                _, quote = library.quote(sku, "anna", "de")
                found = client.ask(sku=sku, customer="anna", zone="de")
                for name, member in {"floor": "floor", "ceiling": "ceiling", "level": "zone_level", "as_of_ms": "as_of_ms",
                                     "valid_until_ms": "valid_until_ms", "disclosure": "disclosure"}.items():
                    equal(found[name], getattr(quote, member), f"{sku} {name}")
            library.close()

        @check(f"{language}: another currency, an id that is too long, and one with a 0 in it have names of their own")
        def _():
            equal(client.ask(sku="milk", currency="USD"), {"error": "OTHER_CURRENCY"})
            equal(client.ask(sku="milk", currency="EUR")["amount"], 1000)
            for bad in ("x" * 64, "milk\0", "ä" * 32):
                equal(client.ask(sku=bad), {"error": "BAD_INPUT"}, repr(bad))
                equal(client.ask(sku="milk", customer=bad), {"error": "BAD_INPUT"}, repr(bad))
                equal([q["status"] for q in client.ask(skus=["milk", bad])], ["OK", "BAD_INPUT"], repr(bad))
            equal(client.ask(sku="x" * 63), {"error": "UNKNOWN_PRODUCT"})

    examples(service)
    preloaded(service)

    service.stop()
    service.start()
    shop(service)
    service.accept(product("milk", 3000))
    for language, client in clients.items():
        @check(f"{language}: a program that stayed open reads the new tables, and ends well")
        def _():
            equal(client.ask(sku="milk")["amount"], 3000)
            equal(client.ask(skus=["milk", "bread"], customer="anna")[0]["amount"], 2700)
            equal(client.end(), 0)

for language in COMMANDS:
    @check(f"{language}: without the service there is no cache, and that has a name")
    def _():
        client = Client(language, WORK / "nowhere")
        equal(client.ask(sku="milk"), {"error": "NO_CACHE"})
        equal(client.end(), 0)

finish()
