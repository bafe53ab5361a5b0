#!/usr/bin/env python3
"""cut.py - cut the bundled recordings out of the full files.

    demo/cut.py SOURCE_FOLDER TARGET_FOLDER

SOURCE_FOLDER holds fresh_hourly.csv.gz, fresh_daily_price.csv.gz, fresh_store_weather.csv, fresh_product.csv and
online_retail_2010-12_2011-06.csv.gz. Rows are copied as they are; none is changed, none is made up. The gzip header
carries no time and no name, so that the same rows give the same file.
"""
import csv
import datetime
import gzip
import io
import sys
from pathlib import Path

CITY = "1"
FRESH_FIRST = datetime.date(2024, 4, 1)   # a Monday
RETAIL_FIRST = datetime.date(2011, 5, 9)  # a Monday
DAYS = 28


def lines(path):
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    with opened as f:
        yield from io.TextIOWrapper(f, encoding="utf-8", newline="")


def write(path, header, rows):
    text = "".join([header] + rows).encode("utf-8")
    path.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{path.name}: {len(rows)} rows, {path.stat().st_size} bytes")


def within(first, day):
    return first <= datetime.date.fromisoformat(day) < first + datetime.timedelta(days=DAYS)


def cut(source, target, keep):
    text = lines(source)
    header = next(text)
    names = next(csv.reader([header]))
    rows = [line for line in text if keep(dict(zip(names, next(csv.reader([line])))))]
    write(target, header, rows)
    return [dict(zip(names, next(csv.reader([line])))) for line in rows]


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)

    def fresh(row):
        return row["city_id"] == CITY and within(FRESH_FIRST, row["dt"])

    rows = cut(source / "fresh_hourly.csv.gz", target / "fresh_hourly.csv.gz", fresh)
    sold = {row["product_id"] for row in rows}
    cut(source / "fresh_daily_price.csv.gz", target / "fresh_daily_price.csv.gz", fresh)
    cut(source / "fresh_store_weather.csv", target / "fresh_store_weather.csv.gz", fresh)
    cut(source / "fresh_product.csv", target / "fresh_product.csv.gz", lambda row: row["product_id"] in sold)
    cut(source / "online_retail_2010-12_2011-06.csv.gz", target / "online_retail.csv.gz",
        lambda row: within(RETAIL_FIRST, row["InvoiceDate"][:10]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
