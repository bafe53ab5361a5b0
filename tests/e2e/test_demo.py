#!/usr/bin/env python3
"""The demonstration runs from nothing, twice on the same data, and with a worker killed; other cuts of the data play as well."""
import csv
import gzip
import http.client

from rialto_test import *

DATA = ROOT / "demo/data"
OK_LINE = re.compile(r"ok: signals=(\d+) rejected=(\d+) quotes=(\d+) quote_p50_us=([\d.]+) quote_p99_us=([\d.]+) "
                     r"guardrail_breaches=0 lost=0")
run_folder, shared = temporary_folder("demo."), shared_folder()
data, cache = run_folder / "data", shared / "cache"


def processes_of_the_demo():
    return {pid: command for pid, (_, command) in processes().items() if any(str(data) in word for word in command)}


def demo(seconds, signals_min, *words, meanwhile=None):
    """rialto-demo --once: its output, after the checks that hold for every run."""
    began = time.monotonic()
    program = subprocess.Popen([BIN / "rialto-demo", "--data", data, "--seconds", str(seconds), "--once", "--set", f"instance=demo{os.getpid()}",
                                "--set", f"cache_dir={cache}", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, preexec_fn=die_with_the_test, cwd=ROOT)
    if meanwhile is not None:
        meanwhile()
    try:
        out = program.communicate(timeout=60 + 30 * SLOW)[0].decode()
    except subprocess.TimeoutExpired:
        program.terminate()
        raise Failed(f"not done: {program.communicate()[0].decode()[-500:]}")
    last = out.strip().splitlines()[-1]
    found = OK_LINE.fullmatch(last)
    require(program.returncode == 0 and found, f"status {program.returncode}: {out[-800:]}")
    require(int(found[1]) >= signals_min and int(found[2]) == 0 and int(found[3]) > 1000, last)
    require(not cache.exists() or not list(cache.iterdir()), "the cache is left behind")
    equal([" ".join(c)[:80] for c in processes_of_the_demo().values()], [], "processes left")
    equal([f.name for f in data.rglob("*") if f.is_socket()], [], "sockets left")
    note(f"{time.monotonic() - began:.1f} s: {last}")
    return out

# ---- another cut of the data ----

CUT = run_folder / "cut"
CUT.mkdir()
DAYS = [f"2024-04-{day:02}" for day in (10, 11, 12)]
STORES = {"25", "26", "28", "31"}
rows_of = {}


def rows(name):
    with gzip.open(DATA / name, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def write(name, chosen, columns, packed=False):
    """A cut with its columns in an order of its own, plain or packed."""
    chosen = list(chosen)
    opened = gzip.open(CUT / f"{name}.gz", "wt", encoding="utf-8", newline="") if packed else open(CUT / name, "w", encoding="utf-8", newline="")
    with opened as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)
    rows_of[name] = chosen

def in_cut(row):
    return row["dt"] in DAYS and row["store_id"] in STORES

write("fresh_hourly.csv", filter(in_cut, rows("fresh_hourly.csv.gz")),
      ["hourly_stockout", "product_id", "hourly_sale", "store_id", "city_id", "hour", "dt"])
write("fresh_daily_price.csv", filter(in_cut, rows("fresh_daily_price.csv.gz")), ["product_id", "store_id", "city_id", "dt", "discount"], packed=True)
write("fresh_store_weather.csv", filter(in_cut, rows("fresh_store_weather.csv.gz")),
      ["dt", "city_id", "store_id", "avg_temperature", "precpt", "avg_humidity", "avg_wind_level"])
write("fresh_product.csv", rows("fresh_product.csv.gz"), ["third_category_id", "second_category_id", "first_category_id", "product_id"])
retail = [row for row in rows("online_retail.csv.gz") if "2011-05-23" <= row["InvoiceDate"] < "2011-05-26"]
BROKEN = [{"InvoiceNo": "1", "StockCode": "20665", "Quantity": "six", "InvoiceDate": "2011-05-25 23:00:00", "UnitPrice": "1", "Country": "France"},
          {"InvoiceNo": "2", "StockCode": "20665", "Quantity": "6", "InvoiceDate": "yesterday", "UnitPrice": "1", "Country": "France"}]
write("my_retail.csv", retail + BROKEN, ["Country", "CustomerID", "UnitPrice", "InvoiceDate", "Quantity", "Description", "StockCode", "InvoiceNo"])
SOURCE = ("--fresh", CUT, "--retail", CUT / "my_retail.csv")
account = {}

# ---- the demonstration ----

# Signals at least, and other data than all of the bundled: a minute of which, with sanitizers, would show no more than the cut does.
FIRST = (100000,) if VARIANT in ("release", "clang") else (3000, *SOURCE)

PORT = free_port()


def over_http(method, path, token, body=None):
    """The status; 0: nobody answers yet."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20 * SLOW)
    try:
        connection.request(method, path, body and json.dumps(body), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()

@check("rialto-demo --once on an empty folder: ends with the ok line and status 0, and leaves only its data")
def _():
    contains(demo(5, *FIRST), "is new")

@check("a second run, with other data, finds all of the first again; a worker killed in its middle does it no harm")
def _():
    killed = []

    def kill():
        worker = wait_until(lambda: [pid for pid, command in processes_of_the_demo().items() if "worker" in command], 20, "a worker")
        wait_until(lambda: (cache / "control.v3").exists(), 20, "tables")
        time.sleep(3)
        os.kill(worker[0], signal.SIGKILL)
        killed.append(worker[0])
    out = demo(5, 3000, *SOURCE, meanwhile=kill)
    found = re.search(r"Found again in \S+ (\d+) products, (\d+) customers, (\d+) prices", out)
    products, customers = (2000, 100) if len(FIRST) == 1 else (300, 10)
    require(found and int(found[1]) > products and int(found[2]) > customers and int(found[3]) > products, f"{found and found[0]}")
    contains((data / "rialtod.log").read_text(), f"pid={killed[0]} signal=9")

@check("it leaves a token for the console and one for the sample shop, which are the same in the next run, and nobody else's")
def _():
    seen = []

    def look():
        admin, shop = (wait_until(lambda: file.exists() and file.read_text().strip(), 20, file.name) for file in (data / "console.token", data / "shop.token"))
        wait_until(lambda: over_http("GET", "/v1/models", admin) == 200, 20, "the console's token")
        equal([over_http("GET", "/v1/models", token) for token in (shop, "x" * 43)], [403, 401])
        equal(over_http("PUT", "/v1/customers/C16422/consent", shop, {"profile": True}), 200)
        seen.append((admin, shop))
        equal({oct((data / name).stat().st_mode & 0o777) for name in ("console.token", "shop.token", "http.tokens")}, {"0o600"})
    for _ in range(2):
        contains(demo(3, 3000, *SOURCE, "--set", f"http_listen=127.0.0.1:{PORT}", meanwhile=look), f"Console: http://127.0.0.1:{PORT}/console/   Its token: {data}/console.token")
    equal(seen[0], seen[1])
    require(seen[0][0] != seen[0][1] and not any(token in (data / "http.tokens").read_text() + (data / "rialtod.log").read_text() for token in seen[0]), "they stand nowhere else")

@check("stopped in the middle: status 1, it says so, and nothing is left")
def _():
    program = subprocess.Popen([BIN / "rialto-demo", "--data", data, "--seconds", "60", "--once", "--set", f"instance=demo{os.getpid()}",
                                "--set", f"cache_dir={cache}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                               preexec_fn=die_with_the_test, cwd=ROOT)
    wait_until(lambda: (cache / "control.v3").exists(), 20, "tables")
    time.sleep(1)
    program.send_signal(signal.SIGINT)
    out = program.communicate(timeout=60 * SLOW)[0].decode()
    require(program.returncode == 1 and out.strip().splitlines()[-1].startswith("failed: stopped"), f"status {program.returncode}: {out[-300:]}")
    require(not processes_of_the_demo() and not (cache.exists() and list(cache.iterdir())), "something is left")

@check("without its data folder being writable, or with a bad setting, it says why, status 1")
def _():
    for words in (("--data", "/proc/nonexistent"), ("--data", data, "--set", "tick_ms=1")):
        status, out, err = run(BIN / "rialto-demo", *words, "--once", "--seconds", "0", "--set", f"cache_dir={cache}", cwd=ROOT)
        require(status in (1, 2) and len(out + err) > 10, f"{words}: {status} {out} {err}")

# ---- the other cut, row by row ----

@check("another cut (other days, stores, order of columns, plain and packed): each row is accounted for under one rule")
def _():
    status, out, err = run(BIN / "rialto", "replay", "--dry-run", "--json", *SOURCE)
    require(status == 0, f"{status} {out} {err}")
    account.update(json.loads(out))
    files = {entry["file"].removesuffix(".gz").split("/")[-1]: entry for entry in account["files"]}
    for name, chosen in rows_of.items():
        entry = next((e for f, e in files.items() if f == name or (name == "my_retail.csv" and "retail" in f)), None)
        require(entry is not None, f"{name} is not in {list(files)}")
        equal((entry["rows"], sum(entry["rules"].values())), (len(chosen), len(chosen)), name)

@check("the accounts are right: sales, discounts and invoice lines counted here by hand")
def _():
    files = {entry["file"].removesuffix(".gz").split("/")[-1]: entry["rules"] for entry in account["files"]}
    discounts = [float(row["discount"] or 0) for row in rows_of["fresh_daily_price.csv"]]
    rules = files["fresh_daily_price.csv"]
    equal((rules.get("emitted", 0), rules.get("no_promotion", 0)), (sum(0.01 <= d < 1 for d in discounts), sum(d >= 1 for d in discounts)))
    retail_rules = next(rules for name, rules in files.items() if "retail" in name)
    equal(retail_rules.get("malformed", 0), len(BROKEN))
    require(retail_rules["emitted"] > 0.9 * len(retail), f"{retail_rules}")

tape = run_folder / "tape.ndjson"

@check("--out writes the very signals: one JSON object a line, as many as accounted for; sales as in the file")
def _():
    status, out, err = run(BIN / "rialto", "replay", "--out", tape, *SOURCE)
    require(status == 0, f"{status} {out} {err}")
    lines = [json.loads(line) for line in tape.read_text().splitlines()]
    signals = [line for line in lines if "type" in line]
    equal((len(signals), len(lines) - len(signals)), (account["signals"], account["ticks"]))
    sales = sum(float(row["hourly_sale"]) > 0 for row in rows_of["fresh_hourly.csv"])
    equal(sum(s["type"] == "demand" and s["event"] == "order" and s["source"].startswith("fresh") for s in signals), sales)

with Service(models={f.name: f.read_text() for f in (ROOT / "models").glob("*.json")}) as service:
    def counts(*words):
        status, out, err = service.cli("replay", "--json", "--seconds", "0", *words, timeout=90)
        lines = [json.loads(line) for line in out.split("\n") if line]
        require(status == 0 and lines[-1]["ok"] and lines[-1]["lost"] == 0, f"{status} {out[-500:]} {err[-300:]}")
        return lines[-1]

    @check("the cut is played: every signal gets a verdict, none is lost, none is refused")
    def _():
        found = counts(*SOURCE)
        equal((found["signals"], found["accepted"], found["rejected"]), (account["signals"], account["signals"], 0))

    @check("prices of both shops stand, and some were moved by what happened")
    def _():
        skus = sorted({line["sku"] for line in map(json.loads, tape.read_text().splitlines()) if line.get("type") == "product"})
        quotes = service.quotes(*skus[:400])
        require(len(skus) > 300 and {q["currency"] for q in quotes} == {"GBP", "CNY"}, f"{len(skus)} products")
        require(service.status()["metrics"]["cells_changed_total"] > len(skus) + 100, "no price moved")

    @check("a tape from a file plays as well")
    def _():
        service.restart()
        equal(counts("--signals", tape)["signals"], account["signals"])
finish()
