"""Topics and records: the embedded broker and Apache Kafka must give the same answers."""

import asyncio
import os
import time

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidPartitionsError, MessageSizeTooLargeError, OffsetOutOfRangeError

from tests.brokers.plugin import Broker
from tests.embedded.clients import admin, consumer, make_topic, producer, read_all, send, unique

pytestmark = pytest.mark.broker

UNKNOWN_TOPIC, TOPIC_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION, INVALID_CONFIG, INVALID_TOPIC = 3, 36, 37, 38, 40, 17


async def test_a_topic_is_not_created_twice_nor_with_other_settings(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "made", 5, cleanup_policy="compact", segment_ms=1000)
    async with admin(broker.bootstrap) as client:
        again = await client.create_topics([NewTopic(topic, 5, 1)])
        (described,) = await client.describe_topics([topic])
        (configs,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    shown = {entry[0]: entry[1] for entry in configs.resources[0][4]}
    assert [error[1] for error in again.topic_errors] == [TOPIC_EXISTS]
    assert sorted(row["partition"] for row in described["partitions"]) == [0, 1, 2, 3, 4]
    assert shown["cleanup.policy"] == "compact"
    assert shown["segment.ms"] == "1000"
    assert shown["retention.ms"] == "604800000"
    assert shown["max.message.bytes"] == "1048588"


@pytest.mark.parametrize(
    ("name", "partitions", "replicas", "config", "code"),
    [
        ("bad name!", 1, 1, {}, INVALID_TOPIC),
        (None, 0, 1, {}, INVALID_PARTITIONS),
        (None, 1, 9, {}, INVALID_REPLICATION),
        (None, 1, 1, {"no.such.setting": "1"}, INVALID_CONFIG),
        (None, 1, 1, {"cleanup.policy": "shred"}, INVALID_CONFIG),
        (None, 1, 1, {"segment.ms": "soon"}, INVALID_CONFIG),
    ],
)
async def test_a_topic_that_cannot_be_is_not_created(
    broker: Broker, name: str | None, partitions: int, replicas: int, config: dict[str, str], code: int
) -> None:
    async with admin(broker.bootstrap) as client:
        wanted = NewTopic(name or unique("refused"), partitions, replicas, topic_configs=config)
        answer = await client.create_topics([wanted])
    assert [error[1] for error in answer.topic_errors] == [code]


async def test_a_topic_does_not_appear_by_being_asked_for(broker: Broker) -> None:
    topic = unique("absent")
    async with admin(broker.bootstrap) as client:
        (described,) = await client.describe_topics([topic])
        assert described["error_code"] == UNKNOWN_TOPIC
        assert topic not in await client.list_topics()


async def test_new_partitions_do_not_lose_records_of_the_old_ones(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "grown", 2)
    await send(broker.bootstrap, topic, [b"old"], partition=1)
    async with admin(broker.bootstrap) as client:
        await client.create_partitions({topic: NewPartitions(4)})
        for _ in range(100):
            (described,) = await client.describe_topics([topic])
            if len(described["partitions"]) == 4 and all(row["error_code"] == 0 for row in described["partitions"]):
                break
            await asyncio.sleep(0.05)
        with pytest.raises(InvalidPartitionsError):
            await client.create_partitions({topic: NewPartitions(3)})
    await send(broker.bootstrap, topic, [b"new"], partition=3)
    assert [record.value for record in await read_all(broker.bootstrap, topic, partitions=4)] in (
        [b"old", b"new"],
        [b"new", b"old"],
    )


async def test_a_deleted_topic_does_not_come_back_with_its_records(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "gone")
    await send(broker.bootstrap, topic, [b"before"])
    async with admin(broker.bootstrap) as client:
        await client.delete_topics([topic])
        for _ in range(100):
            if topic not in await client.list_topics():
                break
            await asyncio.sleep(0.05)
        assert topic not in await client.list_topics()
        again = await client.delete_topics([topic])
        assert [error[1] for error in again.topic_error_codes] == [UNKNOWN_TOPIC]
        for _ in range(100):
            answer = await client.create_topics([NewTopic(topic, 1, 1)])
            if answer.topic_errors[0][1] == 0:
                break
            await asyncio.sleep(0.1)
    await send(broker.bootstrap, topic, [b"after"])
    assert [record.value for record in await read_all(broker.bootstrap, topic)] == [b"after"]


async def test_keys_headers_and_timestamps_do_not_change_on_the_way(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "carried", 4)
    start = int(time.time() * 1000) - 60_000
    async with producer(broker.bootstrap) as client:
        for i in range(24):
            headers = [("bytes", b"\x00\xff"), ("n", str(i).encode())]
            await client.send_and_wait(topic, key=b"k%d" % (i % 8), value=b"v%d" % i, headers=headers, timestamp_ms=start + i)
    records = await read_all(broker.bootstrap, topic, partitions=4)
    numbers = sorted(int(dict(record.headers)["n"]) for record in records)
    homes: dict[bytes, set[int]] = {}
    for record in records:
        n = int(dict(record.headers)["n"])
        homes.setdefault(record.key, set()).add(record.partition)
        assert (record.value, record.timestamp) == (b"v%d" % n, start + n)
        assert dict(record.headers)["bytes"] == b"\x00\xff"
    assert numbers == list(range(24))
    assert all(len(partitions) == 1 for partitions in homes.values())
    places = [TopicPartition(topic, index) for index in range(4)]
    async with consumer(broker.bootstrap) as client:
        client.assign(places)
        found = await client.offsets_for_times(dict.fromkeys(places, start + 12))
        late = await client.offsets_for_times(dict.fromkeys(places, start + 10**7))
    for place in places:
        expected = [record.offset for record in records if record.partition == place.partition and record.timestamp >= start + 12]
        assert (found[place].offset if found[place] else None) == min(expected, default=None)
        assert late[place] is None


async def test_tombstones_and_empty_keys_are_not_confused(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "nulls")
    async with producer(broker.bootstrap) as client:
        for key, value in ((b"a", None), (None, b"b"), (b"", b"")):
            await client.send_and_wait(topic, key=key, value=value)
    records = await read_all(broker.bootstrap, topic)
    assert [(record.key, record.value) for record in records] == [(b"a", None), (None, b"b"), (b"", b"")]


async def test_a_compacted_topic_does_not_take_records_without_a_key(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "keyed", cleanup_policy="compact")
    async with producer(broker.bootstrap) as client:
        with pytest.raises(Exception, match=r"(?i)invalid|87|unknown"):
            await client.send_and_wait(topic, b"no key")
        await client.send_and_wait(topic, b"fine", key=b"k")
    assert [record.key for record in await read_all(broker.bootstrap, topic)] == [b"k"]


async def test_compressed_batches_are_not_mangled(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "packed")
    async with producer(broker.bootstrap, compression_type="gzip", linger_ms=50) as client:
        await asyncio.gather(*[await client.send(topic, b"%d" % i * 100) for i in range(50)])
    assert [record.value for record in await read_all(broker.bootstrap, topic)] == [b"%d" % i * 100 for i in range(50)]


async def test_seeking_does_not_miss_or_repeat(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "sought")
    async with producer(broker.bootstrap) as client:
        for i in range(20):
            await client.send_and_wait(topic, b"%d" % i)
    place = TopicPartition(topic, 0)
    async with consumer(broker.bootstrap, auto_offset_reset="none") as client:
        client.assign([place])
        client.seek(place, 15)
        assert [(await client.getone()).offset for _ in range(5)] == [15, 16, 17, 18, 19]
        await client.seek_to_beginning(place)
        assert (await client.getone()).offset == 0
        await client.seek_to_end(place)
        assert await client.position(place) == 20
        client.seek(place, 9999)
        with pytest.raises(OffsetOutOfRangeError):
            await asyncio.wait_for(client.getone(), 10)


async def test_a_record_over_the_limit_is_not_stored(broker: Broker) -> None:
    large = await make_topic(broker.bootstrap, "large", max_message_bytes=2_000_000)
    usual = await make_topic(broker.bootstrap, "usual")
    value = os.urandom(1_500_000)
    async with producer(broker.bootstrap, max_request_size=3_000_000) as client:
        await client.send_and_wait(large, value)
        with pytest.raises(MessageSizeTooLargeError):
            await client.send_and_wait(usual, value)
    (record,) = await read_all(broker.bootstrap, large, max_partition_fetch_bytes=100_000)
    assert record.value == value, "one record over the fetch limit must still be delivered"
    assert await read_all(broker.bootstrap, usual) == []


async def test_deleted_records_are_not_served(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "cut")
    await send(broker.bootstrap, topic, [b"%d" % i for i in range(10)])
    place = TopicPartition(topic, 0)
    async with admin(broker.bootstrap) as client:
        await client.delete_records({place: RecordsToDelete(before_offset=5)})
    assert [record.offset for record in await read_all(broker.bootstrap, topic)] == [5, 6, 7, 8, 9]
    async with consumer(broker.bootstrap) as client:
        assert await client.beginning_offsets([place]) == {place: 5}
        assert await client.end_offsets([place]) == {place: 10}


async def test_a_long_poll_does_not_sleep_through_a_record(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "awaited")
    async with consumer(broker.bootstrap, topic, fetch_max_wait_ms=5000) as reader, producer(broker.bootstrap) as writer:
        await writer.send_and_wait(topic, b"first")
        await reader.getone()
        slowest_s = 0.0
        for i in range(10):
            await asyncio.sleep(0.05)
            since = time.monotonic()
            await writer.send_and_wait(topic, b"%d" % i)
            await reader.getone()
            slowest_s = max(slowest_s, time.monotonic() - since)
    assert slowest_s < 2.0


async def test_an_idempotent_producer_does_not_double_or_reorder(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "once", 2)
    async with producer(broker.bootstrap, enable_idempotence=True) as client:
        await asyncio.gather(*[await client.send(topic, b"%d" % i, partition=i % 2) for i in range(500)])
    records = await read_all(broker.bootstrap, topic, partitions=2)
    for partition in (0, 1):
        assert [int(r.value) for r in records if r.partition == partition] == list(range(partition, 500, 2))


async def test_compaction_does_not_lose_the_newest_of_a_key(broker: Broker) -> None:
    topic = await make_topic(
        broker.bootstrap,
        "compacted",
        cleanup_policy="compact",
        segment_ms=500,
        min_cleanable_dirty_ratio=0.01,
        delete_retention_ms=100,
        max_compaction_lag_ms=1000,
        segment_bytes=1_048_576,
    )
    async with producer(broker.bootstrap) as client:
        for turn in range(5):
            for key in range(20):
                await client.send(topic, b"%d" % turn + b"x" * 200, key=b"k%d" % key)
            await client.flush()
    deadline = time.monotonic() + 30
    turn = 0
    while time.monotonic() < deadline:
        # Segments roll on writing only, so something has to be written.
        await asyncio.sleep(0.7)
        await send(broker.bootstrap, topic, [b"%d" % turn], key=b"pulse")
        turn += 1
        records = await read_all(broker.bootstrap, topic)
        if sum(record.key != b"pulse" for record in records) == 20:
            break
    kept = {record.key: record.value for record in records}
    assert sum(record.key != b"pulse" for record in records) == 20
    assert all(kept[b"k%d" % key] == b"4" + b"x" * 200 for key in range(20))
    assert [record.offset for record in records] == sorted(record.offset for record in records)
