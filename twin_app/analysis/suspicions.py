"""What measured times say that a single distribution of independent values cannot: trend, memory, several modes, outliers."""

from __future__ import annotations

from math import expm1, log1p
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from twin_app.analysis.families import Fitted, Unfit, Values, fitted

VALUES_FEW = 30
LEVEL = 0.01
CORRELATION_MIN = 0.1
"""A weaker one is of no consequence, however many values show it."""
OUTLIER_LEVEL = 0.001
MODES_VALUES_MAX = 300
GRID = 128
RESAMPLES = 99
SEED = 20261128


def suspicions(values: Values, best: Fitted | None, fits: bool = False) -> list[str]:
    """A sentence for each, for values in the order in which they were measured.

    `best`: what fits them best of all that has tails. `fits`: some family is not rejected; all of them have a single peak.
    """
    found = []
    if values.size < VALUES_FEW:
        found.append(f"{values.size} values are few: hardly any distribution can be rejected")
    if zeros := int(np.count_nonzero(values == 0.0)):
        found.append(f"{zeros} of {values.size} values are 0: a time too short to measure, or nothing done?")
    if trend := _correlation(np.arange(values.size), values):
        way = "longer" if trend > 0.0 else "shorter"
        found.append(f"the times get {way} in the order of the file (rank correlation {trend:+.2f}): a distribution forgets that")
    elif memory := _correlation(values[:-1], values[1:]):
        likes = "resembles" if memory > 0.0 else "is unlike"
        found.append(f"each time {likes} the one before it (rank correlation {memory:+.2f}): draws would be independent")
    if not fits and several_modes(values):
        found.append("the values have several peaks: perhaps several kinds of work, to be fitted one by one")
    if best is not None:
        found += _outliers(values, best)
    return found


def _correlation(first: NDArray[Any], second: Values) -> float:
    """Of the ranks (Spearman's); 0 where it may be chance."""
    if np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return 0.0
    found = stats.spearmanr(first, second)
    return float(found.statistic) if found.pvalue < LEVEL and abs(found.statistic) >= CORRELATION_MIN else 0.0


def _outliers(values: Values, best: Fitted) -> list[str]:
    """An extreme value that the same family, fitted to the others, would have in fewer than one of 1,000 such files."""
    found = []
    for extreme, name in ((int(values.argmax()), "largest"), (int(values.argmin()), "smallest")):
        try:
            others = fitted(best.family, np.delete(values, extreme))
        except Unfit:
            continue
        below = float(others.below(values[extreme : extreme + 1])[0])
        beyond = 1.0 - below if name == "largest" else below
        if beyond >= 1.0 or -expm1(values.size * log1p(-beyond)) < OUTLIER_LEVEL:
            found.append(f"the {name} value, {values[extreme]:g}, lies far outside of the others: is it a time of the same kind?")
    return found


def several_modes(values: Values) -> bool:
    """Silverman, "Using kernel density estimates to investigate multimodality", 1981: the bandwidth at which one peak is left is
    larger than that of values which have one. Long tails are looked at by their logarithms."""
    generator = np.random.default_rng(SEED)
    if values.size > MODES_VALUES_MAX:
        values = generator.choice(values, MODES_VALUES_MAX, replace=False)
    standard = _standard(values)
    if values.min() > 0.0 and (standard**3).mean() > 1.0:
        standard = _standard(np.log(values))
    low, high = 0.01, 2.0
    for _ in range(12):
        middle = (low + high) / 2.0
        low, high = (middle, high) if _peaks(standard, middle) > 1 else (low, middle)
    # Smoothed draws, shrunk to the variance of the values.
    shrink = 1.0 / np.sqrt(1.0 + high**2)
    more = 0
    for _ in range(RESAMPLES):
        drawn = generator.choice(standard, values.size) + high * generator.standard_normal(values.size)
        more += _peaks(shrink * drawn, high) > 1
    return more < LEVEL * (RESAMPLES + 1)


def _standard(values: Values) -> Values:
    return (values - values.mean()) / (values.std() or 1.0)


def _peaks(values: Values, bandwidth: float) -> int:
    grid = np.linspace(values.min() - bandwidth, values.max() + bandwidth, GRID)
    heights = np.exp(-0.5 * ((grid[:, None] - values[None, :]) / bandwidth) ** 2).sum(axis=1)
    rising = np.diff(heights) > 0.0
    return int(np.count_nonzero(rising[:-1] & ~rising[1:]))
