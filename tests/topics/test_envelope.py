import io
import math

import fastavro
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import TwinError
from models.events import EVENT_TIME_US_MAX, EVENT_TIME_US_MIN, EventRecord, SourceOffset, TwinEvent, us_from_utc, utc_from_us
from tests.topics.strategies import events
from topics import envelope

SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())
plain_text = st.text(max_size=20)


def read(raw: bytes) -> dict:
    return fastavro.schemaless_reader(io.BytesIO(raw), SCHEMA)


@settings(max_examples=500)
@given(events())
def test_no_event_fails_to_be_encoded_or_read_back(event):
    back = read(envelope.encode_avro(event))
    assert back["seq"] == event.seq
    assert list(back["payload"]) == list(dict.fromkeys(name.encode("utf-8", "replace").decode() for name in event.payload))
    document = orjson.loads(envelope.encode_json(event))
    assert document["event_time"].endswith("Z")
    assert document["seq"] == event.seq


@settings(max_examples=200)
@given(
    events(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False)),
        plain_text,
    )
)
def test_json_and_avro_never_say_different_things(event):
    document = orjson.loads(envelope.encode_json(event))
    if math.isinf(event.sim_time):
        document["sim_time"] = event.sim_time
    assert TwinEvent.model_validate(document) == TwinEvent.model_validate(read(envelope.encode_avro(event)))
    assert TwinEvent.model_validate(document) == envelope.to_model(event)


def test_bytes_of_an_event_never_change():
    event = EventRecord(
        twin="Line_A",
        seq=1042,
        sim_time=540.0,
        event_time_us=1_795_338_000_000_000,
        kind="parameter-changed",
        entity=None,
        cause=SourceOffset("twin-config", 3, 88),
        payload={"path": "resources.b.capacity", "old": 1, "new": 0, "late": False, "rate": 0.5, "note": None, "tags": ["a", 1]},
    )
    assert envelope.encode_avro(event, b"\x00\x00\x00\x00\x07").hex() == GOLDEN_AVRO
    assert envelope.encode_json(event).decode() == GOLDEN_JSON


GOLDEN_AVRO = (
    "0000000007164c696e655f413a313034320c4c696e655f41a4100000000000e080408090efbbb6b6b00622706172616d6574"
    "65722d6368616e676564000202167477696e2d636f6e666967020602b001000e087061746808287265736f75726365732e62"
    "2e6361706163697479066f6c640402066e65770400086c6174650200087261746506000000000000e03f086e6f7465000874"
    "616773080e5b2261222c315d00"
)
GOLDEN_JSON = (
    '{"id":"Line_A:1042","twin":"Line_A","seq":1042,"sim_time":540.0,"event_time":"2026-11-22T09:00:00Z","kind":"pa'
    'rameter-changed","entity":null,"cause":{"topic":"twin-config","partition":3,"offset":88,"event":null},"payload'
    '":{"path":"resources.b.capacity","old":1,"new":0,"late":false,"rate":0.5,"note":null,"tags":"[\\"a\\",1]"}}'
)


def test_an_event_time_out_of_the_calendar_stops_no_consumer():
    for beyond, clamped in ((2**62, EVENT_TIME_US_MAX), (-(2**62), EVENT_TIME_US_MIN)):
        event = EventRecord("a", 1, 0.0, beyond, "k", None, None, {})
        assert us_from_utc(read(envelope.encode_avro(event))["event_time"]) == clamped
        assert us_from_utc(utc_from_us(beyond)) == clamped
        envelope.to_model(event)


def test_a_numpy_number_is_not_written_as_text():
    numpy = pytest.importorskip("numpy")
    event = EventRecord("a", 1, 0.0, 0, "k", None, None, {"x": numpy.float64(1.5)})
    assert read(envelope.encode_avro(event))["payload"] == {"x": 1.5}


def test_a_nested_value_is_not_carried_in_another_form_than_json_text():
    nested = {"b": [1, {"c": None}], "a": 2**80}
    event = EventRecord("a", 1, 0.0, 0, "k", None, 7, {"x": nested})
    back = read(envelope.encode_avro(event))
    assert back["cause"]["event"] == "a:7"
    assert orjson.loads(back["payload"]["x"]) == {"b": [1, {"c": None}], "a": str(2**80)}


def test_endless_nesting_ends():
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    text = envelope.json_text(deep)
    assert "nested too deeply" in text


def test_what_is_no_json_value_is_refused_with_a_remedy():
    with pytest.raises(TwinError) as caught:
        envelope.encode_avro(EventRecord("a", 1, 0.0, 0, "k", None, None, {"x": [object()]}))
    assert caught.value.code == "unencodable-value"
