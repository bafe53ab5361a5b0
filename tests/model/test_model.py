#!/usr/bin/env python3
"""The protocols of the cache in every outcome, and proof that the proofs can fail.

tests/model/*.c run the real code of cache/ under all that the C11 memory model allows (views.h); line.pml is the line
protocol for spin. Each must pass as it is. Then single stores, checks and orderings are taken away, one at a time, and
each of these mutants must be caught.
"""
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
JOBS = 2
LIMIT_S = 120
PROGRAMS = ["line", "table", "ring"]

A_RELAXED = ("line_word_(now, even + 1), memory_order_release);", "line_word_(now, even + 1), memory_order_relaxed);")
S2_RELAXED = ("line_side_ref_(at->slot, even), memory_order_release);", "line_side_ref_(at->slot, even), memory_order_relaxed);")
SIDE_LOOK_RELAXED = ("if (atomic_load_explicit(&segment->side_ref, memory_order_acquire) != wanted)",
                     "if (atomic_load_explicit(&segment->side_ref, memory_order_relaxed) != wanted)")
S1_FIRST_OUT = ("atomic_store_explicit(&segment->side[0], first, memory_order_release); /* (S1) of word 0 */", "(void)first;")
S1_SECOND_OUT = ("atomic_store_explicit(&segment->side[1], second, memory_order_release); /* (S1) of word 1 */", "(void)second;")
S1_OUT = ("line_unit_store_(&segment->side[i], line_safe_unit_(at, safe, i), memory_order_release); /* (S1) */", ";")
B_SECOND_OUT = ("atomic_store_explicit(&at->word[1], line_image_word_(next->image, 1), memory_order_release); /* (B) of word 1 */", ";")
B_OUT = ("line_unit_store_(&at->word[i], line_image_unit_(next->image, i), memory_order_release); /* (B) */", ";")
B_SECOND_RELAXED = ("memory_order_release); /* (B) of word 1 */", "memory_order_relaxed);")
B_RELAXED = ("memory_order_release); /* (B) */", "memory_order_relaxed);")
COPY_SECOND_RELAXED = ("ret[1] = atomic_load_explicit(&word[1], memory_order_acquire);",
                       "ret[1] = atomic_load_explicit(&word[1], memory_order_relaxed);")
COPY_RELAXED = ("line_unit_load_(&word[i], memory_order_acquire)", "line_unit_load_(&word[i], memory_order_relaxed)")
UPWARDS = "    for (uint32_t i = 2; i < %s; i += LINE_UNIT)%s"
DOWNWARDS = "    for (uint32_t i = %s - 1; i >= 2; i -= LINE_UNIT)%s"


def downwards(words, then):
    return UPWARDS % (words, then), DOWNWARDS % (words, then)


# Orderings that others make up for: taken away they cost promptness and nothing else.
HARMLESS = [
    ("line", "cache/line.h", "(S2) relaxed", [S2_RELAXED]),
    ("line", "cache/line.h", "the reader's first look at the side line relaxed", [SIDE_LOOK_RELAXED]),
    ("table", "cache/segment.h", "a tag seen ahead of its line",
     [("atomic_store_explicit(&tags[slot / TAGS_PER_WORD], word, memory_order_release);",
       "atomic_store_explicit(&tags[slot / TAGS_PER_WORD], word, memory_order_relaxed);")]),
    # Two words at once may be seen, or looked at, in either order.
    ("table", "cache/line.h", "words behind the first two stored in the other order",
     [downwards("at->words", " {\n        LINE_STEP();\n        line_unit_store_(&segment->side[i]"),
      downwards("at->words", " {\n        LINE_STEP();\n        line_unit_store_(&at->word[i]")]),
    ("table", "cache/line.h", "words behind the first two loaded in the other order",
     [downwards("words", "\n        line_unit_put_(&ret[i], line_unit_load_(&word[i]"),
      downwards("words", "\n        line_unit_put_(&ret[i], line_unit_load_(&segment->side[i]")]),
]

