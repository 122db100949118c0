"""A registry that fails on purpose. Only for what a real one cannot be made to do at will; peers are tested with real ones."""

import asyncio
from contextlib import asynccontextmanager

from aiohttp import web


class FakeRegistry:
    """``schemas`` by id; ``failures`` are taken one per request, each a status, a body, or "hang up"."""

    def __init__(self) -> None:
        self.schemas: dict[int, object] = {}
        self.failures: list[object] = []
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if self.failures:
            failure = self.failures.pop(0)
            if failure == "hang up":
                assert request.transport is not None
                request.transport.abort()
                await asyncio.sleep(0)
            if isinstance(failure, int):
                return web.json_response({"error_code": failure * 100, "message": "on purpose"}, status=failure)
            return web.Response(text=str(failure), content_type="text/html")
        schema_id = int(request.match_info["id"])
        if schema_id not in self.schemas:
            return web.json_response({"error_code": 40403, "message": "Schema not found"}, status=404)
        found = self.schemas[schema_id]
        return web.json_response(found if isinstance(found, dict) else {"schema": found})

    @asynccontextmanager
    async def running(self, port: int = 0):
        application = web.Application()
        application.router.add_get("/schemas/ids/{id}", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
