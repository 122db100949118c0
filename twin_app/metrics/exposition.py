"""`/metrics`: looks everything up in the event loop, writes the text in a thread, so that a scrape holds up no cycle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from twin_app.metrics.catalogue import LOOP_DELAY
from twin_app.metrics.counting import Counting
from twin_app.metrics.instruments import histogram
from twin_app.metrics.looking import forecasting_of, standing_families
from twin_app.metrics.twins import twin_families
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.standing import Standing

BEAT_S = 0.1
"""How often the event loop's delay is measured."""


class Looked(Collector):
    """What was looked up last."""

    def __init__(self) -> None:
        self.families: list[Family] = []

    def collect(self) -> Iterable[Family]:
        return self.families


class Observed(Counting):
    """Counting that also hears of forecasts, once there is somebody who makes them."""

    def __init__(self, standing: Standing, registry: CollectorRegistry) -> None:
        super().__init__(standing.settings, registry)
        self._standing = standing

    def opened(self, driver: PartitionDriver) -> None:
        super().opened(driver)
        forecasting = forecasting_of(self._standing)
        if forecasting is not None:
            forecasting.observe = self.forecast


class Exposition:
    """The registry of one worker."""

    def __init__(self, standing: Standing) -> None:
        self.registry = CollectorRegistry()
        self.counting = Observed(standing, self.registry)
        self._standing, self._looked = standing, Looked()
        self._delay = histogram(LOOP_DELAY, self.registry)
        self.registry.register(self._looked)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics, and their content type, in the format that the caller wants."""
        self._looked.families = [*standing_families(self._standing), *twin_families(self._standing)]
        encode, content_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, self.registry), content_type

    async def beat(self) -> None:
        """Measure how late the event loop is. Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self._delay.observe(max(0.0, loop.time() - due))


def add_metrics(app: web.Application, standing: Standing) -> None:
    """A mount of the web server: open to everybody, as Prometheus expects."""
    exposition = Exposition(standing)
    standing.followers.append(exposition.counting)

    async def metrics(request: web.Request) -> web.Response:
        body, content_type = await exposition.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    async def measured(_: web.Application) -> AsyncIterator[None]:
        beating = asyncio.create_task(exposition.beat(), name="event-loop-delay")
        yield
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)

    app.router.add_get("/metrics", metrics)
    app.cleanup_ctx.append(measured)
