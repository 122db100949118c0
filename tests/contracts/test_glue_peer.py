"""The Glue package's own deserializer reads what we write. Glue itself is moto's."""

import asyncio

import pytest

from models.errors import TwinError
from models.events import EventRecord, SourceOffset, TwinEvent
from tests.contracts.test_confluent_peer import Packed, PackedBroken, PackedGrown
from topics.envelope import to_model

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")
aws_schema_registry = pytest.importorskip("aws_schema_registry")

from topics.glue import GlueAvro  # noqa: E402

EVENT = EventRecord("Line_A", 2, 0.5, 1_795_338_000_000_000, "entity-queued", 7, SourceOffset("twin-config", 0, 3), {"queue": 4})
FAKE = {"region_name": "eu-central-1", "aws_access_key_id": "none", "aws_secret_access_key": "none"}


@pytest.fixture
def client():
    with moto.mock_aws():
        glue = boto3.client("glue", **FAKE)
        glue.create_registry(RegistryName="plant")
        yield aws_schema_registry.SchemaRegistryClient(glue, registry_name="plant", wait_interval_seconds=0.01)


async def test_the_packages_deserializer_never_reads_another_event_than_was_written(client):
    serializer = GlueAvro(TwinEvent, client, topic="sim-events")
    with pytest.raises(TwinError, match="no schema version"):
        serializer.encode(EVENT)
    await serializer.prepare()
    reader = aws_schema_registry.serde.KafkaDeserializer(client)
    read = await asyncio.to_thread(reader.deserialize, "sim-events", serializer.encode(EVENT))
    assert TwinEvent.model_validate(read.data) == to_model(EVENT)
    with pytest.raises(TwinError) as caught:
        GlueAvro.encode(serializer, {"id": 5})
    assert caught.value.code == "unencodable-record"


async def test_starting_again_registers_nothing_new(client):
    first, second = (GlueAvro(Packed, client, topic="packed") for _ in range(2))
    await first.prepare()
    await second.prepare()
    assert first.version_id == second.version_id


async def test_a_change_that_breaks_consumers_is_refused_with_the_name_of_what_breaks(client):
    await GlueAvro(Packed, client, topic="packed").prepare()
    await GlueAvro(PackedGrown, client, topic="packed").prepare()
    with pytest.raises(TwinError) as caught:
        await GlueAvro(PackedBroken, client, topic="packed").prepare()
    assert caught.value.code == "incompatible-schema"
    assert "lines" in caught.value.message


async def test_a_glue_that_is_down_is_waited_for_and_then_named():
    glue = boto3.client(
        "glue", endpoint_url="http://127.0.0.1:9", config=boto3.session.Config(retries={"total_max_attempts": 1}), **FAKE
    )
    serializer = GlueAvro(
        Packed, aws_schema_registry.SchemaRegistryClient(glue, registry_name="plant"), topic="t", patience_s=0.5
    )
    with pytest.raises(TwinError) as caught:
        await serializer.prepare()
    assert caught.value.code == "registry-unreachable"
    assert "plant" in str(caught.value)


async def test_a_registry_that_is_not_there_is_no_reason_to_wait(client):
    elsewhere = aws_schema_registry.SchemaRegistryClient(client.glue_client, registry_name="nowhere")
    with pytest.raises(TwinError) as caught:
        await GlueAvro(Packed, elsewhere, topic="t", patience_s=60).prepare()
    assert caught.value.code == "registry-refused"
