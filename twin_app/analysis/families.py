"""The distributions of the blueprint language that can hold measured times, fitted by maximum likelihood: what scipy calls them,
their parameters as our sampler takes them, and draws as our sampler makes them.

Needs scipy (extra `fit`). Sources of the formulas: Johnson, Kotz and Balakrishnan, "Continuous univariate distributions", 1994.
"""

from __future__ import annotations

from collections.abc import Callable
from math import expm1, floor, inf, isfinite, log, pi, sqrt
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy import optimize, special, stats

from models.distributions import Distribution

Values = NDArray[np.float64]
Arguments = tuple[float, ...]
"""scipy's: shapes, then location and scale."""

CUT_SDS_MAX = 5.0
"""A normal distribution is not cut further out than this above its mean: what is left of it looks exponential."""
CUT_SHARE_MIN = 1e-4
"""Less than this below 0: the truncated normal is the normal distribution."""
STAGES_MAX = 100

_checked = TypeAdapter(Distribution)


class Unfit(Exception):
    """This family cannot hold these values; the text says why."""


class Family(NamedTuple):
    """`free`: number of fitted parameters. `tails`: whether it goes on above the largest value.

    `fit` goes from values to scipy's arguments, `parameters` from there to ours.
    """

    name: str
    shape: Any
    free: int
    fit: Callable[[Values], Arguments]
    parameters: Callable[[Arguments], dict[str, float]]
    tails: bool = True


class Fitted(NamedTuple):
    """A family with its arguments."""

    family: Family
    arguments: Arguments

    def distribution(self) -> dict[str, dict[str, float]]:
        """As a blueprint writes it, to six digits."""
        return {self.family.name: {name: rounded(value) for name, value in self.family.parameters(self.arguments).items()}}

    def log_likelihood(self, values: Values) -> float:
        return float(np.sum(self.family.shape.logpdf(values, *self.arguments)))

    def below(self, values: Values) -> Values:
        """The distribution function."""
        return self.family.shape.cdf(values, *self.arguments)

    def density(self, values: Values) -> Values:
        return self.family.shape.pdf(values, *self.arguments)

    def draw(self, size: tuple[int, int], generator: np.random.Generator) -> Values:
        """Never below 0: the normal distribution is clipped there, as it is in the blueprint."""
        return np.maximum(self.family.shape.rvs(*self.arguments, size=size, random_state=generator), 0.0)


def fitted(family: Family, values: Values) -> Fitted:
    """The most likely parameters for values >= 0 that are not all equal, within the bounds of a blueprint. Raises Unfit."""
    found = Fitted(family, arguments(family, values))
    try:
        if not isfinite(found.log_likelihood(values)):
            raise Unfit("no parameters were found")
        _checked.validate_python(found.distribution())
    except ValidationError as error:
        raise Unfit(f"its parameters would be out of bounds: {error.errors()[0]['msg']}".lower()) from error
    except OverflowError as error:
        raise Unfit("its parameters would be out of bounds") from error
    return found


def arguments(family: Family, values: Values) -> Arguments:
    """The most likely ones, whatever they are. Raises Unfit."""
    try:
        with catch_warnings():
            simplefilter("ignore", RuntimeWarning)  # of solvers that stop short: what they end with is judged
            found = tuple(float(value) for value in family.fit(values))
    except (ValueError, RuntimeError, OverflowError, ZeroDivisionError, stats.FitError) as error:
        raise Unfit("no parameters were found") from error
    if not all(map(isfinite, (found[0], *found[-2:]))) or found[-1] <= 0.0:
        raise Unfit("no parameters were found")
    return found


def rounded(value: float) -> float:
    """To six digits; a whole number stays one."""
    return value if isinstance(value, int) else float(f"{value:.6g}")


def _above_zero(values: Values) -> None:
    if values.min() <= 0.0:
        raise Unfit("0 was measured, and it never gives 0")


# -- fits
def _exponential(values: Values) -> Arguments:
    return 0.0, values.mean()


def _normal(values: Values) -> Arguments:
    return values.mean(), values.std()


def _truncated_normal(values: Values) -> Arguments:
    """Cut at 0. The most likely parameters are those with the sample's first two moments (an exponential family): with the mean
    `cut` standard deviations below 0, E X = sd·(h - cut) and E X² = sd²·(1 - cut·h + cut²), h being the hazard at `cut`."""
    first, second = float(values.mean()), float((values**2).mean())
    if stats.norm.cdf(0.0, first, sqrt(max(second - first**2, 0.0))) < CUT_SHARE_MIN:
        raise Unfit("it would be the normal distribution")

    def hazard(cut: float) -> float:
        return float(np.exp(-0.5 * cut * cut - special.log_ndtr(-cut))) / sqrt(2.0 * pi)

    def excess(cut: float) -> float:
        h = hazard(cut)
        return (1.0 - cut * h + cut * cut) / (h - cut) ** 2 - second / first**2

    if excess(CUT_SDS_MAX) <= 0.0:
        raise Unfit("it would be an exponential distribution, or one with more spread")
    cut = float(optimize.brentq(excess, -8.0, CUT_SDS_MAX))
    sd = first / (hazard(cut) - cut)
    return cut, inf, -cut * sd, sd


