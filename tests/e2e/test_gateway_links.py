#!/usr/bin/env python3
"""The gateway among workers that misbehave: they die, come back, miss batches, fall silent, lose their memory. The workers here
are puppets that speak the wire format (service/wire.h); the gateway is the real one, in its own role.
"""
import itertools
import random
import resource
import select

from rialto_test import *  # noqa: F403: the words of these tests

PAIR = 0x10
BATCH, HELLO, ACK = 1, 2, 3
REDIS_UP, REDIS_DISK = 1, 2
HEADER = struct.Struct("<IHHQQqIIII")
RECORD = struct.Struct("<IBBBBIIqQQ")
FINDING = struct.Struct("<QIHH")
PART_PRODUCT, PART_CUSTOMER = 1, 2
VERSION = int(re.search(r"^#define WIRE_VERSION +(\d+)u", (ROOT / "service/wire.h").read_text(), re.M)[1])
FIELDS = re.findall(r'^    X\("(\w+)",', (ROOT / "service/signal.h").read_text(), re.M)
REASONS = re.findall(r"^    X\((\w+), +(?:NOTE|REJECT),", (ROOT / "service/signal.h").read_text(), re.M)


class Puppet(threading.Thread):
    """A worker that applies what it gets, unless told otherwise. It may die, and come back as another process."""

    def __init__(self, gateway, index, applied=0):
        super().__init__(daemon=True)
        self.url = f"ipc://{gateway.data}/worker.{index}.ipc"
        self.index, self.applied, self.durable, self.tick = index, applied, applied, 0
        self.flags = REDIS_UP
        self.life = int.from_bytes(os.urandom(4), "big") | 1
        self.dies_of = lambda record: False
        self.deaths = []  # signals in the batch that it died of
        self.find = lambda record: None  # a record -> name of a reason
        self.paused = self.ended = self.forgets_durable = False
        self.drop = 0  # so many batches go by unseen
        self.cut = ""  # the stream ends when something was found, and not yet told: it "keeps" it, or "forgets"
        self.untold = []
        self.gaps = self.repeats = 0
        self.records, self.batches = [], []
        self.fault = None
        self.start()

    def head(self, kind, count=0):
        return HEADER.pack(0x52494C57, VERSION, kind, self.applied, self.durable, self.tick, count, self.index, self.flags,
                           self.life if kind == HELLO else 0)

    def run(self):
        while not self.ended:
            try:
                with Sp(self.url, PAIR, PAIR, 0.1) as pipe:
                    pipe.send(self.head(HELLO, len(self.untold)) + b"".join(self.untold))
                    self.untold = []
                    self.follow(pipe)
            except (Closed, OSError):
                time.sleep(0.02)
            except Exception as error:  # a check that failed in this thread: told by end()
                self.fault = error
                return

    def follow(self, pipe):
        pipe.socket.settimeout(None)
        while not self.ended:
            if self.paused or not readable(pipe.socket, 0.05):
                time.sleep(0.005 if self.paused else 0)
                continue
            self.take(pipe, pipe.receive())

    def take(self, pipe, message):
        magic, version, kind, seq, prev, tick, count, worker, _, _ = HEADER.unpack_from(message)
        equal((magic, version, kind, worker), (0x52494C57, VERSION, BATCH, self.index), "head of a batch")
        if self.drop:
            self.drop -= 1
        elif seq <= self.applied:
            self.repeats += 1
            pipe.send(self.head(ACK))
        elif prev > self.applied:
            self.gaps += 1
            pipe.send(self.head(HELLO))
        else:
            require(tick >= self.tick, "time goes back")
            self.tick = tick
            known = len(self.records)
            found = self.apply(message, seq, count)
            if any(self.dies_of(r) for r in self.records[known:]):
                self.deaths.append(len(self.records) - known)
                del self.records[known:]
                self.life += 2
                raise Closed("died of it")
            self.applied = seq
            self.batches.append((seq, count))
            if not self.forgets_durable:
                self.durable = seq
            if self.cut and found:
                self.untold = found if self.cut == "keeps" else []
                self.cut = ""
                raise Closed("cut")
            pipe.send(self.head(ACK, len(found)) + b"".join(found))

    def apply(self, message, seq, count):
        at, found = HEADER.size, []
        for _ in range(count):
            size, _, part, _, _, ref, fields, _, id_hash, _ = RECORD.unpack_from(message, at)
            record, place = {"part": part, "id_hash": id_hash}, at + RECORD.size
            for _ in range(fields):
                number, _, length = struct.unpack_from("<BBH", message, place)
                record[FIELDS[number]] = message[place + 4:place + 4 + length]
                place += 4 + length
            self.records.append(record)
            reason = self.find(record)
            if reason:
                found.append(FINDING.pack(seq, ref, REASONS.index(reason), part))
            at += size
        equal(at, len(message), "length of a batch")
        return found

    def skus(self, prefix):
        names = [r["sku"].rstrip(b"\0").decode() for r in self.records if "sku" in r and r["part"] == PART_PRODUCT]
        return [int(name[len(prefix):]) for name in names if name.startswith(prefix)]

    def end(self):
        self.ended = True
        self.join()
        if self.fault:
            raise self.fault


