"""The golden sequence: config log and clock log through a fresh partition host, as if nothing had ever gone wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.errors import TwinError
from twin_app.cli.history import PartitionHistory, Written
from twin_app.partition import HostSettings, Output, PartitionHost
from twin_app.partition.contracts import Contracts


@dataclass
class Golden:
    """What one partition should have told, and where its twins should stand."""

    partition: int
    events: list[Written] = field(default_factory=list)
    dead_letters: list[Written] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Twin -> jobs created, finished (by outcome) and in progress."""


def retell(history: PartitionHistory, contracts: Contracts, settings: HostSettings) -> Golden:
    """Run one partition's history again, with the output on. `contracts` are prepared, and resolved for the commands.

    Raises TwinError: `clock-log-gap` when ticks are missing, `replay-diverged` when a tick's count of events differs.
    """
    host = PartitionHost.open(history.partition, {}, contracts, contracts.parse, settings)
    golden = Golden(history.partition)
    done = 0
    for tick in history.ticks:
        upto = done
        while upto < len(history.commands) and history.commands[upto].offset < tick.next_offset:
            upto += 1
        outputs = host.replay(tick, history.commands[done:upto], aloud=True)
        done = upto
        _sort(outputs, contracts, golden)
    if done < len(history.commands):
        place = f"{settings.config_topic}-{history.partition}@{history.commands[done].offset}"
        raise TwinError(
            "not-yet-applied",
            f"{len(history.commands) - done} command(s) are not applied yet",
            place=place,
            remedy="start a worker",
        )
    for key, cell in sorted(host.cells.items()):
        if cell.live is not None:
            twin = cell.live.twin
            golden.jobs[key] = {"created": twin.created, **twin.outcomes, "in_progress": twin.wip}
    return golden


def _sort(outputs: list[Output], contracts: Contracts, golden: Golden) -> None:
    events, dead_letters = contracts.specs.events.name, contracts.specs.dead_letters.name
    for output in outputs:
        written = Written(output.key, output.value, output.timestamp_ms or 0)
        if output.topic == events:
            golden.events.append(written)
        elif output.topic == dead_letters:
            golden.dead_letters.append(written)
