"""Designs are what they say; effects are those that were put in, and their intervals hold them."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

import numpy as np
import pytest

from models.errors import TwinError
from models.load import load_blueprint
from twin_app.analysis import trial
from twin_app.analysis.designs import FACTORS_MAX, Range, latin_hypercube, plackett_burman
from twin_app.analysis.experiment import POINTS_MAX, full_factorial, main_effects, one_at_a_time


def factors(number: int) -> dict[str, list[int]]:
    return {f"f{place}": [10 * place, 10 * place + 1] for place in range(number)}


def signs(points: list[dict], named: dict[str, list[int]]) -> np.ndarray:
    return np.array([[1 if point[path] == values[1] else -1 for path, values in named.items()] for point in points])


@pytest.mark.parametrize("number", range(1, FACTORS_MAX + 1))
def test_a_screening_design_is_never_unbalanced_nor_mixes_main_effects(number: int) -> None:
    named = factors(number)
    points = plackett_burman(named, 1)
    rows = signs(points, named)
    assert number < len(points) <= number + 4
    assert (rows.T @ rows == len(points) * np.eye(number)).all()
    assert (rows.sum(axis=0) == 0).all()
    assert points[0] == {path: values[0] for path, values in named.items()}
    assert len({tuple(row) for row in rows.tolist()}) == len(points) or number == 1


@pytest.mark.parametrize("number", [3, 7, 11])
def test_a_folded_design_mixes_no_main_effect_with_two_factors_together(number: int) -> None:
    named = factors(number)
    rows = signs(plackett_burman(named, 1, folded=True), named)
    assert len(rows) == 2 * len(plackett_burman(named, 1))
    for first, second in combinations(range(number), 2):
        assert (rows.T @ (rows[:, first] * rows[:, second]) == 0).all()
    unfolded = signs(plackett_burman(named, 1), named)
    assert any(
        (unfolded.T @ (unfolded[:, first] * unfolded[:, second]) != 0).any() for first, second in combinations(range(number), 2)
    )


def test_one_at_a_time_moves_one_at_a_time() -> None:
    points = one_at_a_time({"a": [1, 2, 3], "b": ["x", "y"]}, 1)
    assert points == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 3, "b": "x"}, {"a": 1, "b": "y"}]
    assert one_at_a_time({}, 1) == [{}]


@pytest.mark.parametrize("size", [2, 7, 24])
def test_a_latin_hypercube_has_each_part_of_each_range_once(size: int) -> None:
    ranges = {"a": Range(3.0, 5.0), "b": Range(-1, 2.5), "c": Range(1, 4)}
    first, *points = latin_hypercube(ranges, size, 1, 1)
    assert first == {}
    for path in "ab":
        low, high = ranges[path]
        parts = sorted(int((point[path] - low) / (high - low) * size) for point in points)
        assert parts == list(range(size))
    whole = [point["c"] for point in points]
    assert all(isinstance(value, int) for value in whole)
    counts = [whole.count(value) for value in (1, 2, 3, 4)]
    assert sum(counts) == size
    assert max(counts) - min(counts) <= 1
    assert latin_hypercube(ranges, size, 1, 1) == [first, *points]
    assert latin_hypercube(ranges, size, 1, 2) != [first, *points]


def test_a_latin_hypercube_fills_better_than_chance() -> None:
    from scipy.stats import qmc

    points = [list(point.values()) for point in latin_hypercube({"a": Range(0.0, 1.0), "b": Range(0.0, 1.0)}, 20, 1, 1)[1:]]
    chance = fmean(qmc.discrepancy(np.random.default_rng(seed).random((20, 2))) for seed in range(20))
    assert qmc.discrepancy(points) < chance / 4


def test_designs_have_bounds() -> None:
    for refused in (
        lambda: plackett_burman(factors(FACTORS_MAX + 1), 1),
        lambda: plackett_burman({}, 1),
        lambda: plackett_burman({"a": [1, 2, 3]}, 1),
        lambda: plackett_burman({"a": [1, 1]}, 1),
    ):
        with pytest.raises(TwinError, match="bad-option"):
            refused()
    with pytest.raises(TwinError, match="too-large"):
        plackett_burman(factors(20), 10_000)
    with pytest.raises(TwinError, match="too-large"):
        latin_hypercube({"a": Range(0, 1)}, POINTS_MAX, 1, 1)
    with pytest.raises(TwinError, match="too-large"):
        one_at_a_time({"a": range(POINTS_MAX + 1)}, 1)


def test_effects_that_were_put_in_come_out_within_their_intervals() -> None:
    named = factors(7)
    points = plackett_burman(named, 1)
    put_in = [3.0, -2.0, 0.0, 0.5, 0.0, 1.0, 0.0]
    generator = np.random.default_rng(5)
    missed = 0
    for _ in range(40):
        common = generator.normal(0.0, 5.0, 6)  # of all points of a replication
        runs = [
            [{"y": float(row @ np.array(put_in) / 2.0 + shared + generator.normal())} for shared in common]
            for row in signs(points, named)
        ]
        effects = main_effects(named, points, runs)
        assert list(effects) == list(named)
        missed += sum(
            abs(effects[path]["y"].mean - true) > effects[path]["y"].half for path, true in zip(named, put_in, strict=True)
        )
    # Of 280 intervals at 95 %: 14 on average, 30 by chance in fewer than one of 10,000; none of them is by far too wide.
    assert 3 <= missed <= 30


def test_a_figure_that_is_missing_at_a_point_does_not_count() -> None:
    named = {"a": [0, 1]}
    runs = [[{"y": 1.0}, {}, {"y": 3.0}], [{"y": 2.0}, {"y": 9.0}, {"y": 4.0}]]
    effect = main_effects(named, [{"a": 0}, {"a": 1}], runs)["a"]["y"]
    assert (effect.mean, effect.replications) == (1.0, 2)


def test_the_effects_of_a_simulation_are_those_of_its_full_factorial() -> None:
    shop = load_blueprint(
        "twin: S\nresources: {r: {}}\nservices: {work: {constant: 1}}\nvariables: {more: 0}\n"
        "arrivals: {jobs: {interarrival: {exponential: {mean: 5}}, flow: make}}\n"
        "flows: {make: [{process: {resource: r, service: work}}, {delay: variables.more}]}\n"
    )
    named = {"services.work.constant": [1, 2], "variables.more": [0, 3]}
    points = full_factorial(named, 3)
    runs = [[trial.run(shop, point, number, 400.0, 0.0) for number in range(3)] for point in points]
    effects = main_effects(named, points, runs)
    assert effects["variables.more"]["time in system make"].mean == pytest.approx(3.0, abs=0.2)
    assert effects["variables.more"]["utilisation r"].mean == 0.0
    low, high = (
        fmean(r["utilisation r"] for own in runs[:2] for r in own),
        fmean(r["utilisation r"] for own in runs[2:] for r in own),
    )
    assert effects["services.work.constant"]["utilisation r"].mean == pytest.approx(high - low)
