"""A new blueprint for a running twin: nothing in progress is lost without a word, and what need not change does not change."""

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.blueprint import Blueprint
from models.errors import Rejected
from tests.kernel.random_blueprints import blueprints, scripts, spans
from tests.kernel.random_blueprints import steps as random_steps
from tests.kernel.three_ways import Play, through_text
from twin_app.kernel import Twin
from twin_app.kernel.migration import Migration

UNTIL = 15.0
SLOW = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def migrated(twin: Twin, model: Blueprint, moves: dict[str, str] | None = None) -> Twin:
    return Migration(twin, model, moves).carry_out({"blueprint_hash": "x"})


def attempted(twin: Twin, model: Blueprint, moves: dict[str, str]) -> Twin | None:
    try:
        return migrated(twin, model, moves)
    except Rejected as rejected:
        if rejected.code != "work-does-not-fit" or not rejected.remedy:
            raise
        return None


def balanced(twin: Twin) -> None:
    figures = twin.statistics()
    left = sum(twin.outcomes.values())
    assert figures["created"] == figures["wip"] + left, figures
    for name, resource in twin.resources.items():
        held = sum((e.held or {}).get(name, 0) for e in twin.entities.values())
        serving = sum(e.units for e in twin.entities.values() if e.phase == 2 and getattr(e.step, "resource", None) is resource)
        assert resource.busy == held + serving, (name, resource)
        queued = [e.id for e in twin.entities.values() if e.phase == 1 and getattr(e.step, "resource", None) is resource]
        assert sorted(queued) == sorted(e.id for e in resource.queue.in_order())


@settings(max_examples=15, **SLOW)
@given(document=blueprints(), script=scripts())
def test_the_same_blueprint_changes_nothing_at_any_event(document: dict[str, Any], script: list[tuple[Any, ...]]):
    model = Blueprint.model_validate(document)
    golden = Play(Twin(model), script, UNTIL).finish()
    play = Play(Twin(model), script, UNTIL)
    while True:
        twin = play.twin
        before = twin.state_hash()
        rest = Play(migrated(twin, model), play.script, UNTIL)
        first, *others = rest.twin.drain()
        assert (first.kind, others) == ("twin-migrated", [])
        assert twin.state_hash() == before, "the old twin was touched"
        snapshot = rest.twin.snapshot()
        assert snapshot["seq"] == twin.seq + 1
        snapshot["seq"] = twin.seq
        snapshot["instant_steps"] = twin.snapshot()["instant_steps"]  # each command has the whole allowance
        assert snapshot == twin.snapshot()
        if play.twin.seq % 7 == 0:  # equal states have equal futures; this looks, now and then
            rest.twin.seq -= 1
            rest.told = list(play.told)
            rest.rejected = list(play.rejected)
            assert rest.finish().told == golden.told
        if not play.step():
            break


def _texts(flows: dict[str, Any]) -> str:
    return json.dumps(flows)


@st.composite
def edits(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    return draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("insert"), st.sampled_from(["main", "other", "leaf"]), st.integers(0, 6), random_steps),
                st.tuples(st.just("remove"), st.sampled_from(["main", "other", "leaf"]), st.integers(0, 6)),
                st.tuples(st.just("label"), st.sampled_from(["main", "other"]), st.integers(0, 6)),
                st.tuples(st.just("capacity"), st.sampled_from(["m", "n"]), st.integers(0, 3)),
                st.tuples(st.just("discipline"), st.sampled_from(["m", "n"]), st.sampled_from(["fifo", "lifo", "preemptive"])),
                st.tuples(st.just("steady"), st.sampled_from(["m", "n"])),
                st.tuples(st.just("breaking"), st.sampled_from(["m", "n"])),
                st.tuples(st.just("resource"), st.just("k")),
                st.tuples(st.just("swap"), st.just("m"), st.just("n")),
                st.tuples(st.just("span"), st.integers(0, 6), spans),
                st.tuples(st.just("rename"), st.just("other"), st.just("another")),
                st.tuples(st.just("no-watch")),
                st.tuples(st.just("faster")),
                st.tuples(st.just("tank"), st.sampled_from([1, 3, 9])),
                st.tuples(st.just("limit"), st.integers(1, 8)),
            ),
            min_size=1,
            max_size=4,
        )
    )


