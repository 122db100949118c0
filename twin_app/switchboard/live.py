"""A live twin: the kernel's simulation with its board and its scheduled commands, driven by commands and by time.

Order at one simulation time: commands scheduled for it, in the order in which they came; then commands that arrive at it;
then the calendar's own entries. So the result does not depend on how the way there is sliced.

Every accepted command is answered by an event of the twin (`parameter-changed`, `entity-created`, `signal-received`,
`command-scheduled`, ...) whose cause is the command's source; a refused one raises `Rejected` and has changed nothing. A
scheduled command that is refused when its time comes is answered by `command-rejected` and kept in `rejections`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, NamedTuple

import orjson

from models.blueprint import Blueprint
from models.commands import Advance, Command, Forecast, Observe, Patch, Register, Remove, Set, Signal, Spawn
from models.errors import CheckpointError, Rejected
from models.events import EventRecord
from models.nearest import did_you_mean
from twin_app.kernel import Twin
from twin_app.kernel.migration import Migration
from twin_app.kernel.parameters import ask_anew
from twin_app.switchboard.answers import Answer, acknowledgement, events_of
from twin_app.switchboard.board import Board, Change, Source
from twin_app.switchboard.casting import bounded
from twin_app.switchboard.registration import blueprint_hash, blueprint_of, scale_of
from twin_app.switchboard.schedule import Pending, Schedule
from twin_app.switchboard.timescale import TimeScale, moment

_new = tuple.__new__

FORMAT = 1
FIELDS_BYTES_MAX = 65_536
"""Of the attributes of a spawned entity and of a signal's payload, as JSON: they end up in events."""


class LateRejection(NamedTuple):
    """A scheduled command that was refused when its time came."""

    source: Source | None
    command: Command
    rejected: Rejected
    sim_time: float


