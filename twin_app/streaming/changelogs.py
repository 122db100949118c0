"""Changelogs, read into the local stores of their tables by a reader of our own.

Faust's reader shares one fetch with the commands. What was fetched before a rebalance and arrives after it, or is cut off when
the flow is stopped, is skipped there without a word: the store then has a hole below its offset that no later reading mends. It
also goes on after a failed write, for ever. Here each log has one position, moved only by what the store has taken.

A copy's `next_offset` is one past the last record that its store holds. Only committed records are read.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, retry_if_exception_type, wait_exponential

from twin_app.streaming.status import Progress, StandbyStatus
from twin_app.streaming.surroundings import Surroundings, loop_s
from twin_app.streaming.tails import last_data_offsets

LOGS_AT_ONCE = 8
"""Logs read side by side: each holds up to a fetch of records in memory."""
RECORDS_MAX = 500
"""Rows written to a store at once; fewer when they are large, since a fetch is bounded in bytes."""
WAIT_MS = 200
STANDBY_WAIT_MS = 1_000
STALL_S = 10.0
"""A reading that got nothing for so long says so."""
RETRY_S_MAX = 10.0

log = structlog.get_logger(__name__)


class CopyStore(Protocol):
    """Where rows go: a table's local store."""

    def recover(self, partition: int, rows: Sequence[tuple[bytes, bytes | None]], offset: int) -> None:
        """Write rows and the offset of the last of them, atomically."""

    def wipe(self, partition: int) -> None:
        """Start from nothing."""


@dataclass(slots=True)
class Copy:
    """One table partition's local copy on its way to the end of its changelog."""

    table: str
    tp: TopicPartition
    store: CopyStore
    next_offset: int
    end: int = 0
    """One past the last committed record, as far as known."""
    start: int = 0
    """Where this reading began; `since_s`: when."""
    since_s: float = 0.0
    rows: int = 0

    def begin(self, end: int) -> None:
        """The end is known. A copy beyond it belongs to another log (a topic made anew): it starts from nothing."""
        if self.next_offset > end:
            log.warning(
                "local-state-foreign",
                topic=self.tp.topic,
                partition=self.tp.partition,
                local_offset=self.next_offset - 1,
                log_offset=end - 1,
                goes_on="it is rebuilt from the changelog",
            )
            self.store.wipe(self.tp.partition)
            self.next_offset = 0
        self.end, self.start, self.since_s = end, self.next_offset, loop_s()

    def take(self, records: Sequence[ConsumerRecord]) -> None:
        """Hand fetched records to the store."""
        self.store.recover(self.tp.partition, [(record.key, record.value) for record in records], records[-1].offset)
        self.next_offset = records[-1].offset + 1
        self.end = max(self.end, self.next_offset)
        self.rows += len(records)

    @property
    def behind(self) -> bool:
        return self.next_offset < self.end

    def progress(self) -> Progress:
        return Progress.of("changelog", self.start, self.next_offset, self.end, loop_s() - self.since_s)


async def read_up(surroundings: Surroundings, copies: Sequence[Copy]) -> None:
    """Bring every copy to the last committed record of its log. Only after fencing: nothing moves any more.

    Raises KafkaError; calling again goes on where it stopped.
    """
    consumer = surroundings.consumer()
    try:
        await consumer.start()
        last = await last_data_offsets(consumer, [copy.tp for copy in copies])
        for copy in copies:
            copy.begin(last[copy.tp] + 1)
        started, behind = loop_s(), [copy for copy in copies if copy.behind]
        for first in range(0, len(behind), LOGS_AT_ONCE):
            await _read(consumer, {copy.tp: copy for copy in behind[first : first + LOGS_AT_ONCE]})
    finally:
        await consumer.stop()
    if behind:
        rows = sum(copy.rows for copy in behind)
        log.info("changelogs-read", logs=len(copies), behind=len(behind), rows=rows, took_ms=round((loop_s() - started) * 1000))


async def _read(consumer: AIOKafkaConsumer, copies: dict[TopicPartition, Copy]) -> None:
    _stand(consumer, copies.values())
    quiet_since = loop_s()
    while copies:
        fetched = await consumer.getmany(*copies, timeout_ms=WAIT_MS, max_records=RECORDS_MAX)
        for tp, records in fetched.items():
            copies[tp].take(records)
        for tp, copy in list(copies.items()):
            # The last record may have been compacted away since its offset was found out.
            if not copy.behind or (tp not in fetched and await consumer.position(tp) >= copy.end):
                copy.end = copy.next_offset
                consumer.pause(tp)
                del copies[tp]
        if fetched:
            quiet_since = loop_s()
        elif loop_s() - quiet_since > STALL_S:
            quiet_since = loop_s()
            log.warning("changelog-reading-stalled", logs=[f"{tp.topic}-{tp.partition}" for tp in copies], goes_on="it waits")


def _stand(consumer: AIOKafkaConsumer, copies: Iterable[Copy]) -> None:
    copies = list(copies)
    consumer.assign([copy.tp for copy in copies])
    for copy in copies:
        consumer.seek(copy.tp, copy.next_offset)


class Standbys:
    """Copies of other workers' table partitions, kept up to date: whoever takes a partition over has little left to read."""

    def __init__(self, surroundings: Callable[[], Surroundings]) -> None:
        self._surroundings = surroundings
        self._copies: dict[TopicPartition, Copy] = {}
        self._following: asyncio.Task[None] | None = None

    def follow(self, copies: Iterable[Copy]) -> None:
        """Follow these logs from now on, and no others."""
        self.stop()
        self._copies = {copy.tp: copy for copy in copies}
        if self._copies:
            self._following = asyncio.create_task(self._follow(), name="standbys")

    def stop(self) -> None:
        """Not one row more is written: the stores may be closed, or belong to an owner, afterwards."""
        if self._following is not None:
            self._following.cancel()
        self._following, self._copies = None, {}

    def status(self) -> tuple[StandbyStatus, ...]:
        return tuple(StandbyStatus(copy.table, tp.partition, copy.progress()) for tp, copy in sorted(self._copies.items()))

    # -- inside

    async def _follow(self) -> None:
        copies = self._copies  # `stop` gives it up; this task may be a moment longer about its end
        async for attempt in AsyncRetrying(retry=retry_if_exception_type(KafkaError), wait=wait_exponential(max=RETRY_S_MAX)):
            with attempt:
                consumer = self._surroundings().consumer()
                try:
                    await consumer.start()
                    await self._keep_up(consumer, copies)
                finally:
                    with contextlib.suppress(KafkaError):
                        await consumer.stop()

    async def _keep_up(self, consumer: AIOKafkaConsumer, copies: dict[TopicPartition, Copy]) -> None:
        last = await last_data_offsets(consumer, list(copies))
        for copy in copies.values():
            copy.begin(last[copy.tp] + 1)
        _stand(consumer, copies.values())
        log.info("standbys-follow", logs=len(copies), behind=sum(copy.end - copy.next_offset for copy in copies.values()))
        while copies:
            fetched = await consumer.getmany(*copies, timeout_ms=STANDBY_WAIT_MS, max_records=RECORDS_MAX)
            for tp, records in fetched.items():
                try:
                    copies[tp].take(records)
                except Exception as error:
                    consumer.pause(tp)
                    del copies[tp]
                    log.error(
                        "standby-given-up",
                        topic=tp.topic,
                        partition=tp.partition,
                        error=str(error),
                        goes_on="without this copy: a takeover reads the changelog",
                    )
