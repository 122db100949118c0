"""The written-out layout of an event must never differ from what a reader of the schema expects."""

import io

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import EventRecord, SourceOffset, TwinEvent
from topics.envelope import as_dict
from topics.event_writer import event_bytes, long

SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())
LONGS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
VALUES = st.none() | st.booleans() | LONGS | st.floats() | TEXT
CAUSES = st.none() | LONGS | st.builds(SourceOffset, TEXT, st.integers(-(2**31), 2**31 - 1), LONGS)
EVENTS = st.builds(
    EventRecord,
    twin=TEXT,
    seq=LONGS,
    sim_time=st.floats(),
    event_time_us=LONGS,
    kind=TEXT,
    entity=st.none() | LONGS,
    cause=CAUSES,
    payload=st.dictionaries(TEXT, VALUES, max_size=80),
)


def by_fastavro(event: EventRecord) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, {**as_dict(event), "event_time": event.event_time_us})
    return out.getvalue()


@given(EVENTS)
def test_no_event_is_written_otherwise_than_its_schema_says(event: EventRecord):
    assert event_bytes(event, b"head") == b"head" + by_fastavro(event)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, -(2**64), 10**30, -(10**30)])
def test_an_integer_beyond_64_bits_is_never_cut(number: int):
    with pytest.raises(OverflowError):
        long(number)


def test_no_field_of_the_envelope_is_left_out():
    """A field that is added to the class must be added to the written-out layout too."""
    assert list(TwinEvent.model_fields) == [
        "id",
        "twin",
        "seq",
        "sim_time",
        "event_time",
        "kind",
        "entity",
        "cause",
        "payload",
    ]
