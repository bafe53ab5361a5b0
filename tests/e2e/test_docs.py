#!/usr/bin/env python3
# release: what it runs is run by other tests with sanitizers; it looks at words
"""What the pages say is so: commands, options, settings, files, signals and tables in them exist."""
from rialto_test import *

PAGES = sorted([ROOT / "README.md", ROOT / "demo/README.md", *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if page.exists()]
PROGRAMS = ("rialto-demo", "rialto-bench", "rialtod", "rialto")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
TABLES = {"config": ("rialtod", "--describe-config"), "metrics": ("rialtod", "--describe-metrics"), "signal": ("rialtod", "--describe-signals"),
          "inputs": ("rialto", "check", "--inputs"), "factors": ("rialto", "check", "--factors"),
          "layout": ("rialtod", "--describe-layout"), "size": ("rialtod", "--size", "--set", "worker_count=1")}


def name_of(page):
    return str(page.relative_to(ROOT))


def prose(page):
    return BLOCK.sub("", page.read_text())


def command_lines(page):
    """Lines of shell blocks, and code spans, that run a program of ours: (program, words). Not of what is said to be missing."""
    text = re.sub(r"^## What is not there yet\n.*?(?=^## |\Z)", "", page.read_text(), flags=re.M | re.S)
    lines = [line for kind, block in BLOCK.findall(text) if kind in ("sh", "bash", "console", "") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))
    for line in lines:
        for part in re.split(r"&&|\|\||[;|&]", re.sub(r"'[^']*'|\"[^\"]*\"", "X", line.split(" #")[0])):
            words = part.strip().removeprefix("$ ").removeprefix("exec ").split()
            program = words[0].rsplit("/", 1)[-1] if words else ""
            if program in PROGRAMS and re.fullmatch(r"(\.?[\w./-]*/)?" + program, words[0]):
                yield program, words[1:]


def is_lines(text):
    rows = [row for row in text.strip().splitlines() if row.strip()]
    return len(rows) > 1 and all(row.startswith("{") and row.rstrip().endswith("}") for row in rows)


def help_of(program, words=()):
    return run(BIN / program, *words, "--help")[1]


@check(f"the pages are there: {len(PAGES)} of them")
def _():
    for page in ("README.md", "docs/architecture.md", "docs/models.md", "docs/pricing.md", "docs/signals.md"):
        require((ROOT / page).exists(), f"{page} is missing")

@check("every command and option that the pages show exists")
def _():
    helps, wrong, seen = {}, [], 0
    subcommands = re.findall(r"^  rialto (\w+)", help_of("rialto"), re.M)
    for page in PAGES:
        for program, words in command_lines(page):
            key = (program,)
            if program == "rialto":
                sub = next((w for w in words if not w.startswith("-")), None)
                if sub is not None and sub not in subcommands:
                    wrong.append(f"{name_of(page)}: rialto {sub}")
                    continue
                key = (program, sub) if sub else key
            if key not in helps:
                helps[key] = help_of(program, key[1:])
            for word in words:
                option = word.split("=")[0]
                if re.fullmatch(r"--[a-z][a-z-]*", option):
                    seen += 1
                    if option != "--help" and not re.search(rf"{option}\b", helps[key]) and option != "--version":
                        wrong.append(f"{name_of(page)}: {program} {' '.join(words)}: {option}")
    note(f"{seen} options looked up")
    require(not wrong, "; ".join(wrong))

_, CONFIG, _ = run(BIN / "rialtod", "--describe-config")
_, METRICS, _ = run(BIN / "rialtod", "--describe-metrics")
KEYS = set(re.findall(r"^\| `?(\w+)`? \|", CONFIG, re.M))
METRIC_NAMES = set(re.findall(r"^\| `?(\w+)`? \|", METRICS, re.M))

@check("--describe-config and --describe-metrics are tables with a row for each setting and metric of the source")
def _():
    source = (ROOT / "service/config.h").read_text()
    wanted = set(re.findall(r"^    X\((\w+),", source, re.M))
    equal((sorted(wanted - KEYS), sorted(KEYS - wanted - {"key", "setting"})), ([], []))
    wanted = set(re.findall(r"^    X\((\w+),", (ROOT / "service/metrics.h").read_text(), re.M))
    equal(sorted(wanted - METRIC_NAMES), [])

