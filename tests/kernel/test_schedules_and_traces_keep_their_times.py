"""Shifts, rates over the day, and recorded arrivals."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import BlueprintError
from models.load import load_blueprint
from models.schedules import DAYS, Schedule
from tests.kernel.three_ways import blueprint, three_ways, times
from twin_app.kernel.shifts import OTHERWISE, Roster


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


WORKDAYS = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "16:00", "set": {"resources.desk.capacity": 1}}


def test_shifts_follow_the_days_of_the_week_and_closed_dates():
    """From Friday noon: closed over the weekend, on Tuesday, and each night. In hours from the start."""
    model = blueprint(
        time={"unit": "hours", "start": "2026-11-20T12:00:00Z"},
        resources={"desk": {"capacity": 3}},
        arrivals={"a": {"interarrival": {"constant": 5}, "flow": "f", "limit": 30}},
        flows={"f": [{"process": {"resource": "desk", "for": 3}}]},
        schedules={
            "opening": {"shifts": [WORKDAYS], "otherwise": {"resources.desk.capacity": 0}, "closed": ["2026-11-24"]},
        },
    )
    play = three_ways(model, until=144.0)
    told = [(e.sim_time, e.payload["new"]) for e in play.told if e.kind == "parameter-changed"]
    assert told == [(0, 1), (4, 0), (68, 1), (76, 0), (116, 1), (124, 0), (140, 1)]
    assert times(play, "entity-started")[:3] == [5 - 5 + 68, 71, 74]


@pytest.mark.parametrize(("time", "hours"), [({"factor": 0.5}, [0, 8, 136]), ({"factor": 0.5, "mode": "event"}, [0, 4, 68])])
def test_shifts_keep_to_the_line_between_simulation_time_and_the_calendar(time: dict[str, Any], hours: list[float]):
    """At factor 0.5 the twin lives two hours in one of the calendar; 16:00 is the same instant as in its events' times."""
    model = blueprint(
        time={"unit": "hours", "start": "2026-11-20T12:00:00Z", **time},
        resources={"desk": {}},
        schedules={"opening": {"shifts": [WORKDAYS], "otherwise": {"resources.desk.capacity": 0}}},
    )
    assert times(three_ways(model, until=140.0), "parameter-changed")[:3] == hours


def test_shifts_change_rates_and_run_over_midnight_in_their_own_zone():
    """Night shift 22:00 to 06:00 at +01:00 is 21:00 to 05:00 UTC; the day shift is the first that holds from 05:30."""
    model = blueprint(
        time={"unit": "minutes", "start": "2026-11-20T00:00:00Z"},
        arrivals={"a": {"interarrival": {"exponential": {"rate": 1.0}}, "flow": "f"}},
        flows={"f": []},
        schedules={
            "rate": {
                "utc_offset": "+01:00",
                "shifts": [
                    {"from": "05:30", "to": "14:00", "set": {"arrivals.a.rate": 2.0}},
                    {"from": "22:00", "to": "06:00", "set": {"arrivals.a.rate": 0.5}},
                ],
                "otherwise": {"arrivals.a.rate": 0.0},
            }
        },
    )
    play = three_ways(model, until=1440.0)
    told = [(e.sim_time, e.payload["new"]) for e in play.told if e.kind == "parameter-changed"]
    assert told == [(0, 0.5), (270, 2.0), (780, 0.0), (1260, 0.5)]
    created = times(play, "entity-created")
    assert not [at for at in created if 780 < at < 1260]
    assert len([at for at in created if at < 270]) > 80
    assert len([at for at in created if 270 < at < 780]) > 900


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"time": {}}, "shifts need a calendar"),
        ({"otherwise": {"resources.desk.capacity": 1, "variables.x": 2}}, "set the same parameters"),
        ({"otherwise": None}, "need `otherwise`"),
        ({"closed": ["2026-02-30"]}, "there is no date 2026-02-30"),
        ({"every": 5.0}, "`every` belongs to `steps`"),
        ({"steps": [{"at": 1, "set": {"resources.desk.capacity": 1}}]}, "either `steps` or `shifts`"),
    ],
)
def test_a_roster_that_makes_no_sense_is_refused(parts: dict[str, Any], message: str):
    time = parts.pop("time", {"start": "2026-11-20T00:00:00Z"})
    schedule = {"shifts": [WORKDAYS], "otherwise": {"resources.desk.capacity": 0}, **parts}
    with pytest.raises(ValueError, match=message):
        blueprint(time=time, variables={"x": 1}, resources={"desk": {}}, schedules={"s": schedule})


def test_dates_and_clock_times_are_read_from_yaml_without_quotes():
    text = """
twin: T
time: {unit: hours, start: 2026-11-20T12:00:00Z}
resources: {desk: {}}
schedules:
  s:
    shifts: [{days: [mon, fri], from: 08:00, to: 16:30, set: {resources.desk.capacity: 1}}]
    otherwise: {resources.desk.capacity: 0}
    closed: [2026-12-25]
"""
    found = load_blueprint(text).schedules["s"]
    assert found.closed == ["2026-12-25"]
    assert found.shifts is not None
    assert (found.shifts[0].from_, found.shifts[0].to) == ("08:00", "16:30")


clock = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 30]))
shifts = st.lists(
    st.tuples(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True), clock, clock), min_size=1, max_size=3
)


@given(shifts=shifts, closed=st.lists(st.integers(0, 13), max_size=3, unique=True), begin_h=st.integers(0, 300))
def test_the_next_change_is_never_missed(shifts: list[Any], closed: list[int], begin_h: int):
    """Against a walk in steps of half an hour."""
    start = datetime(2026, 11, 16, tzinfo=UTC)
    model = Schedule.model_validate(
        {
            "shifts": [{"days": d, "from": a, "to": b, "set": {"x": n}} for n, (d, a, b) in enumerate(shifts)],
            "otherwise": {"x": -1},
            "closed": [str((start + timedelta(days=day)).date()) for day in closed],
        }
    )
    roster = Roster(model)

    def held(at_s: int) -> int:
        for number, (days, begin, end) in enumerate(shifts):
            for day in (at_s // 86_400, at_s // 86_400 - 1):
                moment = datetime.fromtimestamp(day * 86_400, UTC)
                lasts = [int(t[:2]) * 3600 + int(t[3:]) * 60 for t in (begin, end)]
                if lasts[1] <= lasts[0]:
                    lasts[1] += 86_400
                begins = DAYS[moment.weekday()] in days and str(moment.date()) not in model.closed
                if begins and day * 86_400 + lasts[0] <= at_s < day * 86_400 + lasts[1]:
                    return number
        return OTHERWISE

    at = int(start.timestamp()) + begin_h * 3600
    expected = next((t for t in range(at + 1800, at + 60 * 86_400, 1800) if held(t) != held(at)), None)
    assert roster.holds(at) == held(at)
    assert roster.next_change(at) == expected
