"""Producers write commands with schemas of their own: what they say is read as they wrote it, and nothing of it is skipped."""

import json
import struct
from io import BytesIO
from typing import Any

import fastavro
import pytest

from models.commands import Command, Set
from models.errors import Rejected
from topics.registry import SchemaRegistry
from topics.specs import topic_specs
from twin_app.partition.contracts import Contracts
from twin_app.partition.cycle import ConfigRecord


def read(record: dict[str, Any], **types: Any) -> Command:
    """The command that a worker reads from a record written with a schema of these fields."""
    schema = {"type": "record", "name": "Anything", "fields": [{"name": name, "type": kind} for name, kind in types.items()]}
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), record)
    contracts = Contracts(topic_specs(), SchemaRegistry("http://127.0.0.1:9"))
    contracts.reader._learn(1, json.dumps(schema))
    return contracts.parse(ConfigRecord(0, 0, b"Line_A", b"\x00" + struct.pack(">I", 1) + body.getvalue()))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("int", 3), ("long", 3), ("double", 3.5), ("string", "x"), ("boolean", True), ({"type": "array", "items": "int"}, [1, 2])],
)
def test_a_small_schema_is_not_refused(kind, value):
    expected = Set(twin="Line_A", path="variables.x", value=value)
    assert read({"path_id": "Line_A.variables.x", "value": value}, path_id="string", value=kind) == expected


def test_a_timestamp_is_not_misread():
    at = {"type": "long", "logicalType": "timestamp-millis"}
    command = read({"path": "variables.x", "value": 1, "at": 1_795_338_300_000}, path="string", value="int", at=at)
    assert command.at is not None
    assert not isinstance(command.at, float)
    assert command.at.isoformat() == "2026-11-22T09:05:00+00:00"


def test_a_mistyped_field_is_not_skipped():
    with pytest.raises(Rejected, match="did you mean 'value'"):
        read({"path": "variables.x", "valeu": 4}, path="string", valeu="int")


def test_a_number_that_json_has_not_is_not_accepted():
    with pytest.raises(Rejected, match="not-finite"):
        read({"path": "variables.x", "value": float("inf")}, path="string", value="double")
