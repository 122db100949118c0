"""Where a scenario departs from the baseline: both are run side by side until they first tell something different."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from twin_app.forecast.question import SCENARIO_TOPIC, Question
from twin_app.forecast.replication import Cancelled, prepare
from twin_app.switchboard import Event, LiveTwin

STRIDES = 200
"""The horizon is compared in so many pieces; within a piece, event by event."""
EVENTS_MAX = 500_000
"""Events of both together after which no difference is said to have been found."""
SLICE_ENTRIES = 2_000


def first_difference(
    question: Question, future: int, salt: int, wanted: Callable[[], bool] = lambda: True
) -> dict[str, Any] | None:
    """The simulation time and the two events (in words) at which the futures part; None if they do not.

    The commands of the scenario themselves are not counted, what follows from them is. Raises Cancelled and ModelError.
    """
    plain, other = prepare(question, 0, salt, events=True).live, prepare(question, future, salt, events=True).live
    told = 0
    for stride in range(1, STRIDES + 1):
        until = question.start + question.horizon * stride / STRIDES if stride < STRIDES else question.end
        before, after = _events(plain, until, wanted), _events(other, until, wanted)
        for one, two in zip_longest(before, after):
            if one is None or two is None or _meaning(one) != _meaning(two):
                at = min(event.sim_time for event in (one, two) if event is not None)
                return {"sim_time": at, "scenario_event": _words(two, at), "baseline_event": _words(one, at)}
        told += len(before) + len(after)
        if told > EVENTS_MAX:
            return None
    return None


def _events(live: LiveTwin, until: float, wanted: Callable[[], bool]) -> list[Event]:
    """What is told up to `until`, without the answers to the scenario's commands."""
    while not live.advance(until, budget=SLICE_ENTRIES):
        if not wanted():
            raise Cancelled
    return [event for event in live.drain() if not _commanded(event)]


def _commanded(event: Event) -> bool:
    answers = ("parameter-changed", "command-scheduled", "command-rejected", "signal-received")
    return isinstance(event.cause, tuple) and event.cause.topic == SCENARIO_TOPIC and event.kind in answers


def _meaning(event: Event) -> tuple[Any, ...]:
    """What an event says, without its numbers, which every event before it shifts."""
    return event.sim_time, event.kind, event.entity, event.payload


def _words(event: Event | None, at: float) -> str | None:
    if event is None or event.sim_time > at:
        return None
    who = f" of entity {event.entity}" if event.entity is not None else ""
    where = event.payload.get("resource", event.payload.get("path"))
    return f"{event.kind}{who}" + (f" at {where}" if where is not None else "")
