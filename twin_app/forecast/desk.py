"""The desk where forecasts are asked for: which is next, which is not wanted any more, and what is published of each.

Life of a request: waiting -> running (its twin's state is saved only then) -> its revisions are published -> done.
- Of one twin at most one forecast waits that nobody asked for (by a command, or here); a newer change takes its place.
- A newer change ends a running forecast of the same twin as soon as that has given its first answer.
- One for a twin's standing questions waits beside that, and no change ends it: else a twin that never rests got no answer.
- Requests beyond the limit are dropped: those on a schedule and for questions first; one that somebody asked for is answered by
  an error.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import structlog

from models.commands import Command
from models.errors import TwinError
from models.events import utc_from_us
from twin_app.forecast.answering import Crew, Effort, Revised, answers
from twin_app.forecast.question import Question
from twin_app.forecast.revision import provenance
from twin_app.switchboard.timescale import UNIT_S

Reason = Literal["command", "api", "change", "takeover", "schedule", "question"]
ASKED_BY_SOMEBODY = ("command", "api")
"""Somebody waits for these: each is answered, first of all, or refused aloud."""

WAITING_MAX = 1_000
RECENT_MAX = 10_000
"""Twins of which is remembered when their last forecast began."""

SUPERSEDED = TwinError("superseded", "a newer change has made this forecast old; its revisions stand as of their state")

log = structlog.get_logger(__name__)


class State(NamedTuple):
    """A twin's saved state, and what is known of its making. Ages and lags in seconds of the wall clock.

    `input_ms`: timestamp of the last command that is in it; None where that is not known (any more). `taken_us`: when it was
    saved; 0: as soon as it was there.
    """

    snapshot: Mapping[str, Any]
    offset: int | None
    lag_s: float
    input_ms: int | None = None
    taken_us: int = 0


@dataclass
class Request:
    """One forecast that is wanted. `take` saves the state of the twin, when it is the request's turn; None: it is gone.

    `source`: topic, partition and offset of the command behind it. `mark`: what tells this request from others at the same
    state: the offset, or the wall time. `horizon`: in the twin's time unit, from its time unit in seconds.
    """

    twin: str
    partition: int
    reason: Reason
    mark: int
    take: Callable[[], Awaitable[State | None]]
    horizon: Callable[[float], float]
    scenarios: Mapping[str, Sequence[Command]] = field(default_factory=dict)
    source: tuple[str, int, int] | None = None
    command: str | None = None
    timestamp_ms: int | None = None
    not_before: float = 0.0
    answered: bool = False
    """A revision was sent."""

    @property
    def trigger(self) -> str:
        return f"{self.reason}-{self.mark}"


@dataclass
class _Running:
    request: Request
    task: asyncio.Task[None]
    answered: bool = False
    superseded: bool = False


Publish = Callable[[Request, Revised], Awaitable[None]]


@dataclass(frozen=True)
class DeskLimits:
    """`debounce_s`: a twin's forecasts that changes ask for begin at least so far apart."""

    debounce_s: float = 0.1
    effort: Effort = field(default_factory=Effort)
    waiting_max: int = WAITING_MAX