def _lognormal(values: Values) -> Arguments:
    _above_zero(values)
    logs = np.log(values)
    return logs.std(), 0.0, np.exp(logs.mean())


def _lognormal_moments(found: Arguments) -> dict[str, float]:
    sigma, _, median = found
    mean = median * float(np.exp(sigma**2 / 2.0))
    return {"mean": mean, "sd": mean * sqrt(expm1(sigma**2))}


def _uniform(values: Values) -> Arguments:
    return values.min(), np.ptp(values)


def _triangular(values: Values) -> Arguments:
    """For any bounds the most likely mode is one of the values (van Dorp and Kotz, "A novel extension of the triangular
    distribution", 2002):
    all are tried at once. The bounds by the simplex method."""
    ordered, n = np.sort(values), values.size
    least, most = float(ordered[0]), float(ordered[-1])
    width = most - least
    ranks, tiny = np.arange(n), 1e-12 * width

    def costs(low: float, high: float) -> Values:
        """Minus the log-likelihood for each value as the mode."""
        below, above = np.log(np.maximum(ordered - low, tiny)), np.log(np.maximum(high - ordered, tiny))
        left, right = np.cumsum(below) - below, np.cumsum(above[::-1])[::-1]
        return ranks * below - left + (n - ranks) * above - right + n * log((high - low) / 2.0)

    def cost(bounds: Values) -> float:
        low, high = bounds
        return float(costs(low, high).min()) if 0.0 <= low <= least and most <= high else inf

    start = np.array([max(0.0, least - 0.05 * width), most + 0.05 * width])
    simplex = start + width * np.array([[0.0, 0.0], [0.04, 0.0], [0.0, 0.1]])
    simplex[1][0] = (start[0] + least) / 2.0
    found = optimize.minimize(
        cost,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": 200, "xatol": 1e-3 * width, "fatol": 1e-2},
    )
    low, high = found.x
    mode = float(ordered[np.argmin(costs(low, high))])
    return (mode - low) / (high - low), low, high - low


def _triangular_bounds(found: Arguments) -> dict[str, float]:
    share, low, width = found
    return {"low": low, "mode": low + share * width, "high": low + width}


def _gamma(values: Values) -> Arguments:
    _above_zero(values)
    return stats.gamma.fit(values, floc=0.0)


def _erlang(values: Values) -> Arguments:
    """The likelihood has one peak over the shape, so the best whole one is beside the gamma distribution's."""
    shape = _gamma(values)[0]
    if shape < 1.5:
        raise Unfit("it would be the exponential distribution")
    mean = float(values.mean())
    near = [k for k in (floor(shape), floor(shape) + 1) if 2 <= k <= STAGES_MAX]
    if not near:
        raise Unfit(f"it would need more than {STAGES_MAX} stages")
    best = max(near, key=lambda k: float(np.sum(stats.gamma.logpdf(values, k, 0.0, mean / k))))
    return float(best), 0.0, mean / best


def _weibull(values: Values) -> Arguments:
    """The shape is the root of sum(x^k ln x)/sum(x^k) - 1/k - mean(ln x), the scale follows."""
    _above_zero(values)
    logs = np.log(values / values.max())
    middle = float(logs.mean())

    def slope(shape: float) -> float:
        powers = np.exp(shape * logs)
        return float((powers * logs).sum() / powers.sum()) - 1.0 / shape - middle

    shape = float(optimize.brentq(slope, 0.02, 1e6))
    return shape, 0.0, values.max() * np.exp(shape * logs).mean() ** (1.0 / shape)


def _beta(values: Values) -> Arguments:
    """Between bounds one n-th of the range outside the extremes: over all four parameters the likelihood has no maximum."""
    margin = float(np.ptp(values)) / values.size
    low = max(0.0, float(values.min()) - margin)
    width = float(values.max()) + margin - low
    if low == float(values.min()):
        raise Unfit("0 was measured, and it never gives 0")
    return stats.beta.fit(values, floc=low, fscale=width)


FAMILIES = (
    Family("exponential", stats.expon, 1, _exponential, lambda a: {"mean": a[1]}),
    Family("normal", stats.norm, 2, _normal, lambda a: {"mean": a[0], "sd": a[1], "min": 0}),
    Family("truncated_normal", stats.truncnorm, 2, _truncated_normal, lambda a: {"mean": a[2], "sd": a[3], "low": 0}),
    Family("lognormal", stats.lognorm, 2, _lognormal, _lognormal_moments),
    Family("uniform", stats.uniform, 2, _uniform, lambda a: {"low": a[0], "high": a[0] + a[1]}, False),
    Family("gamma", stats.gamma, 2, _gamma, lambda a: {"shape": a[0], "scale": a[2]}),
    Family("erlang", stats.gamma, 2, _erlang, lambda a: {"stages": int(a[0]), "mean": a[0] * a[2]}),
    Family("weibull", stats.weibull_min, 2, _weibull, lambda a: {"shape": a[0], "scale": a[2]}),
    Family("triangular", stats.triang, 3, _triangular, _triangular_bounds, False),
    Family("beta", stats.beta, 4, _beta, lambda a: {"a": a[0], "b": a[1], "low": a[2], "high": a[2] + a[3]}, False),
)
