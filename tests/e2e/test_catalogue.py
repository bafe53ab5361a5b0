#!/usr/bin/env python3
"""`rialto catalogue`: its lines, sent to an empty service, make it price as the first one does, and hold nothing of customers."""
import random

from rialto_test import *

MODEL = simple_model(
    model="shop", scope={"categories": ["food/*"], "currencies": ["EUR"]}, group="shop", zone_levels=2,
    attributes={"product.weight_kg": {"from": 0, "to": 50, "missing": 1, "age_limit": "3d"}, "zone.size_m2": {"from": 0, "to": 1000, "age_limit": "3d"}},
    factors=[{"name": "weight", "expression": "1 + 0.01 * product.weight_kg"}, {"name": "size", "input": "zone.size_m2", "curve": [[0, 1.1], [1000, 0.9]]},
             {"name": "stock", "input": "available", "steps": [[0, 1.2], [10, 1.1], [50, 1]]},
             {"name": "sun", "input": "temperature_c", "curve": [[0, 1], [30, 1.1]]},
             {"name": "promotion", "input": "promotion", "curve": [[0.1, 0.1], [1, 1]]}])
ZONES = ["", "de", "de/south", "de/north", "fr"]
WHO = "customer-of-no-catalogue"


def shop(random_):
    """Signals of a made-up shop, of different ages."""
    now = int(time.time() * 1000)
    said = [{"type": "zone", "zone": "de", "region": "EU", "utc_offset_min": 60, "currency": "EUR", "lat": 48.137154, "lon": 11.576124},
            {"type": "zone", "zone": "fr", "parent": "de"}]
    said[:0] = [{"type": "zone", "zone": zone, "attributes": {"size_m2": size, "footfall": 3}, "time": now - age}
                for zone, size, age in (("de", 50, 2 * 86400000), ("fr", 200.5, 4 * 86400000), ("de/south", 900, 86400000))]
    said += [{"type": "weather", "zone": zone, "temperature_c": random_.randrange(-50, 300) / 10, "humidity": 0.5} for zone in ("", "de", "fr")]
    for i in range(60):
        sku = f"sku {i} \"ü\\"
        for zone in [""] + random_.sample(ZONES[1:], random_.randrange(0, 4)):
            line = product(sku, random_.randrange(100, 100000), category=f"food/{i % 3}", zone=zone, time=now - random_.randrange(1, 6 * 86400000))
            for field, value in (("title", f"Größe {i}"), ("cost", 50), ("unit", "kg"), ("tax", "excluded"), ("promotion", 0.8)):
                if random_.random() < 0.5:
                    line[field] = value
            if random_.random() < 0.4:
                line["attributes"] = {"weight_kg": random_.randrange(0, 60000) / 1000, "organic": 1} if random_.random() < 0.8 else {}
            if "promotion" in line and random_.random() < 0.5:
                line["until"] = now + 86400000
            said.append({k: v for k, v in line.items() if v != "" or k != "zone"})
        for zone in random_.sample(ZONES, random_.randrange(0, 3)):
            said.append({"type": "supply", "sku": sku, "available": random_.randrange(0, 100000) / 1000, "capacity": 100, **({"zone": zone} if zone else {})})
            if random_.random() < 0.5:
                said[-1]["expires"] = now + 3 * 86400000
        if i % 4 == 0:
            said += [{"type": "competitor", "sku": sku, "competitor": who, "amount": 999, "currency": "EUR"} for who in ("corner shop", "other")]
    return said


def folder_of(service):
    return [word for key in ("instance", "data_dir") for word in ("--set", f"{key}={service.settings[key]}")]


def catalogue(service, *words):
    status, out, err = service.cli("catalogue", *folder_of(service), *words)
    equal((status, err), (0, ""))
    return out


def without_names(text):
    """Competitors get a name that is made of the state's hash, and another one of that the next time."""
    return sorted(re.sub(r'"competitor":"\w+"', "", text).splitlines())


def prices(service):
    skus = [f"sku {i} \"ü\\" for i in range(60)]
    return {(sku, zone): {k: q[k] for k in ("amount", "baseline", "list", "currency", "zone")}
            for zone in ZONES for sku, q in zip(skus, service.quotes(*skus, zone=zone))}


seed = int(os.environ.get("RIALTO_SEED", time.time_ns() % 1000000))
note(f"RIALTO_SEED={seed}")
with Service(models={"shop.json": MODEL}, worker_count=2) as first, Service(models={"shop.json": MODEL}) as second:
    @check("of a service that knows nothing there is no catalogue: status 1")
    def _():
        status, out, err = first.cli("catalogue", *folder_of(first))
        require(status == 1 and "knows no zone" in err, (status, out, err))

    first.accept(*shop(random.Random(seed)))
    first.accept(customer(WHO, ["profile", "location"], tier="gold"), {"type": "location", "customer": WHO, "zone": "de"},
                 {"type": "offer", "customer": WHO, "sku": "sku 0 \"ü\\", "kind": "percent", "percent": 10})
    first.wait_durable()
    at = str(first.now_ms())
    lines = catalogue(first, "--at", at).splitlines()

    @check("nothing of customers is in it, and its first line is the clock's")
    def _():
        equal(json.loads(lines[0]), {"control": "tick", "time": int(at)})
        require(WHO not in "".join(lines), "a customer")
        equal({json.loads(line)["type"] for line in lines[1:]}, {"zone", "weather", "product", "supply", "competitor"})

    @check("each line is taken by an empty service, which then prices alike in every zone, bit for bit")
    def _():
        status, out, err = second.cli("signal", "-", stdin="\n".join(lines[1:]).encode())
        equal((status, err), (0, ""), out)
        second.wait_durable()
        equal(prices(second), prices(first))
        require(len({q["amount"] for q in prices(first).values()}) > 50, "prices that show nothing")

    @check("the catalogue of that one says the same")
    def _():
        equal(without_names(catalogue(second, "--at", at)), without_names("\n".join(lines)))

    @check("--at another moment: every time is one that a signal sent then may have, and a simulation takes it")
    def _():
        then = int(at) - 30 * 86400000
        begin = catalogue(first, "--at", str(then))
        times = {json.loads(line)["time"] for line in begin.splitlines()}
        require(max(times) <= then and min(times) >= then - 7 * 86400000, times)
        folder = temporary_folder()
        (folder / "begin.ndjson").write_text(begin)
        (folder / "day.ndjson").write_text(f'{{"control":"tick","time":{then + 60000}}}\n')
        status, out, err = run(BIN / "rialto", "simulate", "--models", first.models, "--against", first.models, "--signals", folder / "begin.ndjson",
                               folder / "day.ndjson", "--json", cwd=folder)
        equal(status, 0, err)
        found = json.loads(out)
        equal((found["signals"], found["refused"]), (len(lines) - 1, [0, 0]))

    @check("no Redis: status 3; a bad time: status 2")
    def _():
        equal(run(BIN / "rialto", "catalogue", "--set", f"data_dir={first.folder}/nowhere")[0], 3)
        equal(first.cli("catalogue", *folder_of(first), "--at", "yesterday")[0], 2)
finish()
