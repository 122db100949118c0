"""Every distribution against its mean, standard deviation and bounds, from 40,000 draws with a fixed seed."""

import math
from statistics import NormalDist, fmean, pstdev

import pytest
from pydantic import TypeAdapter

from models.distributions import DISTRIBUTIONS, Distribution
from twin_app.kernel.sampling import SAMPLERS, sampler
from twin_app.kernel.streams import Stream

DRAWS = 40_000
ADAPTER = TypeAdapter(Distribution)
PHI = NormalDist()


def truncated(mean: float, sd: float, low: float, high: float) -> tuple[float, float]:
    a, b = (low - mean) / sd, (high - mean) / sd
    mass = PHI.cdf(b) - PHI.cdf(a)
    shift = (PHI.pdf(a) - PHI.pdf(b)) / mass
    variance = 1 + (a * PHI.pdf(a) - b * PHI.pdf(b)) / mass - shift**2
    return mean + sd * shift, sd * math.sqrt(variance)


CASES = [
    ({"constant": 5.0}, 5.0, 0.0),
    ({"exponential": {"mean": 3.0}}, 3.0, 3.0),
    ({"exponential": {"rate": 0.25}}, 4.0, 4.0),
    ({"normal": {"mean": 10, "sd": 2}}, 10, 2),
    ({"truncated_normal": {"mean": 1, "sd": 2, "low": 0, "high": 4}}, *truncated(1, 2, 0, 4)),
    ({"uniform": {"low": 2, "high": 8}}, 5, 6 / math.sqrt(12)),
    ({"triangular": {"low": 1, "mode": 2, "high": 6}}, 3, math.sqrt((1 + 4 + 36 - 2 - 6 - 12) / 18)),
    ({"lognormal": {"mean": 20, "sd": 5}}, 20, 5),
    ({"gamma": {"shape": 2.5, "scale": 2}}, 5, math.sqrt(10)),
    ({"gamma": {"shape": 0.5, "scale": 2}}, 1, math.sqrt(2)),
    ({"erlang": {"stages": 4, "mean": 8}}, 8, 4),
    ({"weibull": {"shape": 2, "scale": 3}}, 3 * math.gamma(1.5), 3 * math.sqrt(math.gamma(2) - math.gamma(1.5) ** 2)),
    ({"beta": {"a": 2, "b": 3, "low": 10, "high": 20}}, 14, 10 * math.sqrt(6 / (25 * 6))),
    ({"poisson": {"mean": 3.5}}, 3.5, math.sqrt(3.5)),
    ({"poisson": {"mean": 200}}, 200, math.sqrt(200)),
    ({"empirical": {"values": [4, 1, 3]}}, (2 + 3.5) / 2, math.sqrt((13 / 3 + 37 / 3) / 2 - 2.75**2)),
    ({"choice": {"values": [1, 5], "weights": [0.1, 0.9]}}, 4.6, math.sqrt(0.1 * 0.9) * 4),
    # The edges of the parameters, and where the method of drawing changes.
    ({"normal": {"mean": 0, "sd": 1, "min": 0}}, 1 / math.sqrt(2 * math.pi), math.sqrt(0.5 - 1 / (2 * math.pi))),
    ({"normal": {"mean": 7, "sd": 0}}, 7, 0),
    ({"triangular": {"low": 0, "mode": 0, "high": 3}}, 1, math.sqrt(0.5)),
    ({"triangular": {"low": 0, "mode": 3, "high": 3}}, 2, math.sqrt(0.5)),
    ({"lognormal": {"mean": 20, "sd": 0}}, 20, 0),
    ({"gamma": {"shape": 1, "scale": 2}}, 2, 2),
    ({"gamma": {"shape": 300, "scale": 0.1}}, 30, math.sqrt(3)),
    ({"erlang": {"stages": 1, "mean": 8}}, 8, 8),
    ({"erlang": {"stages": 100, "mean": 8}}, 8, 0.8),
    ({"weibull": {"shape": 1, "scale": 3}}, 3, 3),
    ({"beta": {"a": 0.5, "b": 0.5}}, 0.5, math.sqrt(0.125)),
    ({"beta": {"a": 1, "b": 4}}, 0.2, math.sqrt(4 / (25 * 6))),
    ({"poisson": {"mean": 0.2}}, 0.2, math.sqrt(0.2)),
    ({"poisson": {"mean": 29.9}}, 29.9, math.sqrt(29.9)),
    ({"poisson": {"mean": 30}}, 30, math.sqrt(30)),
    ({"choice": {"values": [1, 2, 6]}}, 3, math.sqrt(14 / 3)),
]

