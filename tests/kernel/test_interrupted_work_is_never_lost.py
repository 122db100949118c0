"""SCENARIOS R9, R10 and what surrounds them: preemption, breakdowns, maintenance, repair by the model's own entities."""

from typing import Any

import pytest

from tests.kernel.three_ways import Play, blueprint, three_ways, times


def story(play: Play, entity: int) -> list[tuple[float, str]]:
    kinds = ("entity-started", "entity-preempted", "entity-resumed", "entity-finished", "entity-left")
    return [(e.sim_time, e.kind.removeprefix("entity-")) for e in play.told if e.entity == entity and e.kind in kinds]


def ward(**process: Any):
    return blueprint(
        resources={"doctor": {"capacity": 1, "discipline": "preemptive"}},
        flows={
            "patient": [{"process": {"resource": "doctor", "for": 8, "priority": "entity.priority", **process}}],
            "elsewhere": [{"delay": 1}],
        },
    )


def patients(*arrivals: tuple[float, float]) -> list[tuple[Any, ...]]:
    return [(at, "spawn", "patient", {"priority": priority}) for at, priority in arrivals]


def test_r9_a_vip_preempts_and_the_regular_resumes():
    play = three_ways(ward(), patients((10.0, 5), (13.0, 0)))
    assert story(play, 1) == [(10, "started"), (13, "preempted"), (21, "resumed"), (26, "finished"), (26, "left")]
    assert story(play, 2) == [(13, "started"), (21, "finished"), (21, "left")]


def test_restart_begins_again():
    play = three_ways(ward(on_interrupt="restart"), patients((10.0, 5), (13.0, 0)))
    assert story(play, 1) == [(10, "started"), (13, "preempted"), (21, "started"), (29, "finished"), (29, "left")]


def test_abandon_leaves_or_goes_elsewhere():
    play = three_ways(ward(on_interrupt="abandon"), patients((10.0, 5), (13.0, 0)))
    assert story(play, 1) == [(10, "started"), (13, "preempted"), (13, "left")]
    assert times(play, "entity-left", outcome="abandoned") == [13]
    play = three_ways(ward(on_interrupt="abandon", on_abandon="elsewhere"), patients((10.0, 5), (13.0, 0)))
    assert story(play, 1)[-1] == (14, "left")


def test_equals_do_not_preempt_each_other_and_the_worst_goes_first():
    model = blueprint(
        resources={"m": {"capacity": 2, "discipline": "preemptive"}},
        flows={"patient": [{"process": {"resource": "m", "for": 10, "priority": "entity.priority"}}]},
    )
    play = three_ways(model, patients((0.0, 3), (1.0, 3), (2.0, 3), (3.0, 1)))
    assert times(play, "entity-preempted") == [3]
    assert story(play, 2) == [(1, "started"), (3, "preempted"), (10, "resumed"), (18, "finished"), (18, "left")]
    assert story(play, 3)[0] == (13, "started"), "the displaced one goes ahead of its equals"


def test_preempt_false_waits_its_turn():
    play = three_ways(ward(preempt=False), patients((10.0, 5), (13.0, 0)))
    assert times(play, "entity-preempted") == []
    assert story(play, 2)[0] == (18, "started")


def test_nobody_is_displaced_in_vain():
    """Two units are needed, only one could be freed: the worse one keeps working."""
    model = blueprint(
        resources={"m": {"capacity": 2, "discipline": "preemptive"}},
        flows={
            "small": [{"process": {"resource": "m", "for": 10, "priority": "entity.priority"}}],
            "large": [{"process": {"resource": "m", "for": 10, "priority": 1, "units": 2}}],
        },
    )
    script = [(0.0, "spawn", "small", {"priority": 0}), (0.0, "spawn", "small", {"priority": 5}), (2.0, "spawn", "large")]
    play = three_ways(model, script)
    assert times(play, "entity-preempted") == []
    assert times(play, "entity-started") == [0, 0, 10]


def machine(policy: str = "interrupt", **more: Any):
    breakdown = {"time_to_failure": {"constant": 15}, "repair": {"constant": 4}, "policy": policy}
    return blueprint(
        resources={"m": {"capacity": 1, "breakdown": breakdown}},
        flows={"job": [{"process": {"resource": "m", "for": 8, **more}}]},
    )


def test_r10_a_breakdown_interrupts_and_the_rest_is_done_after_the_repair():
    play = three_ways(machine(), [(10.0, "spawn", "job"), (16.0, "spawn", "job")], until=33.0)
    assert story(play, 1) == [(10, "started"), (15, "preempted"), (19, "resumed"), (22, "finished"), (22, "left")]
    assert story(play, 2) == [(22, "started"), (30, "finished"), (30, "left")]
    assert times(play, "resource-down") == [15]
    assert times(play, "resource-up") == [19]
    assert play.twin.statistics()["resources"]["m"]["down"] == 4