@check("every setting that the pages show with --set or in a JSON configuration exists")
def _():
    wrong = []
    for page in PAGES:
        text = page.read_text()
        for key in re.findall(r"--set[ =]['\"]?(\w+)=", text):
            if key not in KEYS and key.lower() == key:
                wrong.append(f"{name_of(page)}: --set {key}=")
        for key in () if page.name == "pricing.md" else re.findall(r"`([a-z]+(?:_[a-z]+)*_(?:ms|s|max|min|dir|urls|url|file))`", prose(page)):
            known = key in KEYS or key in METRIC_NAMES or any(key in p.read_text() for p in (ROOT / "service/signal.h", ROOT / "include/rialto/quote.h",
                                                              ROOT / "include/rialto/layout.h", ROOT / "models/schema/model.schema.json",
                                                              ROOT / "service/gateway_control.c", *(ROOT / "bench").glob("*.c")))
            if not known:
                wrong.append(f"{name_of(page)}: `{key}`")
    require(not wrong, "; ".join(sorted(set(wrong))))

@check("every metric that the pages name exists")
def _():
    named = {(name, name_of(page)) for page in PAGES for name in re.findall(r"`(\w+_total)`", page.read_text())}
    equal(sorted((name, page) for name, page in named if name not in METRIC_NAMES), [])

@check("every event of the log that pages, manual pages and alerts name is written somewhere")
def _():
    source = "".join(path.read_text() for folder in ("service", "cache", "pricing", "demo") for path in (ROOT / folder).glob("*.c"))
    named = {(name.replace("\\", ""), path.name) for path in [*PAGES, *(ROOT / "docs/man").glob("*.[1-8]"), *(ROOT / "docker/prometheus").glob("*.yml")]
             for name in re.findall(r"\b[A-Z]{3,}(?:\\?-[A-Z]{2,})+\b", path.read_text())}
    require(len(named) > 15, named)
    equal(sorted((name, page) for name, page in named if f'"{name}"' not in source), [])

@check("tables that a program describes stand in the pages exactly as it describes them")
def _():
    wrong, found = [], 0
    for page in PAGES:
        for name, block in re.findall(r"<!-- (\w+)_describe: begin -->\n(.*?)<!-- \1_describe: end -->", page.read_text(), re.S):
            found += 1
            program, *words = TABLES.get(name, ("",))
            status, out, err = run(BIN / program, *words) if program else (1, "", "no program describes it")
            if status != 0:
                note(f"{name_of(page)}: {name}: {err.splitlines()[:1]}: not compared")
            elif out.strip() != block.strip():
                first = next((f"{a!r} / {b!r}" for a, b in zip(out.strip().splitlines(), block.strip().splitlines()) if a != b), "length")
                wrong.append(f"{name_of(page)}: {name}: {first}")
    note(f"{found} described tables in pages")
    require(not wrong, "; ".join(wrong))

def man_of_settings():
    """The settings as rialtod describes them, in the words of man(7)."""
    def plain(text):
        return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").strip()
    text = ""
    for row in re.findall(r"^\| (`\w+` \|.*) \|$", run(BIN / "rialtod", "--describe-config")[1], re.M):
        name, default, low, high, unit, what = (plain(cell.replace("`", "")) for cell in row.split("|", 5))
        text += f".TP\n.B {name}\n{what}.\nDefault {default or chr(34) * 2}" + (f", {low} to {high}" if low else "") + f" ({unit}).\n"
    return text

@check("the manual page of the settings has each of them as rialtod describes it (test_docs.py --write-man writes it)")
def _():
    path = ROOT / "docs/man/rialto.json.5"
    begin, end = '.\\" settings: begin\n', '.\\" settings: end\n'
    text = path.read_text()
    head, _, rest = text.partition(begin)
    _, _, foot = rest.partition(end)
    wanted = head + begin + man_of_settings() + end + foot
    require(wanted.count("\n.TP\n") > 60 and foot, "no settings")
    if sys.argv[1:] == ["--write-man"]:
        path.write_text(wanted)
    else:
        equal(text, wanted)

def options_of(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))

