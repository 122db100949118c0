"""The local way gives what the scenarios ask for, from every form of blueprint and command, and hides no refusal."""

from pathlib import Path

import pytest

from models.blueprint import Blueprint
from models.commands import Set
from models.errors import BlueprintError, ModelError, Rejected, TwinError
from models.load import load_blueprint
from twin_app import At, patch, set_, signal, simulate, spawn

SHOP = """
twin: Shop
variables: {mode: shut, level: 0, sum: 0}
resources:
  m: {capacity: 1, max_capacity: 3}
services:
  work: {constant: 10.0}
flows:
  job:
    - process: {resource: m, service: work}
    - emit: done
  door:
    - wait_for: {when: "variables.mode == 'open'"}
    - emit: {kind: entered, payload: {at: now}}
  next_change:
    - wait_for: {change: variables.level, when: "variables.level > 3"}
    - emit: saw-change
  divides:
    - set: {variables.sum: 1 / variables.level}
  forever:
    - again: {delay: 0}
    - go: again
"""

SIX_JOBS = [spawn("job") for _ in range(6)]


def starts(run) -> list[float]:
    return [event.sim_time for event in run.events if event.kind == "entity-started"]


def test_growth_does_not_wait_for_a_job_to_end():
    run = simulate(SHOP, [*SIX_JOBS, At(5, set_("Shop.resources.m.current_cap", 3))], until=100)
    assert starts(run) == [0, 5, 5, 10, 15, 15]


def test_a_command_as_a_document_or_an_object_does_not_differ():
    forms = [
        At(5, set_("Shop.resources.m.capacity", 3)),
        set_("resources.m.max_cap", 3, at=5),
        {"path_id": "Shop.resources.m.current_cap", "value": 3, "at": 5},
        At(5, {"path": "resources.m.capacity", "value": "3"}),
        Set(twin="Shop", path="resources.m.capacity", value=3, at=5.0),
        patch({"resources.m.capacity": 3, "Shop.variables.level": 1}, at=5),
    ]
    runs = [simulate(SHOP, [*SIX_JOBS, form], until=100) for form in forms]
    assert starts(runs[1]) == [0, 10, 20, 30, 40, 50]
    assert [starts(run) for run in (runs[0], *runs[2:])] == [[0, 5, 5, 10, 15, 15]] * 5


def test_the_forms_of_a_blueprint_do_not_differ(tmp_path: Path):
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP, encoding="utf-8")
    blueprint = load_blueprint(SHOP)
    document = blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    runs = [simulate(form, SIX_JOBS, until=30).events for form in (SHOP, file, str(file), blueprint, document)]
    assert all(run == runs[0] for run in runs)
    assert isinstance(blueprint, Blueprint)


def test_a_waiter_does_not_keep_another_from_waking():
    run = simulate(SHOP, [spawn("door"), spawn("door"), At(1, spawn("door")), At(5, set_("variables.mode", "open"))], until=10)
    assert [(event.entity, event.sim_time) for event in run.of("entered")] == [(1, 5), (2, 5), (3, 5)]


def test_an_old_change_does_not_wake_a_later_waiter():
    commands = [
        At(1, set_("variables.level", 5)),
        At(2, spawn("next_change")),
        At(3, set_("variables.level", 2)),
        At(4, set_("variables.level", 9)),
    ]
    assert [event.sim_time for event in simulate(SHOP, commands, until=10).of("saw-change")] == [4]


def test_setting_what_is_already_so_does_not_count_as_a_change_to_waiters():
    commands = [At(1, set_("variables.level", 5)), At(2, spawn("next_change")), At(3, set_("variables.level", 5))]
    run = simulate(SHOP, commands, until=10)
    assert run.of("saw-change") == []
    assert [event.payload["version"] for event in run.of("parameter-changed")] == [1, 2]


def test_a_pending_arrival_does_not_sleep_through_a_rate_change():
    text = """
twin: Shop
resources: {m: {capacity: 1}}
arrivals: {orders: {interarrival: {exponential: {rate: 0.001}}, flow: pass}}
flows: {pass: [{delay: 0}]}
"""
    run = simulate(text, [At(1, set_("Shop.arrivals.orders.rate", 10))], until=20, seed=3)
    times = [event.sim_time for event in run.of("entity-created")]
    assert 1.0 < times[0] < 2.0
    assert 130 < len(times) < 250
    kept = simulate(
        text.replace("flow: pass}", "flow: pass, on_change: keep}"), [At(1, set_("arrivals.orders.rate", 10))], until=20, seed=3
    )
    assert kept.of("entity-created") == []


