"""Intervals and quantiles against what is known of them."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from twin_app.forecast.estimates import coverage, mean_interval, quantiles, student_95, wilson


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (9, 10), (10, 10), (1, 3), (50, 100), (997, 1000)])
def test_a_proportion_is_never_given_without_a_wilson_interval(hits: int, trials: int) -> None:
    """Its ends are the true proportions from which what was seen is just as far as is believed (the defining equation)."""
    found = wilson(hits, trials)
    assert found.estimate == hits / trials
    for end in (found.low, found.high):
        assert end is not None
        assert (hits / trials - end) ** 2 == pytest.approx(1.644854**2 * end * (1 - end) / trials, abs=1e-6)
    assert 0.0 <= found.low <= found.estimate <= found.high <= 1.0
    assert found.low < found.high


def test_nothing_known_is_an_interval_of_everything() -> None:
    assert wilson(0, 0)[1:] == (0.0, 1.0)


def test_one_replication_of_many_has_no_interval() -> None:
    assert mean_interval(np.array([3.0]), exact=False) == (3.0, None, None)
    assert mean_interval(np.array([3.0]), exact=True) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize(("freedom", "value"), [(1, 6.314), (10, 1.812), (30, 1.697), (40, 1.684), (120, 1.658), (10_000, 1.645)])
def test_students_quantiles_are_those_of_the_table(freedom: int, value: float) -> None:
    assert student_95(freedom) == pytest.approx(value, abs=6e-4)


def test_a_mean_interval_covers_as_often_as_it_says() -> None:
    samples = np.random.default_rng(3).normal(5.0, 2.0, (4000, 5))
    hits = sum(low <= 5.0 <= high for low, high in (mean_interval(row, exact=False)[1:] for row in samples))
    assert 0.88 < hits / len(samples) < 0.92


@pytest.mark.parametrize("replications", [19, 40, 200])
def test_outer_quantiles_hold_nine_of_ten_further_draws(replications: int) -> None:
    rng = np.random.default_rng(replications)
    draws = rng.exponential(1.0, (replications + 1, 20_000))
    low, high = quantiles(draws[:-1], (0.05, 0.95))
    inside = np.mean((draws[-1] >= low) & (draws[-1] <= high))
    assert inside == pytest.approx(0.90, abs=0.01)
    assert coverage(replications) == pytest.approx(0.90)


def test_few_replications_admit_that_they_hold_less() -> None:
    draws = np.random.default_rng(1).exponential(1.0, (5, 50_000))
    low, high = quantiles(draws[:-1], (0.05, 0.95))
    inside = np.mean((draws[-1] >= low) & (draws[-1] <= high))
    assert inside == pytest.approx(coverage(4), abs=0.01)
    assert coverage(1) == 0.0


def test_times_that_never_come_are_not_averaged_away() -> None:
    times = np.array([[1.0], [2.0], [inf], [inf]])
    assert quantiles(times, (0.05, 0.5, 0.95))[:, 0].tolist() == [1.0, inf, inf]
    assert quantiles(np.full((3, 1), inf), (0.5,))[0, 0] == inf
