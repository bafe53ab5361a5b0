#!/usr/bin/env python3
"""rialto import: a shop's own tables. Each cell that is no good is told by row and column, and nothing is sent then; amounts come out as Python's
decimals have them; the service's own findings come back to their cells; docs/your-shop.md works as printed."""
import csv
import io
import os
import shlex
from decimal import Decimal

from rialto_test import *

PAGE = (ROOT / "docs/your-shop.md").read_text()
SHOP = ROOT / "examples/my-shop"
folder = temporary_folder()


def table(name, text, encoding="utf-8"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return path


def look(path, *more):
    """(exit status, [(row, column, field)]) of a dry run."""
    status, out, err = run(BIN / "rialto", "import", "--dry-run", "--json", *more, path)
    require(out, err)
    return status, [(f["row"], f["column"], f["field"]) for f in json.loads(out)["findings"]]


@check("the templates are good, and a dry run needs no service")
def _():
    for path in SHOP.glob("*.csv"):
        equal(look(path), (0, []), path.name)

@check("every bad cell is told with its row and column as a spreadsheet names them, all in one go")
def _():
    path = table("products.csv", 'sku,list,currency,category,promotion,until\n'
                 'good,1.00,EUR,a,,\n'
                 'three,1.005,EUR,a,,\n'
                 '"two\nlines",1.00,EUR,a,,\n'
                 '\n'
                 'three-bad,"1,5",EURO,a,7,tomorrow\n'
                 ',0,EUR,a,,\n'
                 'yen,1.5,JPY,a,,\n'
                 'many,1,EUR,a,,,,x\n'
                 'until,1,EUR,a,,2026-12-24T18:00:00Z\n')
    equal(look(path), (4, [(3, "B", "list"), (4, "A", "sku"), (6, "B", "list"), (6, "C", "currency"), (6, "E", "promotion"), (6, "F", "until"),
                           (7, "B", "list"), (8, "B", "list"), (9, "H", ""), (10, "E", "promotion")]))

@check("what could be a sign for thousands is no amount, whatever stands behind it; a currency of three decimals has them")
def _():
    for separator, amounts, bad in ((";", ["1.500", "1,500", "12.000", "1500", "1,50", "19.9900"], [2, 3, 4]), (",", ["1.500", "1.5", "0.010"], [2, 4])):
        rows = "".join(f"p{i}{separator}{amount}\n" for i, amount in enumerate(amounts))
        path = table("products.csv", f"sku{separator}list\n{rows}")
        equal(look(path, "--fill", "currency=EUR", "--fill", "category=c"), (4, [(row, "B", "list") for row in bad]))
    equal(look(table("products.csv", "sku,list,currency,category\na,1.500,KWD,c\n")), (0, []))

@check("a kind of data that is not written as it is called is told, not taken for a refusal")
def _():
    path = table("customers.csv", "customer,consent\na,profile|purchases\nb,Profile\nc,none\nd,profile|PURCHASES\n")
    equal(look(path), (4, [(3, "B", "consent"), (5, "B", "consent")]))

@check("a header that is no good is told whole: unknown, twice, missing; the nearest name is offered")
def _():
    path = table("products.csv", "sku,lst,SKU,colour\nx,1,x,red\n")
    equal(look(path), (4, [(1, "B", "lst"), (1, "C", "SKU"), (1, "D", "colour"), (1, "", "list"), (1, "", "currency")]))
    status, out, err = run(BIN / "rialto", "import", "--dry-run", path)
    require('did you mean "list"?' in out, out)
    equal(look(path, "--map", "lst=list", "--ignore", "colour", "--fill", "currency=EUR")[1], [(1, "C", "SKU")])

@check("files that are no tables: another encoding, an open quotation mark, a zero byte, too many columns, nothing, not there")
def _():
    head = "sku,title,list,currency,category\n"
    equal(look(table("products.csv", head + "a,Käse,1,EUR,c\nb,Rübe,1,EUR,c\n", "latin-1")), (4, [(2, "B", "")]))  # once for a table
    equal(look(table("products.csv", head + "a,Käse,1,EUR,c\n", "utf-16")), (4, [(1, "", "")]))
    equal(look(table("products.csv", head + 'a,b,1,EUR,c\nb,"open,1,EUR,c\n')), (4, [(3, "B", "")]))
    equal(look(table("products.csv", head + 'a,"' + "x\n" * 200000)), (4, [(2, "B", "")]))
    equal(look(table("products.csv", head.encode() + b"a,b\0c,1,EUR,c\n")), (4, [(2, "B", "")]))
    equal(look("/dev/null", "--as", "products"), (4, [(0, "", "")]))  # a pipe would be empty at the second reading
    equal(look(table("products.csv", ",".join(f"c{i}" for i in range(65)) + "\n")), (4, [(1, "", "")]))
    equal(look(table("products.csv", "")), (4, [(1, "", "")]))
    equal(look(table("products.csv", head)), (4, [(1, "", "")]))
    equal(look(folder / "products-none.csv"), (4, [(0, "", "")]))
    equal(run(BIN / "rialto", "import", table("letters.csv", head))[0], 2)

@check("another encoding is taken by its name; what is no character in it is told by row and column")
def _():
    rows = "sku;title;list;currency;category\n" + "".join(f"a{i};Käse – Größe {i} €;1,50;EUR;c\n" for i in range(9000))
    for name, encoding in (("cp1252", "cp1252"), ("UTF-16", "utf-16"), ("UTF-8", "utf-8-sig")):
        equal(look(table("products.csv", rows, encoding), "--encoding", name), (0, []))
    equal(look(table("products.csv", rows.encode("cp1252") + b"b;x\x81y;1,50;EUR;c\n"), "--encoding", "cp1252"), (4, [(9002, "B", "")]))
    equal(look(table("products.csv", rows.encode("utf-16")[:-1]), "--encoding", "UTF-16"), (4, [(9001, "E", "")]))  # half a character at the end
    equal(look(table("products.csv", rows), "--encoding", "klingon"), (4, [(0, "", "")]))

@check("an empty cell that each row needs is told as that, in the words of a table")
def _():
    path = table("stock.csv", "sku;available\r\na;1,5\r\nb;\r\n")
    equal(look(path), (4, [(3, "B", "available")]))
    contains(run(BIN / "rialto", "import", "--dry-run", path)[1], "stock.csv:3:B: available: empty, and each row needs it (--fill")
    equal(look(path, "--fill", "available=0"), (0, []))

@check("two rows about the same thing are told: one of them would silently win")
def _():
    path = table("products.csv", "sku,list,currency,category,zone\na,1,EUR,c,\nb,1,EUR,c,\na,2,EUR,c,\na,2,EUR,c,berlin\na,3,EUR,c,\n")
    equal(look(path), (4, [(4, "A", "sku"), (6, "A", "sku")]))
    equal(look(table("stock.csv", "sku,available,zone\na,1,x\na,2,y\nb,1,x\nb,1,x\nb,1.0,x\nb,2,x\n")), (4, [(7, "A", "sku")]))  # the same again is the same
    equal(look(table("zones.csv", "zone,lat,lon\nx,1,1\nx,2,2\n")), (4, [(3, "A", "zone")]))
    equal(look(table("competitors.csv", "sku,competitor,amount,currency,time\na,m,1,EUR,\na,n,1,EUR,\na,m,2,EUR,\n")), (4, [(4, "A", "sku")]))
    now = time.time()
    stamp = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - ago)) for ago in (60, 30)]
    equal(look(table("competitors.csv", f"sku,competitor,amount,currency,time\na,m,1,EUR,{stamp[0]}\na,m,2,EUR,{stamp[1]}\n")), (0, []))

