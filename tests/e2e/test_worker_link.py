#!/usr/bin/env python3
"""A worker whose gateway dies at a bad moment. The gateway here is a puppet that speaks the wire format (service/wire.h); the worker is the
real one, in its own role.
"""
from rialto_test import *  # noqa: F403: the words of these tests

PAIR, BATCH, HELLO, ACK = 0x10, 1, 2, 3
HEADER = struct.Struct("<IHHQQqIIII")
RECORD = struct.Struct("<IBBBBIIqQQ")
MAGIC, DEMAND, PART_PRODUCT = 0x52494C57, 2, 1
VERSION = int(re.search(r"^#define WIRE_VERSION (\d+)u", (ROOT / "service/wire.h").read_text(), re.M)[1])
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


process.terminate()
equal(process.wait(10 * SLOW), 0, "exit status")
