#!/usr/bin/env python3
"""A machine starts again with nothing but a Redis in which records are damaged, exchanged, in the wrong place, or written over: all others come
back with the same prices, each that is lost is counted and named, nothing dies of it, and what is sent again is there again."""
import random
import secrets

from rialto_test import *

SEED = int(os.environ.get("DAMAGE_SEED", secrets.randbits(32)))
note(f"DAMAGE_SEED={SEED}")
dice = random.Random(SEED)

PRODUCTS = [f"article-{i:03}" for i in range(240)]
CUSTOMERS = [f"person-{i:03}" for i in range(80)]
ZONES = {"": None, "de": "de", "berlin": "de"}  # "": the world
LIST = {(sku, ""): 1000 + 10 * i for i, sku in enumerate(PRODUCTS)}
LIST.update({(sku, "de"): 5000 + 10 * i for i, sku in enumerate(PRODUCTS[:120])})
MODELS = {"shop.json": simple_model(factors=[{"name": "tenth", "categories": {"food/*": 0.9}}], personal=[{"name": "loyalty", "tier": {"gold": 0.8}}],
                                    guardrails={"floor": 0.1, "ceiling": 2, "personal": [0.5, 1]})}


def signals():
    """All that this service ever hears, but for who numbers his signals."""
    return [{"type": "zone", "zone": "de", "currency": "EUR"}, {"type": "zone", "zone": "berlin", "parent": "de"},
            *(product(sku, amount, **({"zone": zone} if zone else {})) for (sku, zone), amount in LIST.items()),
            *(customer(who, ["profile"], tier="gold") for who in CUSTOMERS),
            *({"type": "offer", "customer": who, "sku": PRODUCTS[i], "kind": "fixed", "amount": 300 + i, "currency": "EUR"} for i, who in enumerate(CUSTOMERS[:40]))]


def tenth_off(amount):
    return (amount * 9 + 5) // 10


