"""SCENARIOS C1-C7: containers and stores with live capacity and level."""

from typing import Any

from tests.kernel.three_ways import Play, blueprint, three_ways, times


def tank(capacity: float, level: float):
    return blueprint(
        containers={"tank": {"capacity": capacity, "level": level}},
        flows={
            "fill": [{"put": {"container": "tank", "amount": "entity.amount"}}],
            "draw": [{"get": {"container": "tank", "amount": "entity.amount"}}],
            "hasty": [{"get": {"container": "tank", "amount": "entity.amount", "patience": 5, "on_renege": "away"}}],
            "away": [{"emit": "went-away"}],
        },
    )


def level(play: Play) -> float:
    return play.twin.get("containers.tank.level")


def test_c1_growth_lets_a_blocked_put_in_at_the_same_instant():
    play = three_ways(tank(50, 40), [(0.0, "spawn", "fill", {"amount": 30}), (5.0, "set", "containers.tank.capacity", 100)])
    assert times(play, "entity-blocked", verb="put") == [0]
    assert times(play, "entity-put", level=70) == [5]
    assert level(play) == 70


def test_c2_shrinking_keeps_the_contents_and_puts_wait_for_room():
    script = [
        (1.0, "set", "containers.tank.capacity", 30),
        (2.0, "spawn", "fill", {"amount": 10}),
        (3.0, "spawn", "draw", {"amount": 30}),
    ]
    play = three_ways(tank(50, 50), script)
    assert times(play, "parameter-changed") == [1]
    assert times(play, "entity-blocked", verb="put") == [2]
    assert times(play, "entity-get", level=20) == [3]
    assert times(play, "entity-put", level=30) == [3]
    assert level(play) == 30


def test_c6_a_set_level_serves_all_it_suffices_for():
    model = blueprint(
        containers={"stock": {"capacity": 10, "level": 3}},
        flows={"order": [{"get": {"container": "stock", "amount": 2}}]},
    )
    script: list[tuple[Any, ...]] = [(float(at), "spawn", "order") for at in (0, 1, 2, 3)] + [
        (4.0, "set", "containers.stock.level", 9)
    ]
    play = three_ways(model, script)
    assert times(play, "entity-get") == [0, 4, 4, 4]
    assert play.twin.get("containers.stock.level") == 3


def test_a_large_get_at_the_front_is_not_overtaken_until_it_gives_up():
    script = [
        (0.0, "spawn", "hasty", {"amount": 40}),
        (1.0, "spawn", "draw", {"amount": 5}),
    ]
    play = three_ways(tank(50, 10), script)
    assert times(play, "went-away") == [5]
    assert times(play, "entity-get") == [5]


def test_a_level_above_the_capacity_or_below_zero_is_refused():
    script = [
        (1.0, "set", "containers.tank.level", 51),
        (2.0, "set", "containers.tank.level", -1),
        (3.0, "patch", {"containers.tank.level": 60, "containers.tank.capacity": 70}),
    ]
    play = three_ways(tank(50, 10), script)
    assert play.rejected == ["out-of-bounds", "out-of-bounds", None]
    assert level(play) == 60


def test_a_bad_amount_fails_the_entity_only():
    play = three_ways(
        tank(50, 10),
        [(0.0, "spawn", "fill", {"amount": -5}), (0.0, "spawn", "fill", {"amount": "x"}), (1.0, "spawn", "draw", {"amount": 1})],
    )
    assert times(play, "entity-failed") == [0, 0]
    assert level(play) == 9


def shelf(discipline: str = "fifo", capacity: int = 100, items: list[Any] | None = None):
    return blueprint(
        stores={"shelf": {"capacity": capacity, "discipline": discipline, "items": items or []}},
        flows={
            "bring": [{"put": {"store": "shelf", "item": "entity.what", "priority": "entity.priority"}}],
            "take": [{"get": {"store": "shelf"}}, {"emit": {"kind": "took", "payload": {"what": "entity.item"}}}],
            "pick": [
                {"get": {"store": "shelf", "where": "item >= entity.least", "as": "found", "patience": 20}},
                {"emit": {"kind": "took", "payload": {"what": "entity.found"}}},
            ],
        },
    )


