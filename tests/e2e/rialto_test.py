"""rialto_test.py - what the end-to-end and fault tests share: a rialtod of one's own, ways to talk to it, and test lines.

    with Service(models={"shop.json": MODEL}) as service:
        @check("a product costs what its list price says")
        def _():
            service.accept(product("milk", 100))
            equal(service.quote("milk")["amount"], 100)
    finish()

Signals go out by a client of the SP protocol that is written here, in nothing but Python: what any language can send.
Prices come back through `rialto quote --json`, through Redis, or through librialto by ctypes (struct and constants are read
out of the public headers).

A test that ends, however it ends, leaves no process and no file behind: rialtod dies with the test, its children with it.
"""
import atexit
import contextlib
import ctypes
import itertools
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("RIALTO_BIN", ROOT / "build/release/bin"))
LIB = Path(os.environ.get("RIALTO_LIB", ROOT / "build/release/lib"))
VARIANT = os.environ.get("RIALTO_VARIANT", "release")
SLOW = 1 if VARIANT in ("release", "clang") else 4  # how much longer a sanitized program may take

# ---- test lines -------------------------------------------------------------------------------------------------------

_failed = 0
_began = time.monotonic()


class Failed(Exception):
    """A check that did not hold; its text says what was found."""


def _one_line(text, limit=600):
    text = " ".join(str(text).split())
    return text if len(text) <= limit else text[:limit] + " ..."


def passed(name):
    print(f"ok - {name}", flush=True)


def failed(name, why):
    global _failed
    _failed += 1
    print(f"not ok - {name} # {_one_line(why)}", flush=True)


def skipped(name, why):
    print(f"ok - {name} # SKIP {_one_line(why)}", flush=True)


def npm_install(folder, package):
    """A package of npm at a stated version, and what it needs, into folder/node_modules, by npm's own settings. "" or why that cannot be."""
    if shutil.which("npm") is None:
        return "there is no npm"
    try:
        status, out, err = run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, package, timeout=60)
    except subprocess.TimeoutExpired:
        return "npm did not answer within 60 s"
    return "" if status == 0 else f"npm cannot fetch it: {err}"


def check(name):
    """Decorator: runs the function at once and prints what became of it."""
    def run(function):
        began = time.monotonic()
        try:
            function()
            passed(name)
        except Failed as error:
            failed(name, error)
            _where(error)
        except Exception as error:  # a test must not hide the tests behind it
            failed(name, f"{type(error).__name__}: {error}")
            _where(error)
        took = time.monotonic() - began
        if took > 2:
            note(f"  that took {took:.1f} s")
        return function
    return run


def _where(error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name != "rialto_test.py"]
    if frames:
        print(f"#   at {Path(frames[-1].filename).name}:{frames[-1].lineno}: {frames[-1].line}", flush=True)


def note(text):
    print(f"# {_one_line(text)}", flush=True)


def finish():
    """The last call of a test program."""
    note(f"{time.monotonic() - _began:.1f} s")
    sys.exit(1 if _failed else 0)


def require(condition, why):
    if not condition:
        raise Failed(why)


def equal(found, wanted, what=""):
    if found != wanted:
        raise Failed(f"{what}{': ' if what else ''}found {found!r}, wanted {wanted!r}")


def contains(text, part, what=""):
    if part not in text:
        raise Failed(f"{what}{': ' if what else ''}{part!r} is not in {_one_line(text, 300)!r}")


def wait_until(condition, seconds, what="what was waited for"):
    """The first true value of condition(); Failed after so many seconds (more with sanitizers)."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"{what} did not come within {seconds * SLOW} s")
        time.sleep(0.02)


# ---- SP: the protocol of nanomsg and NNG ---------------------------------------------------------------------------------

PUSH, PULL, REQ, REP = 0x50, 0x51, 0x30, 0x31
FRAME_MAX = 1 << 26


class Closed(Exception):
    """The other side closed the connection, or does not answer."""


def socket_to(url, timeout=5.0):
    """A plain connected socket to tcp://HOST:PORT or ipc://PATH."""
    if url.startswith("tcp://"):
        host, port = url[6:].rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    connection.connect(url[6:])
    return connection


