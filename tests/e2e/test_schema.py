#!/usr/bin/env python3
# release: what it runs is run by other tests with sanitizers; it looks at words
"""models/schema/model.schema.json in the hands of standard validators: python3-jsonschema of the distribution, and ajv from npm, which
editors use. The models that come along are valid, and so are all examples for pricing people; bad ones are not, as far as a schema can say so."""
import jsonschema

from bad_models import BAD, BEYOND_SCHEMA, GOOD, as_json, without_comments
from rialto_test import *

SCHEMA = ROOT / "models/schema/model.schema.json"
AJV = "ajv@8.17.1"

VALIDATE = """
const fs = require("fs");
const Ajv = require("ajv/dist/2020");
const ajv = new Ajv({ strictTypes: false });
const validate = ajv.compile(JSON.parse(fs.readFileSync(process.argv[2], "utf8")));
const models = JSON.parse(fs.readFileSync(process.argv[3], "utf8"));
console.log(JSON.stringify(models.map((model) => validate(model) ? "" : ajv.errorsText(validate.errors))));
"""

schema = json.loads(SCHEMA.read_text())
good = {path.name: as_json(without_comments(path.read_text())) for path in sorted((ROOT / "models").glob("*.json"))}
good["the least model"] = GOOD
recipes = re.findall(r"^```json\n(.*?)^```$", (ROOT / "docs/recipes.md").read_text(), re.M | re.S)
good.update({f"recipe {number}": as_json(without_comments(text)) for number, text in enumerate(recipes)})
bad = {what: as_json(text) for what, (text, _) in BAD.items() if what not in BEYOND_SCHEMA}
beyond = {what: as_json(BAD[what][0]) for what in BEYOND_SCHEMA}


def judge(validate):
    """`validate` takes a list of models and returns a text for each, empty where it is valid."""
    for what, said in zip(good, validate(list(good.values()))):
        equal(said, "", what)
    judged = {what: model for what, model in bad.items() if model is not None}
    require(len(judged) >= 10, f"{len(judged)} bad models are JSON at all")
    for what, said in zip(judged, validate(list(judged.values()))):
        require(said != "", f"{what} is valid")


@check("the schema is what the program prints, and a schema of draft 2020-12")
def _():
    status, out, err = run(BIN / "rialto", "check", "--schema")
    equal((status, json.loads(out)), (0, schema))
    jsonschema.Draft202012Validator.check_schema(schema)

@check("the same of policies; those that come along are valid, and what the program refuses in form is refused")
def _():
    found = json.loads((ROOT / "models/schema/policy.schema.json").read_text())
    status, out, err = run(BIN / "rialto", "check", "--policy-schema")
    equal((status, json.loads(out)), (0, found))
    jsonschema.Draft202012Validator.check_schema(found)
    validator = jsonschema.Draft202012Validator(found)
    files = sorted((ROOT / "models/policies").glob("*.json"))
    require(files, "there are no policies")
    for file in files:
        text = as_json(without_comments(file.read_text()))
        validator.validate(text)
        for member, value in (("status", "perhaps"), ("regions", ["us"]), ("regions", []), ("hair", 1), ("largest_rise", {"share": 0.1})):
            require(not validator.is_valid({**text, member: value}), f"{file.name}: {member} {value}")

@check("jsonschema: good models are valid, bad ones are not")
def _():
    validator = jsonschema.Draft202012Validator(schema)
    judge(lambda models: ["; ".join(error.message for error in validator.iter_errors(model)) for model in models])

@check("what is left to Rialto is JSON that a schema lets through, so that the list of it does not grow by mistake")
def _():
    validator = jsonschema.Draft202012Validator(schema)
    for what, model in beyond.items():
        require(model is not None and validator.is_valid(model), f"{what} can be refused by the schema")

folder = temporary_folder()

missing = npm_install(folder, AJV)
if missing:
    skipped("ajv: good models are valid, bad ones are not", missing)
else:
    @check("ajv: good models are valid, bad ones are not")
    def _():
        (folder / "validate.js").write_text(VALIDATE)

        def validate(models):
            (folder / "models.json").write_text(json.dumps(models).replace("Infinity", "1e400"))
            status, out, err = run("node", folder / "validate.js", SCHEMA, folder / "models.json")
            equal(status, 0, err)
            return json.loads(out)
        judge(validate)

finish()
