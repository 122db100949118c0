"""A pool of processes for forks, kept warm. What goes wrong in one of them ends the task that it had, and nothing else.

Life of a place: starting -> idle -> busy -> idle; or busy -> its process died, was too slow or grew too large -> starting.
A task that nobody wants any more is told so; its place is free when it has stopped, which takes one slice of work.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import multiprocessing
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any

import msgpack

from models.errors import TwinError
from twin_app.forecast.answering import Topic
from twin_app.forecast.crews import value_of
from twin_app.forecast.fork_process import MIB, READY, serve
from twin_app.forecast.headroom import LOOK_S, LOOKS_MAX, MORE_MEMORY, OUT_OF_MEMORY, at_limit

START_LIMIT_S = 120.0
"""How long a process may take to start."""
WAITING_MAX = 20_000
"""Tasks that may wait for a place: what all running forecasts together can ask for, and more."""

_spawn = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class PoolLimits:
    """`memory_mb`: data of one process. `task_s`: time for one task, after which its process is killed."""

    memory_mb: int = 1024
    task_s: float = 10.0


class Place:
    """One process and the pipe to it. Its methods block, and are called in a thread of its own."""

    def __init__(self, limits: PoolLimits) -> None:
        self._limits = limits
        self._cancelled = _spawn.RawValue("q", -1)
        self._numbers = itertools.count(1)
        self._pipe: Connection | None = None
        self._process: Any = None
        self.number = 0
        self.about: Topic | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process and wait until it is warm, unless it is. Raises TwinError `fork-crashed`."""
        if self._pipe is not None:
            return
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(
            target=serve, args=(theirs, self._cancelled, self._limits.memory_mb), daemon=True, name="twin-fork"
        )
        process.start()
        self._process = process  # only now: another thread may stop it at any moment
        theirs.close()
        self._pipe = ours
        if self._receive(START_LIMIT_S, limited=False) != READY:
            raise TwinError("fork-crashed", "a process for forks does not start")

    def exchange(self, about: Topic, task: list[Any]) -> bytes:
        """The answer to a task.

        Raises TwinError: `fork-crashed`, `fork-too-slow`, `fork-out-of-memory`; the process is then to be started anew.
        """
        if self._pipe is None:
            self.start()
        if self.about is not about:
            self.about = None
            value_of(self._ask(["take", about.plain]))
            self.about = about
        return self._ask(task)

    def cancel(self) -> None:
        """The task under way is not wanted any more. Does not block."""
        self._cancelled.value = self.number

    def stop(self) -> None:
        """End the process at once."""
        self.about = None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.join()

    def _ask(self, task: list[Any]) -> bytes:
        assert self._pipe is not None
        self.number = next(self._numbers)
        try:
            self._pipe.send_bytes(msgpack.packb([self.number, msgpack.packb(task)]))
        except OSError as error:
            raise self._crashed() from error
        return self._receive(self._limits.task_s)

    def _receive(self, limit_s: float, *, limited: bool = True) -> bytes:
        """`limited`: the process has its limit of memory already."""
        assert self._pipe is not None
        until_s, looks = monotonic() + limit_s, 0
        try:
            while not self._pipe.poll(max(0.0, min(LOOK_S, until_s - monotonic()))):
                looks = looks + 1 if limited and at_limit(self.pid, self._limits.memory_mb * MIB) else 0
                if looks >= LOOKS_MAX:
                    self.stop()
                    raise TwinError(OUT_OF_MEMORY, "a fork had used up the memory that it may have", remedy=MORE_MEMORY)
                if monotonic() < until_s:
                    continue
                self.stop()
                raise TwinError(
                    "fork-too-slow",
                    f"a fork took longer than {limit_s:g} s",
                    remedy="shorten the horizon, or give forks more time with TWIN_FORECAST_TASK_LIMIT_S",
                )
            return self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._crashed() from error

    def _crashed(self) -> TwinError:
        process = self._process
        process.join(1.0)
        code = process.exitcode
        self.stop()
        return TwinError("fork-crashed", f"the process of a fork ended with {code}; a new one is started")


@dataclass(order=True)
class _Waiter:
    urgency: int
    number: int
    turn: asyncio.Future[Place] = field(compare=False)
    about: Topic = field(compare=False)


class ForkPool:
    """Runs in the event loop of the worker, which never waits: pipes are read and written in threads."""

    def __init__(self, size: int, limits: PoolLimits | None = None) -> None:
        self.size = size
        self._places = [Place(limits or PoolLimits()) for _ in range(size)]
        self._idle: list[Place] = []
        self._waiting: list[_Waiter] = []
        self._numbers = itertools.count()
        self._threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="forks")
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Of the processes that there are."""
        return [pid for place in self._places if (pid := place.pid) is not None]

    async def start(self) -> None:
        """Start all processes; returns when they are warm. Raises TwinError `fork-crashed`."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._threads, place.start) for place in self._places))
        self._idle = list(self._places)

    async def close(self) -> None:
        """End all processes; tasks under way are lost."""
        self._closed = True
        for place in self._places:
            place.cancel()
        for waiter in self._waiting:
            waiter.turn.cancel()
        self._waiting.clear()
        for place in self._places:
            place.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)

    async def perform(self, about: Topic, task: list[Any]) -> Any:
        """The value of a task, when it had its turn. Raises TwinError, HorizonTooFar; may be cancelled at any time."""
        place = await self._turn(about)
        work = self._threads.submit(place.exchange, about, task)
        loop = asyncio.get_running_loop()
        work.add_done_callback(lambda done: loop.call_soon_threadsafe(self._release, place, done))
        try:
            answer = await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            place.cancel()
            raise
        return value_of(answer)

    # -- turns
    async def _turn(self, about: Topic) -> Place:
        if self._closed:
            raise TwinError("pool-closed", "the pool of forks is closed")
        if self._idle and not self._waiting:
            return self._pick(about)
        if len(self._waiting) >= WAITING_MAX:
            raise TwinError("pool-full", f"{WAITING_MAX:,} tasks wait for a process", remedy="ask for fewer forecasts at a time")
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, _Waiter(about.urgency, next(self._numbers), turn, about))
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give(turn.result())
            raise

    def _pick(self, about: Topic) -> Place:
        """An idle place, if possible one that knows the question already."""
        knowing = next((place for place in self._idle if place.about is about), self._idle[-1])
        self._idle.remove(knowing)
        return knowing

    def _release(self, place: Place, done: Future[bytes]) -> None:
        if self._closed:
            place.stop()
        elif place.pid is None:
            again = self._threads.submit(place.start)
            loop = asyncio.get_running_loop()
            again.add_done_callback(lambda _: loop.call_soon_threadsafe(self._give, place))
        else:
            self._give(place)

    def _give(self, place: Place) -> None:
        """To whoever waits most urgently, or back to the idle ones."""
        self._idle.append(place)
        while self._waiting and self._idle:
            waiter = heapq.heappop(self._waiting)
            if not waiter.turn.done():
                waiter.turn.set_result(self._pick(waiter.about))
