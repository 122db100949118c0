"""The rest of the flow language: blocks, loops, retries, spawning, signals, batches, splits, joins, assemblies, interrupts."""

from typing import Any

import pytest

from tests.kernel.three_ways import Play, blueprint, three_ways, timeline, times


def run(flows: dict[str, Any], script: list[tuple[Any, ...]], until: float = 1000.0, **parts: Any) -> Play:
    return three_ways(blueprint(flows=flows, **parts), script, until)


def seen(play: Play, kind: str) -> list[tuple[float, int | None]]:
    return [(e.sim_time, e.entity) for e in play.told if e.kind == kind]


def test_arms_with_steps_come_back_after_the_branch():
    flow = [
        {
            "branch": [
                {"when": "entity.size > 5", "do": [{"delay": 3}, {"emit": "large"}]},
                {"when": "entity.size > 2", "do": []},
                {"do": [{"emit": "small"}, {"go": "end"}]},
            ]
        },
        {"emit": "after"},
    ]
    play = run({"f": flow}, [(0.0, "spawn", "f", {"size": size}) for size in (9, 4, 1)])
    assert timeline(play, "large", "small", "after") == [(0, "after", 2), (0, "small", 3), (3, "large", 1), (3, "after", 1)]


def test_loops_count_and_nest():
    inner = {"loop": {"times": "entity.inner", "do": [{"delay": 1}, {"emit": "round"}]}}
    play = run(
        {"f": [{"loop": {"times": 2, "do": [inner, {"emit": "lap"}]}}, {"emit": "done"}]}, [(0.0, "spawn", "f", {"inner": 3})]
    )
    assert times(play, "round") == [1, 2, 3, 4, 5, 6]
    assert times(play, "lap") == [3, 6]
    assert times(play, "done") == [6]


def test_a_loop_ends_when_its_condition_no_longer_holds():
    flow = [
        {"loop": {"while": "variables.left > 0", "do": [{"set": {"variables.left": "variables.left - 1"}}, {"delay": 2}]}},
        {"emit": "done"},
    ]
    assert times(run({"f": flow}, [(0.0, "spawn", "f")], variables={"left": 3}), "done") == [6]


def test_labels_inside_blocks_can_be_reached():
    flow = [
        {"set": {"entity.n": 0}},
        {
            "loop": {
                "times": 1,
                "do": [
                    {"again": {"set": {"entity.n": "entity.n + 1"}}},
                    {"delay": 1},
                    {"branch": [{"when": "entity.n < 3", "go": "again"}]},
                ],
            }
        },
        {"emit": "done"},
    ]
    assert times(run({"f": flow}, [(0.0, "spawn", "f")]), "done") == [3]


def test_a_loop_that_was_left_begins_anew():
    out = [{"emit": "round"}, {"branch": [{"when": "variables.laps == 0", "go": "out"}]}]
    flow = [
        {"again": {"loop": {"times": 3, "do": [{"loop": {"times": 2, "do": out}}]}}},
        {"go": "end"},
        {"out": {"set": {"variables.laps": 1}}},
        {"delay": 1},
        {"go": "again"},
    ]
    assert times(run({"f": flow}, [(0.0, "spawn", "f")], variables={"laps": 0}), "round") == [0, *[1] * 6]


def test_going_to_the_loop_itself_is_its_next_round():
    flow = [{"again": {"loop": {"times": 3, "do": [{"emit": "round"}, {"delay": 1}, {"go": "again"}]}}}, {"emit": "done"}]
    play = run({"f": flow}, [(0.0, "spawn", "f")])
    assert (times(play, "round"), times(play, "done")) == ([0, 1, 2], [3])


@pytest.mark.parametrize(("good_at", "outcome", "at"), [(2, "worked", 7), (9, "gave-up", 13)])
def test_retry_pauses_and_gives_up(good_at: int, outcome: str, at: float):
    flows = {
        "f": [
            {"set": {"entity.n": 0}},
            {
                "retry": {
                    "do": [{"delay": 1}, {"set": {"entity.n": "entity.n + 1"}}],
                    "until": f"entity.n >= {good_at}",
                    "times": 3,
                    "wait": 5,
                    "on_give_up": "bad",
                }
            },
            {"emit": "worked"},
        ],
        "bad": [{"emit": "gave-up"}],
    }
    assert times(run(flows, [(0.0, "spawn", "f")]), outcome) == [at]


def test_a_parent_waits_for_all_its_children():
    flows = {
        "order": [
            {"spawn": {"flow": "item", "count": 3, "attributes": {"time": "entity.base + 1"}, "wait": True}},
            {"emit": "complete"},
        ],
        "item": [{"process": {"resource": "m", "for": "entity.time"}}],
        "alone": [{"spawn": "item2"}, {"emit": "went-on"}],
        "item2": [{"delay": 4}],
    }
    play = run(flows, [(0.0, "spawn", "order", {"base": 1}), (0.0, "spawn", "alone")], resources={"m": {}})
    assert seen(play, "complete") == [(6, 1)]
    assert seen(play, "went-on") == [(0, 5)]
    assert play.twin.wip == 0


def test_a_child_that_fails_does_not_hold_its_parent():
    flows = {
        "p": [{"spawn": {"flow": "c", "count": 2, "wait": True}}, {"emit": "done"}],
        "c": [{"delay": 1}, {"set": {"entity.x": "1 / 0"}}],
    }
    assert times(run(flows, [(0.0, "spawn", "p")]), "done") == [1]


