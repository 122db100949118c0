"""Sums over the Markov chain of steps: expected visits, and how long a unit is held over several steps.

Absorbing Markov chains: Kemeny and Snell, "Finite Markov chains", 1960, chapter 3 (the fundamental matrix).
"""

from __future__ import annotations

import numpy as np

from twin_app.analysis.moments import Moments
from twin_app.analysis.routes import END, Node, Routes

VISITS_MAX = 1e9
"""More visits than this on the average mean that it never ends."""
HELD_STEPS_MAX = 200
"""Steps over which a unit is held, for each of which there is an equation. Beyond it the time is said not to be known."""


def visits(routes: Routes, start: int) -> dict[int, float] | None:
    """Expected visits at each node (those of spawned entities too) for one entity that begins at `start`. None: it never ends."""
    if start == END:
        return {}
    reached = _reached({index: set(node.leads()) for index, node in enumerate(routes.nodes)}, start)
    place = {index: row for row, index in enumerate(reached)}
    matrix = np.eye(len(reached))
    for index in reached:
        for target, share in routes.nodes[index].leads().items():
            matrix[place[target], place[index]] -= share
    found = _solve(matrix, np.eye(len(reached))[0])
    return None if found is None else {index: float(found[row]) for index, row in place.items() if found[row] > 1e-12}


def held(routes: Routes, seize: int) -> Moments | None:
    """How long a seized unit is held: until it is released, or the entity leaves. Times of delays and services on the way; not
    that of waiting. None if a time is not known, it never ends, or there are more than
    HELD_STEPS_MAX steps.

    First and second moments of the sum of the times along the way solve m = d + P·m and s = E[d²] + 2·d·P·m + P·s.
    """
    resource = routes.nodes[seize].resource
    own = {index: _own(node) if not _releases(node, resource) else {} for index, node in enumerate(routes.nodes)}
    starts = [target for target, _ in routes.nodes[seize].routes if target != END]
    if not starts:
        return Moments(0.0, 0.0)
    reached = _reached({index: set(leads) for index, leads in own.items()}, starts[0])
    if len(reached) > HELD_STEPS_MAX:
        return None
    times = [routes.nodes[index].time for index in reached]
    if any(time is None for time in times):
        return None
    mean = np.array([time.mean for time in times if time is not None])
    square = np.array([time.square for time in times if time is not None])
    place = {index: row for row, index in enumerate(reached)}
    route = np.zeros((len(reached), len(reached)))
    for index in reached:
        for target, share in own[index].items():
            route[place[index], place[target]] += share
    first = _solve(np.eye(len(reached)) - route, mean)
    if first is None:
        return None
    second = _solve(np.eye(len(reached)) - route, square + 2.0 * mean * (route @ first))
    return None if second is None else Moments(float(first[0]), max(0.0, float(second[0] - first[0] ** 2)))


def _own(node: Node) -> dict[int, float]:
    found: dict[int, float] = {}
    for target, share in node.routes:
        if target != END:
            found[target] = found.get(target, 0.0) + share
    return found


def _releases(node: Node, resource: str | None) -> bool:
    return node.verb == "release" and node.body.resource == resource


def _reached(leads: dict[int, set[int]], start: int) -> list[int]:
    """The nodes that can be reached, `start` first."""
    found, ahead = {start: None}, [start]
    while ahead:
        for target in sorted(leads[ahead.pop()]):
            if target not in found:
                found[target] = None
                ahead.append(target)
    return list(found)


def _solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    try:
        found = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return None
    sound = np.isfinite(found).all() and (found > -1e-9).all() and (found < VISITS_MAX * max(1.0, float(right.max()))).all()
    return found if sound else None
