"""The step `fail`: an entity that fails leaves with its reason; inside a retry the try is over; nothing stays held."""

from typing import Any

import pytest

from models.errors import BlueprintError
from models.load import load_blueprint
from tests.kernel.three_ways import Play, blueprint, three_ways, times
from twin_app.kernel import Twin


def run(flows: dict[str, Any], script: list[tuple[Any, ...]], until: float = 1000.0, **parts: Any) -> Play:
    return three_ways(blueprint(flows=flows, **parts), script, until)


def straight(model: Any, script: list[tuple[Any, ...]]) -> Play:
    return Play(Twin(model), script, float("inf")).finish()


def outcomes(play: Play) -> list[tuple[float, int | None, str]]:
    return [(e.sim_time, e.entity, e.payload["outcome"]) for e in play.told if e.kind == "entity-left"]


def test_who_fails_says_why_and_gives_back_what_it_holds():
    flow = [{"seize": "m"}, {"delay": 2}, {"fail": {"reason": "torn", "when": "entity.size > 1"}}, {"delay": 3}]
    script = [(0.0, "spawn", "f", {"size": size}) for size in (2, 1)]
    play = run({"f": flow}, script, resources={"m": {}})
    assert outcomes(play) == [(2, 1, "failed"), (7, 2, "finished")]
    [failed] = [e.payload for e in play.told if e.kind == "entity-failed"]
    assert failed == {"code": "failed", "message": "torn", "step": "flows.f.2"}
    assert play.twin.resources["m"].busy == 0


def test_a_try_that_fails_gives_back_what_it_seized_and_keeps_what_was_held():
    flow = [
        {"seize": "tool"},
        {"set": {"entity.n": 0}},
        {
            "retry": {
                "do": [
                    {"seize": {"resource": "tool", "units": 2}},
                    {"seize": "bench"},
                    {"delay": 1},
                    {"set": {"entity.n": "entity.n + 1"}},
                    {"fail": {"reason": "torn", "when": "entity.n < 3"}},
                    {"release": "bench"},
                    {"release": {"resource": "tool", "units": 2}},
                ],
                "times": 3,
                "wait": 4,
            }
        },
        {"emit": {"kind": "made", "payload": {"tools": "resources.tool.busy"}}},
    ]
    other = [{"delay": 1.5}, {"process": {"resource": "bench", "for": 1}}, {"emit": "between"}]
    play = run(
        {"f": flow, "g": other}, [(0.0, "spawn", "f"), (0.0, "spawn", "g")], resources={"tool": {"capacity": 3}, "bench": {}}
    )
    assert times(play, "try-failed", reason="torn") == [1, 6]
    assert times(play, "between") == [2.5]  # while the first one pauses, the bench is free
    assert times(play, "made", tools=1) == [11]
    assert play.twin.resources["tool"].busy == play.twin.resources["bench"].busy == 0


@pytest.mark.parametrize(("give_up", "outcome"), [({"on_give_up": "scrap"}, "finished"), ({}, "failed")])
def test_a_retry_that_gives_up_leads_on_or_fails(give_up: dict[str, str], outcome: str):
    flow = [{"retry": {"do": [{"delay": 1}, {"fail": "torn"}], "times": 2, **give_up}}, {"emit": "never"}]
    play = run({"f": flow, "scrap": [{"emit": "scrapped"}]}, [(0.0, "spawn", "f")])
    assert times(play, "try-failed") == [1, 2]
    assert times(play, "scrapped") == ([2] if give_up else [])
    assert times(play, "entity-failed", message="torn") == ([] if give_up else [2])
    assert outcomes(play) == [(2, 1, outcome)]
    assert times(play, "never") == []


def test_a_failure_goes_on_to_the_retry_around():
    inner = {"retry": {"do": [{"delay": 1}, {"fail": "torn"}], "times": 2}}
    play = run({"f": [{"retry": {"do": [inner], "times": 3, "on_give_up": "end", "wait": 10}}]}, [(0.0, "spawn", "f")])
    tries = [(e.sim_time, e.payload["tries"]) for e in play.told if e.kind == "try-failed"]
    assert tries == [(1, 1), (2, 2), (2, 1), (13, 1), (14, 2), (14, 2), (25, 1), (26, 2), (26, 3)]
    assert outcomes(play) == [(26, 1, "finished")]


