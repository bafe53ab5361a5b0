#!/usr/bin/env python3
"""rialto import: a shop's own tables. Each cell that is no good is told by row and column, and nothing is sent then; amounts come out as Python's
decimals have them; the service's own findings come back to their cells; docs/your-shop.md works as printed."""
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
    equal(look(table("products.csv", head + "a,Käse,1,EUR,c\n", "latin-1")), (4, [(2, "B", "title")]))
    equal(look(table("products.csv", head + "a,Käse,1,EUR,c\n", "utf-16")), (4, [(1, "", "")]))
    equal(look(table("products.csv", head + 'a,b,1,EUR,c\nb,"open,1,EUR,c\n')), (4, [(3, "", "")]))
    equal(look(table("products.csv", head + 'a,"' + "x\n" * 200000)), (4, [(2, "", "")]))
    equal(look(table("products.csv", head.encode() + b"a,b\0c,1,EUR,c\n")), (4, [(2, "", "")]))
    equal(look(table("products.csv", ",".join(f"c{i}" for i in range(65)) + "\n")), (4, [(1, "", "")]))
    equal(look(table("products.csv", "")), (4, [(1, "", "")]))
    equal(look(table("products.csv", head)), (4, [(1, "", "")]))
    equal(look(folder / "products-none.csv"), (4, [(0, "", "")]))
    equal(run(BIN / "rialto", "import", table("letters.csv", head))[0], 2)

@check("what each kind of table may hold is listed, from the service's own table of signals")
def _():
    status, out, err = run(BIN / "rialto", "import", "--columns", "customers")
    equal(status, 0, err)
    equal({line.split()[0] for line in out.splitlines()}, {"time", "source", "id", "seq", "customer", "currency", "consent", "tier", "spend", "segments", "opt_out", "gpc"})
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
        path = table("stock.csv", "sku,available\n" + "".join(f"nobody{i},1\n" for i in range(250)))
        status, out, err = load(path)
        equal((status, out[0]["rows"], out[0]["accepted"], len(out[0]["findings"])), (1, 250, 0, 100))
        status, text, err = service.cli("import", path)
        require(re.search(r"stock\.csv:251", text) is None and "and 150 more" in text, text[-300:])

    @check("a table of customers says the whole consent: what it no longer names is no longer permitted")
    def _():
        load(table("customers.csv", "customer,consent,tier\nc-9,profile,gold\n"))
        equal(service.amount("honey-500", customer="c-9"), service.amount("honey-500") * 95 // 100)
        load(table("customers.csv", "customer,consent\nc-9,none\n"))
        equal(service.amount("honey-500", customer="c-9"), service.amount("honey-500"))

status, out, err = run(BIN / "rialto", "import", "--url", f"ipc://{folder}/nothing.ipc", SHOP / "products.csv")
check("without a service the exit status is 3")(lambda: equal(status, 3, out + err))
finish()