def edited(document: dict[str, Any], edits: list[tuple[Any, ...]]) -> tuple[Blueprint | None, dict[str, str]]:
    document, moves = deepcopy(document), {}
    for edit in edits:
        verb, *rest = edit
        flows = document["flows"]
        if verb == "insert":
            flows.setdefault(rest[0], []).insert(rest[1], rest[2])
        elif verb == "remove":
            del flows.get(rest[0], [])[rest[1] : rest[1] + 1]
        elif verb == "label" and rest[1] < len(flows.get(rest[0], [])):
            step = flows[rest[0]][rest[1]]
            if "here" not in _texts(flows):
                flows[rest[0]][rest[1]] = {"here": step}
        elif verb == "capacity":
            document["resources"][rest[0]]["capacity"] = rest[1]
        elif verb == "discipline":
            document["resources"][rest[0]]["discipline"] = rest[1]
        elif verb == "steady":
            document["resources"][rest[0]].pop("breakdown", None)
            document["resources"][rest[0]].pop("maintenance", None)
        elif verb == "breaking":
            document["resources"][rest[0]]["breakdown"] = {
                "time_to_failure": {"constant": 2.0},
                "repair": {"constant": 1.0},
            }
        elif verb == "resource":
            document["resources"][rest[0]] = {"capacity": 1}
        elif verb == "swap":
            document["flows"] = json.loads(_texts(flows).replace(f'"resource": "{rest[0]}"', f'"resource": "{rest[1]}"'))
        elif verb == "span":
            for step in flows["main"][rest[0] : rest[0] + 1]:
                if "process" in step and "for" in step["process"]:
                    step["process"]["for"] = rest[1]
        elif verb == "rename" and "other" in flows:
            document["flows"] = json.loads(_texts(flows).replace('"other"', '"another"'))
            moves["other"] = "another"
        elif verb == "no-watch":
            document["watch"] = {}
        elif verb == "faster":
            document["arrivals"]["a"]["interarrival"] = {"constant": 0.5}
        elif verb == "tank":
            document["containers"]["tank"] = {"capacity": rest[0], "level": 0}
        elif verb == "limit":
            document["limits"] = {"entities": rest[0]}
    try:
        return Blueprint.model_validate(document), moves
    except ValidationError:
        return None, {}


@settings(max_examples=80, **SLOW)
@given(
    document=blueprints(),
    script=scripts(),
    edits=edits(),
    stop=st.integers(1, 80),
    to=st.sampled_from([None, "main.0", "leaf.0"]),
)
def test_random_edits_migrate_with_all_accounted_for_or_change_nothing(
    document: dict[str, Any], script: list[tuple[Any, ...]], edits: list[tuple[Any, ...]], stop: int, to: str | None
):
    model = Blueprint.model_validate(document)
    changed, moves = edited(document, edits)
    assume(changed is not None and changed.flows["main"])
    assert changed is not None
    play = Play(Twin(model), script, UNTIL)
    for _ in range(stop):
        if not play.step():
            break
    twin = play.twin
    before, figures, entities = twin.state_hash(), twin.statistics(), set(twin.entities)
    if to is not None and changed.flows[to.partition(".")[0]]:
        moves |= {f"main.{number}": to for number in range(len(document["flows"]["main"]))}
    new = attempted(twin, changed, moves)
    assert twin.state_hash() == before
    event("refused" if new is None else "migrated")
    if new is None:
        return
    events = new.drain()
    assert events[0].kind == "twin-migrated"
    assert [e.seq for e in events] == list(range(twin.seq + 1, twin.seq + 1 + len(events)))
    payload = events[0].payload
    assert payload["entities_kept"] + payload["entities_moved"] == figures["wip"]
    left = {e.entity for e in events if e.kind == "entity-left"}
    created = {e.entity for e in events if e.kind == "entity-created"}
    assert set(new.entities) == (entities | created) - left
    assert new.now == twin.now
    for name in twin.resources.keys() & new.resources.keys():  # no time has passed: nothing is added to any integral
        assert new.resources[name].areas() == pytest.approx(twin.resources[name].areas(), abs=1e-9)
    assert new.statistics()["created"] == figures["created"] + len(created)
    balanced(new)
    again = Twin.restore(through_text(new.snapshot()))
    assert again.state_hash() == new.state_hash()
    going, restored = Play(new, play.script, UNTIL), Play(again, play.script, UNTIL)
    while going.step():
        balanced(going.twin)
    restored.finish()
    going.finish()
    assert going.told == restored.told
    assert going.twin.state_hash() == restored.twin.state_hash()


# -- by hand


