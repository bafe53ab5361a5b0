#!/usr/bin/env python3
# release: promtool and alerts are the same with sanitizers
"""What Prometheus reads is what Prometheus's own tool calls clean, its histograms agree with what was done, and every alert has been
made to ring, has an entry in the runbook, and names only metrics that exist."""
import urllib.request

from rialto_test import *

RULES = ROOT / "docker/prometheus"
PORT = free_port()


def scrape():
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=10) as answer:
        return answer.read().decode()


def value(text, series):
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.M)
    require(found, f"no {series}")
    return float(found[1])


with Service(http_listen=f"127.0.0.1:{PORT}") as service:
    service.accept(product("milk", 1000), customer("anna", ["behaviour"]))
    for _ in range(20):
        service.accept(demand("milk", event="order"))
    text = scrape()

    @check("promtool check metrics has nothing to say")
    def _():
        equal(run("promtool", "check", "metrics", stdin=text.encode()), (0, "", ""))

    @check("acknowledged signals are counted by how long they took, each once")
    def _():
        count = value(text, 'rialto_acknowledged_signal_seconds_count{process="gateway"}')
        equal(count, 21)
        equal(value(text, 'rialto_acknowledged_signal_seconds_bucket{process="gateway",le="+Inf"}'), count)
        require(0 < value(text, 'rialto_acknowledged_signal_seconds_sum{process="gateway"}') < 20 * SLOW, "a sum of seconds")

    @check("signals became prices, batches were applied, and Redis confirmed them")
    def _():
        for name in ("signal_to_price", "batch", "redis_lag"):
            count = sum(value(text, f'rialto_{name}_seconds_count{{process="worker.{i}"}}') for i in range(2))
            require(count > 0, name)

    @check("prices that move are counted, those that move by a tenth or more, and those that a guardrail holds")
    def _():
        def moves():
            now = scrape()
            return [sum(value(now, f'rialto_prices_moved{part}_total{{process="worker.{i}"}}') for i in range(2)) for part in ("", "_far", "_guarded")]
        before = moves()
        service.accept(product("milk", 1099))                      # by 9.9 %
        service.accept(product("milk", 1200))                      # by 9.19 %
        service.accept(product("milk", 1080))                      # by 10 %
        service.accept(product("milk", 1080, promotion=0.2, until="2099-01-01T00:00:00Z"))  # to the floor: half of list
        service.accept(product("new", 500))
        equal([now - then for now, then in zip(moves(), before)], [4, 2, 1])

    @check("the buckets of a histogram never fall")
    def _():
        for process in ("worker.0", "worker.1"):
            rows = [float(n) for n in re.findall(rf'^rialto_batch_seconds_bucket{{process="{process}",le="[^"]+"}} (\S+)$', text, re.M)]
            equal(rows, sorted(rows))
            equal(len(rows), 17)

    @check("no series names a customer")
    def _():
        require("anna" not in text, "a customer")

    @check("alerts ask only for metrics that are there")
    def _():
        rules = (RULES / "alerts.yml").read_text()
        for name in set(re.findall(r"\brialto_[a-z_]+", rules)):
            require(re.search(rf"^{name}[{{ ]", text, re.M), name)


@check("promtool check config and check rules")
def _():
    status, out, err = run("promtool", "check", "config", RULES / "prometheus.yml")
    equal(status, 0, out + err)


@check("promtool test rules: every alert rings for its cause and is quiet beside it")
def _():
    status, out, err = run("promtool", "test", "rules", RULES / "alerts_test.yml", cwd=RULES)
    equal(status, 0, out + err)


@check("every alert is tested both ways and has an entry in the runbook")
def _():
    names = re.findall(r"alert: (\w+)", (RULES / "alerts.yml").read_text())
    tested, runbook = (RULES / "alerts_test.yml").read_text(), (ROOT / "docs/operations.md").read_text()
    require(len(names) >= 12, str(names))
    for name in names:
        equal(tested.count(f"alertname: {name}\n"), 2, name)
        contains(runbook, f"### {name}\n")


finish()
