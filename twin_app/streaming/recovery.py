"""How a partition gets from an assignment to its first cycle.

1. Fence the former owner and abort what it left open (`PartitionTransactions.fence`).
2. The highwater of each changelog is its last committed *data* record: read after 1, so nothing moves any more.
3. The local tables are brought up to it (`changelogs`).
4. The host is opened from the rows and replays the cycles since its checkpoint (`replay`).
5. Fetching of the config topic starts where the host stands, not where the group's offset happens to be.

Any step is cut off by the next rebalance, which starts at 1 again once the step has ended.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.tables.recovery import Recovery
from faust.types import TP
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from twin_app.streaming.changelogs import RETRY_S_MAX, Copy, Standbys, read_up
from twin_app.streaming.status import Progress, Reason, StandbyStatus
from twin_app.streaming.surroundings import loop_s

log = structlog.get_logger(__name__)


class PartitionRecovery(Recovery):
    """Faust's recovery of tables, with the reading of changelogs taken out of its hands: it finds them read already."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._copies: dict[TP, Copy] = {}
        self._standbys = Standbys(lambda: self.app.partitions.surroundings)
        self._to_follow: set[TP] = set()

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109 (Faust's signature)
        """Wait for a step or the next rebalance. Without the time-out, after which Faust would go on as if it were done.

        A step that is cut off has ended when this returns: it must not meet the one that follows.
        """
        step = asyncio.ensure_future(coro)
        try:
            await super()._wait(step)
        finally:
            if not step.done():
                step.cancel()
                await asyncio.wait([step])

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self._standbys.stop()
        super().on_partitions_revoked(revoked)

    async def on_rebalance(self, *args: Any, **kwargs: Any) -> None:
        self._standbys.stop()
        self._copies = {}
        await super().on_rebalance(*args, **kwargs)
        self._to_follow = set(self.standby_tps)
        self.standby_tps.clear()  # Faust has nothing to fetch for them

    async def on_stop(self) -> None:
        self._standbys.stop()
        await super().on_stop()

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Counter[TP], title: str) -> None:
        """Steps 1 to 3. Afterwards highwaters and offsets are the same, and there is nothing left to fetch for Faust."""
        await self.app.partitions.fence(self._assigned_partitions())
        self._copies = {tp: self._copy(tp) for tp in sorted(tps)}
        if self._copies:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(KafkaError), wait=wait_exponential(max=RETRY_S_MAX), before_sleep=self._waits
            ):
                with attempt:
                    await read_up(self.app.partitions.surroundings, list(self._copies.values()))
            self._goes_on()
        destination.clear()
        for tp, copy in self._copies.items():
            destination[tp] = self.active_offsets[tp] = copy.next_offset - 1

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        await self.app.partitions.open()
        # Faust resumes fetching, seeks, and only then clears its queues: what was fetched in between would be lost. With the
        # flow stopped nothing is drained in that window; super() starts it again after the queues are cleared.
        self.app.consumer.stop_flow()
        await super().on_recovery_completed(generation_id)
        self.app.partitions.go_live()
        self._standbys.follow(self._copy(tp) for tp in sorted(self._to_follow))

    # -- status

    def progress(self, partition: int) -> Progress | None:
        """How far the changelogs of an own partition are read, all tables together; None when they are."""
        read = [copy for tp, copy in self._copies.items() if tp.partition == partition and copy.behind]
        if not read:
            return None
        start, offset, end = (sum(getattr(copy, name) for copy in read) for name in ("start", "next_offset", "end"))
        return Progress.of("changelog", start, offset, end, loop_s() - min(copy.since_s for copy in read))

    def standbys(self) -> tuple[StandbyStatus, ...]:
        """The copies of others' table partitions that are kept here."""
        return self._standbys.status()

    # -- inside

    def _assigned_partitions(self) -> list[int]:
        config = self.app.settings.config_topic
        return sorted(tp.partition for tp in self.app.consumer.assignment() if tp.topic == config)

    def _copy(self, tp: TP) -> Copy:
        table = self.tp_to_table[tp]
        offset = table.persisted_offset(tp)
        return Copy(table.name, TopicPartition(*tp), table.store, 0 if offset is None else offset + 1)

    def _waits(self, call: RetryCallState) -> None:
        error = call.outcome.exception() if call.outcome else None
        brokers = self.app.settings.bootstrap_servers
        for driver in self.app.partitions.drivers.values():
            driver.waiting.begin(Reason.BROKER, f"{brokers}: {error}")
        log.warning("changelogs-wait", brokers=brokers, error=str(error), attempt=call.attempt_number)

    def _goes_on(self) -> None:
        for driver in self.app.partitions.drivers.values():
            driver.waiting.over()
