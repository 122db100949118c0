import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.events import TwinEvent
from topics.compatibility import breaks, unreadable
from topics.schemas import RECORDS, app, check_schemas, file_name, schema_files, schema_text, write_schemas

COMMITTED = Path(__file__).resolve().parents[2] / "schemas"


def changed(change) -> dict:
    schema = json.loads(schema_text(TwinEvent))
    change(schema["fields"])
    return schema


def test_committed_files_never_drift_from_the_classes():
    assert [str(error) for error in check_schemas(COMMITTED)] == []
    assert sorted(path.name for path in COMMITTED.iterdir()) == sorted(schema_files())
    assert len(list(COMMITTED.glob("*.avsc"))) == len(RECORDS)


def test_drift_missing_and_stray_files_do_not_pass(tmp_path):
    assert len(write_schemas(tmp_path)) == len(schema_files())
    assert write_schemas(tmp_path) == []
    event = tmp_path / file_name(TwinEvent)
    event.write_text(event.read_text().replace('"double"', '"float"', 1))
    (tmp_path / "plant.Old.avsc").write_text("{}")
    (tmp_path / "twin.vitals.Vital.avsc").unlink()
    places = {Path(error.place or "").name for error in check_schemas(tmp_path)}
    assert places == {event.name, "plant.Old.avsc", "twin.vitals.Vital.avsc"}
    outcome = CliRunner().invoke(app, ["check", "--directory", str(tmp_path)])
    assert outcome.exit_code == 1
    assert CliRunner().invoke(app, ["write", "--directory", str(tmp_path)]).exit_code == 0


def test_a_class_that_breaks_the_older_files_does_not_pass(tmp_path):
    older = changed(lambda fields: fields.append({"name": "plant", "type": "string"}))
    (tmp_path / file_name(TwinEvent)).write_text(json.dumps(older))
    (error,) = [error for error in check_schemas(COMMITTED, against=tmp_path) if error.code == "incompatible-schema"]
    assert "plant" in error.message


BREAKS = {
    "a field without default": lambda fields: fields.append({"name": "run", "type": "string"}),
    "a field gone": lambda fields: fields.pop(5),
    "a kind as enum": lambda fields: fields[5].update(type={"type": "enum", "name": "Kind", "symbols": ["a"]}),
    "a narrower number": lambda fields: fields[2].update(type="int"),
    "a wider number": lambda fields: fields[2].update(type="double"),
    "no more null": lambda fields: fields[6].update(type="long", default=0),
    "a payload of another type": lambda fields: fields[8]["type"]["values"].append({"type": "array", "items": "long"}),
}

GROWS = {
    "nothing": lambda fields: None,
    "a field with default": lambda fields: fields.append({"name": "run", "type": ["null", "string"], "default": None}),
    "a cause's field with default": lambda fields: fields[7]["type"][1]["fields"].append(
        {"name": "signal", "type": ["null", "string"], "default": None}
    ),
    "another order of fields": lambda fields: fields.reverse(),
    "other words": lambda fields: fields[0].update(doc="another text"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_no_break_of_the_envelope_goes_unnoticed(name):
    before = json.loads(schema_text(TwinEvent))
    after = changed(BREAKS[name])
    assert breaks(after, [before], "FULL_TRANSITIVE")
    assert breaks(after, [before, after], "FULL_TRANSITIVE")
    assert breaks(after, [before], "NONE") == []


@pytest.mark.parametrize("name", GROWS)
def test_growth_of_the_envelope_is_never_refused(name):
    before = json.loads(schema_text(TwinEvent))
    assert breaks(changed(GROWS[name]), [before], "FULL_TRANSITIVE") == []


def test_a_level_without_transitive_looks_at_the_latest_version_alone():
    before, grown = json.loads(schema_text(TwinEvent)), changed(BREAKS["a field without default"])
    assert breaks(grown, [before, grown], "FULL") == []
    assert breaks(grown, [before], "FORWARD") == []
    assert breaks(grown, [before], "BACKWARD")


def test_a_schema_that_is_none_is_a_reason_and_no_crash():
    assert unreadable(reader={"type": "nonsense"}, writer={"type": "string"})
