import io
import json
import struct
import time

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import Rejected, TwinError
from models.events import EventRecord, TwinEvent
from tests.topics.fake_registry import FakeRegistry
from topics import reader as room
from topics import registry as registry_room
from topics.envelope import encode_avro
from topics.reader import ConfluentReader, schema_id_of
from topics.registry import SchemaRegistry
from topics.schema_limits import SchemaRefused, check_schema

EVENT_SCHEMA = TwinEvent.avro_schema_to_python()


def wire(schema_id: int, schema: dict, record: object) -> bytes:
    out = io.BytesIO()
    out.write(struct.pack(">bI", 0, schema_id))
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def record_of(*fields, name="R", **more) -> dict:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind} for field, kind in fields], **more}


async def settled_reader(schemas: dict[int, object], raw: list[bytes], model=None, **more) -> ConfluentReader:
    fake = FakeRegistry()
    fake.schemas = {schema_id: schema if isinstance(schema, str) else json.dumps(schema) for schema_id, schema in schemas.items()}
    async with fake.running():
        reader = ConfluentReader(SchemaRegistry(fake.url, patience_s=2), model, **more)
        assert await reader.resolve(raw)
    return reader


async def test_a_consumer_of_today_never_fails_on_an_event_of_tomorrow():
    tomorrow = json.loads(json.dumps(EVENT_SCHEMA))
    tomorrow["fields"].insert(2, {"name": "run", "type": ["null", "string"], "default": None})
    tomorrow["fields"][8]["type"][1]["fields"].append({"name": "signal", "type": ["null", "string"], "default": None})
    event = {
        "id": "a:1",
        "twin": "a",
        "run": "r-9",
        "seq": 1,
        "sim_time": 2.0,
        "event_time": 3,
        "kind": "a-kind-that-nobody-knows-yet",
        "entity": None,
        "cause": {"signal": "x"},
        "payload": {"unheard-of": 1.5},
    }
    raw = wire(4, tomorrow, event)
    reader = await settled_reader({4: tomorrow}, [raw], TwinEvent)
    read = TwinEvent.model_validate(reader.decode(raw))
    assert read.kind == "a-kind-that-nobody-knows-yet"
    assert read.payload == {"unheard-of": 1.5}
    assert read.cause is not None


async def test_a_consumer_of_tomorrow_never_fails_on_an_event_of_today():
    raw = encode_avro(EventRecord("a", 1, 2.0, 3, "k", None, 4, {"x": 1}), struct.pack(">bI", 0, 4))

    class Tomorrow(TwinEvent):
        """The envelope with one more field."""

        run: str | None = None

        class Meta:
            namespace = "twin.events"
            schema_name = "TwinEvent"

    reader = await settled_reader({4: EVENT_SCHEMA}, [raw], Tomorrow)
    assert reader.decode(raw)["run"] is None


async def test_a_registry_that_is_down_costs_no_command(monkeypatch):
    monkeypatch.setattr(registry_room, "REGISTRY_WAIT_S_MIN", 0.01)
    schema = record_of(("path", "string"))
    raw = wire(9, schema, {"path": "a.b"})
    fake = FakeRegistry()
    fake.schemas = {9: json.dumps(schema)}
    fake.failures = [503, "hang up", "<html>starting</html>", 429, 500]
    async with fake.running():
        reader = ConfluentReader(SchemaRegistry(fake.url, patience_s=30))
        assert await reader.resolve([raw])
    assert reader.decode(raw) == {"path": "a.b"}
    assert not fake.failures


async def test_a_registry_that_stays_down_is_said_with_its_address_and_rejects_nothing():
    registry = SchemaRegistry("http://user:secret@127.0.0.1:9/api", patience_s=0.5)
    reader = ConfluentReader(registry)
    with pytest.raises(TwinError) as caught:
        await reader.resolve([b"\x00\x00\x00\x00\x07abc"])
    assert caught.value.code == "registry-unreachable"
    assert not isinstance(caught.value, Rejected)
    assert "http://127.0.0.1:9/api" in str(caught.value)
    assert "secret" not in str(caught.value) + repr(registry)
    with pytest.raises(LookupError):
        reader.decode(b"\x00\x00\x00\x00\x07abc")


