"""A story of examples/, simulated here, with or without some of what happens in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from twin_app.cli.command_file import read_commands
from twin_app.local import Run, read_blueprint, simulate

EXAMPLES = Path(__file__).parents[2] / "examples"


@lru_cache(maxsize=1)  # more of them in memory cost more, by the garbage collector, than they save
def played(name: str, *, without: tuple[str, ...] = (), seed: int | None = None) -> Run:
    """The story `name`, without the commands of these ids. No command of it is refused."""
    folder = EXAMPLES / name
    blueprint = read_blueprint(folder / "blueprint.yaml")
    commands = [item.command for item in read_commands((folder / "commands.yaml").read_text(), twin=blueprint.twin)]
    assert set(without) <= {command.id for command in commands}
    until = max(command.at for command in commands)
    return simulate(blueprint, [command for command in commands if command.id not in without], until=until, seed=seed)


def claims(run: Run) -> dict[str, bool]:
    """What the twin claims, and whether it says that it holds."""
    return {event.payload["claim"]: event.payload["holds"] for event in run.of("claim-checked")}


def by_entity(run: Run, kind: str, **wanted: Any) -> dict[int, list[float]]:
    """Entity -> the times of its events of this kind with these fields of the payload."""
    found: dict[int, list[float]] = defaultdict(list)
    for event in run.of(kind):
        if event.entity is not None and all(event.payload.get(name) == value for name, value in wanted.items()):
            found[event.entity].append(event.sim_time)
    return found


def created(run: Run, flow: str, start: float, end: float) -> Collection[int]:
    """The entities of a flow that came between these times."""
    return {
        event.entity
        for event in run.of("entity-created")
        if event.entity is not None and event.payload["flow"] == flow and start <= event.sim_time < end
    }


def values_of(run: Run, path: str) -> list[tuple[float, Any]]:
    """Every value that a path was set to, with its time."""
    return [(event.sim_time, event.payload["new"]) for event in run.of("parameter-changed") if event.payload["path"] == path]
