"""Distributions as data: `{normal: {mean: 4.0, sd: 0.5, min: 0}}`. Each is a mapping with one key.

Every number in one is a live parameter: `services.turning.mean`, `arrivals.orders.rate`; a `constant` is addressed by its own
name (`services.milling.constant`). The sampling itself, with the sources of the formulas, is in `twin_app/kernel/sampling.py`.
"""

from functools import cache
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from models.base import Json, Model, only_key

VALUES_MAX = 10_000
_NUMBERS = (int, float)

Real = Annotated[float, Field(ge=-1e12, le=1e12)]
Positive = Annotated[float, Field(gt=0, le=1e12)]
NonNegative = Annotated[float, Field(ge=0, le=1e12)]


class ExponentialParameters(Model):
    """`mean` or `rate` (= 1/mean). The one that the author wrote is the live parameter; a rate of 0 never happens."""

    mean: Positive | None = None
    rate: NonNegative | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "ExponentialParameters":
        if (self.mean is None) == (self.rate is None):
            raise ValueError("give either `mean` or `rate`")
        return self


class NormalParameters(Model):
    """Mean and standard deviation; draws are clipped to [`min`, `max`] where given (for a cut-off tail: `truncated_normal`)."""

    mean: Real
    sd: NonNegative
    min: Real | None = None
    max: Real | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "NormalParameters":
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self


class UniformParameters(Model):
    low: Real
    high: Real

    @model_validator(mode="after")
    def _ordered(self) -> "UniformParameters":
        if self.low > self.high:
            raise ValueError("`low` is above `high`")
        return self


class TriangularParameters(Model):
    low: Real
    mode: Real
    high: Real

    @model_validator(mode="after")
    def _ordered(self) -> "TriangularParameters":
        if not self.low <= self.mode <= self.high:
            raise ValueError("needs `low` <= `mode` <= `high`")
        return self


class LognormalParameters(Model):
    """Mean and standard deviation of the value itself, not of its logarithm."""

    mean: Positive
    sd: NonNegative


class TruncatedNormalParameters(Model):
    """A normal distribution given that the value lies between `low` and `high`: the tails are cut off, not clipped.

    `mean` and `sd` are those of the normal distribution before it is cut.
    """

    mean: Real
    sd: Positive
    low: Real = -1e12
    high: Real = 1e12

    @model_validator(mode="after")
    def _ordered(self) -> "TruncatedNormalParameters":
        if self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        return self


class GammaParameters(Model):
    """Mean shape·scale, variance shape·scale²."""

    shape: Annotated[float, Field(gt=0, le=1e6)]
    scale: Positive


class ErlangParameters(Model):
    """The sum of `stages` exponential times of mean `mean`/`stages` each."""

    stages: Annotated[int, Field(ge=1, le=100)]
    mean: Positive


class WeibullParameters(Model):
    """Mean scale·Gamma(1 + 1/shape)."""

    shape: Annotated[float, Field(ge=0.05, le=1e6)]
    scale: Positive


class BetaParameters(Model):
    """Between `low` and `high`; mean low + (high - low)·a/(a + b)."""

    a: Annotated[float, Field(gt=0.01, le=1e6)]
    b: Annotated[float, Field(gt=0.01, le=1e6)]
    low: Real = 0.0
    high: Real = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> "BetaParameters":
        if self.low > self.high:
            raise ValueError("`low` is above `high`")
        return self


class PoissonParameters(Model):
    """A whole number of events, `mean` on average."""

    mean: Annotated[float, Field(gt=0, le=1e9)]


class EmpiricalParameters(Model):
    """As measured: any value between the smallest and the largest of `values`, interpolated between neighbours."""

    values: list[Real] = Field(min_length=1, max_length=VALUES_MAX)


