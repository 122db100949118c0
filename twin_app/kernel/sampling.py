"""Drawing from distributions: by inversion with one uniform number per draw (so that common random numbers stay in step)
where that is possible; gamma, Erlang, beta and large Poisson values take several.

A sampler owns its stream and its live parameters. Changing a parameter never moves the stream. Only `math` and
`statistics` compute here: numpy's vectorised logarithms differ in the last bit between processors.
"""

from bisect import bisect_right
from itertools import accumulate
from math import exp, floor, inf, lgamma, log, sqrt
from statistics import NormalDist
from typing import Any

from models.distributions import kind_of, parameters_of, with_parameters
from twin_app.kernel.streams import Stream

_standard_normal = NormalDist().inv_cdf

REJECTIONS_MAX = 1_000
"""Bound of every rejection loop; each try is accepted with a probability above one half."""


class Sampler(Stream):
    """A random stream with a distribution. `draw()` gives the next value; it takes an entity so as to be usable as an amount."""

    __slots__ = ("_parameters", "distribution")

    def __init__(self, seed: int, name: str, distribution: Any) -> None:
        super().__init__(seed, name)
        self.take(distribution)

    def take(self, distribution: Any) -> None:
        """Draw from `distribution` (of the same kind) from now on."""
        self.distribution = distribution
        self._parameters: dict[str, float] | None = None
        self._prepare(getattr(distribution, kind_of(distribution)))

    def parameters(self) -> dict[str, float]:
        """The live parameters. Not to be changed by the caller: `take` is the way."""
        if self._parameters is None:
            self._parameters = {name: float(value) for name, value in parameters_of(self.distribution).items()}
        return self._parameters

    def changed(self, changes: dict[str, float]) -> Any:
        """The distribution with changed parameters, checked, not yet taken. Raises pydantic's ValidationError."""
        return with_parameters(self.distribution, changes)

    def _prepare(self, body: Any) -> None:
        raise NotImplementedError

    def draw(self, entity: Any = None) -> Any:
        raise NotImplementedError


class ConstantSampler(Sampler):
    __slots__ = ("_value",)

    def _prepare(self, body: Any) -> None:
        self._value = float(body)

    def draw(self, entity: Any = None) -> float:
        return self._value


class ExponentialSampler(Sampler):
    """-mean·ln(u). A rate of 0: never (infinity)."""

    __slots__ = ("_mean",)

    def _prepare(self, body: Any) -> None:
        self._mean = body.mean if body.mean is not None else 1.0 / body.rate if body.rate > 0 else inf

    def draw(self, entity: Any = None) -> float:
        index = self._index  # the same as uniform(), written out: this is the most frequent draw
        if index == self._size:
            self._refill()
            index = 0
        self._index = index + 1
        return -self._mean * log(self._block[index])


class NormalSampler(Sampler):
    __slots__ = ("_high", "_low", "_mean", "_sd")

    def _prepare(self, body: Any) -> None:
        self._mean, self._sd = body.mean, body.sd
        self._low = body.min if body.min is not None else -inf
        self._high = body.max if body.max is not None else inf

    def draw(self, entity: Any = None) -> float:
        value = self._mean + self._sd * _standard_normal(self.uniform())
        return self._low if value < self._low else self._high if value > self._high else value


class UniformSampler(Sampler):
    __slots__ = ("_low", "_width")

    def _prepare(self, body: Any) -> None:
        self._low, self._width = body.low, body.high - body.low

    def draw(self, entity: Any = None) -> float:
        return self._low + self._width * self.uniform()


class TriangularSampler(Sampler):
    __slots__ = ("_high", "_low", "_mode", "_split")

    def _prepare(self, body: Any) -> None:
        self._low, self._mode, self._high = body.low, body.mode, body.high
        self._split = (body.mode - body.low) / (body.high - body.low) if body.high > body.low else 1.0

    def draw(self, entity: Any = None) -> float:
        u = self.uniform()
        if u <= self._split:
            return self._low + sqrt(u * (self._high - self._low) * (self._mode - self._low))
        return self._high - sqrt((1.0 - u) * (self._high - self._low) * (self._high - self._mode))


class LognormalSampler(Sampler):
    """Given the mean m and the standard deviation s of the value: s_log² = ln(1 + s²/m²), mu = ln(m) - s_log²/2."""

    __slots__ = ("_mu", "_sigma")

    def _prepare(self, body: Any) -> None:
        variance = log(1.0 + (body.sd / body.mean) ** 2)
        self._sigma = sqrt(variance)
        self._mu = log(body.mean) - variance / 2.0

    def draw(self, entity: Any = None) -> float:
        return exp(self._mu + self._sigma * _standard_normal(self.uniform()))


class TruncatedNormalSampler(Sampler):
    """Inversion between the probabilities of the two bounds."""

    __slots__ = ("_from", "_high", "_low", "_mean", "_sd", "_width")

    def _prepare(self, body: Any) -> None:
        self._mean, self._sd, self._low, self._high = body.mean, body.sd, body.low, body.high
        normal = NormalDist(body.mean, body.sd)
        self._from = normal.cdf(body.low)
        self._width = normal.cdf(body.high) - self._from

    def draw(self, entity: Any = None) -> float:
        probability = self._from + self._width * self.uniform()
        if not 0.0 < probability < 1.0:  # the interval lies where the normal distribution has no mass left to tell apart
            return self._low if probability <= 0.0 and self._low > self._mean else min(max(self._mean, self._low), self._high)
        return min(max(self._mean + self._sd * _standard_normal(probability), self._low), self._high)


