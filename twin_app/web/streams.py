"""Server-sent events: a twin's state as it changes, its events, and its forecasts, in one stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiohttp import web

from models.errors import TwinError
from twin_app.streaming.enquiries import Enquiries
from twin_app.web.access import add_careful_headers
from twin_app.web.commanding import Events
from twin_app.web.feed import Feed, Follower
from twin_app.web.hosted import Hosted

STATE_EVERY_S = 0.1
"""At most so often is the state of a twin sent."""
QUIET_S = 5.0
"""After so long without a change the state is sent again: its lag, and what its partition does, may have changed."""
WRITE_S = 15.0
"""A client that takes nothing for so long is dropped."""
PARTS = ("state", "events", "forecasts")


def message(kind: str, value: Any, number: str | None = None) -> bytes:
    """One server-sent event."""
    head = b"" if number is None else b"id: " + number.encode() + b"\n"
    return head + b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"


class Stream:
    """One client's connection."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        add_careful_headers(self.response)
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        await self.response.prepare(self._request)

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError, also for a client that does not read."""
        async with self._writing:
            try:
                async with asyncio.timeout(WRITE_S):
                    await self.response.write(data)
            except TimeoutError as error:
                if self._request.transport is not None:
                    self._request.transport.abort()
                raise ConnectionResetError("the client does not read") from error


async def follow_twin(
    request: web.Request,
    hosted: Hosted,
    feed: Feed,
    events: Events,
    enquiries: Enquiries | None,
    twin: str,
    parts: frozenset[str],
) -> web.StreamResponse:
    """Stream until the client goes, falls behind, or the twin moves. Raises TwinError before the stream is open."""
    with feed.follow(twin) as follower:
        first = await hosted.state(twin)
        stream = Stream(request)
        await stream.open()
        with contextlib.suppress(ConnectionError):
            if "state" in parts:
                await stream.write(message("state", first.model_dump(), f"{first.seq}"))
            forecasts = None
            if "forecasts" in parts and enquiries is not None:
                forecasts = asyncio.create_task(_forecasts(stream, enquiries, twin), name=f"forecasts-of-{twin}")
            try:
                await _changes(stream, follower, hosted, events, parts)
            finally:
                if forecasts is not None:
                    forecasts.cancel()
                    await asyncio.gather(forecasts, return_exceptions=True)
            await stream.write(message("end", {"reason": follower.end}))
        return stream.response


async def _changes(stream: Stream, follower: Follower, hosted: Hosted, events: Events, parts: frozenset[str]) -> None:
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_S):
                await follower.arrived.wait()
        follower.arrived.clear()
        while follower.events:
            output = follower.events.popleft()
            if "events" in parts:
                event = await events.decode(output)
                await stream.write(message("event", event, str(event.get("seq"))))
        if follower.end is not None:
            return
        if "state" in parts:
            try:
                state = await hosted.state(follower.twin)
            except TwinError as error:
                follower.end = f"{error.message} [{error.code}]"
                return
            await stream.write(message("state", state.model_dump(), f"{state.seq}"))
        else:
            await stream.write(b": still here\n\n")
        await asyncio.sleep(STATE_EVERY_S)


async def _forecasts(stream: Stream, enquiries: Enquiries, twin: str) -> None:
    try:
        latest = await enquiries.latest(twin)
        if latest is not None:
            await stream.write(message("forecast", latest))
        async with contextlib.aclosing(enquiries.follow(twin)) as coming:
            async for record in coming:
                await stream.write(message("forecast", record))
    except TwinError as error:
        await stream.write(message("problem", {"code": error.code, "title": error.message, "remedy": error.remedy}))


async def stream_revisions(request: web.Request, revisions: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """A forecast as it sharpens: `revision` each time, `problem` if it fails on the way. Raises TwinError before the first."""
    first = await anext(revisions, None)
    stream = Stream(request)
    await stream.open()
    with contextlib.suppress(ConnectionError):
        if first is not None:
            await stream.write(message("revision", first))
        try:
            async for record in revisions:
                await stream.write(message("revision", record))
        except TwinError as error:
            await stream.write(message("problem", {"code": error.code, "title": error.message, "remedy": error.remedy}))
        await stream.write(message("end", {"reason": "complete"}))
    return stream.response
