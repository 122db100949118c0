"""Short ways for tests to make topics, send and read, through aiokafka."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

WAIT_S = 20.0


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


async def until(condition: Callable[[], Any], timeout_s: float = WAIT_S) -> bool:
    """Waits until `condition` holds; False when it did not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap, metadata_max_age_ms=1000)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def make_topic(bootstrap: str, name: str, partitions: int = 1, **config: Any) -> str:
    """Creates a topic with a unique name, and waits until its leaders are known: creation alone does not promise that."""
    topic = unique(name)
    settings = {key.replace("_", "."): str(value) for key, value in config.items()}
    async with admin(bootstrap) as client:
        answer = await client.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
        assert [error[1] for error in answer.topic_errors] == [0], answer
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            (found,) = await client.describe_topics([topic])
            rows = found["partitions"]
            if found["error_code"] == 0 and len(rows) == partitions and all(row["error_code"] == 0 for row in rows):
                return topic
            await asyncio.sleep(0.05)
    raise AssertionError(f"{topic} has no leaders")


@asynccontextmanager
async def producer(bootstrap: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, **options)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def consumer(bootstrap: str, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 100, **options}
    client = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **options)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def send(bootstrap: str, topic: str, values: Iterable[bytes], **options: Any) -> None:
    async with producer(bootstrap) as client:
        await asyncio.gather(*[await client.send(topic, value, **options) for value in values])


async def read_all(
    bootstrap: str, topic: str, *, partitions: int = 1, committed: bool = False, undecided: bool = False, **options: Any
) -> list[Any]:
    """All records from the start of each partition to its present end.

    A commit is answered once it is decided; its markers are written after that. So a committed read goes on to the end that
    an uncommitted one sees, unless a transaction is left open on purpose (`undecided`).
    """
    isolation = "read_committed" if committed else "read_uncommitted"
    places = [TopicPartition(topic, index) for index in range(partitions)]
    async with consumer(bootstrap, isolation_level="read_uncommitted") as client:
        client.assign(places)
        ends = await client.end_offsets(places)
    async with consumer(bootstrap, isolation_level=isolation, **options) as client:
        client.assign(places)
        if undecided:
            ends = await client.end_offsets(places)
        await client.seek_to_beginning(*places)
        records: list[Any] = []
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if all([await client.position(place) >= ends[place] for place in places]):
                return records
            for batch in (await client.getmany(timeout_ms=200)).values():
                records += batch
    raise AssertionError(f"{topic}: the end was not reached within {WAIT_S} s, {len(records)} records read")
