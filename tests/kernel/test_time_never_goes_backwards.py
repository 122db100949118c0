"""Whatever an expression or a draw gives as a length of time, the next event is never before the last one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernel.three_ways import Play, blueprint, three_ways, times

OFTEN_NEGATIVE = {"normal": {"mean": 0.0, "sd": 5.0}}
WAITS = {
    "process": {"process": {"resource": "m", "for": 3, "patience": "SPAN"}},
    "seize": {"seize": {"resource": "m", "patience": "SPAN"}},
    "get": {"get": {"container": "tank", "amount": 1, "patience": "SPAN"}},
    "put": {"put": {"store": "shelf", "patience": "SPAN"}},
    "wait_for": {"wait_for": {"when": "variables.open", "timeout": "SPAN"}},
    "batch": {"batch": {"size": 2, "timeout": "SPAN"}},
}


def play(wait: str, span: Any) -> Play:
    """Two entities come to the step at 2, where nothing is to be had, and one at 4."""
    ((verb, body),) = WAITS[wait].items()
    step = {verb: {name: span if value == "SPAN" else value for name, value in body.items()}}
    parts = {
        "resources": {"m": {"capacity": 0, "max_capacity": 1}},
        "containers": {"tank": {"capacity": 5}},
        "stores": {"shelf": {"capacity": 0}},
        "variables": {"open": False},
    }
    script = [(2.0, "spawn", "f", {"n": 1}), (2.0, "spawn", "f", {"n": 2}), (4.0, "spawn", "f", {"n": 3})]
    return three_ways(blueprint(flows={"f": [step, {"emit": "on"}]}, **parts), script, 100.0)


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("span", ["0 - entity.n", OFTEN_NEGATIVE], ids=["expression", "draw"])
def test_a_negative_patience_never_lets_time_go_back(wait: str, span: Any):
    told = [event.sim_time for event in play(wait, span).told]
    assert told == sorted(told)
    assert min(told) >= 2.0


@pytest.mark.parametrize("wait", WAITS)
def test_a_patience_below_nothing_is_over_at_once(wait: str):
    left = times(play(wait, "0 - entity.n"), "entity-left")
    assert left[-1:] == [4.0]
    assert left[0] == 2.0


@pytest.mark.parametrize("wait", WAITS)
def test_a_patience_that_is_no_length_of_time_fails_its_entity_and_no_other(wait: str):
    told = play(wait, "1e13 if entity.n == 3 else 1").told
    failed = [(event.sim_time, event.payload["code"]) for event in told if event.kind == "entity-failed"]
    assert failed == [(4.0, "duration-too-long")]
