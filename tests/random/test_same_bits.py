#!/usr/bin/env python3
"""The same models and inputs give the same prices bit for bit, whoever compiled the engine: gcc and clang, unoptimised and at -O3, and with
undefined behaviour watched. bounds.c prints one number made of every bit of its prices; all of these builds must print the same."""
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
    command = [*BUILDS[name], "-std=c17", "-D_GNU_SOURCE", "-I", ROOT / "include", "-I", ROOT, "-o", program, *SOURCES, "-lcjson", "-lm"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=240)
    if built.returncode != 0:
        return f"does not build: {built.stderr[-300:]}"
    ran = subprocess.run([program, "--digest", str(MODELS)], capture_output=True, text=True, timeout=240)
    return ran.stdout.strip() if ran.returncode == 0 else f"status {ran.returncode}: {(ran.stdout + ran.stderr)[-600:]}"


try:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(BUILDS, pool.map(digest, BUILDS)))
finally:
    shutil.rmtree(folder)
say(re.fullmatch(r"[0-9a-f]{16}", found["gcc -O0"]) is not None, f"gcc -O0 makes a digest of {MODELS} models", found["gcc -O0"])
for name in list(BUILDS)[1:]:
    say(found[name] == found["gcc -O0"], f"{name} gives the same prices, bit for bit", found[name])
sys.exit(failed != 0)
