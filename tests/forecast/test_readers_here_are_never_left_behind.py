"""Asking and reading in the worker's own process: the newest is always seen, nothing piles up, nobody waits in vain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest

from models.commands import Forecast
from models.errors import Rejected, TwinError
from models.forecasts import ForecastRecord
from tests.forecast.plants import LINE, SHOP, live
from topics.confluent import ConfluentAvro
from twin_app.forecast import Desk, DeskLimits, Effort, Feed, InlineCrew, Published, Request, Revised, State
from twin_app.forecast.chart import curves
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.enquiries import Enquiries
from twin_app.switchboard import LiveTwin


def revised(text: str, *, final: bool = False, error: str | None = None) -> Revised:
    return Revised(text.encode(), final, False, False, 1, text, error)


class Worker:
    """A desk, a feed and the enquiries of one worker with one twin, without a broker."""

    def __init__(self, twin: LiveTwin) -> None:
        self.twin, self.gone = twin, False
        self.avro = ConfluentAvro(ForecastRecord, cast(Any, None), subject="known")
        self.avro.use_schema_id(1)
        self.feed = Feed()
        limits = DeskLimits(0.0, Effort((1, 4, 16), 20.0))
        self.desk = Desk(InlineCrew(), self.publish, 1, self.avro.encode, limits)
        self.requests: list[Request] = []
        self.enquiries = Enquiries(self.feed, self.avro, self.find, lambda: self.desk, self.request)

    async def publish(self, request: Request, made: Revised) -> None:
        self.feed.put(Published(request.twin, request.trigger, made))

    def find(self, twin: str) -> tuple[PartitionDriver, LiveTwin]:
        if twin != self.twin.twin.blueprint.twin:
            raise TwinError("not-hosted-here", "elsewhere")
        return cast(PartitionDriver, None), self.twin

    def request(self, driver: PartitionDriver, command: Forecast, mark: int) -> Request:
        async def take() -> State | None:
            return None if self.gone else State(self.twin.snapshot(), 7, 0.0)

        made = Request(command.twin, 0, "api", mark, take, command.horizon_units)
        made.scenarios = command.scenarios
        self.requests.append(made)
        return made


@pytest.fixture
async def shop() -> AsyncIterator[Worker]:
    worker = Worker(live(SHOP, 200.0))
    worker.desk.start()
    yield worker
    await worker.desk.close()


async def test_a_question_is_answered_to_its_end_and_kept_as_the_latest(shop: Worker) -> None:
    wider = [{"path": "resources.b.capacity", "value": 3}]
    seen = [record async for record in shop.enquiries.ask("Shop", "2h", {"wider": wider})]
    assert [record["final"] for record in seen] == [False] * (len(seen) - 1) + [True]
    assert seen[-1]["replications"] == 16
    assert seen[-1]["trigger"].startswith("api-")
    assert seen[-1]["horizon"] == 120.0
    assert await shop.enquiries.latest("Shop") == seen[-1]
    assert await shop.enquiries.latest("Other") is None
    queues = next(group for group in curves(seen[-1], measured_now=True) if group[0].quantity == "resources.b.queue")
    assert [curve.future for curve in queues] == ["baseline", "wider"]
    assert all(len(c.times) == len(c.low) == len(c.median) == len(c.high) for c in queues)
    assert queues[0].times[0] == 200.0


async def test_two_questions_at_once_are_never_mixed_up(shop: Worker) -> None:
    async def horizons(horizon: float) -> set[float]:
        return {record["horizon"] async for record in shop.enquiries.ask("Shop", horizon)}

    assert await asyncio.gather(*(horizons(h) for h in (10.0, 20.0, 30.0))) == [{10.0}, {20.0}, {30.0}]
    assert len({request.trigger for request in shop.requests}) == 3


async def test_who_leaves_early_takes_the_question_back(shop: Worker) -> None:
    async with aclosing(shop.enquiries.ask("Shop", 5000.0)) as coming:
        async for _ in coming:
            break
    for _ in range(200):
        if not shop.desk._running:
            break
        await asyncio.sleep(0.01)
    assert not shop.desk._running
    assert not shop.feed._followers


async def test_what_cannot_be_asked_is_refused_before_anything_is_run(shop: Worker) -> None:
    for horizon, scenarios, error in (
        ("8h", {"x": [{"path": "resources.nowhere.capacity", "value": 3}]}, Rejected),
        (-1.0, {}, Rejected),
        ("8h", {"x": [{"path": "resources.b.capacity", "value": float("nan")}]}, Rejected),
    ):
        with pytest.raises(error):
            await anext(shop.enquiries.ask("Shop", horizon, scenarios))
    with pytest.raises(TwinError, match="not-hosted-here"):
        await anext(shop.enquiries.ask("Elsewhere", "8h"))
    assert not shop.requests


async def test_a_twin_that_vanishes_meanwhile_leaves_nobody_waiting(shop: Worker) -> None:
    shop.gone = True
    async with asyncio.timeout(5):
        with pytest.raises(TwinError, match="no-answer"):
            await anext(shop.enquiries.ask("Shop", "8h"))


async def test_a_slow_reader_misses_revisions_in_between_but_never_the_newest() -> None:
    feed = Feed()
    following = feed.follow(lambda p: p.twin == "a")
    for number in range(1000):
        feed.put(Published("a", "change-1", revised(str(number))))
    feed.put(Published("b", "change-1", revised("other")))
    assert (await anext(following)).revised.sentence == "999"
    await following.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(following)


async def test_a_failure_is_shown_and_takes_no_answers_place() -> None:
    feed = Feed()
    following = feed.follow(lambda p: True)
    feed.put(Published("a", "change-1", revised("good")))
    feed.put(Published("a", "change-1", revised("bad", final=True, error="superseded")))
    assert (await anext(following)).revised.error == "superseded"
    kept = feed.latest("a")
    assert kept is not None
    assert kept.revised.sentence == "good"


def test_what_is_kept_stays_within_its_bytes() -> None:
    feed = Feed(bytes_max=1000)
    for number in range(100):
        feed.put(Published(f"t{number}", "change-1", revised("x" * 300)))
    assert [feed.latest(f"t{n}") is not None for n in (96, 97, 98, 99)] == [False, True, True, True]
    feed.put(Published("t99", "change-2", revised("y" * 300)))
    assert feed.latest("t97") is not None
    feed.put(Published("huge", "change-1", revised("z" * 2000)))
    assert feed.latest("t99") is None
    assert feed.latest("huge") is None


async def test_readers_are_bounded() -> None:
    feed = Feed(followers_max=2)
    each: Callable[[Published], bool] = lambda p: True  # noqa: E731
    first = feed.follow(each)
    feed.follow(each)
    with pytest.raises(TwinError, match="too-many-followers"):
        feed.follow(each)
    await first.aclose()
    feed.follow(each)


def test_a_record_without_an_answer_draws_no_curve() -> None:
    assert curves({"baseline": None, "scenarios": [], "as_of_sim_time": 0.0}) == []


def test_a_quantity_that_is_no_number_for_a_while_is_drawn_around() -> None:
    band = {"quantity": "variables.x", "now": 1.0, "q05": [None, 1.0], "q50": [None, 3.0], "q95": [None, 5.0]}
    outlook = {"grid": [10.0, 20.0], "bands": [band]}
    (group,) = curves({"baseline": outlook, "scenarios": [], "as_of_sim_time": 0.0})
    assert group[0].times == [0.0, 10.0, 20.0]
    assert group[0].median[1] != group[0].median[1]
    assert group[0].median[2] == 3.0


def test_curves_begin_now_where_there_is_a_value_now() -> None:
    from tests.forecast.plants import ahead

    record = ahead(live(LINE, 60.0), 240)
    groups = {group[0].quantity: group[0] for group in curves(record)}
    assert groups["resources.b.queue"].times[0] == 60.0
    assert groups["throughput"].times[0] > 60.0
    assert "throughput" not in {group[0].quantity for group in curves(record, measured_now=True)}