# program, file, what is broken, (text as it is, text as it is broken)...
MUTANTS = [
    ("line", "cache/line.h", "(S0) left out",
     [("atomic_store_explicit(&segment->side_ref, 0, memory_order_relaxed);",
       ";")]),
    ("line", "cache/line.h", "(S1) left out", [S1_FIRST_OUT, S1_SECOND_OUT, S1_OUT]),
    ("line", "cache/line.h", "(S1) of word 0 left out", [S1_FIRST_OUT]),
    ("line", "cache/line.h", "(S1) of word 1 left out", [S1_SECOND_OUT]),
    ("line", "cache/line.h", "(S1) of other words left out", [S1_OUT]),
    ("line", "cache/line.h", "(S1) relaxed",
     [("side[0], first, memory_order_release);", "side[0], first, memory_order_relaxed);"),
      ("side[1], second, memory_order_release);", "side[1], second, memory_order_relaxed);"),
      ("memory_order_release); /* (S1) */", "memory_order_relaxed);")]),
    ("line", "cache/line.h", "the count beside the side copy left out",
     [("atomic_store_explicit(&segment->side_used, safe->used, memory_order_relaxed);",
       ";")]),
    ("line", "cache/line.h", "(S2) left out",
     [("atomic_store_explicit(&segment->side_ref, line_side_ref_(at->slot, even), memory_order_release);",
       ";")]),
    ("line", "cache/line.h", "(A) left out",
     [("atomic_store_explicit(&at->word[0], line_word_(now, even + 1), memory_order_release);",
       ";")]),
    ("line", "cache/line.h", "(A) relaxed", [A_RELAXED]),
    ("line", "cache/line.h", "(B) left out", [B_SECOND_OUT, B_OUT]),
    ("line", "cache/line.h", "(B) of word 1 left out", [B_SECOND_OUT]),
    ("line", "cache/line.h", "(B) of other words left out", [B_OUT]),
    ("line", "cache/line.h", "(B) relaxed", [B_SECOND_RELAXED, B_RELAXED]),
    ("line", "cache/line.h", "(B) of word 1 relaxed", [B_SECOND_RELAXED]),
    ("line", "cache/line.h", "(B) of other words relaxed", [B_RELAXED]),
    ("line", "cache/line.h", "the count of live lines left out",
     [("atomic_store_explicit(&at->segment->used, next->used, memory_order_relaxed);",
       ";")]),
    ("line", "cache/line.h", "(C) left out",
     [("atomic_store_explicit(&at->word[0], first, memory_order_release); /* (C) */",
       "(void)first;")]),
    ("line", "cache/line.h", "(C) relaxed",
     [("first, memory_order_release); /* (C) */",
       "first, memory_order_relaxed);")]),
    ("line", "cache/line.h", "(C) that does not move the sequence on",
     [("line_word_(line_image_word_(next->image, 0), even + 2)",
       "line_word_(line_image_word_(next->image, 0), even)")]),
    ("line", "cache/line.h", "a torn line taken for the side copy",
     [("if ((now & 1u) == 0)\n",
       "\n")]),
    ("line", "cache/line.h", "the reader's second look left out",
     [("return atomic_load_explicit(&word[0], memory_order_relaxed) == ret[0];",
       "return true;")]),
    ("line", "cache/line.h", "the reader's first look relaxed",
     [("ret[0] = atomic_load_explicit(&word[0], memory_order_acquire);",
       "ret[0] = atomic_load_explicit(&word[0], memory_order_relaxed);")]),
    ("line", "cache/line.h", "the reader's copy relaxed", [COPY_SECOND_RELAXED, COPY_RELAXED]),
    ("line", "cache/line.h", "the reader's copy of word 1 relaxed", [COPY_SECOND_RELAXED]),
    ("line", "cache/line.h", "the reader's copy of other words relaxed", [COPY_RELAXED]),
    ("line", "cache/line.h", "the reader's second look at the side line left out",
     [("return atomic_load_explicit(&segment->side_ref, memory_order_relaxed) == wanted;",
       "return true;")]),
    ("line", "cache/line.h", "the reader's copy of the side line relaxed",
     [("ret[0] = atomic_load_explicit(&segment->side[0], memory_order_acquire);",
       "ret[0] = atomic_load_explicit(&segment->side[0], memory_order_relaxed);"),
      ("ret[1] = atomic_load_explicit(&segment->side[1], memory_order_acquire);",
       "ret[1] = atomic_load_explicit(&segment->side[1], memory_order_relaxed);"),
      ("line_unit_load_(&segment->side[i], memory_order_acquire)",
       "line_unit_load_(&segment->side[i], memory_order_relaxed)")]),
    ("line", "cache/line.h", "a reader that never tries the side line",
     [("attempt >= LINE_SPINS &&",
       "attempt >= LINE_ATTEMPTS_MAX &&")]),
    ("line", "cache/line.h", "repair: a word left out",
     [("atomic_store_explicit(&at->word[i], word, memory_order_release); /* as (B) */",
       "if (i != 1) atomic_store_explicit(&at->word[i], word, memory_order_release);")]),
    ("line", "cache/line.h", "repair: the count left out",
     [("atomic_store_explicit(&at->segment->used, used, memory_order_relaxed);",
       "(void)used;")]),
    ("line", "cache/line.h", "repair: the line left open",
     [("atomic_store_explicit(&at->word[0], line_word_(first, seq + 1), memory_order_release);",
       "(void)first;")]),
    ("line", "cache/line.h", "repair: closed ahead of its words",
     [("line_word_(first, seq + 1), memory_order_release);",
       "line_word_(first, seq + 1), memory_order_relaxed);")]),
    ("line", "cache/line.h", "repair: the sequence moved back",
     [("line_word_(first, seq + 1)",
       "line_word_(first, seq - 1)")]),
    ("table", "cache/segment.h", "the key not checked again in the copy",
     [("return ret[1] == p->key.lo && ret[2] == p->key.hi ? RIALTO_OK : RIALTO_NOT_FOUND;",
       "return RIALTO_OK;")]),
    ("table", "cache/segment.h", "the key not checked at all",
     [("if (!line_key_is(word, p->key))\n        return RIALTO_NOT_FOUND;\n    if (!line_read(&table->segment[p->partition], word, p->in->first + p->slot, words, ret))\n        return RIALTO_BUSY;\n    return ret[1] == p->key.lo && ret[2] == p->key.hi ? RIALTO_OK : RIALTO_NOT_FOUND;",
       "if (!line_read(&table->segment[p->partition], word, p->in->first + p->slot, words, ret))\n        return RIALTO_BUSY;\n    return RIALTO_OK;")]),
    ("table", "cache/segment.h", "older extents not looked at",
     [("        if (p->left == 0)\n            return RIALTO_NOT_FOUND;",
       "        return RIALTO_NOT_FOUND;")]),
    ("table", "cache/segment.h", "newer extents not looked at",
     [("    p->left = count == 0 ? 0 : count - 1;",
       "    p->left = 0;")]),
    ("table", "cache/folder.h", "the look at the number of extents relaxed",
     [("uint32_t count = atomic_load_explicit(&extents->count, memory_order_acquire);",
       "uint32_t count = atomic_load_explicit(&extents->count, memory_order_relaxed);")]),
    ("table", "cache/table.c", "an insertion without its tag",
     [("    tags_set(extent.tags, slot - extent.in.first, segment_tag(key));\n    note_used(",
       "    note_used(")]),
    ("table", "cache/table.c", "a tag ahead of its line",
     [("    line_write(&at, &(struct line_version){ .image = line, .used = used + (fresh ? 1 : 0) },",
       "    if (fresh)\n        mark_used(cache, table, partition, slot, next);\n    line_write(&at, &(struct line_version){ .image = line, .used = used + (fresh ? 1 : 0) },")]),
    ("table", "cache/table.c", "deleted lines made empty under the probes of others",
     [("|| line_is_passed(cache, extent, line))",
       ")")]),
    ("table", "cache/table.c", "deleted lines made empty at once",
     [("tags_set(extent.tags, slot - extent.in.first, RIALTO_TAG_DELETED);",
       "tags_set(extent.tags, slot - extent.in.first, RIALTO_TAG_EMPTY);")]),
    ("table", "cache/table.c", "a deletion that can come back",
     [("line_write(&at, &gone, &gone);",
       "line_write(&at, &gone, &(struct line_version){ .image = NULL, .used = gone.used + 1 });")]),
    ("table", "cache/table.c", "repair: lines left open",
     [("    line_repair(&at);\n",
       "")]),
    ("table", "cache/table.c", "repair: a line left without its tag",
     [("if (!key_is_none(key))\n        tags_set(extent.tags, line, segment_tag(key));\n    else",
       "")]),
    ("table", "cache/table.c", "repair: a growth left as it was",
     [("    grow_repair(&g);\n",
       "")]),
    ("table", "cache/grow.h", "(G1) left out",
     [("&header->file_end, &at, at + bytes, memory_order_relaxed,",
       "&header->file_end, &at, at, memory_order_relaxed,")]),
    ("table", "cache/grow.h", "(G2) left out",
     [("atomic_store_explicit(&s->grow_offset, at, memory_order_relaxed); /* (G2) */",
       ";")]),
    ("table", "cache/grow.h", "(G4) of the tags left out",
     [("atomic_store_explicit(&extent->tags, at, memory_order_relaxed); /* (G4) */",
       ";")]),
    ("table", "cache/grow.h", "(G4) of the lines left out",
     [("atomic_store_explicit(&extent->lines, at + lines, memory_order_relaxed); /* (G4) */",
       ";")]),
    ("table", "cache/grow.h", "(G4) of the first slot left out",
     [("atomic_store_explicit(&extent->first, (uint32_t)folder_capacity(g->extents), memory_order_relaxed); /* (G4) */",
       ";")]),
    ("table", "cache/grow.h", "(G4) of the capacity left out",
     [("atomic_store_explicit(&extent->capacity, (uint32_t)lines, memory_order_relaxed); /* (G4) */",
       "(void)lines;")]),
    ("table", "cache/grow.h", "(G5) left out",
     [("atomic_store_explicit(&g->extents->count, count + 1, memory_order_release);",
       ";")]),
    ("table", "cache/grow.h", "(G5) relaxed",
     [("atomic_store_explicit(&g->extents->count, count + 1, memory_order_release);",
       "atomic_store_explicit(&g->extents->count, count + 1, memory_order_relaxed);")]),
    ("table", "cache/grow.h", "(G6) left out",
     [("atomic_store_explicit(&s->grow_lines, 0, memory_order_release); /* (G6) */",
       ";")]),
    ("table", "cache/grow.h", "repair: what was published taken for pending",
     [("if (at != 0 && !published && grow_is_ours_(g, at))",
       "if (at != 0)")]),
    ("ring", "cache/ring.h", "(A) left out",
     [("atomic_store_explicit(&word[0], 0, memory_order_relaxed); /* (A) */",
       ";")]),
    ("ring", "cache/ring.h", "(B) left out",
     [("atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_release);",
       "if (i != 5) atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_release);")]),
    ("ring", "cache/ring.h", "(B) relaxed",
     [("atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_release);",
       "atomic_store_explicit(&word[i], line_image_word_(entry, i), memory_order_relaxed);")]),
    ("ring", "cache/ring.h", "(C) left out",
     [("atomic_store_explicit(&word[0], position + 1, memory_order_release); /* (C) */",
       ";")]),
    ("ring", "cache/ring.h", "(D) left out",
     [("atomic_store_explicit(&ring->head, position + 1, memory_order_release); /* (D) */",
       ";")]),
    ("ring", "cache/ring.h", "(D) relaxed",
     [("atomic_store_explicit(&ring->head, position + 1, memory_order_release);",
       "atomic_store_explicit(&ring->head, position + 1, memory_order_relaxed);")]),
    ("ring", "cache/ring.h", "the follower's look at head relaxed",
     [("return atomic_load_explicit(&ring->head, memory_order_acquire);",
       "return atomic_load_explicit(&ring->head, memory_order_relaxed);")]),
    ("ring", "cache/ring.h", "the follower's copy relaxed",
     [("ret->word[i] = atomic_load_explicit(&word[i], memory_order_acquire);",
       "ret->word[i] = atomic_load_explicit(&word[i], memory_order_relaxed);")]),
    ("ring", "cache/ring.h", "the follower's second look left out",
     [("return atomic_load_explicit(&word[0], memory_order_relaxed) == position + 1;",
       "return true;")]),
]

