"""How a partition gets from an assignment to its first cycle.

1. Fence the former owner and abort what it left open (`PartitionTransactions.fence`).
2. The highwater of each changelog is its last committed *data* record: read after 1, so nothing moves any more.
3. Faust brings the local tables up to it.
4. The host is opened from the rows and replays the cycles since its checkpoint (`replay`).
5. Fetching of the config topic starts where the host stands, not where the group's offset happens to be.

Any step is cut off by the next rebalance, which starts at 1 again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from aiokafka import TopicPartition
from faust.tables.recovery import Recovery
from faust.types import TP

from twin_app.streaming.status import Progress, StandbyStatus
from twin_app.streaming.surroundings import loop_s
from twin_app.streaming.tails import last_data_offsets

log = structlog.get_logger(__name__)


class PartitionRecovery(Recovery):
    """Faust's changelog recovery with the steps that its single-writer tables need."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading_from: dict[TP, int] = {}
        self._reading_since_s = 0.0

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ASYNC109 (Faust's signature)
        """Wait for a step or the next rebalance. Without the time-out, after which Faust would go on as if it were done."""
        await super()._wait(coro)

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Counter[TP], title: str) -> None:
        if title == "active":
            await self.app.partitions.fence(self._assigned_partitions())
        destination.clear()
        if not tps:
            return
        side = self.app.partitions.surroundings.consumer()
        await side.start()
        try:
            last = await last_data_offsets(side, [TopicPartition(*tp) for tp in tps])
        finally:
            await side.stop()
        destination.update({TP(tp.topic, tp.partition): offset for tp, offset in last.items()})
        if title == "active":
            self._drop_state_ahead_of_the_log(destination)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        await self.app.partitions.open()
        # Faust resumes fetching, seeks, and only then clears its queues: what was fetched in between would be lost. With the
        # flow stopped nothing is drained in that window; super() starts it again after the queues are cleared.
        self.app.consumer.stop_flow()
        await super().on_recovery_completed(generation_id)
        self.app.partitions.go_live()

    async def _seek_offsets(self, consumer: Any, tps: set[TP], offsets: Counter[TP], title: str) -> None:
        self._reading_since_s = loop_s()
        self._reading_from |= {tp: _next(offsets[tp]) for tp in tps}
        await super()._seek_offsets(consumer, tps, offsets, title)

    # -- status

    def progress(self, partition: int) -> Progress | None:
        """How far the changelogs of an own partition are read, all tables together; None when they are."""
        tps = [tp for tp in self.active_highwaters if tp.partition == partition and tp in self._reading_from]
        read = self._progress(tps, self.active_offsets, self.active_highwaters)
        return read if read.remaining else None

    def standbys(self) -> tuple[StandbyStatus, ...]:
        """The copies of others' table partitions that are kept here."""
        return tuple(
            StandbyStatus(table.name, tp.partition, self._progress([tp], self.standby_offsets, self.standby_highwaters))
            for tp in sorted(self.standby_tps)
            if (table := self.tp_to_table.get(tp)) is not None
        )

    def _progress(self, tps: Iterable[TP], offsets: Mapping[TP, Any], highwaters: Mapping[TP, Any]) -> Progress:
        start = offset = end = 0
        for tp in tps:
            highwater, at = _next(highwaters.get(tp)), _next(offsets.get(tp))
            start, offset, end = start + self._reading_from.get(tp, at), offset + at, end + max(highwater, at)
        return Progress.of("changelog", start, offset, end, loop_s() - self._reading_since_s)

    # -- inside

    def _assigned_partitions(self) -> list[int]:
        config = self.app.settings.config_topic
        return sorted(tp.partition for tp in self.app.consumer.assignment() if tp.topic == config)

    def _drop_state_ahead_of_the_log(self, highwaters: Counter[TP]) -> None:
        """A local copy beyond the changelog's end belongs to another log (a topic made anew): start it from nothing."""
        for tp, highwater in highwaters.items():
            offset = self.active_offsets[tp]
            if offset is not None and offset > highwater:
                log.warning(
                    "local-state-foreign", topic=tp.topic, partition=tp.partition, local_offset=offset, log_offset=highwater
                )
                self.tp_to_table[tp].store.wipe(tp.partition)
                self.active_offsets[tp] = None


def _next(offset: int | None) -> int:
    """The offset after a last one; Faust's "none yet" is None or -1."""
    return 0 if offset is None else max(0, offset + 1)
