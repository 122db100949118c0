"""The partition host: single writer of one partition's twins. It decides what a cycle does; others do the I/O.

A cycle, in order:
1. the waiting commands are held; the target wall time is chosen (never before the last tick, bounded by the pace);
2. each command up to the target is parsed and applied at clamp(its time, the twin's now, the target), in offset order;
3. every twin that is due is advanced to the target;
4. the tick, the events, the dead letters, the vitals and the changed rows are handed out as one `Cycle`.

A cycle in which nothing was due and no command came leaves no trace, so config log + clock log give the same events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from models.clock import Tick
from models.commands import Command, Register
from models.errors import Rejected, TwinError
from twin_app.partition.cell import Cell
from twin_app.partition.checkpoints import Meta, twin_rows, twin_states
from twin_app.partition.cycle import CHECKPOINT_TABLE, Accepted, ConfigRecord, Cycle, HostSettings, Output, Position, Row
from twin_app.partition.due import DueList
from twin_app.partition.outbox import Outbox
from twin_app.partition.pace import Pace
from twin_app.partition.reception import OUTSIDE_REASONS, Parse, Reception
from twin_app.partition.telling import Telling
from twin_app.partition.timeline import FAR_FUTURE_US, sim_time_at
from twin_app.switchboard.registration import calls_own_steps, require_own_steps

UNANSWERED_MAX = 1_000


class PartitionHost:
    """One partition's twins and their cycle. Not thread-safe: one owner drives it."""

    def __init__(self, partition: int, outbox: Outbox, parse: Parse, settings: HostSettings) -> None:
        self.partition, self.settings = partition, settings
        self.cells: dict[str, Cell] = {}
        self.meta = Meta()
        self._parse = parse
        self._refused: frozenset[int] = frozenset()
        self._replaying = False
        self._due = DueList()
        self._held: deque[ConfigRecord] = deque()
        self._telling = Telling(partition, outbox, settings)
        self._reception = Reception(partition, self.cells, self._parsed, self._telling, settings)
        self._pace = Pace(settings.entries_per_cycle)
        self._checkpointed = self.meta
        self._cycle: Cycle | None = None
        self.unanswered: deque[Accepted] = deque(maxlen=UNANSWERED_MAX)
        """Commands that a replay went over: whoever acted on them may have died before it had done so."""

    # -- recovery

    @classmethod
    def open(
        cls, partition: int, rows: Mapping[str, Mapping[bytes, bytes]], outbox: Outbox, parse: Parse, settings: HostSettings
    ) -> PartitionHost:
        """The host as the last checkpoint left it; a new one if there is none. Raises CheckpointError."""
        host = cls(partition, outbox, parse, settings)
        table = rows.get(CHECKPOINT_TABLE, {})
        host.meta = host._checkpointed = Meta.from_rows(table)
        for key, state, chunks in twin_states(table):
            cell = host.cells[key] = Cell.restore(key, state, chunks)
            host._due.schedule(cell)
        return host

    @property
    def position(self) -> Position:
        """How far everything is applied."""
        return Position(self.meta.next_offset, self.meta.tick_seq)

    @property
    def waiting(self) -> int:
        """Commands that were handed in and belong to a later cycle: hand in no more while there are any."""
        return len(self._held)

    def state_of(self, twin: str) -> dict[str, Any] | None:
        """The saved state of a running twin, for a fork; None if there is no such twin, or if it stands still.

        Only between two cycles is it a state that was committed.
        """
        cell = self.cells.get(twin)
        return cell.live.snapshot() if cell is not None and cell.live is not None and cell.running else None

    def replay(self, tick: Tick, records: Sequence[ConfigRecord], *, aloud: bool = False) -> list[Output]:
        """Run a committed cycle again. Raises TwinError `replay-diverged`.

        The output is switched off, since it is out already; `aloud` gives the events and dead letters once more, to compare them.
        """
        if tick.seq != self.meta.tick_seq + 1:
            raise self._diverged(f"tick {tick.seq} follows tick {self.meta.tick_seq}")
        self._telling.open(tick.wall_us, muted=not aloud)
        self._refused, self._replaying = frozenset(tick.refused), True
        for record in records:
            for _ in self._reception.take(record, self._reception.read(record), tick.wall_us):
                pass
        for _ in self._advance_due(tick.wall_us):
            pass
        self._refused, self._replaying = frozenset(), False
        self._reception.refused.clear()
        self.unanswered.extend(self._reception.accepted)
        self._reception.accepted.clear()
        events = self.meta.events + self._telling.close().events
        if events != tick.events:
            raise self._diverged(f"tick {tick.seq} was committed with {tick.events} events, the replay has {events}")
        self.meta = Meta(tick.seq, tick.next_offset, tick.wall_us, tick.events)
        outputs, _ = self._telling.take()
        return outputs

    # -- the cycle

    def next_due_us(self) -> int | None:
        """The wall time from which a cycle has something to do; None if only a command can bring work."""
        if self._held:
            return self.meta.wall_us
        first = self._due.first_us()
        return None if first >= FAR_FUTURE_US else first + self.settings.watermark_delay_us

    def begin(self, records: Sequence[ConfigRecord], wall_us: int, *, backlog: bool = False) -> Iterator[None]:
        """Run a cycle, giving the turn back after each slice. `take` then has what came of it.

        `records` continue where the former call's ended. `wall_us` is what the clock says now; `backlog` says that more
        commands are known to wait in the topic, so that time must not run past those that were read.
        """
        self._held.extend(records)
        target_us, everything = self._target(wall_us, backlog)
        self._telling.open(target_us)
        next_offset = self.meta.next_offset
        while due := self._due_commands(None if everything else target_us):
            # Each step for many commands in a row, so that its code stays in the cache (docs/decisions/0106).
            commands = [self._reception.read(record) for record in due]
            for record, command in zip(due, commands, strict=True):
                yield from self._reception.take(record, command, target_us)
            next_offset = due[-1].offset + 1
            while not self._telling.write(self.settings.events_per_slice):
                yield
            if self._held:
                yield
        ran = yield from self._advance_due(target_us)
        told = self._telling.close()
        self._pace.learn(told.entries)
        if not ran and next_offset == self.meta.next_offset:
            return
        refused = tuple(self._reception.refused)
        self._reception.refused.clear()
        accepted = list(self._reception.accepted)
        self._reception.accepted.clear()
        self.meta = Meta(self.meta.tick_seq + 1, next_offset, target_us, self.meta.events + told.events)
        self._telling.vitals(wall_us, target_us)
        outputs, rows = self._telling.take()
        tick = Tick(self.meta.tick_seq, target_us, next_offset, self.meta.events, refused)
        rows += yield from self._checkpoint()
        self._cycle = Cycle(tick, outputs, rows, accepted)

    def take(self) -> Cycle | None:
        """What the cycle wants committed; None when nothing happened."""
        cycle, self._cycle = self._cycle, None
        return cycle

    # -- inside

    def _due_commands(self, until_us: int | None) -> list[ConfigRecord]:
        """The next commands that are held, as many as are handled in one slice; with `until_us` those sent no later."""
        held = self._held
        due: list[ConfigRecord] = []
        while held and len(due) < self.settings.commands_per_slice:
            if until_us is not None and held[0].timestamp_ms * 1000 > until_us:
                break
            due.append(held.popleft())
        return due

    def _parsed(self, record: ConfigRecord) -> Command:
        try:
            command = self._parse(record)
            if isinstance(command, Register) and record.offset not in self._refused:
                require_own_steps(command)
        except Rejected as reason:
            if self._replaying and reason.code in OUTSIDE_REASONS and record.offset not in self._refused:
                raise self._diverged(f"the command at offset {record.offset} was accepted, and now: {reason}") from reason
            raise
        if record.offset in self._refused:
            if isinstance(command, Register) and calls_own_steps(command):
                raise Rejected("unknown-own-step", "an own step of the blueprint was not to be had when the command came")
            raise Rejected("unknown-schema", "the registry did not know the schema of this command when it came")
        return command

    def _target(self, wall_us: int, backlog: bool) -> tuple[int, bool]:
        """The wall time up to which this cycle goes, and whether every held command belongs to it."""
        last_us = self.meta.wall_us
        limit_us = max(last_us, wall_us - self.settings.watermark_delay_us)
        if backlog and self._held:
            limit_us = max(last_us, min(limit_us, max(r.timestamp_ms for r in self._held) * 1000))
        first_us = self._due.first_us()
        if self._held:
            first_us = min(first_us, self._held[0].timestamp_ms * 1000)
        if first_us >= limit_us:
            return limit_us, True
        target_us = min(limit_us, max(last_us, first_us) + self._pace.step_us)
        return target_us, target_us == limit_us

    def _advance_due(self, wall_us: int) -> Generator[None, None, bool]:
        """Advance every twin that is due, then note when each twin that was touched is due again."""
        touched = self._reception.touched
        cells = {cell.key: cell for cell in self._due.pop_until(wall_us)} | touched
        ran = False
        for cell in cells.values():
            if cell.live is not None and cell.due_us() <= wall_us:
                ran = True
                yield from self._reception.advance(cell, sim_time_at(cell.live.scale, wall_us), inclusive=True)
                while not self._telling.write(self.settings.events_per_slice):
                    yield
        for cell in cells.values():
            self._due.schedule(cell)
        touched.clear()
        return ran

    def _checkpoint(self) -> Generator[None, None, list[Row]]:
        """The rows of a checkpoint if it is time for one: the twins that changed since the last, and the meta row.

        All of them in one cycle, since a replay begins where all twins stand (docs/decisions/0111).
        """
        since, settings = self._checkpointed, self.settings
        young = (
            self.meta.tick_seq - since.tick_seq < settings.checkpoint_ticks
            and self.meta.wall_us - since.wall_us < settings.checkpoint_interval_us
        )
        if since.tick_seq and young:
            return []
        rows: list[Row] = []
        unbroken = 0
        for cell in self._reception.dirty.values():
            changed, cell.chunks = twin_rows(cell.key, cell.snapshot(), cell.chunks)
            rows += changed
            unbroken += sum(len(row.value or b"") for row in changed)
            if unbroken >= settings.checkpoint_bytes_per_slice:
                unbroken = 0
                yield
        self._reception.dirty.clear()
        self._checkpointed = self.meta
        return [*rows, self.meta.to_row()]

    def _diverged(self, what: str) -> TwinError:
        return TwinError(
            "replay-diverged",
            f"the replay does not give what was committed: {what}",
            place=f"{self.settings.config_topic}-{self.partition}",
            remedy="run the version that wrote the clock topic; if it is this one, report it with both topics",
        )