class Desk:
    """Answers requests with a crew, as many at a time as the crew has hands. Lives in the event loop of the worker."""

    def __init__(
        self,
        crew: Crew,
        publish: Publish,
        schema_id: int | None,
        encode: Callable[[dict[str, Any]], bytes],
        limits: DeskLimits | None = None,
    ) -> None:
        """`encode` writes a record that has only an error; all others are encoded by the crew under `schema_id`."""
        self._crew, self._publish, self._schema_id, self._encode = crew, publish, schema_id, encode
        self.limits = limits or DeskLimits()
        self.answered = self.dropped = 0
        self._waiting: OrderedDict[tuple[str, str], Request] = OrderedDict()
        self._running: dict[str, list[_Running]] = {}
        self._began: OrderedDict[str, float] = OrderedDict()
        self._wake = asyncio.Event()
        self._hands = asyncio.Semaphore(max(crew.size, 1))
        self._picker: asyncio.Task[None] | None = None
        self._refusals: set[asyncio.Task[None]] = set()

    # -- life
    def start(self) -> None:
        """Begin to answer."""
        self._picker = asyncio.create_task(self._pick(), name="forecasts")

    async def close(self) -> None:
        """Stop; what is under way is not finished."""
        running = [entry.task for entries in self._running.values() for entry in entries]
        tasks = [*running, *self._refusals, *([self._picker] if self._picker else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._waiting.clear()

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return len(self._waiting)

    # -- asking
    def ask(self, request: Request) -> None:
        """Take a request in, or drop it. Never blocks."""
        if request.reason in ("change", "takeover"):
            self._supersede(request.twin)
        key = _place(request)
        earlier = self._waiting.get(key)
        if request.reason == "question" and (earlier is not None or self._is_asked(request.twin)):
            return
        if request.reason == "schedule" and (earlier is not None or request.twin in self._running):
            return
        if earlier is not None:
            request.scenarios = {**request.scenarios, **_first_values(earlier.scenarios, request.scenarios)}
        elif len(self._waiting) >= self.limits.waiting_max and not self._make_room(request):
            return
        if request.reason not in ASKED_BY_SOMEBODY:
            request.not_before = self._began.get(request.twin, 0.0) + self.limits.debounce_s
        self._waiting[key] = request
        self._wake.set()

    def withdraw(self, request: Request) -> None:
        """Who asked is not there any more."""
        key = _place(request)
        if self._waiting.get(key) is request:
            del self._waiting[key]
        for entry in self._running.get(request.twin, ()):
            if entry.request is request:
                entry.task.cancel()

    def forget(self, partition: int) -> None:
        """The partition is given up: its twins are forecast by their next owner."""
        for key, request in list(self._waiting.items()):
            if request.partition == partition:
                del self._waiting[key]
        for entries in self._running.values():
            for entry in entries:
                if entry.request.partition == partition:
                    entry.task.cancel()

    def _make_room(self, request: Request) -> bool:
        """Whether there is a place for it; a request on a schedule, or the oldest that no command asked for, goes instead."""
        self.dropped += 1
        order = ("schedule", "question", "takeover", "change")
        for reason in order[: order.index(request.reason) + 1] if request.reason in order else order:
            victim = next((key for key, waiting in self._waiting.items() if waiting.reason == reason), None)
            if victim is not None and request.reason not in ("schedule", "question"):
                del self._waiting[victim]
                return True
        if request.reason in ASKED_BY_SOMEBODY:
            self._refuse(request)
        return False

    def _is_asked(self, twin: str) -> bool:
        """Whether the standing questions of a twin are being answered."""
        return any(entry.request.reason == "question" for entry in self._running.get(twin, ()))

    def _refuse(self, request: Request) -> None:
        if len(self._refusals) >= self.limits.waiting_max:
            return
        error = TwinError("forecast-queue-full", f"{len(self._waiting):,} forecasts wait already", remedy="ask again later")
        task = asyncio.create_task(self._fail(request, None, 1, error))
        self._refusals.add(task)
        task.add_done_callback(self._refusals.discard)

    def _supersede(self, twin: str) -> None:
        for entry in self._running.get(twin, ()):
            if entry.request.reason == "question":
                continue
            entry.superseded = True
            if entry.answered:
                entry.task.cancel()

    # -- answering
    async def _pick(self) -> None:
        """Give the next request that is due to the next free hand, for ever."""
        while True:
            await self._hands.acquire()
            request = await self._next()
            self._began[request.twin] = time.monotonic()
            self._began.move_to_end(request.twin)
            if len(self._began) > RECENT_MAX:
                self._began.popitem(last=False)
            task = asyncio.create_task(self._answer(request), name=f"forecast-{request.twin}")
            self._running.setdefault(request.twin, []).append(_Running(request, task))
            task.add_done_callback(partial(self._done, request))

    async def _next(self) -> Request:
        while True:
            now = time.monotonic()
            due = [
                (request.reason not in ASKED_BY_SOMEBODY, n, key)
                for n, (key, request) in enumerate(self._waiting.items())
                if request.not_before <= now
            ]
            if due:
                return self._waiting.pop(min(due)[2])
            self._wake.clear()
            pause = min((request.not_before - now for request in self._waiting.values()), default=None)
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _done(self, request: Request, task: asyncio.Task[None]) -> None:
        self._hands.release()
        entries = [entry for entry in self._running.get(request.twin, ()) if entry.task is not task]
        if entries:
            self._running[request.twin] = entries
        else:
            self._running.pop(request.twin, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("forecast-failed", twin=request.twin, trigger=request.trigger, exc_info=task.exception())

    async def _answer(self, request: Request) -> None:
        started = time.monotonic()
        state = await _taken(request)
        if state is None:
            return
        unit = state.snapshot["twin"]["blueprint"].get("time", {}).get("unit", "seconds")
        horizon = request.horizon(UNIT_S[unit])
        question = Question(state.snapshot, horizon, request.scenarios)
        revision = 0

        def asking(number: int, _: float) -> dict[str, Any]:
            return _asking(request, state, question, number, time.monotonic() - started)

        try:
            coming = answers(question, self._crew, asking, schema_id=self._schema_id, effort=self.limits.effort)
            async with aclosing(coming):
                async for made in coming:
                    revision += 1
                    await self._publish(request, made)
                    self.answered += revision == 1
                    entry = self._entry(request)
                    entry.answered = True
                    if entry.superseded and not made.final:
                        break
                else:
                    return
            await self._fail(request, (state, question), revision + 1, SUPERSEDED)
        except TwinError as error:
            log.warning("forecast-failed", twin=request.twin, trigger=request.trigger, error=str(error))
            await self._fail(request, (state, question), revision + 1, error)
        except asyncio.CancelledError:
            if not self._entry(request).superseded:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            await self._fail(request, (state, question), revision + 1, SUPERSEDED)

    def _entry(self, request: Request) -> _Running:
        return next(entry for entry in self._running[request.twin] if entry.request is request)

    async def _fail(self, request: Request, about: tuple[State, Question] | None, revision: int, error: TwinError) -> None:
        """Publish why there is nothing (better)."""
        if about is None:
            state = await _taken(request)
            if state is None:
                return
            about = state, Question(state.snapshot, request.horizon(1.0))
        state, question = about
        asking = _asking(request, state, question, revision, 0.0)
        asking["created_at"] = utc_from_us(asking.pop("created_at_us"))
        failure = {"code": error.code, "message": error.message, "remedy": error.remedy}
        record = {
            **provenance(question),
            **asking,
            "final": True,
            "sentence": f"No forecast: {error.message}." if revision == 1 else f"No better forecast: {error.message}.",
            "baseline": None,
            "scenarios": [],
            "error": failure,
        }
        await self._publish(request, Revised(self._encode(record), True, False, False, 0, record["sentence"], error.code))


def _place(request: Request) -> tuple[str, str]:
    """Where it waits: of a twin, each that somebody asked for, one for its questions, and one for all else."""
    if request.reason in ASKED_BY_SOMEBODY:
        return request.twin, request.trigger
    return request.twin, "question" if request.reason == "question" else ""


def _first_values(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of two changes in a row, what was before the first is what was before both."""
    return {name: [*later.get(name, ()), *commands] for name, commands in earlier.items()}


async def _taken(request: Request) -> State | None:
    state = await request.take()
    return state if state is None or state.taken_us else state._replace(taken_us=time.time_ns() // 1000)


def _input_age_s(request: Request, state: State) -> float | None:
    """At the fork: a later revision rests on input of the same age. Clocks may differ: never below 0."""
    input_ms = request.timestamp_ms if state.input_ms is None else state.input_ms
    return None if input_ms is None else max(0.0, state.taken_us / 1e6 - input_ms / 1e3)


def _asking(request: Request, state: State, question: Question, revision: int, compute_s: float) -> dict[str, Any]:
    """What the desk knows of a record."""
    topic, partition, offset = request.source or (None, None, None)
    now_us = time.time_ns() // 1000
    seq = state.snapshot["earlier"] + state.snapshot["twin"]["seq"]
    return {
        "id": f"{request.twin}:{seq}:{request.trigger}:{revision}",
        "trigger": request.trigger,
        "revision": revision,
        "source_topic": topic,
        "source_partition": partition,
        "source_offset": offset,
        "command": request.command,
        "as_of_offset": state.offset,
        "input_age_s": _input_age_s(request, state),
        "lag_s": state.lag_s,
        "horizon_asked": question.horizon,
        "compute_s": compute_s,
        "created_at_us": now_us,
    }
