#!/usr/bin/env python3
"""What is fetched ahead is fetched by the program: each __builtin_prefetch of its sources, and each call of a function that does nothing but fetch.

gcc leaves out calls of a function that has no effect it knows of, unless it was taken into its caller early, and says nothing. So each such line
of the source is looked for among the prefetch instructions of rialtod: one of them comes from it, directly or by what was taken in there."""
import platform

from rialto_test import *

FOLDERS = ("cache", "pricing", "service")
# What only readers do is in their library.
ELSEWHERE = {"cache/page.c": "librialto.so"}
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+prefetch", re.MULTILINE)
FRAME = re.compile(r" at (\S+):(\d+)")

def sources():
    return {str(path.relative_to(ROOT)): path.read_text() for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.[ch]"))}

def fetch_only(texts):
    """Names of functions that are taken into their callers to fetch there."""
    return set(re.findall(r"^FETCH_INLINE\s+void\s+(\w+)\(", "\n".join(texts.values()), re.MULTILINE))

def wanted(texts):
    """Lines that fetch, as {(file, number): text}."""
    fetching = re.compile(r"\b(?:__builtin_prefetch|" + "|".join(sorted(fetch_only(texts))) + r")\(")
    return {(name, number): line.strip()
            for name, text in texts.items() for number, line in enumerate(text.splitlines(), 1)
            if fetching.search(line) and not re.match(r"FETCH_INLINE|\s*/?\*|.*\bstatic\b.*\)\s*$", line)}

def found(program):
    """Lines that prefetch instructions of a program come from, and what those lines were taken into."""
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True).stdout
    places = INSTRUCTION.findall(code)
    lines = subprocess.run(["addr2line", "-i", "-p", "-f", "-e", program], input="\n".join(places), capture_output=True, text=True, check=True).stdout
    return len(places), {(os.path.normpath(file), int(number)) for file, number in FRAME.findall(lines)}

def is_there(name, number, places):
    return any(at == number and (file == name or file.endswith("/" + name)) for file, at in places)

FOLDER = temporary_folder()
missing = ""
if VARIANT != "release" or platform.machine() != "x86_64":
    missing = f"it is the optimised code of x86-64 that is read, not {VARIANT} on {platform.machine()}"
for tool in ("objdump", "addr2line", "gcc"):
    missing = missing or ("" if shutil.which(tool) else f"{tool} is not there")
if missing:
    skipped("what is fetched ahead is in the program", missing)
else:
    texts = sources()
    lines = wanted(texts)
    programs = {"rialtod": found(BIN / "rialtod")[1], "librialto.so": found(LIB / "librialto.so")[1]}

    @check("each line that fetches ahead has its instruction in the program")
    def _():
        require(len(fetch_only(texts)) >= 2 and len(lines) >= 30, f"{fetch_only(texts)}, {len(lines)} lines")
        absent = [f"{name}:{number}: {text}" for (name, number), text in lines.items()
                  if not is_there(name, number, programs[ELSEWHERE.get(name, "rialtod")])]
        equal(absent, [])

    @check("a fetch that the compiler left out is seen")
    def _():
        source, program = FOLDER / "dropped.c", FOLDER / "dropped"
        source.write_text("static __attribute__((noinline)) void fetch(const char *at)\n{\n    __builtin_prefetch(at);\n}\n"
                          "int main(int argc, char *argv[])\n{\n    fetch(argv[0]);\n    __builtin_prefetch(argv[argc]);\n    return 0;\n}\n")
        subprocess.run(["gcc", "-g", "-O2", "-o", program, source], check=True)
        count, places = found(program)
        require(is_there("dropped.c", 8, places), f"{count}: {places}")
        require(not is_there("dropped.c", 7, places), "the call in line 7 is no fetch in its caller: it is not taken in")

finish()