# what BROKEN=n leaves out of line.pml
SPIN_MUTANTS = {
    1: "(S0) left out", 2: "(S1) of word 0 left out", 3: "(S1) of word 1 left out", 4: "(S1) of word 2 left out",
    5: "the count beside the side copy left out", 6: "(S2) left out", 7: "(A) left out", 8: "(B) of word 1 left out",
    9: "(B) of word 2 left out", 10: "the count of live lines left out", 11: "(C) left out",
    12: "repair: word 1 left out", 13: "repair: word 2 left out", 14: "repair: the count left out",
    15: "repair: the line left open", 16: "the reader's second look left out",
    17: "the reader's second look at the side line left out", 18: "repair: the sequence moved back",
    19: "(C) that does not move the sequence on", 20: "a torn line taken for the side copy",
}
SPIN_STATES_MIN = 1000000  # of the model as it is: less would mean that it has lost its choices

failures = 0


def check(held, what, detail=""):
    global failures
    print(("ok - " if held else "not ok - ") + what, flush=True)
    if not held:
        failures += 1
        if detail:
            print("\n".join("# " + line for line in detail.strip().splitlines()[-25:]), flush=True)


def run(command, cwd=ROOT, env=None):
    done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S)
    return done.returncode, done.stdout


def build(folder, program, first=None, options=()):
    """Compile a program of this folder; headers under `first` come before those of the tree."""
    out = os.path.join(folder, program)
    path = ["-I" + first] if first else []
    source = os.path.join("tests/model", program + ".c")
    return run(["gcc", "-std=c17", "-D_GNU_SOURCE", "-O1", "-w", *path, *options, "-Iinclude", "-I.", source, "-o", out]), out


