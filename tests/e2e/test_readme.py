#!/usr/bin/env python3
# release: what it runs is run by other tests with sanitizers; it looks at words
"""The README keeps its word: its C example is the one in the tree, builds with a plain compiler, and answers with and without the
service; its first price in a minute comes out as it says; its amounts are what they are by hand."""
import json
import re
import shlex
import subprocess

from rialto_test import BIN, LIB, ROOT, Service, VARIANT, check, equal, finish, require, temporary_folder

README = (ROOT / "README.md").read_text()
WORK = temporary_folder()
MODELS = {path.name: path.read_text() for path in (ROOT / "models").glob("*.json")}


def block(name):
    found = re.search(rf"<!-- {re.escape(name)} -->\n```\w*\n(.*?)```", README, re.S)
    require(found, f"no block {name}")
    return found.group(1)


def storefront(*arguments, cache):
    program = subprocess.run([WORK / "storefront", *arguments], capture_output=True, text=True, timeout=20,
                             env={"LD_LIBRARY_PATH": str(LIB), "RIALTO_CACHE": str(cache)}, check=False)
    return program.stdout.strip()


@check("the example in the README is the one in the tree, and has fewer than 40 lines")
def _():
    equal(block("storefront.c"), (ROOT / "examples/storefront.c").read_text())
    require(block("storefront.c").count("\n") < 40, "40 lines or more")


@check("it builds exactly as printed, without a warning, against the public headers and the library alone")
def _():
    (WORK / "storefront.c").write_text(block("storefront.c"))
    sanitizer = ["-fsanitize=address,undefined"] if VARIANT == "asan" else []
    subprocess.run(["gcc", "-std=c17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *sanitizer, f"-I{ROOT}/include",
                    "-o", WORK / "storefront", WORK / "storefront.c", f"-L{LIB}", "-lrialto"], check=True, timeout=60)


@check("without the service the shop falls back to its own list price")
def _():
    equal(storefront("anna", "milk-1l", "120", cache=WORK / "nothing"), "anna pays 1.20 GBP for milk-1l (list price)")


with Service(models=MODELS) as service:
    service.pass_time_until(8)  # groceries are cheaper in the evening

    @check("a first price in a minute: its commands work as printed, gold pays 5 % less, a stranger the baseline")
    def _():
        commands = re.findall(r"^build/bin/rialto (signal .*|quote .*)$", README, re.M)
        require(len(commands) >= 4, f"only {len(commands)} commands found")
        answers = []
        for command in commands[:4]:
            words = shlex.split(command, comments=True)
            answers.append(service.cli(words[0], *words[1:], *(["--json"] if words[0] == "quote" else [])))
        for status, out, err in answers:
            equal(status, 0, out + err)
        anna, ben = (json.loads(out)["quote"] for _, out, _ in answers[2:])
        equal(ben["amount"], 1200)
        equal(anna["amount"], 1140)  # 1200 x 0.95, by hand
        equal(anna["baseline"], 1200)

    @check("the storefront example reads the same out of shared memory, and falls back for a product that nobody knows")
    def _():
        equal(storefront("anna", "milk-1l", "999", cache=service.cache), "anna pays 11.40 CNY for milk-1l (Rialto)")
        equal(storefront("anna", "bread", "999", cache=service.cache), "anna pays 9.99 GBP for bread (list price)")


@check("every file and folder that the README links to is there")
def _():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            require((ROOT / target).exists(), target)


@check("every program of the README is built")
def _():
    for name in set(re.findall(r"build/bin/([\w-]+)", README)):
        require((BIN / name).exists(), name)


finish()
