"""When somebody is told of a standing question, and when not: the judgement alone, without a broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forecast.plants import LINE, SHOP, ahead, apply, live, revisions, set_
from twin_app.forecast import question
from twin_app.forecast.alerts import Alerts, Key, Present, stands
from twin_app.forecast.estimates import wilson
from twin_app.switchboard import LiveTwin

NOW_US = 1_800_000_000_000_000

QUESTIONS: dict[str, Any] = {
    "jam": {"bottleneck": "b", "within": 120, "above": 0.5},
    "anywhere": {"bottleneck": "anywhere", "within": 120, "above": 0.5},
    "queue": {"quantity": "resources.b.queue", "at_least": 5, "within": 60, "above": 0.3},
    "late": {"late": {}, "above": 0.3},
}


def told_of(answers: list[dict[str, Any]], life: int = 0, seq: int = 7) -> dict[str, Any]:
    """As `Revised.told`."""
    return {
        "id": f"T:{seq}:change-1:1",
        "as_of_seq": seq,
        "as_of_sim_time": 1.0,
        "as_of_us": NOW_US,
        "deterministic": False,
        "replications": 64,
        "answers": answers,
        "life": life,
    }


def answer(*cases: tuple[int | None, float, float], above: float = 0.3, unlisted: int = 0) -> dict[str, Any]:
    """Of the question `q`; a case: entity, and the interval of its probability."""
    return {
        "question": "q",
        "kind": "late" if any(case[0] is not None for case in cases) or not cases else "bottleneck",
        "above": above,
        "unlisted": unlisted,
        "cases": [
            {
                "claim": "it comes",
                "entity": entity,
                "probability": (low + high) / 2,
                "low": low,
                "high": high,
                "beyond": False,
                "sim_time": None,
                "event_us": None,
                "chance": "perhaps",
                "sentence": "It comes: perhaps.",
            }
            for entity, low, high in cases
        ],
    }


def present(life: int = 0, questions: Sequence[str] = ("q",), has: Callable[[int], bool] = lambda number: True) -> Present:
    return Present(life, frozenset(questions), has)


class Desk:
    """Judges and tells as a worker does; what it told is in `topic`."""

    def __init__(self, topic: list[dict[str, Any]] | None = None) -> None:
        self.topic: list[dict[str, Any]] = topic if topic is not None else []
        self.alerts = Alerts()
        for offset, record in enumerate(self.topic):
            self.alerts.read(record, offset)

    def judge(self, told: dict[str, Any], twin: Present | None = None) -> list[dict[str, Any]]:
        return self.tell(self.alerts.judge("T", told, twin or present(), NOW_US))

    def over(self, twin: Present | None) -> list[dict[str, Any]]:
        return self.tell(self.alerts.over(lambda name: twin, NOW_US))

    def tell(self, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        for change in changes:
            self.alerts.read(change, len(self.topic))
            self.topic.append(change)
        return changes


COUNTS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([1, 4, 16, 64, 200])), max_size=60)


@given(COUNTS, st.floats(0.02, 0.98))
@settings(deadline=None)
def test_no_sequence_of_probabilities_flaps_unless_the_interval_crosses(counts: list[tuple[int, int]], above: float) -> None:
    """Whatever the replications say: each change is borne out by its whole interval, and changes take turns."""
    desk = Desk()
    for hits, n in counts:
        interval = wilson(min(hits, n), n)
        assert interval.low is not None and interval.high is not None  # noqa: PT018
        changes = desk.judge(told_of([answer((None, interval.low, interval.high), above=above)]))
        if interval.low <= above <= interval.high:
            assert not changes
        for change in changes:
            assert interval.low > above if change["raised"] else interval.high < above
    raised = [change["raised"] for change in desk.topic]
    assert raised == [number % 2 == 0 for number in range(len(raised))]


def test_an_interval_that_ends_at_the_threshold_changes_nothing() -> None:
    assert not stands(False, 0.3, 0.5, 0.3)
    assert stands(True, 0.1, 0.3, 0.3)
    assert stands(True, nan, nan, 0.3)
    assert not stands(False, nan, nan, 0.3)


def test_no_change_is_told_twice_under_two_ids() -> None:
    """What could not be sent is found again by the next forecast, of another state, under the same id."""
    alerts = Alerts()
    first = alerts.judge("T", told_of([answer((None, 0.9, 1.0))], seq=7), present(), NOW_US)
    again = alerts.judge("T", told_of([answer((None, 0.8, 1.0))], seq=9), present(), NOW_US + 1)
    assert [change["id"] for change in first] == [change["id"] for change in again] == ["T/q:0:1"]


@given(st.lists(st.sampled_from([(0.0, 0.1), (0.2, 0.4), (0.5, 0.9)]), max_size=20), st.integers(0, 20))
def test_no_heir_judges_otherwise_than_who_was_there_all_the_time(intervals: list[tuple[float, float]], killed_at: int) -> None:
    whole, mortal = Desk(), Desk()
    for number, (low, high) in enumerate(intervals):
        if number == killed_at:
            mortal = Desk(mortal.topic)
        for desk in (whole, mortal):
            desk.judge(told_of([answer((None, low, high), (3, low, high))]))
    assert whole.topic == mortal.topic


def test_what_a_slow_former_owner_tells_late_is_not_believed_for_ever() -> None:
    """Both raise it under one id; and if the former takes it back after the heir has raised it, the heir raises it again."""
    desk = Desk()
    desk.judge(told_of([answer((None, 0.9, 1.0))]))
    desk.tell([desk.topic[0] | {"raised": False, "id": "T/q:0:2", "number": 2}])
    assert [change["id"] for change in desk.judge(told_of([answer((None, 0.9, 1.0))]))] == ["T/q:0:3"]
    desk.alerts.read(desk.topic[1], 1)
    assert desk.alerts.raised == 1


def test_an_entity_that_is_gone_is_never_late_any_more() -> None:
    desk = Desk()
    desk.judge(told_of([answer((3, 0.9, 1.0), (4, 0.9, 1.0), (5, 0.9, 1.0))]), present(has=lambda number: number != 5))
    assert [change["entity"] for change in desk.topic] == [3, 4]
    left = desk.over(present(has=lambda number: number == 4))
    assert [(change["entity"], change["reason"], change["id"]) for change in left] == [(3, "left", "T/q/3:0:2")]
    assert desk.alerts.forgettable(lambda name: present(has=lambda number: number == 4)) == [Key("T", "q", 3)]


def test_an_entity_that_may_come_back_is_never_forgotten() -> None:
    """Its next change would have the number of one that was told before."""
    desk = Desk()
    desk.judge(told_of([answer((3, 0.9, 1.0))]))
    desk.judge(told_of([answer((3, 0.0, 0.1))]))
    assert desk.alerts.forgettable(lambda name: present()) == []
    assert [change["id"] for change in desk.judge(told_of([answer((3, 0.9, 1.0))]))] == ["T/q/3:0:3"]


def test_an_entity_that_is_not_listed_is_taken_back_only_if_that_says_something() -> None:
    desk = Desk()
    desk.judge(told_of([answer((3, 0.9, 1.0))]))
    assert desk.judge(told_of([answer(unlisted=1)])) == []
    assert [change["raised"] for change in desk.judge(told_of([answer()]))] == [False]


def test_nothing_stays_raised_of_what_nobody_asks_any_more() -> None:
    for twin in (None, present(questions=()), present(life=40)):
        desk = Desk()
        desk.judge(told_of([answer((None, 0.9, 1.0))]))
        assert [change["reason"] for change in desk.over(twin)] == ["withdrawn"]
        assert desk.over(twin) == []


def test_a_twin_that_begins_anew_never_takes_the_ids_of_its_former_life() -> None:
    desk = Desk()
    desk.judge(told_of([answer((3, 0.9, 1.0))]))
    assert desk.judge(told_of([answer((3, 0.9, 1.0))]), present(life=40)) == []
    hasty = Desk(list(desk.topic))
    desk.over(present(life=40))
    for one in (desk, hasty):
        one.judge(told_of([answer((3, 0.9, 1.0))], life=40), present(life=40))
    assert [change["id"] for change in desk.topic] == ["T/q/3:0:1", "T/q/3:0:2", "T/q/3:40:1"]
    assert [change["id"] for change in hasty.topic] == ["T/q/3:0:1", "T/q/3:40:1"]


# -- with forecasts
def _answers(twin: LiveTwin, horizon: float = 240.0, rounds: Sequence[int] = (1, 4)) -> dict[str, dict[str, Any]]:
    return {found["question"]: found for found in ahead(twin, horizon, rounds=rounds)["answers"]}


def _told(twin: LiveTwin) -> dict[str, Any]:
    told = asyncio.run(revisions(question(twin, 240.0)))[-1].told
    assert told is not None
    return told


def _present(twin: LiveTwin) -> Present:
    return Present(twin.earlier, frozenset(twin.twin.blueprint.questions), twin.twin.entities.__contains__)


def test_where_nothing_is_random_it_is_raised_exactly_when_it_will_come_true() -> None:
    """Before, while and after b is broken: each answer against what the same twin then does."""
    twin = live(LINE, 60.0, questions=QUESTIONS)
    desk, raised_at = Desk(), {}
    for minute in range(60, 240, 4):
        twin.advance(float(minute))
        if minute in (80, 152):
            apply(twin, set_(twin, "resources.b.capacity", int(minute == 152)))
            apply(twin, set_(twin, "services.milling.constant", 2))
        twin.drain()
        desk.over(_present(twin))
        desk.judge(_told(twin), _present(twin))
        raised_at[minute] = {key[1:] for key, _ in desk.alerts.of("T")}
        future = LiveTwin.restore(twin.snapshot())
        jammed = bool(future.twin.watches[1].formed)
        queue = len(future.twin.resources["b"].queue) >= 5
        future.advance(minute + 60.0)
        first_hour = future.drain()
        future.advance(minute + 120.0)
        events = [*first_hour, *future.drain()]
        formed = {event.payload["resource"] for event in events if event.kind == "bottleneck-formed"}
        future.advance(minute + 240.0)
        finished = {
            event.entity: event.sim_time
            for event in [*events, *future.drain()]
            if event.kind == "entity-left" and event.payload["outcome"] == "finished"
        }
        late = {
            ("late", number)
            for number, entity in twin.twin.entities.items()
            if finished.get(number, minute + 241.0) > (entity.attributes or {})["due"]
        }
        assert (("jam", None) in raised_at[minute]) == (jammed or "b" in formed), minute
        assert (("anywhere", None) in raised_at[minute]) == (jammed or bool(formed)), minute
        assert {found for found in raised_at[minute] if found[0] == "late"} == late, minute
        waiting = max([0, *(_queued(first_hour, len(twin.twin.resources["b"].queue)))])
        assert (("queue", None) in raised_at[minute]) == (queue or waiting >= 5), minute
    assert ("jam", None) not in raised_at[76]
    assert ("jam", None) in raised_at[80]
    assert ("jam", None) not in raised_at[236]


def _queued(events: list[Any], now: int) -> list[int]:
    """How many wait at b after each event."""
    found = []
    for event in events:
        if event.payload.get("resource") == "b" and event.kind in ("entity-queued", "entity-started"):
            now += 1 if event.kind == "entity-queued" else -1
            found.append(now)
    return found


def test_a_forecast_that_ends_too_soon_never_takes_anything_back() -> None:
    """What lies beyond its horizon may still come: the probability is known from below only."""
    twin = live(LINE, 60.0, questions=QUESTIONS)
    apply(twin, set_(twin, "resources.b.capacity", 0))
    [far], [near] = (_answers(twin, horizon)["jam"]["cases"] for horizon in (240.0, 20.0))
    assert (far["low"], far["high"], far["beyond"]) == (1.0, 1.0, False)
    assert (near["low"], near["high"], near["beyond"]) == (0.0, 1.0, True)


def test_answers_never_depend_on_how_far_the_forecast_looks() -> None:
    """The window is the question's own: wip, throughput and utilisation are looked at in it, not at the forecast's points."""
    asked = {
        name: {"quantity": name, "at_least": value, "within": 50, "above": 0.3}
        for name, value in {"wip": 9, "throughput": 0.2, "resources.b.utilisation": 0.9, "variables.stock": 5}.items()
    }
    twin = live(SHOP, 100.0, questions={name.replace(".", "_"): one for name, one in asked.items()})
    near, far = (_answers(twin, horizon) for horizon in (60.0, 900.0))
    assert near == far
    assert near["variables_stock"]["cases"][0]["probability"] == 1.0
    assert 0 < near["resources_b_utilisation"]["cases"][0]["probability"] < 1


def test_questions_never_change_what_is_foretold() -> None:
    plain, asked = (
        live(SHOP, 100.0),
        live(SHOP, 100.0, questions={"w": {"quantity": "wip", "at_least": 9, "within": 50, "above": 0.3}}),
    )
    one, other = (ahead(twin, 240.0, rounds=(4,)) for twin in (plain, asked))
    for name in ("bands", "totals", "bottlenecks", "entities", "grid"):
        assert one["baseline"][name] == other["baseline"][name]


def test_only_those_with_the_attribute_are_asked_about() -> None:
    arrivals = {"orders": LINE["arrivals"]["orders"] | {"attributes": {"due": "now + 3", "customer": "entity.id % 2"}}}
    questions = {"even": {"late": {"where": {"customer": 0}}, "above": 0.3}, "soon": {"late": {}, "within": 1, "above": 0.3}}
    twin = live(LINE, 62.0, arrivals=arrivals, questions=questions)
    found = _answers(twin)
    assert {case["entity"] % 2 for case in found["even"]["cases"]} == {0}
    due = {number: (entity.attributes or {})["due"] for number, entity in twin.twin.entities.items()}
    assert {case["entity"] for case in found["soon"]["cases"]} == {number for number in due if due[number] <= 63.0}


def test_replications_go_on_until_the_question_is_decided() -> None:
    """A threshold that is just what 40 replications give lies in their interval; what is far from it needs no more of them."""
    service = {"turning": {"uniform": {"low": 3.5, "high": 4.5}}}

    def replications(above: float) -> tuple[int, float]:
        asked = {"quantity": "resources.a.utilisation", "within": 60, "at_least": 0.8, "above": above}
        twin = live(LINE, 60.0, services=LINE["services"] | service, questions={"q": asked})
        record = ahead(twin, 240.0, rounds=(1, 40, 100))
        return record["replications"], record["answers"][0]["cases"][0]["probability"]

    few, share = replications(0.98)
    assert few == 40
    assert replications(share)[0] == 100


@pytest.mark.parametrize("value", [0.2, 0.9])
def test_the_threshold_is_a_live_parameter(value: float) -> None:
    twin = live(SHOP, 100.0, questions={"q": {"bottleneck": "a", "within": 200, "above": 0.5}})
    apply(twin, set_(twin, "questions.q.above", value))
    assert _answers(twin, rounds=(1,))["q"]["above"] == value
    assert LiveTwin.restore(twin.snapshot()).board.value("questions.q.above") == value