def test_a_loop_that_a_failure_left_begins_anew():
    body = [{"loop": {"times": 3, "do": [{"delay": 1}, {"emit": "round"}, {"fail": {"reason": "torn", "when": "now == 2"}}]}}]
    play = run({"f": [{"retry": {"do": body}}]}, [(0.0, "spawn", "f")])
    assert times(play, "round") == [1, 2, 3, 4, 5]


def test_both_until_and_fail_end_a_try():
    flow = [
        {"set": {"entity.n": 0}},
        {
            "retry": {
                "do": [{"set": {"entity.n": "entity.n + 1"}}, {"fail": {"reason": "torn", "when": "entity.n == 1"}}],
                "until": "entity.n > 2",
                "times": 5,
                "wait": 1,
            }
        },
        {"emit": "good"},
    ]
    assert times(run({"f": flow}, [(0.0, "spawn", "f")]), "good") == [2]


def test_who_came_into_the_block_from_elsewhere_is_in_no_try():
    flow = [{"go": "inside"}, {"retry": {"do": [{"inside": {"delay": 1}}, {"fail": "torn"}], "times": 3}}]
    play = run({"f": flow}, [(0.0, "spawn", "f")])
    assert outcomes(play) == [(1, 1, "failed")]
    assert times(play, "try-failed") == []


def test_as_many_fail_as_the_probability_says_and_it_may_change_while_running():
    flow = [{"fail": {"reason": "torn", "probability": "variables.share"}}]
    arrivals = {"a": {"interarrival": {"constant": 1}, "flow": "f", "limit": 20_000}}
    model = blueprint(flows={"f": flow}, arrivals=arrivals, variables={"share": 0.2})
    play = straight(model, [(10_000.5, "set", "variables.share", 0.6)])
    failed = [e.sim_time for e in play.told if e.kind == "entity-failed"]
    first = sum(at < 10_000.5 for at in failed)
    # five standard errors of 10,000 draws
    assert first == pytest.approx(2_000, abs=200)
    assert len(failed) - first == pytest.approx(6_000, abs=250)


@pytest.mark.parametrize("share", ["2", "-0.1", "true", "'much'"])
def test_no_probability_is_taken_for_one(share: str):
    play = run({"f": [{"fail": {"reason": "torn", "probability": share}}]}, [(0.0, "spawn", "f")])
    assert times(play, "entity-failed", code="not-a-probability") == [0]


@pytest.mark.parametrize(
    ("flows", "code", "said"),
    [
        ("f: [{fail: {when: 'true'}}]", "missing-field", "reason"),
        ("f: [{fail: ''}]", "string-too-short", "reason"),
        ("f: [{fail: {reason: torn, probability: 1.5}}]", "less-than-equal", "`probability`: input should be less than"),
        ("f: [{loop: {times: -1, do: [{delay: 1}]}}]", "greater-than-equal", "`times`: input should be greater than"),
        ("f: [{fail: {reason: torn, when: variabels.x > 1}}]", "unknown-name", "variabels"),
        ("f: [{fail: {reason: torn, probabilty: 0.5}}]", "unknown-field", "probability"),
        ("f: [{fial: torn}]", "unknown-step", "did you mean `fail`?"),
        ("f: [{retry: {do: [{delay: 1}]}}]", "never-fails", "put a `fail` step into `do`"),
    ],
)
def test_a_fault_of_a_fail_step_is_told_with_its_place(flows: str, code: str, said: str):
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(f"twin: T\nflows:\n  {flows}\n")
    [fault] = caught.value.errors
    assert fault.code == code
    assert said in f"{fault.message} {fault.remedy}"
    assert fault.place is not None
    assert fault.place.startswith("<string>:3:")


def test_a_machine_has_states_and_does_not_fail():
    with pytest.raises(BlueprintError) as caught:
        load_blueprint("twin: T\nmachines: {m: {initial: a, states: {a: {entry: [{fail: torn}]}}}}\n")
    assert [fault.code for fault in caught.value.errors] == ["fail-in-machine"]
