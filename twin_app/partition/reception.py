"""How a command is received: parsed, brought to its moment, applied to its twin, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from models.commands import Advance, Command, Register, Remove
from models.errors import ModelError, Rejected
from twin_app.partition.cell import Cell
from twin_app.partition.cycle import Accepted, ConfigRecord, HostSettings
from twin_app.partition.telling import Telling
from twin_app.partition.timeline import sim_time_at
from twin_app.switchboard import Change, LiveTwin, Source, blueprint_of

_new = tuple.__new__

Parse = Callable[[ConfigRecord], Command]

OUTSIDE_REASONS = frozenset({"unknown-schema", "unknown-own-step"})
"""Rejections that depend on more than the logs: on what the registry knew at the time, on the packages that were installed. The
tick keeps their offsets."""


class Reception:
    """Applies commands and advances twins; what goes wrong in a command or a model stays with that command or twin."""

    def __init__(self, partition: int, cells: dict[str, Cell], parse: Parse, telling: Telling, settings: HostSettings) -> None:
        self.partition, self.settings, self._topic = partition, settings, settings.config_topic
        self.touched: dict[str, Cell] = {}
        """Twins that took a command since the last cycle began: they may be due at another time now."""
        self.dirty: dict[str, Cell] = {}
        """Twins that have changed since the last checkpoint."""
        self.refused: list[int] = []
        """Offsets of this cycle that were rejected for one of the OUTSIDE_REASONS."""
        self.accepted: list[Accepted] = []
        """Commands of this cycle that were accepted."""
        self._cells, self._parse, self._telling = cells, parse, telling

    def read(self, record: ConfigRecord) -> Command | Rejected:
        """The command of a record, or why it is none. That depends on the record alone, so many can be read in a row."""
        try:
            return self._parse(record)
        except Rejected as reason:
            return reason

    def take(self, record: ConfigRecord, command: Command | Rejected, target_us: int) -> Iterable[None]:
        """Apply what was read of one record of the config topic, or dead-letter it.

        What is given is to be gone through: it gives the turn back after each slice of work. Most commands have none left.
        """
        if isinstance(command, Rejected):
            self._refuse(record, command)
            return ()
        try:
            if isinstance(command, Register):
                return self._in_slices(self._register(command, record, target_us), record)
            cell = self._cell_of(command)
            assert cell.live is not None
            sent = cell.live.scale.sim_time(record.timestamp_ms)
            effective = self._effective(cell, command, sent, target_us)
            if _must_run(cell.live, command, effective):
                if not self._advance_once(cell, effective, isinstance(command, Advance)):
                    return self._in_slices(self._apply(cell, command, record, target_us), record)
                self._arrived(cell)
            self._act(cell, command, record, effective, sent)
        except Rejected as reason:
            self._refuse(record, reason)
        return ()

    def advance(self, cell: Cell, until: float, *, inclusive: bool) -> Iterator[None]:
        """Advance a running twin in slices; a model that raises is quarantined."""
        while not self._advance_once(cell, until, inclusive):
            yield
        self._changed(cell)

    # -- inside

    def _refuse(self, record: ConfigRecord, reason: Rejected) -> None:
        if reason.code in OUTSIDE_REASONS:
            self.refused.append(record.offset)
        self._telling.reject(record, reason)

    def _advance_once(self, cell: Cell, until: float, inclusive: bool) -> bool:
        """One slice of the way; whether the twin has come to its end, or stands still for good."""
        live = cell.live
        assert live is not None
        before = live.twin.executed
        try:
            return live.advance(until, inclusive=inclusive, budget=self.settings.entries_per_slice)
        except ModelError as error:
            cell.stop(error)
            return True
        finally:
            self._telling.executed(live.twin.executed - before)

    def _arrived(self, cell: Cell) -> None:
        """The twin has come to the moment of a command. Raises Rejected if it failed on the way."""
        self._changed(cell)
        if cell.quarantine is not None:
            raise _stands_still(cell)

    def _in_slices(self, work: Iterator[None], record: ConfigRecord) -> Iterator[None]:
        try:
            yield from work
        except Rejected as reason:
            self._telling.reject(record, reason)

    def _cell_of(self, command: Command) -> Cell:
        cell = self._cells.get(command.twin)
        if cell is None or cell.live is None:
            raise Rejected(
                "unknown-twin",
                f"no twin {command.twin!r} is registered on partition {self.partition}",
                place=command.twin,
                remedy="register it first, with the twin's name as the record key",
            )
        if cell.quarantine is not None and not isinstance(command, Remove):
            raise _stands_still(cell)
        return cell

    def _register(self, command: Register, record: ConfigRecord, target_us: int) -> Iterator[None]:
        if record.key != command.twin.encode():
            raise Rejected(
                "key-mismatch",
                f"the command registers {command.twin!r} under the record key {(record.key or b'')[:100]!r}",
                place=command.twin,
                remedy="send it with the twin's name as the record key, so that all its commands share one partition",
            )
        cell = self._cells.get(command.twin)
        if cell is not None and cell.running:
            yield from self._apply(cell, command, record, target_us)
            return
        if cell is None and len(self._cells) >= self.settings.twins_max:
            raise Rejected(
                "too-many-twins",
                f"partition {self.partition} hosts {self.settings.twins_max:,} twins, its limit",
                place=command.twin,
                remedy="add partitions, or raise TWIN_TWINS_MAX",
            )
        blueprint = blueprint_of(command)
        if cell is not None and cell.live is not None and not (command.replace and command.discard_work):
            raise _stands_still(cell)
        if target_us - record.timestamp_ms * 1000 > self.settings.epoch_age_us_max and blueprint.time.start is None:
            raise Rejected(
                "stale-timestamp",
                "the record's timestamp lies too far back to start a twin there",
                place=command.twin,
                remedy="send it with the present time, or give the blueprint a time.start on purpose",
            )
        if cell is None:
            cell = self._cells[command.twin] = Cell(command.twin)
        elif cell.live is not None:
            self._telling.forget(cell.live.board)
        epoch_ms = min(record.timestamp_ms, target_us // 1000)
        cell.live = LiveTwin.register(
            blueprint, epoch_ms=epoch_ms, source=self._source(record), seq=cell.seq, command_id=command.id
        )
        cell.quarantine = None
        self._accept(cell, command, record, ())
        self._changed(cell)

    def _apply(self, cell: Cell, command: Command, record: ConfigRecord, target_us: int) -> Iterator[None]:
        live = cell.live
        assert live is not None
        sent = live.scale.sim_time(record.timestamp_ms)
        effective = self._effective(cell, command, sent, target_us)
        if _must_run(live, command, effective):
            while not self._advance_once(cell, effective, isinstance(command, Advance)):
                yield
            self._arrived(cell)
        self._act(cell, command, record, effective, sent)

    def _effective(self, cell: Cell, command: Command, sent: float, target_us: int) -> float:
        """The simulation time at which the command acts; `sent`: that of the record's timestamp."""
        live = cell.live
        assert live is not None
        effective = live.effective(command, sent)
        if effective > live.twin.now and cell.follows_wall:
            effective = max(live.twin.now, min(effective, sim_time_at(live.scale, target_us)))
        return effective

    def _act(self, cell: Cell, command: Command, record: ConfigRecord, effective: float, sent: float) -> None:
        """Let the command take effect: the twin has come to its moment."""
        live = cell.live
        assert live is not None
        before = live.board
        try:
            changes = live.apply(command, effective=effective, source=self._source(record), timestamp=sent)
        except ModelError as error:
            cell.stop(error)
        else:
            self._accept(cell, command, record, changes)
        if live.board is not before or live.removed:
            self._telling.forget(before)
        self._changed(cell)
        if live.removed:
            cell.live = None

    def _changed(self, cell: Cell) -> None:
        self.touched[cell.key] = self.dirty[cell.key] = cell
        self._telling.tell(cell)

    def _accept(self, cell: Cell, command: Command, record: ConfigRecord, changes: Sequence[Change]) -> None:
        assert cell.live is not None
        differs: dict[str, Any] = {}
        value = cell.live.twin.parameter_board.read
        for path, old, _, _ in changes:
            if value(path) != old:
                differs[path] = old
        self.accepted.append(_new(Accepted, (cell.key, command, record.offset, record.timestamp_ms, differs)))

    def _source(self, record: ConfigRecord) -> Source:
        return _new(Source, (self._topic, self.partition, record.offset))


def _must_run(live: LiveTwin, command: Command, effective: float) -> bool:
    """Whether the twin has something to do before the command can act."""
    return effective > live.twin.now or isinstance(command, Advance) or live.schedule.next_time <= effective


def _stands_still(cell: Cell) -> Rejected:
    assert cell.quarantine is not None
    return Rejected(
        "twin-quarantined",
        f"the twin stands still since its model failed: {cell.quarantine.message}",
        place=cell.key,
        remedy="register a corrected blueprint with replace and discard_work, or remove the twin",
    )
