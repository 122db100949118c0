"""Transactions: the embedded broker and Apache Kafka must give the same answers."""

import asyncio
import contextlib
import time

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from tests.brokers.plugin import Broker
from tests.embedded.clients import WAIT_S, admin, consumer, make_topic, producer, read_all, send, unique

pytestmark = pytest.mark.broker


async def test_aborted_and_open_records_are_not_read_as_committed(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "decided", 2)
    async with producer(broker.bootstrap, transactional_id=unique("tx")) as writer:
        async with writer.transaction():
            for i in range(10):
                await writer.send(topic, b"committed", partition=i % 2)
        await writer.begin_transaction()
        for i in range(10):
            await writer.send(topic, b"aborted", partition=i % 2)
        await writer.flush()
        await writer.abort_transaction()
        await writer.begin_transaction()
        await writer.send_and_wait(topic, b"open", partition=0)
        places = [TopicPartition(topic, index) for index in (0, 1)]
        async with consumer(broker.bootstrap, isolation_level="read_committed") as reader:
            reader.assign(places)
            stable = await reader.end_offsets(places)
        async with consumer(broker.bootstrap) as reader:
            reader.assign(places)
            end = await reader.end_offsets(places)
        found = await read_all(broker.bootstrap, topic, partitions=2, committed=True, undecided=True)
        seen = [record.value for record in found]
        everything = [record.value for record in await read_all(broker.bootstrap, topic, partitions=2)]
        await writer.commit_transaction()
    # Five records and a marker, twice, on each partition; then the open record on the first.
    assert [stable[place] for place in places] == [12, 12]
    assert [end[place] for place in places] == [13, 12]
    assert seen == [b"committed"] * 10
    assert sorted(everything) == [b"aborted"] * 10 + [b"committed"] * 10 + [b"open"]
    after = [record.value for record in await read_all(broker.bootstrap, topic, partitions=2, committed=True)]
    assert sorted(after) == [b"committed"] * 10 + [b"open"]


async def test_offsets_of_an_aborted_transaction_are_not_committed(broker: Broker) -> None:
    source, out = await make_topic(broker.bootstrap, "source"), await make_topic(broker.bootstrap, "out")
    await send(broker.bootstrap, source, [b"%d" % i for i in range(10)])
    group, place = unique("group"), TopicPartition(source, 0)

    async def committed() -> int | None:
        async with admin(broker.bootstrap) as client:
            found = (await client.list_consumer_group_offsets(group)).get(place)
            return None if found is None or found.offset < 0 else found.offset

    async with producer(broker.bootstrap, transactional_id=unique("tx")) as writer:
        await writer.begin_transaction()
        await writer.send(out, b"A")
        await writer.send_offsets_to_transaction({place: 3}, group)
        await writer.abort_transaction()
        assert await committed() is None
        await writer.begin_transaction()
        await writer.send(out, b"B")
        await writer.send_offsets_to_transaction({place: 5}, group)
        assert await committed() is None
        await writer.commit_transaction()
        deadline = time.monotonic() + WAIT_S  # the offsets count from the marker on, which follows the answer
        while await committed() is None and time.monotonic() < deadline:  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(0.05)
        assert await committed() == 5
    assert [record.value for record in await read_all(broker.bootstrap, out, committed=True)] == [b"B"]


async def test_a_fenced_producer_adds_nothing(broker: Broker) -> None:
    topic, name = await make_topic(broker.bootstrap, "fenced"), unique("tx")
    zombie_context = producer(broker.bootstrap, transactional_id=name)
    zombie = await zombie_context.__aenter__()
    await zombie.begin_transaction()
    await zombie.send_and_wait(topic, b"left open by the zombie")
    async with producer(broker.bootstrap, transactional_id=name) as successor:
        async with successor.transaction():
            await successor.send(topic, b"successor")
        with pytest.raises(ProducerFenced):
            await zombie.send_and_wait(topic, b"zombie")
        with pytest.raises(ProducerFenced):
            await zombie.commit_transaction()
    with contextlib.suppress(KafkaError):
        await zombie_context.__aexit__(None, None, None)
    assert [record.value for record in await read_all(broker.bootstrap, topic, committed=True)] == [b"successor"]
    assert b"zombie" not in [record.value for record in await read_all(broker.bootstrap, topic)]


async def test_a_transaction_over_its_time_does_not_hold_readers_up(broker: Broker) -> None:
    topic = await make_topic(broker.bootstrap, "overdue")
    hanging_context = producer(broker.bootstrap, transactional_id=unique("tx"), transaction_timeout_ms=2000)
    hanging = await hanging_context.__aenter__()
    await hanging.begin_transaction()
    await hanging.send_and_wait(topic, b"hanging")
    since = time.monotonic()
    await send(broker.bootstrap, topic, [b"plain"])
    async with consumer(broker.bootstrap, topic, isolation_level="read_committed") as reader:
        assert (await reader.getone()).value == b"plain"
    assert 1.0 < time.monotonic() - since < 12.0
    with pytest.raises(KafkaError):
        await hanging.commit_transaction()
    with contextlib.suppress(KafkaError):
        await hanging_context.__aexit__(None, None, None)
    assert [record.value for record in await read_all(broker.bootstrap, topic, committed=True)] == [b"plain"]


async def test_one_producer_per_partition_does_not_mix_up_transactions(broker: Broker) -> None:
    topic, prefix = await make_topic(broker.bootstrap, "woven", 2), unique("tx")
    async with (
        producer(broker.bootstrap, transactional_id=f"{prefix}-0") as first,
        producer(broker.bootstrap, transactional_id=f"{prefix}-1") as second,
    ):
        for turn in range(6):
            await first.begin_transaction()
            await second.begin_transaction()
            await first.send_and_wait(topic, b"first %d" % turn, partition=0)
            await second.send_and_wait(topic, b"second %d" % turn, partition=0)
            await (first.abort_transaction() if turn % 3 == 0 else first.commit_transaction())
            await (second.abort_transaction() if turn % 2 == 0 else second.commit_transaction())
    records = [record.value for record in await read_all(broker.bootstrap, topic, partitions=2, committed=True)]
    assert [r for r in records if r.startswith(b"first")] == [b"first 1", b"first 2", b"first 4", b"first 5"]
    assert [r for r in records if r.startswith(b"second")] == [b"second 1", b"second 3", b"second 5"]