def _standard_gamma(stream: Stream, shape: float) -> float:
    """Marsaglia and Tsang, "A simple method for generating gamma variables", 2000. Takes as many uniforms as it needs."""
    if shape < 1.0:
        return _standard_gamma(stream, shape + 1.0) * stream.uniform() ** (1.0 / shape)
    d = shape - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    for _ in range(REJECTIONS_MAX):
        x = _standard_normal(stream.uniform())
        v = (1.0 + c * x) ** 3
        if v > 0.0 and log(stream.uniform()) < 0.5 * x * x + d - d * v + d * log(v):
            return d * v
    return d


class GammaSampler(Sampler):
    __slots__ = ("_scale", "_shape")

    def _prepare(self, body: Any) -> None:
        self._shape, self._scale = body.shape, body.scale

    def draw(self, entity: Any = None) -> float:
        return self._scale * _standard_gamma(self, self._shape)


class ErlangSampler(Sampler):
    __slots__ = ("_mean", "_stages")

    def _prepare(self, body: Any) -> None:
        self._stages, self._mean = body.stages, body.mean / body.stages

    def draw(self, entity: Any = None) -> float:
        return -self._mean * sum([log(self.uniform()) for _ in range(self._stages)])


class WeibullSampler(Sampler):
    """scale·(-ln u)^(1/shape)."""

    __slots__ = ("_power", "_scale")

    def _prepare(self, body: Any) -> None:
        self._power, self._scale = 1.0 / body.shape, body.scale

    def draw(self, entity: Any = None) -> float:
        return self._scale * (-log(self.uniform())) ** self._power


class BetaSampler(Sampler):
    """X/(X + Y) of two gamma values."""

    __slots__ = ("_a", "_b", "_low", "_width")

    def _prepare(self, body: Any) -> None:
        self._a, self._b, self._low, self._width = body.a, body.b, body.low, body.high - body.low

    def draw(self, entity: Any = None) -> float:
        x, y = _standard_gamma(self, self._a), _standard_gamma(self, self._b)
        return self._low + self._width * (x / (x + y) if x + y > 0.0 else 0.5)


class PoissonSampler(Sampler):
    """Below a mean of 30 by inversion; above by transformed rejection (Hoermann, "The transformed rejection method for
    generating Poisson random variables", 1993, algorithm PTRS)."""

    __slots__ = ("_mean",)

    def _prepare(self, body: Any) -> None:
        self._mean = body.mean

    def draw(self, entity: Any = None) -> int:
        return self._invert() if self._mean < 30.0 else self._reject()

    def _invert(self) -> int:
        u = self.uniform()
        number = 0
        probability = exp(-self._mean)
        while u > probability and number < 1000:
            u -= probability
            number += 1
            probability *= self._mean / number
        return number

    def _reject(self) -> int:
        mean = self._mean
        b = 0.931 + 2.53 * sqrt(mean)
        a = -0.059 + 0.02483 * b
        inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
        accept_below = 0.9277 - 3.6224 / (b - 2.0)
        for _ in range(REJECTIONS_MAX):
            u, v = self.uniform() - 0.5, self.uniform()
            distance = 0.5 - abs(u)
            if distance <= 0.0:
                continue
            number = floor((2.0 * a / distance + b) * u + mean + 0.43)
            if distance >= 0.07 and v <= accept_below:
                return number
            if number < 0 or (distance < 0.013 and v > distance):
                continue
            likelihood = number * log(mean) - mean - lgamma(number + 1)
            if log(v * inverse_alpha / (a / (distance * distance) + b)) <= likelihood:
                return number
        return round(mean)


class EmpiricalSampler(Sampler):
    """The inverse of the piecewise linear distribution function through the sorted values."""

    __slots__ = ("_sorted",)

    def _prepare(self, body: Any) -> None:
        self._sorted = sorted(body.values)

    def draw(self, entity: Any = None) -> float:
        values = self._sorted
        place = self.uniform() * (len(values) - 1)
        below = min(int(place), len(values) - 1)
        above = min(below + 1, len(values) - 1)
        return values[below] + (values[above] - values[below]) * (place - below)


class ChoiceSampler(Sampler):
    __slots__ = ("_cumulated", "_total", "_values")

    def _prepare(self, body: Any) -> None:
        self._values = body.values
        self._cumulated = list(accumulate(body.weights or [1.0] * len(body.values)))
        self._total = self._cumulated[-1]

    def draw(self, entity: Any = None) -> Any:
        place = bisect_right(self._cumulated, self.uniform() * self._total)
        return self._values[min(place, len(self._values) - 1)]


SAMPLERS: dict[str, type[Sampler]] = {
    "constant": ConstantSampler,
    "exponential": ExponentialSampler,
    "normal": NormalSampler,
    "uniform": UniformSampler,
    "triangular": TriangularSampler,
    "lognormal": LognormalSampler,
    "truncated_normal": TruncatedNormalSampler,
    "gamma": GammaSampler,
    "erlang": ErlangSampler,
    "weibull": WeibullSampler,
    "beta": BetaSampler,
    "poisson": PoissonSampler,
    "empirical": EmpiricalSampler,
    "choice": ChoiceSampler,
}


def sampler(seed: int, name: str, distribution: Any) -> Sampler:
    """A sampler for a distribution of the blueprint; `name` is the stream's."""
    return SAMPLERS[kind_of(distribution)](seed, name, distribution)
