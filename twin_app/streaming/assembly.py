"""The real hosting: topics and schemas made ready, then partition hosts with the contracts of the topics room."""

from __future__ import annotations

import math
from collections.abc import Sequence

from topics.admin import ensure_topics
from topics.registry import REGISTRY_PATIENCE_S
from topics.routes import router_from, topics_beside
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.partition.contracts import Contracts
from twin_app.security.kafka import client_security
from twin_app.security.registry import registry_of
from twin_app.settings import Settings
from twin_app.streaming.forecasting import Forecasting
from twin_app.streaming.hosting import Follower, Rows
from twin_app.streaming.tracing import Tracing


class TwinHosting:
    """Opens partition hosts that read and write by the topics' serializers."""

    def __init__(
        self, settings: Settings, contracts: Contracts, follower: Follower | None = None, tracing: Tracing | None = None
    ) -> None:
        self.contracts, self.follower = contracts, follower
        self.followers: tuple[Follower, ...] = () if tracing is None else (tracing,)
        self._tracing = tracing
        self._settings = HostSettings(
            config_topic=settings.config_topic,
            watermark_delay_us=settings.watermark_delay_ms * 1000,
            checkpoint_ticks=settings.checkpoint_ticks,
            checkpoint_interval_us=round(settings.checkpoint_interval_s * 1e6),
        )

    def open(self, partition: int, rows: Rows) -> PartitionHost:
        contracts = self.contracts if self._tracing is None else self._tracing.contracts(self.contracts, partition)
        return PartitionHost.open(partition, rows, contracts, contracts.parse, self._settings)

    async def resolve(self, records: Sequence[ConfigRecord]) -> None:
        await self.contracts.resolve(records)


def contracts_of(settings: Settings, *, patience_s: float = REGISTRY_PATIENCE_S) -> Contracts:
    """The contracts that the settings ask for, with the routes of their file. Raises RoutesError; prepare it before use."""
    registry = registry_of(settings, patience_s=patience_s)
    router = router_from(settings.routes, settings.topics, registry) if settings.routes is not None else None
    return Contracts(settings.topics, registry, router)


async def prepare(settings: Settings) -> tuple[Settings, TwinHosting]:
    """Create missing topics and register the schemas; waits for broker and registry. Raises TwinError."""
    contracts = contracts_of(settings, patience_s=math.inf)  # an outage of the registry pauses, however long
    counts = await ensure_topics(
        settings.bootstrap_servers,
        settings.topics,
        replication=settings.replication_factor,
        client_settings=client_security(settings),
        beside=topics_beside(contracts.router, settings.topics),
    )
    settings = settings.model_copy(update={"partitions": counts[settings.config_topic]})
    tracing = Tracing.from_settings(settings)
    await contracts.prepare()
    if not settings.forecast_workers:
        return settings, TwinHosting(settings, contracts, None, tracing)
    forecasting = Forecasting(settings, contracts.registry)
    await forecasting.prepare()
    return settings, TwinHosting(settings, contracts, forecasting, tracing)
