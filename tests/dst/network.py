"""Requests on their way to the broker and answers on their way back: late, lost, repeated, in the order of the seed.

A request that was lost and an answer that was lost look the same to the client. A request may arrive after its sender died.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from aiokafka.errors import ConcurrentTransactions, KafkaConnectionError

from tests.dst.loop import PROCESS, SimulatedLoop

T = TypeVar("T")

RETRY_S = 0.02
HOPS_S = (0.0005, 0.02)
"""A message needs so long, mostly."""


@dataclass
class Weather:
    """How bad the network and the machines are; chances per request."""

    lose_request: float = 0.0
    lose_answer: float = 0.0
    slow: float = 0.0
    crash: float = 0.0
    refuse_batch: float = 0.0
    """The broker refuses a batch for good (too large, not enough replicas): its transaction could still be committed."""
    error: float = 0.0
    """A reader's request fails with an error that its client passes on."""
    detect_s: float = 0.5
    """Longest time until a lost message is noticed."""
    crash_at: str = ""
    """Name a point of the cycle to crash at it only."""


class Network:
    """Between all processes and the broker."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, weather: Weather) -> None:
        self.loop, self.chance, self.weather = loop, chance, weather
        self.closed = False
        self.down = False
        """The broker is away: nothing arrives, nothing is answered."""
        self.hits: Counter[str] = Counter()
        """Every fault that happened, by name."""

    async def call(self, name: str, request: Callable[[], T]) -> T:
        """Carry out `request` at the broker. Raises KafkaConnectionError when it or its answer is lost, or what it raises."""
        if self.closed:
            raise asyncio.CancelledError
        self.maybe_crash(f"before-{name}")
        answer: asyncio.Future[T] = self.loop.create_future()
        self.loop.later(self._hop(), self._arrive, name, request, answer)
        result = await answer
        self.maybe_crash(f"after-{name}")
        return result

    async def insist(self, name: str, request: Callable[[], T]) -> T:
        """As clients do with requests that may be repeated: until there is an answer."""
        while True:
            try:
                return await self.call(name, request)
            except (KafkaConnectionError, ConcurrentTransactions):
                await asyncio.sleep(RETRY_S)

    def maybe_crash(self, point: str) -> None:
        """The process that is at this point dies, perhaps."""
        weather = self.weather
        if not weather.crash or (weather.crash_at and weather.crash_at != point):
            return
        process = PROCESS.get()
        if process is not None and not process.dead and self.chance.random() < weather.crash:
            self.hits[f"crash-{point}"] += 1
            process.die()

    def happens(self, chance: float, name: str) -> bool:
        if chance and self.chance.random() < chance:
            self.hits[name] += 1
            return True
        return False

    def _arrive(self, name: str, request: Callable[[], T], answer: asyncio.Future[T]) -> None:
        if self.down or self.happens(self.weather.lose_request, f"lost-request-{name}"):
            self.loop.later(self._detect(), self._fail, answer, KafkaConnectionError())
            return
        try:
            result = request()
        except Exception as error:
            self.loop.later(self._hop(), self._fail, answer, error)
            return
        if self.happens(self.weather.lose_answer, f"lost-answer-{name}"):
            self.loop.later(self._detect(), self._fail, answer, KafkaConnectionError())
        else:
            self.loop.later(self._hop(), self._answer, answer, result)

    def _hop(self) -> float:
        chance = self.chance
        if self.weather.slow and chance.random() < self.weather.slow:
            return chance.uniform(0.05, 1.5)
        return chance.uniform(*HOPS_S)

    def _detect(self) -> float:
        return self.chance.uniform(0.01, self.weather.detect_s)

    @staticmethod
    def _answer(answer: asyncio.Future[T], result: T) -> None:
        if not answer.done():
            answer.set_result(result)

    @staticmethod
    def _fail(answer: asyncio.Future[T], error: Exception) -> None:
        if not answer.done():
            answer.set_exception(error)
