"""Quantiles of Student's t: which no library that is used here has."""

from __future__ import annotations

from functools import cache
from math import atan, cos, pi, sin, sqrt

FREEDOM_MAX = 100_000
T_MAX = 1e6


def within(t: float, freedom: int) -> float:
    """Probability that |T| <= t: the finite sums for whole degrees of freedom (Abramowitz and Stegun, "Handbook of mathematical
    functions", 1964, 26.7.3 and 26.7.4)."""
    angle = atan(t / sqrt(freedom))
    square = cos(angle) ** 2
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for number in range(3 if odd else 2, freedom - 1, 2):
        term *= square * (number - 1) / number
        total += term
    return 2.0 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


@cache
def two_sided(freedom: int, level: float = 0.95) -> float:
    """The t with P(|T| <= t) = level, by bisection. `freedom` above FREEDOM_MAX counts as that many."""
    freedom = min(freedom, FREEDOM_MAX)
    low, high = 0.0, 1.0
    while within(high, freedom) < level and high < T_MAX:
        high *= 2.0
    while True:
        middle = (low + high) / 2.0
        if middle in (low, high):
            return middle
        if within(middle, freedom) < level:
            low = middle
        else:
            high = middle
