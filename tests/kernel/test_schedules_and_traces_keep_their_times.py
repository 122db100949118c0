"""Shifts, rates over the day, and recorded arrivals."""

import pytest

from models.errors import BlueprintError
from models.load import load_blueprint
from tests.kernel.three_ways import blueprint, three_ways, times


def test_a_shift_closes_and_opens_every_day():
    model = blueprint(
        resources={"desk": {"capacity": 0}},
        arrivals={"a": {"interarrival": {"constant": 5}, "flow": "f", "limit": 8}},
        flows={"f": [{"process": {"resource": "desk", "for": 3}}]},
        schedules={
            "shift": {
                "every": 24,
                "steps": [{"at": 8, "set": {"resources.desk.capacity": 1}}, {"at": 16, "set": {"resources.desk.capacity": 0}}],
            }
        },
    )
    play = three_ways(model, until=60.0)
    assert times(play, "parameter-changed") == [8, 16, 32, 40, 56]
    assert times(play, "entity-started") == [8, 11, 15, 32, 35, 38, 56, 59]


def test_a_rate_over_the_day_reaches_pending_arrivals():
    steps = [
        {"at": 0, "set": {"arrivals.a.rate": 0}},
        {"at": 10, "set": {"arrivals.a.rate": 5}},
        {"at": 20, "set": {"arrivals.a.rate": 0}},
    ]
    model = blueprint(
        arrivals={"a": {"interarrival": {"exponential": {"rate": 1}}, "flow": "f"}},
        flows={"f": []},
        schedules={"day": {"steps": steps}},
    )
    created = times(three_ways(model, until=100.0), "entity-created")
    assert len(created) > 25
    assert 10 < min(created) <= max(created) < 20


def test_a_schedule_that_meets_another_bound_says_so_and_goes_on():
    model = blueprint(
        resources={"m": {"capacity": 1, "max_capacity": 5}},
        schedules={
            "s": {"steps": [{"at": 5, "set": {"resources.m.capacity": 4}}, {"at": 6, "set": {"resources.m.capacity": 2}}]}
        },
    )
    play = three_ways(model, [(1.0, "set", "resources.m.max_capacity", 2)], until=10.0)
    assert times(play, "schedule-refused", code="out-of-bounds") == [5]
    assert play.twin.get("resources.m.capacity") == 2


def test_a_trace_brings_each_at_its_time_with_its_attributes():
    trace = [{"at": 0}, {"at": 2.5, "attributes": {"size": 3}}, {"at": 2.5, "attributes": {"size": 4}}]
    model = blueprint(
        arrivals={"a": {"trace": trace, "flow": "f", "attributes": {"colour": "'red'"}}},
        flows={
            "f": [
                {"emit": {"kind": "came", "payload": {"colour": "entity.colour"}}},
                {"set": {"entity.double": "entity.size * 2"}},
            ]
        },
    )
    play = three_ways(model)
    assert times(play, "came", colour="red") == [0, 2.5, 2.5]
    assert times(play, "entity-failed") == [0], "the first has no size"


CSV_BLUEPRINT = """
twin: T
arrivals: {orders: {csv: orders.csv, flow: f}}
flows: {f: [{emit: {kind: came, payload: {size: entity.size, who: entity.who}}}]}
"""


def test_a_csv_is_read_when_a_reader_is_given():
    model = load_blueprint(CSV_BLUEPRINT, read={"orders.csv": "at,size,who\n1,2,ann\n4.5,3,bob\n"}.__getitem__)
    play = three_ways(model)
    assert [(e.sim_time, e.payload) for e in play.told if e.kind == "came"] == [
        (1, {"size": 2, "who": "ann"}),
        (4.5, {"size": 3, "who": "bob"}),
    ]


@pytest.mark.parametrize("text", ["when\n1\n", "at\nsoon\n", "at\n5\n1\n", ""])
def test_a_bad_csv_is_a_clear_error(text: str):
    with pytest.raises(BlueprintError):
        load_blueprint(CSV_BLUEPRINT, read=lambda name: text)


def test_a_blueprint_from_a_topic_reads_no_files():
    with pytest.raises(BlueprintError, match="csv"):
        load_blueprint(CSV_BLUEPRINT)
