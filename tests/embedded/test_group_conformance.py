"""Consumer groups: the embedded broker and Apache Kafka must give the same answers."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from tests.brokers.plugin import Broker
from tests.embedded.clients import admin, consumer, make_topic, send, unique, until

pytestmark = pytest.mark.broker

SESSION_MS, HEARTBEAT_MS = 2000, 200


class GroupMember:
    """A consumer with its polling task and what it has received."""

    def __init__(self, client: AIOKafkaConsumer) -> None:
        self.client = client
        self.records: list[Any] = []

    @property
    def partitions(self) -> set[int]:
        return {place.partition for place in self.client.assignment()}

    async def poll(self) -> None:
        while True:
            for batch in (await self.client.getmany(timeout_ms=100)).values():
                self.records += batch


@asynccontextmanager
async def member(broker: Broker, topic: str, group: str, **options: Any) -> AsyncIterator[GroupMember]:
    client = AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        fetch_max_wait_ms=100,
        **options,
    )
    await client.start()
    one = GroupMember(client)
    polling = asyncio.create_task(one.poll())
    try:
        yield one
    finally:
        polling.cancel()
        with contextlib.suppress(asyncio.CancelledError, KafkaError):
            await polling
        await client.stop()


async def test_committed_offsets_are_not_lost_between_members(broker: Broker) -> None:
    topic, group = await make_topic(broker.bootstrap, "kept", 2), unique("group")
    for partition in (0, 1):
        await send(broker.bootstrap, topic, [b"%d" % i for i in range(10)], partition=partition)
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with consumer(broker.bootstrap, topic, group_id=group) as client:
        assert await until(lambda: len(client.assignment()) == 2)
        await client.commit({first: OffsetAndMetadata(4, "note"), second: OffsetAndMetadata(7, "")})
    async with admin(broker.bootstrap) as client:
        committed = await client.list_consumer_group_offsets(group)
        assert {place: (kept.offset, kept.metadata) for place, kept in committed.items()} == {first: (4, "note"), second: (7, "")}
        assert group in [name for name, *_ in await client.list_consumer_groups()]
    async with member(broker, topic, group) as again:
        assert await until(lambda: len(again.records) >= 9)
        assert {(record.partition, record.offset) for record in again.records} == {
            *((0, offset) for offset in range(4, 10)),
            *((1, offset) for offset in range(7, 10)),
        }


async def test_a_rebalance_does_not_give_a_partition_to_two_members(broker: Broker) -> None:
    topic, group = await make_topic(broker.bootstrap, "shared", 4), unique("group")
    async with member(broker, topic, group) as first:
        assert await until(lambda: len(first.partitions) == 4)
        async with member(broker, topic, group) as second:
            assert await until(lambda: len(first.partitions) == 2 and len(second.partitions) == 2)
            assert first.partitions | second.partitions == {0, 1, 2, 3}
            for partition in range(4):
                await send(broker.bootstrap, topic, [b"x"] * 10, partition=partition)
            assert await until(lambda: len(first.records) + len(second.records) >= 40)
            places = [(r.partition, r.offset) for r in first.records + second.records]
            assert len(places) == len(set(places)) == 40
            left = time.monotonic()
        assert await until(lambda: len(first.partitions) == 4)
        assert time.monotonic() - left < SESSION_MS / 1000 + 1, "a member that leaves must not be waited for"


CHILD = """
import asyncio, sys
from aiokafka import AIOKafkaConsumer
async def main():
    client = AIOKafkaConsumer(sys.argv[2], bootstrap_servers=sys.argv[1], group_id=sys.argv[3],
        session_timeout_ms=int(sys.argv[4]), heartbeat_interval_ms=int(sys.argv[5]))
    await client.start()
    while True:
        await client.getmany(timeout_ms=100)
asyncio.run(main())
"""


async def test_a_killed_member_does_not_keep_its_partitions(broker: Broker) -> None:
    topic, group = await make_topic(broker.bootstrap, "orphaned", 4), unique("group")
    async with member(broker, topic, group) as survivor:
        assert await until(lambda: len(survivor.partitions) == 4)
        arguments = [broker.bootstrap, topic, group, str(SESSION_MS), str(HEARTBEAT_MS)]
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, *arguments, stdin=subprocess.DEVNULL)
        try:
            assert await until(lambda: len(survivor.partitions) == 2)
        finally:
            child.kill()
            await child.wait()
        killed = time.monotonic()
        assert await until(lambda: len(survivor.partitions) == 4)
        assert time.monotonic() - killed > SESSION_MS / 1000 - 1, "it was evicted before its session was over"


async def test_a_static_member_that_returns_in_time_causes_no_rebalance(broker: Broker) -> None:
    topic, group = await make_topic(broker.bootstrap, "static", 4), unique("group")
    async with member(broker, topic, group, group_instance_id="one") as first:
        assert await until(lambda: len(first.partitions) == 4)
        async with member(broker, topic, group, group_instance_id="two") as second:
            assert await until(lambda: len(first.partitions) == 2 and len(second.partitions) == 2)
            held, generation = set(second.partitions), first.client._coordinator.generation
        async with member(broker, topic, group, group_instance_id="two") as returned:
            assert await until(lambda: len(returned.partitions) == 2)
            assert returned.partitions == held
            await asyncio.sleep(4 * HEARTBEAT_MS / 1000)
            assert first.client._coordinator.generation == generation


async def test_a_member_of_a_past_generation_cannot_commit(broker: Broker) -> None:
    topic, group = await make_topic(broker.bootstrap, "stale", 1), unique("group")
    place = TopicPartition(topic, 0)
    async with consumer(broker.bootstrap, topic, group_id=group, session_timeout_ms=SESSION_MS) as client:
        assert await until(lambda: len(client.assignment()) == 1)
        client._coordinator.generation -= 1
        with pytest.raises(CommitFailedError):
            await client.commit({place: OffsetAndMetadata(5, "")})
    async with admin(broker.bootstrap) as client:
        assert await client.list_consumer_group_offsets(group) == {}