def bring(at: float, *what: Any) -> list[tuple[Any, ...]]:
    return [(at, "spawn", "bring", {"what": one, "priority": one if isinstance(one, int) else 0}) for one in what]


def took(play: Play) -> list[tuple[float, int | None, Any]]:
    return [(e.sim_time, e.entity, e.payload["what"]) for e in play.told if e.kind == "took"]


def test_c3_growth_admits_a_blocked_put():
    play = three_ways(shelf(capacity=2), [*bring(0.0, 1, 2, 3), (5.0, "set", "stores.shelf.capacity", 3)])
    assert times(play, "entity-blocked", verb="put") == [0]
    assert times(play, "entity-put") == [0, 0, 5]


def test_c4_shrinking_keeps_items_and_the_put_waits_for_room():
    script = [(0.0, "set", "stores.shelf.capacity", 1), *bring(1.0, 4), *[(float(at), "spawn", "take") for at in (2, 3, 4)]]
    play = three_ways(shelf(items=[1, 2, 3]), script)
    assert [what for _, _, what in took(play)] == [1, 2, 3]
    assert times(play, "entity-blocked", verb="put") == [1]
    assert times(play, "entity-put") == [4]


def test_c5_priority_store_and_filtered_get():
    play = three_ways(shelf("priority"), [*bring(0.0, 5, 1), (1.0, "spawn", "take"), (1.0, "spawn", "take")])
    assert [what for _, _, what in took(play)] == [1, 5]
    script = [(1.0, "spawn", "pick", {"least": 4}), (2.0, "spawn", "take"), (2.0, "spawn", "take")]
    play = three_ways(shelf(items=[3, 7, 5]), script)
    assert [what for _, _, what in took(play)] == [7, 3, 5]


def test_a_filtered_get_lets_others_pass_and_takes_the_first_match():
    script = [(0.0, "spawn", "pick", {"least": 9}), (0.0, "spawn", "take"), *bring(1.0, 2), *bring(2.0, 9), *bring(3.0, 9)]
    assert took(three_ways(shelf(), script)) == [(1, 2, 2), (2, 1, 9)]


def test_a_filter_that_fails_hits_only_who_asked():
    script = [(0.0, "spawn", "pick", {"least": "x"}), (0.0, "spawn", "take"), *bring(1.0, 2)]
    play = three_ways(shelf(), script)
    assert took(play) == [(1, 2, 2)]
    assert times(play, "entity-failed") == [1]


def test_c7_growth_completes_all_blocked_puts_it_has_room_for():
    play = three_ways(shelf(capacity=2), [*bring(0.0, 1, 2, 3, 4), (6.0, "set", "stores.shelf.capacity", 4)])
    assert times(play, "entity-blocked", verb="put") == [0, 0]
    assert times(play, "entity-put") == [0, 0, 6, 6]


def test_lifo_store():
    play = three_ways(shelf("lifo"), [*bring(0.0, 1, 2, 3), (1.0, "spawn", "take"), (1.0, "spawn", "take")])
    assert [what for _, _, what in took(play)] == [3, 2]


def test_a_condition_sees_levels_and_counts():
    model = blueprint(
        containers={"tank": {"capacity": 50, "level": 40}},
        stores={"shelf": {}},
        flows={
            "use": [{"delay": 3}, {"get": {"container": "tank", "amount": 35}}, {"put": {"store": "shelf", "item": "'full'"}}],
            "refill": [{"wait_for": "containers.tank.level < 10"}, {"emit": "called"}],
            "count": [{"wait_for": "stores.shelf.count > 0"}, {"emit": "counted"}],
        },
    )
    play = three_ways(model, [(0.0, "spawn", "refill"), (0.0, "spawn", "count"), (0.0, "spawn", "use")])
    assert (times(play, "called"), times(play, "counted")) == ([3], [3])
