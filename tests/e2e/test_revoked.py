#!/usr/bin/env python3
"""A consent that is taken back moves nothing from the moment on that the service acknowledges it, while demand comes in; and how long
that takes. Each customer pays nine tenths with consent, so the first quote of the full amount is the end of it."""
from rialto_test import *

CUSTOMERS, LOAD_A_SECOND, PRODUCTS = 600, 2000, 50


class Load(threading.Thread):
    """Demand at a rate of its own, until the end."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.pusher, self.ended, self.sent = Pusher(url), threading.Event(), 0

    def run(self):
        while not self.ended.wait(0.02):
            self.pusher.push([demand(f"p{(self.sent + i) % PRODUCTS}") for i in range(LOAD_A_SECOND // 50)])
            self.sent += LOAD_A_SECOND // 50


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def spin(reader, who):
    """Ask until the price is everybody's: (when that was, how many quotes still were personal)."""
    personal, end = 0, time.monotonic() + 10
    while True:
        status, quote = reader.quote("p0", customer=who)
        now = time.monotonic()
        require(status == 0 and quote.amount in (900, 1000), f"{status} {quote.amount}")
        if quote.amount == 1000:
            return now, personal
        personal += 1
        require(now < end, f"{who} still pays a personal price")


with Service(customers_max=4096) as service:
    service.accept(*(product(f"p{i}", 1000) for i in range(PRODUCTS)))
    who = [f"c{i}" for i in range(CUSTOMERS)]
    for at in range(0, CUSTOMERS, 100):
        service.accept(*(customer(c, ["profile"], tier="gold") for c in who[at:at + 100]))
    reader = Library(service.cache)
    reader.open()

    @check("the first quote after a revocation's acknowledgement is without it, each time")
    def _():
        load = Load(service.push_tcp)
        load.start()
        acked, sent, late = [], [], 0
        with Requester(service.request_tcp) as requester:
            for number, c in enumerate(who):
                equal(reader.quote("p0", customer=c)[1].amount, 900)
                revocation = {"type": "customer", "customer": c, "consent": {"profile": False}}
                if number % 2:  # from the answer on
                    equal(requester.ask(revocation)["accepted"], 1)
                    begin = time.monotonic()
                    until, personal = spin(reader, c)
                    acked.append((until - begin) * 1000)
                    late += personal
                else:  # from the sending on, answer or not
                    begin = time.monotonic()
                    asking = threading.Thread(target=requester.ask, args=(revocation,))
                    asking.start()
                    sent.append((spin(reader, c)[0] - begin) * 1000)
                    asking.join()
        load.ended.set()
        load.join()
        note(f"quote at the baseline after the acknowledgement: p50 {percentile(acked, .5):.3f} ms, p99 {percentile(acked, .99):.3f}, worst "
             f"{max(acked):.3f}; after the sending: p50 {percentile(sent, .5):.2f} ms, p99 {percentile(sent, .99):.2f}; "
             f"{load.sent} signals of demand meanwhile")
        require(load.sent >= LOAD_A_SECOND // 50, "no demand came in")
        equal(late, 0, "personal quotes after an acknowledgement")  # so its time is that of a quote, however busy the machine is

    @check("what rested on it is gone: nobody pays a personal price")
    def _():
        for c in who:
            equal(reader.quote("p0", customer=c)[1].amount, 1000)
        equal(service.status()["tables"]["terms"]["used"], 0)

finish()