def as_it_is(folder, program):
    (status, text), out = build(folder, program)
    return (status, text) if status != 0 else run([out])


def mutant(folder, row):
    program, path, _, pairs = row
    own = tempfile.mkdtemp(dir=folder)
    os.makedirs(os.path.join(own, "cache"))
    with open(os.path.join(ROOT, path)) as f:
        text = f.read()
    for old, new in pairs:
        if text.count(old) != 1:
            return 2, "the text to break is there %d times:\n%s" % (text.count(old), old)
        text = text.replace(old, new)
    with open(os.path.join(own, path), "w") as f:
        f.write(text)
    (status, text), out = build(own, program, own, ["-DVIEWS_FIRST_FAULT"])
    if status != 0:
        return 2, text
    return run([out])


def spin_build(folder):
    model = os.path.join(ROOT, "tests/model/line.pml")
    for command in (["spin", "-a", model], ["gcc", "-O2", "-DSAFETY", "-DNOFAIR", "-w", "-o", "pan", "pan.c"]):
        status, text = run(command, folder)
        if status != 0:
            return text
    return ""


def spin_run(folder, broken):
    own = tempfile.mkdtemp(dir=folder)
    return run(["../pan", "-m100000", "-w24" if broken == 0 else "-w18"], own, {**os.environ, "BROKEN": str(broken)})[1]


