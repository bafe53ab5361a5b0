#!/usr/bin/env python3
"""The wall clock of the machine is set while the service runs, or has a leap second: no price moves by it, time never goes back,
senders whose clocks were set too are heard, and what follows is what docs/operations.md says. The clock is a preloaded one."""
from rialto_test import *

if VARIANT != "release":
    skipped("the wall clock is set", "a preloaded clock does not go with sanitizers")
    finish()

FOLDER = temporary_folder()
SHIM, WALL = FOLDER / "wall_clock.so", FOLDER / "wall"
subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", str(SHIM), str(Path(__file__).parent / "wall_clock.c")], check=True)
set_by = 0


def wall_set(ms):
    """Ahead of the machine's own clock by so many ms."""
    global set_by
    set_by = ms
    if WALL.exists():
        with open(WALL, "r+b", buffering=0) as file:
            file.write(struct.pack("<q", ms))
    else:
        WALL.write_bytes(struct.pack("<q", ms))


def wall_ms():
    return time.time_ns() // 1000000 + set_by


DAY = 86400000
# The service begins in the last hour of a day: prices of the hour change with the day.
MIDNIGHT = (time.time_ns() // 1000000 // DAY + 2) * DAY
MODEL = simple_model(factors=[{"name": "night", "input": "hour", "steps": [[0, 0.5], [12, 1]]}])
wall_set(MIDNIGHT - 3600000 - time.time_ns() // 1000000)
os.environ["LD_PRELOAD"], os.environ["RIALTO_TEST_WALL"] = str(SHIM), str(WALL)


def course(service, ms):
    """How far service time goes while about so many ms pass, and the least and the most that did pass."""
    began = time.monotonic()
    at = service.now_ms()
    answered = time.monotonic()
    time.sleep(ms / 1000)
    ask = time.monotonic()
    gained = service.now_ms() - at
    return gained, (ask - answered) * 1000, (time.monotonic() - began) * 1000


with Service(models={"night.json": MODEL}) as service:
    del os.environ["LD_PRELOAD"]
    service.accept(product("milk", 1000))

    @check("the preloaded clock is the service's")
    def _():
        require(abs(service.now_ms() - wall_ms()) < 5000, f"{service.now_ms()} and not {wall_ms()}")

    @check("a leap second at midnight: 23:59:59 comes twice, time goes on and the day's price changes once, for good")
    def _():
        seen, times, leapt = [], [], False
        wall_set(MIDNIGHT - 3000 - time.time_ns() // 1000000)  # an hour is followed at once
        wait_until(lambda: service.now_ms() > MIDNIGHT - 60000, 10, "the last minute of the day")
        jumps = service.log().count(" CLOCK-JUMP ")
        equal(jumps, 1)
        while not times or times[-1] < MIDNIGHT + 1500 or (seen[-1][1] != 500 and times[-1] < MIDNIGHT + 10000):
            if not leapt and wall_ms() >= MIDNIGHT - 100:
                wall_set(set_by - 1000)
                leapt = True
            before = service.now_ms()
            seen.append((before, service.amount("milk"), service.now_ms()))
            times.append(before)
            time.sleep(0.01)
        require(leapt and times == sorted(times), "time went back")
        amounts = [a for _, a, _ in seen]
        equal(sorted(set(amounts)), [500, 1000])
        equal(amounts, sorted(amounts, reverse=True), "it changes once")
        equal([x for x in seen if x[2] < MIDNIGHT and x[1] != 1000], [], "not before the day ends")

    @check("set ahead by five minutes: service time gains a twentieth and no more")
    def _():
        wall_set(set_by + 1000)  # what the leap second took
        wall_set(set_by + 300000)
        gained, least, most = course(service, 2000)
        require(least * 0.99 - 5 <= gained <= most * 1.0501 + 15, f"{gained} ms in {least:.0f} to {most:.0f} ms")

    @check("a sender whose clock was set too is heard; one beyond it is not")
    def _():
        service.accept(demand("milk", time=wall_ms()))
        answer = service.ask(demand("milk", time=wall_ms() + 120000))
        equal([f["reason"] for f in answer["findings"]], ["from_future"])

    def answered():
        try:
            return service.now_ms()
        except (OSError, Failed, Closed):
            service.forget_connections()
            return None

    @check("a gateway that dies meanwhile makes no jump of it")
    def _():
        began, before = time.monotonic(), service.now_ms()
        os.kill(service.children()["gateway"], signal.SIGKILL)
        service.forget_connections()
        after = wait_until(answered, 10, "an answer")
        passed = (time.monotonic() - began) * 1000
        require(before <= after <= before + passed * 1.06 + 200, f"{after - before} ms in {passed:.0f} ms")
        service.accept(product("bread", 600))  # its workers have found it
        equal(service.amount("bread"), 300)

    @check("set back by an hour: time goes on as if nothing had been")
    def _():
        wall_set(set_by - 3600000)
        gained, least, most = course(service, 1000)
        require(least * 0.99 - 5 <= gained <= most * 1.01 + 15, f"{gained} ms in {least:.0f} to {most:.0f} ms")

    @check("ahead by more than ten minutes: a clock that was wrong; followed at once, and said")
    def _():
        wall_set(set_by + 3 * 3600000)
        wait_until(lambda: abs(service.now_ms() - wall_ms()) < 1000, 10, "the clock's time")
        wait_until(lambda: service.log().count(" CLOCK-JUMP ") == 2, 5, "a line in the log")
finish()
