"""Commands whose time has not come: kept as data in (time, order of arrival), within bounds."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from models.commands import KINDS, Command
from models.errors import CheckpointError, Rejected
from twin_app.switchboard.board import Source

PENDING_MAX = 1_000
PENDING_BYTES_MAX = 1_048_576
"""Of one twin, as JSON: the schedule is part of every checkpoint."""


class Pending(NamedTuple):
    """One scheduled command. `size` is that of its JSON in bytes."""

    time: float
    order: int
    command: Command
    source: Source | None
    size: int


class Schedule:
    """The scheduled commands of one twin, earliest first; those of one time in the order in which they came."""

    def __init__(self) -> None:
        self._pending: list[Pending] = []
        self._order = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def next_time(self) -> float:
        """Simulation time of the earliest command; infinity if there is none."""
        return self._pending[0].time if self._pending else inf

    @property
    def is_guarded(self) -> bool:
        """Whether a command is to be refused unless a path is at a given version then."""
        return any(getattr(entry.command, "if_version", None) is not None for entry in self._pending)

    def add(self, time: float, command: Command, source: Source | None) -> None:
        """Keep a command until `time`. Raises Rejected (`schedule-full`)."""
        size = len(orjson.dumps(_plain(command)))
        if len(self._pending) >= PENDING_MAX or self._bytes + size > PENDING_BYTES_MAX:
            raise Rejected(
                "schedule-full",
                f"{len(self._pending):,} commands of {self._bytes:,} bytes wait for their time; "
                f"the limits are {PENDING_MAX:,} and {PENDING_BYTES_MAX:,}",
                remedy="send the command nearer to its time",
            )
        self._order += 1
        self._bytes += size
        insort(self._pending, Pending(time, self._order, command, source, size), key=lambda entry: (entry.time, entry.order))

    def pop(self) -> Pending:
        """Take the earliest command out. Raises IndexError if there is none."""
        entry = self._pending.pop(0)
        self._bytes -= entry.size
        return entry

    def snapshot(self) -> dict[str, Any]:
        """The schedule as plain data."""
        entries = [
            [entry.time, entry.order, _plain(entry.command), list(entry.source) if entry.source else None]
            for entry in self._pending
        ]
        return {"order": self._order, "pending": entries}

    @classmethod
    def restore(cls, snapshot: dict[str, Any]) -> Schedule:
        """The schedule of a snapshot. Raises CheckpointError."""
        schedule = cls()
        try:
            schedule._order = snapshot["order"]
            for time, order, plain, source in snapshot["pending"]:
                command = KINDS[plain["kind"]].model_validate(plain)
                entry = Pending(time, order, command, _source(source), len(orjson.dumps(_plain(command))))
                schedule._pending.append(entry)
                schedule._bytes += entry.size
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise CheckpointError("bad-checkpoint", f"the schedule is damaged: {str(error)[:200]}") from error
        return schedule


def _plain(command: Command) -> dict[str, Any]:
    return command.model_dump(mode="json", exclude_defaults=True) | {"kind": command.kind}


def _source(fields: Sequence[Any] | None) -> Source | None:
    return Source(*fields) if fields else None
