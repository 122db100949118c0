"""Commands from the API to the config topic, and the twin's answer where it is waited for.

Whatever is written here is a record like any other producer's: the order in the topic decides, and the answer is the event, or
the dead letter, that every command gets.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.errors import TwinError
from topics.reader import json_values, schema_id_of
from twin_app.partition import Cycle
from twin_app.partition.contracts import Contracts
from twin_app.partition.cycle import Output
from twin_app.streaming.connections import connection, largest_message
from twin_app.streaming.standing import Standing
from twin_app.switchboard import parse
from twin_app.web.feed import Capture, Feed
from twin_app.web.hosted import Hosted
from twin_app.web.routing import partition_of
from twin_app.web.shapes import Answer, Place, Sent

SEND_S = 10.0
WAIT_S_MAX = 60.0
DECODED_A_TURN = 100
"""Events that are looked through before the event loop has its turn."""


class Events:
    """Reads the events that partitions have committed, as JSON values."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    async def decode(self, output: Output) -> dict[str, Any]:
        """The envelope's fields."""
        if schema_id_of(output.value) is None:
            return dict(orjson.loads(output.value))
        contracts = getattr(self._standing.hosting, "contracts", None)
        assert isinstance(contracts, Contracts), "events are committed by hosts with contracts"
        await contracts.reader.resolve([output.value])
        return dict(json_values(contracts.reader.decode(output.value)))


class Commander:
    """Writes commands. Its producer starts with the first of them; `close` it."""

    def __init__(self, standing: Standing, hosted: Hosted, feed: Feed) -> None:
        self._standing, self._hosted, self._feed = standing, hosted, feed
        self._events = Events(standing)
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, twin: str, body: bytes, wait_s: float) -> Sent:
        """Check a command, write it, and wait up to `wait_s` for the answer. Raises Rejected; TwinError `broker-unreachable`."""
        parse(body, twin.encode())
        driver = self._hosted.driver_of(twin)
        settings = self._standing.settings
        partition = driver.partition if driver is not None else partition_of(twin, settings.partitions)
        with self._feed.capture(partition) as capture:
            place = await self._write(twin, partition, body)
            answer = None
            if wait_s > 0:
                try:
                    async with asyncio.timeout(wait_s):
                        answer = await self._answer(capture, place, twin)
                except TimeoutError:
                    pass  # it is in the topic, and will be applied
        return Sent(place=place, answer=answer)

    async def _write(self, twin: str, partition: int, body: bytes) -> Place:
        settings = self._standing.settings
        try:
            async with asyncio.timeout(SEND_S):
                producer = await self._started()
                sent = await producer.send_and_wait(settings.config_topic, body, key=twin.encode(), partition=partition)
        except (TimeoutError, KafkaError) as error:
            raise TwinError(
                "broker-unreachable",
                f"not confirmed within {SEND_S:g} s ({type(error).__name__}); it may be in the topic nevertheless",
                place=f"{settings.config_topic}-{partition} at {settings.bootstrap_servers}",
                remedy="look at the twin before you send it again",
            ) from error
        return Place(topic=settings.config_topic, partition=partition, offset=sent.offset)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                settings = self._standing.settings
                producer = AIOKafkaProducer(
                    **connection(settings),
                    enable_idempotence=True,
                    acks="all",
                    linger_ms=0,
                    max_request_size=largest_message(settings),
                    compression_type=settings.compression_type,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
        return self._producer

    async def _answer(self, capture: Capture, place: Place, twin: str) -> Answer | None:
        """Wait for the cycle that took the command. None if the partition went elsewhere meanwhile."""
        while True:
            while capture.cycles:
                cycle = capture.cycles.popleft()
                if cycle.next_offset > place.offset:
                    return await self._answer_in(cycle, place, twin)
            if capture.over:
                return None
            capture.arrived.clear()
            await capture.arrived.wait()

    async def _answer_in(self, cycle: Cycle, place: Place, twin: str) -> Answer | None:
        specs = self._standing.settings.topics
        looked = 0
        for output in cycle.outputs:
            if output.topic == specs.dead_letters.name:
                letter = orjson.loads(output.value)
                if (letter.get("partition"), letter.get("offset")) == (place.partition, place.offset):
                    fields = {name: letter.get(name) for name in ("code", "reason", "path", "remedy")}
                    return Answer(accepted=False, **fields)
            elif output.topic == specs.events.name and output.key == twin.encode():
                looked += 1
                if looked % DECODED_A_TURN == 0:
                    await asyncio.sleep(0)
                event = await self._events.decode(output)
                cause = event.get("cause") or {}
                if (cause.get("partition"), cause.get("offset")) == (place.partition, place.offset):
                    return Answer(accepted=True, event=event)
        taken = any(accepted.offset == place.offset for accepted in cycle.accepted)
        return Answer(accepted=True) if taken else None
