"""One replication: a fork run ahead to the end of the horizon, and what was seen on the way as one row of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple, cast

import numpy as np

from models.commands import Command
from models.errors import Rejected, TwinError
from twin_app.forecast.estimates import Array
from twin_app.forecast.fork import Fork, fork, guarded
from twin_app.forecast.layout import OUTCOME_CODES, STILL_HERE, Layout, level_of
from twin_app.forecast.question import SCENARIO_TOPIC, Question
from twin_app.kernel.resource import Resource
from twin_app.switchboard import LiveTwin, Source

SLICE_ENTRIES = 5_000
"""Calendar entries between two looks at whether the answer is still wanted: some 20 ms."""
ENTRIES_MAX = 200_000
"""Calendar entries of the first replication: the horizon is shortened to what they reach."""
ENTRIES_SLACK = 10
"""A later replication, or a scenario, may take so many times more before it is given up."""


class Cancelled(Exception):
    """The answer is not wanted any more."""


class TooFar(Exception):
    """The horizon takes too many calendar entries; `reached` is how far they went, in simulation time."""

    def __init__(self, reached: float) -> None:
        super().__init__(reached)
        self.reached = reached


class Prepared(NamedTuple):
    """A fork at its beginning, with the scenario's commands applied or scheduled."""

    live: LiveTwin
    refused: list[str]


def prepare(question: Question, future: int, salt: int, *, events: bool = False) -> Prepared:
    """The fork that a replication of a future starts from."""
    commands = question.commands(future)
    live = fork(question.snapshot, salt, events=events or guarded(commands))
    cast(Fork, live.twin).listen()
    return Prepared(live, _apply(live, commands))


def _apply(live: LiveTwin, commands: Sequence[Command]) -> list[str]:
    refused = []
    for number, command in enumerate(commands):
        try:
            live.apply(command, effective=live.now, source=Source(SCENARIO_TOPIC, 0, number))
        except Rejected as rejected:
            refused.append(f"command {number + 1} ({command.kind}): {rejected}")
    return refused


def replicate(
    question: Question,
    layout: Layout,
    future: int,
    salt: int,
    *,
    entries_max: int = ENTRIES_MAX * ENTRIES_SLACK,
    wanted: Callable[[], bool] = lambda: True,
    fresh: Prepared | None = None,
) -> Array:
    """Run one replication; its row. Raises Cancelled, TooFar, and ModelError when the model fails on the way.

    `fresh`: a fork of the baseline that was prepared and has not moved; it is used up.
    """
    live, refused = fresh or prepare(question, future, salt)
    live.twin.reseed(salt)
    if refused:
        raise TwinError("scenario-refused", "; ".join(refused), place=question.names[future])
    twin = cast(Fork, live.twin)
    watched = [_Meter(twin.resources[name]) for name in layout.shown]
    finished_before, positions = twin.outcomes["finished"], _positions(twin)
    left_before = sum(twin.outcomes.values())
    entries_end = twin.executed + entries_max
    columns: list[list[float]] = []
    before, finished = live.now, finished_before
    grid = frozenset(layout.grid)
    for until in sorted(grid.union(at for at in twin.looks if at <= question.end)) if twin.looks else layout.grid:
        while not live.advance(until, budget=min(SLICE_ENTRIES, entries_end - twin.executed)):
            live.drain()
            if twin.executed >= entries_end:
                raise TooFar(live.now)
            if not wanted():
                raise Cancelled
        live.drain()
        for crossing in twin.looks.get(until, ()):
            crossing.look()
        if until not in grid:
            continue
        column = [float(twin.wip), (twin.outcomes["finished"] - finished) / (until - before)]
        for meter in watched:
            column += meter.read()
        column += [level_of(twin, path) for path in layout.levels]
        columns.append(column)
        before, finished = until, twin.outcomes["finished"]
    gone = [twin.left.get(number) for number in layout.entities]
    left_at = [inf if left is None else left[0] for left in gone]
    outcome = [STILL_HERE if left is None else OUTCOME_CODES[left[1]] for left in gone]
    totals = [float(finished - finished_before), float(sum(twin.outcomes.values()) - left_before), float(twin.wip)]
    if "late" in layout.totals:
        totals.append(float(sum(_late(layout, left_at, outcome, question.end))))
    for meter in watched:
        totals += meter.total()
    row = [
        *np.asarray(columns).T.ravel(),
        *(twin.formed.get(name, inf) for name in layout.resources),
        *(crossing.at for crossing in twin.crossings),
        *left_at,
        *outcome,
        *totals,
        float(_positions(twin) != positions),
    ]
    return np.asarray(row, dtype=np.float64)


def _late(layout: Layout, left_at: list[float], outcome: list[float], end: float) -> list[bool]:
    """Who is known to be late: not finished by its due time, which lies within the horizon."""
    return [
        due is not None and due <= end and not (code == 0.0 and at <= due)
        for due, at, code in zip(layout.dues, left_at, outcome, strict=True)
    ]


def _positions(twin: Fork) -> list[int]:
    return [stream.position for stream in twin.streams()]


class _Meter:
    """Queue and utilisation of a resource: at a time, since the last look, and over the whole horizon."""

    __slots__ = ("_first", "_last", "_resource")

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._first = self._last = resource.areas()

    def read(self) -> list[float]:
        """The queue now, and the utilisation since the last call."""
        last, self._last = self._last, self._resource.areas()
        return [float(len(self._resource.queue)), _utilisation(last, self._last)]

    def total(self) -> list[float]:
        """The time average of the queue, and the utilisation, since the beginning."""
        first, last = self._first, self._resource.areas()
        elapsed = last[0] - first[0]
        return [(last[2] - first[2]) / elapsed if elapsed > 0 else 0.0, _utilisation(first, last)]


def _utilisation(first: tuple[float, ...], last: tuple[float, ...]) -> float:
    """Busy over capacity, which holds what works on after it was taken away."""
    busy, capacity = last[1] - first[1], last[3] - first[3]
    return busy / capacity if capacity > 0 else 0.0
