"""One partition's log: append, read, high watermark, last stable offset, aborted transactions, duplicates.

The records lie in one append-only file, in the form in which they came; memory holds an index of batches. The file is the
truth: opening it rebuilds the index, the producers' sequences and the open transactions from the batches themselves, and
cuts off a torn batch at the end (it was never acknowledged).
"""

import asyncio
import os
from bisect import bisect_left
from collections import deque
from pathlib import Path
from typing import NamedTuple

from twin_app.embedded.broker import batch as batches
from twin_app.embedded.broker.batch import BadBatch, Batch
from twin_app.embedded.broker.wire import Code

REMEMBERED_BATCHES = 5  # per producer: a client has at most so many in flight, so a repeat is always among them
SEQUENCE_WRAP = 1 << 31
SCAN_BYTES = 1 << 22
PRODUCERS_MAX = 10_000


class Entry(NamedTuple):
    """A batch in the index: its offsets, its place in the file, its newest timestamp (ms)."""

    base: int
    last: int
    at: int
    size: int
    max_timestamp: int


class Aborted(NamedTuple):
    producer_id: int
    first: int
    marker: int


class Producer:
    """What a partition remembers of one producer: its epoch and its last few batches, as (first, last, base offset)."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches: deque[tuple[int, int, int]] = deque(maxlen=REMEMBERED_BATCHES)


class Partition:
    """The log of one partition, kept in `path`. Create it, then `open()`."""

    def __init__(self, path: Path, *, fsync: bool = False) -> None:
        self.path = path
        self.fsync = fsync
        self.entries: list[Entry] = []
        self.lasts: list[int] = []  # the last offset of each entry, for the search
        self.start = 0
        self.end = 0
        self.producers: dict[int, Producer] = {}
        self.open_transactions: dict[int, int] = {}  # producer id -> first offset
        self.aborted: list[Aborted] = []
        self.waiters: set[asyncio.Future[None]] = set()
        self.size = 0  # bytes in the file
        self.cleaned_to = 0  # below this offset the log has been compacted
        self._descriptor = -1

    # -- life -----------------------------------------------------------------------------------------------------------

    def open(self, start: int = 0) -> int:
        """Reads the file; `start` is the first offset that is still to be served. Returns the bytes cut off at the end."""
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        length = os.fstat(self._descriptor).st_size
        at = 0
        window, window_at = b"", 0
        while at < length:
            if at + batches.HEADER.size > window_at + len(window) or self._short(window, at - window_at):
                need = self._batch_size(at, length)
                window, window_at = os.pread(self._descriptor, max(SCAN_BYTES, need), at), at
            try:
                header = batches.read(window, at - window_at)
            except BadBatch:
                break
            self._index(header, at)
            self._remember(header, window[at - window_at : at - window_at + header.size])
            at += header.size
        os.ftruncate(self._descriptor, at)
        self.size = at
        self.end = max(self.end, start)
        self.start = start
        self.drop_below(start)
        return length - at

    def _batch_size(self, at: int, length: int) -> int:
        prefix = os.pread(self._descriptor, batches.PREFIX_BYTES, at)
        claimed = int.from_bytes(prefix[8:12], "big", signed=True) + batches.PREFIX_BYTES if len(prefix) == 12 else 0
        return min(max(claimed, 0), length - at)

    @staticmethod
    def _short(window: bytes, at: int) -> bool:
        size = int.from_bytes(window[at + 8 : at + 12], "big", signed=True) + batches.PREFIX_BYTES
        return at + size > len(window)

    def close(self) -> None:
        self.wake()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def delete(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)

    # -- writing --------------------------------------------------------------------------------------------------------

    def check_sequence(self, batch: Batch) -> tuple[Code, int]:
        """Whether an idempotent batch may be appended: (NONE, -1) yes; (NONE, offset) it is there already; else why not."""
        known = self.producers.get(batch.producer_id)
        if batch.producer_id < 0 or known is None:
            return Code.NONE, -1
        if batch.producer_epoch < known.epoch:
            return Code.INVALID_PRODUCER_EPOCH, -1
        if batch.producer_epoch > known.epoch:
            return (Code.NONE, -1) if batch.base_sequence == 0 else (Code.OUT_OF_ORDER_SEQUENCE, -1)
        last_sequence = (batch.base_sequence + batch.last_delta) % SEQUENCE_WRAP
        for first, last, base in known.batches:
            if (first, last) == (batch.base_sequence, last_sequence):
                return Code.NONE, base
        if known.batches and batch.base_sequence != (known.batches[-1][1] + 1) % SEQUENCE_WRAP:
            return Code.OUT_OF_ORDER_SEQUENCE, -1
        return Code.NONE, -1

    def append(self, data: bytes, batch: Batch) -> int:
        """Writes a batch at the end, and returns its base offset. It is in the file when this returns."""
        base = self.end
        data = batches.placed(data, base)
        os.pwrite(self._descriptor, data, self.size)
        if self.fsync:
            os.fdatasync(self._descriptor)
        placed = batch._replace(base=base)
        self._index(placed, self.size)
        self.size += len(data)
        self._remember(placed, data)
        self.wake()
        return base

    def mark(self, producer_id: int, epoch: int, *, commit: bool) -> None:
        """Ends the producer's open transaction here with a marker; without an open one it does nothing."""
        if producer_id in self.open_transactions:
            data = batches.control(producer_id, epoch, commit=commit)
            self.append(data, batches.read(data))

    def _index(self, batch: Batch, at: int) -> None:
        self.entries.append(Entry(batch.base, batch.last, at, batch.size, batch.max_timestamp))
        self.lasts.append(batch.last)
        self.end = batch.last + 1

    def _remember(self, batch: Batch, data: bytes) -> None:
        pid = batch.producer_id
        if pid < 0:
            return
        if batch.control:
            first = self.open_transactions.pop(pid, None)
            if first is not None and not batches.is_commit(data):
                self.aborted.append(Aborted(pid, first, batch.base))
            known = self.producers.get(pid)
            if known is None or known.epoch < batch.producer_epoch:
                self.producers[pid] = Producer(batch.producer_epoch)
            return
        known = self.producers.get(pid)
        if known is None or known.epoch != batch.producer_epoch:
            self.producers.pop(pid, None)
            known = self.producers[pid] = Producer(batch.producer_epoch)
            if len(self.producers) > PRODUCERS_MAX:
                oldest = next(iter(self.producers))
                if oldest not in self.open_transactions:
                    del self.producers[oldest]
        known.batches.append((batch.base_sequence, (batch.base_sequence + batch.last_delta) % SEQUENCE_WRAP, batch.base))
        if batch.transactional:
            self.open_transactions.setdefault(pid, batch.base)

    def wake(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()

    # -- reading --------------------------------------------------------------------------------------------------------

    @property
    def stable(self) -> int:
        """The last stable offset: below it every transaction is decided."""
        return min(self.open_transactions.values(), default=self.end)

    def read(self, offset: int, limit: int, below: int) -> bytes:
        """Whole batches from the one that holds `offset`, at most `limit` bytes (one batch at least), below `below`."""
        first = stop = bisect_left(self.lasts, offset)
        size = 0
        while stop < len(self.entries) and self.entries[stop].base < below:
            if size and size + self.entries[stop].size > limit:
                break
            size += self.entries[stop].size
            stop += 1
        return os.pread(self._descriptor, size, self.entries[first].at) if size else b""

    def read_entry(self, entry: Entry) -> bytes:
        return os.pread(self._descriptor, entry.size, entry.at)

    def aborted_between(self, offset: int, below: int) -> list[tuple[int, int]]:
        return [(pid, first) for pid, first, marker in self.aborted if marker >= offset and first < below]

    def offset_at(self, timestamp_ms: int) -> tuple[int, int]:
        """(timestamp, offset) of the first record at or after `timestamp_ms`; (-1, -1) if there is none."""
        for entry in self.entries:
            if entry.max_timestamp < timestamp_ms or entry.last < self.start:
                continue
            for record in batches.records(self.read_entry(entry)):
                if record.timestamp >= timestamp_ms and record.offset >= self.start:
                    return record.timestamp, record.offset
        return -1, -1

    # -- forgetting -----------------------------------------------------------------------------------------------------

    def drop_below(self, offset: int) -> None:
        """Serves nothing below `offset` any more. The bytes stay in the file until it is rewritten (see `cleaning`)."""
        self.start = max(self.start, offset)
        gone = bisect_left(self.lasts, self.start)
        del self.entries[:gone], self.lasts[:gone]
        self.aborted = [aborted for aborted in self.aborted if aborted.marker >= self.start]

    def replace(self, head: bytes, head_entries: list[Entry], upto: int, keep_aborted_from: int) -> None:
        """Swaps the file for `head` followed by the present batches from offset `upto` on; atomic for a crash."""
        tail_index = bisect_left(self.lasts, upto)
        tail = self.entries[tail_index:]
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        _write_all(descriptor, head)
        shift = len(head) - (tail[0].at if tail else 0)
        for at in range(tail[0].at if tail else self.size, self.size, SCAN_BYTES):
            _write_all(descriptor, os.pread(self._descriptor, min(SCAN_BYTES, self.size - at), at))
        os.fsync(descriptor)
        os.rename(fresh, self.path)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self.entries = head_entries + [entry._replace(at=entry.at + shift) for entry in tail]
        self.lasts = [entry.last for entry in self.entries]
        self.size = sum(entry.size for entry in self.entries)
        self.aborted = [aborted for aborted in self.aborted if aborted.marker >= keep_aborted_from]


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
