"""State machines (2.4) and own Python steps (2.5)."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from models.errors import BlueprintError
from tests.kernel.three_ways import blueprint, three_ways, times
from twin_app.kernel import Twin, own_steps
from twin_app.kernel.own_steps import Context, offer

PRESS = {
    "initial": "idle",
    "states": {
        "idle": {"transitions": [{"signal": "start", "to": "heating"}]},
        "heating": {
            "entry": [{"emit": "heater-on"}],
            "exit": [{"emit": "heater-off"}],
            "transitions": [
                {"when": "variables.temperature >= 100", "to": "ready"},
                {"after": 30, "to": "idle", "do": [{"emit": "heating-failed"}]},
            ],
        },
        "ready": {"entry": [{"set": {"resources.press.capacity": 1}}], "exit": [{"set": {"resources.press.capacity": 0}}]},
    },
}


def press():
    return blueprint(
        variables={"temperature": 20},
        resources={"press": {"capacity": 0}},
        machines={"press": PRESS},
        flows={
            "job": [{"process": {"resource": "press", "for": 2}}],
            "see": [{"wait_for": "machines.press.state == 'ready'"}, {"emit": "seen"}],
        },
    )


def states(play: Any) -> list[tuple[float, str]]:
    return [
        (e.sim_time, e.payload["new"])
        for e in play.told
        if e.kind == "parameter-changed" and e.payload["path"] == "machines.press.state"
    ]


def test_a_machine_goes_by_signal_condition_and_time():
    script = [
        (0.0, "spawn", "job"),
        (0.0, "spawn", "see"),
        (5.0, "signal", "start"),
        (40.0, "signal", "start"),
        (50.0, "set", "variables.temperature", 120),
    ]
    play = three_ways(press(), script)
    assert states(play) == [(5, "heating"), (35, "idle"), (40, "heating"), (50, "ready")]
    assert times(play, "heater-on") == [5, 40]
    assert times(play, "heater-off") == [35, 50]
    assert times(play, "heating-failed") == [35]
    assert times(play, "entity-started") == [50]
    assert times(play, "seen") == [50]
    assert play.twin.wip == 0, "the machine itself is no work in progress"
    assert play.twin.statistics()["created"] == 2


def test_a_command_sets_the_state_with_exit_and_entry_actions():
    script = [
        (5.0, "signal", "start"),
        (7.0, "set", "machines.press.state", "ready"),
        (9.0, "set", "machines.press.state", "broken"),
        (9.0, "set", "machines.press.state", "idle"),
        (10.0, "spawn", "job"),
    ]
    play = three_ways(press(), script, until=50)
    assert play.rejected == [None, None, "out-of-bounds", None, None]
    assert states(play) == [(5, "heating"), (7, "ready"), (9, "idle")]
    assert times(play, "heater-off") == [7]
    assert times(play, "entity-started") == [], "leaving `ready` closed the press"


def test_an_unknown_state_is_refused_when_the_blueprint_is_read():
    with pytest.raises(ValueError, match="no state `nowhere`"):
        blueprint(machines={"m": {"initial": "a", "states": {"a": {"transitions": [{"after": 1, "to": "nowhere"}]}}}})


def test_a_machine_that_turns_without_time_ends_with_an_error():
    from models.errors import ModelError

    spinning = {
        "initial": "a",
        "states": {"a": {"transitions": [{"after": 0, "to": "b"}]}, "b": {"transitions": [{"after": 0, "to": "a"}]}},
    }
    twin = Twin(blueprint(machines={"m": spinning}, limits={"steps_per_instant": 1000}))
    with pytest.raises(ModelError, match="without time passing"):
        twin.advance(1.0)


def rough(context: Context, base: float) -> dict[str, Any]:
    return {"time": base + context.uniform(), "at": context.now, "seen": context.attributes.get("size")}


def test_an_own_step_draws_from_its_own_stream_and_survives_restores():
    offer("test-rough", rough)
    model = blueprint(
        arrivals={"a": {"interarrival": {"exponential": {"mean": 1}}, "flow": "f", "limit": 20, "attributes": {"size": 3}}},
        flows={
            "f": [
                {"call": {"step": "test-rough", "with": {"base": "entity.size * 2"}, "as": "plan"}},
                {"delay": "entity.plan.time"},
            ]
        },
    )
    play = three_ways(model)
    stays = [e.payload["time_in_system"] for e in play.told if e.kind == "entity-left"]
    assert len(set(stays)) == 20
    assert all(6 <= stay <= 7 + 1e-9 for stay in stays)


@pytest.mark.parametrize(
    "bad", [lambda context: 1 / 0, lambda context: object(), lambda context: float("nan"), lambda context, x: x]
)
def test_an_own_step_that_fails_fails_only_its_entity(bad: Any):
    offer("test-bad", bad)
    play = three_ways(
        blueprint(flows={"f": [{"call": "test-bad"}], "g": [{"delay": 1}]}), [(0.0, "spawn", "f"), (0.0, "spawn", "g")]
    )
    assert times(play, "entity-failed") == [0]
    assert times(play, "entity-left", outcome="finished") == [1]


def test_an_own_step_that_nobody_offers_is_refused():
    with pytest.raises(BlueprintError, match="no own step"):
        Twin(blueprint(flows={"f": [{"call": "test-nowhere"}]}))


def test_an_own_step_that_cannot_be_imported_is_a_fault_of_the_blueprint(monkeypatch: pytest.MonkeyPatch):
    """Not an error that stops whoever reads it."""
    broken = EntryPoint("polish", "no_such_module_of_ours:polish", own_steps.GROUP)
    monkeypatch.setattr(own_steps, "entry_points", lambda group, name="polish": [broken] if name == "polish" else [])
    with pytest.raises(BlueprintError) as caught:
        Twin(blueprint(flows={"f": [{"call": {"step": "polish"}}]}))
    [fault] = caught.value.errors
    assert fault.code == "broken-own-step"
    assert "no_such_module_of_ours" in fault.message
    with pytest.raises(BlueprintError, match="did you mean `polish`"):
        Twin(blueprint(flows={"f": [{"call": {"step": "polis"}}]}))
