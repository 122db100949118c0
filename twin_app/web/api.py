"""The HTTP API: what can be asked, and who answers. Shapes are in `shapes`, bounds in `asked`, ways to the owner in `routing`."""

from __future__ import annotations

import importlib.metadata
from contextlib import aclosing
from functools import partial
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel

from models.commands import duration_s
from models.errors import TwinError
from models.forecasts import ForecastRecord
from twin_app.streaming.enquiries import Enquiries
from twin_app.streaming.standing import Standing
from twin_app.web import asked, reading, streams
from twin_app.web.commanding import WAIT_S_MAX, Commander, Events
from twin_app.web.diagram import diagram
from twin_app.web.feed import Feed
from twin_app.web.hosted import Hosted
from twin_app.web.openapi import SSE, Operation, Parameter, document
from twin_app.web.past import FRAMES_MAX, Measurements
from twin_app.web.routing import Router
from twin_app.web.shapes import (
    Ask,
    Diagram,
    ParameterPage,
    Past,
    Sent,
    TwinList,
    TwinState,
    WorkPage,
)

WAIT_DEFAULT_S = 5.0
FRAMES_DEFAULT = 300

_AFTER = Parameter("after", {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0}, "Go on behind this one")
_LIMIT = Parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": asked.PAGE_MAX, "default": asked.PAGE_DEFAULT}, "Length of a page"
)
_TEXT = {"type": "string", "maxLength": asked.TEXT_CHARS_MAX}


