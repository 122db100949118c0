"""Retention and compaction, enough for a demo that runs for days.

Both look at a partition through its topic's settings. What counts as the active segment (newer than `segment.ms`, the
last `segment.bytes`) is never touched, as on a Kafka broker. Compaction keeps the newest record per key below the last
stable offset, drops what aborted transactions left and the markers of decided ones.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from twin_app.embedded.broker import batch as batches
from twin_app.embedded.broker.partition import Entry, Partition
from twin_app.embedded.broker.topics import Topic

CLEAN_BYTES_MAX = 256 << 20  # read by one compaction run; a longer log is compacted over several
DEAD_BYTES_MIN = 1 << 20


def expired_below(topic: Topic, partition: Partition, now_ms: int) -> int:
    """The offset below which retention lets the records go."""
    if "delete" not in topic.policy:
        return partition.start
    limit = min(active_from(topic, partition, now_ms), partition.stable)
    below = partition.start
    retention_ms, retention_bytes = topic.number("retention.ms"), topic.number("retention.bytes")
    kept = sum(entry.size for entry in partition.entries)
    for entry in partition.entries:
        too_old = retention_ms >= 0 and entry.max_timestamp < now_ms - retention_ms
        too_much = retention_bytes >= 0 and kept - entry.size >= retention_bytes
        if entry.last >= limit or not (too_old or too_much):
            break
        kept -= entry.size
        below = entry.last + 1
    return below


def active_from(topic: Topic, partition: Partition, now_ms: int) -> int:
    """The first offset of the active segment."""
    room, oldest = topic.number("segment.bytes"), now_ms - topic.number("segment.ms")
    first = partition.end
    for entry in reversed(partition.entries):
        room -= entry.size
        if room < 0 or entry.max_timestamp < oldest:
            break
        first = entry.base
    return first


def needs_compaction(topic: Topic, partition: Partition, cleaned_to: int, now_ms: int) -> int:
    """The offset up to which to compact now, or -1."""
    if "compact" not in topic.policy or not partition.entries:
        return -1
    # The last batch stays in any case: the end of the log is known from it after a restart.
    limit = min(active_from(topic, partition, now_ms), partition.stable, partition.entries[-1].base)
    lag_ms = topic.number("min.compaction.lag.ms")
    clean = dirty = 0
    upto = -1
    stale = False
    for entry in partition.entries:
        if entry.last >= limit or entry.max_timestamp > now_ms - lag_ms or clean + dirty > CLEAN_BYTES_MAX:
            break
        if entry.base < cleaned_to:
            clean += entry.size
        else:
            dirty += entry.size
            stale = stale or entry.max_timestamp < now_ms - topic.number("max.compaction.lag.ms")
        upto = entry.last + 1
    due = dirty > 0 and (stale or dirty >= float(topic.setting("min.cleanable.dirty.ratio")) * (clean + dirty))
    return upto if due else -1


async def compact(topic: Topic, partition: Partition, upto: int) -> None:
    """Rewrites the log below `upto`. The heavy part runs in a thread, on bytes that nobody changes meanwhile."""
    start = partition.start
    entries = [entry for entry in partition.entries if entry.last < upto]
    data = [partition.read_entry(entry) for entry in entries]
    aborted = [(first, marker, pid) for pid, first, marker in partition.aborted]
    horizon_ms = int(time.time() * 1000) - topic.number("delete.retention.ms")
    head, kept = await asyncio.to_thread(_compacted, data, aborted, horizon_ms)
    if partition.start == start and topic.alive:
        partition.replace(head, kept, upto, keep_aborted_from=upto)


def _compacted(data: list[bytes], aborted: list[tuple[int, int, int]], horizon_ms: int) -> tuple[bytes, list[Entry]]:
    def undone(batch: batches.Batch) -> bool:
        return batch.transactional and any(
            first <= batch.base < marker and pid == batch.producer_id for first, marker, pid in aborted
        )

    alive = [(batch, raw) for raw in data if not (batch := batches.read(raw)).control and not undone(batch)]
    newest: dict[bytes, int] = {}
    for _, raw in alive:
        for record in batches.records(raw):
            if record.key is not None:
                newest[record.key] = record.offset

    def wanted(record: Any) -> bool:
        if record.key is None or newest[record.key] != record.offset:
            return False
        return record.value is not None or record.timestamp >= horizon_ms

    head = bytearray()
    kept: list[Entry] = []
    for batch, raw in alive:
        fresh = batches.rewritten(batch, raw, wanted)
        if fresh is not None:
            kept.append(Entry(batch.base, batch.last, len(head), len(fresh), batch.max_timestamp))
            head += fresh
    return bytes(head), kept


async def clean(topic: Topic, partition: Partition, now_ms: int, moved: Callable[[int], None]) -> None:
    """One round of retention and compaction. `moved` is told the new start of the log before any byte goes."""
    below = expired_below(topic, partition, now_ms)
    if below > partition.start:
        moved(below)
        partition.drop_below(below)
    upto = needs_compaction(topic, partition, partition.cleaned_to, now_ms)
    if upto >= 0:
        await compact(topic, partition, upto)
        partition.cleaned_to = upto
    live = sum(entry.size for entry in partition.entries)
    if topic.alive and partition.size - live > max(DEAD_BYTES_MIN, live):
        partition.replace(b"", [], partition.start, keep_aborted_from=partition.start)
