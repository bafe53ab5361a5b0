#!/usr/bin/env python3
"""The description that the service gives of itself, in the hands of a public validator: Redocly, from npm, by its recommended rules. That the service does what
it says there is test_http.py's."""
import urllib.request

from rialto_test import *

REDOCLY = "@redocly/cli@2.77.0"
RULES = {"extends": ["recommended"]}
PORT = free_port()
FOLDER = temporary_folder("openapi.")
QUIET = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "CI": "true"}


def lint(name, text):
    """Exit status, and the rules that found something."""
    (FOLDER / name).write_text(text)
    done = subprocess.run(["node", FOLDER / "node_modules/@redocly/cli/bin/cli.js", "lint", "--config", "redocly.yaml", "--format", "json", FOLDER / name],
                          capture_output=True, text=True, timeout=60 * SLOW, env=QUIET, cwd=FOLDER)
    require(done.stdout.startswith("{"), f"{done.stdout[:200]} {done.stderr[-300:]}")
    found = json.loads(done.stdout)
    return done.returncode, [f"{p['ruleId']} at {p['location'][0]['pointer']}: {p['message']}" for p in found["problems"]], found["totals"]


def served():
    with Service(http_listen=f"127.0.0.1:{PORT}"):
        def fetch():
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/openapi.json", timeout=20) as answer:
                return answer.read().decode()
        return wait_until(fetch, 10, "the description")


def can_run():
    """The validator says itself which versions of Node.js it needs; distributions have older ones."""
    version = tuple(int(n) for n in run("node", "--version")[1].strip().lstrip("v").split(".")[:2])
    return "" if version >= (20, 19) else f"it needs Node.js 20.19, here is {'.'.join(map(str, version))}"


missing = npm_install(FOLDER, REDOCLY) or can_run()
if missing:
    skipped("redocly lint: the served description is clean", missing)
else:
    (FOLDER / "redocly.yaml").write_text(json.dumps(RULES))
    text = served()

    @check("redocly lint: the served OpenAPI 3.1 description has no error and no warning")
    def _():
        equal(json.loads(text)["openapi"], "3.1.0")
        status, found, totals = lint("openapi.json", text)
        equal((status, found, totals), (0, [], {"errors": 0, "warnings": 0, "ignored": 0}))

    @check("it would have been seen: a reference to nowhere, an operation named twice, no answers")
    def _():
        for rule, harm in (("no-unresolved-refs", lambda d: d["paths"]["/v1/status"]["get"]["responses"]["200"]["content"]["application/json"]["schema"].update({"$ref": "#/components/schemas/Nowhere"})),
                           ("operation-operationId-unique", lambda d: d["paths"]["/livez"]["get"].update(operationId="readyz")),
                           ("struct", lambda d: d["paths"]["/livez"]["get"].update(responses=[]))):
            harmed = json.loads(text)
            harm(harmed)
            status, found, _ = lint("harmed.json", json.dumps(harmed))
            require(status != 0 and any(one.startswith(rule) for one in found), f"{rule}: {found}")
finish()
