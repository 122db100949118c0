"""What a cycle tells the world: events, dead letters, vitals and the changed rows of the registry."""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import Rejected
from models.events import EventRecord
from models.vitals import LAG_SECONDS, VitalRecord
from twin_app.partition.cell import Cell
from twin_app.partition.cycle import REGISTRY_TABLE, ConfigRecord, HostSettings, Output, Row
from twin_app.partition.measures import measures
from twin_app.partition.outbox import Outbox
from twin_app.switchboard import LiveTwin
from twin_app.switchboard.board import Board
from twin_app.switchboard.rows import row_bytes, row_of

MEASURED_MAX = 1_000
"""Twins of a partition that are measured in one interval; others have their turn in a later one."""

_ALL_PATHS = frozenset({"twin-registered", "twin-replaced", "twin-migrated", "questions-changed"})


@dataclass(frozen=True, slots=True)
class Told:
    """How much one cycle told, and the calendar entries that it executed."""

    events: int
    entries: int


class Telling:
    """Collects one cycle's records. Muted in a replay: then it only counts, since the records are already out."""

    def __init__(self, partition: int, outbox: Outbox, settings: HostSettings) -> None:
        self.partition, self.settings = partition, settings
        self._outbox = outbox
        self._outputs: list[Output] = []
        self._unwritten: list[EventRecord] = []
        """Events that are told and not yet encoded: many are encoded in a row, which is cheaper than each by itself."""
        self._changed: dict[bytes, tuple[LiveTwin, str] | None] = {}
        """Rows of the registry to be written, by key: once a cycle, however often a path changed in it."""
        self._spoke: dict[str, Cell] = {}
        self._muted = False
        self._timestamp_ms = 0
        self._events = self._entries = 0
        self._vitals_us = 0

    def open(self, wall_us: int, *, muted: bool = False) -> None:
        """Begin a cycle whose tick has this wall time."""
        self._muted, self._timestamp_ms = muted, wall_us // 1000
        self._events = self._entries = 0

    def close(self) -> Told:
        return Told(self._events, self._entries)

    def executed(self, entries: int) -> None:
        self._entries += entries

    def tell(self, cell: Cell) -> None:
        """Take the cell's new events, its changed parameters, and its scheduled commands that failed at their time."""
        live = cell.live
        assert live is not None
        if live.seq == cell.seq:  # a rejection has its event too
            if not self._muted:
                self._spoke[cell.key] = cell
            return
        events, rejections = live.drain(), live.drain_rejections() if live.rejections else ()
        self._events += len(events)
        cell.seq = live.seq
        if self._muted:
            return
        if len(self._spoke) < MEASURED_MAX:
            self._spoke[cell.key] = cell
        self._unwritten += events
        for e in events:
            kind = e.kind
            if kind == "parameter-changed":
                path = e.payload["path"]
                self._changed[_row_key(e.twin, path)] = live, path
            elif kind in _ALL_PATHS:
                for path in live.board.parameters:
                    self._changed[_row_key(e.twin, path)] = live, path
        for late in rejections:
            offset = late.source.offset if late.source is not None else -1
            value = late.command.model_dump_json(exclude_none=True).encode()
            self.reject(ConfigRecord(offset, self._timestamp_ms, cell.key.encode(), value), late.rejected)

    def write(self, events_max: int | None = None) -> bool:
        """Encode what was told since, in its order, at most so many events; whether nothing is left."""
        waiting = self._unwritten
        if not waiting:
            return True
        now, self._unwritten = (waiting, []) if events_max is None else (waiting[:events_max], waiting[events_max:])
        write, partition, timestamp_ms, add = self._outbox.event, self.partition, self._timestamp_ms, self._outputs.extend
        for event in now:
            add(write(event, partition, timestamp_ms))
        return not self._unwritten

    def forget(self, board: Board) -> None:
        """These paths exist no more: their rows of the registry go too."""
        if not self._muted:
            for path in board.parameters:
                self._changed[_row_key(board.blueprint.twin, path)] = None

    def reject(self, record: ConfigRecord, reason: Rejected) -> None:
        if not self._muted:
            self.write()  # what was told before comes before
            self._outputs.append(self._outbox.dead_letter(record, reason, self.partition, self._timestamp_ms))

    def vitals(self, wall_us: int, target_us: int) -> None:
        """Measure the partition, and the twins that had something to tell since the last time, once in an interval."""
        if abs(wall_us - self._vitals_us) < self.settings.vitals_interval_us:
            return
        self._vitals_us = wall_us
        self.write()
        lag_s = max(0, wall_us - self.settings.watermark_delay_us - target_us) / 1e6
        self._measure(None, LAG_SECONDS, lag_s, "s", wall_us)
        for cell in self._spoke.values():
            if cell.live is None:
                continue
            for name, value, unit in measures(cell.live.twin):
                self._measure(cell.key, name, value, unit, wall_us)
        self._spoke = {}

    def take(self) -> tuple[list[Output], list[Row]]:
        """The outputs and the registry rows of this cycle."""
        self.write()
        outputs = self._outputs
        rows = [Row(REGISTRY_TABLE, key, None if change is None else _row(*change)) for key, change in self._changed.items()]
        self._outputs, self._changed = [], {}
        return outputs, rows

    # -- inside

    def _measure(self, twin: str | None, name: str, value: float, unit: str, wall_us: int) -> None:
        self._outputs.append(self._outbox.vital(VitalRecord(twin, name, float(value), unit, wall_us, self.partition)))


def _row_key(twin: str, path: str) -> bytes:
    return f"{twin}.{path}".encode()


def _row(live: LiveTwin, path: str) -> bytes | None:
    """The path as it is at the end of the cycle; None if the twin has it no more."""
    if path not in live.board.parameters:
        return None
    return row_bytes(row_of(live.board, path))
