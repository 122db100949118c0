"""Topics are created as specified, on every broker that is chosen for the run."""

import asyncio
import uuid

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from models.errors import TwinError
from topics.admin import ensure_topics
from topics.specs import LARGE_RECORD_BYTES_MAX, TopicSpecs, topic_specs


def own_specs(partitions: int = 3) -> TopicSpecs:
    unique = uuid.uuid4().hex[:8]
    return topic_specs(app=f"app-{unique}", prefix=f"{unique}.", partitions=partitions)


async def test_topics_are_never_created_with_the_brokers_defaults(broker):
    specs = own_specs()
    counts = await ensure_topics(broker.bootstrap, specs)
    assert counts == {spec.name: 3 for spec in specs.all()}
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        described = await admin.describe_topics([spec.name for spec in specs.all()])
        assert {topic["topic"]: len(topic["partitions"]) for topic in described} == counts
        for spec in (specs.config, specs.checkpoint_changelog):
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, spec.name)])
            settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
            assert {name: settings.get(name) for name in spec.configs()} == spec.configs()
        assert int(specs.checkpoint_changelog.configs()["max.message.bytes"]) == LARGE_RECORD_BYTES_MAX
    finally:
        await admin.close()


async def test_a_second_start_changes_nothing_and_two_at_once_do_not_fail(broker):
    specs = own_specs()
    first, second = await asyncio.gather(ensure_topics(broker.bootstrap, specs), ensure_topics(broker.bootstrap, specs))
    assert first == second == await ensure_topics(broker.bootstrap, specs)


async def test_new_topics_never_get_another_partition_count_than_the_config_topic_has(broker):
    specs = own_specs(partitions=2)
    await ensure_topics(broker.bootstrap, specs)
    later = topic_specs(
        app="x", prefix=specs.config.name.removesuffix("twin-config"), partitions=5, names={"vitals": f"v-{uuid.uuid4().hex}"}
    )
    counts = await ensure_topics(broker.bootstrap, later)
    assert set(counts.values()) == {2}


async def test_a_topic_of_another_partition_count_is_refused_with_its_name(broker):
    specs = own_specs(partitions=2)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(specs.clock.name, 5, 1)])
    finally:
        await admin.close()
    await asyncio.sleep(0.5)
    with pytest.raises(TwinError, match="5 partitions") as caught:
        await ensure_topics(broker.bootstrap, specs)
    assert caught.value.code == "partition-count"
    assert specs.clock.name in str(caught.value)


async def test_a_broker_that_is_down_is_waited_for_and_then_named():
    with pytest.raises(TwinError) as caught:
        await ensure_topics("127.0.0.1:9", own_specs(), patience_s=1.0)
    assert caught.value.code == "broker-unreachable"
    assert "127.0.0.1:9" in str(caught.value)


async def test_a_broker_that_is_restarted_meanwhile_stops_nobody(broker):
    broker.kill9()
    waiting = asyncio.create_task(ensure_topics(broker.bootstrap, own_specs(), patience_s=60))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(broker.restart)
    assert await asyncio.wait_for(waiting, 60)
