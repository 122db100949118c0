"""SCENARIOS P5 and P6: a changed rate reaches a pending arrival; all waiters of a change wake, in order, and only they."""

import math

import pytest

from tests.kernel.three_ways import blueprint, three_ways, timeline, times
from twin_app.kernel import Twin


def gate(wait: dict, **more):
    return blueprint(
        variables={"door": "closed", "level": 0, "recipe": {"speed": 2}},
        flows={"guest": [{"wait_for": wait}, {"emit": "in"}]},
        **more,
    )


def source(on_change: str = "redraw", **interarrival):
    return blueprint(
        arrivals={"orders": {"interarrival": {"exponential": interarrival}, "flow": "order", "on_change": on_change}},
        flows={"order": []},
    )


def test_p5_a_rate_change_reaches_the_pending_arrival():
    play = three_ways(source(rate=0.001), [(1.0, "set", "arrivals.orders.rate", 10.0)], until=3.0)
    created = times(play, "entity-created")
    assert 10 <= len(created) <= 35
    assert 1.0 < created[0] < 1.7


def test_p5_keep_lets_the_pending_gap_run():
    play = three_ways(source("keep", rate=0.001), [(1.0, "set", "arrivals.orders.rate", 10.0)], until=3.0)
    assert times(play, "entity-created") == []
    pending = Twin(source("keep", rate=0.001)).next_time
    later = three_ways(source("keep", rate=0.001), [(1.0, "set", "arrivals.orders.rate", 10.0)], until=pending + 2)
    created = times(later, "entity-created")
    assert created[0] == pending
    assert len(created) > 5


def test_a_rate_of_zero_stops_arrivals_and_a_rate_above_starts_them():
    script = [(1.0, "set", "arrivals.orders.rate", 0.0), (50.0, "set", "arrivals.orders.rate", 1.0)]
    created = times(three_ways(source(rate=20.0), script, until=60.0), "entity-created")
    assert [t for t in created if t < 1]
    assert not [t for t in created if 1 < t < 50]
    assert [t for t in created if t > 50]


def test_a_twin_without_arrivals_has_nothing_on_its_calendar():
    twin = Twin(source(rate=0.0))
    assert twin.next_time == math.inf
    assert twin.advance(1000.0)
    assert (twin.now, twin.executed, twin.drain()) == (1000.0, 0, [])


def test_p6_all_waiters_of_a_change_wake_in_order_and_later_ones_do_not():
    model = gate({"change": "variables.door"})
    script = [
        (0.0, "spawn", "guest"),
        (1.0, "spawn", "guest"),
        (2.0, "set", "variables.door", "open"),
        (3.0, "spawn", "guest"),
        (9.0, "set", "variables.door", "ajar"),
    ]
    play = three_ways(model, script)
    assert timeline(play, "in") == [(2, "in", 1), (2, "in", 2), (9, "in", 3)]


def test_p6_setting_the_same_value_is_no_change():
    play = three_ways(gate({"change": "variables.door"}), [(0.0, "spawn", "guest"), (2.0, "set", "variables.door", "closed")])
    assert times(play, "parameter-changed") == [2]
    assert times(play, "in") == []


def test_p6_a_condition_looks_at_the_value():
    script = [
        (0.0, "spawn", "guest"),
        (1.0, "set", "variables.level", 2),
        (2.0, "set", "variables.level", 4),
        (3.0, "spawn", "guest"),
    ]
    play = three_ways(gate({"when": "variables.level > 3"}), script)
    assert timeline(play, "in") == [(2, "in", 1), (3, "in", 2)]


def test_a_condition_on_a_change_looks_only_at_that_change():
    model = gate({"change": "variables.level", "when": "variables.level > 3"})
    script = [
        (0.0, "set", "variables.level", 9),
        (1.0, "spawn", "guest"),
        (2.0, "set", "variables.level", 1),
        (3.0, "set", "variables.level", 5),
    ]
    assert times(three_ways(model, script), "in") == [3]


def test_a_condition_may_look_into_a_value_and_at_resources():
    model = blueprint(
        resources={"m": {"capacity": 1}},
        variables={"recipe": {"speed": 2}},
        flows={
            "job": [{"process": {"resource": "m", "for": 4}}],
            "helper": [{"wait_for": "resources.m.queue >= 2 and variables.recipe.speed > 1"}, {"emit": "called"}],
            "cleaner": [{"wait_for": "resources.m.busy == 0 and resources.m.queue == 0"}, {"emit": "cleaned"}],
        },
    )
    script = [
        (0.0, "spawn", "job"),
        (0.0, "spawn", "helper"),
        (0.0, "spawn", "cleaner"),
        (1.0, "spawn", "job"),
        (2.0, "spawn", "job"),
    ]
    play = three_ways(model, script)
    assert times(play, "called") == [2]
    assert times(play, "cleaned") == [12]


