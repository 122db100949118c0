"""`kill -9` of the broker and a new start: what it acknowledged is there, on the embedded broker as on Apache Kafka."""

import asyncio
import contextlib

import pytest
from aiokafka import OffsetAndMetadata, TopicPartition
from aiokafka.errors import KafkaError

from tests.brokers.plugin import Broker
from tests.embedded.clients import admin, consumer, make_topic, producer, read_all, send, unique, until

pytestmark = pytest.mark.broker


async def restart(broker: Broker) -> None:
    broker.kill9()
    await asyncio.to_thread(broker.restart)


async def test_a_killed_broker_does_not_lose_what_it_acknowledged(broker: Broker) -> None:
    records_topic = await make_topic(broker.bootstrap, "survivors", 2)
    tx_topic, group, name = await make_topic(broker.bootstrap, "tx-survivors"), unique("group"), unique("tx")
    place = TopicPartition(records_topic, 1)
    acknowledged: set[bytes] = set()

    async def write_on() -> None:
        async with producer(broker.bootstrap, enable_idempotence=True, linger_ms=5) as writer:
            for n in range(100_000):
                value = b"%d" % n
                future = await writer.send(records_topic, value, partition=n % 2)
                future.add_done_callback(
                    lambda f, v=value: acknowledged.add(v) if not f.cancelled() and not f.exception() else None
                )
                await asyncio.sleep(0.001)

    async with consumer(broker.bootstrap, records_topic, group_id=group) as client:
        assert await until(lambda: len(client.assignment()) == 2)
        await client.commit({place: OffsetAndMetadata(3, "before")})
    context = producer(broker.bootstrap, transactional_id=name, transaction_timeout_ms=60_000)
    writer = await context.__aenter__()
    async with writer.transaction():
        await writer.send(tx_topic, b"committed before")
        await writer.send_offsets_to_transaction({TopicPartition(records_topic, 0): 7}, group)
    await writer.begin_transaction()
    await writer.send_and_wait(tx_topic, b"aborted before")
    await writer.abort_transaction()
    await writer.begin_transaction()
    await writer.send_and_wait(tx_topic, b"open over the restart")
    writing = asyncio.create_task(write_on())
    assert await until(lambda: len(acknowledged) > 200)

    await restart(broker)

    before = len(acknowledged)
    assert await until(lambda: len(acknowledged) > before + 100), "the producer did not go on after the restart"
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError, KafkaError):
        await writing
    found = [record.value for record in await read_all(broker.bootstrap, records_topic, partitions=2)]
    assert acknowledged <= set(found)
    assert len(found) == len(set(found)), "an idempotent producer's retries were stored twice"
    await writer.send_and_wait(tx_topic, b"and after it")
    await writer.commit_transaction()
    await context.__aexit__(None, None, None)
    values = [record.value for record in await read_all(broker.bootstrap, tx_topic, committed=True)]
    assert values == [b"committed before", b"open over the restart", b"and after it"]
    async with admin(broker.bootstrap) as client:
        offsets = await client.list_consumer_group_offsets(group)
    assert {key.partition: (kept.offset, kept.metadata) for key, kept in offsets.items()} == {0: (7, ""), 1: (3, "before")}


async def test_a_successor_after_a_broker_restart_still_fences(broker: Broker) -> None:
    topic, name = await make_topic(broker.bootstrap, "inherited"), unique("tx")
    context = producer(broker.bootstrap, transactional_id=name)
    former = await context.__aenter__()
    await former.begin_transaction()
    await former.send_and_wait(topic, b"left open")
    await restart(broker)
    async with producer(broker.bootstrap, transactional_id=name) as successor, successor.transaction():
        await successor.send(topic, b"successor")
    with pytest.raises(KafkaError):
        await former.send_and_wait(topic, b"zombie")
    with contextlib.suppress(KafkaError):
        await context.__aexit__(None, None, None)
    await send(broker.bootstrap, topic, [b"plain"])
    values = [record.value for record in await read_all(broker.bootstrap, topic, committed=True)]
    assert values == [b"successor", b"plain"]
