#!/usr/bin/env python3
"""A Redis that is away, hung, full, read-only, loading, refusing or too old: status, readiness, metrics and log say which, answers say
"not durable" in their stated time, pushed signals go on, it is not pestered, and afterwards nothing is missing in it."""
import secrets
import urllib.request

from rialto_test import *

HTTP = free_port()
DURABLE_MS = 400   # durable_timeout_ms: the longest wait for Redis of an answer whose signals are applied
SLACK_MS = 600     # of a busy machine
LISTED = 100       # findings in an answer; more are counted only
OTHERS = 32000     # keys of others, so that loading takes a minute and more if it is let
CONNECTIONS_A_SECOND = 2  # of each worker's two links, once the pause between attempts has grown: one a second each


class OlderRedis(threading.Thread):
    """Between Rialto and the server: tells INFO's reader that the server is of another version, and changes nothing else."""

    def __init__(self, redis, path):
        super().__init__(daemon=True)
        self.redis, self.claim = redis, None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.pairs = []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(str(self.redis.socket))
            except OSError:
                client.close()
                continue
            self.pairs.append((client, server))
            for a, b, change in ((client, server, lambda data: data), (server, client, self.older)):
                threading.Thread(target=self.carry, args=(a, b, change), daemon=True).start()

    def older(self, data):
        """The same number of bytes: the reply's length stands before it."""
        if self.claim is None:
            return data
        return re.sub(rb"redis_version:([0-9.]+)", lambda m: b"redis_version:" + self.claim.ljust(len(m[1]), b"0"), data)

    @staticmethod
    def carry(a, b, change):
        with contextlib.suppress(OSError):
            while data := a.recv(1 << 16):
                b.sendall(change(data))
        for end in (a, b):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs = []


redis = OwnRedis()
door = temporary_folder("door.") / "redis.sock"
between = OlderRedis(redis, door)
password = redis.folder / "password"
PASSWORDS = [secrets.token_hex(16), secrets.token_hex(16)]  # one after the other
password.write_text(PASSWORDS[0] + "\n")
redis("CONFIG", "SET", "requirepass", PASSWORDS[0])

service = Service(redis_url=f"unix:{door}", redis_password_file=password, durable_timeout_ms=DURABLE_MS, redis_timeout_ms=700,
                  http_listen=f"127.0.0.1:{HTTP}", mirror_pace_ms=50)
prices, serial = {}, 0


def secret():
    return password.read_text().strip()


def ask_redis(*words):
    return redis(*words, password=secret())


def states():
    """Also of a service that is not ready yet."""
    return json.loads(service.cli("status", "--json")[1])["redis_states"]


def readiness():
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/readyz", timeout=10) as answer:
        return json.loads(answer.read())


def metric(name, worker):
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/metrics", timeout=10) as answer:
        return int(re.search(rf'^rialto_{name}{{process="worker.{worker}"}} (\d+)$', answer.read().decode(), re.M)[1])


def new_prices():
    """A round of prices, acknowledged and pushed; what each product must cost from now on. Returns (durable, slowest answer in ms)."""
    global serial
    slowest, durable = 0.0, set()
    for _ in range(4):
        serial += 1
        sku, amount = f"sku-{serial % 12}", 1000 + serial
        began = time.monotonic()
        answer = service.ask([product(sku, amount, source="till", id=str(serial))])
        slowest = max(slowest, 1000 * (time.monotonic() - began))
        equal((answer["accepted"], answer["findings"]), (1, []))
        durable.add(answer["durable"])
        prices[sku] = amount
        equal(service.amount(sku), amount)
    with Pusher(service.push_tcp) as pusher:
        serial += 1
        sku, amount = f"pushed-{serial % 5}", 1000 + serial
        pusher.push(product(sku, amount))
        wait_until(lambda: service.cli_quote(sku)[1][0].get("quote", {}).get("amount") == amount, 5, "a pushed price")
        prices[sku] = amount
    return durable, slowest


