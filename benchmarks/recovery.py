"""Recovery and replay in one process, without a broker: opening a partition from its rows, replaying cycles, forking a twin."""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.figures import Figure
from benchmarks.growth import T0_MS, Partition, contracts
from benchmarks.kernel import crowd, line
from benchmarks.stage import Stage
from models.clock import Tick
from twin_app.partition import HostSettings, PartitionHost
from twin_app.partition.checkpoints import Meta, twin_rows
from twin_app.partition.cycle import CHECKPOINT_TABLE
from twin_app.streaming.memory import await_many_objects, undisturbed
from twin_app.switchboard import LiveTwin

ENTITIES = (10_000, 100_000)
TURNS = 5
"""Openings of each size a round: the smaller takes 15 ms, in which a machine may well run at another speed than in the next."""


def rows_of(entities: int) -> dict[bytes, bytes]:
    """The checkpoint table of a partition with one twin and so many entities in progress."""
    twin = crowd(entities)
    live = LiveTwin.register(twin.blueprint, epoch_ms=T0_MS)
    live.twin = twin
    live.drain()
    rows, _ = twin_rows("Crowd", {"seq": live.seq, "quarantine": None, "live": live.snapshot()}, 0)
    meta = Meta(1, 1, T0_MS * 1000, 1).to_row()
    return {row.key: row.value for row in [*rows, meta] if row.value is not None}


def opening(rounds: int, sizes: tuple[int, int]) -> Figure:
    """Milliseconds of CPU to have a partition open, per 10,000 entities: ten times the state against the state.

    Each in a new process, as after a restart: memory that an earlier opening has left free costs less than fresh memory.
    """
    small, large = (rows_of(size) for size in sizes)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds * TURNS):
        for rows, times, size in ((large, found[0], sizes[1]), (small, found[1], sizes[0])):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                times.append(process.submit(_opened, rows, size).result() / size * 10_000)
    name = f"recovery: CPU ms to open 10,000 entities, of {sizes[1]:,}"
    return Figure(name, *found, f"of {sizes[0]:,}", "ms", 1.3, "lower")


def _opened(rows: dict[bytes, bytes], size: int) -> float:
    """Milliseconds of CPU to have these rows open, as a worker does."""
    outbox = contracts()
    await_many_objects()
    PartitionHost.open(0, {CHECKPOINT_TABLE: rows_of(100)}, outbox, outbox.parse, HostSettings())
    began = time.process_time()
    with undisturbed():
        host = PartitionHost.open(0, {CHECKPOINT_TABLE: rows}, outbox, outbox.parse, HostSettings())
    spent = time.process_time() - began
    assert host.cells["Crowd"].live is not None
    assert host.cells["Crowd"].live.wip == size
    return spent * 1e3


def replaying(rounds: int, seconds: int) -> list[Figure]:
    """Seconds of a line's life a second: replayed from the logs, against live; and against the wall clock."""
    live_speed, speed, real = [], [], []
    for _ in range(rounds):
        partition, ticks = Partition(), []
        document: dict[str, Any] = line(10 * seconds).model_dump(mode="json", exclude_defaults=True)
        partition.cycle([("Line", {"kind": "register", "twin": "Line", "blueprint": document})], 0)
        checkpoint = twin_rows("Line", partition.host.cells["Line"].snapshot(), 0)[0]
        meta = partition.host.meta.to_row()
        began = time.process_time()
        for second in range(1, seconds):
            partition.cycle([], second * 1000)
            ticks.append(_tick(partition))
        live_speed.append(seconds / (time.process_time() - began))
        rows = {row.key: row.value for row in [*checkpoint, meta] if row.value is not None}
        outbox = contracts()
        again = PartitionHost.open(0, {CHECKPOINT_TABLE: rows}, outbox, outbox.parse, HostSettings())
        began = time.process_time()
        for tick in ticks:
            if tick.seq > again.position.tick_seq:
                again.replay(tick, [])
        speed.append(seconds / (time.process_time() - began))
        real.append(1.0)
        assert again.meta == partition.host.meta
    return [
        Figure("replay: seconds of a line's life a second", speed, live_speed, "live, events encoded", "s/s"),
        Figure("replay: seconds of a line's life a second", speed, real, "the wall clock", "s/s", 100.0),
    ]


def _tick(partition: Partition) -> Tick:
    meta = partition.host.meta
    return Tick(meta.tick_seq, meta.wall_us, meta.next_offset, meta.events)


def forking(rounds: int) -> list[Figure]:
    """A fork of a twin with 10,000 in progress: saved, and restored elsewhere."""
    twin = crowd(10_000)
    live = LiveTwin.register(twin.blueprint)
    live.twin = twin
    saving, restoring = [], []
    for _ in range(rounds):
        began = time.process_time()
        snapshot = live.snapshot()
        saved = time.process_time()
        fork = LiveTwin.restore(snapshot, events=False)
        saving.append((saved - began) * 1e3)
        restoring.append((time.process_time() - saved) * 1e3)
        assert fork.wip == live.wip
    limit = [20.0] * rounds
    return [
        Figure("fork: CPU ms to save 10,000 in progress", saving, limit, "a limit of our own", "ms", 1.0, "lower"),
        Figure("fork: CPU ms to restore them", restoring, [50.0] * rounds, "a limit of our own", "ms", 1.0, "lower"),
    ]


async def measure(stage: Stage | None, rounds: int, quick: bool) -> list[Figure]:
    del stage
    sizes = (1_000, 10_000) if quick else ENTITIES
    return [opening(rounds, sizes), *replaying(min(rounds, 3), 2_000 if quick else 20_000), *forking(rounds)]
