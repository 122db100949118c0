"""The commands of one partition that were fetched and wait for a cycle: every offset once, in order, in bounded memory.

What Faust delivers is not taken on trust: a seek can repeat records, and records can be lost between fetch and delivery in
a rebalance. A repeated one is dropped here. Before one behind a gap is taken, the gap is read from the log itself: it is
either filled, or proven to be real (a transaction marker, an aborted record).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from twin_app.partition.cycle import ConfigRecord
from twin_app.streaming.replay import ConfigLog
from twin_app.streaming.status import IntakeStatus

log = structlog.get_logger(__name__)

LOW_WATER = 0.5
"""Fetching goes on when the queue has fallen to this share of its limits."""


class Intake:
    """Queue between fetch and cycle. `expected` is the next offset to be taken in."""

    def __init__(self, expected: int, backlog_end: int, records_max: int, bytes_max: int, pause: Callable[[bool], None]) -> None:
        self.expected = expected
        self.backlog_end = backlog_end
        """Below this offset the log is known to hold commands: while `expected` is lower, the partition is catching up."""
        self.arrived = asyncio.Event()
        self._queue: deque[tuple[ConfigRecord, int]] = deque()
        self._bytes = 0
        self._records_max, self._bytes_max = records_max, bytes_max
        self._pause, self._paused = pause, False
        self._room = asyncio.Event()
        self._room.set()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def backlog(self) -> bool:
        """More commands are known to wait than are queued here."""
        return self.expected < self.backlog_end

    @property
    def paused(self) -> bool:
        """Fetching is held back."""
        return self._paused

    def status(self) -> IntakeStatus:
        return IntakeStatus(len(self._queue), self._bytes, self._records_max, self._bytes_max, self._paused)

    def offer(self, records: Sequence[ConfigRecord]) -> Sequence[ConfigRecord]:
        """Take records in, up to the first that has a gap before it, and drop what is known.

        What is left over is returned: `fill` with the first of it, then offer the others.
        """
        expected, size, queue = self.expected, 0, self._queue
        left: Sequence[ConfigRecord] = ()
        for i, record in enumerate(records):
            if record.offset == expected:
                record_bytes = _size(record)
                queue.append((record, record_bytes))
                size += record_bytes
                expected += 1
            elif record.offset > expected:
                left = records[i:]
                break
        self._grown(expected, size)
        return left

    async def fill(self, record: ConfigRecord, config: ConfigLog) -> None:
        """Take in what the log holds between `expected` and `record`, then `record` itself."""
        first, found = self.expected, 0
        async for missing in config.between(first, record.offset):
            await self._room.wait()
            self._append(missing)
            found += 1
        if found:
            log.warning(
                "config-gap-filled", topic=config.tp.topic, partition=config.tp.partition, first_offset=first, records=found
            )
        self.expected = record.offset
        self._append(record)

    def take(self, records_max: int, bytes_max: int) -> list[ConfigRecord]:
        """The next records, at least one if any waits, within the limits of a cycle."""
        batch: list[ConfigRecord] = []
        size = 0
        while self._queue and len(batch) < records_max and (not batch or size + self._queue[0][1] <= bytes_max):
            record, record_bytes = self._queue.popleft()
            batch.append(record)
            size += record_bytes
        self._bytes -= size
        if not self._queue:
            self.arrived.clear()
        if self._paused and len(self._queue) <= self._records_max * LOW_WATER and self._bytes <= self._bytes_max * LOW_WATER:
            self._paused = False
            self._room.set()
            self._pause(False)
        return batch

    def _append(self, record: ConfigRecord) -> None:
        size = _size(record)
        self._queue.append((record, size))
        self._grown(record.offset + 1, size)

    def _grown(self, expected: int, added_bytes: int) -> None:
        if expected == self.expected:
            return
        self.expected = expected
        self._bytes += added_bytes
        self.arrived.set()
        if not self._paused and (len(self._queue) >= self._records_max or self._bytes >= self._bytes_max):
            self._paused = True
            self._room.clear()
            self._pause(True)


def _size(record: ConfigRecord) -> int:
    return len(record.value or b"") + len(record.key or b"")