def line(**parts: Any) -> dict[str, Any]:
    """Jobs of two units of time at `a`, then of one at `b`; one comes each unit."""
    return {
        "twin": "T",
        "resources": {"a": {"capacity": 1, "max_capacity": 5}, "b": {"capacity": 1}},
        "services": {"turn": {"constant": 2.0}, "pack": {"constant": 1.0}},
        "arrivals": {"jobs": {"interarrival": {"constant": 1.0}, "flow": "make", "limit": 5}},
        "flows": {
            "make": [{"process": {"resource": "a", "service": "turn"}}, {"process": {"resource": "b", "service": "pack"}}],
        },
        **parts,
    }


def at(time: float, document: dict[str, Any]) -> Twin:
    twin = Twin(Blueprint.model_validate(document))
    twin.advance(time)
    twin.drain()
    return twin


def model(document: dict[str, Any]) -> Blueprint:
    return Blueprint.model_validate(document)


def rest(twin: Twin, until: float = 30.0) -> list[tuple[float, str, int | None]]:
    twin.advance(until)
    kinds = ("entity-started", "entity-finished", "entity-left", "entity-moved")
    return [(e.sim_time, e.kind, e.entity) for e in twin.drain() if e.kind in kinds]


def misfits(twin: Twin, document: dict[str, Any], moves: dict[str, str] | None = None) -> list[str]:
    migration = Migration(twin, model(document), moves)
    with pytest.raises(Rejected) as caught:
        migration.carry_out({})
    assert caught.value.code == "work-does-not-fit"
    return [misfit.place for misfit in migration.report.misfits]


def test_a_step_put_in_front_disturbs_nobody_who_is_past_it():
    old = at(4.5, line())
    flows = {"make": [{"delay": 0.25}, *line()["flows"]["make"]]}
    new = migrated(old, model(line(flows=flows)))
    assert [(e.id, e.step.place.number) for e in new.entities.values()] == [
        (e.id, str(int(e.step.place.number) + 1)) for e in old.entities.values()
    ]
    before, after = rest(old, 5.0), rest(new, 5.0)
    assert before == after
    assert rest(new)[-1][1:] == ("entity-left", 5)


def test_who_stands_at_a_step_that_is_gone_is_not_lost_but_named_or_moved_in_order():
    old = at(4.5, line())
    flows = {"make": [{"polish": {"process": {"resource": "b", "service": "pack"}}}]}
    changed = line(resources={"b": {"capacity": 1}}, flows=flows)
    assert misfits(old, changed) == ["make.0"]
    new = migrated(old, model(changed), {"make.0": "make.polish"})
    told = rest(new)
    assert [entity for _, kind, entity in told if kind == "entity-moved"] == [2, 3, 4]
    assert [(time, entity) for time, kind, entity in told if kind == "entity-started"][:3] == [(4.5, 2), (5.5, 3), (6.5, 4)]
    balanced(new)


def test_who_is_moved_out_of_a_line_or_a_service_leaves_its_figures_right():
    old = at(4.5, line())
    flows = {"make": [{"polish": {"process": {"resource": "b", "service": "pack"}}}, {"process": {"resource": "a", "for": 1}}]}
    new = migrated(old, model(line(flows=flows)), {"make.0": "make.polish", "make.1": "make.polish"})
    assert new.resources["a"].areas() == old.resources["a"].areas()
    new.advance(4.75)
    assert new.resources["a"].areas()[1:3] == old.resources["a"].areas()[1:3]


def test_units_that_are_held_of_a_resource_that_is_gone_do_not_vanish():
    flows = {"make": [{"seize": "a"}, {"wait": {"delay": 3}}, {"release": "a"}]}
    old = at(1.5, line(flows=flows))
    changed = line(resources={"b": {}}, flows={"make": [{"wait": {"delay": 3}}]})
    assert misfits(old, changed, {"make.0": "make.wait"}) == ["resources.a"]


def test_a_stock_that_is_gone_is_not_emptied_without_a_word():
    parts = {"containers": {"oil": {"capacity": 5, "level": 2}}, "stores": {"shelf": {"items": [1]}}}
    assert misfits(at(1.5, line(**parts)), line()) == ["containers.oil", "stores.shelf"]


def test_no_more_are_in_progress_than_the_new_limit_lets():
    assert misfits(at(3.5, line()), line(limits={"entities": 2})) == ["limits.entities"]


def test_simulation_time_never_means_another_instant():
    changed = line(time={"unit": "hours", "mode": "event", "start": "2026-01-01T00:00:00Z"})
    assert misfits(at(3.5, line()), changed) == ["time.unit", "time.mode", "time.start"]


