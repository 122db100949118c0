"""`twin run`: a blueprint and scheduled commands, simulated here and now, without a broker."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from models.blueprint import SEED_MAX, Blueprint
from models.commands import Command
from models.errors import TwinError
from twin_app import local
from twin_app.cli import output
from twin_app.cli.command_file import Written, read_commands
from twin_app.cli.options import Json
from twin_app.cli.reading import read_blueprint, read_text, source_name
from twin_app.cli.words import described, style_of
from twin_app.switchboard import Event

ENTRIES_WITHOUT_END_MAX = 10_000_000
"""Calendar entries that a run without --until may execute before it is taken for endless."""
SLICE_ENTRIES = 10_000

_ALWAYS_SHOWN = ("created", "finished", "in_progress")


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The blueprint; - reads stdin.", show_default=False)],
    until: Annotated[
        float | None,
        typer.Option(
            "--until", metavar="TIME", min=0, help="Simulation time at which to stop.", show_default="when nothing is left to do"
        ),
    ] = None,
    commands: Annotated[
        Path | None, typer.Option("--commands", metavar="FILE", help="Commands, each at its `at`.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=SEED_MAX, help="Takes the place of the blueprint's seed.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
    as_json: Json = False,
) -> None:
    """Simulate a blueprint here, without a broker: the same events that a worker would emit, and a summary."""
    blueprint = _blueprint(file, seed)
    written = (
        read_commands(read_text(commands), source=source_name(commands), twin=blueprint.twin) if commands is not None else []
    )
    if until is None:
        _refuse_endless(blueprint, file)
    begun = local.start(blueprint)
    events = _until(begun, written, until) if until is not None else _to_the_end(begun, written, file)
    count = 0
    try:
        for event in _with_progress(events, begun, until) if quiet else events:
            count += 1
            if not quiet:
                _show(blueprint.twin, event, as_json)
    finally:
        _summarise(begun, count, as_json)


def _blueprint(path: Path, seed: int | None) -> Blueprint:
    blueprint = read_blueprint(path)
    return blueprint if seed is None else blueprint.model_copy(update={"seed": seed})


def _refuse_endless(blueprint: Blueprint, path: Path) -> None:
    for name, arrival in blueprint.arrivals.items():
        if arrival.limit is None:
            raise TwinError(
                "endless-run",
                "the entities never stop coming, so the run would never end",
                place=f"{source_name(path)}: arrivals.{name}",
                remedy="give --until, or a `limit` to the arrival",
            )


def _commands(written: Iterable[Written]) -> list[Command]:
    return [item.command for item in written]


def _until(begun: local.Run, written: list[Written], until: float) -> Iterator[Event]:
    if not isfinite(until):
        raise TwinError("bad-until", f"--until needs a finite time, not {until}", remedy="leave it out to run to the end")
    return local.steps(begun, _commands(written), until=until)


def _to_the_end(begun: local.Run, written: list[Written], path: Path) -> Iterator[Event]:
    """Until the calendar is empty. Raises TwinError `endless-run` when that does not come."""
    live = begun.twin
    ats = [0.0 if item.command.at is None else live.sim_time_of(item.command.at) for item in written]
    yield from local.steps(begun, _commands(written), until=max([0.0, *ats]))
    while isfinite(live.next_time) and not live.removed:
        if live.twin.executed > ENTRIES_WITHOUT_END_MAX:
            message = f"there is still something to do at {live.now:g}, after {ENTRIES_WITHOUT_END_MAX:,} calendar entries"
            raise TwinError("endless-run", message, place=source_name(path), remedy="give --until")
        live.advance(live.next_time, budget=SLICE_ENTRIES)
        yield from live.drain()


def _show(twin: str, event: Event, as_json: bool) -> None:
    if as_json:
        output.put_json({"twin": twin, **event_fields(event)})
        return
    line = Text.assemble((f"{event.sim_time:12.3f}  ", "dim"))
    line.append(described(event.kind, event.entity, event.payload), style=style_of(event.kind))
    output.stdout().print(line)


def event_fields(event: Event) -> dict[str, Any]:
    """The event for a program: what the envelope on the events topic carries, as far as it applies without a broker."""
    cause: dict[str, int] | None = None
    if isinstance(event.cause, int):
        cause = {"event": event.cause}
    elif event.cause is not None:
        cause = {"command": event.cause.offset}
    return {
        "seq": event.seq,
        "sim_time": event.sim_time,
        "kind": event.kind,
        "entity": event.entity,
        "cause": cause,
        "payload": event.payload,
    }


def _with_progress(events: Iterator[Event], begun: local.Run, until: float | None) -> Iterator[Event]:
    """A bar on stderr while events are not shown; none on a pipe."""
    if not sys.stderr.isatty():
        yield from events
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.stderr(), transient=True) as progress:
        task = progress.add_task("simulating", total=until)
        for event in events:
            progress.update(task, completed=event.sim_time, description=f"simulation time {event.sim_time:,.1f}")
            yield event


def _summarise(begun: local.Run, count: int, as_json: bool) -> None:
    live = begun.twin
    twin = live.twin
    unit = twin.blueprint.time.unit
    jobs = {"created": twin.created, **twin.outcomes, "in_progress": live.wip}
    resources = {name: resource.statistics() for name, resource in twin.resources.items()}
    flows = {name: flow.figures() for name, flow in twin.flow_statistics.items() if flow.finished}
    if as_json:
        output.put_json(
            {
                "summary": {
                    "twin": twin.blueprint.twin,
                    "sim_time": live.now,
                    "unit": unit,
                    "events": count,
                    "jobs": jobs,
                    "flows": flows,
                    "resources": resources,
                }
            }
        )
        return
    output.say(f"{twin.blueprint.twin} at {live.now:g} {unit}, {count:,} events", style="bold")
    output.say(
        "jobs: " + ", ".join(f"{jobs[what]:,} {what.replace('_', ' ')}" for what in jobs if jobs[what] or what in _ALWAYS_SHOWN)
    )
    if resources:
        rows = [
            {
                "resource": name,
                "capacity": figures["capacity"],
                "utilisation": f"{figures['utilisation']:.1%}",
                "mean queue": f"{figures['queue_mean']:.2f}",
                f"mean wait ({unit})": f"{figures['wait_mean']:.2f}",
            }
            for name, figures in resources.items()
        ]
        output.table(rows, rows[0])
    if flows and twin.blueprint.statistics.quantiles:
        rows = [
            {"flow": name, "finished": figures["finished"]}
            | {f"{what} ({unit})": f"{value:.2f}" for what, value in _times(figures).items()}
            for name, figures in flows.items()
        ]
        output.table(rows, rows[0])


def _times(figures: Mapping[str, Any]) -> dict[str, float]:
    """The times in system of a flow's figures, by short names: mean, p50, p90..."""
    return {name.rpartition("_")[2]: value for name, value in figures.items() if name.startswith("time_in_system")}
