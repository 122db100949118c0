"""Where a worker stands, to be asked at any time from its event loop; and the log lines when that changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from faust.types import TP

from twin_app.settings import Settings
from twin_app.streaming.assignor import NO_WEB
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.enquiries import Enquiries
from twin_app.streaming.hosting import Follower, Hosting
from twin_app.streaming.status import PartitionStatus, Reason, State, Why, WorkerStatus
from twin_app.streaming.store import PartitionStore
from twin_app.streaming.surroundings import loop_s

if TYPE_CHECKING:
    from twin_app.streaming.app import TwinApp

LOOK_S = 1.0
"""How often the log is told what has changed."""
PROGRESS_S = 2.0
"""How often the log is told how far the changelogs are read."""
_EVERYDAY = (Reason.BACKLOG, Reason.REPLAY, Reason.CHANGELOG)
"""Reasons that are part of every start: shown, but no line of their own in the log."""

log = structlog.get_logger(__name__)


class Standing:
    """One worker's answer to "how are you". Everything it needs is in memory: asking costs no I/O."""

    def __init__(self, settings: Settings) -> None:
        self.phase = "starting"
        self.url: str | None = None
        """Where this worker serves HTTP, told to the group; set by whoever serves it, before the group is joined."""
        self.followers: list[Follower] = []
        """Followers of every commit besides the forecasts; to be filled before the group is joined."""
        self.hosting: Hosting | None = None
        """What opens the hosts, once topics and schemas are ready."""
        self.forecasting: Follower | None = None
        """What makes the forecasts; None where there are none, or not yet."""
        self._settings = settings
        self._app: TwinApp | None = None
        self._started_s = loop_s()
        self._told: dict[int, Reason] = {}
        self._progress_told_s = 0.0

    def has(self, app: TwinApp) -> None:
        """Topics and schemas are ready: the app joins the group."""
        self._app, self.phase, self._settings = app, "joining", app.settings

    def status(self) -> WorkerStatus:
        """A snapshot. Call it in the worker's event loop."""
        app = self._app
        partitions: tuple[PartitionStatus, ...] = ()
        standbys = ()
        if app is not None and app.consumer is not None and app.tables is not None:
            recovery, config_topic = app.tables.recovery, app.settings.config_topic
            partitions = app.partitions.status(lambda p: app.consumer.log_end(TP(config_topic, p)), recovery.progress)
            standbys = recovery.standbys()
            if self.phase == "joining" and (partitions or recovery.completed.is_set()):
                self.phase = "running"
        return WorkerStatus(
            self._settings.app_id, self.phase, self._why(partitions), round(loop_s() - self._started_s, 1), partitions, standbys
        )

    @property
    def enquiries(self) -> Enquiries | None:
        """Asking for forecasts in this process; None where there are none, or not yet."""
        return getattr(self.forecasting, "enquiries", None)

    @property
    def settings(self) -> Settings:
        """As they are in force."""
        return self._settings

    def drivers(self) -> dict[int, PartitionDriver]:
        """The partitions that are assigned to this worker."""
        return {} if self._app is None else dict(self._app.partitions.drivers)

    def stores(self) -> dict[str, PartitionStore]:
        """The local state, by table."""
        return {} if self._app is None else {name: table.store for name, table in self._app.tables.items() if table.store}

    @property
    def transactions_lost(self) -> int:
        """Since the worker was started."""
        return 0 if self._app is None else self._app.partitions.transactions_lost

    def owners(self) -> dict[int, str]:
        """Partition -> URL of the worker that has it, as the group's leader told all members with the last assignment."""
        if self._app is None:
            return {}
        changelog = self._app.settings.topics.checkpoint_changelog.name
        told = self._app.assignor.tables_metadata()
        return {
            partition: str(url)
            for url, topics in told.items()
            if not str(url).rstrip("/").endswith(NO_WEB)
            for partition in topics.get(changelog, ())
        }

    async def tell(self) -> None:
        """Log when a partition begins to wait and when it goes on, and how far its recovery is. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for partition in self.status().partitions:
                self._tell_changes(partition)
                self._tell_progress(partition)
            if loop_s() - self._progress_told_s >= PROGRESS_S:
                self._progress_told_s = loop_s()

    # -- inside

    def _why(self, partitions: tuple[PartitionStatus, ...]) -> Why | None:
        if self.phase == "starting":
            where = f"brokers {self._settings.bootstrap_servers}, registry {self._settings.registry_shown}"
            return Why(Reason.START, f"topics and schemas are made ready: {where}", round(loop_s() - self._started_s, 1))
        if self.phase == "joining":
            return Why(Reason.ASSIGNMENT, f"consumer group {self._settings.app_id} at {self._settings.bootstrap_servers}")
        return next((partition.why for partition in partitions if partition.why is not None), None)

    def _tell_changes(self, partition: PartitionStatus) -> None:
        before = self._told.get(partition.partition)
        why = partition.why if partition.why is not None and partition.why.reason not in _EVERYDAY else None
        if why is not None and why.reason is not before:
            log.warning(
                "partition-waits",
                partition=partition.partition,
                state=str(partition.state),
                reason=str(why.reason),
                detail=why.detail,
                lag_records=partition.lag_records,
                lag_s=partition.lag_s,
            )
            self._told[partition.partition] = why.reason
        elif why is None and before is not None:
            log.info("partition-goes-on", partition=partition.partition, state=str(partition.state), after=str(before))
            del self._told[partition.partition]

    def _tell_progress(self, partition: PartitionStatus) -> None:
        progress = partition.progress
        if partition.state is not State.RECOVERING or progress is None or loop_s() - self._progress_told_s < PROGRESS_S:
            return
        log.info(
            "recovering",
            partition=partition.partition,
            changelog_offset=progress.offset,
            rate_per_s=progress.rate_per_s,
            remaining=progress.remaining,
            eta_s=progress.eta_s,
        )
