"""The generated documents: never out of date, and true to what is sent."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest

from models.clock import Tick
from models.commands import command_json_schema
from models.deadletters import DeadLetter
from models.events import TwinEvent
from models.vitals import Vital
from topics import asyncapi, reference
from topics.contracts import COMMAND, CONTRACTS, DEAD_LETTER, EVENT, TICK, VITAL
from topics.specs import topic_specs

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / "tests" / "peers" / "asyncapi"
NPM_TIMEOUT_S = 300


def test_the_asyncapi_document_is_never_out_of_date():
    committed = (ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8")
    assert committed == asyncapi.text(), "run python -m topics.asyncapi > docs/asyncapi.json"


def test_the_reference_page_is_never_out_of_date():
    committed = (ROOT / "docs" / "reference" / "records.md").read_text(encoding="utf-8")
    assert committed == reference.page(), "run python -m topics.reference > docs/reference/records.md"


def test_no_topic_is_forgotten_without_a_reason():
    roles = {contract.role for contract in CONTRACTS}
    own = {"registry_changelog", "checkpoint_changelog"}
    # Not yet: there is no record class for forecasts.
    assert {spec.role for spec in topic_specs().all()} - own - roles <= {"forecasts"}


def test_examples_are_never_other_than_the_schemas_say():
    document = asyncapi.document()
    seen = 0
    for message in document["components"]["messages"].values():
        schema = {**message["payload"]["schema"], "components": document["components"]}
        for example in message.get("examples", ()):
            jsonschema.Draft7Validator(schema).validate(example["payload"])
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.Draft7Validator(schema).validate({"kind": 5, "seq": "x"})
            seen += 1
    assert seen == sum(len(message.examples) for contract in CONTRACTS for message in contract.messages)


def test_examples_are_never_other_than_the_classes_take():
    for message, model in ((EVENT, TwinEvent), (VITAL, Vital), (DEAD_LETTER, DeadLetter)):
        for example in message.examples.values():
            model.model_validate_json(json.dumps(example))
    by_kind = {model.model_fields["kind"].default: model for model in COMMAND.models}
    for example in COMMAND.examples.values():
        jsonschema.validate(example, command_json_schema())
        by_kind[example["kind"]].model_validate_json(json.dumps(example))
    fields = [item["title"] for item in TICK.schema["items"]]
    values = dict(zip(fields, TICK.examples["tick"], strict=True))
    assert values.pop("format") == 1
    assert Tick(**{**values, "refused": tuple(values["refused"])}).to_bytes()


def test_a_renamed_topic_is_not_documented_under_its_old_name():
    document = asyncapi.document(topic_specs(prefix="eu.", partitions=12))
    assert document["channels"]["events"]["address"] == "eu.sim-events"
    assert document["channels"]["events"]["bindings"]["kafka"]["partitions"] == 12


@pytest.fixture(scope="module")
def peer() -> Path:
    """The parser of the AsyncAPI project, fetched once by package name."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node and npm on the PATH")
    home = ROOT / ".run" / "asyncapi-peer"
    home.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "validate.mjs"):
        shutil.copyfile(PEER / name, home / name)
    if not (home / "node_modules" / ".complete").exists():
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
        done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=NPM_TIMEOUT_S, check=False)
        if done.returncode:
            message = f"npm could not fetch the AsyncAPI parser: {done.stderr[-300:]}"
            if os.environ.get("TWIN_REQUIRE_REAL") == "1":
                pytest.fail(message)
            pytest.skip(message)
        (home / "node_modules" / ".complete").touch()
    return home


def validated(peer: Path, file: Path) -> dict:
    done = subprocess.run(["node", "validate.mjs", str(file)], cwd=peer, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


def test_the_asyncapi_projects_own_parser_finds_no_fault(peer, tmp_path):
    found = validated(peer, ROOT / "docs" / "asyncapi.json")
    assert found["faults"] == []
    assert found["operations"] == len(CONTRACTS)
    assert "sim-events" in found["channels"]
    broken = asyncapi.document()
    del broken["info"]["version"]
    broken["channels"]["events"]["address"] = 5
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    assert len(validated(peer, tmp_path / "broken.json")["faults"]) >= 2