class Sp:
    """One connection: handshake, then frames of 64-bit length and body (over Unix sockets, with a byte 1 before)."""

    def __init__(self, url, me, peer, timeout=10.0):
        self.prefix = b"\x01" if url.startswith("ipc://") else b""
        self.socket = socket_to(url, timeout)
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(handshake(me))
            greeting = self._read(8)
            if greeting != handshake(peer):
                raise Closed(f"greeting {greeting.hex()}")
        except (OSError, Closed) as error:
            self.socket.close()
            raise Closed(str(error)) from error

    def _read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise Closed("connection closed by the service")
            data += more
        return data

    def send(self, body):
        try:
            self.socket.sendall(self.prefix + struct.pack(">Q", len(body)) + body)
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self, timeout=None):
        try:
            if timeout is not None:
                self.socket.settimeout(timeout)
            require(self._read(len(self.prefix)) == self.prefix, "frame does not begin with 1")
            (length,) = struct.unpack(">Q", self._read(8))
            require(length <= FRAME_MAX, f"frame of {length} bytes")
            return self._read(length)
        except OSError as error:
            raise Closed(f"no answer: {error}") from error

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def handshake(protocol):
    return b"\0SP\0" + struct.pack(">HH", protocol, 0)


class Pusher(Sp):
    def __init__(self, url, timeout=10.0):
        super().__init__(url, PUSH, PULL, timeout)

    def push(self, what):
        self.send(encode(what))


class Requester(Sp):
    def __init__(self, url, timeout=20.0 * SLOW):
        super().__init__(url, REQ, REP, timeout)
        self.number = int.from_bytes(os.urandom(3), "big")

    def ask_bytes(self, body):
        self.number = (self.number + 1) & 0x7FFFFFFF
        head = struct.pack(">I", self.number | 0x80000000)
        self.send(head + body)
        answer = self.receive()
        while answer[:4] != head:  # an answer to an earlier question that was given up
            answer = self.receive()
        return answer[4:]

    def ask(self, what):
        return json.loads(self.ask_bytes(encode(what)))


def encode(what):
    """A dict or list as JSON, a str as UTF-8, bytes as they are."""
    if isinstance(what, bytes):
        return what
    return (what if isinstance(what, str) else json.dumps(what)).encode()


# ---- RESP: Redis, over a Unix socket ---------------------------------------------------------------------------------------

class RedisError(Exception):
    pass