def check_spin_model(text):
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"^\s*(\S+) states, stored", text, re.M)
    count = int(float(states.group(1))) if states else 0
    complete = not re.search(r"not complete|max search depth too small|out of memory|resource|unreached.*\n\tline", text)
    reached = re.findall(r"\((\d+) of \d+ states\)", text)
    print("# spin: %d states" % count)
    check(errors is not None and errors.group(1) == "0", "spin finds no error in the line protocol", text)
    check(complete and count >= SPIN_STATES_MIN, "and has searched all of it", text)
    check(reached == ["0", "0", "0"], "no statement of the model is out of reach", text)


def main():
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        text = spin_build(folder)
        check(text == "", "spin reads the model", text)
        spin_model = pool.submit(spin_run, folder, 0)
        programs = [(p, pool.submit(as_it_is, folder, p)) for p in PROGRAMS]
        mutants = [(row, pool.submit(mutant, folder, row)) for row in MUTANTS]
        harmless = [(row, pool.submit(mutant, folder, row)) for row in HARMLESS]
        spin_mutants = [(n, pool.submit(spin_run, folder, n)) for n in SPIN_MUTANTS]
        for program, future in programs:
            status, text = future.result()
            print("# " + program + ".c")
            print("\n".join(line for line in text.splitlines() if re.match("ok|not ok|#", line)))
            check(status == 0, program + ".c has tried all outcomes", text)
        check_spin_model(spin_model.result())
        for (program, path, what, _), future in mutants:
            status, text = future.result()
            caught = (status == 1 and "not ok" in text) or (status == -signal.SIGABRT and "Assertion" in text)
            check(caught, "%s: %s is caught" % (path, what), text)
        for (program, path, what, _), future in harmless:
            status, text = future.result()
            check(status == 0, "%s: %s alone changes nothing that a reader takes" % (path, what), text)
        for number, future in spin_mutants:
            text = future.result()
            check("assertion violated" in text, "line.pml: %s is caught" % SPIN_MUTANTS[number], text)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
