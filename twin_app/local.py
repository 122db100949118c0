"""A twin on a laptop, without a broker: the same switchboard and kernel as on the stream, the same results.

run = simulate("line.yaml", commands=[At(5.0, set_("Line_A.resources.b.capacity", 0))], until=60)
assert [event.kind for event in run.events if event.entity == 7] == [...]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from models.blueprint import Blueprint
from models.commands import Command
from models.errors import BlueprintError, Rejected, TwinError
from models.load import explain, load_blueprint
from twin_app.switchboard import Event, LiveTwin, Source, check_values, read_command
from twin_app.switchboard.parse import LIMITS

EVENTS_MAX = 5_000_000
BLUEPRINT_FILE_BYTES_MAX = 16 * 1_048_576
SLICE_STEPS = 10_000

LOCAL_TOPIC = "local"
"""The topic that the cause of an event names here; its offset is the command's place in the list of commands."""

Document = Mapping[str, Any]


class At(NamedTuple):
    """A command and the simulation time (blueprint's unit) at which it arrives."""

    sim_time: float
    command: Document | Command


@dataclass
class Run:
    """What came out of a simulation. `rejected`: the commands that were refused, with their time."""

    twin: LiveTwin
    events: list[Event] = field(default_factory=list)
    rejected: list[tuple[float, Rejected]] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, Any]:
        """Every settable path and its value at the end."""
        return self.twin.twin.parameters()

    @property
    def statistics(self) -> dict[str, Any]:
        """The figures of the run: entities by outcome, and each resource's utilisation, queue and waits."""
        return self.twin.twin.statistics()

    def of(self, kind: str) -> list[Event]:
        """The events of one kind, in order."""
        return [event for event in self.events if event.kind == kind]


def set_(path: str, value: Any, **fields: Any) -> Document:
    """A command that gives a path a value. `fields`: `if_version`, `id`, `at`."""
    return {"kind": "set", "path": path, "value": value, **fields}


def patch(changes: Mapping[str, Any], **fields: Any) -> Document:
    """A command that gives several paths their values at once, all or none."""
    return {"kind": "patch", "changes": dict(changes), **fields}


def spawn(flow: str, attributes: Mapping[str, Any] | None = None, **fields: Any) -> Document:
    """A command that sends one entity into a flow."""
    return {"kind": "spawn", "flow": flow, "attributes": dict(attributes or {}), **fields}