@check("a value may be called something else in the table: a tier, a word of a list, what counts as nothing")
def _():
    path = table("kunden.csv", "Nr;Stufe;darf;Gruppen\n1;Stammkunde;ja;Familie|neu\n2;;nein;neu\n3;Bronze;vielleicht;\n")
    options = ["--as", "customers", "--map", "Nr=customer", "--map", "Stufe=tier", "--map", "darf=consent", "--map", "Gruppen=segments", "--value", "tier:Stammkunde=gold",
               "--value", "consent:ja=profile|purchases", "--value", "consent:nein=none", "--value", "segments:Familie=family"]
    equal(look(path, *options), (4, [(4, "C", "consent")]))
    equal(look(path, *options, "--value", "consent:vielleicht="), (0, []))
    for wrong in ("tier=gold", "tier:gold", ":a=b", "tier:=gold", "rank:a=b"):
        equal(run(BIN / "rialto", "import", "--dry-run", "--value", wrong, path)[0], 2, wrong)

def quiet(*arguments):
    status, out, err = run(BIN / "rialto", "import", *arguments)
    return status, out.replace(f"{folder}/", "")

@check("amounts that are none say why, in the table's own terms; a dry run with --skip-bad counts what would be sent")
def _():
    path = table("products.csv", 'sku;list;currency;category\na;1.299,00;EUR;c\nb;19,99 €;EUR;c\nc;0;EUR;c\nd;-1;EUR;c\ne;3000000000000;EUR;c\nf;5;EUR;c\n')
    status, out = quiet("--dry-run", path)
    equal([line.split(":", 4)[1:] for line in out.splitlines()[:-1]], [
        ["2", "B", " list", " no number: no signs for thousands are taken, only digits and one decimal sign, like 1234,5 or 1234.5"],
        ["3", "B", " list", " no number: digits and one decimal sign are taken, like 1234,5 or 1234.5; no unit, no sign of a currency"],
        ["4", "B", " list", " must be more than nothing"], ["5", "B", " list", " must be more than nothing"],
        ["6", "B", " list", " must be at most 2814749767106.55 EUR"]])
    equal((status, out.splitlines()[-1]), (4, "products.csv: 6 rows, 5 faults in 5 rows: nothing sent"))
    equal(quiet("--dry-run", "--skip-bad", path)[1].splitlines()[-1], "products.csv: 6 rows, 5 faults in 5 rows: nothing sent, 1 would be")
    equal((quiet("--dry-run", "--skip-bad", path)[0], quiet("--dry-run", "--skip-bad", table("products.csv", "sku,list,currency,category\na,1,EUR,c\n"))), (1, (
        0, "products.csv: 1 row: nothing sent, 1 would be\n")))