def readable(connection, seconds):
    return bool(select.select([connection], [], [], seconds)[0])


class Gateway:
    """rialtod in the role of the gateway, without supervisor and workers."""

    def __init__(self, workers=2, **settings):
        folder = temporary_folder()
        self.data, self.log_path = folder / "data", folder / "log"
        models = folder / "models"
        self.data.mkdir()
        models.mkdir()
        (models / "shop.json").write_text(json.dumps(simple_model()))
        self.push_url, self.request_url = f"ipc://{self.data}/push.ipc", f"ipc://{self.data}/request.ipc"
        self.settings = {**SMALL, "instance": f"links{os.getpid()}", "log_level": "debug", "worker_count": workers, "data_dir": self.data,
                         "cache_dir": shared_folder() / "cache", "models_dir": models, "push_urls": self.push_url,
                         "request_urls": self.request_url, "answer_timeout_ms": 1000, "durable_timeout_ms": 300, **settings}
        status, _, err = run(*self.command("prepare"))
        require(status == 0, f"prepare: {err}")
        self.process, self.stuck = None, 0
        atexit.register(self.kill)
        self.start()

    def command(self, role):
        return [BIN / "rialtod", "--role", role] + [w for k, v in self.settings.items() for w in ("--set", f"{k}={v}")]

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in self.command("gateway")], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, preexec_fn=die_with_the_test)

    def requester(self):
        def connect():
            self.supervise()
            with contextlib.suppress(Closed, OSError):
                return Requester(self.request_url)
        return wait_until(connect, 10, "the request socket")

    def ask(self, what):
        with self.requester() as requester:
            return requester.ask(what)

    def push(self, *what):
        with Pusher(self.push_url, 30) as pusher:
            for one in what:
                pusher.push(one)
            time.sleep(0.2)  # what is in the socket is read before it closes

    def state(self):
        return self.ask({"control": "ping"})["workers"]

    def supervise(self):
        """What the supervisor does for a gateway that ends by itself where NNG 1.5 got stuck: wait for its end, start another."""
        stuck = self.log().count("NNG-STUCK")
        if self.process is not None and stuck > self.stuck:
            equal(self.process.wait(15), 0, "exit status")
            self.stuck = stuck
            note("NNG was stuck; the gateway started again")
            self.start()

    def wait_idle(self):
        def idle():
            self.supervise()
            with contextlib.suppress(Closed):
                idle = all(w["connected"] and w["waiting"] == 0 for w in self.state())
                return idle and self.log().count("NNG-STUCK") == self.stuck
        wait_until(idle, 20, "all batches to be applied")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(10 * SLOW)
        self.process = None
        return status

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace")


def view(sku, **more):
    return {"type": "demand", "sku": sku, "event": "view", **more}


def views(prefix, count):
    return [view(f"{prefix}{i}") for i in range(count)]


gateway = Gateway()
puppets = [Puppet(gateway, 0), Puppet(gateway, 1)]


