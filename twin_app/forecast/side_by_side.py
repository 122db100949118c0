"""Two states of one twin run ahead in pairs, each pair with the same random numbers: as it is, and under another blueprint.

What differs in a pair is the blueprint's doing wherever the streams keep their names. A few dozen pairs, in this process: enough
to see whether an upgrade does what it is meant to do. (Scenarios of one blueprint are the forecast's.)
"""

from collections.abc import Mapping
from math import sqrt
from statistics import fmean, stdev
from typing import Any, NamedTuple

from twin_app.forecast.estimates import student_95
from twin_app.switchboard import LiveTwin

SLICE_ENTRIES = 10_000


class Beside(NamedTuple):
    """One figure: its mean in either future, the mean difference (after less before), and half its 90 % interval."""

    figure: str
    before: float
    after: float
    difference: float
    half: float


def side_by_side(before: Mapping[str, Any], after: Mapping[str, Any], ahead: float, pairs: int) -> list[Beside]:
    """Run both saved states `ahead` (in time units), `pairs` times. Figures that only one of them has are left out.

    Raises ModelError where a model fails on the way.
    """
    rows = [(_future(before, ahead, salt), _future(after, ahead, salt)) for salt in range(1, pairs + 1)]
    found = []
    for name in dict.fromkeys(name for old, _ in rows for name in old):
        both = [(old[name], new[name]) for old, new in rows if name in old and name in new]
        if len(both) < 2:
            continue
        differences = [new - old for old, new in both]
        half = student_95(len(both) - 1) * stdev(differences) / sqrt(len(both))
        means = fmean(old for old, _ in both), fmean(new for _, new in both)
        found.append(Beside(name, *means, fmean(differences), half))
    return found


def _future(state: Mapping[str, Any], ahead: float, salt: int) -> dict[str, float]:
    """Figures of one future: of the stretch, not since the twin's start. Without those that nothing says."""
    live = LiveTwin.restore(state, events=False)
    twin = live.twin
    twin.reseed(salt)
    until = twin.now + ahead
    finished, time = _finished(twin)
    areas = {name: resource.areas() for name, resource in twin.resources.items()}
    while not live.advance(until, budget=SLICE_ENTRIES):
        live.drain()
    finished_then, time_then = _finished(twin)
    count = finished_then - finished
    found: dict[str, float] = {"finished": count, "in progress": twin.wip}
    if count:
        found["time in system"] = (time_then - time) / count
    for name, (_, busy, queue, capacity) in areas.items():
        _, busy_then, queue_then, capacity_then = twin.resources[name].areas()
        if capacity_then > capacity:
            found[f"{name}.utilisation"] = (busy_then - busy) / (capacity_then - capacity)
        found[f"{name}.queue"] = (queue_then - queue) / ahead
    return found


def _finished(twin: Any) -> tuple[int, float]:
    figures = twin.flow_statistics.values()
    return sum(flow.finished for flow in figures), sum(flow.time_sum for flow in figures)