def signal(name: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> Document:
    """A command that sends a signal."""
    return {"kind": "signal", "name": name, "payload": dict(payload or {}), **fields}


def observe(**seen: Any) -> Document:
    """A command that tells what was seen in reality: `queues`, `levels`, `items`, `steps`, `finished` (models/commands.py)."""
    return {"kind": "observe", **seen}


def simulate(
    blueprint: str | Path | Document | Blueprint,
    commands: Iterable[At | Document | Command] = (),
    *,
    until: float,
    seed: int | None = None,
    strict: bool = True,
) -> Run:
    """Run a twin from simulation time 0 to `until` (blueprint's unit), the entries at `until` included.

    `blueprint` is a path, a YAML or JSON text, a document or a Blueprint; `seed` takes the place of its own. Commands arrive
    at their `At`, or else at their own `at` (at 0 without one); those of one time in the order given.

    Raises BlueprintError; Rejected for a refused command, with the time as its place, unless `strict` is False: then the run
    goes on and lists it in `Run.rejected`; ModelError when the model itself fails; TwinError (`too-many-events`).
    """
    run = start(read_blueprint(blueprint, seed))
    for event in steps(run, commands, until=until, strict=strict):
        run.events.append(event)
        if len(run.events) > EVENTS_MAX:
            raise TwinError(
                "too-many-events", f"more than {EVENTS_MAX:,} events by {run.twin.now:g}", remedy="use an earlier `until`"
            )
    return run


def start(blueprint: Blueprint) -> Run:
    """A run at simulation time 0."""
    return Run(LiveTwin.register(blueprint))


def steps(run: Run, commands: Iterable[At | Document | Command], *, until: float, strict: bool = True) -> Iterator[Event]:
    """The events of the run as they happen, for a caller that does not keep them. Raises as `simulate` does."""
    if not isfinite(until):
        raise TwinError("bad-until", f"the run needs a finite end, not {until}", remedy="give a simulation time")
    live = run.twin
    for offset, sim_time, item in _in_order(live, commands, run, strict):
        if sim_time > until:
            break
        yield from _advance(run, max(sim_time, live.now), inclusive=False, strict=strict)
        try:
            live.apply(item, effective=live.now, source=Source(LOCAL_TOPIC, 0, offset), timestamp=sim_time)
        except Rejected as rejected:
            _refused(run, sim_time, rejected, strict)
        yield from live.drain()
        if live.removed:
            return
    yield from _advance(run, until, inclusive=True, strict=strict)


def read_blueprint(blueprint: str | Path | Document | Blueprint, seed: int | None = None) -> Blueprint:
    """A blueprint from a path, a YAML or JSON text (it has a line break or a brace), or a document. Raises BlueprintError."""
    if isinstance(blueprint, str) and "\n" not in blueprint and "{" not in blueprint:
        blueprint = Path(blueprint)
    if isinstance(blueprint, Path):
        folder = blueprint.parent
        found = load_blueprint(_text(blueprint), source=str(blueprint), read=lambda name: _text(folder / name))
    elif isinstance(blueprint, str):
        found = load_blueprint(blueprint)
    elif isinstance(blueprint, Blueprint):
        found = blueprint
    else:
        try:
            found = Blueprint.model_validate(dict(blueprint))
        except ValidationError as error:
            raise BlueprintError(explain(error, dict(blueprint))) from None
    return found if seed is None else found.model_copy(update={"seed": seed})


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > BLUEPRINT_FILE_BYTES_MAX:
            raise TwinError("too-large", f"the file has more than {BLUEPRINT_FILE_BYTES_MAX:,} bytes", place=str(path))
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TwinError("unreadable-file", str(error), place=str(path), remedy="check the file's name and rights") from None


def _in_order(
    live: LiveTwin, commands: Iterable[At | Document | Command], run: Run, strict: bool
) -> list[tuple[int, float, Command]]:
    """The commands as (place in the list, time of arrival, command), by time; those of one time as given."""
    found = []
    for offset, item in enumerate(commands):
        try:
            found.append((offset, *_arrival(live, item)))
        except Rejected as rejected:
            _refused(run, item.sim_time if isinstance(item, At) else 0.0, rejected, strict)
    return sorted(found, key=lambda entry: entry[1])


def _arrival(live: LiveTwin, item: At | Document | Command) -> tuple[float, Command]:
    twin = live.twin.blueprint.twin
    sim_time = None
    if isinstance(item, At):
        sim_time, item = float(item.sim_time), item.command
        if not isfinite(sim_time):
            raise Rejected("at-out-of-range", f"a command cannot arrive at {sim_time}")
    if isinstance(item, Mapping):
        if isinstance(item.get("at"), datetime):  # YAML's own timestamps
            item = {**item, "at": item["at"].isoformat()}
        check_values(item, LIMITS)
        command = read_command(item, twin)
    else:
        command = item
    if command.twin != twin:
        raise Rejected("unknown-twin", f"there is no twin {command.twin!r} here", remedy=f"the blueprint is of {twin!r}")
    if sim_time is None and command.at is not None:
        return live.sim_time_of(command.at), command.model_copy(update={"at": None}) if command.schedulable else command
    return sim_time or 0.0, command


def _advance(run: Run, until: float, *, inclusive: bool, strict: bool) -> Iterator[Event]:
    done = False
    while not done:
        done = run.twin.advance(until, inclusive=inclusive, budget=SLICE_STEPS)
        yield from run.twin.drain()
        for late in run.twin.drain_rejections():
            _refused(run, late.sim_time, late.rejected, strict)


def _refused(run: Run, sim_time: float, rejected: Rejected, strict: bool) -> None:
    rejected.place = f"at {sim_time:g}, {rejected.place}" if rejected.place else f"at {sim_time:g}"
    if strict:
        raise rejected
    run.rejected.append((sim_time, rejected))
