"""Faults planted on the wire: clients must come through them without loss or repetition."""

import asyncio
import time

import pytest
from aiokafka.errors import KafkaError

from tests.embedded.clients import make_topic, producer, read_all
from twin_app.embedded import EmbeddedBroker, Fault

NOT_LEADER = 6


@pytest.mark.parametrize(
    ("action", "more"),
    [("close", {}), ("close-after", {}), ("delay", {"delay_s": 0.3}), ("drop", {}), ("fail", {"code": NOT_LEADER})],
)
async def test_a_disturbed_produce_request_is_neither_lost_nor_doubled(action: str, more: dict[str, float]) -> None:
    async with EmbeddedBroker() as broker:
        topic = await make_topic(broker.bootstrap, "disturbed")
        fault = broker.faults.plant(Fault("produce", action, times=2, after=1, **more))  # type: ignore[arg-type]
        async with producer(broker.bootstrap, enable_idempotence=True, request_timeout_ms=1000) as client:
            for i in range(10):
                await client.send_and_wait(topic, b"%d" % i)
        assert fault.hits == 2
        assert [int(record.value) for record in await read_all(broker.bootstrap, topic)] == list(range(10))


async def test_a_lost_answer_to_a_commit_does_not_undo_it() -> None:
    async with EmbeddedBroker() as broker:
        topic = await make_topic(broker.bootstrap, "answered")
        fault = broker.faults.plant(Fault("end-txn", "close-after"))
        async with producer(broker.bootstrap, transactional_id="tx") as client, client.transaction():
            await client.send(topic, b"once")
        assert fault.hits == 1
        assert [record.value for record in await read_all(broker.bootstrap, topic, committed=True)] == [b"once"]


async def test_a_delayed_request_does_not_hold_up_other_connections() -> None:
    async with EmbeddedBroker() as broker:
        topic = await make_topic(broker.bootstrap, "delayed")
        broker.faults.plant(Fault("produce", "delay", delay_s=2.0, client="slow"))
        async with producer(broker.bootstrap, client_id="slow") as slow, producer(broker.bootstrap, client_id="quick") as quick:
            waiting = asyncio.create_task(slow.send_and_wait(topic, b"slow"))
            since = time.monotonic()
            await quick.send_and_wait(topic, b"quick")
            assert time.monotonic() - since < 1.5
            await waiting


async def test_a_refused_fencing_error_reaches_the_client() -> None:
    async with EmbeddedBroker() as broker:
        topic = await make_topic(broker.bootstrap, "refused")
        broker.faults.plant(Fault("add-partitions-to-txn", "fail", code=47))
        context = producer(broker.bootstrap, transactional_id="tx")
        client = await context.__aenter__()
        await client.begin_transaction()
        with pytest.raises(KafkaError):
            await client.send_and_wait(topic, b"x")
        await client.stop()


def test_a_fault_of_an_unknown_kind_is_not_planted_silently() -> None:
    with pytest.raises(ValueError, match="unknown request kind"):
        Fault("prodcue", "drop")
    with pytest.raises(ValueError, match="cannot be refused"):
        Fault("list-groups", "fail")
