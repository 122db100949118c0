"""Asking for forecasts in the worker itself, and reading them: what an HTTP API or a live page needs, without a broker between.

All answers are dicts with the fields of `models.forecasts.ForecastRecord`; dates are `datetime` in UTC (orjson writes them).
They are the very records that go out to the forecasts topic. A worker knows the twins of its own partitions only: of others it
says `not-hosted-here`, and they can be asked by a `forecast` command on the config topic.

    enquiries = hosting.follower.enquiries                          # None where TWIN_FORECAST_WORKERS is 0
    record = await enquiries.latest("Line_A")                       # the newest answer, or None
    async for record in enquiries.ask("Line_A", "8h", {"reroute": [{"path": "variables.route", "value": "d"}]}):
        ...                                                         # revisions, each better; the last has `final`
    async for record in enquiries.follow("Line_A"):                 # everything that is foretold of it from now on
        ...

A reader that is slow misses revisions in between, never the newest. Leaving the loop of `ask` early (with `aclosing`) takes the
question back. For charts: `twin_app.forecast.chart.curves(record)`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from models.commands import Forecast
from models.errors import TwinError
from models.scorecard import Scorecard
from topics.confluent import HEADER, ConfluentAvro
from twin_app.forecast import Desk, Feed, Published, Request, State
from twin_app.forecast.feed import Following
from twin_app.streaming.driver import PartitionDriver
from twin_app.switchboard import LiveTwin, read_command

SILENCE_S = 60.0
"""After so long without a revision an asker is told that there is no answer."""

Found = tuple[PartitionDriver, LiveTwin]


class Enquiries:
    """Questions from within the worker. Lives in its event loop."""

    def __init__(
        self,
        feed: Feed,
        avro: ConfluentAvro,
        find: Callable[[str], Found],
        desk: Callable[[], Desk | None],
        request: Callable[[PartitionDriver, Forecast, int], Request],
        card: Callable[[str], Scorecard | None] = lambda twin: None,
    ) -> None:
        """`find` raises TwinError for a twin that cannot be asked; `desk` is None until the processes for forks are warm."""
        self._feed, self._avro, self._find, self._desk, self._request = feed, avro, find, desk, request
        self.scorecard = card
        """How far the forecasts of a twin came true, as of the last round; None while there is nothing to judge."""
        self._marks = itertools.count(time.time_ns() // 1_000_000)

    async def latest(self, twin: str) -> dict[str, Any] | None:
        """The newest answer about a twin, whoever asked for it; None while there is none."""
        published = self._feed.latest(twin)
        return None if published is None else await self._fields(published)

    async def ask(
        self, twin: str, horizon: float | str, scenarios: Mapping[str, Sequence[Any]] | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Revisions of one forecast of the twin as it is now, until the final one; a revision may have an `error`.

        `horizon` and `scenarios` are those of a `forecast` command: a duration such as "8h" or a number of the twin's time units;
        names with lists of commands. Raises TwinError: `not-hosted-here`, `twin-stands-still`, `forecasts-not-ready`,
        `no-answer`; Rejected for a scenario that is not possible.
        """
        command = read_command({"kind": "forecast", "twin": twin, "horizon": horizon, "scenarios": dict(scenarios or {})}, twin)
        assert isinstance(command, Forecast)
        driver, live = self._find(twin)
        live.check_forecast(command)
        desk = self._desk()
        if desk is None:
            raise TwinError("forecasts-not-ready", "the processes for forecasts still start", remedy="ask again in a moment")
        request = self._request(driver, command, next(self._marks))
        following = self._feed.follow(lambda p: p.twin == twin and p.trigger == request.trigger)
        async with aclosing(following):
            request.take = _or_stop(request.take, following)
            desk.ask(request)
            try:
                while True:
                    published = await self._next(following, twin)
                    yield await self._fields(published)
                    if published.revised.final:
                        return
            finally:
                desk.withdraw(request)

    async def follow(self, twin: str) -> AsyncGenerator[dict[str, Any], None]:
        """Every revision of every forecast of a twin from now on, for ever. Raises TwinError `too-many-followers`."""
        async with aclosing(self._feed.follow(lambda p: p.twin == twin)) as following:
            async for published in following:
                yield await self._fields(published)

    async def _next(self, following: Following, twin: str) -> Published:
        try:
            async with asyncio.timeout(SILENCE_S):
                return await anext(following)
        except TimeoutError:
            why = f"no revision came within {SILENCE_S:g} s"
        except StopAsyncIteration:
            why = "the twin is not here any more"
        raise TwinError("no-answer", why, place=twin, remedy="ask again")

    async def _fields(self, published: Published) -> dict[str, Any]:
        """Decoded beside the event loop: a record of thousands of entities takes a while."""
        return await asyncio.to_thread(self._avro.decode, published.revised.body[HEADER.size :])


def _or_stop(take: Callable[[], Awaitable[State | None]], following: Following) -> Callable[[], Awaitable[State | None]]:
    """`take`; a twin that is gone by then leaves nothing to wait for."""

    async def taken() -> State | None:
        state = await take()
        if state is None:
            await following.aclose()
        return state

    return taken