@check("each part goes to one worker, in the order of sending, and the product part names no customer, source or id")
def _():
    signals = [view(f"a{i}", customer=f"C{i}", source="shop", id=str(i)) for i in range(200)]
    equal(gateway.ask(signals)["accepted"], 200)
    for puppet in puppets:
        equal(puppet.skus("a"), sorted(puppet.skus("a")), "order")
        for record in puppet.records:
            require("source" not in record and "id" not in record, f"source or id travel: {record}")
            require(record["part"] == PART_CUSTOMER or "customer" not in record, f"a customer in a product part: {record}")
            require(record["id_hash"] != 0, "no hash of the id")
    equal(sorted(n for p in puppets for n in p.skus("a")), list(range(200)))
    equal(sum(r["part"] == PART_CUSTOMER for p in puppets for r in p.records), 200)


@check("what workers find is told by the place of the signal in its message; remarks reject nothing")
def _():
    for puppet in puppets:
        puppet.find = lambda r: ("unknown_product" if r["part"] == PART_PRODUCT and r.get("sku") == b"unknown\0" else
                                 "no_consent" if r["part"] == PART_CUSTOMER and r.get("customer") == b"Cno\0" else None)
    answer = gateway.ask([view("good"), view("unknown"), {"type": "nonsense"}, view("good", customer="Cno"), view("unknown", customer="Cno")])
    for puppet in puppets:
        puppet.find = lambda r: None
    equal((answer["accepted"], answer["rejected"]), (2, 3))
    equal(sorted((f["index"], f["reason"], f["pointer"]) for f in answer["findings"]),
          [(1, "unknown_product", "/sku"), (2, "unknown_type", "/type"), (3, "no_consent", "/customer"),
           (4, "no_consent", "/customer"), (4, "unknown_product", "/sku")])


def finds_unknown(record):
    return "unknown_product" if record["part"] == PART_PRODUCT and record.get("sku") == b"unknown\0" else None


def owner_of_unknown():
    return next(p for p in puppets if any(finds_unknown(r) for r in p.records))


def ask_and_cut(cut, signals):
    for puppet in puppets:
        puppet.find, puppet.cut = finds_unknown, cut
    answer = gateway.ask(signals)
    equal(sum(p.cut == "" for p in puppets), 1, "streams cut")
    for puppet in puppets:
        puppet.find, puppet.cut = (lambda record: None), ""
    gateway.wait_idle()
    return answer


@check("a stream that is cut behind a batch and in front of what was found in it: nothing of that is called accepted")
def _():
    answer = ask_and_cut("forgets", [view("unknown"), *views("cut", 40)])
    untold = [0] + sorted(1 + n for n in owner_of_unknown().skus("cut"))
    require(1 < len(untold) < 41, f"one worker had everything, or nothing: {untold}")
    equal(sorted((f["index"], f["reason"]) for f in answer["findings"]), [(index, "no_answer") for index in untold])
    equal((answer["accepted"], answer["rejected"]), (41 - len(untold), len(untold)))
    equal(sorted(n for p in puppets for n in p.skus("cut")), list(range(40)), "each came once")
    answer = gateway.ask(views("after-cut", 40))  # of what is told on the next stream, all is known
    equal((answer["accepted"], answer["findings"]), (40, []))


@check("what a worker still knows when it comes back is told with its reason")
def _():
    before = gateway.log().count("WORKER-HELLO")
    answer = ask_and_cut("keeps", [view("unknown")])
    equal(sorted((f["index"], f["reason"], f["pointer"]) for f in answer["findings"] if f["reason"] != "no_answer"), [(0, "unknown_product", "/sku")])
    equal((answer["accepted"], answer["rejected"]), (0, 1))
    require(gateway.log().count("WORKER-HELLO") > before, "no second stream")


@check("so it is with one signal of a batch that is taken apart")
def _():
    equal(gateway.ask(views("deadly", 20))["accepted"], 20)
    owner = owner_of_unknown()
    deadly = f"deadly{owner.skus('deadly')[0]}"
    owner.dies_of = lambda record: record.get("sku") == deadly.encode() + b"\0"
    answer = ask_and_cut("forgets", [view(deadly), *views("apart", 20), view("unknown")])
    owner.dies_of = lambda record: False
    owner.deaths.clear()
    equal(sorted((f["index"], f["reason"]) for f in answer["findings"]), [(0, "poison"), (21, "no_answer")])
    equal((answer["accepted"], answer["rejected"]), (20, 2))


