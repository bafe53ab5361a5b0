#!/usr/bin/env python3
"""CloudEvents 1.0 on every way in: pushed and asked, over TCP and Unix sockets, one, batched, in lines, by the command line."""
from rialto_test import *


def event(number, data, source="/tills/25", **more):
    data = dict(data)
    return {"specversion": "1.0", "id": f"e{number}", "source": source, "type": f"com.example.shop.{data.pop('type')}",
            "datacontenttype": "application/json", **more, "data": data}


with Service() as service:
    supply = {"type": "supply", "sku": "milk", "available": 4}

    @check("one event, a batch, lines, and signals among them: each takes effect")
    def _():
        service.accept(event(1, product("milk", 1000)))
        equal(service.amount("milk"), 1000)
        answer = service.ask("\n".join(json.dumps(s) for s in (event(2, product("bread", 500)), product("eggs", 300), event(3, product("salt", 200)))))
        equal((answer["accepted"], [service.amount(sku) for sku in ("bread", "eggs", "salt")]), (3, [500, 300, 200]))

    @check("asked and pushed, over every endpoint")
    def _():
        for number, url in enumerate((service.request_ipc, service.request_tcp)):
            with Requester(url) as requester:
                equal(requester.ask([event(f"r{number}", product("milk", 2000 + number))])["accepted"], 1)
            equal(service.amount("milk"), 2000 + number)
        for number, url in enumerate((service.push_ipc, service.push_tcp)):
            with Pusher(url) as pusher:
                pusher.push([event(f"p{number}", product("milk", 3000 + number))])
                wait_until(lambda: service.amount("milk") == 3000 + number, 5, "the pushed price")
        equal(service.cli("signal", "-", stdin=encode(event("c", product("milk", 1000))))[0], 0)
        equal(service.amount("milk"), 1000)

    @check("source and id of the envelope count once; a fault is told by its place in the event, and the good ones are taken")
    def _():
        twice = service.ask([event("s", supply), event("s", supply), event("s", supply, source="/other")])
        equal((twice["accepted"], [(f["index"], f["reason"]) for f in twice["findings"]]), (3, [(1, "duplicate")]))
        mixed = service.ask([event("m1", supply), event("m2", {**supply, "available": -1}), event("m3", supply, specversion="0.3")])
        equal((mixed["accepted"], [(f["index"], f["reason"], f["pointer"]) for f in mixed["findings"]]),
              (1, [(1, "out_of_range", "/data/available"), (2, "out_of_range", "/specversion")]))

    @check("what a worker finds is told by its place in the event, too: in its data, or in the envelope")
    def _():
        service.accept(event("w1", supply))
        inner = {**supply, "source": "wms", "id": "w2"}
        numbered = {**supply, "source": "wms", "seq": 1}
        service.accept(event("w2", inner), event("w3", numbered), supply)
        findings = service.ask([event("w4", demand("unicorn")), event("w5", product("beer", 100, currency="USD")), event("w1", supply), event("w9", inner),
                                event("w9", numbered), demand("unicorn"), numbered])["findings"]
        equal({f["index"]: (f["reason"], f["pointer"]) for f in findings},
              {0: ("unknown_product", "/data/sku"), 1: ("no_model", "/data/category"), 2: ("duplicate", "/id"), 3: ("duplicate", "/data/id"),
               4: ("duplicate", "/data/seq"), 5: ("unknown_product", "/sku"), 6: ("duplicate", "/seq")})
finish()
