"""The verbs' way to the broker: a producer and read-committed consumers, each with a limit on how long an answer may take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, NodeNotReadyError, RequestTimedOutError

from models.errors import TwinError
from twin_app.security.kafka import client_security
from twin_app.settings import Settings

RETRY_S = 0.5
FETCH_RECORDS_MAX = 500

_AWAY = (KafkaConnectionError, NodeNotReadyError, KafkaTimeoutError, RequestTimedOutError)

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a verb's coroutine; Ctrl-C ends it in order."""
    return asyncio.run(work)


def broker_unreachable(settings: Settings, timeout_s: float, why: object) -> TwinError:
    """No broker answered in time."""
    return TwinError(
        "broker-unreachable",
        f"no broker answered within {timeout_s:g} s" + (f": {why}" if str(why) else ""),
        place=settings.bootstrap_servers,
        remedy="start the broker, or correct --bootstrap (TWIN_BOOTSTRAP_SERVERS)",
    )


def unknown_topic(settings: Settings, topic: str) -> TwinError:
    """A topic is not there."""
    return TwinError(
        "unknown-topic",
        f"the broker has no topic {topic!r}",
        place=settings.bootstrap_servers,
        remedy="create it with `twin topics --create`, or start a worker, or correct TWIN_TOPIC_PREFIX",
    )


async def within(settings: Settings, timeout_s: float, work: Awaitable[T]) -> T:
    """Await something of the broker. Raises TwinError `broker-unreachable` when it takes too long."""
    try:
        async with asyncio.timeout(timeout_s):
            return await work
    except (TimeoutError, *_AWAY) as error:
        raise broker_unreachable(settings, timeout_s, error) from error


async def _started(client: Any, settings: Settings, timeout_s: float, stop: Callable[[], Awaitable[None]]) -> None:
    """Start a client, again and again while the broker is away, until the time is over."""
    why: object = ""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    await client.start()
                    return
                except _AWAY as error:
                    why = error
                    await asyncio.sleep(RETRY_S)
    except TimeoutError as error:
        await stop()
        raise broker_unreachable(settings, timeout_s, why) from error
    except BaseException:
        await stop()
        raise


@contextlib.asynccontextmanager
async def consumer(settings: Settings, timeout_s: float, *, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    """A read-committed consumer to be assigned by hand: it joins no group, so that watching never disturbs a worker.

    `group` only says under which name it may commit.
    """
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        **client_security(settings),
        group_id=group,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=settings.record_bytes_max + (64 << 10),
    )
    await _started(client, settings, timeout_s, client.stop)
    try:
        yield client
    finally:
        await client.stop()


@contextlib.asynccontextmanager
async def producer(
    settings: Settings, timeout_s: float, *, transactional_id: str | None = None
) -> AsyncIterator[AIOKafkaProducer]:
    """A producer whose records are on every in-sync replica when it says so; with a `transactional_id`, the only one of it."""
    client = AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        **client_security(settings),
        acks="all",
        enable_idempotence=True,
        transactional_id=transactional_id,
        max_request_size=settings.record_bytes_max + (64 << 10),
        compression_type=settings.compression_type,
        request_timeout_ms=max(1_000, int(timeout_s * 1000)),
    )
    await _started(client, settings, timeout_s, client.stop)
    try:
        yield client
    finally:
        with contextlib.suppress(KafkaError):
            await client.stop()


@contextlib.asynccontextmanager
async def admin(settings: Settings, timeout_s: float) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **client_security(settings))
    await _started(client, settings, timeout_s, client.close)
    try:
        yield client
    finally:
        await client.close()


async def partitions_of(settings: Settings, timeout_s: float, *topics: str) -> list[TopicPartition]:
    """Every partition of these topics. Raises TwinError `unknown-topic`, `broker-unreachable`."""
    async with admin(settings, timeout_s) as client:
        # Listed first: asking for a topic by name may create it, with the broker's defaults.
        known = frozenset(await within(settings, timeout_s, client.list_topics()))
        for topic in topics:
            if topic not in known:
                raise unknown_topic(settings, topic)
        described = await within(settings, timeout_s, client.describe_topics(list(topics)))
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described}
    return [TopicPartition(topic, partition) for topic in topics for partition in range(counts[topic])]