class Redis:
    """The few bytes of RESP2 that a test needs."""

    def __init__(self, path, timeout=10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        return self._reply()

    def _reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Closed("redis-server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        count = int(rest)
        if count == -1:
            return None
        if kind == b"$":
            data = self.file.read(count + 2)
            require(len(data) == count + 2, "redis-server closed the connection")
            return data[:-2]
        return [self._reply() for _ in range(count)]

    def hash(self, key):
        flat = self("HGETALL", key)
        return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}

    def keys(self, pattern="*"):
        return sorted(k.decode() for k in self("KEYS", pattern))

    def close(self):
        self.file.close()
        self.socket.close()


# ---- processes -------------------------------------------------------------------------------------------------------------

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
_cleanups = []


def die_with_the_test():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@atexit.register
def _clean():
    while _cleanups:
        with contextlib.suppress(Exception):
            _cleanups.pop()()


def _ended_by_signal(number, _frame):
    sys.exit(128 + number)  # runs atexit


signal.signal(signal.SIGTERM, _ended_by_signal)
signal.signal(signal.SIGINT, _ended_by_signal)
signal.signal(signal.SIGHUP, _ended_by_signal)


def temporary_folder(prefix="e2e."):
    """A new folder with a short path, gone at the end: names of sockets in it must fit into 107 bytes."""
    where = tempfile.gettempdir()
    if len(where) > 45:
        where = "/tmp"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
    _cleanups.append(lambda: shutil.rmtree(folder, ignore_errors=True))
    return folder


def shared_folder():
    """A place for a cache folder: real shared memory where there is room."""
    shm = Path("/dev/shm")
    with contextlib.suppress(OSError):
        if os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > 1 << 30:
            folder = Path(tempfile.mkdtemp(prefix="rialto-e2e.", dir=shm))
            _cleanups.append(lambda: shutil.rmtree(folder, ignore_errors=True))
            return folder
    return temporary_folder("shm.")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def process_stat(pid):
    """(state, parent, start time) of a process, or None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields[0], int(fields[1]), int(fields[19])


def is_alive(pid):
    stat = process_stat(pid)
    return stat is not None and stat[0] not in "ZX"


def processes():
    """pid -> (parent, command line) of all that live."""
    found = {}
    for entry in os.listdir("/proc"):
        stat = process_stat(entry) if entry.isdigit() else None
        if stat is not None and stat[0] not in "ZX":
            with contextlib.suppress(OSError):
                command = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")[:-1]
                found[int(entry)] = (stat[1], [c.decode(errors="replace") for c in command])
    return found


def run(*command, stdin=b"", timeout=30, env=None, cwd=None):
    """A program run to its end: (exit status, stdout, stderr) as text."""
    done = subprocess.run([str(c) for c in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout * SLOW, preexec_fn=die_with_the_test, cwd=cwd,
                          env={**os.environ, **env} if env else None, check=False)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


# ---- a rialtod of one's own ----------------------------------------------------------------------------------------------

# Small tables: they are made in no time and fit anywhere.
SMALL = {
    "worker_count": 2, "products_max": 4096, "cells_max": 8192, "customers_max": 4096, "offers_max": 4096, "zones_max": 512,
    "cache_on_stop": "remove", "quote_refresh_ms": 50, "stale_after_ms": 20000, "personal_stale_ms": 20000,
    "answer_timeout_ms": 10000, "durable_timeout_ms": 5000,
}


class OwnRedis:
    """A real redis-server with its folder, on a socket of the test's own, which the test may kill and start again."""

    def __init__(self):
        self.folder = temporary_folder("redis.")
        self.socket = self.folder / "redis.sock"
        self.process = None
        atexit.register(self.kill)
        self.start()

    def start(self, *more, wait=True):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
             "--auto-aof-rewrite-percentage", "0", "--dir", str(self.folder), "--logfile", "log", *more],
            preexec_fn=die_with_the_test, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if wait:
            wait_until(self.answers, 10, "redis-server")

    def answers(self):
        with contextlib.suppress(OSError, Closed, RedisError):
            return self("PING") == "PONG"

    def __call__(self, *words, password=None):
        redis = Redis(self.socket)
        try:
            if password is not None:
                redis("AUTH", password)
            return redis(*words)
        finally:
            redis.close()

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def mono_ms():
    return time.monotonic_ns() // 1_000_000


def heartbeats(path):
    """worker -> oldest CLOCK_MONOTONIC ms at which its partitions were last seen to by it."""
    data = path.read_bytes()
    beats = {}
    for partition in range(64):
        beat, owner = struct.unpack_from("<q16xI", data, 4096 + 64 * partition)
        beats[owner] = min(beat, beats.get(owner, beat))
    return beats


def batches_applied(path):
    """Newest batch of each partition's owner."""
    data = path.read_bytes()
    return [struct.unpack_from("<Q", data, 4096 + 64 * partition + 16)[0] for partition in range(64)]