@check("the manual pages of both programs have every command and option of their help, and none that is not there")
def _():
    for program in ("rialto", "rialtod"):
        page = (ROOT / "docs/man" / f"{program}.{1 if program == 'rialto' else 8}").read_text().replace("\\-", "-").replace("\\f", " \\f")
        commands = re.findall(r"^  rialto (\w+)", help_of("rialto"), re.M) if program == "rialto" else []
        equal([name for name in commands if not re.search(rf"^\.B rialto {name}\b", page, re.M)], [], "commands in the synopsis")
        helps = help_of(program) + "".join(help_of(program, (name,)) for name in commands)
        require(len(options_of(helps)) > (50 if commands else 8), helps)
        other = set() if commands else {"--json-text"}  # rialtod's help shows a first signal
        equal(sorted(options_of(helps) - other - options_of(page)), [], f"{program}: in its help, not in its manual page")
        equal(sorted(options_of(page) - options_of(helps)), [], f"{program}: in its manual page, not in its help")

@check("mandoc has nothing to say of the manual pages")
def _():
    pages = sorted((ROOT / "docs/man").glob("*.[1-8]"))
    require(len(pages) >= 4, pages)
    for page in pages:
        equal(run("mandoc", "-T", "lint", "-W", "warning", page)[:2], (0, ""), page.name)
        require(len(run("mandoc", "-T", "utf8", page)[1].splitlines()) > 60, page.name)

@check("each claim about security and privacy names a check that exists, in that file")
def _():
    wrong, seen = [], 0
    for page in (ROOT / "docs/security.md", ROOT / "docs/privacy.md"):
        # Every row of a table whose last column says what shows it.
        tables = re.findall(r"^\|.* shown by \|\n\|[-|]+\|\n((?:\|.*\n)+)", page.read_text(), re.M)
        rows = [row for table in tables for row in table.splitlines()]
        require(len(rows) > 10, f"{page.name}: {len(rows)} claims")
        for row in rows:
            seen += 1
            found = re.fullmatch(r"\|.*\| `(tests/[\w/.]+)`(?:: (.+?))? \|", row)
            file, words = found.groups() if found else ("", row)
            source = (ROOT / file).read_text() if file and (ROOT / file).exists() else ""
            named = [f'@check("{words}', f'@check(f"{words}', f", {words})"] if words else [""]  # the last: a unit test's name
            if not source or not any(name in source for name in named):
                wrong.append(f"{page.name}: {file}: {words}")
    note(f"{seen} claims")
    require(not wrong, "; ".join(wrong))

@check("docs/privacy.md lists what is stored as `rialto inventory` does")
def _():
    block = re.search(r"<!-- inventory -->\n```text\n(.*?)\n```", (ROOT / "docs/privacy.md").read_text(), re.S).group(1)
    equal(block.splitlines(), run(BIN / "rialto", "inventory")[1].strip().splitlines())

@check("every file that the pages link to exists")
def _():
    wrong = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                wrong.append(f"{name_of(page)}: {target}")
    require(not wrong, "; ".join(wrong))

@check("every JSON block of the pages is JSON (comments allowed)")
def _():
    wrong = []
    for page in PAGES:
        for kind, block in BLOCK.findall(page.read_text()):
            if kind != "json":
                continue
            plain = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda m: m[1] or "", block, flags=re.S)
            for text in ([plain] if not is_lines(plain) else plain.strip().splitlines()):
                try:
                    json.loads(text)
                except ValueError as error:
                    wrong.append(f"{name_of(page)}: {error}: {text[:60]}")
    require(not wrong, "; ".join(wrong))


def example_signals(page):
    """Signals in JSON blocks, and in code that sends them."""
    for kind, block in BLOCK.findall(page.read_text()):
        for text in re.findall(r'\{"type":.*\}', block) if kind in ("json", "sh") else ():
            with contextlib.suppress(ValueError):
                signal_ = json.loads(text.split("}'")[0] + "}" if "}'" in text else text)
                if isinstance(signal_, dict) and "..." not in text:
                    yield signal_

