"""One forecast held against what happened: it is shown the twin's events one after the other, and says what came true.

What is judged is the last revision's baseline. A later command that changes the twin ends the judging: nobody foretold it. Then
only what was to be told at a fixed time before it counts (bands, due times), since of times that were still open the early ones
alone would be known. What the events do not tell (utilisation; the queue of a resource after a breakdown or a preemption on it)
is not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import inf
from typing import Any, NamedTuple

from models.forecasts import INTERVAL

ENTITIES_MAX = 1_000
"""Entities of one forecast that are judged: those with a due time first, as in the record."""
COVERAGE_MIN = 0.5
"""A revision of one or two runs says itself that its ranges hold less than half."""
TOLERANCE = 1e-9
"""Relative: sums of the same numbers in another order."""

HARMLESS = frozenset({"forecast-requested", "twin-unchanged", "questions-changed", "command-scheduled", "command-rejected"})
"""Answers to later commands that leave the twin as it is, for the time being."""
UNTOLD = frozenset({"entity-preempted", "resource-down", "entity-interrupted"})
"""After these the events alone do not say how many wait."""


class Verdict(NamedTuple):
    """`expected` and `held` are shares (0 to 1). `side`: 1 above the median, -1 below. `error`: in the estimate's unit."""

    kind: str
    expected: float
    held: float
    side: float
    error: float


