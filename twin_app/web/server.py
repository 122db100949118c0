"""The worker's web server: an aiohttp application beside Faust, from before the worker's start until after its end.

Faust's own web server stays off: its views show the tables to everybody.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from models.errors import TwinError
from twin_app.settings import Settings
from twin_app.streaming.standing import Standing
from twin_app.web.access import careful_headers, guard, is_loopback
from twin_app.web.api import Api
from twin_app.web.feed import Feed
from twin_app.web.health import add_health
from twin_app.web.mounts import MOUNTS
from twin_app.web.page import add_page
from twin_app.web.problems import errors_as_problems

BODY_BYTES_MAX = 1 << 20
"""Longest body that is read: as long as the longest command."""
STOP_S = 1.0
"""What open streams may take to end."""

log = structlog.get_logger(__name__)


@asynccontextmanager
async def beside(standing: Standing) -> AsyncIterator[None]:
    """Serve while the worker runs. Raises TwinError `port-taken`."""
    settings = standing.settings
    listener = listen(settings)
    port = listener.getsockname()[1]
    standing.url = advertised(settings, port)
    feed = Feed(settings.topics.events.name)
    standing.followers.append(feed)
    runner = web.AppRunner(application(standing, feed), access_log=None, shutdown_timeout=STOP_S, handler_cancellation=True)
    try:
        await runner.setup()
        await web.SockSite(runner, listener).start()
        page = f"http://{_shown(settings.web_host)}:{port}/"
        log.info("web-listening", url=page, advertised=standing.url, token=_needed(settings))
        yield
    finally:
        await feed.close()
        await runner.cleanup()
        listener.close()


def application(standing: Standing, feed: Feed) -> web.Application:
    """All routes."""
    app = web.Application(
        client_max_size=BODY_BYTES_MAX, middlewares=[careful_headers, errors_as_problems, guard(standing.settings)]
    )
    add_health(app, standing)
    add_page(app)
    api = Api(standing, feed)
    api.add_to(app)
    app.on_cleanup.append(lambda app: api.close())
    for mount in MOUNTS:
        mount(app, standing)
    return app


def listen(settings: Settings) -> socket.socket:
    """A bound socket. Where the default port is taken, by another worker on this machine say, a free one does as well.

    Raises TwinError `port-taken` for a port that was asked for.
    """
    host, port = settings.web_host, settings.web_port
    ports = [port] if "web_port" in settings.model_fields_set else [port, 0]
    for attempt in ports:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, attempt))
            listener.listen(128)  # only now it is certain that nobody else has the port
            return listener
        except OSError as error:
            listener.close()
            reason = error.strerror or str(error)
    raise TwinError(
        "port-taken",
        f"the web server cannot listen: {reason}",
        place=f"{host}:{port}",
        remedy="set TWIN_WEB_HOST and TWIN_WEB_PORT (0: any free port), or TWIN_WEB_ENABLED=false",
    )


def advertised(settings: Settings, port: int) -> str:
    """The URL that the other workers use."""
    if settings.web_url is not None:
        return settings.web_url
    host = settings.web_host
    if not is_loopback(host) and host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://{_shown(host)}:{port}"


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _needed(settings: Settings) -> str:
    return "needed" if settings.web_token is not None else "not set"