@check("a zone's name that is none says what one is made of")
def _():
    require("letters, digits and _ . : -" in quiet("--dry-run", table("zones.csv", "zone\nBerlin Mitte\n"))[1], "no rule")

@check("what each kind of table may hold is listed, from the service's own table of signals")
def _():
    status, out, err = run(BIN / "rialto", "import", "--columns", "customers")
    equal(status, 0, err)
    equal({line.split()[0] for line in out.splitlines()}, {"time", "source", "id", "seq", "customer", "currency", "consent", "tier", "spend", "segments", "opt_out", "gpc", "tier_until", "party"})
    for kind, columns in re.findall(r"^\| `(\w+)\.csv` \| [^|]* \| (.*) \|$", PAGE, re.M):
        listed = run(BIN / "rialto", "import", "--columns", kind)[1]
        for name in set(re.findall(r"`(\w+)`", columns)) - {"profile", "none"}:
            require(re.search(rf"^{name} ", listed, re.M), f"{kind}: {name}")


with Service(models={"shop.json": (SHOP / "models/shop.json").read_text()}) as service:
    def load(*arguments):
        status, out, err = service.cli("import", "--json", *arguments)
        return status, [json.loads(line) for line in out.splitlines()], err

    @check("docs/your-shop.md as printed: tables, a look, a model, and the prices that it promises")
    def _():
        shutil.copytree(ROOT / "examples", folder / "examples")
        here = os.getcwd()
        os.chdir(folder)
        try:
            said = []
            for line in "".join(re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)).splitlines():
                words = shlex.split(line)
                if words[0] == "cp":
                    subprocess.run(words, check=True)
                    continue
                equal(words[0], "build/bin/rialto")
                words = [str(folder / w) if w.startswith("my-shop/") else w for w in words]
                status, out, err = service.cli(words[1], *words[2:])
                equal((line, status), (line, 0), out + err)
                said.append(out)
        finally:
            os.chdir(here)
        require(len(said) == 6, f"{len(said)} commands")
        equal([service.amount("tea-mint-100"), service.amount("tea-mint-100", customer="c-1001"), service.amount("tea-mint-100", customer="c-1003")],
              [469, 446, 469])  # 4.50 x (1.05 - 0.02 x 8 / 200 / 0.1); gold pays 95 % of it; no consent
        require("4.69 EUR" in PAGE and "pays 4.46" in PAGE, "the page says other amounts")

    @check("amounts of three currencies, either decimal sign and separator, are the ones that Python's decimals have")
    def _():
        amounts = ["1", "0.01", "12.5", "1234567.89", "7.00", "3.10"]
        for separator, sign, bom in ((",", ".", ""), (";", ",", "\ufeff"), ("\t", ",", "")):
            rows = [f"p{i}{separator}{amount.replace('.', sign)}" for i, amount in enumerate(amounts)]
            path = table("products.csv", bom + "\r\n".join([f"SKU{separator}Preis", *rows]) + "\r\n")
            status, out, err = load("--map", "preis=list", "--fill", "currency=EUR", "--fill", "category=drinks/tea", path)
            equal((status, out[0]["accepted"], out[0]["findings"]), (0, len(amounts), []), err)
            for i, amount in enumerate(amounts):
                equal(service.quotes(f"p{i}")[0]["list"], int(Decimal(amount) * 100), amount)

    @check("quotation marks within a cell, bare ones too, are read as Python's csv reads them")
    def _():
        text = 'sku,title,list,currency,category\nw1,24" wheel,5,EUR,drinks/tea\nw2,"26"" wheel, black",5,EUR,drinks/tea\nw3,12" x 14",5,EUR,drinks/tea\nw4,"two\nlines",5,EUR,drinks/tea\n'
        titles = {row["sku"]: row["title"] for row in csv.DictReader(io.StringIO(text))}
        equal(titles["w1"], '24" wheel')
        equal(look(table("products.csv", text)), (4, [(5, "B", "title")]))  # a line end is no character of a title
        equal(look(table("products.csv", text + 'w5,"27" wheel",5,EUR,drinks/tea\n'))[1], [(5, "B", "title"), (6, "B", "")])
        equal(load("--skip-bad", table("products.csv", text))[1][0]["accepted"], 3)
        for sku in ("w1", "w2", "w3"):
            status, out, err = service.cli("explain", "--json", "--", "-", sku)
            equal((status, json.loads(out)["title"]), (0, titles[sku]), err)

    @check("the hint says the options that the command was given, as a shell wants them")
    def _():
        config = folder / "it's mine.json"
        config.write_text(json.dumps({"instance": service.instance, "data_dir": str(service.data), "cache_dir": str(service.cache)}))
        path = table("products.csv", "sku,list,currency,category\nhinted,5,EUR,drinks/tea\n")
        status, out, err = run(BIN / "rialto", "import", "--config", config, "--set", "worker_count=2", "--url", service.request_ipc, path)
        hint = out.splitlines()[-1].split(": ", 1)[1]
        equal(shlex.split(hint), ["rialto", "quote", "--config", str(config), "--set", "worker_count=2", "-", "hinted"], out + err)
        equal(run(BIN / "rialto", *shlex.split(hint)[1:])[0], 0)

    @check("with a fault anywhere nothing of any table is sent; with --skip-bad the good rows are")
    def _():
        good = table("products.csv", "sku,list,currency,category\nnew,5,EUR,drinks/tea\nworse,x,EUR,drinks/tea\n")
        status, out, err = load(good, SHOP / "stock.csv")
        equal((status, [f["outcome"] for f in out]), (4, ["nothing sent", "nothing sent"]))
        equal(service.cli_quote("new")[0], 1)
        status, out, err = load("--skip-bad", good)
        equal((status, out[0]["rows"], out[0]["accepted"]), (1, 2, 1))
        equal(service.amount("new"), 500)

    @check("what only the service knows comes back to its row and column: no model, unknown product, another currency, 250 of them")
    def _():
        path = table("products.csv", "sku,list,currency,category\nnew,5,USD,drinks/tea\ncar,5,EUR,cars\nfine,5,EUR,drinks/tea\n")
        status, out, err = load(path)
        equal((status, out[0]["accepted"]), (1, 1), str(out))
        equal([(f["row"], f["text"].split(":")[0]) for f in out[0]["findings"]], [(2, "other_currency"), (3, "no_model")])
        equal([(f["column"], f["field"]) for f in out[0]["findings"]], [("C", "currency"), ("D", "category")])
        require("(cars, EUR)" in out[0]["findings"][1]["text"], out[0]["findings"])
        status, text, err = service.cli("import", table("products.csv", "sku,list,currency,category\ncar,5,EUR,cars\n"))
        require(text.endswith("products.csv: 1 row, 0 accepted\n"), text)
        status, out, err = load(table("customers.csv", "customer,tier\nstranger,gold\n"))
        equal([(f["row"], f["column"], f["field"], f["text"].split(":")[0]) for f in out[0]["findings"]], [(2, "A", "customer", "no_consent")])
        require("did not permit" in out[0]["findings"][0]["text"], out[0])
        path = table("stock.csv", "sku,available\n" + "".join(f"nobody{i},1\n" for i in range(250)))
        status, out, err = load(path)
        equal((status, out[0]["rows"], out[0]["accepted"], len(out[0]["findings"])), (1, 250, 0, 100))
        status, text, err = service.cli("import", path)
        require(re.search(r"stock\.csv:251", text) is None and "and 150 more" in text, text[-300:])

    @check("a stock by shop that the model keeps for all of them together is said to be, row by row")
    def _():
        path = table("stock.csv", "sku,available,zone\ntea-mint-100,7,berlin\ntea-mint-100,9,hamburg\ntea-mint-100,50,\n")
        status, out, err = load(path)
        equal((status, out[0]["accepted"], [(f["row"], f["column"], f["text"].split(":")[0]) for f in out[0]["findings"]]), (0, 3, [(2, "C", "zone_widened"), (3, "C", "zone_widened")]), err)
        by_shop = folder / "by-shop"
        by_shop.mkdir()
        (by_shop / "shop.json").write_text((SHOP / "models/shop.json").read_text().replace('"model": "shop",', '"model": "shop", "zone_levels": 1,'))
        status, out, err = service.cli("apply", by_shop, "--set", f"data_dir={service.data}")
        equal(status, 0, err)
        status, out, err = load(path)
        equal((status, out[0]["findings"]), (0, []), err)

    @check("a table of customers says the whole consent: what it no longer names is no longer permitted")
    def _():
        load(table("customers.csv", "customer,consent,tier\nc-9,profile,gold\n"))
        equal(service.amount("honey-500", customer="c-9"), service.amount("honey-500") * 95 // 100)
        load(table("customers.csv", "customer,consent\nc-9,none\n"))
        equal(service.amount("honey-500", customer="c-9"), service.amount("honey-500"))

status, out, err = run(BIN / "rialto", "import", "--url", f"ipc://{folder}/nothing.ipc", SHOP / "products.csv")
check("without a service the exit status is 3")(lambda: equal(status, 3, out + err))
finish()
