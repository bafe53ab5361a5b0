#!/usr/bin/env python3
"""Proof that tests/race and tests/random can fail: single stores, checks and orders of the cache's code are taken away, one at
a time, and the program that hunts for it must find each of these mutants, as it runs natively.

What only another order of two stores, or a weaker one, would show on other processors is for test_model.py.
"""
import concurrent.futures
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CORE = os.path.join(os.path.dirname(os.environ.get("RIALTO_BIN", os.path.join(ROOT, "build/release/bin"))), "obj/core.a")
LIBRARIES = ["-lhiredis", "-lnng", "-lcjson", "-lmicrohttpd", "-lsodium", "-lcsv", "-lz", "-lm", "-lpthread"]
JOBS = 2
TRIES = 4   # a race is a matter of luck, and of what else the machine does: each try takes twice as long as the one before
LIMIT_S = 60   # more than it was told to take: it never ends

REPAIR_TAG = ("    if (!key_is_none(key))\n        tags_set(extent.tags, line, segment_tag(key));\n    else if", "    if")
COUNT_FIRST = [("    cache->folder.rule[count] = *row;\n", ""),
               ("count + 1, memory_order_release);\n    *ret_rule = (uint16_t)count;",
                "count + 1, memory_order_release);\n    cache->folder.rule[count] = *row;\n    *ret_rule = (uint16_t)count;")]

# program, seconds, file that is broken, whether it is compiled of itself, what is broken, (text as it is, as it is broken)...
MUTANTS = [
    ("race/line", 6, "cache/line.h", False, "the odd mark (A) left out",
     [("atomic_store_explicit(&at->word[0], line_word_(now, even + 1), memory_order_release);", ";")]),
    ("race/line", 6, "cache/line.h", False, "the reader's second look left out",
     [("return atomic_load_explicit(&word[0], memory_order_relaxed) == ret[0];", "return true;")]),
    ("race/line", 6, "cache/line.h", False, "a reader that never tries the side line",
     [("attempt >= LINE_SPINS &&", "attempt >= LINE_ATTEMPTS_MAX &&")]),
    ("race/line", 6, "cache/line.h", False, "repair: the line left open",
     [("atomic_store_explicit(&at->word[0], line_word_(first, seq + 1), memory_order_release);", "(void)first;")]),
    ("race/ring", 1, "cache/ring.h", False, "a word of an entry left out",
     [("atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_release);",
       "if (i != 5) atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_release);")]),
    ("race/ring", 1, "cache/ring.h", False, "head moved ahead of the entry",
     [("    RING_STEP();\n    atomic_store_explicit(&word[0], 0, memory_order_relaxed); /* (A) */",
       "    atomic_store_explicit(&ring->head, position + 1, memory_order_release);\n    atomic_store_explicit(&word[0], 0, memory_order_relaxed);")]),
    ("race/table", 2, "cache/table.c", True, "deleted lines made empty under the probes of others",
     [("|| line_is_passed(cache, extent, line))", ")")]),
    ("race/table", 2, "cache/table.c", True, "an insertion without its tag",
     [("    tags_set(extent.tags, slot - extent.in.first, segment_tag(key));\n    note_used(", "    note_used(")]),
    ("race/grow", 2, "cache/segment.h", False, "older extents not looked at",
     [("        if (p->left == 0)\n            return RIALTO_NOT_FOUND;", "        return RIALTO_NOT_FOUND;")]),
    ("race/grow", 3, "cache/table.c", True, "an extent counted ahead of its words",
     [("    grow_publish(&g);\n",
       "    atomic_fetch_add(&g.extents->count, 1);\n    for (volatile int i = 0; i < 2000; i++)\n        ;\n"
       "    atomic_fetch_sub(&g.extents->count, 1);\n    grow_publish(&g);\n")]),
    ("race/header", 3, "cache/table.c", True, "a rule counted ahead of its row", COUNT_FIRST),
    ("race/header", 2, "cache/page.c", True, "the mode looked at anew for each quote of a page",
     [("    a->inputs.age_ms = heartbeat_age_ms(a->r, it->partition, a->mono_ms);\n",
       "    a->inputs.age_ms = heartbeat_age_ms(a->r, it->partition, a->mono_ms);\n"
       "    a->inputs.mode = (enum rialto_mode)atomic_load(&a->r->folder.control->mode);\n")]),
    ("random/table", 2, "cache/table.c", False, "repair: a line left without its tag", [REPAIR_TAG]),
    ("random/table", 2, "cache/table.c", False, "repair: lines left open", [("    line_repair(&at);\n", "")]),
    ("random/table", 2, "cache/table.c", False, "repair: a growth left as it was", [("    grow_repair(&g);\n", "")]),
    ("random/table", 2, "cache/table.c", False, "a deletion that can come back",
     [("line_write(&at, &gone, &gone);",
       "line_write(&at, &gone, &(struct line_version){ .image = NULL, .used = gone.used + 1 });")]),
    ("random/table", 2, "cache/table.c", False, "deleted lines made empty under the probes of others",
     [("|| line_is_passed(cache, extent, line))", ")")]),
    ("random/table", 2, "cache/line.h", False, "the side copy left out",
     [("atomic_store_explicit(&segment->side[0], first, memory_order_release);", "(void)first;"),
      ("atomic_store_explicit(&segment->side[1], second, memory_order_release);", "(void)second;"),
      ("line_unit_store_(&segment->side[i], line_safe_unit_(at, safe, i), memory_order_release);", ";")]),
    ("random/table", 2, "cache/line.h", False, "the count beside the side copy left out",
     [("atomic_store_explicit(&segment->side_used, safe->used, memory_order_relaxed);", ";")]),
]

failures = 0


def check(held, what, detail=""):
    global failures
    print(("ok - " if held else "not ok - ") + what, flush=True)
    if not held:
        failures += 1
        print("\n".join("# " + line for line in detail.strip().splitlines()[-15:]), flush=True)


def build(folder, row):
    program, _, path, of_itself, _, pairs = row
    os.makedirs(os.path.join(folder, "cache"))
    with open(os.path.join(ROOT, path)) as f:
        text = f.read()
    for old, new in pairs:
        if text.count(old) != 1:
            return None, "the text to break is there %d times:\n%s" % (text.count(old), old)
        text = text.replace(old, new)
    with open(os.path.join(folder, path), "w") as f:
        f.write(text)
    out = os.path.join(folder, "program")
    sources = ["tests/%s.c" % program] + ([os.path.join(folder, path)] if of_itself else [])
    done = subprocess.run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-w", "-I" + folder, "-Iinclude", "-I.", *sources, CORE,
                           "-o", out, *LIBRARIES], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return (out, "") if done.returncode == 0 else (None, done.stdout)


def hunt(row):
    """Was the mutant found? And what was seen instead."""
    with tempfile.TemporaryDirectory() as folder:
        out, text = build(folder, row)
        for again in range(TRIES if out else 0):
            seconds = row[1] << again
            try:
                done = subprocess.run([out, str(seconds)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, timeout=seconds + LIMIT_S)
                text = done.stdout
            except subprocess.TimeoutExpired: # it never ends: found, too
                return True, ""
            if done.returncode != 0:
                return "not ok" in text or done.returncode < 0, text
        return False, text


with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
    for row, (found, text) in zip(MUTANTS, pool.map(hunt, MUTANTS)):
        check(found, "%s finds it: %s: %s" % (row[0], row[2], row[4]), text)
sys.exit(1 if failures else 0)