class Service:
    """rialtod with folders, ports and a cache of its own."""

    def __init__(self, models=None, instance=None, **settings):
        self.folder = temporary_folder()
        self.data = self.folder / "data"
        self.shared = shared_folder()
        self.cache = self.shared / "cache"
        self.log_path = self.folder / "log"
        self.models = self.folder / "models"
        self.models.mkdir()
        for name, model in (models or {"shop.json": simple_model()}).items():
            (self.models / name).parent.mkdir(exist_ok=True)
            (self.models / name).write_text(model if isinstance(model, str) else json.dumps(model))
        self.instance = instance or f"e2e{os.getpid()}"
        self.push_tcp = f"tcp://127.0.0.1:{free_port()}"
        self.request_tcp = f"tcp://127.0.0.1:{free_port()}"
        self.push_ipc = f"ipc://{self.data}/push.ipc"
        self.request_ipc = f"ipc://{self.data}/request.ipc"
        self.settings = {
            **SMALL, "instance": self.instance, "data_dir": self.data, "cache_dir": self.cache, "models_dir": self.models,
            "push_urls": f"{self.push_ipc} {self.push_tcp}", "request_urls": f"{self.request_ipc} {self.request_tcp}", **settings,
        }
        self.mark = f"{os.getpid()}.{id(self)}.{time.monotonic_ns()}"
        self.process = None
        self._requester = None
        self._redis = None
        _cleanups.append(self.kill)

    def __enter__(self):
        try:
            self.start()
        except BaseException as error:
            failed("rialtod starts", error)
            self.show_log()
            self.kill()
            finish()
        return self

    def __exit__(self, kind, error, _):
        try:
            if kind is not None and not issubclass(kind, SystemExit):
                failed("the test runs to its end", f"{kind.__name__}: {error}")
                traceback.print_exc(file=sys.stdout)
            if self.process is not None:
                status = self.stop()
                if status != 0:
                    failed("rialtod ends with status 0", f"status {status}")
                left = self.left()
                if left:
                    failed("rialtod leaves no process behind", left)
            if _failed:
                self.show_log()
        finally:
            self.kill()
            shutil.rmtree(self.shared, ignore_errors=True)  # memory: not only at the end of the program
        return kind is not None and not issubclass(kind, (SystemExit, KeyboardInterrupt))

    # -- life --

    def arguments(self):
        return [str(BIN / "rialtod")] + [a for k, v in self.settings.items() for a in ("--set", f"{k}={v}")]

    def spawn(self):
        """Start without waiting."""
        log = open(self.log_path, "ab")
        with log:
            self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_the_test, cwd=self.folder,
                                            env={**os.environ, "RIALTO_E2E_MARK": self.mark})

    def start(self, seconds=30):
        before = self.log().count(" READY ")
        self.spawn()
        wait_until(lambda: self.log().count(" READY ") > before or self.process.poll() is not None, seconds, "READY")
        if self.process.poll() is not None:
            raise Failed(f"rialtod ended with status {self.process.poll()}: {self.log()[-1500:]}")

    def stop(self, seconds=20, number=signal.SIGTERM):
        """Ask it to end; its exit status."""
        self.forget_connections()
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            status = self.process.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            status = "does not end"
            self.process.kill()
            self.process.wait()
        self.process = None
        return status

    def restart(self):
        equal(self.stop(), 0, "exit status")
        self.start()

    def kill(self):
        """The end of everything that carries our mark, by force."""
        self.forget_connections()
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            self.process = None
        for _ in range(50):
            left = self.left_pids()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.02)

    def forget_connections(self):
        for connection in (self._requester, self._redis):
            if connection is not None:
                connection.close()
        self._requester = self._redis = None

    def left_pids(self):
        wanted = f"RIALTO_E2E_MARK={self.mark}".encode()
        found = []
        for pid in processes():
            with contextlib.suppress(OSError):
                if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
        return found

    def left(self):
        known = processes()
        return [" ".join(known[pid][1])[:80] for pid in self.left_pids() if pid in known]

    def children(self):
        """name -> pid: gateway, worker.0, redis-server ..."""
        found = {}
        for pid, (parent, command) in processes().items():
            if self.process is None or parent != self.process.pid or not command:
                continue
            if "--role" in command:
                role = command[command.index("--role") + 1]
                found[f"{role}.{command[command.index('--index') + 1]}" if role == "worker" else role] = pid
            elif "redis-server" in command[0]:
                found["redis-server"] = pid
        return found

    def kill_child(self, name):
        """kill -9, and the end of it."""
        pid = self.children()[name]
        process = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([process], [], [])
        os.close(process)

    def kill_worker(self, worker, seconds=20):
        """Returns ms until another process had seen to all of its partitions."""
        began = mono_ms()
        self.kill_child(f"worker.{worker}")
        gone = mono_ms()  # what beats later is not the dead one
        wait_until(lambda: heartbeats(self.cache / "control.v3").get(worker, 0) > gone, seconds, f"worker {worker}")
        return mono_ms() - began

    def kill_gateway(self, seconds=20):
        """Returns ms until all workers had applied something of another one."""
        began = mono_ms()
        self.kill_child("gateway")
        newest = struct.unpack("<Q", (self.data / "gateway.seq").read_bytes()[:8])[0]  # batch of the dead one
        wait_until(lambda: min(batches_applied(self.cache / "control.v3")) > newest, seconds, "all workers")
        return mono_ms() - began

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def show_log(self, lines=25):
        for line in self.log().splitlines()[-lines:]:
            print(f"#   log: {line[:240]}", flush=True)

    # -- signals --

    def requester(self):
        if self._requester is None:
            self._requester = Requester(self.request_tcp)
        return self._requester

    def ask(self, what):
        try:
            return self.requester().ask(what)
        except Closed:
            self._requester = None
            raise

    def accept(self, *signals):
        """Send, and insist that each was accepted without remark; the answer."""
        answer = self.ask(list(signals))
        require(answer.get("accepted") == len(signals) and not answer.get("findings"), f"not simply accepted: {answer}")
        return answer

    def refuse(self, what):
        """Send one signal that must be rejected; (reason, pointer)."""
        answer = self.ask(what)
        require(answer.get("rejected", 1) >= 1 and answer.get("findings"), f"not rejected: {answer}")
        finding = answer["findings"][0]
        return finding["reason"], finding.get("pointer", "")

    def now_ms(self):
        return self.ask({"control": "ping"})["service_time_ms"]

    def pass_time(self, seconds):
        """Move the service clock on, and wait until the workers have seen it."""
        answer = self.ask({"control": "tick", "time": self.now_ms() + int(seconds * 1000)})
        require(answer.get("ok", True) and not answer.get("rejected"), f"the clock does not move: {answer}")

    def pass_time_until(self, hour):
        """Move the service clock on to the next time that it is so late (UTC): the bundled models look at the hour."""
        now_s = self.now_ms() // 1000
        self.pass_time((hour * 3600 - now_s) % 86400)

    def wait_durable(self, seconds=20):
        """Until all that was applied so far stands in Redis."""
        applied = {w["index"]: w["applied"] for w in self.ask({"control": "ping"})["workers"]}
        wait_until(lambda: all(w["redis"] and w["durable"] >= applied[w["index"]] for w in self.ask({"control": "ping"})["workers"]),
                   seconds, "everything applied to be in Redis")

    # -- prices --

    def cli(self, command, *arguments, stdin=b"", timeout=30):
        """rialto for this instance: (exit status, stdout, stderr)."""
        return run(BIN / "rialto", command, "--cache", self.cache, "--url", self.request_ipc, *arguments, stdin=stdin,
                   timeout=timeout, cwd=self.folder)

    def cli_quote(self, *skus, customer="-", more=(), **options):
        """rialto quote --json: (exit status, one dict per product). Options: zone, basis, currency."""
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        status, out, err = self.cli("quote", "--json", *words, *more, "--", customer, *skus)
        require(status in (0, 1), f"rialto quote {' '.join(words)} {customer} {' '.join(skus)}: exit {status}: {out} {err}")
        return status, [json.loads(line) for line in out.split("\n") if line]

    def quotes(self, *skus, **options):
        """The quotes of products that must be known."""
        status, rows = self.cli_quote(*skus, **options)
        require(status == 0 and len(rows) == len(skus), f"rialto quote {' '.join(skus)} {options}: exit {status}: {rows}")
        for sku, row in zip(skus, rows):
            equal((row["sku"], row["status"]), (sku, "OK"))
        return [{**row["quote"], "age_ms": row["age_ms"]} for row in rows]

    def quote(self, sku, **options):
        return self.quotes(sku, **options)[0]

    def amount(self, sku, **options):
        return self.quote(sku, **options)["amount"]

    def status(self):
        """rialto status --json, healthy or degraded."""
        status, out, err = self.cli("status", "--json")
        require(status in (0, 1), f"rialto status: exit {status}: {out} {err}")
        return json.loads(out)

    def redis(self):
        if self._redis is None:
            self._redis = wait_until(self._redis_connected, 10, "redis-server")
        return self._redis

    def _redis_connected(self):
        with contextlib.suppress(OSError, RedisError, Closed):
            redis = Redis(self.data / "redis.sock")
            if redis("PING") == "PONG":
                return redis
        return None


