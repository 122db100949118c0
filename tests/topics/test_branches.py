"""Naming the branches of unions must not change a byte, nor let a value through that its branch cannot hold."""

import io

import fastavro
import pytest
from hypothesis import given

from models.events import EventRecord, TwinEvent
from tests.topics.strategies import events
from topics import envelope

SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())


@given(events())
def test_no_event_is_written_otherwise_than_without_branches(event: EventRecord):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, envelope._orderly(envelope.as_dict(event)))
    assert envelope.encode_avro(event) == out.getvalue()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30])
def test_an_integer_beyond_64_bits_is_never_cut(number: int):
    raw = envelope.encode_avro(EventRecord("a", 1, 0.0, 0, "k", None, None, {"x": number}))
    assert fastavro.schemaless_reader(io.BytesIO(raw), SCHEMA)["payload"] == {"x": str(number)}


def test_the_name_of_the_cause_is_the_schemas():
    assert envelope._CAUSE in SCHEMA["__named_schemas"]
