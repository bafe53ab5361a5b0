#!/usr/bin/env python3
"""Keys deleted and new ones inserted for ever, at a load of 0.7: no slowing down, no key lost, none that comes back; and however the program
ends, the memory of its tables is given back. In soak (RIALTO_HISTORIES is set): 100 million operations on a table of 10 million."""
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from rialto_test import *

LONG = "RIALTO_HISTORIES" in os.environ
SHORT = ("--customers", 50000, "--offers", 0, "--operations", 2 * 10**6)
WORDS = ("--customers", 10**7, "--offers", 0, "--operations", 10**8) if LONG else SHORT
LAYOUT = header_constants("layout.h")["RIALTO_LAYOUT"]


def folders():
    return {path for place in ("/dev/shm", "/tmp") for path in Path(place).glob("rialto-bench*")}


def churn(words, tries):
    """What slows down does so each time; others who use the same caches for a second do not."""
    for _ in range(tries):
        status, out, _ = run(BIN / "rialto-bench", "churn", "--json", *map(str, words), timeout=550)
        result = json.loads(out)
        if status == 0 or result["refused"] + result["lost"] + result["came_back"] > 0:
            break
    return status, result


def ends_well(status, result, words):
    note(f"{result['operations']} operations on {result['keys']} keys, M/s: " + " ".join(f"{t['ops_per_s'] / 1e6:.2f}" for t in result["tenths"]))
    equal((status, result["refused"], result["lost"], result["came_back"]), (0, 0, 0, 0))
    require(result["operations"] == words[-1] and len(result["tenths"]) == 10, "not all of it")
    require(0.69 <= result["keys"] / result["lines"] <= 0.7, f"load {result['keys'] / result['lines']}")
    require(result["late_to_early"] >= 0.8, f"{result['late_to_early']}")


status, result = churn(WORDS, 1 if LONG else 10)

@check("churn at 70 % load ends well: the last three tenths are at least 0.8 of the second to fourth, no key was refused, lost or came back")
def _():
    ends_well(status, result, WORDS)

@check("what could slow it down settles: tags of deleted lines approach a share that leaves empty ones, and stay there")
def _():
    shares = [t["deleted_share"] for t in result["tenths"]]
    note("deleted tags: " + " ".join(f"{share:.4f}" for share in shares))
    require(shares[0] > 0.05, "no deleted tag was ever there: this measures nothing")
    require(max(shares) < 0.26 and abs(shares[-1] - shares[-2]) < 0.006, f"deleted tags: {shares}")
    require(min(t["empty_share"] for t in result["tenths"]) > 0.04, f"{result['tenths']}")

@check("and so does it in a table that has grown in five steps")
def _():
    words = ("--start-percent", 10, *SHORT)
    ends_well(*churn(words, 10), words)

for name in ("SIGKILL", "SIGTERM", "SIGINT"):
    @check(f"{name} in the middle of it leaves no folder in /dev/shm")
    def _():
        before = folders()
        process = subprocess.Popen([BIN / "rialto-bench", "churn", "--customers", "50000", "--offers", "0", "--operations", "1000000000"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_the_test)
        own = wait_until(lambda: {p for p in folders() - before if (p / f"control.v{LAYOUT}").exists()}, 20, "its tables")
        janitor = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        time.sleep(0.2)
        equal(process.poll(), None)
        process.send_signal(getattr(signal, name))
        equal(process.wait(10), -getattr(signal, name))
        wait_until(lambda: not any(p.exists() for p in own), 10, f"{own} to be removed")
        equal(len(janitor), 1)
        wait_until(lambda: not is_alive(janitor[0]), 10, "who removed it to end")
finish()
