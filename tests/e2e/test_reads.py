#!/usr/bin/env python3
"""What a quote does not do: no system call, no allocation, no byte written; and a reader without the right to write can ask all the same."""
import hashlib
from rialto_test import *

ROUNDS, PRODUCTS = 20000, 64
MARK = re.compile(r"^(?:\d+ +)?getppid\(\)")

if VARIANT != "release":
    skipped("what a quote does not do", "the runtime of a sanitizer allocates and calls for itself")
    finish()

WORK = temporary_folder()
PROGRAM = WORK / "reads"
subprocess.run(["gcc", "-std=c17", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", "-o", PROGRAM, ROOT / "tests/e2e/reads.c",
                f"-L{LIB}", "-lrialto", f"-Wl,-rpath,{LIB}"], check=True, timeout=60)


def reads(service, rounds, *before):
    status, out, error = run(*before, PROGRAM, service.cache, rounds, timeout=120)
    require(status == 0, f"status {status}: {error}")
    words = [line.split() for line in out.splitlines()]
    return {"mapped": [w[1] for w in words if w[0] == "mapped"], **{w[0]: int(w[1]) for w in words if w[0] != "mapped"}}


def calls_between_marks(path):
    lines = path.read_text().splitlines()
    marks = [i for i, line in enumerate(lines) if MARK.match(line)]
    require(len(marks) == 2, f"{len(marks)} marks")
    return lines[marks[0] + 1:marks[1]]


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


model = simple_model()
model["personal"] = [{"name": "tier", "tier": {"gold": 0.9}}]
with Service(models={"shop.json": model}) as service:
    service.accept(*[product(f"p{i}", 1000 + i) for i in range(PRODUCTS)])
    service.accept(customer("anna", {"profile": True}, tier="gold"))
    wait_until(lambda: service.quote("p0", customer="anna")["amount"] == 900, 10, "gold's price")

    def thread_local(library):
        """Its segments and symbols that every thread has its own of."""
        shown = subprocess.run(["readelf", "--wide", "--program-headers", "--symbols", library], check=True, capture_output=True, text=True).stdout
        return [line for line in shown.splitlines() if re.search(r"\bTLS\b", line)]

    @check("the library has nothing that is a thread's own; one that has is found out")
    def _():
        equal(thread_local(LIB / "librialto.so"), [])
        source, other = WORK / "other.c", WORK / "other.so"
        source.write_text("_Thread_local int seen; int look(void) { return seen++; }\n")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", other, source], check=True, timeout=60)
        require(len(thread_local(other)) >= 2, "not found out")

    @check("all of the cache is mapped to be read only")
    def _():
        found = reads(service, 1)
        require(len(found["mapped"]) >= 5, found["mapped"])
        equal(set(found["mapped"]), {"r--s"})

    @check(f"{ROUNDS} rounds of quotes and pages, by ids and by kept keys: no allocation, and an answer each time")
    def _():
        found = reads(service, ROUNDS)
        equal(found["allocations"], 0)
        equal(found["amounts"], ROUNDS * (4 + 2 * PRODUCTS))

    @check("and no system call")
    def _():
        trace = WORK / "trace"
        found = reads(service, ROUNDS, "strace", "-f", "-o", trace)
        equal(found["amounts"], ROUNDS * (4 + 2 * PRODUCTS))
        equal(calls_between_marks(trace), [])

    @check("the control: a program that does call between the marks is found out")
    def _():
        trace = WORK / "control"
        run("strace", "-o", trace, sys.executable, "-c", "import os; os.getppid(); os.getuid(); os.getppid()")
        contains("\n".join(calls_between_marks(trace)), "getuid()")

    @check("with all writers stopped, asking leaves every byte of the files as it was")
    def _():
        pids = service.left_pids()
        require(len(pids) >= 3, pids)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            before = digest(service.cache)
            reads(service, 1000)
            equal(digest(service.cache), before)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
finish()
