"""What a worker can say of itself at any moment: plain figures and, where it does not go on at full speed, the reason.

`WorkerStatus` is a snapshot of immutable records, cheap to take (no I/O) and safe to serialize with `as_json`. Whoever shows it
(HTTP, metrics, a terminal) takes a new one each time. Offsets are *next* offsets: one past the last record that counts.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from twin_app.streaming.surroundings import loop_s

TOLD_AFTER_S = 1.0
"""A wait for something outside that has lasted so long is a reason; a shorter one is everyday work."""
BEHIND_S = 1.0
"""A partition that is late by so much says so."""


class State(enum.StrEnum):
    """What a partition is doing, as shown to operators."""

    FENCING = "fencing"
    """Ends the former owner's transactions."""
    RECOVERING = "recovering"
    """Reads its changelogs."""
    REPLAYING = "replaying"
    """Runs the cycles since the last checkpoint again, with the output off."""
    LIVE = "live"
    CATCHING_UP = "catching-up"
    """Cycles run, and more commands are known to wait in the log."""
    COMMITTING = "committing"
    LOST = "lost"
    """Its transaction could not be finished: the group is joined anew."""
    CLOSED = "closed"


class Reason(enum.StrEnum):
    """Why a partition, or the worker, is not simply live."""

    BROKER = "broker-unreachable"
    """A request to the brokers fails or is not answered; it is tried again."""
    COMMIT = "commit-waits"
    """The brokers take long to commit a cycle: the sink is slow or away. Nothing is taken in beyond the intake's limits."""
    REGISTRY = "registry-unreachable"
    """Commands wait whose writer's schema is not known yet, and the schema registry does not answer."""
    CHANGELOG = "changelog-to-read"
    REPLAY = "cycles-to-replay"
    INTAKE_FULL = "intake-full"
    """Commands come faster than they are applied: fetching is paused, they wait in the log."""
    BACKLOG = "backlog"
    """Commands are known to wait in the log that have not been fetched yet: time does not pass them."""
    BEHIND = "behind-schedule"
    """The simulation is later than the wall clock asks for."""
    CLOCK = "clock-set-back"
    """The wall clock is behind the last tick: simulated time stands until it has come there again. Commands act at once."""
    TRANSACTION_LOST = "transaction-lost"
    ASSIGNMENT = "no-assignment"
    """The worker waits for the consumer group to give it partitions."""
    START = "starting"


@dataclass(frozen=True, slots=True)
class Why:
    """A reason in words. `for_s`: for how long it has held, in seconds, where that is measured."""

    reason: Reason
    detail: str
    for_s: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the reading of a log has come. `remaining` counts offsets, some of which may hold no record."""

    what: str
    """`changelog` or `replay`."""
    offset: int
    end: int
    rate_per_s: float
    remaining: int
    eta_s: float | None
    """None while nothing can be said yet."""

    @classmethod
    def of(cls, what: str, start: int, offset: int, end: int, elapsed_s: float) -> Progress:
        """Progress of a reading that began at `start` and has now come to `offset` (both next offsets) of `end`."""
        rate = max(0, offset - start) / elapsed_s if elapsed_s > 0 else 0.0
        remaining = max(0, end - offset)
        return cls(what, offset, end, round(rate, 1), remaining, round(remaining / rate, 1) if rate else None)


@dataclass(frozen=True, slots=True)
class IntakeStatus:
    """The queue between fetch and cycle. `records_max` and `bytes_max` bound it, beyond one record and one fetch."""

    records: int = 0
    bytes: int = 0
    records_max: int = 0
    bytes_max: int = 0
    paused: bool = False
    """Fetching is held back until the queue is half empty."""


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition that is assigned to this worker."""

    partition: int
    state: State
    why: Why | None
    """None while it is simply live."""
    intake: IntakeStatus
    next_offset: int
    """Commands below it are applied and committed."""
    fetched_offset: int
    """Commands below it are here, or applied."""
    log_end: int
    """Commands below it are known to be in the log."""
    lag_records: int
    """Commands that are known and not applied: `log_end - next_offset`; offsets of markers count too."""
    lag_s: float
    """By how many wall seconds the next due moment of its twins is overdue; 0 on schedule."""
    tick_seq: int
    events: int
    """Events that the partition has ever told, where its host counts them."""
    twins: int
    cycles: int
    """Cycles committed since it was opened here; `commands` likewise."""
    commands: int
    commit_s: float
    """Duration of the last commit; `commits_s`: of all since it was opened."""
    commits_s: float
    local_state: str
    """`in-step`, or `unwritable`: the worker goes on without, and the next start reads the changelog."""
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class StandbyStatus:
    """A copy of another worker's table partition, kept up to date here."""

    table: str
    partition: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process."""

    app_id: str
    phase: str
    """`starting` (waits for broker and registry), `joining`, `running` or `stopping`."""
    why: Why | None
    up_s: float
    partitions: tuple[PartitionStatus, ...] = ()
    standbys: tuple[StandbyStatus, ...] = field(default=())

    @property
    def ready(self) -> bool:
        """It runs, and every partition that it was given has been opened."""
        opening = (State.FENCING, State.RECOVERING, State.REPLAYING, State.LOST, State.CLOSED)
        return self.phase == "running" and not any(p.state in opening for p in self.partitions)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {**dataclasses.asdict(self), "ready": self.ready}


class Waiting:
    """What somebody waits for outside of the process. One wait at a time."""

    __slots__ = ("_detail", "_reason", "_since")

    def __init__(self) -> None:
        self._reason: Reason | None = None
        self._detail, self._since = "", 0.0

    @contextmanager
    def on(self, reason: Reason, detail: str = "") -> Iterator[None]:
        """While this is open the wait goes on. Nested in another, it takes its place and gives it back."""
        before = self._reason, self._detail, self._since
        self._reason, self._detail, self._since = reason, detail, loop_s()
        try:
            yield
        finally:
            self._reason, self._detail, self._since = before

    def begin(self, reason: Reason, detail: str) -> None:
        """A wait has begun, or goes on: the time counts from its first `begin`."""
        self._since = self._since if self._reason is reason else loop_s()
        self._reason, self._detail = reason, detail

    def over(self) -> None:
        self._reason = None

    def why(self, after_s: float = TOLD_AFTER_S) -> Why | None:
        """The reason, once it has held for `after_s`."""
        if self._reason is None or loop_s() - self._since < after_s:
            return None
        return Why(self._reason, self._detail, round(loop_s() - self._since, 1))
