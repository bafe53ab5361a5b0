#!/usr/bin/env python3
"""The same models and inputs give the same prices bit for bit, whoever compiled the engine: gcc and clang, unoptimised and at -O3, and with
undefined behaviour watched; and for arm64, emulated, where a cross compiler and qemu are installed (`make soak` installs them). bounds.c prints
one number made of every bit of its prices; all of these builds must print the same. cJSON for arm64 is not packaged for this machine: there, and
in one native build, json/tree.c stands in for it."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODELS = 2000
BUILDS = {"gcc -O0": ["gcc", "-O0"], "gcc -O3": ["gcc", "-O3"], "clang -O0": ["clang", "-O0"], "clang -O3": ["clang", "-O3"],
          "gcc with its sanitizers": ["gcc", "-O1", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"]}
CROSS, EMULATOR = "aarch64-linux-gnu-gcc", shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
STANDS_IN = {"gcc -O2 without cJSON": ["gcc", "-O2"]}
if shutil.which(CROSS) and EMULATOR:
    STANDS_IN |= {"arm64 gcc -O0": [CROSS, "-static", "-O0"], "arm64 gcc -O3": [CROSS, "-static", "-O3"]}
SOURCES = [*sorted(map(str, (ROOT / "pricing").glob("*.c"))), str(ROOT / "tests/random/bounds.c")]

folder = Path(tempfile.mkdtemp(prefix="rialto-bits."))
failed = 0


def say(held, what, why=""):
    global failed
    failed += not held
    print(f"{'ok' if held else 'not ok'} - {what}" + (f" # {why}" if why else ""), flush=True)


def digest(name):
    """What a build prints, or what went wrong."""
    program = folder / re.sub(r"\W+", "-", name)
    json = [ROOT / "tests/random/json/tree.c", "-I", folder] if name in STANDS_IN else ["-lcjson"]
    command = [*(BUILDS | STANDS_IN)[name], "-std=c17", "-D_GNU_SOURCE", "-I", ROOT / "include", "-I", ROOT, "-o", program, *SOURCES, *json, "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if built.returncode != 0:
        return f"does not build: {built.stderr[-300:]}"
    emulator = [EMULATOR] if name.startswith("arm64") else []
    ran = subprocess.run([*emulator, program, "--digest", str(MODELS)], capture_output=True, text=True, timeout=240)
    return ran.stdout.strip() if ran.returncode == 0 else f"status {ran.returncode}: {(ran.stdout + ran.stderr)[-600:]}"


try:
    (folder / "cjson").mkdir()  # the header is the same for every machine, but a cross compiler does not look where it lies
    shutil.copy("/usr/include/cjson/cJSON.h", folder / "cjson")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(BUILDS | STANDS_IN, pool.map(digest, BUILDS | STANDS_IN)))
finally:
    shutil.rmtree(folder)
say(re.fullmatch(r"[0-9a-f]{16}", found["gcc -O0"]) is not None, f"gcc -O0 makes a digest of {MODELS} models", found["gcc -O0"])
for name in list(BUILDS | STANDS_IN)[1:]:
    say(found[name] == found["gcc -O0"], f"{name} gives the same prices, bit for bit", found[name])
if len(STANDS_IN) == 1:
    print(f"ok - arm64 gives the same prices, bit for bit # SKIP no {CROSS} or no qemu-aarch64", flush=True)
sys.exit(failed != 0)
