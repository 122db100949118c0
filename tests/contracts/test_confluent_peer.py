"""Confluent's own client reads what we write, and we read what it writes."""

import asyncio
import json
import threading
import uuid

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from dataclasses_avroschema.pydantic import AvroBaseModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.command_record import CommandRecord, record_of
from models.commands import Patch, Set, Signal
from models.errors import Rejected, TwinError
from models.events import EventRecord, SourceOffset, TwinEvent
from tests.topics.strategies import events
from topics.confluent import ConfluentAvro
from topics.envelope import to_model
from topics.reader import ConfluentReader
from topics.registry import SchemaRegistry
from twin_app.switchboard.parse import parse

plain_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=20)
)

COMMAND = """{"type": "record", "name": "SetPath", "namespace": "plant", "fields": [
    {"name": "kind", "type": "string", "default": "set"}, {"name": "path", "type": "string"},
    {"name": "value", "type": ["null", "long", "double", "string"], "default": null}]}"""


def one_topic() -> str:
    return f"t-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def registry_url(registry) -> str:
    return registry.url


@pytest.fixture
def prepared(registry_url):
    serializer = ConfluentAvro(TwinEvent, SchemaRegistry(registry_url), topic=one_topic())
    asyncio.run(serializer.prepare())
    return serializer


@pytest.fixture
def confluent(registry_url):
    return AvroDeserializer(SchemaRegistryClient({"url": registry_url}))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(events(plain_values, st.text(max_size=20)))
def test_confluents_deserializer_never_reads_another_event_than_was_written(prepared, confluent, event):
    read = confluent(prepared.encode(event), SerializationContext("any", MessageField.VALUE))
    assert TwinEvent.model_validate(read) == to_model(event)


async def test_a_command_by_confluents_serializer_is_not_misread(registry_url):
    topic = one_topic()
    settings = {"subject.name.strategy": topic_subject_name_strategy}
    write = AvroSerializer(SchemaRegistryClient({"url": registry_url}), COMMAND, conf=settings)
    command = {"kind": "set", "path": "Line_A.resources.b.capacity", "value": 0}
    raw = await asyncio.to_thread(write, command, SerializationContext(topic, MessageField.VALUE))
    reader = ConfluentReader(SchemaRegistry(registry_url))
    assert await reader.resolve([raw])
    assert reader.decode(raw) == command
    unknown = b"\x00\x3b\x9a\xca\x00" + raw[5:]
    assert await reader.resolve([unknown])
    with pytest.raises(Rejected) as caught:
        reader.decode(unknown)
    assert caught.value.code == "unknown-schema"


async def test_our_own_commands_by_confluents_serializer_mean_what_they_say(registry_url):
    commands = [
        Patch(twin="Line_A", changes={"services.milling.constant": 4.0, "variables.mode": "bypass"}, at=540.0),
        Set(twin="Line_A", path="resources.b.capacity", value=0, if_version=3, id="order-7"),
        Signal(twin="Line_A", name="go", payload={"deep": {"list": [1, None]}}),
    ]
    schema = json.dumps(CommandRecord.avro_schema_to_python())
    write = AvroSerializer(
        SchemaRegistryClient({"url": registry_url}), schema, conf={"subject.name.strategy": topic_subject_name_strategy}
    )
    place = SerializationContext(one_topic(), MessageField.VALUE)
    raw = [await asyncio.to_thread(write, record_of(command), place) for command in commands]
    reader = ConfluentReader(SchemaRegistry(registry_url))
    assert await reader.resolve(raw)
    assert [parse(value, b"Line_A", avro=reader.decode) for value in raw] == commands


async def test_starting_again_registers_nothing_new(registry_url):
    registry, topic = SchemaRegistry(registry_url), one_topic()
    ids = set()
    for _ in range(3):
        serializer = ConfluentAvro(TwinEvent, registry, topic=topic)
        await serializer.prepare()
        ids.add(serializer.schema_id)
        registry = SchemaRegistry(registry_url)
    assert len(ids) == 1
    client = SchemaRegistryClient({"url": registry_url})
    subject = f"{topic}-twin.events.TwinEvent"
    assert await asyncio.to_thread(client.get_versions, subject) == [1]
    level = await asyncio.to_thread(client.get_compatibility, subject)
    assert level == "FULL_TRANSITIVE"


class Packed(AvroBaseModel):
    order: int
    weight_kg: float

    class Meta:
        namespace = "plant"


class PackedGrown(AvroBaseModel):
    order: int
    weight_kg: float
    carrier: str | None = None

    class Meta:
        namespace = "plant"
        schema_name = "Packed"


class PackedBroken(AvroBaseModel):
    order: str
    weight_kg: float
    lines: int

    class Meta:
        namespace = "plant"
        schema_name = "Packed"


async def test_a_change_that_breaks_consumers_is_refused_with_the_name_of_what_breaks(registry_url):
    registry, topic = SchemaRegistry(registry_url), one_topic()
    await ConfluentAvro(Packed, registry, topic=topic).prepare()
    await ConfluentAvro(PackedGrown, registry, topic=topic).prepare()
    with pytest.raises(TwinError) as caught:
        await ConfluentAvro(PackedBroken, SchemaRegistry(registry_url), topic=topic).prepare()
    assert caught.value.code == "incompatible-schema"
    assert "order" in caught.value.message
    assert "lines" in caught.value.message
    assert f"{topic}-plant.Packed" in str(caught.value)


async def test_a_registry_that_is_restarted_in_between_stops_nobody(registry):
    server = registry
    event = EventRecord("a", 1, 0.0, 0, "k", None, SourceOffset("twin-config", 0, 1), {})
    server.kill9()
    registry = SchemaRegistry(server.url, patience_s=60)
    serializer = ConfluentAvro(TwinEvent, registry, topic=one_topic())
    preparing = asyncio.create_task(serializer.prepare())
    for _ in range(100):
        await asyncio.sleep(0.05)
        if registry.waiting:
            break
    assert registry.waiting is not None
    assert server.url in registry.waiting
    starting = threading.Thread(target=server.restart)
    starting.start()
    await asyncio.wait_for(preparing, 60)
    await asyncio.to_thread(starting.join)
    assert registry.waiting is None
    assert serializer.encode(event)[0] == 0
