"""Who performs the tasks of an answer: this process, one task after the other; or a pool of processes (`pool`)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack

from models.errors import TwinError
from twin_app.forecast.answering import HorizonTooFar, Topic
from twin_app.forecast.bench import Bench


def value_of(answer: bytes) -> Any:
    """What a task gave. Raises what kept it from giving anything: TwinError, HorizonTooFar, CancelledError."""
    tag, *rest = msgpack.unpackb(answer, strict_map_key=False)
    if tag == "done":
        return rest[0]
    if tag == "too-far":
        raise HorizonTooFar(rest[0])
    if tag == "cancelled":
        raise asyncio.CancelledError
    failure = rest[0]
    raise TwinError(failure["code"], failure["message"], place=failure["place"], remedy=failure["remedy"])


class InlineCrew:
    """For a laptop and for tests: no process is started, and nothing is limited."""

    size = 1

    def __init__(self) -> None:
        self._bench = Bench()
        self._topic: Topic | None = None

    async def perform(self, about: Topic, task: list[Any]) -> Any:
        """The value of a task. Raises TwinError, HorizonTooFar."""
        if self._topic is not about:
            self._topic = about
            value_of(self._bench.perform(msgpack.packb(["take", about.plain])))
        await asyncio.sleep(0)
        return value_of(self._bench.perform(msgpack.packb(task)))