async def test_an_unknown_id_is_rejected_and_not_asked_for_again_and_again():
    fake, now = FakeRegistry(), [0.0]
    async with fake.running():
        reader = ConfluentReader(SchemaRegistry(fake.url), clock=lambda: now[0])
        raw = b"\x00\x00\x00\x00\x07abc"
        for _ in range(3):
            assert await reader.resolve([raw, raw, None, b"{}"])
            with pytest.raises(Rejected) as caught:
                reader.decode(raw)
            assert caught.value.code == "unknown-schema"
        assert len(fake.asked) == 1
        now[0] = room.UNKNOWN_FOR_S
        fake.schemas[7] = json.dumps(record_of(("n", "long")))
        assert await reader.resolve([raw])
        with pytest.raises(Rejected, match="left over"):
            reader.decode(raw)


async def test_a_flood_of_ids_grows_no_cache_beyond_its_limit_and_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(room, "SCHEMAS_MAX", 3)
    monkeypatch.setattr(room, "UNKNOWN_IDS_MAX", 5)
    fake, now = FakeRegistry(), [0.0]
    fake.schemas = {schema_id: json.dumps(record_of(("n", "long"))) for schema_id in range(1, 11)}
    batch = [struct.pack(">bI", 0, schema_id) + b"\x02" for schema_id in range(21)]
    async with fake.running():

        def clock() -> float:
            now[0] += (
                room.UNKNOWN_FOR_S / 4
            )  # a registry that is so slow that the first ids are forgotten before the last are known
            return now[0]

        reader = ConfluentReader(SchemaRegistry(fake.url), clock=clock)
        for _ in range(2):
            assert await reader.resolve(batch)
            assert all(reader.settled(raw) for raw in batch)
            for schema_id, raw in enumerate(batch):
                if 1 <= schema_id <= 10:
                    assert reader.decode(raw) == {"n": 1}
                else:
                    with pytest.raises(Rejected):
                        reader.decode(raw)
        assert await reader.resolve(batch[:2])
    assert "schemas=3, unknown=" in repr(reader)
    assert len(reader._unknown) <= 5


