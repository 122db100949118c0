"""Where other parts of the worker add their pages to the web server: each entry is called once with the app and the worker."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from twin_app.metrics.exposition import add_metrics
from twin_app.streaming.standing import Standing

Mount = Callable[[web.Application, Standing], None]
"""Adds routes, e.g. `app.router.add_get("/metrics", ...)`. Paths under /api/ need the token, all others are open."""

MOUNTS: list[Mount] = [add_metrics]
