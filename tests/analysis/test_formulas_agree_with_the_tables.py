"""Formulas against tables and textbook values; moments against the kernel's own draws."""

from __future__ import annotations

from math import isclose
from statistics import fmean, pvariance

import pytest
from pydantic import TypeAdapter

from models.distributions import DISTRIBUTIONS, Distribution
from twin_app.analysis.moments import moments_of
from twin_app.analysis.queueing import availability, departures_scv, erlang_b, erlang_c, waiting
from twin_app.kernel.sampling import sampler

DRAWS = 20_000

EACH = [
    {"constant": 4.0},
    {"exponential": {"mean": 3.0}},
    {"exponential": {"rate": 0.25}},
    {"normal": {"mean": 4.0, "sd": 0.5}},
    {"normal": {"mean": 1.0, "sd": 2.0, "min": 0}},
    {"normal": {"mean": 1.0, "sd": 2.0, "min": 0, "max": 2.5}},
    {"truncated_normal": {"mean": 1.0, "sd": 2.0, "low": 0}},
    {"truncated_normal": {"mean": 1.0, "sd": 2.0, "low": 0, "high": 1.5}},
    {"uniform": {"low": 2, "high": 7}},
    {"triangular": {"low": 2, "mode": 3, "high": 6}},
    {"lognormal": {"mean": 2.0, "sd": 1.0}},
    {"gamma": {"shape": 2.5, "scale": 1.5}},
    {"erlang": {"stages": 4, "mean": 2.0}},
    {"weibull": {"shape": 1.5, "scale": 2.0}},
    {"beta": {"a": 2.0, "b": 5.0, "low": 1, "high": 3}},
    {"poisson": {"mean": 6.0}},
    {"empirical": {"values": [5, 1, 2, 9]}},
    {"choice": {"values": [1, 2, 10], "weights": [1, 2, 1]}},
]


def read(document: dict) -> object:
    return TypeAdapter(Distribution).validate_python(document)


def test_no_distribution_is_left_out() -> None:
    assert {next(iter(document)) for document in EACH} == DISTRIBUTIONS


@pytest.mark.parametrize("document", EACH, ids=str)
def test_moments_never_differ_from_what_the_kernel_draws(document: dict) -> None:
    distribution = read(document)
    found = moments_of(distribution)
    assert found is not None
    source = sampler(7, "test", distribution)
    drawn = [source.draw() for _ in range(DRAWS)]
    spread = found.variance**0.5
    assert abs(fmean(drawn) - found.mean) <= 4 * spread / DRAWS**0.5 + 1e-9
    assert isclose(pvariance(drawn), found.variance, rel_tol=0.08, abs_tol=1e-9)


@pytest.mark.parametrize("document", [{"exponential": {"rate": 0}}, {"choice": {"values": ["red", 2]}}], ids=str)
def test_what_has_no_moments_gets_none(document: dict) -> None:
    assert moments_of(read(document)) is None


@pytest.mark.parametrize(("servers", "load", "blocked"), [(1, 1.0, 0.5), (2, 1.0, 0.2), (5, 3.0, 0.1101), (10, 5.0, 0.0184)])
def test_erlang_b_is_that_of_the_tables(servers: int, load: float, blocked: float) -> None:
    assert erlang_b(servers, load) == pytest.approx(blocked, abs=5e-5)


@pytest.mark.parametrize(
    ("servers", "load", "waits"), [(1, 0.8, 0.8), (2, 1.0, 1 / 3), (5, 4.0, 0.5541), (10, 8.0, 0.4092), (3, 3.0, 1)]
)
def test_erlang_c_is_that_of_the_tables(servers: int, load: float, waits: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(waits, abs=5e-5)


def test_single_servers_wait_as_pollaczek_and_khinchine_say() -> None:
    assert waiting(1, 0.8, 1.0) == pytest.approx((0.8, 4.0, 3.2))
    deterministic = waiting(1, 0.8, 1.0, 1.0, 0.0)
    assert deterministic is not None
    assert deterministic.wait == pytest.approx(2.0)
    erlang_2 = waiting(1, 0.5, 1.2, 1.0, 0.5)  # rate·E[S²]/(2·(1 - rho)), E[S²] = 1.5·1.44
    assert erlang_2 is not None
    assert erlang_2.wait == pytest.approx(0.5 * 2.16 / (2 * 0.4))


def test_two_servers_wait_as_in_the_textbook() -> None:
    found = waiting(2, 1.0, 1.0)  # M/M/2 at 50 %: P(wait) 1/3, W = C/(c/S - rate) = 1/3
    assert found == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_an_overload_has_no_mean_wait() -> None:
    assert waiting(2, 2.0, 1.0) is None
    assert waiting(2, 2.1, 1.0) is None


def test_what_leaves_a_markovian_station_is_poisson_again() -> None:
    assert departures_scv(3, 0.7, 1.0, 1.0) == pytest.approx(1.0)  # Burke's theorem
    assert availability(90.0, 10.0) == 0.9