def test_a_live_value_is_kept_where_the_declared_one_is_the_same():
    old = at(0.5, line(variables={"mode": "auto", "count": 1}))
    old.set([("resources.a.capacity", 2), ("services.turn.constant", 3.0), ("variables.count", 7), ("services.pack.constant", 4)])
    services = {"turn": {"constant": 2.0}, "pack": {"constant": 1.5}, "dry": {"constant": 9.0}}
    migration = Migration(old, model(line(services=services, variables={"count": 1})))
    new = migration.carry_out({})
    values = new.parameters()
    assert (values["resources.a.capacity"], values["services.turn.constant"], values["variables.count"]) == (2, 3.0, 7)
    assert values["services.pack.constant"] == 1.5
    report = migration.report
    assert (report.taken, report.new) == ({"services.pack.constant": (4.0, 1.5)}, ["services.dry.constant"])
    assert report.gone == ["variables.mode"]


def test_a_live_value_that_does_not_fit_is_never_clipped():
    old = at(0.5, line())
    old.set([("resources.a.capacity", 4)])
    changed = line(resources={"a": {"capacity": 1, "max_capacity": 2}, "b": {}})
    assert misfits(old, changed) == ["resources.a.capacity"]
    changed["resources"]["a"]["capacity"] = 2
    assert migrated(old, model(changed)).resources["a"].capacity == 2


def test_a_line_does_not_wait_on_when_the_capacity_has_grown():
    old = at(3.5, line())
    new = migrated(old, model(line(resources={"a": {"capacity": 3, "max_capacity": 5}, "b": {"capacity": 1}})))
    assert [(e.sim_time, e.kind) for e in new.drain()] == [(3.5, "twin-migrated"), (3.5, "entity-started")]
    balanced(new)


def test_work_is_not_taken_away_when_the_capacity_has_shrunk():
    wide = line(resources={"a": {"capacity": 3, "max_capacity": 5}, "b": {"capacity": 1}})
    old = at(2.5, wide)
    assert old.resources["a"].busy == 2
    new = migrated(old, model(line()))
    assert (new.resources["a"].busy, new.resources["a"].debt) == (2, 1)
    new.advance(30.0)
    assert new.outcomes["finished"] == 5
    assert new.statistics()["resources"]["a"]["utilisation"] <= 1.0


def test_an_arrival_is_drawn_anew_only_where_its_declaration_is_another():
    old = at(2.5, line())
    changed = line()
    changed["arrivals"]["jobs"]["attributes"] = {"size": 1}
    assert migrated(old, model(changed)).arrivals["jobs"].at == 3.0
    changed["arrivals"]["jobs"]["interarrival"] = {"constant": 4.0}
    new = migrated(old, model(changed))
    assert (new.arrivals["jobs"].at, new.arrivals["jobs"].count) == (6.5, 2)


def test_who_waits_is_asked_again_under_another_condition():
    flows = {"make": [{"hold": {"wait_for": {"when": "variables.count > 9", "timeout": 20}}}]}
    old = at(2.5, line(flows=flows, variables={"count": 1}))
    flows = {"make": [{"hold": {"wait_for": {"when": "variables.count > 0"}}}]}
    new = migrated(old, model(line(flows=flows, variables={"count": 1})))
    assert [e.entity for e in new.drain() if e.kind == "entity-left"] == [1, 2]


def test_who_is_in_a_loop_does_not_forget_how_often():
    loop = {"loop": {"times": 3, "do": [{"process": {"resource": "a", "service": "turn"}}]}}
    retry = {"retry": {"do": [{"delay": 1}, {"fail": "torn"}], "times": 3, "wait": 0.5, "on_give_up": "end"}}
    for block, time in ((loop, 1.5), (retry, 2.2)):
        one = {"interarrival": {"constant": 1.0}, "flow": "make", "limit": 1}
        old = at(time, line(flows={"make": [block]}, arrivals={"jobs": one}))
        new = migrated(old, model(line(flows={"make": [{"emit": "seen"}, {"delay": 0}, block]}, arrivals={"jobs": one})))
        assert rest(new) == rest(old)


def test_who_must_now_be_found_in_service_is_found():
    """The line and the list of those in service are of another kind where somebody can be interrupted."""
    old = at(2.5, line())
    resources = {
        "a": {
            "capacity": 1,
            "max_capacity": 5,
            "discipline": "preemptive",
            "maintenance": {"every": {"constant": 1.0}, "duration": {"constant": 1.0}, "policy": "interrupt", "first": 0.25},
        },
        "b": {"capacity": 1},
    }
    new = migrated(old, model(line(resources=resources)))
    new.advance(3.0)
    assert [(e.sim_time, e.entity) for e in new.drain() if e.kind == "entity-preempted"] == [(2.75, 1)]
    back = migrated(new, model(line()), None) if not new.resources["a"].down else None
    assert back is None
    assert misfits(new, line()) == ["make.0"]  # its interrupted service could not go on there
    balanced(new)