class Api:
    """The routes over one worker. `close` it with the server."""

    def __init__(self, standing: Standing, feed: Feed) -> None:
        self._standing = standing
        self._hosted = Hosted(standing)
        self._router = Router(standing, self._hosted)
        self._feed = feed
        self._events = Events(standing)
        self._commander = Commander(standing, self._hosted, feed)
        self._measurements = Measurements(standing.settings)
        self.operations = self._table()

    def add_to(self, app: web.Application) -> None:
        """Add all routes."""
        described = orjson.dumps(document(self.operations, version()))

        async def openapi(request: web.Request) -> web.Response:
            return web.Response(body=described, content_type="application/json")

        app.router.add_get("/api/openapi.json", openapi)
        for operation in self.operations:
            if not operation.open:  # health and readiness have routes of their own
                app.router.add_route(operation.method, operation.path, operation.handler)
                if operation.method == "GET":
                    app.router.add_route("HEAD", operation.path, operation.handler)

    async def close(self) -> None:
        await self._router.close()
        await self._commander.close()

    # -- the workers

    async def worker(self, request: web.Request) -> web.StreamResponse:
        asked.known(request)
        return _json({"url": self._hosted.url, **self._standing.status().as_json()})

    async def twins(self, request: web.Request) -> web.StreamResponse:
        asked.known(request, "after", "limit", "here")
        limit = asked.whole(request, "limit", asked.PAGE_DEFAULT, 1, asked.PAGE_MAX)
        found = await self._router.twins(asked.text(request, "after"), limit, here_only=asked.flag(request, "here"))
        return _shape(found)

    # -- one twin

    async def twin(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request)
        return _shape(await self._hosted.state(name))

    async def diagram(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request)
        blueprint = await self._hosted.read(name, lambda driver, host, cell, live: live.twin.blueprint)
        return _shape(diagram(blueprint))

    async def parameters(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request, "after", "limit", "prefix")
        after = asked.whole(request, "after", 0, 0, 2**53)
        limit = asked.whole(request, "limit", asked.PAGE_DEFAULT, 1, asked.PAGE_MAX)
        prefix = asked.text(request, "prefix")
        return _shape(
            await self._hosted.read(name, lambda driver, host, cell, live: reading.parameters(live, name, after, limit, prefix))
        )

    async def work(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request, "after", "limit")
        after = asked.whole(request, "after", 0, 0, 2**53)
        limit = asked.whole(request, "limit", asked.PAGE_DEFAULT, 1, asked.PAGE_MAX)
        return _shape(await self._hosted.read(name, lambda driver, host, cell, live: reading.work(live, name, after, limit)))

    async def past(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request, "from", "to", "frames")
        start, end = asked.stretch(request)
        frames = asked.whole(request, "frames", FRAMES_DEFAULT, 1, FRAMES_MAX)
        partition = await self._hosted.read(name, lambda driver, host, cell, live: driver.partition)
        return _shape(await self._measurements.frames(name, partition, start, end, frames))

    async def stream(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request, "include")
        parts = asked.words(request, "include", streams.PARTS)
        if request.method == "HEAD":
            await self._hosted.state(name)
            return web.Response(content_type=SSE)
        return await streams.follow_twin(request, self._hosted, self._feed, self._events, self._standing.enquiries, name, parts)

    # -- forecasts

    async def latest(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request)
        await self._hosted.state(name)
        record = await self._enquiries().latest(name)
        if record is None:
            raise TwinError(
                "unknown-forecast",
                "there is no forecast of this twin yet",
                place=name,
                remedy="ask for one: POST to this address",
            )
        return _json(record)

    async def ask(self, request: web.Request, name: str) -> web.StreamResponse:
        asked.known(request)
        question = await asked.question(request)
        if isinstance(question.horizon, str):
            try:
                duration_s(question.horizon)
            except ValueError as wrong:
                raise TwinError("bad-request", str(wrong), place="body horizon", remedy="correct it") from wrong
        await self._hosted.state(name)
        async with aclosing(self._enquiries().ask(name, question.horizon, question.scenarios)) as revisions:
            if SSE in request.headers.get("Accept", ""):
                return await streams.stream_revisions(request, revisions)
            best: dict[str, Any] | None = None
            failure: dict[str, Any] | None = None
            async for record in revisions:
                failure = record["error"]
                best = record if failure is None else best
            if best is not None:  # one that ended early still stands as far as it came
                return _json(best)
            if failure is None:
                raise TwinError("no-answer", "no revision came", place=name, remedy="ask again")
            raise TwinError(failure["code"], failure["message"], place=name, remedy=failure["remedy"])

    def _enquiries(self) -> Enquiries:
        enquiries = self._standing.enquiries
        if enquiries is None:
            raise TwinError(
                "not-ready", "this worker makes no forecasts", place="TWIN_FORECAST_WORKERS", remedy="set it above 0, or wait"
            )
        return enquiries

    # -- commands

    async def command(self, request: web.Request) -> web.StreamResponse:
        asked.known(request, "wait_s")
        name = asked.twin(request)
        wait_s = asked.seconds(request, "wait_s", WAIT_DEFAULT_S, WAIT_S_MAX)
        body = await asked.json_body(request)
        elsewhere = await self._router.elsewhere(request, name, new=True)
        if elsewhere is not None:
            return elsewhere
        return _shape(await self._commander.send(name, body, wait_s), 202)

    # -- inside

    async def _routed(self, handler: Any, request: web.Request) -> web.StreamResponse:
        """The handler's answer, here or by the worker that hosts the twin."""
        name = asked.twin(request)
        elsewhere = await self._router.elsewhere(request, name)
        if elsewhere is not None:
            return elsewhere
        answer: web.StreamResponse = await handler(request, name)
        return answer

    def _table(self) -> list[Operation]:
        def of_twin(handler: Any) -> Any:
            return partial(self._routed, handler)

        wait = Parameter(
            "wait_s",
            {"type": "number", "minimum": 0, "maximum": WAIT_S_MAX, "default": WAIT_DEFAULT_S},
            "Wait so long for the twin's answer; 0: do not",
        )
        instant = {"type": "string", "format": "date-time"}
        return [
            Operation("GET", "/api/worker", "worker", "How this worker and its partitions stand", self.worker, None),
            Operation(
                "GET",
                "/api/twins",
                "twins",
                "The twins of all workers",
                self.twins,
                TwinList,
                (
                    Parameter("after", _TEXT, "Names above this one"),
                    _LIMIT,
                    Parameter("here", {"type": "boolean", "default": False}, "Only those of this worker"),
                ),
            ),
            Operation("GET", "/api/twins/{twin}", "twin", "State of a twin, as committed last", of_twin(self.twin), TwinState),
            Operation("GET", "/api/twins/{twin}/diagram", "diagram", "The line, laid out", of_twin(self.diagram), Diagram),
            Operation(
                "GET",
                "/api/twins/{twin}/parameters",
                "parameters",
                "Live paths: value, version, effective time, source",
                of_twin(self.parameters),
                ParameterPage,
                (_AFTER, _LIMIT, Parameter("prefix", _TEXT, "Only paths that begin so")),
            ),
            Operation(
                "GET", "/api/twins/{twin}/work", "work", "Entities in progress", of_twin(self.work), WorkPage, (_AFTER, _LIMIT)
            ),
            Operation(
                "GET",
                "/api/twins/{twin}/past",
                "past",
                "Measurements of a stretch of the past",
                of_twin(self.past),
                Past,
                (
                    Parameter("from", instant, "First instant; a quarter of an hour before `to` by default"),
                    Parameter("to", instant, "Last instant; now by default"),
                    Parameter(
                        "frames",
                        {"type": "integer", "minimum": 1, "maximum": FRAMES_MAX, "default": FRAMES_DEFAULT},
                        "At most so many",
                    ),
                ),
            ),
            Operation(
                "GET",
                "/api/twins/{twin}/stream",
                "stream",
                "State, events and forecasts as they come (server-sent events: state, event, forecast, end)",
                of_twin(self.stream),
                None,
                (Parameter("include", _TEXT, f"Some of {','.join(streams.PARTS)}; all by default"),),
                stream=True,
            ),
            Operation(
                "GET",
                "/api/twins/{twin}/forecast",
                "latestForecast",
                "The newest forecast, whoever asked for it",
                of_twin(self.latest),
                ForecastRecord,
            ),
            Operation(
                "POST",
                "/api/twins/{twin}/forecast",
                "askForecast",
                "What will happen, and what if: as JSON the last revision, as server-sent events each as it sharpens",
                of_twin(self.ask),
                ForecastRecord,
                body=Ask,
                stream=True,
            ),
            Operation(
                "POST",
                "/api/twins/{twin}/commands",
                "command",
                "Write a command to the config topic",
                self.command,
                Sent,
                (wait,),
                body="Command",
                status=202,
            ),
        ]


def _shape(shape: BaseModel, status: int = 200) -> web.Response:
    return _json(shape.model_dump(), status)


def _json(value: Any, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    body = orjson.dumps(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def version() -> str:
    """The installed version; `unknown` for a source tree that is not installed."""
    try:
        return importlib.metadata.version("twin-app")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