@check("durable says what the workers say: redis, disk, or no when Redis is away or slow")
def _():
    def durable(flags, forgets):
        for puppet in puppets:
            puppet.flags, puppet.forgets_durable = flags, forgets
        time.sleep(0.25)  # two ticks carry the news
        began = time.monotonic()
        return gateway.ask(views("d", 20))["durable"], time.monotonic() - began
    equal(durable(REDIS_UP, False)[0], "redis")
    equal(durable(REDIS_UP | REDIS_DISK, False)[0], "disk")
    word, took = durable(REDIS_UP, True)
    equal(word, "no")
    require(0.25 < took < 1.0 * SLOW, f"{took:.3f} s for a time-out of 0.3 s")
    word, took = durable(0, True)
    equal(word, "no")
    require(took < 0.25 * SLOW, f"{took:.3f} s although Redis is known to be away")
    durable(REDIS_UP, False)


@check("a signal that kills its worker is found and taken out; all others of its batch and of later ones come once, in order")
def _():
    bad = {"k7", "k23"}
    for puppet in puppets:
        puppet.dies_of = lambda record: record["sku"].rstrip(b"\0").decode() in bad
    before = [len(p.batches) for p in puppets]
    with Requester(gateway.request_url) as requester:
        answer = requester.ask(views("k", 40))
    gateway.push(*views("l", 40))
    equal((answer["accepted"], answer["rejected"]), (38, 2), answer)
    equal(sorted((f["index"], f["reason"]) for f in answer["findings"]), [(7, "poison"), (23, "poison")])
    gateway.wait_idle()
    for puppet in puppets:
        puppet.dies_of = lambda record: False
        seqs = [seq for seq, _ in puppet.batches]
        equal(seqs, sorted(set(seqs)), "numbers grow")
        for prefix in "kl":
            equal(puppet.skus(prefix), sorted(puppet.skus(prefix)), "order")
    equal(sorted(n for p in puppets for n in p.skus("k")), [n for n in range(40) if f"k{n}" not in bad])
    equal(sorted(n for p in puppets for n in p.skus("l")), list(range(40)))
    deaths = sorted(d for p in puppets for d in p.deaths)
    require(all(p.deaths[:2] in ([], [p.deaths[0]] * 2) for p in puppets if p.deaths) and deaths.count(1) == 4, deaths)
    note(f"deaths, by signals in the batch: {[p.deaths for p in puppets]}; {[len(p.batches) - b for p, b in zip(puppets, before)]} batches")


@check("a worker that dies at random: signals come once, and those that are missing were said to be taken out")
def _():
    dice = __import__("random").Random(5)
    lost = 0
    for turn in "mno":
        for puppet in puppets:
            puppet.dies_of = lambda record: dice.random() < 0.02
        gateway.push(*views(turn, 400))
        time.sleep(0.5)
        for puppet in puppets:
            puppet.dies_of = lambda record: False
        gateway.wait_idle()
        found = sorted(n for p in puppets for n in p.skus(turn))
        require(len(found) == len(set(found)), "some came twice")
        lost += 400 - len(found)
        equal(gateway.log().count("SIGNAL-POISON") - 3, lost, "signals that are missing and were not said to be")
    note(f"{sum(len(p.deaths) for p in puppets)} deaths, {lost} signals taken out")


@check("a tick is answered when the workers have it, and time goes on from there")
def _():
    target = gateway.ask({"control": "ping"})["service_time_ms"] + 3600_000
    answer = gateway.ask({"control": "tick", "time": target})
    require(answer["ok"] and answer["service_time_ms"] >= target, answer)
    for puppet in puppets:
        require(puppet.tick >= target - target % 100, f"worker {puppet.index} is at {puppet.tick}, not at {target}")
    earlier = gateway.ask({"control": "tick", "time": target - 1000_000})
    require(earlier["ok"] and earlier["service_time_ms"] >= target, earlier)


@check("signals of a dead worker are not answered for: no_answer; the others are accepted")
def _():
    puppets[0].end()
    began = time.monotonic()
    answer = gateway.ask(views("b", 40))
    require(time.monotonic() - began < 3 * SLOW, "the answer comes in time")
    require(0 < answer["rejected"] < 40 and answer["accepted"] + answer["rejected"] == 40, answer)
    equal({f["reason"] for f in answer["findings"]}, {"no_answer"})
    equal([w["connected"] for w in gateway.state()], [False, True])


