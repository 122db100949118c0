"""What is played before an audience: workers start, every committed event is heard, and scenes follow until the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from models.errors import TwinError
from twin_app.cli import connect
from twin_app.cli.decoding import EventReader
from twin_app.cli.demo.stage import WORKERS_START_S, Stage

ANSWER_S = 15.0
"""Longest wait for a client of the demo's own to get an answer."""

Tell = Callable[[str, str], None]
"""Takes who speaks (`you`, `plant`, a twin's name) and a sentence."""


class Tale:
    """Plays on a stage that is open. What happens in it is `_scenes`; what an event means to it is `_take_in`."""

    def __init__(self, stage: Stage, tell: Tell, heard: Callable[[dict[str, Any]], None], *, workers: int) -> None:
        self.stage = stage
        self.tell = tell
        self.heard = heard
        self._workers = workers

    def pictures(self) -> list[str]:
        """How things stand, one row for each twin."""
        raise NotImplementedError

    async def play(self) -> None:
        """From the starting workers to the end of the last scene. Raises TwinError when it does not come to that."""
        settings = self.stage.settings
        started = [self.stage.start_worker() for _ in range(self._workers)]
        pids = " and ".join(str(worker.pid) for worker in started)
        self.tell("you", f"start two workers (pids {pids})" if self._workers == 2 else f"start a worker (pid {pids})")
        async with connect.producer(settings, ANSWER_S) as writer, connect.consumer(settings, ANSWER_S) as client:
            tps = await connect.partitions_of(settings, ANSWER_S, settings.topics.events.name)
            client.assign(tps)
            listening = asyncio.ensure_future(self._listen(client))
            try:
                what = "the workers hosting all partitions"
                await self._until(lambda: self.stage.all_hosted_by(*started), WORKERS_START_S, what, listening)
                await self._scenes(writer, listening)
            finally:
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening

    async def _scenes(self, writer: AIOKafkaProducer, listening: asyncio.Future[None]) -> None:
        raise NotImplementedError

    def _take_in(self, event: dict[str, Any]) -> None:
        raise NotImplementedError

    async def _until(self, holds: Callable[[], bool], timeout_s: float, what: str, listening: asyncio.Future[None]) -> None:
        def holds_or_failed() -> bool:
            if listening.done():
                listening.result()
                raise TwinError("demo-stalled", "the events are not read any more")
            return holds()

        await self.stage.until(holds_or_failed, timeout_s, what)

    async def _send(self, writer: AIOKafkaProducer, twin: str, record: bytes) -> None:
        settings = self.stage.settings
        await connect.within(settings, ANSWER_S, writer.send_and_wait(settings.config_topic, record, key=twin.encode()))

    async def _listen(self, client: AIOKafkaConsumer) -> None:
        """Hear every committed event, for as long as the tale is played."""
        reader = EventReader(self.stage.settings, ANSWER_S)
        while True:
            for records in (await client.getmany(timeout_ms=100)).values():
                await reader.resolve([record.value for record in records])
                for record in records:
                    event = reader.decode(record.value, f"{record.topic}-{record.partition}@{record.offset}")
                    self.heard(event)
                    self._take_in(event)