redis = OwnRedis()
with Service(models=MODELS, redis_url=f"unix:{redis.socket}", worker_count=2) as service:
    P = service.instance
    service.accept(*signals())
    service.accept(*(demand(sku, "order", source="till", **({"id": f"order-{i}"} if i % 2 else {"seq": i + 1})) for i, sku in enumerate(PRODUCTS)))
    service.wait_durable()

    def row(found):
        quote = found.get("quote") or {}
        return (found["status"], *(quote.get(f) for f in ("amount", "baseline", "list", "zone", "multiplier")), tuple(sorted(quote.get("flags", []))))

    def anonymous():
        return {(sku, zone): row(found) for zone in ZONES for sku, found in zip(PRODUCTS, service.cli_quote(*PRODUCTS, **({"zone": zone} if zone else {}))[1])}

    def personal():
        """What each customer pays for two products, one of which some have an offer for."""
        return {who: [row(found) for found in service.cli_quote(PRODUCTS[i], PRODUCTS[-1 - i], customer=who)[1]] for i, who in enumerate(CUSTOMERS)}

    before, before_personal = anonymous(), personal()

    def lose_the_machine():
        service.kill()
        shutil.rmtree(service.cache, ignore_errors=True)
        shutil.rmtree(service.data / "state")
        shutil.rmtree(service.data / "list", ignore_errors=True)

    def stored():
        """key -> field -> value, of all partitions' records; fields as text."""
        connection = Redis(redis.socket)
        found = {key: connection.hash(key) for key in connection.keys(f"{P}:state:*")}
        connection.close()
        return found

    def refused():
        return service.status()["metrics"]["restore_refused_total"]

    @check("undamaged: every price comes back out of Redis alone, and nothing is refused")
    def _():
        lose_the_machine()
        service.start()
        equal((refused(), service.log().count("RECORD-REFUSED")), (0, 0))
        equal(anonymous(), before)
        equal(personal(), before_personal)

    # ---- damage ------------------------------------------------------------------------------------------------------------

    equal(service.stop(), 0)
    state = stored()
    equal(sorted({field[0] for fields in state.values() for field in fields}), sorted("pcuozs"), "kinds of records")
    # Key of a product or a customer, as it stands in their records -> its name.
    owner = {struct.pack("<QQ", int(field[18:], 16), int(field[2:18], 16)): re.search(rb"(article|person)-\d{3}", value)[0].decode()
             for fields in state.values() for field, value in fields.items() if field[0] in "pu"}

    def whose(field, value):
        """The product or customer whose prices rest on this record; None: nobody's in particular."""
        return next((who for key, who in owner.items() if key in value), None) if field[0] in "pcuo" else None

    partitions = [key for key in state if ":{p" in key]  # the common records are each worker's, who counts for himself
    wrong = {}  # partition -> what will be refused of it
    touched, ways, versions = set(), {}, set()  # versions: partitions with records of another one
    connection = Redis(redis.socket)

    def partition(key):
        return int(re.search(r"\{p(\d+)\}", key)[1])

    def will_be_refused(key, what):
        wrong.setdefault(partition(key), []).append(what)

    def damage(key, field, value):
        """Returns what it was."""
        other_key = dice.choice([k for k in partitions if k != key])
        another = dice.choice([v for f, v in state[key].items() if f != field] or [v for k in partitions if k != key for v in state[k].values()])
        way = dice.randrange(10)
        if way == 0:
            new = bytearray(value)
            new[dice.randrange(len(new))] ^= 1 << dice.randrange(8)
            connection("HSET", key, field, bytes(new))
            if new[:4] != value[:4] and 0 < new[0] <= 64 and not any(new[1:4]):
                versions.add(partition(key))  # that is what it looks like
        elif way == 1:
            connection("HSET", key, field, dice.randbytes(len(value)))
        elif way == 2:
            connection("HSET", key, field, value[:dice.randrange(len(value))])
        elif way == 3:
            connection("HSET", key, field, value + dice.randbytes(dice.choice([1, 8, 800])))
        elif way == 4:  # of another layout, or none
            layout = dice.choice([0, value[0] - 1, value[0] + 1, 1 << 31])
            connection("HSET", key, field, struct.pack("<I", layout) + value[4:])
            if abs(layout - value[0]) == 1:
                versions.add(partition(key))
        elif way == 5:  # the value of another record
            connection("HSET", key, field, another)
        elif way == 6:  # went to another partition
            connection("HDEL", key, field)
            connection("HSET", other_key, field, value)
            key = other_key
        elif way == 7:  # stands in another partition, too, before and after its own
            connection("HSET", other_key, field, value)
            will_be_refused(other_key, (way, field))
            return "copied"
        elif way == 8:  # its name is no name any more
            connection("HDEL", key, field)
            connection("HSET", key, dice.choice([field.upper(), field[:-1], field + "0", field.replace(":", ";"), "\r\n" + field[2:]]), value)
        else:
            connection("HSET", key, field, b"\xff" * dice.randrange(2000))
        touched.add(whose(field, value))
        will_be_refused(key, (way, field))
        return way

    whole = f"{P}:state:{{p{dice.randrange(64):02}}}"  # will be written over as a whole
    for key, fields in state.items():
        for field, value in fields.items():
            if key != whole and field[0] in "pcuo" and dice.random() < 0.2:
                way = damage(key, field, value)
                ways[way] = ways.get(way, 0) + 1
    note(f"records damaged: {ways}")
    for key in dice.sample([k for k in partitions if k != whole], 5):  # what nobody of ours writes
        connection("HSET", key, dice.choice(["note", "", "-:", "q:" + "0" * 32, "p:" + "g" * 32]), b"hello")
        will_be_refused(key, "foreign")
    # Those that went to the hash that is written over now are gone with it, and it counts as one.
    wrong[partition(whole)] = ["whole"]
    touched.update(whose(field, value) for field, value in state[whole].items())
    connection("DEL", whole)
    connection("SET", whole, "somebody else's")
    marks = dice.sample([k for k in connection.keys(f"{P}:mark:{{p*") if k != whole.replace("state", "mark")], 3)
    connection("DEL", marks[0])
    connection("RPUSH", marks[0], "a", "b")
    connection("SET", marks[1], "not a number")
    connection("SET", marks[2], "0")
    will_be_refused(marks[0], "mark")
    odd_ids = dice.choice(connection.keys(f"{P}:ids:{{p*"))
    connection("DEL", odd_ids)
    connection("HSET", odd_ids, "a", "b")
    will_be_refused(odd_ids, "ids")
    total = sum(map(len, wrong.values()))
    for name in ("state:{p64}", "state:{p7}", "state", "state:{common}x", "foreign"):
        connection("SET", f"{P}:{name}", "foreign")
    connection.close()

    # ---- and what comes of it ------------------------------------------------------------------------------------------------

    @check("a start with damaged records: nothing dies, and each is counted, named in the log, and a problem in the status")
    def _():
        lose_the_machine()
        died = service.log().count("CHILD-DIED")
        since = len(service.log())
        service.start()
        equal(service.log().count("CHILD-DIED"), died)
        summed = {int(p): int(n) for p, n in re.findall(r"STATE-LOADED partition=(\d+) records=\d+ refused=([1-9]\d*)", service.log()[since:])}
        equal([(p, summed.get(p), wrong.get(p)) for p in range(65) if summed.get(p, 0) != len(wrong.get(p, []))], [])
        equal(refused(), total)
        contains(" ".join(service.status()["problems"]), f"{total} records in Redis were not believed")
        named = re.findall(r'RECORD-REFUSED partition=(\d+) field=(\S):([0-9a-f]{32}|-) why="([^"]+)"', service.log()[since:])
        per_partition = {}
        for partition, *_ in named:
            per_partition[partition] = per_partition.get(partition, 0) + 1
        require(len(named) > 50 and max(per_partition.values()) <= 4, f"{len(named)} lines, {per_partition}")
        require(all((key == "-") == (kind in "uo?") for _, kind, key, _ in named), f"{named}")
        equal({why for *_, why in named} - {"damaged", "of another version", "belongs to another partition", "no record at all"}, set())

    good = [sku for sku in PRODUCTS if sku not in touched]
    good_people = [who for i, who in enumerate(CUSTOMERS) if not {who, PRODUCTS[i], PRODUCTS[-1 - i]} & touched]

    @check("every product whose records are whole costs what it did, everywhere")
    def _():
        require(len(good) > 60, f"{len(good)} are whole")
        now = anonymous()
        for sku in good:
            for zone in ZONES:
                equal(now[sku, zone], before[sku, zone], f"{sku} in {zone or 'the world'}")

    @check("every customer whose records are whole pays what they did")
    def _():
        require(len(good_people) > 8, f"{len(good_people)} are whole")
        now = personal()
        for who in good_people:
            equal(now[who], before_personal[who], who)

    @check("of the others no price is invented: unknown, or the model's for a list price that somebody gave, never below what a customer may pay")
    def _():
        now = anonymous()
        lost = 0
        for sku in PRODUCTS:
            for zone in ZONES:
                status, amount, baseline, listed, *_ = now[sku, zone]
                lost += status != "OK"
                if status != "OK":
                    equal(status, "UNKNOWN_PRODUCT")
                else:
                    require(listed in (LIST[sku, ""], LIST.get((sku, "de"))) and amount == baseline == tenth_off(listed), f"{sku} {zone}: {now[sku, zone]}")
        require(lost > 10, f"{lost} unknown")
        for who, found in personal().items():
            for (status, amount, baseline, *_), (_, was, *_) in zip(found, before_personal[who]):
                require(status != "OK" or amount in (was, baseline, (baseline * 8 + 5) // 10), f"{who}: {amount} of {baseline}, was {was}")

    @check("keys that somebody wrote over were put aside, not lost, and their partitions go on being kept")
    def _():
        wait_until(lambda: service.log().count("REDIS-KEY-ODD") >= 3, 20, "three keys that were put aside")
        equal(service.status()["metrics"]["redis_keys_odd_total"], 3)
        equal((redis("GET", f"{whole}:odd"), redis("LRANGE", f"{marks[0]}:odd", 0, -1), redis("HGETALL", f"{odd_ids}:odd")),
              (b"somebody else's", [b"a", b"b"], [b"a", b"b"]))
        equal(redis("GET", f"{P}:foreign"), b"foreign")

    @check("sent again, everything is there again, and stands in Redis")
    def _():
        equal(service.ask(signals())["rejected"], 0)
        service.wait_durable()
        now, now_personal = anonymous(), personal()
        equal([(k, now[k], before[k]) for k in before if now[k] != before[k]], [])
        equal([(who, now_personal[who], before_personal[who]) for who in CUSTOMERS if now_personal[who] != before_personal[who]], [])
        lose_the_machine()
        service.start()
        equal(anonymous(), before)
        equal(personal(), before_personal)

    @check("what was not believed does not stay in Redis, but beside what another version may want back")
    def _():
        since = service.log().rindex(" STARTING ")
        left = {why for why in re.findall(r'RECORD-REFUSED .* why="([^"]+)"', service.log()[since:])}
        refused_in = {int(p) for p in re.findall(r"STATE-LOADED partition=(\d+) records=\d+ refused=[1-9]", service.log()[since:])}
        note(f"refused in {sorted(refused_in)}: {sorted(left)}")
        require(refused_in <= versions, f"refused in {sorted(refused_in)}, of another version in {sorted(versions)}")
finish()
