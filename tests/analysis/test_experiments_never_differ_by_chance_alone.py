"""Intervals against tables; common random numbers; a design that is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import Rejected, TwinError
from models.load import load_blueprint
from twin_app.analysis import trial
from twin_app.analysis.experiment import POINTS_MAX, estimate, full_factorial, results
from twin_app.analysis.student import two_sided, within

SHOP = load_blueprint("""
twin: Shop
seed: 5
resources: {r: {capacity: 1, max_capacity: 3}, idle: {}}
services: {work: {exponential: {mean: 4}}}
arrivals: {jobs: {interarrival: {exponential: {mean: 5}}, flow: make}}
flows:
  make: [{process: {resource: r, service: work}}]
  never: [{delay: 1}]
""")


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (29, 2.045), (30, 2.042), (120, 1.980)]
)
def test_student_is_that_of_the_tables(freedom: int, t: float) -> None:
    assert two_sided(freedom) == pytest.approx(t, abs=5e-4)
    assert within(two_sided(freedom), freedom) == pytest.approx(0.95, abs=1e-12)


def test_an_interval_is_that_of_the_textbook() -> None:
    values = [1.20, 1.50, 1.68, 1.89, 0.95, 1.49, 1.58, 1.55, 0.50, 1.09]
    found = estimate(values)
    assert found.mean == pytest.approx(1.343)
    assert found.half == pytest.approx(2.2622 * float(np.std(values, ddof=1)) / 10**0.5, rel=1e-4)
    assert estimate([3.0]).half is None


def test_the_same_point_twice_differs_by_exactly_nothing() -> None:
    points = [{"services.work.mean": 4}, {"services.work.mean": 4.0}]
    runs = [[trial.run(SHOP, point, number, 500.0, 50.0) for number in range(3)] for point in points]
    first, second = results(points, runs)
    assert first.differences == {}
    assert {(value.mean, value.half) for value in second.differences.values()} == {(0.0, 0.0)}
    assert first.figures["throughput"].half
    assert "time in system never" not in first.figures  # nothing went there: no figure, not a 0


def test_common_random_numbers_narrow_the_difference() -> None:
    points = [{"services.work.mean": 4}, {"services.work.mean": 3.8}]
    runs = [[trial.run(SHOP, point, number, 2_000.0, 0.0) for number in range(8)] for point in points]
    both = results(points, runs)
    name = "time in system make"
    difference = both[1].differences[name]
    assert difference.half is not None
    assert difference.mean + difference.half < 0
    assert both[0].figures[name].half is not None
    assert difference.half < both[0].figures[name].half / 2  # type: ignore[operator]


def test_replications_are_not_one_another() -> None:
    assert trial.run(SHOP, {}, 0, 500.0, 0.0) != trial.run(SHOP, {}, 1, 500.0, 0.0)


def test_a_design_has_bounds() -> None:
    assert full_factorial({"a": [1, 2], "b": [3, 4]}, 1) == [
        {"a": 1, "b": 3}, {"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}
    ]  # fmt: skip
    assert full_factorial({}, 1) == [{}]
    with pytest.raises(TwinError, match="too-large"):
        full_factorial({"a": range(POINTS_MAX + 1)}, 1)
    with pytest.raises(TwinError, match="too-large"):
        full_factorial({"a": range(100)}, 10_000)


def test_a_value_that_is_refused_never_runs() -> None:
    with pytest.raises(Rejected, match="3"):
        trial.begin(SHOP, {"resources.r.capacity": 4})


def test_a_run_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "ENTRIES_MAX", 20_000)
    with pytest.raises(TwinError, match="too-long"):
        trial.run(SHOP, {}, 0, 1e9, 0.0)
