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


def check_size(size: int, replications: int) -> None:
    """Of a design. Raises TwinError `too-large`."""
    if size > POINTS_MAX or size * replications > RUNS_MAX:
        raise TwinError(
            "too-large",
            f"{size:,} design points with {replications:,} replications each",
            remedy=f"use at most {POINTS_MAX} points and {RUNS_MAX:,} runs: fewer values or replications, or another --design",
        )


def full_factorial(factors: Mapping[str, Sequence[Any]], replications: int) -> list[Point]:
    """Each value of each factor with each of the others; the last factor moves fastest. Raises TwinError `too-large`."""
    check_size(prod(len(values) for values in factors.values()), replications)
    return [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]


def one_at_a_time(factors: Mapping[str, Sequence[Any]], replications: int) -> list[Point]:
    """All first values, then each further value of each factor alone. Raises TwinError `too-large`."""
    check_size(1 + sum(len(values) - 1 for values in factors.values()), replications)
    base = {path: values[0] for path, values in factors.items()}
    return [base, *(base | {path: value} for path, values in factors.items() for value in values[1:])]


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


def main_effects(
    factors: Mapping[str, Sequence[Any]], points: Sequence[Point], runs: Sequence[Sequence[Figures]]
) -> dict[str, dict[str, Estimate]]:
    """For each factor, which has two values, what the second does to each figure: the mean over the points that have it, less the
    mean over those with the first (Law, section 12.2). The design has to be balanced.

    Each replication gives one such effect, and these are independent also where the points share random numbers. A replication in
    which a figure is missing at some point does not count for it.
    """
    found: dict[str, dict[str, Estimate]] = {}
    names = dict.fromkeys(name for own in runs for figures in own for name in figures)
    for path, (_, second) in factors.items():
        high = [point[path] == second for point in points]
        found[path] = {}
        for name in names:
            told = [row for row in zip(*runs, strict=True) if all(name in figures for figures in row)]
            if told:
                found[path][name] = estimate([_effect([figures[name] for figures in row], high) for row in told])
    return found


def _effect(values: Sequence[float], high: Sequence[bool]) -> float:
    with_it = [value for value, is_high in zip(values, high, strict=True) if is_high]
    without = [value for value, is_high in zip(values, high, strict=True) if not is_high]
    return fmean(with_it) - fmean(without)