def test_a_condition_that_divides_by_zero_does_not_end_the_run():
    run = simulate(SHOP, [spawn("divides"), At(1, set_("variables.level", 2)), At(2, spawn("job"))], until=20)
    assert [event.entity for event in run.of("entity-failed")] == [1]
    assert [event.sim_time for event in run.of("done")] == [12]


def test_a_loop_without_time_does_not_hang_the_run():
    text = SHOP + "limits: {steps_per_instant: 1000}\n"
    with pytest.raises(ModelError, match="too-many-steps"):
        simulate(text, [spawn("forever")], until=20)


def test_a_refused_command_is_not_hidden():
    with pytest.raises(Rejected, match=r"at 5, resources.m.capacity: .*\[out-of-bounds\]"):
        simulate(SHOP, [At(5, set_("Shop.resources.m.capacity", 4))], until=10)
    with pytest.raises(Rejected, match="unknown-kind"):
        simulate(SHOP, [{"kind": "ste"}], until=10)
    with pytest.raises(Rejected, match="key-mismatch"):
        simulate(SHOP, [set_("Plant.resources.m.capacity", 1)], until=10)
    with pytest.raises(Rejected, match="unknown-twin"):
        simulate(SHOP, [Set(twin="Plant", path="resources.m.capacity", value=1)], until=10)
    with pytest.raises(Rejected, match="not-finite"):
        simulate(SHOP, [set_("variables.level", float("nan"))], until=10)


def test_refusals_that_are_tolerated_are_not_lost():
    commands = [
        At(1, set_("resources.m.capacity", 9)),
        At(2, set_("resources.m.capacity", 3, at=6)),
        At(3, set_("resources.m.max_capacity", 2)),
        At(4, set_("variables.level", 4)),
        {"kind": "nope"},
        At(float("inf"), set_("variables.level", 4)),
    ]
    run = simulate(SHOP, commands, until=10, strict=False)
    assert [(time, refusal.code) for time, refusal in run.rejected if time < 10] == [
        (0, "unknown-kind"),
        (1, "out-of-bounds"),
        (6, "out-of-bounds"),
    ]
    assert len(run.rejected) == 4
    assert run.parameters["variables.level"] == 4


def test_the_cause_of_an_event_is_not_another_command():
    run = simulate(SHOP, [At(2, set_("variables.level", 1)), At(1, set_("variables.sum", 1))], until=10)
    assert [(event.payload["path"], event.cause.offset) for event in run.of("parameter-changed")] == [
        ("variables.sum", 1),
        ("variables.level", 0),
    ]


def test_a_command_after_the_end_does_not_act():
    run = simulate(SHOP, [At(11, set_("variables.level", 1)), At(10, set_("variables.sum", 2))], until=10)
    assert (run.parameters["variables.level"], run.parameters["variables.sum"]) == (0, 2)
    assert run.twin.now == 10


def test_an_unknown_signal_is_not_swallowed():
    with pytest.raises(Rejected, match="unknown-signal"):
        simulate(SHOP, [signal("go")], until=1)


def test_a_run_without_end_is_not_begun():
    with pytest.raises(TwinError, match="bad-until"):
        simulate(SHOP, until=float("inf"))


def test_a_bad_blueprint_is_not_run(tmp_path: Path):
    for bad in ("twin: a\nresorces: {}\n", {"twin": "a", "resorces": {}}):
        with pytest.raises(BlueprintError, match="resources"):
            simulate(bad, until=1)
    with pytest.raises(TwinError, match="unreadable-file"):
        simulate(tmp_path / "none.yaml", until=1)


def test_the_same_seed_does_not_give_other_events():
    text = """
twin: S
arrivals: {o: {interarrival: {exponential: {mean: 1}}, flow: f}}
flows: {f: [{delay: {uniform: {low: 0, high: 2}}}]}
"""
    assert simulate(text, until=50, seed=5).events == simulate(text, until=50, seed=5).events
    assert simulate(text, until=50, seed=5).events != simulate(text, until=50, seed=6).events


def test_statistics_do_not_contradict_the_events():
    run = simulate(SHOP, SIX_JOBS, until=35)
    assert run.statistics["created"] == 6
    assert run.statistics["finished"] == len(run.of("done")) == 3
    assert run.statistics["wip"] == 3