@check("when it comes back it gets what it missed, once, in order")
def _():
    puppets[0] = Puppet(gateway, 0, puppets[0].applied)
    gateway.wait_idle()
    equal(sorted(n for p in puppets for n in p.skus("b")), list(range(40)))
    equal(puppets[0].skus("b"), sorted(puppets[0].skus("b")))


@check("a batch that gets lost is sent again, with all that follow, and many calls for it are one")
def _():
    before = gateway.log().count("WORKER-HELLO")
    puppets[0].drop = 1
    puppets[0].paused = True
    for chunk in range(20):
        gateway.push(*views(f"c{chunk}-", 20))
    puppets[0].paused = False
    gateway.wait_idle()
    for chunk in range(20):
        equal(sorted(n for p in puppets for n in p.skus(f"c{chunk}-")), list(range(20)), f"chunk {chunk}")
    require(puppets[0].gaps > 0, "nothing was lost: the test tests nothing")
    note(f"{puppets[0].gaps} gaps seen, {puppets[0].repeats} batches came twice, {gateway.log().count('WORKER-HELLO') - before} rewinds")


@check("a gateway that is killed goes on behind every number and every tick that its workers have")
def _():
    gateway.ask(views("e", 20))
    gateway.wait_idle()
    gateway.process.send_signal(signal.SIGSTOP)  # no further tick
    time.sleep(0.2)
    applied, ticks = max(p.applied for p in puppets), max(p.tick for p in puppets)
    seen = [len(p.batches) for p in puppets]
    gateway.kill()
    gateway.start()
    answer = gateway.ask(views("f", 20))
    equal(answer["accepted"], 20)
    fresh = [seq for p, known in zip(puppets, seen) for seq, _ in p.batches[known:]]
    require(min(fresh) > applied, f"numbers given out again: {fresh}, known {applied}")
    require(all(p.tick >= ticks for p in puppets), "time went back")


@check("without its file of numbers too")
def _():
    applied = max(p.applied for p in puppets)
    gateway.kill()
    (gateway.data / "gateway.seq").unlink()
    gateway.start()
    equal(gateway.ask(views("g", 20))["accepted"], 20)
    require(min(p.applied for p in puppets) > applied, "numbers given out again")


@check("a worker that lost its memory is taken as it is, and goes on")
def _():
    puppets[1].end()
    gateway.push(*views("h", 40))
    puppets[1] = Puppet(gateway, 1, 3)
    gateway.wait_idle()
    equal(sorted(n for p in puppets for n in p.skus("h")), list(range(40)))
    require("WORKER-BEHIND" in gateway.log(), "nobody was told")


@check("a second gateway on the same data is refused")
def _():
    status, _, err = run(*gateway.command("gateway"))
    equal(status, 1)
    contains(err, "another gateway")


@check("a stop hands on what has been received")
def _():
    with Pusher(gateway.push_url) as pusher:
        for one in views("i", 500):
            pusher.push(one)
        time.sleep(0.3)
        equal(gateway.stop(), 0)
    equal(sorted(n for p in puppets for n in p.skus("i")), list(range(500)))
    for puppet in puppets:
        puppet.end()


tight = Gateway(window_batches_max=8, ingest_messages_max=16, batch_signals_max=16)
puppets = [Puppet(tight, 0), Puppet(tight, 1)]
tight.wait_idle()
COUNT = 5000
sent = [0]


def push_many():
    with Pusher(tight.push_url, 60) as pusher:
        for one in views("j", COUNT):
            pusher.push(one)
            sent[0] += 1
        time.sleep(0.5)


