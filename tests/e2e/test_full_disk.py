#!/usr/bin/env python3
"""A disk that is full: Redis says so and Rialto says so, prices go on whatever dies meanwhile, the audit log has no half lines, and
with room again everything is durable and complete. The disk is a small file system of the test's own, which ends with it."""
import os
import subprocess
import sys

WITHIN = "RIALTO_FULL_DISK"
APART = ["unshare", *([] if os.getuid() == 0 else ["--user", "--map-root-user"]), "--mount", "--propagation", "private"]
if WITHIN not in os.environ and subprocess.run([*APART, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
    os.execvpe(APART[0], [*APART, sys.executable, __file__], {**os.environ, WITHIN: "1"})

from rialto_test import *

DISK_MB = 512
DURABLE_MS = 400
SLACK_MS = 1500  # of a busy machine
ACTIONS = 60     # lines of the audit log of about 150 bytes: more than the rest of a block of the file system

service = Service(durable_timeout_ms=DURABLE_MS)
service.data.mkdir()
mounted, _, why = run("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", service.data) if WITHIN in os.environ else (1, "", "no name space of mounts may be made")
if mounted != 0:
    skipped("a disk that is full", f"no disk of our own: {why}")
    finish()
prices = {}


def room():
    return shutil.disk_usage(service.data).free


def fill():
    """To the last byte."""
    with open(service.data / "of-others", "ab", buffering=0) as others:
        for some in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while others.write(bytes(some)) == some:
                    pass
    equal(room(), 0)


def tell(answer_to):
    """A new price of a product, applied, and what its answer says of Redis."""
    prices[answer_to] = prices.get(answer_to, 1000) + 10
    began = time.monotonic()
    try:
        answer = service.accept(product(answer_to, prices[answer_to]))
    except Closed:  # with the gateway that was killed: once more, as every producer does
        answer = service.accept(product(answer_to, prices[answer_to]))
    require((time.monotonic() - began) * 1000 < DURABLE_MS + SLACK_MS * SLOW, f"it took {time.monotonic() - began} s")
    return answer["durable"]


def admin(*words):
    return service.cli(*words, "--set", f"data_dir={service.data}")


def stands():
    equal({sku: service.amount(sku) for sku in prices}, prices)


def settled():
    wait_until(lambda: {sku: service.amount(sku) for sku in prices} == prices, 20, f"{prices}")


with service:
    note(f"{(DISK_MB << 20) - room()} bytes of it are used")

    @check("with room: durable")
    def _():
        equal({tell(f"before-{i}") for i in range(10)}, {"redis"})
        settled()

    @check("full: answers come in their time and say that nothing is saved, prices go on, status says why")
    def _():
        fill()
        wait_until(lambda: tell("first") == "no", 20, "an answer that says so")
        equal({tell(f"full-{i}") for i in range(10)}, {"no"})
        settled()
        status = service.status()
        equal((status["status"], set(status["redis_states"])), ("degraded", {"disk"}))
        require(any("cannot write to its disk" in p for p in status["problems"]), status["problems"])

    for name, kill in (("worker", lambda: service.kill_worker(0)), ("gateway", service.kill_gateway),
                       ("redis-server", lambda: service.kill_child("redis-server"))):
        @check(f"full: a {name} that is killed comes back, and prices go on")
        def _():
            stands()
            kill()
            stands()
            wait_until(lambda: tell(f"after-{name}") == "no", 20, "an answer")
            settled()

    @check("full: a change that cannot be kept is refused with the reason, and the log says what the audit log could not take")
    def _():
        for i in range(ACTIONS):
            status, _, err = admin("freeze", "--sku", f"full-{i % 10}")
            equal(status, 1)
            contains(err, "could not be written to the data folder: nothing was changed")
        contains(service.log(), "AUDIT-NOT-WRITTEN action=freeze")
        settled()

    @check("with room again: durable, by itself")
    def _():
        (service.data / "of-others").unlink()
        service.wait_durable()
        wait_until(lambda: tell("again") == "redis", 20, "an answer that says so")
        wait_until(lambda: service.status()["redis_states"] == {"up": 2}, 10, "status to say so")
        settled()

    @check("the audit log goes on, line by line")
    def _():
        equal(admin("freeze", "--all")[0], 0)
        lines = [json.loads(line) for line in (service.data / "audit.ndjson").read_text().splitlines()]
        equal(lines[-1]["action"], "freeze")
        equal(admin("freeze", "--all", "--off")[0], 0)

    @check("nothing was lost: the machine restarts, and all comes back out of Redis")
    def _():
        service.wait_durable()
        service.kill()
        shutil.rmtree(service.data / "state")
        shutil.rmtree(service.cache, ignore_errors=True)
        service.start()
        settled()
finish()