def test_a_breakdown_with_policy_finish_only_starts_nothing_new():
    play = three_ways(machine("finish"), [(10.0, "spawn", "job"), (11.0, "spawn", "job")], until=30.0)
    assert story(play, 1) == [(10, "started"), (18, "finished"), (18, "left")]
    assert story(play, 2)[0] == (19, "started")


@pytest.mark.parametrize(("rule", "done"), [("restart", 27), ("abandon", 15)])
def test_other_rules_for_the_interrupted(rule: str, done: float):
    play = three_ways(machine(on_interrupt=rule), [(10.0, "spawn", "job")], until=30.0)
    assert times(play, "entity-left") == [done]


def test_capacity_set_while_down_counts_from_the_repair_on():
    script = [(10.0, "spawn", "job"), (10.0, "spawn", "job"), (16.0, "set", "resources.m.capacity", 2)]
    play = three_ways(machine(), script, until=30.0)
    assert times(play, "entity-started") == [10, 19]
    assert times(play, "entity-resumed") == [19]


def test_a_changed_time_to_failure_reaches_the_pending_one():
    play = three_ways(machine(), [(10.0, "set", "resources.m.time_to_failure.constant", 3.0)], until=20.0)
    assert times(play, "resource-down") == [13, 20]


def test_a_repairman_repairs_one_machine_after_the_other():
    breakdown = {"time_to_failure": {"constant": 10}, "repair_flow": "fix"}
    model = blueprint(
        resources={"m": {"breakdown": breakdown}, "n": {"breakdown": breakdown}, "repairman": {}},
        flows={
            "fix": [
                {"process": {"resource": "repairman", "for": 3}},
                {"emit": {"kind": "fixed", "payload": {"machine": "entity.resource"}}},
            ],
        },
    )
    play = three_ways(model, until=20.0)
    assert [(e.sim_time, e.payload["machine"]) for e in play.told if e.kind == "fixed"] == [(13, "m"), (16, "n")]
    assert times(play, "resource-up") == [13, 16]


def test_maintenance_and_breakdown_may_overlap():
    model = blueprint(
        resources={
            "m": {
                "breakdown": {"time_to_failure": {"constant": 10}, "repair": {"constant": 6}},
                "maintenance": {"every": {"constant": 100}, "duration": {"constant": 10}, "first": 12},
            }
        },
        flows={"job": [{"process": {"resource": "m", "for": 4}}]},
    )
    play = three_ways(model, [(8.0, "spawn", "job"), (9.0, "spawn", "job")], until=30.0)
    assert story(play, 1) == [(8, "started"), (10, "preempted"), (22, "resumed"), (24, "finished"), (24, "left")]
    assert [(e.sim_time, e.payload["reason"]) for e in play.told if e.kind == "resource-down"] == [
        (10, "breakdown"),
        (12, "maintenance"),
        (26, "breakdown"),
    ]


def test_an_endless_outage_of_zero_length_ends_with_an_error():
    from models.errors import ModelError
    from twin_app.kernel import Twin

    breakdown = {"time_to_failure": {"constant": 0}, "repair": {"constant": 0}}
    twin = Twin(blueprint(resources={"m": {"breakdown": breakdown}}, limits={"steps_per_instant": 500}))
    with pytest.raises(ModelError, match="without time passing"):
        twin.advance(1.0)


@pytest.mark.parametrize("patience", [{}, {"patience": 50}])
@pytest.mark.parametrize(("rule", "done"), [("resume", [10, 20]), ("restart", [14, 24])])
def test_work_interrupted_by_a_step_goes_on_at_once_and_before_others(patience: dict, rule: str, done: list[float]):
    """Its units are free at that instant, and it is the first in line; what it held elsewhere before has no say."""
    flows = {
        "job": [
            {"seize": {"resource": "crane", "units": 2}},
            {"release": "crane"},
            {"process": {"resource": "m", "for": 10, "on_interrupt": rule, **patience}},
        ],
        "boss": [{"delay": 4}, {"interrupt": "job"}],
    }
    script = [(0.0, "spawn", "job"), (0.0, "spawn", "job"), (0.0, "spawn", "boss")]
    play = three_ways(blueprint(resources={"m": {}, "crane": {"capacity": 4}}, flows=flows), script)
    assert times(play, "entity-preempted") == [4]
    assert [(e.sim_time, e.entity) for e in play.told if e.kind == "entity-left" and e.payload["flow"] == "job"] == [
        (done[0], 1),
        (done[1], 2),
    ]
    assert play.twin.resources["m"].busy == 0


def test_who_waits_gets_the_place_of_one_who_is_sent_away():
    flows = {
        "job": [{"process": {"resource": "m", "for": 10, "on_interrupt": "abandon"}}],
        "boss": [{"delay": 4}, {"interrupt": "job"}],
    }
    play = three_ways(blueprint(resources={"m": {}}, flows=flows), [(0.0, "spawn", name) for name in ("job", "job", "boss")])
    assert times(play, "entity-started") == [0, 4]
    assert times(play, "entity-left", outcome="abandoned") == [4]
    assert times(play, "entity-left", outcome="finished", flow="job") == [14]