with Service(models={"all.json": simple_model(scope={"categories": ["*"], "currencies": ["EUR", "CNY", "GBP", "USD"]})}) as service:
    @check("every signal that the pages show is accepted")
    def _():
        wrong, count = [], 0
        for page in PAGES:
            for signal_ in example_signals(page):
                count += 1
                answer = service.ask(signal_)
                wrong += [f"{name_of(page)}: {json.dumps(signal_)[:80]}: {f['reason']} {f['pointer']}" for f in answer["findings"]
                          if f["reason"] not in ("unknown_product", "no_consent", "superseded", "duplicate", "other_currency", "zone_widened")]
        note(f"{count} signals sent")
        require(count > 5 and not wrong, f"{count} signals: {'; '.join(wrong)}")

    @check("the pages' way to a first price: product, tier with consent, quotes")
    def _():
        equal(service.amount("milk-1l"), service.quote("milk-1l")["list"])
        require(service.amount("milk-1l", customer="anna") < service.amount("milk-1l", customer="ben"), "anna, gold, pays no less than ben")

@check("each public function, flag and status that the pages name stands in a public header")
def _():
    headers = "".join(p.read_text() for p in (ROOT / "include/rialto").glob("*.h"))
    wrong = sorted({f"{name_of(page)}: {word}" for page in PAGES for word in re.findall(r"`(rialto_\w+|RIALTO_[A-Z_]+\w)(?:\(\))?`", page.read_text())
                    if word not in headers and word not in ("RIALTO_CACHE", "RIALTO_TEST_POISON_SKU") and not (ROOT / "tests/run.sh").read_text().count(word)})
    require(not wrong, "; ".join(wrong))

@check("the library's manual page has every public function as the headers declare it, and every status, flag, basis, kind and verdict")
def _():
    code = re.sub(r"/\*.*?\*/", "", "".join(p.read_text() for p in (ROOT / "include/rialto").glob("*.h")), flags=re.S)
    page = re.sub(r"\\f[BIR]", "", (ROOT / "docs/man/librialto.3").read_text()).replace("\\-", "-")
    one_line = lambda text: re.sub(r"\s+", " ", text).replace("[n]", "[]")
    declared = {one_line(text) for text in re.findall(r"^RIALTO_API ([^;{]*;)", code, re.M)}
    shown = {one_line(text) for text in re.findall(r"^[\w ]+[ *]rialto_\w+\([^;]*\);", page.split(".SH DESCRIPTION")[0], re.M)}
    require(len(declared) > 20, f"{len(declared)} functions in the headers")
    equal((sorted(declared - shown), sorted(shown - declared)), ([], []))
    explained = set(re.findall(r"rialto_\w+", page.split(".SH DESCRIPTION")[1].split(".SH STATUS")[0]))
    equal(sorted(name for text in declared for name in re.findall(r"(rialto_\w+)\(", text) if name not in explained), [])
    statuses = {f"RIALTO_{name}" for name in re.findall(r"X\((\w+), +\d+, \"", code.split("RIALTO_STATUSES(X)")[1].split("RIALTO_STATUS_ENUM_")[0])}
    verdicts = {f"RIALTO_VERDICT_{name}" for name in re.findall(r"X\((\w+), +\d+, \"", code.split("RIALTO_VERDICTS(X)")[1].split("RIALTO_VERDICT_ENUM_")[0])}
    bits = set(re.findall(r"\b(RIALTO_(?:FLAG|KIND)_[A-Z_]*[A-Z])\b", code)) | set(re.findall(r"\b(RIALTO_BASIS_[A-Z]+)\b", code))
    require(len(statuses) > 15 and len(verdicts) > 10 and len(bits) > 20, f"{len(statuses)}, {len(verdicts)}, {len(bits)}")
    named = set(re.findall(r"\bRIALTO_[A-Z_]*[A-Z]\b", page)) - {"RIALTO_CACHE", "RIALTO_PAGE_MAX"}
    equal((sorted((statuses | verdicts | bits) - named), sorted(named - statuses - verdicts - bits)), ([], []))

@check("the model schema and the pages know the same keys")
def _():
    schema = json.loads((ROOT / "models/schema/model.schema.json").read_text())
    page = (ROOT / "docs/models.md").read_text()
    missing = [key for key in [*schema["properties"], *schema["$defs"]["guardrails"]["properties"], *schema["$defs"]["demand"]["properties"]]
               if f"`{key}`" not in page and f'"{key}"' not in page and f".{key}`" not in page]
    require(not missing, f"docs/models.md does not explain {missing}")
finish()