class LiveTwin:
    """One twin. Make it with `register` or `restore`; whoever drives it is the only writer.

    Calls that run the model (`advance`, `apply`) let the kernel's ModelError through: the owner quarantines the twin.
    """

    def __init__(self, twin: Twin, scale: TimeScale, *, earlier: int = 0, events: bool = True) -> None:
        self.twin = twin
        self.scale = scale
        self.board = Board(twin.blueprint, twin.parameter_board.read)
        self.schedule = Schedule()
        self.rejections: list[LateRejection] = []
        self.removed = False
        self._earlier = earlier  # sequence numbers used before this kernel twin began
        self._events: list[EventRecord] = []
        self._with_events = events
        self._signals: dict[str, None] | None = None

    # -- life
    @classmethod
    def register(
        cls,
        blueprint: Blueprint,
        *,
        epoch_ms: int = 0,
        source: Source | None = None,
        seq: int = 0,
        command_id: str | None = None,
        events: bool = True,
    ) -> LiveTwin:
        """A new twin at simulation time 0, acknowledged by `twin-registered`.

        `epoch_ms` (ms since 1970 UTC) is the instant of simulation time 0 where the blueprint has no `time.start`. `seq`: the
        last sequence number that an earlier twin of this name used, so that event ids are never used twice.
        """
        live = cls(Twin(blueprint, events=events), scale_of(blueprint, epoch_ms), earlier=seq, events=events)
        live._note("twin-registered", {"blueprint_hash": blueprint_hash(blueprint)}, source, acknowledgement(False, command_id))
        return live

    def snapshot(self) -> dict[str, Any]:
        """The whole twin as plain JSON types. Events and rejections not yet taken are not part of it: take them first."""
        self._collect()
        return {
            "format": FORMAT,
            "twin": self.twin.snapshot(),
            "scale": [self.scale.epoch_ms, self.scale.unit_ms],
            "board": self.board.snapshot(),
            "schedule": self.schedule.snapshot(),
            "earlier": self._earlier,
            "removed": self.removed,
        }

    @classmethod
    def restore(cls, snapshot: Mapping[str, Any], *, kind: type[Twin] = Twin, events: bool = True) -> LiveTwin:
        """The twin of a snapshot. Raises CheckpointError for one that is damaged or of an unknown format.

        A fork is restored as a `kind` of twin of its own. Without `events` it hands none out, which is faster. Then versions
        do not count what the model itself sets, except while a scheduled command has an `if_version` that this could decide.
        """
        if not isinstance(snapshot, Mapping) or snapshot.get("format") != FORMAT:
            found = snapshot.get("format") if isinstance(snapshot, Mapping) else None
            raise CheckpointError(
                "unknown-format",
                f"the snapshot has format {found!r}; this version reads {FORMAT}",
                remedy="run the version that wrote it",
            )
        try:
            epoch_ms, unit_ms = snapshot["scale"]
            schedule = Schedule.restore(snapshot["schedule"])
            twin = kind.restore(snapshot["twin"], events=events or schedule.is_guarded)
            live = cls(twin, TimeScale(epoch_ms, unit_ms), earlier=snapshot["earlier"], events=events)
            live.board.restore(snapshot["board"])
            live.schedule = schedule
            live.removed = snapshot["removed"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                "bad-checkpoint", f"the snapshot is damaged: {type(error).__name__}: {str(error)[:200]}"
            ) from error
        return live

    def state_hash(self) -> str:
        """Hex digest of the whole state: equal states have equal hashes, in any process."""
        return hashlib.sha256(orjson.dumps(self.snapshot(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    # -- time
    @property
    def now(self) -> float:
        """Simulation time."""
        return self.twin.now

    @property
    def next_time(self) -> float:
        """Simulation time of whatever comes next, a calendar entry or a scheduled command; infinity if nothing does."""
        return min(self.twin.next_time, self.schedule.next_time)

    @property
    def seq(self) -> int:
        """The last event sequence number used."""
        return self._earlier + self.twin.seq

    @property
    def earlier(self) -> int:
        """Sequence numbers that earlier twins of this name used: another life, another number."""
        return self._earlier

    @property
    def wip(self) -> int:
        """Entities in the system."""
        return self.twin.wip

    def advance(self, until: float, *, inclusive: bool = True, budget: int | None = None) -> bool:
        """Run calendar entries and scheduled commands up to `until`, in order; the commands due at `until` too.

        Calendar entries at `until` itself are left if not `inclusive`. Infinity: until nothing is left to do. With a `budget`,
        stop after so many steps and return False: call again. How the way is sliced never changes results.
        """
        left = budget
        while (due_at := self.schedule.next_time) <= until and due_at < inf:
            executed = self.twin.executed
            if not self.twin.advance(due_at, inclusive=False, budget=left):
                return False
            self._run_due(self.schedule.pop())
            if left is not None:
                left -= self.twin.executed - executed + 1
                if left <= 0:
                    return False
        return self.twin.advance(until, inclusive=inclusive, budget=left)

    def effective_time(self, command: Command, timestamp_ms: int) -> float:
        """The simulation time to advance to before `apply`: that of the record's timestamp, never before now.

        An `advance` command has its own, its `at`. Raises Rejected (`at-out-of-range`).
        """
        return self.effective(command, self.scale.sim_time(timestamp_ms))

    def effective(self, command: Command, sent: float) -> float:
        """The same, where the simulation time of the record's timestamp is known: `sent`."""
        if isinstance(command, Advance):
            sent = moment(command.at, self.scale, sent)
        now = self.twin.now
        return sent if sent > now else now

    def sim_time_of(self, at: float | datetime) -> float:
        """A command's `at` as simulation time. Raises Rejected (`at-out-of-range`)."""
        return moment(at, self.scale, self.now)

    # -- commands
    def apply(
        self, command: Command, *, effective: float, source: Source | None = None, timestamp: float | None = None
    ) -> Sequence[Change]:
        """Let a command take effect now, or keep it if its `at` is later. Raises Rejected; then nothing has changed.

        The caller has advanced to `effective` (not inclusive). `timestamp` is the simulation time at which the command was
        meant to act; where that is before now, the acknowledging event is flagged `late`. Gives the changes of paths that it
        made at once.
        """
        now = self.twin.now
        if effective != now:
            raise ValueError(f"advance to {effective} before applying a command there: the twin is at {now}")
        self._collect()
        at = moment(command.at, self.scale, effective if timestamp is None else timestamp)
        if command.at is not None and command.schedulable and at > now:
            self._keep(command, at, source)
            return ()
        return self._execute(command, source, acknowledgement(at < now, command.id))

    def note(self, kind: str, payload: dict[str, Any]) -> None:
        """Put an event of the owner's into the twin's stream."""
        self._note(kind, payload, None, {})

    def drain(self) -> list[EventRecord]:
        """All events since the last call, in order."""
        self._collect()
        events, self._events = self._events, []
        return events

    def drain_rejections(self) -> list[LateRejection]:
        """All scheduled commands refused since the last call."""
        rejections, self.rejections = self.rejections, []
        return rejections

    def _keep(self, command: Command, at: float, source: Source | None) -> None:
        self._check(command)
        self.schedule.add(at, command, source)
        self._note("command-scheduled", {"command_kind": command.kind, "at": at}, source, acknowledgement(False, command.id))

    def _run_due(self, due: Pending) -> None:
        self._collect()
        try:
            self._execute(due.command, due.source, acknowledgement(False, due.command.id))
        except Rejected as rejected:
            self.rejections.append(LateRejection(due.source, due.command, rejected, self.now))
            payload = {"command_kind": due.command.kind, "code": rejected.code, "reason": rejected.message}
            self._note("command-rejected", payload, due.source, acknowledgement(False, due.command.id))

    def _check(self, command: Command) -> list[Change]:
        """Whether the command could act as the twin is now. Raises Rejected."""
        if isinstance(command, Set):
            versions = None if command.if_version is None else {command.path: command.if_version}
            return self.board.check({command.path: command.value}, versions, not_before=True)
        if isinstance(command, Patch):
            return self.board.check(command.changes, command.if_version, not_before=True)
        if isinstance(command, Spawn):
            self._check_spawn(command)
        elif isinstance(command, Signal):
            self._check_signal(command)
        return []

    def _execute(self, command: Command, source: Source | None, extra: dict[str, Any]) -> Sequence[Change]:
        match command:
            case Set():
                if command.if_version is None:
                    return self._take([self.board.check_one(command.path, command.value)], source, extra)
                return self._take(self.board.check({command.path: command.value}, command.if_version), source, extra)
            case Patch():
                return self._take(self.board.check(command.changes, command.if_version), source, extra)
            case Spawn():
                self._check_spawn(command)
                with _Outside(self.twin):
                    self.twin.spawn(command.flow, command.attributes)
                self._collect(Answer(source, extra))
            case Signal():
                self._check_signal(command)
                with _Outside(self.twin):
                    self.twin.signal(command.name, command.payload)
                self._collect(Answer(source, extra))
            case Observe():
                self._check_observe(command)
                with _Outside(self.twin):
                    self.twin.align(command)
                self._collect(Answer(source, extra))
            case Forecast():
                self.check_forecast(command)
                payload = {"horizon": command.horizon, "scenarios": len(command.scenarios)}
                self._note("forecast-requested", payload, source, extra)
            case Advance():
                if self.twin.blueprint.time.mode != "event":
                    raise Rejected(
                        "not-event-mode", "this twin follows the wall clock", remedy="register it with time.mode: event"
                    )
                self._note("time-advanced", {"to": self.now}, source, extra)
            case Remove():
                dropped = self._give_up_work(command.discard_work)
                self._note("twin-removed", dropped, source, extra)
                self.removed = True
            case Register():
                self._register_again(command, source, extra)
        return ()

    def _take(self, checked: Sequence[Change], source: Source | None, extra: dict[str, Any]) -> Sequence[Change]:
        self.twin.external = True
        try:
            self.twin.set([(change.path, change.new) for change in checked])
        finally:
            self.twin.external = False
        self.board.commit(checked, self.twin.now, source)
        self._collect(_new(Answer, (source, extra, checked)))
        return checked

    def _check_spawn(self, command: Spawn) -> None:
        flows = self.twin.blueprint.flows
        if command.flow not in flows:
            raise Rejected("unknown-flow", f"there is no flow {command.flow!r}", remedy=did_you_mean(command.flow, flows))
        limit = self.twin.blueprint.limits.entities
        if self.twin.wip >= limit:
            raise Rejected(
                "twin-full", f"{self.twin.wip:,} entities are in progress, the twin's limit", remedy="raise limits.entities"
            )
        bounded("attributes", command.attributes, FIELDS_BYTES_MAX)

    def _check_signal(self, command: Signal) -> None:
        if self._signals is None:
            self._signals = dict.fromkeys(self.twin.signals())
        if command.name not in self._signals:
            remedy = did_you_mean(command.name, self._signals)
            raise Rejected("unknown-signal", f"no step of the twin waits for a signal {command.name!r}", remedy=remedy)
        bounded("payload", command.payload, FIELDS_BYTES_MAX)

    def _check_observe(self, command: Observe) -> None:
        bounded("attributes", command.attributes, FIELDS_BYTES_MAX)
        for name, items in command.items.items():
            for item in items:
                bounded(f"stores.{name}", item)

    def check_forecast(self, command: Forecast) -> None:
        """Each scenario's commands must be possible now, given the changes of those before them. Raises Rejected."""
        for name, commands in command.scenarios.items():
            changes: dict[str, Any] = {}
            for item in commands:
                try:
                    if isinstance(item, Set | Patch):
                        changes |= {item.path: item.value} if isinstance(item, Set) else item.changes
                        self.board.check(changes)
                    else:
                        self._check(item)
                except Rejected as rejected:
                    message = f"scenario {name!r}: {rejected.message}"
                    raise Rejected(
                        rejected.code, message, path=rejected.path, value=rejected.value, remedy=rejected.remedy
                    ) from None

    def _give_up_work(self, willing: bool) -> dict[str, Any]:
        """What is lost with the work in progress. Raises Rejected (`work-in-progress`) unless the sender is willing."""
        entities, commands = self.twin.wip, len(self.schedule)
        if (entities or commands) and not willing:
            raise Rejected(
                "work-in-progress",
                f"{entities:,} entities are in progress and {commands:,} commands wait for their time",
                remedy="wait until the twin is empty, or send discard_work: true (with a new blueprint: or keep_work: true)",
            )
        return {"entities_dropped": entities, "commands_dropped": commands}

    def _register_again(self, command: Register, source: Source | None, extra: dict[str, Any]) -> None:
        blueprint = blueprint_of(command)
        digest = blueprint_hash(blueprint)
        if digest == blueprint_hash(self.twin.blueprint):
            self._note("twin-unchanged", {"blueprint_hash": digest}, source, extra)
            return
        if not command.replace:
            raise Rejected(
                "twin-exists", f"{blueprint.twin} exists, with another blueprint", remedy="to replace it, send replace: true"
            )
        if blueprint_hash(blueprint, questions=False) == blueprint_hash(self.twin.blueprint, questions=False):
            self._ask_anew(blueprint)
            payload = {"blueprint_hash": digest, "questions": len(blueprint.questions)}
            self._note("questions-changed", payload, source, extra)
            return
        if command.keep_work:
            self._migrate(blueprint, command.moves, source, extra)
            return
        dropped = self._give_up_work(command.discard_work)
        successor = Twin(blueprint, events=self._with_events)
        now_ms = self.scale.event_time_us(self.now) // 1_000
        self._earlier = self.seq
        self.twin, self.scale, self.schedule, self._signals = successor, scale_of(blueprint, now_ms), Schedule(), None
        board = Board(blueprint, successor.parameter_board.read)
        board.succeed(self.board, 0.0, source)
        self.board = board
        self._note("twin-replaced", {"blueprint_hash": digest, **dropped}, source, extra)

    def _ask_anew(self, blueprint: Blueprint) -> None:
        """Only the questions are others: nobody's work depends on them, and all of it stays."""
        ask_anew(self.twin, blueprint)
        board = Board(blueprint, self.twin.parameter_board.read)
        board.restore({path: mark for path, mark in self.board.snapshot().items() if path in board.parameters})
        self.board = board

    def _migrate(self, blueprint: Blueprint, moves: Mapping[str, str], source: Source | None, extra: dict[str, Any]) -> None:
        """Go on under another blueprint. Raises Rejected with nothing changed."""
        migration = Migration(self.twin, blueprint, moves)
        successor = migration.carry_out({"blueprint_hash": blueprint_hash(blueprint)})
        board = Board(blueprint, successor.parameter_board.read)
        board.go_on(self.board, migration.report.taken, self.now, source)
        self.scale = self.scale.paced(scale_of(blueprint, 0).unit_ms, self.now)
        self.twin, self.board, self._signals = successor, board, None
        self._collect(Answer(source, extra))

    # -- events
    def _note(self, kind: str, payload: dict[str, Any], source: Source | None, extra: dict[str, Any]) -> None:
        with _Outside(self.twin):
            self.twin.note(kind, payload | extra)
        self._collect(Answer(source, {}))

    def _collect(self, answer: Answer | None = None) -> None:
        """Take the kernel's events; those that answer a command, with what `answer` adds."""
        emissions = self.twin.drain()
        if emissions:
            events = events_of(emissions, self.twin.blueprint.twin, self.scale, self._earlier, self.board, answer)
            if self._with_events:
                self._events += events


class _Outside:
    """While inside, what the kernel does is caused from the outside."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    def __enter__(self) -> None:
        self._twin.external = True

    def __exit__(self, *_: object) -> None:
        self._twin.external = False
