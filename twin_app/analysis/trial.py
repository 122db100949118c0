"""One run of an experiment: a twin with some parameters changed, from time 0 to the end, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.blueprint import Blueprint
from models.commands import Patch
from models.errors import TwinError
from twin_app.switchboard import LiveTwin, Source

ENTRIES_MAX = 50_000_000
"""Calendar entries of one run."""
SLICE_ENTRIES = 10_000
SEEDS = 2**63
SOURCE = Source("experiment", 0, 0)


def begin(blueprint: Blueprint, changes: Mapping[str, Any], replication: int = 0, warm_up: float | None = None) -> LiveTwin:
    """A twin at time 0 with its changes applied. Replication 0 has the blueprint's own seed; each further one the next seed, the
    same for every design point: common random numbers, since each stream is drawn from by its own part of the model alone.

    Raises Rejected for a change that is refused.
    """
    fields: dict[str, Any] = {"seed": (blueprint.seed + replication) % SEEDS}
    if warm_up is not None:
        fields["statistics"] = blueprint.statistics.model_copy(update={"warm_up": warm_up})
    live = LiveTwin.register(blueprint.model_copy(update=fields), events=False)
    if changes:
        live.apply(Patch(kind="patch", twin=blueprint.twin, changes=dict(changes)), effective=0.0, source=SOURCE)
    return live


def run(blueprint: Blueprint, changes: Mapping[str, Any], replication: int, until: float, warm_up: float) -> dict[str, float]:
    """The figures of one run, by name; times in the blueprint's unit, `throughput` per such unit. What did not happen is missing.

    Raises Rejected, ModelError, TwinError `too-long`.
    """
    live = begin(blueprint, changes, replication, warm_up)
    while not live.advance(until, budget=SLICE_ENTRIES):
        if live.twin.executed > ENTRIES_MAX:
            raise TwinError(
                "too-long", f"more than {ENTRIES_MAX:,} calendar entries by {live.now:g}", remedy="use an earlier --until"
            )
    return _figures(live, until - warm_up)


def _figures(live: LiveTwin, elapsed: float) -> dict[str, float]:
    statistics = live.twin.statistics()
    flows = {name: flow for name, flow in statistics["flows"].items() if name in live.twin.blueprint.flows}
    found = {"throughput": sum(flow["finished"] for flow in flows.values()) / elapsed}
    for name, flow in flows.items():
        if flow["finished"]:
            found[f"time in system {name}"] = flow["time_in_system_mean"]
    for name, resource in statistics["resources"].items():
        found[f"utilisation {name}"] = resource["utilisation"]
        found[f"queue {name}"] = resource["queue_mean"]
    return found
