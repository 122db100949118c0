"""The desk: what is asked for is answered, superseded, dropped within bounds, or refused aloud; never silently doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from tests.forecast.plants import LINE, LOOP, SHOP, live, set_
from twin_app.forecast import Desk, DeskLimits, Effort, InlineCrew, Request, Revised, State
from twin_app.switchboard import LiveTwin

Take = Callable[[], Awaitable[State | None]]


class SlowCrew(InlineCrew):
    """Takes a while for each task, so that a forecast is under way for long."""

    async def perform(self, about: Any, task: list[Any]) -> Any:
        await asyncio.sleep(0.02)
        return await super().perform(about, task)


class Counter:
    """A desk with what it publishes."""

    def __init__(self, twin: LiveTwin, **limits: Any) -> None:
        self.twin = twin
        self.published: list[dict[str, Any]] = []
        self.taken = 0
        limits = {"debounce_s": 0.0, "effort": Effort((1, 4, 16, 64, 1000), 20.0), **limits}
        self.desk = Desk(SlowCrew(), self._publish, None, orjson.dumps, DeskLimits(**limits))

    async def _publish(self, request: Request, revised: Revised) -> None:
        self.published.append(orjson.loads(revised.body))

    async def _take(self) -> State | None:
        self.taken += 1
        return State(self.twin.snapshot(), 7, 0.0)

    def ask(self, reason: Any, mark: int, twin: str | None = None, take: Take | None = None) -> None:
        name = twin or self.twin.twin.blueprint.twin
        self.desk.ask(Request(name, 0, reason, mark, take or self._take, lambda unit_s: 100.0))

    async def until(self, true: Callable[[], bool], within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def of(self, trigger: str) -> list[dict[str, Any]]:
        return [record for record in self.published if record["trigger"] == trigger]


async def test_a_newer_change_ends_an_older_forecast_but_never_before_its_first_answer() -> None:
    counter = Counter(live(SHOP, 200.0))
    counter.desk.start()
    counter.ask("change", 1)
    await counter.until(lambda: counter.taken == 1)
    counter.ask("change", 2)
    await counter.until(lambda: bool(counter.of("change-2")))
    first = counter.of("change-1")
    assert first[0]["error"] is None
    assert first[0]["replications"] == 1
    assert first[-1]["error"]["code"] == "superseded"
    assert [record["final"] for record in first] == [False] * (len(first) - 1) + [True]
    counter.ask("change", 3)
    await counter.until(lambda: bool(counter.of("change-3")))
    assert counter.of("change-2")[-1]["final"]
    await counter.desk.close()


async def test_revisions_are_numbered_without_a_gap_and_carry_an_id_of_their_own() -> None:
    counter = Counter(live(SHOP, 200.0), effort=Effort((1, 2, 4, 8), 20.0))
    counter.desk.start()
    counter.ask("command", 88)
    await counter.until(lambda: bool(counter.published) and counter.published[-1]["final"])
    assert [record["revision"] for record in counter.published] == [1, 2, 3, 4]
    assert len({record["id"] for record in counter.published}) == 4
    assert counter.published[0]["id"] == f"Shop:{counter.twin.seq}:command-88:1"
    assert {record["as_of_offset"] for record in counter.published} == {7}
    await counter.desk.close()


async def test_a_storm_of_changes_is_one_forecast_of_the_latest_state() -> None:
    counter = Counter(live(LINE, 60.0))
    for mark in range(1_000):
        counter.ask("change", mark)
    assert counter.desk.waiting == 1
    counter.desk.start()
    await counter.until(lambda: bool(counter.published))
    assert counter.taken == 1
    assert counter.published[0]["trigger"] == "change-999"
    await counter.desk.close()


async def test_changes_within_the_debounce_time_begin_one_forecast_after_it() -> None:
    counter = Counter(live(LINE, 60.0), debounce_s=0.5)
    counter.desk.start()
    counter.ask("change", 1)
    await counter.until(lambda: counter.taken == 1)
    for mark in (2, 3, 4):
        counter.ask("change", mark)
        await asyncio.sleep(0.05)
    assert counter.taken == 1
    await counter.until(lambda: bool(counter.of("change-4")))
    assert counter.taken == 2
    await counter.desk.close()


async def test_the_queue_never_grows_beyond_its_limit_and_says_so_to_who_asked() -> None:
    counter = Counter(live(LINE, 60.0), waiting_max=5)
    for number in range(20):
        counter.ask("schedule", 1, twin=f"S{number}")
    assert counter.desk.waiting == 5
    for mark in range(8):
        counter.ask("command", mark)
    assert counter.desk.waiting == 5
    await counter.until(lambda: len(counter.published) == 3)
    assert {record["error"]["code"] for record in counter.published} == {"forecast-queue-full"}
    assert [record["trigger"] for record in counter.published] == ["command-5", "command-6", "command-7"]
    counter.desk.start()
    await counter.until(lambda: all(counter.of(f"command-{mark}") for mark in range(5)))
    await counter.desk.close()


async def test_a_commands_forecast_goes_before_those_that_nobody_waits_for() -> None:
    counter = Counter(live(LINE, 60.0))
    for number in range(3):
        counter.ask("schedule", 1, twin=f"S{number}")
    counter.ask("command", 9)
    counter.desk.start()
    await counter.until(lambda: len(counter.published) >= 2)
    assert counter.published[0]["trigger"] == "command-9"
    await counter.desk.close()


async def test_a_twin_that_is_gone_when_its_turn_comes_is_passed_over() -> None:
    async def gone() -> State | None:
        return None

    counter = Counter(live(LINE, 60.0))
    counter.desk.start()
    counter.ask("change", 1, twin="Gone", take=gone)
    counter.ask("change", 2)
    await counter.until(lambda: bool(counter.of("change-2")))
    await counter.desk.close()


async def test_a_partition_that_is_given_up_takes_its_requests_along() -> None:
    counter = Counter(live(SHOP, 200.0))
    counter.desk.start()
    counter.ask("command", 1)
    await counter.until(lambda: counter.taken == 1)
    counter.ask("command", 2)
    counter.desk.forget(0)
    await asyncio.sleep(0.2)
    count = len(counter.published)
    await asyncio.sleep(0.3)
    assert len(counter.published) == count
    assert not counter.of("command-2")
    await counter.desk.close()


async def test_a_model_that_fails_ahead_is_an_error_record_and_the_desk_goes_on() -> None:
    twin = live(LOOP, 5.0)
    twin.apply(set_(twin, "variables.go", 1, at=50.0), effective=twin.now)
    counter = Counter(twin)
    counter.desk.start()
    counter.ask("command", 1)
    await counter.until(lambda: bool(counter.published))
    assert counter.published[0]["error"]["code"] == "too-many-steps"
    assert counter.published[0].get("baseline") is None
    assert counter.published[0]["final"]
    counter.twin = live(LINE, 60.0)
    counter.ask("command", 2)
    await counter.until(lambda: bool(counter.of("command-2")))
    await counter.desk.close()