# ---- signals and models, spelled short --------------------------------------------------------------------------------------

def product(sku, list_price, currency="EUR", category="food/dairy", **more):
    return {"type": "product", "sku": sku, "category": category, "list": list_price, "currency": currency, **more}


def customer(who, consent=None, **more):
    granted = {"consent": {kind: True for kind in consent}} if consent else {}
    return {"type": "customer", "customer": who, **granted, **more}


_visits = itertools.count(1)


def demand(sku, event="order", **more):
    """What somebody did; a view, a search or a cart is of a visit of its own, unless one is named: session=None is none."""
    if event in ("view", "search", "cart"):
        more.setdefault("session", f"visit-{next(_visits)}")
    if more.get("session", "") is None:
        del more["session"]
    return {"type": "demand", "sku": sku, "event": event, **more}


def simple_model(**changes):
    """Round numbers: list price, x 1.2 when fewer than 10 are left; gold pays nine tenths."""
    model = {
        "model": "shop", "version": "1", "scope": {"categories": ["*"], "currencies": ["EUR"]}, "zone_levels": 2,
        "group": "all",
        "factors": [
            {"name": "scarcity", "input": "available", "steps": [[0, 1.2], [10, 1]]},
            {"name": "promotion", "input": "promotion", "curve": [[0.1, 0.1], [1, 1]]},
        ],
        "personal": [{"name": "loyalty", "tier": {"gold": 0.9, "silver": 0.95}}],
        "guardrails": {"floor": 0.5, "ceiling": 1.5, "personal": [0.5, 1], "never_above_baseline": True},
        "rounding": {"step": 1}, "stale_limit": "1h",
    }
    model.update(changes)
    return model