def test_several_who_must_now_be_found_in_service_are_found_in_their_order():
    old = at(2.5, line(resources={"a": {"capacity": 2, "max_capacity": 5}, "b": {"capacity": 1}}))
    maintenance = {"every": {"constant": 9.0}, "duration": {"constant": 1.0}, "policy": "interrupt", "first": 0.25}
    resources = {"a": {"capacity": 2, "max_capacity": 5, "maintenance": maintenance}, "b": {"capacity": 1}}
    new = migrated(old, model(line(resources=resources)))
    new.advance(3.0)
    assert [(e.sim_time, e.entity) for e in new.drain() if e.kind == "entity-preempted"] == [(2.75, 1), (2.75, 2)]


def test_units_are_never_given_back_in_another_number_than_they_were_taken():
    wide = {"a": {"capacity": 2, "max_capacity": 5}, "b": {"capacity": 1}}
    flows = {"make": [{"process": {"resource": "a", "service": "turn", "units": 2}}, line()["flows"]["make"][1]]}
    old = at(2.5, line(resources=wide, flows=flows))
    assert misfits(old, line(resources=wide)) == ["make.0"]


def test_a_patience_that_is_gone_ends_no_wait():
    flows = {"make": [{"process": {"resource": "a", "service": "turn", "patience": 0.5}}, line()["flows"]["make"][1]]}
    new = migrated(at(2.1, line(flows=flows)), model(line()))
    new.advance(2.9)
    balanced(new)
    assert [e.id for e in new.resources["a"].queue.in_order()] == [2]
    new.advance(30.0)
    assert (new.outcomes["finished"], new.outcomes["reneged"]) == (5, 0)
    balanced(new)


MACHINE: dict[str, Any] = {
    "initial": "shut",
    "states": {
        "shut": {"transitions": [{"after": 2, "to": "ajar"}]},
        "ajar": {"transitions": [{"after": 10, "to": "shut"}]},
    },
}


def test_a_machine_keeps_its_state_and_its_timer():
    old = at(3.0, line(machines={"door": MACHINE}))
    states = {"new": {"transitions": [{"signal": "x", "to": "shut"}]}, **MACHINE["states"]}
    new = migrated(old, model(line(machines={"door": {"initial": "shut", "states": states}, "gate": MACHINE})))
    assert new.get("machines.door.state") == "ajar"
    new.advance(30.0)
    changes = [(e.sim_time, e.payload["path"]) for e in new.drain() if e.kind == "parameter-changed"]
    assert (12.0, "machines.door.state") in changes
    assert (5.0, "machines.gate.state") in changes
    assert new.wip == 0


def test_a_state_that_is_gone_needs_a_word():
    old = at(3.0, line(machines={"door": MACHINE}))
    states = {"shut": MACHINE["states"]["shut"] | {"transitions": []}, "open": {}}
    changed = line(machines={"door": {"initial": "shut", "states": states}})
    assert "machines.door.state" in misfits(old, changed)
    new = migrated(old, model(changed), {"machines.door.ajar": "machines.door.open"})
    assert new.get("machines.door.state") == "open"
    assert migrated(old, model(line())).machines == 0


@pytest.mark.parametrize(
    ("moves", "code", "near"),
    [
        ({"make.9": "make.0"}, "unknown-step", None),
        ({"make.0": "make.pakc"}, "unknown-step", "make.pack"),
        ({"mak": "make"}, "unknown-flow", "make"),
        ({"make": "mak"}, "unknown-flow", "make"),
    ],
)
def test_a_move_that_names_nothing_is_refused(moves: dict[str, str], code: str, near: str | None):
    flows = {"make": [line()["flows"]["make"][0], {"pack": line()["flows"]["make"][1]}]}
    with pytest.raises(Rejected) as caught:
        Migration(at(2.5, line()), model(line(flows=flows)), moves)
    assert caught.value.code == code
    assert near is None or near in str(caught.value.remedy)


def test_a_blueprint_that_fails_at_once_is_refused_and_the_twin_goes_on():
    old = at(2.5, line())
    before = old.state_hash()
    flows = {"make": [{"there": {"go": "there"}}]}
    changed = line(flows=flows, limits={"steps_per_instant": 1000})
    with pytest.raises(Rejected, match="fails as soon as"):
        migrated(old, model(changed), {"make.0": "make.there", "make.1": "make.there"})
    assert old.state_hash() == before
