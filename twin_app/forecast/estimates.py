"""Statistics of replications: quantiles, proportions, means and paired differences, each with its 90 % interval."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.forecasts import INTERVAL

Array = NDArray[np.float64]

Z = NormalDist().inv_cdf((1 + INTERVAL) / 2)

STUDENT_95 = (
    *(6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812),
    *(1.796, 1.782, 1.771, 1.761, 1.753, 1.746, 1.740, 1.734, 1.729, 1.725),
    *(1.721, 1.717, 1.714, 1.711, 1.708, 1.706, 1.703, 1.701, 1.699, 1.697),
)
"""95 % quantiles of Student's t with 1 to 30 degrees of freedom (any table of it)."""


class Interval(NamedTuple):
    """An estimate and the interval that it comes with."""

    estimate: float
    low: float | None
    high: float | None


def student_95(freedom: int) -> float:
    """95 % quantile of Student's t; beyond the table by two terms of the Cornish-Fisher expansion, right to three decimals."""
    if freedom <= len(STUDENT_95):
        return STUDENT_95[freedom - 1]
    return Z + (Z**3 + Z) / (4 * freedom) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)


def wilson(hits: int, trials: int) -> Interval:
    """A proportion with its Wilson score interval (Wilson 1927): sensible at 0 and at all of them, too."""
    if not trials:
        return Interval(0.0, 0.0, 1.0)
    p, square = hits / trials, Z * Z
    centre = (p + square / (2 * trials)) / (1 + square / trials)
    half = Z * sqrt(p * (1 - p) / trials + square / (4 * trials * trials)) / (1 + square / trials)
    return Interval(p, 0.0 if hits == 0 else centre - half, 1.0 if hits == trials else centre + half)


def mean_interval(values: Array, *, exact: bool) -> Interval:
    """The mean of independent replications with its t interval. One replication has none, unless it is `exact`."""
    n = len(values)
    mean = float(values.mean())
    if exact:
        return Interval(mean, mean, mean)
    if n < 2:
        return Interval(mean, None, None)
    half = student_95(n - 1) * float(values.std(ddof=1)) / sqrt(n)
    return Interval(mean, mean - half, mean + half)


def quantiles(values: Array, which: Any) -> Array:
    """Quantiles over the first axis so that a further replication falls below the p quantile with probability p.

    That is position (n + 1)p among the n ordered values (Weibull 1939). With few replications the outer ones are the extremes,
    and hold less: see `coverage`. Infinite values are times that did not come; a quantile among them is infinite.
    """
    ordered = np.sort(values, axis=0)
    n = len(ordered)
    at = np.clip((n + 1) * np.asarray(which, dtype=np.float64), 1, n) - 1
    below = np.floor(at).astype(np.int64)
    above = np.minimum(below + 1, n - 1)
    part = (at - below).reshape(-1, *[1] * (values.ndim - 1))
    low, high = ordered[below], ordered[above]
    with np.errstate(invalid="ignore"):
        mixed = low + (high - low) * part
    return np.where((part == 0) | (low == high), low, mixed)


def coverage(replications: int) -> float:
    """Share of futures between the outer quantiles: the interval asked for, or what the extremes of few replications hold."""
    return min(INTERVAL, max(0.0, (replications - 1) / (replications + 1)))


def finite(value: float) -> float | None:
    """The number, or None for one that is infinite or undefined."""
    return float(value) if np.isfinite(value) else None
