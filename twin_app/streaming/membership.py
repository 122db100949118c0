"""Faust's consumer, fitted to transactions and whole fetches: it reads committed records, from where the partitions stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from yarl import URL

from twin_app.streaming.fetches import FetchScheduler, fetch_message

FETCH_WAIT_MS = 250
"""How long a broker may hold a fetch open when it has nothing. Bounds how late a resumed partition is fetched again."""
FETCH_PARTITION_BYTES = 1 << 20
"""Fetched at once per partition; a larger record still comes through alone."""
DRAIN_WAIT_S = 0.25
FETCH_RECORDS_MAX = 2_000
"""Handed over by one fetch, all partitions together: a few milliseconds of unpacking in the thread of the consumer."""

log = structlog.get_logger(__name__)


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Creates the group's consumer. Read-committed also makes `end_offsets` the last stable offset."""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    def rejoin(self) -> None:
        """Ask for a new assignment: every partition is given up, then recovered from what is committed. Any thread."""

        def ask() -> None:
            coordinator = self._ensure_consumer()._coordinator
            if coordinator is not None:
                coordinator.request_rejoin()

        self.thread_loop.call_soon_threadsafe(ask)

    def fault(self) -> BaseException | None:
        """See `CommittedConsumer.fault`. Any thread."""
        coordinator = None if self._consumer is None else self._consumer._coordinator
        task = getattr(coordinator, "_coordination_task", None)
        return task.exception() if task is not None and task.done() and not task.cancelled() else None

    def log_end(self, tp: TP) -> int | None:
        """See `CommittedConsumer.log_end`. Any thread."""
        subscription = None if self._consumer is None else self._consumer._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        if assignment is None or tp not in assignment.tps:
            return None
        offset = assignment.state_value(tp).lso
        return None if offset is None or offset < 0 else int(offset)


class CommittedConsumer(driver.Consumer):
    """Faust's side of the consumer."""

    _thread: CommittedThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheduler = FetchScheduler(self.app.settings.config_topic)
        self._held_back: set[TP] = set()

    def _to_message(self, tp: TP, record: Any) -> Any:
        if isinstance(record, list):
            return fetch_message(tp, record, self.app.consumer_generation_id)
        return super()._to_message(tp, record)

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 (Faust's signature)
        # Faust shares one mutable set with the fetch thread: freeze it per fetch.
        active = None if active_partitions is None else frozenset(active_partitions)
        return await super()._getmany(active, min(timeout, DRAIN_WAIT_S))

    async def perform_seek(self) -> None:
        """Seek where the partitions stand. The group's offset says the same, unless it was lost or set by hand."""
        await super().perform_seek()
        stands: Mapping[int, int] = self.app.partitions.expected_offsets()
        for partition, offset in stands.items():
            tp = TP(self.app.settings.config_topic, partition)
            if tp in self.assignment() and (self._committed_offset.get(tp) or 0) != offset:
                await self.seek(tp, offset)

    def pause_partition(self, tp: TP, paused: bool) -> None:
        """Hold fetching of a partition back, or let it go on. What is fetched already is still delivered."""
        if paused:
            self._held_back.add(tp)
            self.on_buffer_full(tp)
        else:
            self._held_back.discard(tp)
            self.on_buffer_drop(tp)

    def log_end(self, tp: TP) -> int | None:
        """The offset after the last committed record, as the last fetch of this partition knew it. Asks nobody."""
        return self._thread.log_end(tp)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Nothing is held back in a new assignment: its partitions begin with empty queues."""
        self._held_back.clear()
        self._buffered_partitions.clear()
        await super().on_partitions_assigned(assigned, generation_id)
        if self.app.assignor.moved:
            self.rejoin()

    def on_buffer_drop(self, tp: TP) -> None:
        """Faust's own buffer has room again: that lets nothing go on that its partition holds back."""
        if tp not in self._held_back:
            super().on_buffer_drop(tp)

    def rejoin(self) -> None:
        self._thread.rejoin()

    def fault(self) -> BaseException | None:
        """What ended the client's part in the group, if anything did: it joins no more, and says so to nobody."""
        return self._thread.fault()


class CommittedTransport(driver.Transport):
    """Makes our consumer instead of Faust's."""

    Consumer = CommittedConsumer


def transport_for(app: Any) -> CommittedTransport:
    """The transport of an app, for the brokers in its settings."""
    return CommittedTransport([URL(f"kafka://{address}") for address in app.settings.bootstrap], app)
