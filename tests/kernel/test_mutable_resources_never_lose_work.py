"""SCENARIOS R1-R8, R11, R12: capacity changes take effect at once, and nothing in progress is lost."""

from typing import Any

import pytest

from tests.kernel.three_ways import Play, blueprint, three_ways, timeline, times


def one_machine(capacity: int, service: float = 10.0, **resource: Any):
    return blueprint(
        resources={"m": {"capacity": capacity, **resource}},
        flows={"job": [{"process": {"resource": "m", "for": service, "priority": "entity.priority", "units": "entity.units"}}]},
    )


def jobs(count: int, at: float = 0.0, **attributes: Any) -> list[tuple[Any, ...]]:
    return [(at, "spawn", "job", {"priority": 0, "units": 1, **attributes}) for _ in range(count)]


def starts(play: Play) -> list[float]:
    return times(play, "entity-started")


def test_r1_growth_starts_waiting_jobs_at_the_same_instant():
    play = three_ways(one_machine(1), [*jobs(6), (5.0, "set", "resources.m.capacity", 3)])
    assert starts(play) == [0, 5, 5, 10, 15, 15]


def test_r2_shrinking_interrupts_nobody_and_pays_the_debt():
    play = three_ways(one_machine(3), [*jobs(6), (5.0, "set", "resources.m.capacity", 1)])
    assert starts(play) == [0, 0, 0, 10, 20, 30]
    assert times(play, "entity-finished") == [10, 10, 10, 20, 30, 40]


def test_r3_closing_lets_running_jobs_end_and_reopening_starts_the_rest():
    script = [*jobs(5), (5.0, "set", "resources.m.capacity", 0), (50.0, "set", "resources.m.capacity", 2)]
    play = three_ways(one_machine(2), script)
    assert starts(play) == [0, 0, 50, 50, 60]
    assert times(play, "entity-finished")[:2] == [10, 10]


def test_r4_regrowth_cancels_a_debt():
    script = [*jobs(6), (5.0, "set", "resources.m.capacity", 1), (7.0, "set", "resources.m.capacity", 3)]
    assert starts(three_ways(one_machine(3), script)) == [0, 0, 0, 10, 10, 10]


@pytest.mark.parametrize(
    ("changes", "area"),
    [
        ([(5.0, 1)], 3 * 5 + 3 * 5 + 1 * 20),  # two work on for 5 s
        ([(5.0, 0), (50.0, 3)], 3 * 5 + 3 * 5),  # all three do; from then on nothing is there to be used
        ([(5.0, 1), (7.0, 3)], 3 * 30),
        ([(5.0, 1), (7.0, 0), (8.0, 2), (20.0, 1)], 3 * 5 + 3 * 5 + 2 * 10 + 1 * 10),
        ([(10.0, 1)], 3 * 10 + 1 * 20),  # at the instant at which they end
    ],
)
def test_nothing_is_ever_utilised_by_more_than_all_of_it(changes: list[tuple[float, int]], area: float):
    """What is taken away at work counts as capacity until it is released, also by a twin that is restored at that time."""
    script = [*jobs(3), *((at, "set", "resources.m.capacity", value) for at, value in changes)]
    figures = three_ways(one_machine(3), script, until=30.0).twin.statistics()["resources"]["m"]
    assert figures["utilisation"] == pytest.approx(30 / area)
    assert figures["busy_mean"] == pytest.approx(1.0)


def test_work_that_is_resumed_beyond_the_capacity_utilises_no_more_than_all_of_it():
    """Both are interrupted; one server is taken away while all is down; both go on when it is up."""
    model = one_machine(2, breakdown={"time_to_failure": {"constant": 7.0}, "repair": {"constant": 5.0}})
    play = three_ways(model, [*jobs(2), (9.0, "set", "resources.m.capacity", 1)], until=15.0)
    figures = play.twin.statistics()["resources"]["m"]
    assert times(play, "entity-finished") == [15.0, 15.0]
    assert figures["utilisation"] == pytest.approx(20 / (2 * 9 + 1 * 3 + 2 * 3))


