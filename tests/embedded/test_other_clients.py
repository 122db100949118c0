"""librdkafka, a client that shares no code with the one the broker borrows its structs from, must come through."""

import asyncio
import uuid

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tests.brokers.plugin import Broker

pytestmark = pytest.mark.broker


def round_trip(bootstrap: str) -> tuple[list[bytes], list[bytes]]:
    topic, group = f"rd-{uuid.uuid4().hex[:8]}", f"group-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        future.result(10)
    plain = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": "gzip"})
    sent = [b"%d" % i for i in range(200)]
    for value in sent:
        plain.produce(topic, value, key=value)
    assert plain.flush(10) == 0
    transactional = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"tx-{topic}"})
    transactional.init_transactions(10)
    for text, commit in ((b"aborted", False), (b"committed", True)):
        transactional.begin_transaction()
        transactional.produce(topic, text)
        transactional.flush(10)
        transactional.commit_transaction(10) if commit else transactional.abort_transaction(10)
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe([topic])
    got: list[bytes] = []
    for _ in range(300):
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            got.append(message.value())
        if len(got) == len(sent) + 1:
            break
    consumer.commit(asynchronous=False)
    consumer.close()
    return sent, got


async def test_librdkafka_does_not_lose_double_or_see_aborted_records(broker: Broker) -> None:
    sent, got = await asyncio.to_thread(round_trip, broker.bootstrap)
    assert sorted(got) == sorted([*sent, b"committed"])