def bad(state, number, words, log):
    """Everything that must hold while Redis is in a bad state."""
    new_prices()  # an idle link would notice only when it next looks at its marks
    wait_until(lambda: states() == {state: 2}, 10, f"both workers to say {state}, now {states()}")
    durable, slowest = new_prices()
    equal(durable, {"no"})
    require(slowest < (DURABLE_MS + SLACK_MS) * SLOW, f"an answer took {slowest:.0f} ms")
    status = service.status()
    equal(status["status"], "degraded")
    require(any(words in problem for problem in status["problems"]), f"{status['problems']}")
    ready = readiness()
    require(ready["ready"] and any(words in reason for reason in ready["degraded"]), f"{ready}")
    equal([metric("redis_state", w) for w in (0, 1)], [number, number])
    lines = [line for line in service.log().split("\n") if " REDIS-DOWN " in line and "link=mirror" in line and f"state={state}" in line]
    require(lines and all(log in line for line in lines), f"{lines[:2]}")
    return slowest


def is_left_alone(connections):
    """Attempts are made with pauses, and the log does not fill."""
    time.sleep(1.5)  # the pauses double from a tenth of a second to a whole one
    lines, before, began = service.log().count(" REDIS-"), connections(), time.monotonic()
    time.sleep(1.5)
    rate = (connections() - before) / (time.monotonic() - began)
    require(rate <= 2 * 2 * CONNECTIONS_A_SECOND, f"{rate:.1f} connections a second")
    require(service.log().count(" REDIS-") - lines <= 1, "lines in the log again and again")


def well_again():
    wait_until(lambda: states() == {"up": 2}, 15, f"Redis to be up, now {states()}")
    wait_until(lambda: service.status()["status"] == "healthy", 15, "healthy")
    service.wait_durable()
    equal(new_prices()[0], {"redis"})


@contextlib.contextmanager
def mended_by(mend):
    try:
        yield
    finally:
        mend()
    well_again()


def without_state():
    """All that is left is what stands in Redis."""
    equal(service.stop(), 0)
    shutil.rmtree(service.data / "state")
    shutil.rmtree(service.cache, ignore_errors=True)


def nothing_lost():
    equal({sku: service.amount(sku) for sku in prices}, prices)
    answered = [n for n in range(1, serial + 1) if n % 5 != 0]  # one in five was pushed, without an id
    for first in range(0, len(answered), LISTED):
        again = answered[first:first + LISTED]
        answer = service.ask([product(f"sku-{n % 12}", 1, source="till", id=str(n)) for n in again])
        equal(sorted((f["index"], f["reason"]) for f in answer["findings"]), [(i, "duplicate") for i in range(len(again))])
    equal({sku: service.amount(sku) for sku in prices}, prices)