def test_r5_growth_meets_arrivals():
    model = blueprint(
        resources={"m": {"capacity": 1}},
        arrivals={"jobs": {"interarrival": {"constant": 2.0}, "flow": "job", "limit": 4}},
        flows={"job": [{"process": {"resource": "m", "for": 3.0}}]},
    )
    play = three_ways(model, [(5.0, "set", "resources.m.capacity", 3)])
    assert starts(play) == [2, 5, 6, 8]


def free_seen(play: Play) -> list[tuple[float, int, int]]:
    return [(e.sim_time, e.payload["capacity"], e.payload["free"]) for e in play.told if e.kind == "seen"]


def with_looks(capacity: int):
    """One machine, and entities that tell what they see of it."""
    seen = {"capacity": "resources.m.capacity", "free": "resources.m.free"}
    return blueprint(
        resources={"m": {"capacity": capacity}},
        flows={
            "job": [{"process": {"resource": "m", "for": 10}}],
            "look": [{"emit": {"kind": "seen", "payload": seen}}],
        },
    )


def test_r6_free_is_never_negative():
    script = [
        *[(0.0, "spawn", "job")] * 2,
        (5.0, "set", "resources.m.capacity", 1),
        *[(at, "spawn", "look") for at in (5.0, 9.0, 10.5)],
    ]
    play = three_ways(with_looks(2), script)
    assert free_seen(play) == [(5, 1, 0), (9, 1, 0), (10.5, 1, 1)]
    assert times(play, "entity-finished") == [10, 10]


def test_r7_idle_growth_is_free_at_the_same_instant():
    script = [(3.0, "spawn", "look"), (3.0, "set", "resources.m.capacity", 4), (3.0, "spawn", "look")]
    assert free_seen(three_ways(with_looks(2), script)) == [(3, 2, 2), (3, 4, 4)]


def test_r8_lower_priority_is_served_first():
    script = [*jobs(1), *jobs(1, priority=10), *jobs(1, priority=5), *jobs(1, priority=1)]
    play = three_ways(one_machine(1), script)
    assert [e.entity for e in play.told if e.kind == "entity-started"] == [1, 4, 3, 2]


def test_equal_priorities_are_first_come_first_served():
    play = three_ways(one_machine(1), [*jobs(1), *jobs(3, priority=2), *jobs(2, priority=1)])
    assert [e.entity for e in play.told if e.kind == "entity-started"] == [1, 5, 6, 2, 3, 4]


def test_lifo_serves_the_last_first():
    play = three_ways(one_machine(1, discipline="lifo"), jobs(4))
    assert [e.entity for e in play.told if e.kind == "entity-started"] == [1, 4, 3, 2]


def test_fifo_ignores_priorities():
    play = three_ways(one_machine(1, discipline="fifo"), [*jobs(2, priority=9), *jobs(2, priority=1)])
    assert [e.entity for e in play.told if e.kind == "entity-started"] == [1, 2, 3, 4]


def test_r12_small_jobs_do_not_starve_a_large_one():
    script = [*jobs(2, at=0.0), *jobs(1, at=1.0, units=2), *jobs(3, at=2.0)]
    play = three_ways(one_machine(3), script)
    started = {e.entity: e.sim_time for e in play.told if e.kind == "entity-started"}
    # 3 waits for two units although one is free all along; 4, 5, 6 stay behind it.
    assert started == {1: 0, 2: 0, 3: 10, 4: 10, 5: 20, 6: 20}


def test_growth_serves_a_large_job_at_the_front():
    script = [*jobs(1), *jobs(1, at=1.0, units=2), (3.0, "set", "resources.m.capacity", 3)]
    assert starts(three_ways(one_machine(1), script)) == [0, 3]