@check("a worker that falls silent makes senders wait; nothing grows, a ping is answered, requests end in time")
def _():
    puppets[0].paused = True
    thread = threading.Thread(target=push_many)
    thread.start()
    time.sleep(1)
    waiting = sent[0]
    require(waiting < COUNT / 2, f"{waiting} of {COUNT} were taken")
    time.sleep(0.5)
    equal(sent[0], waiting, "sent while nothing is taken")
    began = time.monotonic()
    workers = tight.state()
    require(time.monotonic() - began < 0.5 * SLOW, "the ping waits")
    require(workers[0]["waiting"] >= 8 and workers[1]["waiting"] < 8, workers)
    askers = [tight.requester() for _ in range(100)]
    for asker in askers:
        asker.send(struct.pack(">I", 0x80000001) + json.dumps(view("late")).encode())
    for asker in askers[10:]:
        asker.close()
    for asker in askers[:10]:
        equal(json.loads(asker.receive(10 * SLOW)[4:])["findings"][0]["reason"], "no_answer")
        asker.close()
    puppets[0].paused = False
    thread.join()
    tight.wait_idle()
    equal(sorted(n for p in puppets for n in p.skus("j")), list(range(COUNT)))
    for puppet in puppets:
        equal(puppet.skus("j"), sorted(puppet.skus("j")), "order")
    equal(tight.ask(view("after"))["accepted"], 1)


@check("producers take turns: who sends a little does not wait behind who has much")
def _():
    for puppet in puppets:
        puppet.paused = True
    known, sent[0] = [len(p.records) for p in puppets], 0
    thread = threading.Thread(target=push_many)
    thread.start()
    time.sleep(0.5)
    with Pusher(tight.push_url, 30) as pusher:
        for one in views("turn", 4):
            pusher.push(one)
        for puppet in puppets:
            puppet.paused = False
        thread.join()
    tight.wait_idle()
    before = 0
    for puppet, first in zip(puppets, known):
        names = [r["sku"].rstrip(b"\0").decode() for r in puppet.records[first:] if "sku" in r]
        before += max((i for i, name in enumerate(names) if name.startswith("turn")), default=0)
    equal(sorted(n for p in puppets for n in p.skus("turn")), list(range(4)))
    require(before < COUNT / 4, f"{before} of {COUNT} came first")


@check("who comes while nothing is taken, and greets, is not taken for silent: his message waits like any other")
def _():
    puppets[0].paused = True
    thread = threading.Thread(target=push_many)
    sent[0] = 0
    thread.start()
    time.sleep(1)
    with Sp(tight.push_url, PUSH, PULL) as patient:
        patient.send(json.dumps(view("patient0")).encode())
        time.sleep(7)  # longer than silence is borne
        puppets[0].paused = False
        thread.join()
        tight.wait_idle()
    equal(sorted(n for p in puppets for n in p.skus("patient")), [0])