with service:
    @check("up: the state, durable answers, and a metric of 1")
    def _():
        equal(new_prices()[0], {"redis"})
        equal((states(), [metric("redis_state", w) for w in (0, 1)]), ({"up": 2}, [1, 1]))

    @check("each write onto the disk, told to Redis while the service runs: answers say disk from then on, and no more when that is taken back")
    def _():
        for setting, word in (("always", "disk"), ("everysec", "redis")):
            ask_redis("CONFIG", "SET", "appendfsync", setting)
            wait_until(lambda: service.accept(product("fsynced", 1000))["durable"] == word, 10, f"an answer that says {word}")

    @check("away: nobody answers")
    def _():
        redis.kill()
        with mended_by(lambda: redis.start("--requirepass", secret(), wait=False)):
            note(f"slowest answer {bad('away', 2, 'Redis does not answer', ''):.0f} ms")

    @check("hung: it takes what is sent and says nothing; an answer waits durable_timeout_ms for it at most")
    def _():
        os.kill(redis.process.pid, signal.SIGSTOP)
        with mended_by(lambda: os.kill(redis.process.pid, signal.SIGCONT)):
            durable, slowest = new_prices()
            note(f"slowest answer {slowest:.0f} ms")
            equal(durable, {"no"})
            require(DURABLE_MS * 0.9 < slowest < (DURABLE_MS + SLACK_MS) * SLOW, f"an answer took {slowest:.0f} ms")
            bad("away", 2, "Redis does not answer", "")

    @check("full: writes are refused (maxmemory); it is left alone meanwhile")
    def _():
        ask_redis("CONFIG", "SET", "maxmemory", "1")
        with mended_by(lambda: ask_redis("CONFIG", "SET", "maxmemory", "0")):
            note(f"slowest answer {bad('full', 4, 'Redis is full', 'OOM '):.0f} ms")
            is_left_alone(lambda: int(re.search(rb"total_connections_received:(\d+)", ask_redis("INFO", "stats"))[1]))

    @check("read-only: it has become a replica")
    def _():
        ask_redis("REPLICAOF", "127.0.0.1", "1")
        with mended_by(lambda: ask_redis("REPLICAOF", "NO", "ONE")):
            bad("read_only", 6, "Redis is read-only", "READONLY ")

    @check("wrong password; a new one is read without a restart")
    def _():
        ask_redis("CONFIG", "SET", "requirepass", PASSWORDS[1])
        between.cut()
        with mended_by(lambda: password.write_text(PASSWORDS[1] + "\n")):
            bad("refused", 7, "Redis refuses us", "WRONGPASS ")

    @check("no password stands in a log, a command line, an environment, or a file of the data folder")
    def _():
        places = {"the log": service.log().encode()}
        for pid in service.left_pids():
            for what in ("cmdline", "environ"):
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    places[f"{what} of {pid}"] = Path(f"/proc/{pid}/{what}").read_bytes()
        require(sum(b"--role" in text for text in places.values()) >= 3, f"gateway, web and a worker are not among {list(places)}")
        for file in service.data.rglob("*"):
            if file.is_file() and file.stat().st_size < 1 << 20:
                places[str(file)] = file.read_bytes()
        require(str(password).encode() in places[f"{service.data}/config.json"], "it says where the password is")
        equal([place for place, text in places.items() for word in PASSWORDS if word.encode() in text], [])

    @check("no rights: a command that is needed is forbidden")
    def _():
        ask_redis("ACL", "SETUSER", "default", "-hset")
        with mended_by(lambda: ask_redis("ACL", "SETUSER", "default", "+hset")):
            # The connection itself is fine, so it comes and goes; the log says why, and not again and again.
            lines = service.log().count(" REDIS-UP link=mirror")
            wait_until(lambda: new_prices()[0] == {"no"} and "state=refused" in service.log().rsplit(" REDIS-UP ", 1)[1], 10, "refused")
            time.sleep(1)
            require(service.log().count(" REDIS-UP link=mirror") == lines, "up and down in the log")

    @check("too old: below 6.2")
    def _():
        between.claim = b"6.0.9"
        between.cut()
        with mended_by(lambda: setattr(between, "claim", None)):
            bad("too_old", 8, "Redis is too old", "older than 6.2")

    @check("after all that: nothing is missing when Redis is all that is left, and ids still count once")
    def _():
        without_state()
        service.start()
        nothing_lost()

    def restart_slowly():
        """All keys in one file, which is then read with a pause behind each of them: hidden settings of Redis's own tests. Keys of somebody else's make it
        long; longer pauses would not do, for Redis hears us only between them."""
        ask_redis("EVAL", f"for i = 1, {OTHERS} do redis.call('SET', 'others:' .. i, i) end", "0")
        ask_redis("BGREWRITEAOF")
        wait_until(lambda: b"aof_rewrite_in_progress:0" in ask_redis("INFO", "persistence"), 10, "the rewrite")
        redis.kill()
        redis.start("--requirepass", secret(), "--key-load-delay", "2500", "--loading-process-events-interval-bytes", "1024", wait=False)

    def load_on():
        """It has been loading for as long as was needed, however busy the machine is."""
        require(b"loading:1" in ask_redis("INFO", "persistence"), "it is still loading")
        ask_redis("CONFIG", "SET", "key-load-delay", "0")

    @check("loading while the service runs: it waits, and nothing is missing")
    def _():
        restart_slowly()
        with mended_by(load_on):
            bad("loading", 3, "Redis is still loading", "LOADING ")
        nothing_lost()

    @check("loading when the service starts, with nothing of its own left: it waits, and does not take Redis for empty")
    def _():
        without_state()
        restart_slowly()
        service.spawn()
        wait_until(lambda: "state=loading" in service.log().rsplit(" STOPPED ", 1)[1], 10, "loading to be said")
        require(" READY " not in service.log().rsplit(" STOPPED ", 1)[1], "it waited")
        load_on()
        wait_until(lambda: states() == {"up": 2}, 60, "both workers")
        nothing_lost()
        well_again()
finish()
