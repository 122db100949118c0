"""One twin as its partition sees it: the live twin, when it is due, and whether it may still run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.checkpoint import REBUILD
from models.errors import CheckpointError, TwinError
from twin_app.partition.timeline import FAR_FUTURE_US, due_us
from twin_app.switchboard import LiveTwin


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Why a twin stands still."""

    code: str
    message: str


class Cell:
    """A twin hosted by a partition. A removed twin stays as a cell without `live`: its event numbers must go on."""

    __slots__ = ("chunks", "key", "live", "quarantine", "scheduled_us", "seq")

    def __init__(self, key: str) -> None:
        self.key = key
        self.live: LiveTwin | None = None
        self.quarantine: Quarantine | None = None
        self.seq = 0
        """The last event sequence number that was used under this name."""
        self.chunks = 0
        """Rows that the twin's checkpoint takes in the table."""
        self.scheduled_us = FAR_FUTURE_US
        """Which entry of the partition's due list is the valid one."""

    @property
    def running(self) -> bool:
        return self.live is not None and self.quarantine is None

    @property
    def follows_wall(self) -> bool:
        return self.live is not None and self.live.twin.blueprint.time.mode == "wall"

    def due_us(self) -> int:
        """The wall time at which this twin next has something to do; FAR_FUTURE_US if it has not."""
        if self.live is None or self.quarantine is not None or not self.follows_wall:
            return FAR_FUTURE_US
        return due_us(self.live.scale, self.live.next_time)

    def stop(self, error: TwinError) -> None:
        """Quarantine: the twin keeps its state, says so by an event, and is not run any more."""
        assert self.live is not None
        self.quarantine = Quarantine(error.code, error.message)
        self.live.note("twin-quarantined", {"code": error.code, "message": error.message})

    def snapshot(self) -> dict[str, Any]:
        q = self.quarantine
        return {
            "seq": self.seq,
            "quarantine": None if q is None else [q.code, q.message],
            "live": None if self.live is None else self.live.snapshot(),
        }

    @classmethod
    def restore(cls, key: str, state: dict[str, Any], chunks: int) -> Cell:
        """The cell of a checkpoint. Raises CheckpointError."""
        cell = cls(key)
        try:
            cell.live = None if state["live"] is None else LiveTwin.restore(state["live"])
            cell.seq, cell.chunks = state["seq"], chunks
            cell.quarantine = None if state["quarantine"] is None else Quarantine(*state["quarantine"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"the state of {key} is damaged: {type(error).__name__}: {str(error)[:200]}"
            raise CheckpointError("bad-checkpoint", what, place=key, remedy=REBUILD) from error
        return cell