def cpu_s(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@check("without file descriptors for a worker and producers that come, the gateway waits, and does not turn in circles")
def _():
    pid, limit = tight.process.pid, resource.prlimit(tight.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (7, limit[1]))  # it has more than that, and will get none
    puppets[0].end()
    puppets[0] = Puppet(tight, 0, puppets[0].applied)
    with socket_to(tight.push_url):
        time.sleep(0.5)
        before = cpu_s(tight.process)
        time.sleep(2)
        used = cpu_s(tight.process) - before
    equal(puppets[0].batches, [], "what a worker got that cannot be there")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    tight.wait_idle()
    require(used < 0.5, f"{used:.2f} s of CPU in 2 s")


@check("however many producers connect, there are file descriptors for a worker that comes back")
def _():
    pid, limit = tight.process.pid, resource.prlimit(tight.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (300, limit[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket_to(tight.push_url)).sendall(handshake(PUSH))
        time.sleep(0.5)
        puppets[0].end()
        time.sleep(0.5)  # the crowd has its place by now, if it may
        puppets[0] = Puppet(tight, 0, puppets[0].applied)
        wait_until(lambda: puppets[0].batches, 3 * SLOW, "a tick for the worker")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    tight.wait_idle()
    tight.push(view("crowd0"))
    wait_until(lambda: sum(len(p.skus("crowd")) for p in puppets) == 1, 5 * SLOW, "a signal pushed after that")


@check("no worker at all: the gateway starts all the same, and says that nobody answers")
def _():
    for puppet in puppets:
        puppet.end()
    tight.kill()
    tight.start()
    answer = tight.ask(view("nobody"))
    equal((answer["accepted"], answer["rejected"], answer["findings"][0]["reason"]), (0, 1, "no_answer"))
    equal(tight.stop(), 0)


def fill(connection, prefix):
    """Signals until the kernel takes no more: how many whole ones it took, and the bytes of the one that it took in part."""
    connection.setblocking(False)
    for number in itertools.count():
        body = json.dumps(view(f"{prefix}{number}")).encode()
        frame, taken = b"\1" + struct.pack(">Q", len(body)) + body, 0
        with contextlib.suppress(BlockingIOError):
            taken = connection.send(frame)
        if taken < len(frame):
            return number, taken


def dropped(gateway):
    return [(int(m[1]), int(m[2]), m[3]) for m in re.finditer(r'PUSH-DROPPED .*streams=(\d+) bytes=(\d+) reason="(.*)"', gateway.log())]


def metric(gateway, name):
    _, out, _ = run(BIN / "rialto", "status", "--cache", gateway.settings["cache_dir"], "--json")
    return json.loads(out)["metrics"].get(name)


def filled(name, producers):
    """A gateway whose workers take nothing, and of each producer as much as the kernel holds."""
    gateway = Gateway(window_batches_max=8, ingest_messages_max=16, batch_signals_max=16)
    puppets = [Puppet(gateway, 0), Puppet(gateway, 1)]
    gateway.wait_idle()
    for puppet in puppets:
        puppet.paused = True
    pipes = [Sp(gateway.push_url, PUSH, PULL) for _ in range(producers)]
    counts = [0] * producers
    for index, pipe in enumerate(pipes):
        for _ in range(3):  # until what the gateway has read for the time being is made good
            more, part = fill(pipe.socket, f"{name}{index}.{counts[index]}.")
            counts[index] += more
            require(part == 0, "a frame of a few bytes is taken whole or not at all")
            time.sleep(0.3)
    return gateway, puppets, pipes, sum(counts)


@check("a stop takes the whole messages that local producers' kernel has taken, and counts the bytes of one that is not whole")
def _():
    gateway, puppets, pipes, count = filled("drain", 3)
    half = Sp(gateway.push_url, PUSH, PULL)
    half.socket.sendall(b"\1" + struct.pack(">Q", 500) + b"x" * 100)
    time.sleep(0.2)
    known = [len(p.records) for p in puppets]
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not Path(gateway.push_url[6:]).exists(), 5, "an end of listening")
    try:
        pipes[0].socket.setblocking(True)
        pipes[0].send(b"[]")
        raise Failed("more can be sent to who does not listen")
    except Closed:
        pass
    for puppet in puppets:
        puppet.paused = False
    equal(gateway.process.wait(10 * SLOW), 0)
    gateway.process = None
    equal(sum("sku" in r and r["sku"].startswith(b"drain") for p in puppets for r in p.records), count, "of what was sent came")
    require(sum(known) < count / 2, f"{sum(known)} of {count} were there before: nothing to drain")
    equal(dropped(gateway), [(1, 109, "the gateway ends")])
    note(f"{count} messages, {sum(known)} before the stop")
    for puppet in puppets:
        puppet.end()


@check("so it does with a crowd that stood at the door when it was told to end")
def _():
    gateway = Gateway(workers=1)
    puppet = Puppet(gateway, 0)
    gateway.wait_idle()
    gateway.process.send_signal(signal.SIGSTOP)
    crowd = []
    for number in range(200):
        body = json.dumps(view(f"crowd{number}")).encode()
        crowd.append(socket_to(gateway.push_url, 10))
        crowd[-1].sendall(handshake(PUSH) + b"\1" + struct.pack(">Q", len(body)) + body)
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.send_signal(signal.SIGCONT)
    equal(gateway.process.wait(10 * SLOW), 0)
    gateway.process = None
    equal(sorted(puppet.skus("crowd")), list(range(200)))
    equal(dropped(gateway), [])
    puppet.end()


@check("workers that take nothing do not hold up a stop: what lies in streams is counted, and said")
def _():
    gateway, puppets, pipes, count = filled("lost", 2)
    began = time.monotonic()
    equal(gateway.stop(), 0)
    took = time.monotonic() - began
    require(0.9 < took < 3 * SLOW, f"{took:.1f} s")
    lost = dropped(gateway)
    require(len(lost) == 1 and lost[0][0] == 2 and lost[0][2] == "the gateway ends" and lost[0][1] > 50 * count / 2, lost)
    for puppet in puppets:
        puppet.end()


@check("a producer that goes within a message, or says what is none: its bytes are counted, and said with their place")
def _():
    gateway = Gateway(workers=1)
    puppet = Puppet(gateway, 0)
    gateway.wait_idle()
    for bytes_ in (b"\1" + struct.pack(">Q", 500) + b"x" * 100, b"\2" + bytes(40)):
        with Sp(gateway.push_url, PUSH, PULL) as pipe:
            pipe.socket.sendall(bytes_)
            time.sleep(0.1)
    wait_until(lambda: sum(b for _, b, _ in dropped(gateway)) == 109 + 41, 5, "two drops in the log")
    equal(metric(gateway, "push_bytes_dropped_total"), 150)
    contains(gateway.log(), f"PUSH-DROPPED url={gateway.push_url} ")
    equal(gateway.stop(), 0)
    puppet.end()


@check("long messages have room for so many at a time: further ones wait, short ones do not, who hardly goes on with his is hung up on")
def _():
    longest = 8 << 20
    gateway = Gateway(workers=1, message_bytes_max=longest)
    puppet = Puppet(gateway, 0)
    gateway.wait_idle()
    long = json.dumps([view("long0")]).encode().ljust(longest)
    holders = [Sp(gateway.push_url, PUSH, PULL) for _ in range(16)]
    for holder in holders[:8]:
        holder.socket.sendall(b"\1" + struct.pack(">Q", longest) + long[:1000])
    time.sleep(0.3)
    for holder in holders[8:]:
        holder.socket.sendall(b"\1" + struct.pack(">Q", longest) + long[:1000])
    patient = threading.Thread(target=lambda: gateway.push(long))
    patient.start()
    gateway.push(*views("short", 50))
    wait_until(lambda: len(puppet.skus("short")) == 50, 5, "short messages")
    wait_until(lambda: metric(gateway, "push_long_waits_total") == 9, 5, "eight that have room, and nine that wait")
    equal(puppet.skus("long"), [])
    used = cpu_s(gateway.process)
    time.sleep(1)
    require(cpu_s(gateway.process) - used < 0.3, "the gateway turns in circles")
    for holder in holders[8:]:  # these come after those that have room, and that go on, but hardly
        holder.close()
    end = time.monotonic() + 40 * SLOW
    while puppet.skus("long") != [0] and time.monotonic() < end:
        for holder in holders[:8]:
            with contextlib.suppress(OSError):
                holder.socket.sendall(b" ")
        time.sleep(0.5)
    equal(puppet.skus("long"), [0])
    patient.join()
    reasons = {(reason, streams) for streams, _, reason in dropped(gateway)}
    contains(gateway.log(), "it said too little of a long message while others waited for room")
    note(f"{reasons}")
    for holder in holders:
        holder.close()
    equal(gateway.stop(), 0)
    puppet.end()


class Rude(Puppet):
    """Reads nothing, and goes in the middle of a message of its own."""

    def follow(self, pipe):
        time.sleep(random.uniform(0, 0.03))
        pipe.socket.sendall(b"\x01" + struct.pack(">Q", 100))
        time.sleep(random.choice((0, 0.0001)))


@check("a gateway that is told to end does so in time, whatever rude peers left behind")
def _():
    gateway = Gateway(workers=4)
    rude = [Rude(gateway, i) for i in range(4)]
    wait_until(lambda: gateway.log().count("LISTENING") >= 2, 10, "the gateway")
    end = time.monotonic() + 2
    with contextlib.suppress(Closed, OSError), Pusher(gateway.push_url, 3) as pusher:
        while time.monotonic() < end:
            pusher.push(views("r", 200))
            time.sleep(0.0005)
    time.sleep(max(0.0, end - time.monotonic()))
    for one in rude:
        one.end()
    began = time.monotonic()
    equal(gateway.stop(), 0)
    note(f"ended after {time.monotonic() - began:.1f} s; {gateway.log().count('WORKER-GONE')} connections broken")


finish()