WEIBULL = [math.gamma(1 + k / 1.5) for k in (1, 2, 3)]
SKEWS = [
    ({"exponential": {"mean": 3.0}}, 2.0),
    ({"normal": {"mean": 10, "sd": 2}}, 0.0),
    ({"uniform": {"low": 2, "high": 8}}, 0.0),
    ({"triangular": {"low": 0, "mode": 0, "high": 3}}, math.sqrt(2) * 2 / 5),
    ({"lognormal": {"mean": 20, "sd": 5}}, 0.25**3 + 3 * 0.25),  # of the variation coefficient
    ({"gamma": {"shape": 0.5, "scale": 2}}, 2 / math.sqrt(0.5)),
    ({"gamma": {"shape": 2.5, "scale": 2}}, 2 / math.sqrt(2.5)),
    ({"erlang": {"stages": 4, "mean": 8}}, 1.0),
    (
        {"weibull": {"shape": 1.5, "scale": 3}},
        (WEIBULL[2] - 3 * WEIBULL[0] * WEIBULL[1] + 2 * WEIBULL[0] ** 3) / (WEIBULL[1] - WEIBULL[0] ** 2) ** 1.5,
    ),
    ({"beta": {"a": 1, "b": 4}}, 2 * 3 * math.sqrt(6) / (7 * math.sqrt(4))),
    ({"poisson": {"mean": 3.5}}, 1 / math.sqrt(3.5)),
    ({"poisson": {"mean": 40}}, 1 / math.sqrt(40)),
    ({"choice": {"values": [0, 1], "weights": [0.9, 0.1]}}, 0.8 / 0.3),
]


def draws(document: dict, count: int = DRAWS) -> list[float]:
    made = sampler(11, "test", ADAPTER.validate_python(document))
    return [made.draw() for _ in range(count)]


@pytest.mark.parametrize(("document", "mean", "sd"), CASES, ids=lambda value: str(value)[:50])
def test_moments(document: dict, mean: float, sd: float):
    values = draws(document)
    # Four standard errors of the mean; the standard deviation within 5 %.
    assert fmean(values) == pytest.approx(mean, abs=4 * sd / math.sqrt(DRAWS) + 1e-12)
    assert pstdev(values) == pytest.approx(sd, rel=0.05, abs=1e-12)


@pytest.mark.parametrize(("document", "skew"), SKEWS, ids=lambda value: str(value)[:50])
def test_no_distribution_is_another_of_the_same_mean_and_spread(document: dict, skew: float):
    values = draws(document)
    mean, sd = fmean(values), pstdev(values)
    assert fmean(((value - mean) / sd) ** 3 for value in values) == pytest.approx(skew, rel=0.08, abs=0.05)


def test_every_distribution_is_covered():
    assert {next(iter(document)) for document, _, _ in CASES} == set(DISTRIBUTIONS) == set(SAMPLERS)


@pytest.mark.parametrize(
    ("document", "low", "high"),
    [
        ({"normal": {"mean": 0, "sd": 3, "min": -1, "max": 2}}, -1, 2),
        ({"truncated_normal": {"mean": 0, "sd": 3, "low": -1, "high": 2}}, -1, 2),
        ({"truncated_normal": {"mean": 0, "sd": 1, "low": 40, "high": 41}}, 40, 41),
        ({"truncated_normal": {"mean": 0, "sd": 1, "low": -41, "high": -40}}, -41, -40),
        ({"beta": {"a": 0.02, "b": 0.02}}, 0, 1),
        ({"empirical": {"values": [7]}}, 7, 7),
        ({"uniform": {"low": 3, "high": 3}}, 3, 3),
        ({"triangular": {"low": 3, "mode": 3, "high": 3}}, 3, 3),
    ],
)
def test_no_draw_leaves_the_bounds(document: dict, low: float, high: float):
    values = draws(document, 5_000)
    assert low <= min(values) <= max(values) <= high


def test_a_rate_of_zero_never_happens():
    assert draws({"exponential": {"rate": 0}}, 2) == [math.inf, math.inf]


def test_streams_of_other_names_and_seeds_are_unrelated():
    columns = [
        [stream.uniform() for _ in range(2_000)] for stream in (Stream(1, "a"), Stream(1, "b"), Stream(2, "a"), Stream(12, ""))
    ]
    for first in range(4):
        for second in range(first):
            product = fmean((x - 0.5) * (y - 0.5) for x, y in zip(columns[first], columns[second], strict=True)) * 12
            assert abs(product) < 4 / math.sqrt(2_000)


@pytest.mark.parametrize("position", [0, 1, 3, 15, 16, 17, 79, 80, 81, 500, 1_000_003])
def test_a_stream_sought_is_the_stream_drawn(position: int):
    sought = Stream(5, "x", position)
    drawn = Stream(5, "x", max(0, position - 700))
    while drawn.position < position:
        drawn.uniform()
    assert [sought.uniform() for _ in range(1_200)] == [drawn.uniform() for _ in range(1_200)]


def test_the_streams_are_what_they_were():
    """Golden numbers: a change here would change the future of every saved twin."""
    stream = Stream(42, "arrivals.orders")
    assert [stream.uniform() for _ in range(3)] == GOLDEN


GOLDEN = [0.08389175846440688, 0.9253386463848657, 0.10512432398695115]
