"""Events are written by hand: that must not change a byte against fastavro, nor let a value through that Avro cannot hold."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.events import EventRecord, SourceOffset, TwinEvent
from tests.topics.strategies import INT64, any_text, events
from topics import binary, envelope

SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())


def by_fastavro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def by_the_schema(event: EventRecord) -> bytes:
    return by_fastavro(SCHEMA, envelope._orderly(envelope.as_dict(event)))


@given(INT64 | st.integers(0, 63).map(lambda bits: 2**bits) | st.integers(0, 63).map(lambda bits: -(2**bits)))
@example(2**63 - 1)
@example(-(2**63))
def test_no_long_is_written_otherwise_than_by_fastavro(number: int):
    if number < 2**63:
        assert binary.long(number) == by_fastavro("long", number)
    else:
        with pytest.raises(OverflowError):
            binary.long(number)


@pytest.mark.parametrize("length", [*range(70), 8_191, 8_192, 2**20])
def test_no_length_of_a_string_is_written_otherwise_than_by_fastavro(length: int):
    text = "é" * (length // 2) + "x" * (length % 2)
    assert binary.string(text) == by_fastavro("string", text)


@given(st.floats())
def test_no_double_is_written_otherwise_than_by_fastavro(number: float):
    assert binary.double(number) == by_fastavro("double", number)


@given(events())
def test_no_event_is_written_otherwise_than_by_the_schema(event: EventRecord):
    assert envelope.encode_avro(event, b"\0head") == b"\0head" + by_the_schema(event)


@given(events(st.none() | st.booleans() | INT64 | st.floats() | st.text(), st.text()))
def test_an_ordinary_event_is_not_left_to_the_slow_way(event: EventRecord):
    usual = event._replace(event_time_us=1_795_338_000_000_000)
    assert envelope._written(usual, b"") == by_the_schema(usual)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**30])
def test_an_integer_beyond_64_bits_is_never_cut(number: int):
    raw = envelope.encode_avro(EventRecord("a", 1, 0.0, 0, "k", None, None, {"x": number}))
    read = fastavro.schemaless_reader(io.BytesIO(raw), SCHEMA)
    assert isinstance(read, dict)
    assert read["payload"] == {"x": str(number)}


def test_values_that_the_short_way_cannot_hold_are_still_written():
    """Half of a surrogate pair, a number too long, a time out of range, types that are none of Avro's."""
    good = EventRecord("a", 1, 0.0, 0, "k", 1, 1, {"text": "t", "number": 1})

    class Count(int):
        pass

    for odd in (
        good._replace(payload={"text": "\ud800", "number": 1}),
        good._replace(payload={"\ud800": "t"}),
        good._replace(payload={"text": "t", "number": 2**70}),
        good._replace(payload={"number": Count(7), "list": [1, 2], "object": {"a": None}}),
        good._replace(event_time_us=2**62),
        good._replace(twin="\udfff"),
        good._replace(kind="\udfff"),
        good._replace(cause=SourceOffset("\udfff", 0, 0)),
    ):
        with pytest.raises((KeyError, ValueError, OverflowError)):
            envelope._written(odd, b"")
        assert envelope.encode_avro(odd) == by_the_schema(odd)


@given(any_text)
def test_a_word_that_is_kept_is_the_string(text: str):
    try:
        written = binary.string(text)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            binary.word(text)
    else:
        assert binary.word(text) == binary.word(text) == written


def test_no_number_of_words_fills_the_memory():
    for number in range(binary.WORDS_KEPT + 10):
        binary.word(f"word {number}")
        envelope._entry(f"name {number}", int)
    assert binary.word.cache_info().currsize == binary.WORDS_KEPT
    assert envelope._entry.cache_info().currsize == binary.WORDS_KEPT
