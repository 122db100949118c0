"""`/health`: the process answers. `/ready`: it runs, and every partition that it was given is recovered."""

from __future__ import annotations

import orjson
from aiohttp import web

from twin_app.streaming.standing import Standing


def add_health(app: web.Application, standing: Standing) -> None:
    """Both are open to everybody, and tell nothing of the twins."""

    async def health(request: web.Request) -> web.Response:
        return _json({"alive": True})

    async def ready(request: web.Request) -> web.Response:
        status = standing.status()
        why = None if status.why is None else {"reason": status.why.reason, "detail": status.why.detail}
        partitions = {str(p.partition): p.state for p in status.partitions}
        answer = {"ready": status.ready, "phase": status.phase, "why": why, "partitions": partitions}
        return _json(answer, 200 if status.ready else 503)

    app.router.add_get("/health", health)
    app.router.add_get("/ready", ready)


def _json(value: object, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=headers)