def test_a_signal_wakes_those_who_wait_and_nobody_later():
    model = blueprint(
        flows={"guest": [{"wait_for": {"signal": "gong"}}, {"emit": {"kind": "in", "payload": {"by": "entity.signal.by"}}}]}
    )
    script = [
        (0.0, "spawn", "guest"),
        (1.0, "spawn", "guest"),
        (2.0, "signal", "gong", {"by": "cook"}),
        (2.0, "spawn", "guest"),
        (5.0, "signal", "gong", {"by": "maid"}),
    ]
    play = three_ways(model, script)
    assert [(e.sim_time, e.entity, e.payload) for e in play.told if e.kind == "in"] == [
        (2, 1, {"by": "cook"}),
        (2, 2, {"by": "cook"}),
        (5, 3, {"by": "maid"}),
    ]


def test_a_timeout_ends_the_wait_and_the_later_change_finds_nobody():
    model = blueprint(
        variables={"door": "closed"},
        flows={
            "guest": [{"wait_for": {"change": "variables.door", "timeout": 5, "on_timeout": "home"}}, {"emit": "in"}],
            "home": [{"emit": "went-home"}],
        },
    )
    play = three_ways(model, [(0.0, "spawn", "guest"), (3.0, "spawn", "guest"), (6.0, "set", "variables.door", "open")])
    assert timeline(play, "in", "went-home") == [(5, "went-home", 1), (6, "in", 2)]


def test_an_entity_can_change_parameters_and_wake_others():
    model = blueprint(
        variables={"count": 0},
        resources={"m": {"capacity": 0, "max_capacity": 2}},
        flows={
            "opener": [
                {"delay": 3},
                {"set": {"resources.m.capacity": "resources.m.capacity + 1", "variables.count": "variables.count + 1"}},
            ],
            "job": [{"process": {"resource": "m", "for": 1}}],
            "watcher": [{"wait_for": "variables.count == 2"}, {"emit": "two"}],
        },
    )
    script = [
        (0.0, "spawn", "watcher"),
        (0.0, "spawn", "job"),
        (0.0, "spawn", "opener"),
        (1.0, "spawn", "opener"),
        (2.0, "spawn", "opener"),
    ]
    play = three_ways(model, script)
    assert times(play, "entity-started") == [3]
    assert times(play, "two") == [4]
    assert timeline(play, "entity-failed") == [(5, "entity-failed", 5)], "the bound holds for steps, too"


@pytest.mark.parametrize("value", [True, "2", None, 2.5, math.nan, math.inf, -1, 10**30, [1]])
def test_a_bad_value_changes_nothing(value: object):
    twin = Twin(blueprint(resources={"m": {"capacity": 1}}, services={"s": {"normal": {"mean": 1, "sd": 1}}}))
    before = twin.state_hash()
    from models.errors import Rejected

    for path in ("resources.m.capacity",) if value in (2.5, -1) else ("resources.m.capacity", "services.s.sd"):
        if value == 10**30 and path == "services.s.sd":
            value = 1e30
        with pytest.raises(Rejected):
            twin.set([("services.s.mean", 3.0), (path, value)])
    assert twin.state_hash() == before
    assert twin.drain() == []


def test_p3_a_patch_is_atomic():
    model = blueprint(services={"s": {"uniform": {"low": 1, "high": 2}}})
    script = [
        (1.0, "patch", {"services.s.low": 3.0, "services.s.high": 5.0}),
        (2.0, "patch", {"services.s.low": 9.0, "services.s.high": 7.0}),
        (3.0, "set", "services.s.low", 6.0),
        (4.0, "patch", {"services.s.low": 4.0, "nonsense": 1}),
    ]
    play = three_ways(model, script, until=5)
    assert play.rejected == [None, "out-of-bounds", "out-of-bounds", "unknown-path"]
    assert play.twin.parameters() == {"services.s.low": 3.0, "services.s.high": 5.0}
    assert [e.payload for e in play.told] == [
        {"path": "services.s.low", "old": 1.0, "new": 3.0},
        {"path": "services.s.high", "old": 2.0, "new": 5.0},
    ]
