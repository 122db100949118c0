"""Mean and variance of the distributions, as the kernel draws them (clipped, cut and interpolated in the same way).

Closed forms as in any table of distributions (Johnson, Kotz, Balakrishnan, "Continuous univariate distributions", 1994/95).
"""

from __future__ import annotations

from itertools import pairwise
from math import gamma, inf, isfinite
from statistics import NormalDist
from typing import Any, NamedTuple

from models.distributions import kind_of

_STANDARD = NormalDist()


class Moments(NamedTuple):
    """Mean and variance, in the unit of what is drawn and its square."""

    mean: float
    variance: float

    @property
    def scv(self) -> float:
        """Squared coefficient of variation, variance/mean²: 0 constant, 1 exponential."""
        return self.variance / (self.mean * self.mean) if self.mean else 0.0

    @property
    def square(self) -> float:
        """The second moment."""
        return self.variance + self.mean * self.mean


def moments_of(distribution: Any) -> Moments | None:
    """None where there are none: a rate of 0 (never), values that are no numbers, or a variance beyond every number."""
    kind = kind_of(distribution)
    try:
        found = _FORMULAS[kind](getattr(distribution, kind))
    except (OverflowError, TypeError):
        return None
    return found if found is not None and isfinite(found.mean) and isfinite(found.variance) else None


def _exponential(body: Any) -> Moments | None:
    if body.mean is None and body.rate == 0:
        return None
    mean = body.mean if body.mean is not None else 1.0 / body.rate
    return Moments(mean, mean * mean)


def _normal(body: Any) -> Moments:
    """Clipped to [min, max]: the mass beyond a bound lies on it (the moments of a censored normal, Greene, "Econometric
    analysis", theorem 19.3, for two bounds)."""
    low, high = body.min if body.min is not None else -inf, body.max if body.max is not None else inf
    if body.sd == 0:
        return Moments(min(max(body.mean, low), high), 0.0)
    below, above = _STANDARD.cdf((low - body.mean) / body.sd), _STANDARD.cdf((body.mean - high) / body.sd)
    inside = 1.0 - below - above
    within, square = _cut(body.mean, body.sd, low, high, inside) if inside > 1e-12 else (0.0, 0.0)
    first = inside * within + (below * low if below else 0.0) + (above * high if above else 0.0)
    second = inside * square + (below * low * low if below else 0.0) + (above * high * high if above else 0.0)
    return Moments(first, max(0.0, second - first * first))


def _cut(mean: float, sd: float, low: float, high: float, inside: float) -> tuple[float, float]:
    """First and second moment of a normal given that it lies between the bounds (Johnson et al., section 13.10.1)."""
    a, b = (low - mean) / sd, (high - mean) / sd
    at_a, at_b = _STANDARD.pdf(a) if isfinite(a) else 0.0, _STANDARD.pdf(b) if isfinite(b) else 0.0
    tilt = (at_a - at_b) / inside
    spread = 1.0 + ((a * at_a if at_a else 0.0) - (b * at_b if at_b else 0.0)) / inside - tilt * tilt
    first = mean + sd * tilt
    return first, sd * sd * max(0.0, spread) + first * first


def _truncated_normal(body: Any) -> Moments | None:
    inside = _STANDARD.cdf((body.high - body.mean) / body.sd) - _STANDARD.cdf((body.low - body.mean) / body.sd)
    if inside <= 1e-12:  # the formula cancels to nothing out there
        return None
    first, square = _cut(body.mean, body.sd, body.low, body.high, inside)
    return Moments(first, max(0.0, square - first * first))


def _triangular(body: Any) -> Moments:
    a, c, b = body.low, body.mode, body.high
    return Moments((a + b + c) / 3.0, (a * a + b * b + c * c - a * b - a * c - b * c) / 18.0)


def _weibull(body: Any) -> Moments:
    first, second = gamma(1.0 + 1.0 / body.shape), gamma(1.0 + 2.0 / body.shape)
    return Moments(body.scale * first, body.scale**2 * max(0.0, second - first * first))


def _beta(body: Any) -> Moments:
    width, total = body.high - body.low, body.a + body.b
    return Moments(body.low + width * body.a / total, width**2 * body.a * body.b / (total * total * (total + 1.0)))


def _empirical(body: Any) -> Moments:
    """Of the piecewise linear distribution function: each gap between neighbours is equally likely, and uniform in itself."""
    ordered = sorted(body.values)
    gaps = list(pairwise(ordered)) or [(ordered[0], ordered[0])]
    first = sum((a + b) / 2.0 for a, b in gaps) / len(gaps)
    shifted = [(a - first, b - first) for a, b in gaps]
    return Moments(first, sum((a * a + a * b + b * b) / 3.0 for a, b in shifted) / len(gaps))


def _choice(body: Any) -> Moments | None:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in body.values):
        return None
    weights = body.weights or [1.0] * len(body.values)
    first = sum(w * v for w, v in zip(weights, body.values, strict=True)) / sum(weights)
    return Moments(first, sum(w * (v - first) ** 2 for w, v in zip(weights, body.values, strict=True)) / sum(weights))


_FORMULAS: dict[str, Any] = {
    "constant": lambda body: Moments(float(body), 0.0),
    "exponential": _exponential,
    "normal": _normal,
    "truncated_normal": _truncated_normal,
    "uniform": lambda body: Moments((body.low + body.high) / 2.0, (body.high - body.low) ** 2 / 12.0),
    "triangular": _triangular,
    "lognormal": lambda body: Moments(body.mean, body.sd**2),
    "gamma": lambda body: Moments(body.shape * body.scale, body.shape * body.scale**2),
    "erlang": lambda body: Moments(body.mean, body.mean**2 / body.stages),
    "weibull": _weibull,
    "beta": _beta,
    "poisson": lambda body: Moments(body.mean, body.mean),
    "empirical": _empirical,
    "choice": _choice,
}