BOMBS = {
    "array of nulls": {"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "array", "items": "null"}}]},
    "array of empty records": record_of(("a", {"type": "array", "items": record_of(name="E")})),
    "array of nothing fixed": record_of(("a", {"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}})),
    "many nulls per item": record_of(
        ("a", {"type": "array", "items": record_of(("x", "int"), *((f"n{i}", "null") for i in range(20)), name="E")})
    ),
    "contains itself": record_of(("next", ["null", "R"])),
    "contains itself by namespace": record_of(("next", ["null", "n.R"]), namespace="n"),
    "doubling": record_of(
        ("a", record_of(*((f"x{i}", "int") for i in range(50)), name="X1")),
        ("b", record_of(*((f"x{i}", "X1") for i in range(50)), name="X2")),
    ),
    "nested deeply": json.loads(
        '{"type": "record", "name": "R", "fields": [{"name": "a", "type": ' + '{"type":' * 40 + '"int"' + "}" * 41 + "]}"
    ),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_schema_that_can_blow_up_a_few_bytes_is_not_decoded_with(name):
    with pytest.raises(SchemaRefused):
        check_schema(BOMBS[name])
    raw = b"\x00\x00\x00\x00\x05" + b"\x02" * 1000
    reader = await settled_reader({5: BOMBS[name]}, [raw])
    with pytest.raises(Rejected) as caught:
        reader.decode(raw)
    assert caught.value.code == "unknown-schema"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "7",
        '"nonsense"',
        "{",
        "[" * 5000,
        '{"type":"record","name":"R"}',
        '{"type":"fixed","name":"F","size":"x"}',
        "x" * 70_000,
    ],
    ids=lambda text: text[:20],
)
async def test_a_broken_schema_text_rejects_and_never_raises_anything_else(text):
    raw = b"\x00\x00\x00\x00\x05abc"
    reader = await settled_reader({5: text}, [raw])
    with pytest.raises(Rejected):
        reader.decode(raw)


def test_ordinary_schemas_are_not_refused():
    check_schema(EVENT_SCHEMA)
    check_schema(record_of(*((f"f{i}", ["null", "string"]) for i in range(500))))
    check_schema(
        record_of(
            ("m", {"type": "map", "values": ["null", "long"]}),
            ("e", {"type": "enum", "name": "E", "symbols": ["A"]}),
            ("e2", "E"),
        )
    )


async def test_values_without_json_form_do_not_reach_the_switchboard():
    schema = record_of(
        ("day", {"type": "int", "logicalType": "date"}),
        ("at", {"type": "long", "logicalType": "timestamp-millis"}),
        ("amount", {"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2}),
        ("who", {"type": "string", "logicalType": "uuid"}),
        ("blob", "bytes"),
        ("tags", {"type": "array", "items": ["null", "string"]}),
    )
    raw = (
        b"\x00\x00\x00\x00\x05"
        + bytes([4, 2, 2, 100])
        + bytes([72])
        + b"12345678-1234-5678-1234-567812345678"
        + b"\x04\xff\xfe"
        + b"\x02\x02\x02a\x00"
    )
    decoded = (await settled_reader({5: schema}, [raw])).decode(raw)
    assert json.dumps(decoded)
    assert decoded == {
        "day": "1970-01-03",
        "at": "1970-01-01T00:00:00.001000+00:00",
        "amount": 1.0,
        "who": "12345678-1234-5678-1234-567812345678",
        "blob": "\ufffd\ufffd",
        "tags": ["a"],
    }


HOSTILE = record_of(
    ("s", "string"),
    ("b", "bytes"),
    ("n", ["null", "long", {"type": "enum", "name": "E", "symbols": ["A", "B"]}]),
    ("m", {"type": "map", "values": "double"}),
    ("t", {"type": "long", "logicalType": "timestamp-micros"}),
    ("d", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
    ("f", {"type": "fixed", "name": "F", "size": 12}),
    ("l", {"type": "array", "items": "int"}),
)


@pytest.fixture(scope="module")
def hostile_reader():
    reader = ConfluentReader(SchemaRegistry("http://127.0.0.1:9"))
    reader._learn(5, json.dumps(HOSTILE))
    return reader


@settings(max_examples=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_a_rejection(hostile_reader, body):
    try:
        hostile_reader.decode(b"\x00\x00\x00\x00\x05" + body)
    except Rejected as error:
        assert error.code == "bad-avro"  # noqa: PT017 - some bytes are a record


@pytest.mark.parametrize(
    "body", [b"\xff" * 9 + b"\x01", b"\x01", b"\xfe" * 9 + b"\x01", b"\x80" * 100_000, b"\x02" * (2 * 1024 * 1024)], ids=range(5)
)
def test_lengths_that_lie_take_no_time_or_memory(hostile_reader, body):
    begin = time.process_time()
    with pytest.raises(Rejected):
        hostile_reader.decode(b"\x00\x00\x00\x00\x05" + body)
    assert time.process_time() - begin < 10.0


def test_json_is_never_taken_for_avro():
    assert schema_id_of(b'{"kind": "set"}') is None
    assert schema_id_of(b"\x00\x00\x00") is None
    assert schema_id_of(None) is None
    assert schema_id_of(b"\x00\xff\xff\xff\xff") == 2**32 - 1
