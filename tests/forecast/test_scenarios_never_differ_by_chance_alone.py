"""F4: scenarios share their random numbers with the baseline, replication by replication."""

from __future__ import annotations

import numpy as np
import pytest

from tests.forecast.plants import SHOP, ahead, live, scenario, set_


def test_a_scenario_without_commands_differs_by_exactly_nothing() -> None:
    record = ahead(live(SHOP, 500.0), 480, {"same": []}, rounds=(1, 8))
    assert not record["deterministic"]
    same = scenario(record, "same")
    assert same["first_difference"] is None
    for difference in same["differences"]:
        assert difference["mean"] == difference["low"] == difference["high"] == 0.0, difference
    shown = {name: value for name, value in same["outlook"].items() if name != "entities"}
    assert shown == {name: value for name, value in record["baseline"].items() if name != "entities"}
    assert {entity["shift"] for entity in same["outlook"]["entities"]} == {0.0}


def test_setting_a_parameter_to_what_it_is_changes_nothing() -> None:
    twin = live(SHOP, 500.0)
    record = ahead(twin, 480, {"same": [set_(twin, "resources.b.capacity", 2)]}, rounds=(1, 8))
    same = scenario(record, "same")
    assert same["first_difference"] is None
    assert all(difference["mean"] == 0.0 for difference in same["differences"])


def test_pairs_tell_a_difference_that_independent_runs_would_hide() -> None:
    twin = live(SHOP, 500.0)
    record = ahead(twin, 480, {"faster": [set_(twin, "services.turning.mean", 4.2)]}, rounds=(1, 30))
    faster = scenario(record, "faster")
    queue = next(d for d in faster["differences"] if d["quantity"] == "resources.a.queue_mean")
    assert queue["high"] < 0
    paired = queue["high"] - queue["low"]
    alone = next(t for t in record["baseline"]["totals"] if t["quantity"] == "resources.a.queue_mean")
    assert paired < 0.5 * (alone["mean_high"] - alone["mean_low"])


def test_a_change_elsewhere_never_shifts_the_draws_of_other_streams() -> None:
    """The first machine does not notice what happens at the second."""
    twin = live(SHOP, 500.0)
    record = ahead(twin, 480, {"wider": [set_(twin, "resources.b.capacity", 4)]}, rounds=(1, 8))
    found = {d["quantity"]: d for d in scenario(record, "wider")["differences"]}
    assert found["resources.a.utilisation"]["mean"] == found["resources.a.queue_mean"]["mean"] == 0.0
    assert found["resources.b.utilisation"]["mean"] < 0


def test_a_refused_scenario_takes_none_of_the_others_along() -> None:
    twin = live(SHOP, 500.0)
    wrong, right = [set_(twin, "resources.b.capacity", 99)], [set_(twin, "resources.b.capacity", 3)]
    record = ahead(twin, 100, {"wrong": wrong, "right": right})
    assert scenario(record, "wrong")["outlook"] is None
    assert "99" in scenario(record, "wrong")["refused"][0]
    assert scenario(record, "right")["outlook"]["bands"]
    assert record["error"] is None


@pytest.mark.parametrize(("version", "accepted"), [(3, True), (1, False)])
def test_versions_that_the_model_makes_are_counted_in_a_fork_too(version: int, accepted: bool) -> None:
    """A scenario that asks for a version later finds the one that the model's own `set` steps have made by then."""
    document = {
        "twin": "Counting",
        "variables": {"count": 0, "door": "shut"},
        "arrivals": {"ticks": {"interarrival": {"constant": 10}, "flow": "tick"}},
        "flows": {"tick": [{"set": {"variables.count": "variables.count + 1"}}]},
    }
    twin = live(document, 5.0)
    later = set_(twin, "variables.count", 100, at=35.0, if_version=version)
    series = scenario(ahead(twin, 60, {"later": [later]}), "later")["outlook"]
    count = next(band for band in series["bands"] if band["quantity"] == "variables.count")["q50"]
    assert (max(count) >= 100) == accepted
    assert np.all(np.diff(count) >= 0)