# ---- librialto by ctypes ------------------------------------------------------------------------------------------------------

_CTYPES = {"int64_t": ctypes.c_int64, "uint64_t": ctypes.c_uint64, "uint32_t": ctypes.c_uint32, "uint16_t": ctypes.c_uint16,
           "uint8_t": ctypes.c_uint8, "char": ctypes.c_char}


def header(name):
    return (ROOT / "include/rialto" / name).read_text()


def header_constants(name):
    """#define NAME number, over one or two lines."""
    text = header(name).replace("\\\n", " ")
    return {m[1]: int(m[2], 0) for m in re.finditer(r"#define\s+(RIALTO_\w+)\s+(0x[0-9a-fA-F]+|\d+)u?\b", text)}


def header_struct(name, struct_name):
    """A struct of plain integers and texts, read out of a public header."""
    body = re.search(r"struct %s \{(.*?)\n\};" % struct_name, header(name), re.S)[1]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    sizes = {**header_constants("layout.h"), **header_constants(name)}
    fields = []
    for kind, field, size in re.findall(r"(\w+)\s+(\w+)(?:\[(\w+)\])?\s*;", body):
        kind = _CTYPES[kind]
        fields.append((field, kind * (int(size) if size.isdigit() else sizes[size]) if size else kind))
    return type(struct_name, (ctypes.Structure,), {"_fields_": fields})


class Library:
    """Quotes out of shared memory, as a storefront takes them."""

    OK, UNKNOWN_PRODUCT, RETIRED, BUSY = 0, 2, 9, 10

    def __init__(self, cache, path=None):
        self.cache = os.fsencode(str(cache))
        # Python is not built with a sanitizer, so it cannot load a library that is: the release one reads the same tables.
        folder = LIB if VARIANT in ("release", "clang") else ROOT / "build/release/lib"
        self.lib = ctypes.CDLL(str(path or folder / "librialto.so"))
        self.Quote = header_struct("quote.h", "rialto_quote")
        self.FLAG = {k[12:]: v for k, v in header_constants("quote.h").items() if k.startswith("RIALTO_FLAG_")}

        class Request(ctypes.Structure):
            _fields_ = [("customer", ctypes.c_char_p), ("zone", ctypes.c_char_p), ("basis", ctypes.c_int),
                        ("currency", ctypes.c_char_p)]
        self.Request = Request
        self.lib.rialto_open.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
        self.lib.rialto_close.argtypes = [ctypes.c_void_p]
        self.lib.rialto_close.restype = None
        self.lib.rialto_quote.argtypes = [ctypes.c_void_p, ctypes.POINTER(Request), ctypes.c_char_p, ctypes.POINTER(self.Quote)]
        self.lib.rialto_status_text.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        self.open()

    def open(self):
        status = self.lib.rialto_open(self.cache, ctypes.byref(self.handle))
        require(status == self.OK, f"rialto_open: {self.text(status)}")

    def text(self, status):
        return self.lib.rialto_status_text(status).decode()

    def quote(self, sku, customer=None, zone=None):
        """(status, quote)"""
        request = self.Request(customer.encode() if customer else None, zone.encode() if zone else None, 0, None)
        quote = self.Quote()
        return self.lib.rialto_quote(self.handle, ctypes.byref(request), sku.encode(), ctypes.byref(quote)), quote

    def flags(self, quote):
        return {name for name, bit in self.FLAG.items() if quote.flags & bit}

    def close(self):
        if self.handle:
            self.lib.rialto_close(self.handle)
            self.handle = ctypes.c_void_p()


if __name__ == "__main__":
    sys.exit("a library of the tests, not a test")
