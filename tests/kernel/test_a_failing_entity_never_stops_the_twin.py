"""Errors in a model fail one entity, loops end with a clear error, and the books balance (SCENARIOS Q2)."""

import pytest

from models.errors import CheckpointError, ModelError, Rejected
from tests.kernel.three_ways import Play, apply, blueprint, three_ways, times
from twin_app.kernel import Twin


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"set": {"entity.x": "1 / entity.zero"}}, "expression-failed"),
        ({"set": {"entity.x": "entity.missing"}}, "expression-failed"),
        ({"set": {"entity.x": "variables.table[7]"}}, "expression-failed"),
        ({"set": {"entity.x": "'a' + 1"}}, "expression-failed"),
        ({"set": {"entity.x": "9 ** 9 ** 9"}}, "expression-failed"),
        ({"set": {"entity.x": "9223372036854775807 * 2"}}, "number-too-large"),
        ({"set": {"entity.x": "1e300 * 1e300"}}, "not-finite"),
        ({"set": {"variables.count": "'many'"}}, "wrong-type"),
        ({"delay": "'long'"}, "not-a-number"),
        ({"delay": "1e13"}, "duration-too-long"),
        ({"seize": {"resource": "m", "units": "0.5"}}, "not-units"),
        ({"process": {"resource": "m", "for": "1 / entity.zero"}}, "expression-failed"),
        ({"release": "m"}, "not-held"),
        ({"wait_for": "variables.count / entity.zero > 1"}, "expression-failed"),
    ],
)
def test_a_fault_fails_that_entity_and_frees_what_it_holds(step: dict, code: str):
    model = blueprint(
        variables={"count": 1, "table": [1, 2]},
        resources={"m": {"capacity": 1}, "held": {"capacity": 1}},
        flows={
            "bad": [{"seize": "held"}, step],
            "good": [{"process": {"resource": "held", "for": 1}}, {"process": {"resource": "m", "for": 1}}],
        },
    )
    play = three_ways(model, [(0.0, "spawn", "bad", {"zero": 0}), (0.0, "spawn", "good")])
    failed = [e for e in play.told if e.kind == "entity-failed"]
    assert [(e.entity, e.payload["code"]) for e in failed] == [(1, code)]
    assert times(play, "entity-left", outcome="finished") == [2]
    assert play.twin.resources["held"].busy == 0
    assert play.twin.wip == 0


def test_a_fault_of_a_waiting_entity_does_not_hit_who_served_it():
    model = blueprint(resources={"m": {}}, flows={"job": [{"process": {"resource": "m", "for": "10 / entity.x"}}]})
    play = three_ways(model, [(0.0, "spawn", "job", {"x": 5}), (0.0, "spawn", "job", {"x": 0}), (0.0, "spawn", "job", {"x": 10})])
    assert {e.entity: e.payload["outcome"] for e in play.told if e.kind == "entity-left"} == {
        1: "finished",
        2: "failed",
        3: "finished",
    }
    assert times(play, "entity-finished") == [2, 3]


def test_a_fault_in_a_waited_condition_fails_the_waiter_only():
    model = blueprint(
        variables={"d": 1}, flows={"w": [{"wait_for": "10 / variables.d > 100"}], "v": [{"wait_for": "variables.d == 0"}]}
    )
    play = three_ways(model, [(0.0, "spawn", "w"), (0.0, "spawn", "v"), (1.0, "set", "variables.d", 0)])
    assert {e.entity: e.payload["outcome"] for e in play.told if e.kind == "entity-left"} == {1: "failed", 2: "finished"}


def test_a_loop_without_delay_ends_with_a_clear_error():
    model = blueprint(flows={"f": [{"again": {"set": {"entity.x": 1}}}, {"go": "again"}]}, limits={"steps_per_instant": 1000})
    twin = Twin(model)
    with pytest.raises(ModelError) as caught:
        twin.spawn("f")
    assert caught.value.code == "too-many-steps"


def test_a_loop_through_the_calendar_ends_too():
    model = blueprint(flows={"f": [{"again": {"delay": 0}}, {"go": "again"}]}, limits={"steps_per_instant": 1000})
    twin = Twin(model)
    twin.spawn("f")
    with pytest.raises(ModelError, match="without time passing"):
        twin.advance(1.0)


def test_the_allowance_of_steps_is_not_renewed_by_slicing():
    model = blueprint(flows={"f": [{"again": {"delay": 0}}, {"go": "again"}]}, limits={"steps_per_instant": 1000})
    twin = Twin(model)
    twin.spawn("f")
    with pytest.raises(ModelError):  # noqa: PT012
        for _ in range(5000):
            twin = Twin.restore(twin.snapshot())
            twin.advance(1.0, budget=1)


def test_a_full_twin_refuses_and_goes_on():
    model = blueprint(
        resources={"m": {}},
        arrivals={"a": {"interarrival": {"constant": 1}, "flow": "f", "limit": 5}},
        flows={"f": [{"process": {"resource": "m", "for": 10}}]},
        limits={"entities": 2},
    )
    play = three_ways(model, [(2.5, "spawn", "f")])
    assert play.rejected == ["too-many-entities"]
    assert times(play, "entity-refused") == [3, 4, 5]
    assert times(play, "entity-left") == [11, 21]


