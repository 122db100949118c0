"""Design points, and what their replications say: means and paired differences with 95 % intervals of Student's t."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod, sqrt
from statistics import fmean, stdev
from typing import Any, NamedTuple

from models.errors import TwinError
from twin_app.analysis.student import two_sided

POINTS_MAX = 256
REPLICATIONS_MAX = 10_000
RUNS_MAX = 100_000

Point = dict[str, Any]
Figures = Mapping[str, float]


class Estimate(NamedTuple):
    """Mean over so many `replications` and half the width of its 95 % interval; None for a single replication."""

    mean: float
    half: float | None
    replications: int


class Result(NamedTuple):
    """One design point: its changes, the estimates, and the paired differences to the first point (none at the first)."""

    changes: Point
    figures: dict[str, Estimate]
    differences: dict[str, Estimate]


def full_factorial(factors: Mapping[str, Sequence[Any]], replications: int) -> list[Point]:
    """Each value of each factor with each of the others; the last factor moves fastest. Raises TwinError `too-large`."""
    size = prod(len(values) for values in factors.values())
    if size > POINTS_MAX or size * replications > RUNS_MAX:
        raise TwinError(
            "too-large",
            f"{size:,} design points with {replications:,} replications each",
            remedy=f"use at most {POINTS_MAX} points and {RUNS_MAX:,} runs: fewer values, or fewer replications",
        )
    return [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]


def estimate(values: Sequence[float]) -> Estimate:
    """Of independent replications, at least one (Law, "Simulation modeling and analysis", section 4.5)."""
    if len(values) < 2:
        return Estimate(values[0], None, 1)
    return Estimate(fmean(values), two_sided(len(values) - 1) * stdev(values) / sqrt(len(values)), len(values))


def results(points: Sequence[Point], runs: Sequence[Sequence[Figures]]) -> list[Result]:
    """`runs`: for each point its replications in order. Differences are of the same replication (paired-t, Law, section 10.2.1):
    with common random numbers they vary less. A replication in which a figure is missing does not count for it."""
    found = []
    for point, own in zip(points, runs, strict=True):
        names = dict.fromkeys(name for figures in own for name in figures)
        means = {name: estimate([figures[name] for figures in own if name in figures]) for name in names}
        differences = {}
        for name in names if own is not runs[0] else ():
            pairs = [b[name] - a[name] for a, b in zip(runs[0], own, strict=True) if name in a and name in b]
            if pairs:
                differences[name] = estimate(pairs)
        found.append(Result(point, means, differences))
    return found