def test_patience_and_queue_limit_of_the_simple_kind():
    model = blueprint(
        resources={"m": {"capacity": 1, "queue_limit": 3}},
        flows={"job": [{"process": {"resource": "m", "for": 5.0, "patience": 4.0}}]},
    )
    play = three_ways(model, [(float(at), "spawn", "job") for at in range(1, 7)])
    assert times(play, "entity-balked") == [5, 6]
    assert times(play, "entity-reneged") == [7, 8]


def test_r11_the_line_is_full_and_patience_ends():
    model = blueprint(
        resources={"m": {"capacity": 1, "queue_limit": 3}},
        arrivals={"jobs": {"interarrival": {"constant": 1.0}, "flow": "job", "limit": 6}},
        flows={
            "job": [
                {"process": {"resource": "m", "for": 5.0, "patience": 4.0, "on_renege": "gave-up", "on_balk": "turned-away"}}
            ],
            "gave-up": [{"emit": "gave-up"}],
            "turned-away": [{"emit": "turned-away"}],
        },
    )
    play = three_ways(model)
    assert times(play, "turned-away") == [5, 6]
    assert times(play, "gave-up") == [7, 8]
    assert [e.kind for e in play.told if e.entity == 3] == [
        "entity-created",
        "entity-queued",
        "entity-reneged",
        "gave-up",
        "entity-left",
    ]


def test_an_impatient_large_job_lets_those_behind_it_go():
    model = blueprint(
        resources={"m": {"capacity": 2}},
        flows={
            "small": [{"process": {"resource": "m", "for": 10}}],
            "large": [{"process": {"resource": "m", "for": 10, "units": 2, "patience": 3}}],
        },
    )
    play = three_ways(model, [(0.0, "spawn", "small"), (1.0, "spawn", "large"), (2.0, "spawn", "small")])
    assert timeline(play, "entity-started", "entity-reneged") == [
        (0, "entity-started", 1),
        (4, "entity-reneged", 2),
        (4, "entity-started", 3),
    ]


def test_seize_and_release_hold_over_other_steps():
    model = blueprint(
        resources={"crane": {"capacity": 1}, "bay": {"capacity": 2}},
        flows={
            "ship": [
                {"seize": {"resource": "bay"}},
                {"seize": "crane"},
                {"delay": 4},
                {"release": "crane"},
                {"delay": 3},
                {"release": {"resource": "bay"}},
            ]
        },
    )
    play = three_ways(model, [(0.0, "spawn", "ship")] * 3)
    assert times(play, "entity-started", resource="bay") == [0, 0, 7]
    assert times(play, "entity-started", resource="crane") == [0, 4, 8]
    assert times(play, "entity-left") == [7, 11, 15]


def test_what_is_held_at_the_end_is_given_back():
    model = blueprint(resources={"m": {}}, flows={"job": [{"seize": "m"}, {"delay": 2}]})
    play = three_ways(model, [(0.0, "spawn", "job")] * 2)
    assert times(play, "entity-left") == [2, 4]
    assert play.twin.resources["m"].busy == 0


@pytest.mark.parametrize("capacity", [0, 1, 2])
def test_capacity_may_not_pass_its_bound(capacity: int):
    model = one_machine(capacity, max_capacity=2)
    play = three_ways(model, [(1.0, "set", "resources.m.capacity", 3), (2.0, "set", "resources.m.capacity", 2)])
    assert play.rejected == ["out-of-bounds", None]
    assert times(play, "parameter-changed") == [2]


def test_steps_inside_blocks_ask_with_their_priority_and_units_too():
    """The line of a resource follows from every step that asks for it, however deep it stands."""
    ask = {"process": {"resource": "m", "for": 5, "units": 2, "priority": "entity.rank"}}
    nested = [{"branch": [{"when": "true", "do": [{"loop": {"times": 1, "do": [ask]}}]}]}]
    model = blueprint(resources={"m": {"capacity": 2}}, flows={"job": nested})
    play = three_ways(model, [(0.0, "spawn", "job", {"rank": rank}) for rank in (9, 5, 1)])
    assert timeline(play, "entity-started") == [(0, "entity-started", 1), (5, "entity-started", 3), (10, "entity-started", 2)]
