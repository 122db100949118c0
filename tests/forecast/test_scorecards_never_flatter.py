"""Scorecards: what was foretold is held against what happened, by the events alone; nothing is judged that cannot be told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import pytest

from models.forecasts import ForecastRecord
from models.scorecard import KindScore, Scorecard
from tests.forecast.plants import LINE, SHOP, live, set_
from twin_app.forecast import Effort, InlineCrew, answers, question
from twin_app.forecast.scorecard import OPEN_MAX, Scorecards
from twin_app.forecast.trust import Spread, Tally, light_of
from twin_app.switchboard import LiveTwin, Source


def foretold(twin: LiveTwin, horizon: float, *, mark: int = 1, rounds: tuple[int, ...] = (1, 19)) -> dict[str, Any]:
    """The final revision, as a reader of the topic has it."""

    def asking(revision: int, compute_s: float) -> dict[str, Any]:
        return {
            "id": f"{twin.twin.blueprint.twin}:{twin.seq}:schedule-{mark}:{revision}",
            "trigger": f"schedule-{mark}",
            "revision": revision,
            "as_of_offset": 5,
            "horizon_asked": horizon,
            "created_at_us": 0,
        }

    async def last() -> bytes:
        return [r async for r in answers(question(twin, horizon), InlineCrew(), asking, effort=Effort(rounds, 60.0))][-1].body

    return ForecastRecord.model_validate(orjson.loads(asyncio.run(last()))).model_dump()


def happened(twin: LiveTwin) -> Iterable[dict[str, Any]]:
    for event in twin.drain():
        cause = event.cause
        outside = None if cause is None or isinstance(cause, int) else {"topic": cause.topic, "offset": cause.offset}
        yield {**event._asdict(), "cause": outside}


def tell(cards: Scorecards, twin: LiveTwin, until: float) -> None:
    twin.advance(until)
    for event in happened(twin):
        cards.event(event)


def kinds(card: Scorecard | None) -> dict[str, KindScore]:
    assert card is not None
    return {score.kind: score for score in card.kinds}


def test_a_deterministic_twins_forecasts_all_come_true() -> None:
    """F1, told from the events alone: whatever kind of estimate it is, and after a change as well as before."""
    twin = live(LINE, 60.0)
    twin.apply(set_(twin, "resources.b.capacity", 0), effective=twin.now, source=Source("twin-config", 0, 5))
    twin.drain()
    cards = Scorecards()
    for mark in range(12):
        cards.forecast(foretold(twin, 120.0, mark=mark))
        tell(cards, twin, 60.0 + 7.0 * (mark + 1))
    tell(cards, twin, 400.0)
    card = cards.card("Line_A")
    assert card is not None
    assert (card.forecasts, card.open, card.voided, card.skipped) == (12, 0, 0, 0)
    assert card.light == "green"
    found = kinds(card)
    assert {"queue", "wip", "throughput", "total", "leaving-time", "late", "bottleneck", "bottleneck-time"} <= set(found)
    for score in found.values():
        assert score.gap == score.bias == score.error == 0.0, score
        assert score.light == ("green" if score.forecasts >= 10 else "none")
    assert found["bottleneck-time"].held == 1.0


def test_a_stochastic_twins_intervals_are_found_to_hold_what_they_say() -> None:
    cards = Scorecards()
    twin = live(SHOP, 100.0)
    for mark in range(30):
        cards.forecast(foretold(twin, 60.0, mark=mark))
        tell(cards, twin, twin.now + 75.0)
    card = cards.card("Shop")
    assert card is not None
    assert card.forecasts == 30
    found = kinds(card)
    assert abs(found["total"].gap) < 0.12
    assert found["total"].expected == pytest.approx(0.9)
    assert card.light in ("green", "amber")
    assert found["late"].brier is not None


def test_forecasts_that_are_wrong_get_a_red_light() -> None:
    """The same forecasts, but made for a twin that is not this one: its service is twice as fast."""
    cards = Scorecards()
    twin = live(SHOP, 100.0)
    for mark in range(15):
        record = foretold(twin, 60.0, mark=mark)
        for total in record["baseline"]["totals"]:
            for quantile in ("q05", "q50", "q95"):
                total[quantile] = total[quantile] * 2 + 10
        cards.forecast(record)
        tell(cards, twin, twin.now + 75.0)
    card = cards.card("Shop")
    assert kinds(card)["total"].light == "red"
    assert kinds(card)["total"].bias == -1.0
    assert card is not None
    assert card.light == "red"


def test_a_change_that_nobody_foretold_ends_the_judging_and_is_no_mistake() -> None:
    twin = live(LINE, 60.0)
    cards = Scorecards()
    cards.forecast(foretold(twin, 240.0))
    tell(cards, twin, 100.0)
    twin.apply(set_(twin, "resources.b.capacity", 0), effective=twin.now, source=Source("twin-config", 0, 6))
    tell(cards, twin, 400.0)
    card = cards.card("Line_A")
    assert card is not None
    assert (card.forecasts, card.voided, card.open) == (1, 1, 0)
    found = kinds(card)
    assert found["queue"].gap == 0.0
    assert found["queue"].estimates == 4 * 7  # four queues, at the points of the grid before the change
    assert "leaving-time" not in found
    assert "total" not in found


def test_what_the_forecast_knew_of_does_not_end_it() -> None:
    twin = live(LINE, 60.0)
    later = set_(twin, "resources.b.capacity", 0, at=80.0)
    twin.apply(later, effective=twin.now, source=Source("twin-config", 0, 5))
    twin.drain()
    cards = Scorecards()
    cards.forecast(foretold(twin, 120.0))
    tell(cards, twin, 200.0)
    card = cards.card("Line_A")
    assert card is not None
    assert (card.forecasts, card.voided) == (1, 0)
    assert all(score.gap == 0.0 for score in card.kinds)


def test_a_hole_in_the_events_is_never_judged_over() -> None:
    twin = live(LINE, 60.0)
    cards = Scorecards()
    cards.forecast(foretold(twin, 60.0))
    twin.advance(400.0)
    for number, event in enumerate(happened(twin)):
        if number != 20:
            cards.event(event)
    card = cards.card("Line_A")
    assert card is not None
    assert (card.forecasts, card.skipped, card.open, card.kinds) == (0, 1, 0, [])


def test_records_that_come_twice_count_once_and_later_revisions_replace_earlier_ones() -> None:
    twin = live(SHOP, 100.0)
    record = foretold(twin, 60.0)
    wrong = orjson.loads(orjson.dumps(record))
    for total in wrong["baseline"]["totals"]:
        total |= {"q05": -9.0, "q50": -8.0, "q95": -7.0}
    cards = Scorecards()
    for revision in (wrong, record, record, {**record, "baseline": None}):
        cards.forecast(revision)
    twin.advance(300.0)
    events = list(happened(twin))
    for event in [*events, *events]:
        cards.event(event)
    cards.forecast(record)
    card = cards.card("Shop")
    assert card is not None
    assert card.forecasts == 1
    assert kinds(card)["total"].held > 0.5


def test_single_runs_of_a_stochastic_twin_claim_nothing() -> None:
    twin = live(SHOP, 100.0)
    cards = Scorecards()
    cards.forecast(foretold(twin, 60.0, rounds=(1,)))
    assert cards.card("Shop") is None


def test_forecasts_under_judgement_stay_within_their_limit() -> None:
    twin = live(LINE, 60.0)
    record = foretold(twin, 60.0)
    cards = Scorecards()
    for mark in range(OPEN_MAX + 7):
        cards.forecast({**record, "id": f"Line_A:{twin.seq}:schedule-{mark}:1"})
    card = cards.card("Line_A")
    assert card is not None
    assert (card.open, card.skipped) == (OPEN_MAX, 7)


def test_the_light_says_nothing_before_there_are_enough() -> None:
    tally = Tally("queue")
    for _ in range(9):
        tally.add([(0.9, 0.0, 1.0, 5.0)])
    assert tally.score().light == "none"
    tally.add([(0.9, 0.0, 1.0, 5.0)])
    assert tally.score().light == "red"


def test_chance_alone_seldom_turns_a_light_red() -> None:
    rng, red = np.random.default_rng(5), 0
    for _ in range(300):
        gap, bias = Spread(), Spread()
        for _ in range(20):
            gap.add(float(rng.random() < 0.9) - 0.9)
            bias.add(float(rng.choice([-1.0, 1.0])))
        red += light_of("total", gap, bias) == "red"
    assert red <= 15
