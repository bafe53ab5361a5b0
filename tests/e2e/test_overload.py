#!/usr/bin/env python3
# alone: it floods a service, and whoever runs beside it
"""More than can be taken: memory stays bounded, the newest state wins, quotes go on; who misbehaves costs nobody else anything."""
import resource
from rialto_test import *

MODEL = simple_model(factors=[{"name": "demand", "input": "demand_pressure", "curve": [[0, 0.8], [1, 1], [4, 1.2]]}],
                     demand={"half_life": "5s", "slow_half_life": "60s", "min_events": 1})
PRODUCTS = [f"p{i}" for i in range(200)]
SECONDS = 3


def memory_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) // 1024


def page_faults(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[7])


class Flood(threading.Thread):
    """Lines of orders as fast as they are taken, numbered."""

    def __init__(self, url, name, stop):
        super().__init__(daemon=True)
        self.url, self.who, self.stop, self.sent = url, name, stop, 0
        self.head = [f'{{"type":"demand","sku":"{PRODUCTS[i % len(PRODUCTS)]}","event":"order","source":"{name}","seq":' for i in range(512)]

    def run(self):
        with Pusher(self.url, timeout=60) as pusher:
            while not self.stop.is_set():
                pusher.push("\n".join(f"{head}{self.sent + i + 1}}}" for i, head in enumerate(self.head)))
                self.sent += 512


with Service(models={"shop.json": MODEL}, ingest_messages_max=64, window_batches_max=16) as service:
    service.accept(*(product(sku, 1000) for sku in PRODUCTS))
    service.accept(product("calm", 777))
    reader = Library(service.cache)

    def applied():
        return sum(w["applied"] for w in service.ask({"control": "ping"})["workers"])

    @check("more signals than can be priced: senders wait, memory is bounded, quotes and answers go on")
    def _():
        stop = threading.Event()
        floods = [Flood(service.push_ipc, f"flood-{i}", stop) for i in range(2)]
        pids = {name: pid for name, pid in service.children().items() if name == "gateway" or name.startswith("worker")}
        for flood in floods:
            flood.start()
        time.sleep(0.5)
        before, most, slowest, quotes = {n: memory_mib(p) for n, p in pids.items()}, {}, 0.0, 0
        faults, sent = {n: page_faults(p) for n, p in pids.items()}, sum(f.sent for f in floods)
        end, price = time.monotonic() + SECONDS * SLOW, 777
        while time.monotonic() < end:
            began = time.monotonic()
            reader.quote("calm")
            slowest, quotes = max(slowest, time.monotonic() - began), quotes + 1
            if quotes % 500 == 0:
                price += 1
                equal(service.accept(product("calm", price))["accepted"], 1)
                equal(service.amount("calm"), price, "an answered price")
                most = {n: max(most.get(n, 0), memory_mib(p)) for n, p in pids.items()}
        stop.set()
        for flood in floods:
            flood.join(60)
        require(all(not flood.is_alive() for flood in floods), "a sender still waits")
        # 64 messages of 60 KB, 16 batches of 1024 signals for each worker, NNG's own buffers: far below 64 MiB each.
        require(VARIANT == "asan" or all(most[n] - before[n] < 64 for n in most), f"MiB: {before} {most}")
        require(slowest < 1, f"a quote took {slowest} s")
        note(f"{sum(f.sent for f in floods)} signals in {SECONDS * SLOW} s, {quotes} quotes, slowest {1000 * slowest:.1f} ms, MiB {before} -> {most}")
        for flood in floods:  # the newest number was counted: none behind it was left out
            wait_until(lambda: service.ask(demand("p0", source=flood.who, seq=flood.sent))["findings"][:1] != [] or None, 30, "all to be applied")
        # A message takes 8 pages there and back, and its half of a batch 10: memory that was used before is written again, not asked for anew.
        messages = (sum(f.sent for f in floods) - sent) // 512
        each = {n: (page_faults(p) - faults[n]) / messages for n, p in pids.items()}
        note(f"page faults a message: {', '.join(f'{n} {each[n]:.2f}' for n in each)}")
        require(VARIANT not in ("release", "clang") or all(each[n] < 2 for n in each), f"page faults a message of 512: {each}")

    @check("a message of 100 MB costs its sender the connection, and nobody else anything")
    def _():
        with Pusher(service.push_tcp) as pusher:
            try:
                pusher.socket.sendall(struct.pack(">Q", 100 << 20))
                for _ in range(100):
                    pusher.socket.sendall(b" " * (1 << 20))
                raise Failed("all of it was taken")
            except OSError:
                pass
        service.accept(product("calm", 800))

    @check("10,000 levels of nesting are refused, in an array and in lines, and the service goes on")
    def _():
        deep = "[" * 10000 + "]" * 10000
        equal(service.refuse(deep)[0], "not_json")
        answer = service.ask('{"type":"demand","sku":"p0","event":"view","x":%s}\n{"type":"supply","sku":"p1","available":5}' % deep)
        equal((answer["accepted"], answer["rejected"], answer["findings"][0]["reason"]), (1, 1, "not_json"))

    @check("a thousand connections that say nothing, while others are served")
    def _():
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        idle = []
        try:
            for i in range(1000):
                idle.append(socket_to(service.push_tcp if i % 2 else service.request_tcp))
            equal(service.accept(product("calm", 801))["accepted"], 1)
            equal(service.amount("calm"), 801)
        finally:
            for connection in idle:
                connection.close()
        equal(service.accept(product("calm", 802))["accepted"], 1)
    reader.close()
finish()
