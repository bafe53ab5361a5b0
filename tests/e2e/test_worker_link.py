#!/usr/bin/env python3
"""A worker whose gateway dies at a bad moment. The gateway here is a puppet that speaks the wire format (service/wire.h); the worker is the
real one, in its own role.
"""
from rialto_test import *  # noqa: F403: the words of these tests

PAIR, BATCH, HELLO, ACK = 0x10, 1, 2, 3
HEADER = struct.Struct("<IHHQQqIIII")
RECORD = struct.Struct("<IBBBBIIqQQ")
MAGIC, DEMAND, PART_PRODUCT = 0x52494C57, 2, 1
VERSION = int(re.search(r"^#define WIRE_VERSION +(\d+)u", (ROOT / "service/wire.h").read_text(), re.M)[1])
FIELDS = re.findall(r'^    X\("(\w+)",', (ROOT / "service/signal.h").read_text(), re.M)
FULL = 20000  # findings: more than a quarter of what a worker keeps (FINDINGS_MAX); there it reads no further


class Link(Sp):
    """The gateway's end: it listens, the worker dials."""

    def __init__(self, listener):
        self.prefix = b"\x01"
        listener.settimeout(5 * SLOW)
        self.socket, _ = listener.accept()
        self.socket.settimeout(5 * SLOW)
        self.socket.sendall(handshake(PAIR))
        equal(self._read(8), handshake(PAIR), "greeting")

    def next(self):
        message = self.receive()
        kind, seq = HEADER.unpack_from(message)[2:4]
        return kind, seq, HEADER.unpack_from(message)[6]


def batch(seq, prev, count):
    """The same signal over and over: all but the first are duplicates."""
    values = {"sku": b"same\0", "event": bytes(8)}
    fields = b"".join(struct.pack("<BBH", FIELDS.index(name), 0, len(value)) + value for name, value in values.items())
    fields += b"\0" * (-(RECORD.size + len(fields)) % 8)
    records = b"".join(RECORD.pack(RECORD.size + len(fields), DEMAND, PART_PRODUCT, 0, 0, ref, 2, now_ms, 77, 0) + fields
                       for ref in range(count))
    return HEADER.pack(MAGIC, VERSION, BATCH, seq, prev, now_ms, count, 0, 0, 0) + records


folder = temporary_folder()
(folder / "data").mkdir()
(folder / "models").mkdir()
(folder / "models/shop.json").write_text(json.dumps(simple_model()))
redis = OwnRedis()
now_ms = int(time.time() * 10) * 100
settings = {**SMALL, "instance": f"worker{os.getpid()}", "worker_count": 1, "data_dir": folder / "data", "cache_dir": shared_folder() / "cache",
            "models_dir": folder / "models", "redis_url": f"unix:{redis.socket}"}


def command(*role):
    return [str(w) for w in [BIN / "rialtod", "--role", *role, *(w for k, v in settings.items() for w in ("--set", f"{k}={v}"))]]


status, _, err = run(*command("prepare"))
require(status == 0, f"prepare: {err}")
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(str(folder / "data/worker.0.ipc"))
listener.listen(8)
log = open(folder / "log", "wb")
process = subprocess.Popen(command("worker", "--index", "0"), stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_the_test)


@check("a gateway that dies with more findings untold than the worker reads on with is followed by the next one")
def _():
    link = Link(listener)
    kind, applied, _ = link.next()
    equal(kind, HELLO)
    seq = applied + (1 << 20)
    link.send(batch(seq, applied, FULL))
    link.close()
    link = Link(listener)
    kind, applied, _ = link.next()
    equal((kind, applied), (HELLO, seq))
    again = seq + (1 << 20)
    link.send(batch(again, seq, 10))
    kind, applied, found = link.next()
    while applied < again:
        kind, applied, found = link.next()
    equal((kind, found), (ACK, 10))
    link.close()


@check("what it found and could not tell any more it says when it comes back, and what it found behind a gap")
def _():
    link = Link(listener)
    applied = link.next()[1]
    seq, missing, behind = (applied + i * (1 << 20) for i in (1, 2, 3))
    process.send_signal(signal.SIGSTOP)  # the stream ends before it can answer
    link.send(batch(seq, applied, 12))
    link.close()
    process.send_signal(signal.SIGCONT)
    link = Link(listener)
    equal(link.next(), (HELLO, seq, 12))
    process.send_signal(signal.SIGSTOP)  # both of them come before it answers the first
    link.send(batch(missing, seq, 9))
    link.send(batch(behind + 1, behind, 1))
    process.send_signal(signal.SIGCONT)
    told = [link.next()]
    while told[-1][0] != HELLO:  # that Redis has caught up is said in between
        told.append(link.next())
    equal((told[-1][1], sum(found for _, _, found in told)), (missing, 9))
    link.close()


process.terminate()
equal(process.wait(10 * SLOW), 0, "exit status")


class Between(threading.Thread):
    """Stands between a gateway and its worker; cuts their stream where the worker tells what it found, which nobody hears."""

    def __init__(self, service):
        super().__init__(daemon=True)
        path = service.data / "worker.0.ipc"
        self.behind = service.data / "behind"
        path.rename(self.behind)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.cuts_left = self.cut = 0
        self.start()

    def run(self):
        while True:
            worker, _ = self.listener.accept()
            with worker, socket_to(f"ipc://{self.behind}", None) as gateway, contextlib.suppress(OSError):
                self.carry(worker, gateway)

    def carry(self, worker, gateway):
        told = b""
        while True:
            for end in select.select([worker, gateway], [], [])[0]:
                data = end.recv(1 << 20)
                if not data:
                    return
                if end is gateway:
                    worker.sendall(data)
                    continue
                told += data
                while (whole := self.first_frame(told)) and not self.is_cut(told[:whole]):
                    gateway.sendall(told[:whole])
                    told = told[whole:]
                if whole:
                    self.cut += 1
                    return

    @staticmethod
    def first_frame(data):
        """How long it is, or 0: not all of it is there."""
        length = 8 if data[:1] == b"\0" else 9 + struct.unpack_from(">Q", data, 1)[0] if len(data) >= 9 else len(data) + 1
        return length if len(data) >= length else 0

    def is_cut(self, frame):
        found = frame[:1] == b"\1" and HEADER.unpack_from(frame, 9)[2] == ACK and HEADER.unpack_from(frame, 9)[6] > 0
        self.cuts_left -= found and self.cuts_left > 0
        return found and self.cut == 0 and self.cuts_left == 0


with Service(worker_count=1) as service:
    between = Between(service)
    service.kill_worker(0)

    @check("a stream that is cut while its gateway lives: what was refused and could not be told is not called accepted, and asked again it is refused")
    def _():
        signals = [{"type": "supply", "sku": f"nothing{i}", "available": 1, "source": "shop", "id": f"{i}"} for i in range(3)] + [product("milk", 100)]
        answer = service.ask(signals)
        equal(between.cut, 1, "streams cut")
        equal((answer["accepted"], sorted((f["index"], f["reason"]) for f in answer["findings"])), (0, [(i, "no_answer") for i in range(4)]))
        answer = service.ask(signals)
        equal((answer["accepted"], sorted((f["index"], f["reason"]) for f in answer["findings"])), (1, [(i, "unknown_product") for i in range(3)]))
        equal(service.amount("milk"), 100)
finish()