class ChoiceParameters(Model):
    """One of `values`, with `weights` (all equal when left out; they need not add up to 1)."""

    values: list[Json] = Field(min_length=1, max_length=VALUES_MAX)
    weights: list[NonNegative] | None = None

    @model_validator(mode="after")
    def _matching(self) -> "ChoiceParameters":
        if self.weights is not None and (len(self.weights) != len(self.values) or sum(self.weights) <= 0):
            raise ValueError("needs one weight for each value, and at least one of them above 0")
        return self


class Constant(Model):
    constant: Real


class Exponential(Model):
    exponential: ExponentialParameters


class Normal(Model):
    normal: NormalParameters


class Uniform(Model):
    uniform: UniformParameters


class Triangular(Model):
    triangular: TriangularParameters


class Lognormal(Model):
    lognormal: LognormalParameters


class TruncatedNormal(Model):
    truncated_normal: TruncatedNormalParameters


class Gamma(Model):
    gamma: GammaParameters


class Erlang(Model):
    erlang: ErlangParameters


class Weibull(Model):
    weibull: WeibullParameters


class Beta(Model):
    beta: BetaParameters


class Poisson(Model):
    poisson: PoissonParameters


class Empirical(Model):
    empirical: EmpiricalParameters


class Choice(Model):
    choice: ChoiceParameters


DISTRIBUTIONS = frozenset(
    {"constant", "exponential", "normal", "truncated_normal", "uniform", "triangular", "lognormal", "gamma", "erlang"}
    | {"weibull", "beta", "poisson", "empirical", "choice"}
)

AnyDistribution = (
    Annotated[Constant, Tag("constant")]
    | Annotated[Exponential, Tag("exponential")]
    | Annotated[Normal, Tag("normal")]
    | Annotated[Uniform, Tag("uniform")]
    | Annotated[Triangular, Tag("triangular")]
    | Annotated[Lognormal, Tag("lognormal")]
    | Annotated[TruncatedNormal, Tag("truncated_normal")]
    | Annotated[Gamma, Tag("gamma")]
    | Annotated[Erlang, Tag("erlang")]
    | Annotated[Weibull, Tag("weibull")]
    | Annotated[Beta, Tag("beta")]
    | Annotated[Poisson, Tag("poisson")]
    | Annotated[Empirical, Tag("empirical")]
    | Annotated[Choice, Tag("choice")]
)

Distribution = Annotated[
    AnyDistribution,
    Discriminator(
        only_key(DISTRIBUTIONS),
        custom_error_type="unknown_distribution",
        custom_error_message=f"a distribution is a mapping with one key of: {', '.join(sorted(DISTRIBUTIONS))}",
    ),
]


def kind_of(distribution: Any) -> str:
    """The distribution's name: `normal`, `constant`..."""
    return _kind(distribution.__class__)


@cache
def _kind(of: type[Model]) -> str:
    return next(iter(of.model_fields))


@cache
def _live_fields(of: type[Model]) -> tuple[str, ...]:
    # `stages` counts, it is not a number to be moved while the twin runs.
    return tuple(name for name in of.model_fields if name != "stages")


def parameters_of(distribution: Any) -> dict[str, Any]:
    """The live parameters (numbers that were given), by name and in the order of the class."""
    kind = kind_of(distribution)
    body = getattr(distribution, kind)
    if not isinstance(body, Model):
        return {kind: body}
    given = body.__dict__
    return {name: given[name] for name in _live_fields(body.__class__) if isinstance(given[name], _NUMBERS)}


def with_parameters(distribution: Any, changes: dict[str, float]) -> Any:
    """The same distribution with some parameters changed, checked anew. Raises pydantic's ValidationError."""
    kind = kind_of(distribution)
    body = getattr(distribution, kind)
    if not isinstance(body, Model):
        return type(distribution).model_validate({kind: changes[kind]})
    found: dict[str, Any] = {}
    for name, value in body.__dict__.items():
        if isinstance(value, _NUMBERS):
            found[name] = value
        elif value is not None:
            found = body.model_dump(exclude_none=True)
            break
    found.update(changes)
    return distribution.__pydantic_validator__.validate_python({kind: found})