def test_spawning_without_end_meets_the_limit():
    play = run(
        {"f": [{"spawn": {"flow": "f", "count": 2}}, {"delay": 10}]},
        [(0.0, "spawn", "f")],
        until=5,
        limits={"entities": 50, "steps_per_instant": 10_000},
    )
    assert play.twin.wip <= 50
    assert times(play, "entity-failed")


def test_an_entity_can_signal_others():
    flows = {
        "chief": [{"delay": 3}, {"signal": {"name": "start", "payload": {"by": "entity.id"}}}],
        "worker": [{"wait_for": {"signal": "start"}}, {"emit": {"kind": "began", "payload": {"by": "entity.signal.by"}}}],
    }
    play = run(flows, [(0.0, "spawn", "worker"), (0.0, "spawn", "worker"), (0.0, "spawn", "chief")])
    assert [(e.sim_time, e.entity, e.payload["by"]) for e in play.told if e.kind == "began"] == [(3, 1, 3), (3, 2, 3)]


def wait_any_flow() -> dict[str, Any]:
    arms = [{"signal": "stop", "go": "stopped"}, {"when": "variables.level > 5", "go": "high"}, {"after": 10, "go": "late"}]
    return {
        "f": [
            {"wait_any": arms},
            {"stopped": {"emit": "stopped"}},
            {"go": "end"},
            {"high": {"emit": "high"}},
            {"go": "end"},
            {"late": {"emit": "late"}},
        ]
    }


@pytest.mark.parametrize(
    ("command", "kind", "at"),
    [
        ((4.0, "signal", "stop"), "stopped", 4),
        ((5.0, "set", "variables.level", 7), "high", 5),
        ((5.0, "set", "variables.level", 3), "late", 10),
    ],
)
def test_the_first_of_several_ends_the_wait(command: tuple[Any, ...], kind: str, at: float):
    play = run(wait_any_flow(), [(0.0, "spawn", "f"), command], variables={"level": 0})
    assert timeline(play, "stopped", "high", "late") == [(at, kind, 1)]


def test_a_batch_leaves_when_full_or_late_and_is_split_again():
    flows = {
        "f": [
            {"batch": {"size": 3, "timeout": 10}},
            {"process": {"resource": "oven", "for": 5}},
            {"emit": "baked"},
            {"split": {}},
            {"emit": "single"},
        ]
    }
    play = run(flows, [(float(at), "spawn", "f") for at in (0, 1, 2, 3)], resources={"oven": {}})
    assert seen(play, "baked") == [(7, 1), (18, 4)]
    assert seen(play, "single") == [(7, 1), (7, 2), (7, 3), (18, 4)]


def test_batches_form_by_key():
    flows = {"f": [{"batch": {"size": 2, "by": "entity.colour"}}, {"emit": "pair"}]}
    play = run(flows, [(float(at), "spawn", "f", {"colour": colour}) for at, colour in enumerate("rbrb")])
    assert seen(play, "pair") == [(2, 1), (3, 2)]
    assert play.twin.wip == 0, "members leave with the one that carries them"


def test_parts_of_a_split_are_joined_again():
    flows = {
        "f": [
            {"split": {"into": 3}},
            {"process": {"resource": "m", "for": "2 + entity.part"}},
            {"join": {}},
            {"emit": "whole"},
        ]
    }
    play = run(flows, [(0.0, "spawn", "f"), (0.0, "spawn", "f")], resources={"m": {"capacity": 2}})
    assert [entity for _, entity in seen(play, "whole")] == [1, 4]
    assert times(play, "entity-left", outcome="joined") != []
    assert play.twin.families == {}


def test_a_part_that_is_lost_does_not_hold_the_others():
    flows = {"f": [{"split": {"into": 3}}, {"delay": "5 / (entity.part - 1) + 5"}, {"join": {}}, {"emit": "whole"}]}
    play = run(flows, [(0.0, "spawn", "f")])
    assert times(play, "entity-failed") == [0]
    assert seen(play, "whole") == [(10, 1)]


def test_an_assembly_needs_all_its_parts():
    flows = {"f": [{"assemble": {"needs": {"frame": 1, "wheel": 2}, "kind": "entity.kind"}}, {"emit": "bicycle"}]}
    script = [
        (float(at), "spawn", "f", {"kind": kind})
        for at, kind in enumerate(["wheel", "wheel", "wheel", "frame", "frame", "wheel", "saddle"])
    ]
    play = run(flows, script)
    assert seen(play, "bicycle") == [(3, 4), (5, 5)]
    assert times(play, "entity-left", outcome="assembled") == [3, 3, 5, 5]
    assert times(play, "entity-failed") == [6]


def test_interrupts_reach_delays_and_services():
    flows = {
        "worker": [
            {"delay": {"for": 10, "on_interrupt": "caught"}},
            {"emit": "slept"},
            {"go": "end"},
            {"caught": {"emit": {"kind": "caught", "payload": {"left": "entity.remaining"}}}},
        ],
        "deaf": [{"delay": 10}, {"emit": "slept"}],
        "job": [{"process": {"resource": "m", "for": 8, "on_interrupt": "abandon", "on_abandon": "lost"}}],
        "lost": [{"emit": "lost"}],
        "boss": [
            {"delay": 4},
            {"interrupt": {"flow": "worker", "where": "entity.id == 1"}},
            {"interrupt": "deaf"},
            {"interrupt": "job"},
        ],
    }
    play = run(flows, [(0.0, "spawn", name) for name in ("worker", "worker", "deaf", "job", "boss")], resources={"m": {}})
    assert [(e.sim_time, e.entity, e.payload) for e in play.told if e.kind == "caught"] == [(4, 1, {"left": 6.0})]
    assert seen(play, "slept") == [(10, 2), (10, 3)]
    assert seen(play, "lost") == [(4, 4)]