class Judged:
    """A forecast under judgement. Feed it the events after `as_of_seq` in their order; it is `done` at its horizon or sooner."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """`record`: the fields of a ForecastRecord that has a baseline."""
        outlook = record["baseline"]
        self.as_of_seq: int = record["as_of_seq"]
        self.done = self.voided = self.broken = False
        self.claim = 1.0 if record["deterministic"] else min(INTERVAL, record["coverage"])
        self._next_seq = self.as_of_seq + 1
        self._offset = -1 if record["as_of_offset"] is None else record["as_of_offset"]
        self._start: float = record["as_of_sim_time"]
        self._end: float = self._start + record["horizon"]
        self._now = self._start
        self._grid: list[float] = outlook["grid"]
        self._at = 0
        self._bands = {band["quantity"]: (band["q05"], band["q50"], band["q95"]) for band in outlook["bands"]}
        self._values = {band["quantity"]: band["now"] for band in outlook["bands"] if band["now"] is not None}
        self._areas = {name: 0.0 for name in self._values if name.endswith(".queue")}
        self._totals = {total["quantity"]: (total["q05"], total["q50"], total["q95"]) for total in outlook["totals"]}
        self._bottlenecks = {found["resource"]: found for found in outlook["bottlenecks"]}
        self._entities = outlook["entities"][:ENTITIES_MAX]
        self._newest = max((entity["entity"] for entity in self._entities), default=0)
        self._left: dict[int, tuple[float, str]] = {}
        self._formed: dict[str, float] = {}
        self._late = [(e["entity"], e["due"], e["late"]) for e in self._entities if e["late"] is not None]
        self._finished = self._gone = self._finished_before = 0
        self._verdicts: list[Verdict] = []

    def see(self, event: Mapping[str, Any]) -> None:
        """The next event of the twin. A gap in the sequence numbers breaks the judging off."""
        if self.done or event["seq"] < self._next_seq:
            return
        if event["seq"] != self._next_seq:
            self.done = self.broken = True
            return
        self._next_seq += 1
        self.pass_to(event["sim_time"])
        if self.done:
            return
        if self._changes(event):
            self._close(void=True)
            return
        self._note(event["kind"], event["entity"], event["payload"])

    def pass_to(self, sim_time: float) -> None:
        """The twin has come to this time, and everything before it has been shown."""
        while not self.done and self._at < len(self._grid) and self._grid[self._at] < sim_time:
            self._elapse(self._grid[self._at])
            self._sample()
            if self._at == len(self._grid):
                self._close(void=False)
        if not self.done:
            self._elapse(sim_time)

    def verdicts(self) -> list[Verdict]:
        """What could be told so far; complete when it is `done`."""
        return self._verdicts

    # -- following the twin
    def _changes(self, event: Mapping[str, Any]) -> bool:
        """Whether this comes of a command that the forecast could not know."""
        cause = event["cause"]
        if not isinstance(cause, Mapping) or cause.get("topic") is None or event["kind"] in HARMLESS:
            return False
        return bool(cause["offset"] > self._offset)

    def _note(self, kind: str, entity: int | None, payload: Mapping[str, Any]) -> None:
        if kind in UNTOLD:
            name = payload.get("resource")
            for quantity in [name and f"resources.{name}.queue"] if name else list(self._areas):
                self._areas.pop(quantity, None)
                self._values.pop(quantity, None)
        elif kind == "entity-queued":
            self._count(f"resources.{payload['resource']}.queue", 1)
        elif kind in ("entity-started", "entity-reneged"):
            self._count(f"resources.{payload['resource']}.queue", -1)
        elif kind == "entity-created":
            self._count("wip", 1)
        elif kind == "entity-left":
            self._count("wip", -1)
            self._gone += 1
            self._finished += payload["outcome"] == "finished"
            if entity is not None and entity <= self._newest:
                self._left[entity] = (self._now, payload["outcome"])
        elif kind in ("entity-put", "entity-get"):
            for quantity in (f"containers.{payload['stock']}.level", f"stores.{payload['stock']}.level"):
                if quantity in self._values:
                    self._values[quantity] = payload["level"]
        elif kind == "parameter-changed" and payload["path"] in self._values:
            new = payload["new"]
            self._values[payload["path"]] = float(new) if type(new) in (int, float) else float("nan")
        elif kind == "bottleneck-formed":
            self._formed.setdefault(payload["resource"], self._now)

    def _count(self, quantity: str, change: int) -> None:
        if quantity in self._values:
            self._values[quantity] += change

    def _elapse(self, sim_time: float) -> None:
        for quantity in self._areas:
            self._areas[quantity] += self._values[quantity] * (sim_time - self._now)
        self._now = sim_time

    # -- judging
    def _sample(self) -> None:
        """At a point of the grid: the bands."""
        number, self._at = self._at, self._at + 1
        before = self._grid[number - 1] if number else self._start
        now = self._values | {"throughput": (self._finished - self._finished_before) / (self._grid[number] - before)}
        self._finished_before = self._finished
        for quantity, value in now.items():
            if quantity in self._bands:
                low, median, high = (levels[number] for levels in self._bands[quantity])
                self._hold(_kind(quantity), low, median, high, value)

    def _close(self, *, void: bool) -> None:
        """The horizon is over, or a change has made it void."""
        self.done, self.voided = True, void
        until = self._now
        for number, due, share in self._late:
            if due <= self._end and (due < until or not void):
                left = self._left.get(number, (inf, ""))
                self._chance("late", share, not (left[1] == "finished" and left[0] <= due))
        if void:
            return
        for entity in self._entities:
            left_at = self._left.get(entity["entity"], (inf, ""))[0]
            times = (entity["leaves_low"], entity["leaves"], entity["leaves_high"])
            low, median, high = (inf if at is None else at for at in times)
            self._hold("leaving-time", low, median, high, left_at)
        named = {name.split(".")[1] for name in self._areas} | set(self._formed) | set(self._bottlenecks)
        for resource in sorted(named):
            found = self._bottlenecks.get(resource)
            self._chance("bottleneck", found["probability"] if found else 0.0, resource in self._formed)
            if found and resource in self._formed and found["sim_time"] is not None:
                times = (found["sim_time_low"], found["sim_time"], found["sim_time_high"])
                self._hold("bottleneck-time", *times, self._formed[resource])
        span = self._end - self._start
        happened = {"finished": float(self._finished), "left": float(self._gone), "wip_end": self._values.get("wip")}
        happened |= {f"{name}_mean": area / span for name, area in self._areas.items()}
        for quantity, value in happened.items():
            if quantity in self._totals and value is not None:
                self._hold("total", *self._totals[quantity], value)

    def _hold(self, kind: str, low: float, median: float, high: float, value: float) -> None:
        """An interval: what lies on its edge, it holds. One without any width says that it is certain."""
        slack = TOLERANCE * max(1.0, abs(value)) if value < inf else 0.0
        held = low - slack <= value <= high + slack
        claim = 1.0 if low == high else self.claim
        if value == median or abs(value - median) <= slack:
            side, error = 0.0, 0.0
        else:
            side = 1.0 if value > median else -1.0
            error = value - median if abs(value) < inf and abs(median) < inf else 0.0
        self._verdicts.append(Verdict(kind, claim, float(held), side, error))

    def _chance(self, kind: str, share: float, happened: bool) -> None:
        error = happened - share
        self._verdicts.append(Verdict(kind, share, float(happened), error, error))


def tells(record: Mapping[str, Any]) -> bool:
    """Whether a revision has run often enough to claim anything that can be judged."""
    return bool(record["deterministic"] or record["coverage"] >= COVERAGE_MIN)


def _kind(quantity: str) -> str:
    if quantity in ("wip", "throughput"):
        return quantity
    return "queue" if quantity.endswith(".queue") else "level"


def by_kind(verdicts: list[Verdict]) -> dict[str, list[tuple[float, float, float, float]]]:
    """The verdicts of one forecast, for the tallies."""
    found: dict[str, list[tuple[float, float, float, float]]] = defaultdict(list)
    for kind, *rest in verdicts:
        found[kind].append((rest[0], rest[1], rest[2], rest[3]))
    return found
