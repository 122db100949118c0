"""Observations: the twin agrees with what was seen, tells each difference, loses nobody without a word, and stays exact."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.blueprint import Blueprint
from models.commands import Observe
from models.errors import Rejected
from tests.kernel.random_blueprints import blueprints, observations, scripts
from tests.kernel.three_ways import Play, blueprint, three_ways, times
from twin_app.kernel import Twin


def line(**parts: Any) -> Blueprint:
    return blueprint(
        **{
            "resources": {"m": {"capacity": 1, "queue_limit": 3}, "n": {"capacity": 1}},
            "containers": {"tank": {"capacity": 10, "level": 4}},
            "stores": {"shelf": {"capacity": 2, "items": ["a", "b"]}},
            "flows": {
                "make": [
                    {"process": {"resource": "m", "for": 10}},
                    {"rest": {"delay": 5}},
                    {"process": {"resource": "n", "for": "entity.size"}},
                ],
                "fill": [{"put": {"container": "tank", "amount": 8}}],
                "pick": [{"get": {"store": "shelf", "where": "item == 'z'"}}],
            },
            **parts,
        }
    )


def measured(play: Play) -> list[dict[str, Any]]:
    return [event.payload for event in play.told if event.kind == "divergence-measured"]


def balanced(twin: Twin) -> None:
    assert twin.created == twin.wip + sum(twin.outcomes.values()), "entities are not conserved"


def test_a_longer_line_is_filled_even_beyond_its_limit_and_a_free_server_takes_from_it():
    play = three_ways(line(), [(1, "observe", {"queues": {"m": 5}, "attributes": {"size": 1}})])
    assert measured(play) == [
        {
            "what": "queue",
            "path": "resources.m",
            "observed": 5,
            "simulated": 0,
            "difference": 5.0,
            "agrees": False,
            "created": 5,
            "removed": 0,
        }
    ]
    assert times(play, "entity-started", resource="m") == [1, 11, 21, 31, 41]
    assert play.twin.outcomes["finished"] == 5
    [seen, divergence, *_] = play.told
    created = [event for event in play.told if event.kind == "entity-created"]
    assert (seen.kind, seen.cause, divergence.cause) == ("observation-received", None, seen.seq)
    assert {event.cause for event in created} == {divergence.seq}
    balanced(play.twin)


def test_a_shorter_line_loses_those_who_would_be_served_last_and_says_so():
    script = [(0, "spawn", "make", {"size": 1})] * 4 + [(1, "observe", {"queues": {"m": 1}})]
    play = three_ways(line(), script)
    gone = [event for event in play.told if event.kind == "entity-left" and event.payload["outcome"] == "removed"]
    assert [event.entity for event in gone] == [3, 4]
    told = {event.seq: event.kind for event in play.told}
    assert {told[event.cause] for event in gone} == {"divergence-measured"}
    assert play.twin.outcomes == {**dict.fromkeys(play.twin.outcomes, 0), "finished": 2, "removed": 2}
    balanced(play.twin)


def test_what_is_as_it_was_seen_is_told_and_nothing_changes():
    script = [(0, "spawn", "make", {"size": 1})] * 2
    seen = {"queues": {"m": 1}, "levels": {"tank": 4}, "items": {"shelf": ["a", "b"]}, "steps": {"1": "0", "2": "make.0"}}
    play = three_ways(line(), [*script, (1, "observe", seen)])
    assert [payload["agrees"] for payload in measured(play)] == [True] * 5
    plain = three_ways(line(), script)
    ours = [event[1:4] + event[5:] for event in play.told if event.kind not in ("observation-received", "divergence-measured")]
    assert ours == [event[1:4] + event[5:] for event in plain.told]


def test_a_level_that_was_measured_lets_those_who_waited_go():
    script = [(0, "spawn", "fill"), (3, "observe", {"levels": {"tank": 1.5}})]
    play = three_ways(line(), script)
    assert times(play, "entity-put") == [3]
    assert play.twin.containers["tank"].level == 9.5
    assert measured(play)[0]["difference"] == -2.5


def test_a_level_above_the_capacity_is_believed():
    play = three_ways(line(), [(3, "observe", {"levels": {"tank": 12}})])
    assert play.twin.containers["tank"].level == 12


@pytest.mark.parametrize("discipline", ["fifo", "lifo", "priority"])
def test_items_that_were_seen_reach_those_who_waited_for_them(discipline: str):
    model = line(stores={"shelf": {"capacity": 2, "items": ["a", "b"], "discipline": discipline}})
    play = three_ways(model, [(0, "spawn", "pick"), (3, "observe", {"items": {"shelf": ["y", "z", "b"]}})])
    assert times(play, "entity-get") == [3]
    assert sorted(play.twin.stores["shelf"].items()) == ["b", "y"]
    [payload] = measured(play)
    assert (payload["observed"], payload["simulated"], payload["created"], payload["removed"]) == (3, 2, 2, 1)


def test_fewer_items_than_the_twin_had_are_taken_from_the_end():
    play = three_ways(line(), [(3, "observe", {"levels": {"shelf": 1}})])
    assert play.twin.stores["shelf"].items() == ["a"]


def test_an_entity_seen_elsewhere_goes_on_from_there_and_frees_what_it_had():
    script = [(0, "spawn", "make", {"size": 2})] * 2 + [(4, "observe", {"steps": {"1": "rest"}})]
    play = three_ways(line(), script)
    assert times(play, "entity-moved") == [4]
    moved = next(event for event in play.told if event.kind == "entity-moved")
    assert moved.payload == {"origin": "flows.make.0", "to": "flows.make.1(rest)"}
    assert times(play, "entity-started", resource="m") == [0, 4]
    assert times(play, "entity-started", resource="n") == [9, 19]
    balanced(play.twin)


def test_an_entity_seen_to_have_left_is_finished_and_one_that_had_left_already_agrees():
    script = [(0, "spawn", "make", {"size": 1})] * 2 + [(4, "observe", {"finished": [1]}), (5, "observe", {"finished": ["1"]})]
    play = three_ways(line(), script)
    assert [payload["agrees"] for payload in measured(play)] == [False, True]
    assert times(play, "entity-started", resource="m") == [0, 4]
    assert play.twin.outcomes["finished"] == 2
    balanced(play.twin)


def test_an_entity_that_the_twin_had_lost_is_created_where_it_was_seen():
    script = [(0, "spawn", "make", {"size": 1}), (1, "observe", {"finished": ["1"]})]
    play = three_ways(line(), [*script, (2, "observe", {"steps": {"1": "make.rest"}, "attributes": {"size": 3}})])
    assert times(play, "entity-created") == [0, 2]
    assert times(play, "entity-started", resource="n") == [7]
    balanced(play.twin)


def test_entities_are_named_by_an_attribute_where_their_numbers_are_not_known():
    script = [(0, "spawn", "make", {"size": 1, "order": name}) for name in ("x", "y", 17)]
    seen = {"by": "order", "steps": {"17": "rest", "new": "make.rest"}, "finished": ["y"], "attributes": {"size": 2}}
    play = three_ways(line(), [*script, (4, "observe", seen)])
    assert [(event.entity, event.kind) for event in play.told if event.sim_time == 4 and event.entity] == [
        (2, "divergence-measured"),
        (2, "entity-left"),
        (3, "divergence-measured"),
        (3, "entity-moved"),
        (4, "entity-created"),
    ]
    assert play.twin.outcomes["finished"] == 4


def test_a_moved_parent_is_not_woken_by_children_that_it_no_longer_waits_for():
    flows = {
        "make": [{"spawn": {"flow": "part", "count": 2, "wait": True}}, {"late": {"delay": 100}}],
        "part": [{"delay": 3}],
    }
    play = three_ways(line(flows=flows), [(0, "spawn", "make"), (1, "observe", {"steps": {"1": "late"}})])
    assert times(play, "entity-left", flow="make") == [101]
    again = three_ways(
        line(flows=flows),
        [(0, "spawn", "make"), (1, "observe", {"steps": {"1": "late"}}), (2, "observe", {"steps": {"1": "make.0"}})],
    )
    assert times(again, "entity-left", flow="make") == [105]


def test_a_batch_goes_on_without_the_member_that_was_seen_elsewhere_and_keeps_its_timeout():
    flows = {"make": [{"batch": {"size": 3, "timeout": 6}}, {"late": {"delay": 10}}]}
    script = [(0, "spawn", "make"), (1, "spawn", "make"), (2, "observe", {"steps": {"1": "late"}})]
    play = three_ways(line(flows=flows), script)
    assert times(play, "entity-left") == [12, 16]
    script = [(0, "spawn", "make")] * 3 + [(1, "observe", {"finished": ["2"]}), (2, "observe", {"steps": {"3": "make.late"}})]
    play = three_ways(line(flows=flows), script)
    assert times(play, "entity-left") == [1, 10, 12]
    balanced(play.twin)


def test_what_is_wrong_is_refused_whole_and_nothing_has_changed():
    twin = Twin(line())
    twin.spawn("make", {"size": 1})
    twin.drain()
    before = twin.state_hash()
    wrong = {
        "unknown-path": {"queues": {"q": 1}},
        "unknown-entity": {"finished": ["2"], "levels": {"tank": 1}},
        "unknown-step": {"steps": {"1": "nowhere"}, "levels": {"tank": 1}},
        "out-of-bounds": {"levels": {"shelf": 3}},
        "wrong-type": {"levels": {"shelf": 1.5}},
        "too-many-entities": {"queues": {"m": 1_000_000}},
    }
    for code, seen in wrong.items():
        with pytest.raises(Rejected) as caught:
            twin.align(Observe.model_validate({"twin": "T", **seen}))
        assert caught.value.code == code
    assert twin.state_hash() == before
    assert not twin.drain()


def test_a_line_that_several_steps_join_is_not_filled_by_guessing():
    flows = {name: [{"process": {"resource": "m", "for": 1}}] for name in ("make", "mend")}
    twin = Twin(line(flows=flows))
    with pytest.raises(Rejected) as caught:
        twin.align(Observe(twin="T", queues={"m": 2}))
    assert (caught.value.code, caught.value.remedy) == ("ambiguous", "choose: make.0, mend.0")
    twin.align(Observe(twin="T", queues={"m": 2}, queue_steps={"m": "mend.0"}))
    assert {entity.flow for entity in twin.entities.values()} == {"mend"}


@pytest.mark.parametrize(
    "seen",
    [
        {},
        {"queues": {"m": -1}},
        {"levels": {"tank": float("inf")}},
        {"finished": ["1", "1"]},
        {"finished": ["1"], "steps": {"1": "rest"}},
        {"queue_steps": {"m": "make.0"}},
        {"finished": [str(number) for number in range(1001)]},
    ],
)
def test_an_observation_that_contradicts_itself_is_no_command(seen: dict[str, Any]):
    with pytest.raises(ValueError, match="Observe"):
        Observe.model_validate({"twin": "T", **seen})


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    document=blueprints(),
    script=scripts(),
    seen=st.lists(observations, min_size=1, max_size=4),
    at=st.sampled_from([1.0, 2.5, 6.0]),
)
def test_no_observation_loses_an_entity_or_breaks_exactness(
    document: dict[str, Any], script: list[Any], seen: list[dict[str, Any]], at: float
):
    model = Blueprint.model_validate(document)
    script = sorted([*script, *((at + place, "observe", fields) for place, fields in enumerate(seen))], key=lambda c: c[0])
    play = Play(Twin(model), script, 15.0)
    other = Play(Twin(model), script, 15.0)
    while play.step():
        balanced(play.twin)
        other = other.fork()
        assert other.step()
    play.finish()
    other.finish()
    assert other.told == play.told
    assert other.rejected == play.rejected
    assert other.twin.state_hash() == play.twin.state_hash()
