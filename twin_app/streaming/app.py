"""The Faust app: membership, fetch, changelog recovery and one agent that hands fetches to their partitions."""

from __future__ import annotations

import uuid
from typing import Any

import faust
from faust.types import TP

from twin_app.partition.cycle import CHECKPOINT_TABLE, REGISTRY_TABLE
from twin_app.settings import Settings
from twin_app.streaming.assignor import NO_WEB, TwinAssignor
from twin_app.streaming.connections import credentials, largest_message
from twin_app.streaming.hosting import Hosting
from twin_app.streaming.membership import FETCH_PARTITION_BYTES, FETCH_RECORDS_MAX, transport_for
from twin_app.streaming.partitions import Partitions
from twin_app.streaming.store import PartitionStore, store_options
from twin_app.streaming.tables import TwinTable, TwinTableManager

STREAM_BUFFER_MAX = 16
"""Fetches between Faust's consumer and the agent, all partitions together."""
TABLES = (CHECKPOINT_TABLE, REGISTRY_TABLE)


class TwinApp(faust.App):
    """A Faust app with partitions. `partitions` and `settings` are used by the classes in `tables` and `membership`."""

    settings: Settings
    partitions: Partitions


def create_app(settings: Settings, hosting: Hosting, url: str | None = None) -> TwinApp:
    """An app that is ready to start; nothing is connected yet. `url`: where this worker serves HTTP, for the other members."""
    app = TwinApp(
        settings.app_id,
        broker=[f"kafka://{address}" for address in settings.bootstrap],
        broker_credentials=credentials(settings),
        store="rocksdb://",
        datadir=str(settings.data_dir),
        topic_partitions=settings.partitions,
        processing_guarantee="at_least_once",  # Faust commits nothing (acks=False); the transactions do
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,  # see `topology`
        stream_wait_empty=False,
        stream_buffer_maxsize=STREAM_BUFFER_MAX,
        table_standby_replicas=settings.standby_replicas,
        consumer_group_instance_id=settings.member_id,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_PARTITION_BYTES,
        broker_max_poll_records=FETCH_RECORDS_MAX,
        producer_max_request_size=largest_message(settings),
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=min(3.0, settings.session_timeout_s / 5),
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        broker_request_timeout=settings.request_timeout_s,
        worker_redirect_stdouts=False,
        # Every member needs a URL of its own; one under .invalid is never called.
        canonical_url=url or f"http://{uuid.uuid4().hex}{NO_WEB}",
        PartitionAssignor=TwinAssignor,
        TableManager=TwinTableManager,
        Table=TwinTable,
    )
    app.settings = settings
    app.transport = transport_for(app)
    tables = {name: _table(app, name) for name in TABLES}

    def stores() -> dict[str, tuple[PartitionStore, str]]:
        return {name: (table.store, table.changelog_topic_name) for name, table in tables.items()}

    def pause(partition: int, paused: bool) -> None:
        app.consumer.pause_partition(TP(settings.config_topic, partition), paused)

    app.partitions = Partitions(settings, hosting, stores, pause, lambda: app.consumer.rejoin())
    app.on_partitions_revoked.connect(_close_partitions, weak=False)
    _add_agent(app)
    return app


async def _close_partitions(app: Any, revoked: Any, **_: Any) -> None:
    """Awaited by Faust before the group goes on with the rebalance: a graceful hand-over fences nobody."""
    await app.partitions.close()


def _table(app: TwinApp, name: str) -> TwinTable:
    table = app.Table(
        name,
        partitions=app.settings.partitions,
        key_type=bytes,
        value_type=bytes,
        options=store_options(app.settings.store_cache_bytes),
    )
    assert isinstance(table, TwinTable)
    return table


def _add_agent(app: TwinApp) -> None:
    settings = app.settings
    config = app.topic(
        settings.config_topic,
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        acks=False,
        allow_empty=True,
    )

    @app.agent(config, name="commands")
    async def commands(stream: Any) -> None:
        """Hands each fetch to its partition, as raw bytes: what is wrong with a command is found out inside the cycle."""
        async for event in stream.events():
            await app.partitions.deliver(event.message.partition, event.message.records)
