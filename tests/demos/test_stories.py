"""Each story of examples/ has a point, and the point is lost when what makes it is left out.

What a twin claims of itself is not believed here: the same is counted from its events.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.demos.story import EXAMPLES, by_entity, claims, created, played, values_of

STORIES = sorted(path.parent.name for path in EXAMPLES.glob("*/blueprint.yaml") if path.parent.name != "line")


@pytest.mark.parametrize("name", STORIES)
def test_no_story_claims_what_does_not_hold(name: str) -> None:
    run = played(name)
    told = claims(run)
    assert len(told) >= 3
    assert all(holds is True for holds in told.values()), told
    machines = sum(event.payload["flow"].startswith("machine:") for event in run.of("entity-created"))
    assert len(run.of("entity-created")) == len(run.of("entity-left")) + run.twin.wip + machines


def _lost_visitors(run, start: float, end: float) -> float:
    """Share of those who came in this time and never got their page."""
    came = created(run, "visit", start, end)
    return 1 - len(came & by_entity(run, "entity-finished", resource="uplink").keys()) / len(came)


def test_the_rate_limit_and_nothing_else_gives_the_shop_back_to_its_visitors() -> None:
    run = played("network")
    assert _lost_visitors(run, 0, 15) == 0
    assert _lost_visitors(run, 24, 40) > 0.5
    assert _lost_visitors(run, 60, 88) < 0.08
    assert _lost_visitors(played("network", without=("the rate limit is switched on",)), 60, 88) > 0.5


def test_a_token_is_never_given_twice() -> None:
    run = played("network")
    given = [event.sim_time for event in run.of("entity-get") if event.payload["stock"] == "bucket"]
    assert len(given) > 100
    for start in range(0, 98, 7):  # a burst of 20, and 4 a second
        assert sum(start <= time < start + 7 for time in given) <= 20 + 7 * 4 + 1


def _coils_per_hour(run, start: float, end: float) -> float:
    taken = [times for times in by_entity(run, "entity-finished", resource="coilers").values() if start <= times[0] < end]
    return 60 * len(taken) / (end - start)


def test_a_faster_mill_is_never_faster_than_its_furnaces() -> None:
    run = played("rolling-mill")
    slow, fast = _coils_per_hour(run, 190, 370), _coils_per_hour(run, 370, 600)
    assert 28 < slow < 32
    assert 1.1 * slow < fast < 90 / 150 * 60 * 1.05  # 90 places, 150 minutes each, and a little that was ready before
    assert fast > 1.1 * _coils_per_hour(played("rolling-mill", without=("the mill runs faster",)), 370, 600)
    assert _coils_per_hour(run, 650, 720) > fast


def test_a_cobble_never_costs_more_than_its_strip_and_the_bars_before_it() -> None:
    run = played("rolling-mill")
    assert [event.payload["message"] for event in run.of("entity-failed")] == ["cobble"]
    assert 1 <= len(run.of("entity-reneged")) <= 3
    cleared = run.of("mill-cleared")[0].sim_time
    entered = [time for times in by_entity(run, "entity-started", resource="stands").values() for time in times]
    taken_out = [time for times in by_entity(run, "entity-finished", resource="furnaces").values() for time in times]
    assert cleared > 625
    assert not [time for time in entered + taken_out if 600 < time < cleared]
    assert not played("rolling-mill", without=("a strip cobbles",)).of("entity-failed")


def test_the_bot_never_holds_more_than_it_may_nor_orders_faster() -> None:
    run = played("trading-bot")
    held = [value for _, value in values_of(run, "variables.coins")]
    assert held
    assert max(map(abs, held)) <= 1.0
    assert sum(event.payload["amount"] for event in run.of("order-filled")) == pytest.approx(run.parameters["variables.coins"])
    refills = [time for time, _ in values_of(run, "containers.order_slots.level")]
    orders = [event.sim_time for event in run.of("entity-get")]
    per_window = [sum(start < time <= end for time in orders) for start, end in pairwise(refills)]
    assert 40 <= max(per_window) <= 50


def test_the_bot_is_out_of_a_crash_before_it_is_over() -> None:
    run = played("trading-bot")
    stopped = next(time for time, state in values_of(run, "machines.strategy.state") if state == "stopped")
    fills = [event.sim_time for event in run.of("order-filled") if stopped <= event.sim_time < 1001]
    assert 700 < stopped < 716
    assert len(fills) == 2
    assert fills[-1] < stopped + 2
    assert next(value for time, value in reversed(values_of(run, "variables.coins")) if time < 1001) == 0
    calm = played("trading-bot", without=("the news breaks", "forced sales", "forced sales go on"))
    assert "stopped" not in [state for _, state in values_of(calm, "machines.strategy.state")]
