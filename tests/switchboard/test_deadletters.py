"""What was refused can be read, and sent again, byte for byte; no bytes keep it from being told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.deadletters import KEY_BYTES_KEPT, VALUE_BYTES_KEPT, DeadLetter
from models.errors import Rejected, TwinError
from topics.serdes import Json


def letter(key: bytes | None, value: bytes | None, rejected: Rejected | None = None) -> DeadLetter:
    refusal = rejected or Rejected("unknown-path", "no such path", path="resources.x.capacity", remedy="did you mean 'b'?")
    return DeadLetter.of(
        refusal, topic="twin-config", partition=3, offset=88, timestamp_ms=1_795_000_000_000, key=key, value=value
    )


def test_a_dead_letter_does_not_lose_the_place_nor_the_reason():
    record = letter(b"Line_A", b'{"path": "resources.x.capacity", "value": 1}')
    assert (record.topic, record.partition, record.offset, record.timestamp_ms) == ("twin-config", 3, 88, 1_795_000_000_000)
    assert (record.code, record.path, record.reason, record.remedy) == (
        "unknown-path",
        "resources.x.capacity",
        "no such path",
        "did you mean 'b'?",
    )
    assert record.value == '{"path": "resources.x.capacity", "value": 1}'  # a person reads it as it was sent


def test_a_tombstone_is_not_an_empty_value():
    assert letter(b"k", None).raw_value() is None
    assert letter(b"k", b"").raw_value() == b""
    assert letter(None, b"").raw_key() is None
    assert letter(b"", b"").raw_key() == b""


@given(st.none() | st.binary(max_size=50), st.none() | st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_bytes_whatever_are_changed(key, value):
    record = letter(key, value)
    assert (record.raw_key(), record.raw_value()) == (key, value)
    assert DeadLetter.deserialize(record.serialize()) == record
    assert DeadLetter.model_validate_json(Json().encode(record)) == record


def test_a_value_beyond_the_limit_is_not_taken_for_the_whole():
    assert letter(b"k", b"x" * VALUE_BYTES_KEPT).raw_value() == b"x" * VALUE_BYTES_KEPT
    record = letter(b"k" * 5_000, b"x" * (2 * VALUE_BYTES_KEPT))
    assert (record.value_bytes, len(record.value or "")) == (2 * VALUE_BYTES_KEPT, VALUE_BYTES_KEPT)
    assert len(record.raw_key() or b"") == KEY_BYTES_KEPT
    assert not record.is_whole
    with pytest.raises(TwinError, match="truncated"):
        record.raw_value()


def test_a_wild_reason_does_not_keep_the_letter_from_being_written():
    wild = Rejected("wrong-type", "\ud800" + "x" * 100_000, path="\udfff" * 1_000, remedy="\x00")
    record = letter(b"k", b"v", wild)
    assert len(Json().encode(record)) < 20_000
    assert DeadLetter.deserialize(record.serialize()) == record