def test_unknown_things_from_outside_are_refused_and_change_nothing():
    twin = Twin(blueprint(flows={"f": []}))
    before = twin.state_hash()
    for act in (lambda: twin.spawn("g"), lambda: twin.get("x.y"), lambda: twin.set([("resources.m.capacity", 1)])):
        with pytest.raises(Rejected):
            act()
    with pytest.raises(Rejected):
        twin.spawn("f", {"x": float("nan")})
    assert twin.state_hash() == before


def test_q2_entities_are_conserved_at_every_instant():
    model = blueprint(
        resources={"m": {"capacity": 2, "queue_limit": 4}, "n": {}},
        services={"s": {"exponential": {"mean": 2.0}}},
        arrivals={
            "a": {
                "interarrival": {"exponential": {"rate": 1.5}},
                "flow": "f",
                "attributes": {"z": {"choice": {"values": [0, 1, 2]}}},
            }
        },
        flows={
            "f": [
                {"process": {"resource": "m", "service": "s", "patience": {"exponential": {"mean": 3}}}},
                {"branch": [{"weight": 0.2, "go": "end"}, {"go": "next"}]},
                {"set": {"entity.y": "1 / entity.z"}},
                {"process": {"resource": "n", "service": "s", "patience": 4.0}},
            ]
        },
    )
    play = Play(Twin(model), [(20.0, "set", "resources.m.capacity", 0), (30.0, "set", "resources.m.capacity", 3)], until=150.0)
    while play.step():
        counts = play.twin.statistics()
        assert counts["created"] == counts["wip"] + sum(counts[o] for o in ("finished", "reneged", "balked", "failed"))
        created = sum(e.kind == "entity-created" for e in play.told)
        left = sum(e.kind == "entity-left" for e in play.told)
        assert (created, left) == (counts["created"], counts["created"] - counts["wip"])
    assert all(counts[o] > 0 for o in ("finished", "reneged", "balked", "failed")), "the test saw every way out"


@pytest.mark.parametrize("budget", [1, 2, 7, 1000])
def test_slicing_never_changes_what_happens(budget: int):
    model = blueprint(
        resources={"m": {}},
        arrivals={"a": {"interarrival": {"exponential": {"mean": 1}}, "flow": "f"}},
        flows={"f": [{"process": {"resource": "m", "for": {"uniform": {"low": 0, "high": 2}}}}]},
    )
    whole, sliced = Twin(model), Twin(model)
    assert whole.advance(50.0)
    calls = 1
    while not sliced.advance(50.0, budget=budget):
        calls += 1
    assert whole.state_hash() == sliced.state_hash()
    assert whole.drain() == sliced.drain()
    assert calls >= whole.executed // budget


def test_not_inclusive_leaves_what_is_due_at_that_very_time():
    twin = Twin(blueprint(flows={"f": [{"delay": 5}, {"emit": "rang"}]}))
    twin.spawn("f")
    twin.advance(5.0, inclusive=False)
    assert (twin.now, twin.next_time, [e.kind for e in twin.drain()]) == (5.0, 5.0, ["entity-created"])
    twin.advance(5.0)
    assert [e.kind for e in twin.drain()] == ["rang", "entity-left"]


def test_going_back_in_time_does_nothing():
    twin = Twin(blueprint(flows={"f": []}))
    twin.advance(10.0)
    twin.advance(3.0)
    assert twin.now == 10.0
    with pytest.raises(ValueError, match="not a number"):
        twin.advance(float("nan"))


@pytest.mark.parametrize(
    "damage", [{"format": 99}, {"entities": [[1]]}, {"blueprint": {"twin": ""}}, {"resources": {"x": {}}}, {"streams": {"x": 1}}]
)
def test_a_damaged_snapshot_is_refused(damage: dict):
    snapshot = Twin(blueprint(flows={"f": []})).snapshot()
    with pytest.raises(CheckpointError):
        Twin.restore({**snapshot, **damage})
    for odd in (None, [], {}, "x"):
        with pytest.raises(CheckpointError):
            Twin.restore(odd)  # type: ignore[arg-type]


def test_events_can_be_switched_off_without_changing_what_happens():
    model = blueprint(
        resources={"m": {}},
        arrivals={"a": {"interarrival": {"exponential": {"mean": 1}}, "flow": "f"}},
        flows={"f": [{"process": {"resource": "m", "for": {"exponential": {"mean": 0.8}}}}]},
    )
    loud, silent = Twin(model), Twin(model, events=False)
    for twin in (loud, silent):
        apply(twin, (0.0, "set", "resources.m.capacity", 2))
        twin.advance(100.0)
    assert silent.drain() == []
    assert loud.statistics() == silent.statistics()
    assert loud.executed == silent.executed


def test_failures_that_set_off_others_without_end_are_told():
    """Each that fails gives back the unit that lets the next one fail: deeper than any stack. The process lives."""
    many = 20_000
    model = blueprint(
        limits={"entities": many},
        resources={"m": {"capacity": many, "max_capacity": many + 1}},
        flows={"job": [{"seize": "m"}, {"delay": 1}, {"process": {"resource": "m", "for": "1 / entity.zero"}}]},
    )
    twin = Twin(model)
    for _ in range(many):
        twin.spawn("job", {"zero": 0})
    twin.advance(1.0)
    assert len(twin.resources["m"].queue) == many
    with pytest.raises(ModelError) as caught:
        twin.set([("resources.m.capacity", many + 1)])
    assert caught.value.code == "too-many-set-off"
    assert sum(event.kind == "entity-failed" for event in twin.drain()) == 100  # in every process and form of the kernel
