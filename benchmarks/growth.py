"""Growth, in one process without a broker: what an idle twin costs, an entity in progress, a long history.

Memory is the growth of the process's resident set. Checkpoint bytes are those of the rows that a partition writes.
"""

from __future__ import annotations

import gc
import math
import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Figure
from benchmarks.ingest import blueprint
from benchmarks.kernel import crowd, line
from benchmarks.stage import Stage
from topics.registry import SchemaRegistry
from twin_app.kernel import Twin
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.partition.checkpoints import twin_rows
from twin_app.partition.contracts import Contracts
from twin_app.settings import Settings

T0_MS = 1_795_338_000_000
TURNS = 5
"""Short turns of each contender a round, in alternation: what else the machine does weighs on both alike."""


def resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def contracts() -> Contracts:
    """The real contracts, without a registry: the schemas have made-up ids."""
    made = Contracts(Settings().topics, SchemaRegistry("http://127.0.0.1:9"))
    for schema_id, topic in enumerate(made.router.topics, 1):
        serializer: Any = made.router.serializer(topic)
        if hasattr(serializer, "use_schema_id"):
            serializer.use_schema_id(schema_id)
    return made


class Partition:
    """A partition host fed by hand."""

    def __init__(self) -> None:
        self.host = PartitionHost(0, contracts(), contracts().parse, HostSettings(checkpoint_ticks=1_000_000))
        self.offset = self.wall_ms = 0
        self.rows_bytes = 0

    def cycle(self, commands: list[tuple[str, dict[str, Any]]], wall_ms: int) -> int:
        """Run one cycle; how many records it tells."""
        records = []
        for twin, body in commands:
            records.append(ConfigRecord(self.offset, T0_MS + wall_ms, twin.encode(), orjson.dumps(body)))
            self.offset += 1
        for _ in self.host.begin(records, (T0_MS + wall_ms) * 1000):
            pass
        done = self.host.take()
        return 0 if done is None else len(done.outputs)

    def register(self, count: int) -> None:
        for i in range(0, count, 500):
            names = [f"twin{n:06}" for n in range(i, min(count, i + 500))]
            self.cycle([(n, {"kind": "register", "twin": n, "blueprint": _asleep(n)}) for n in names], 0)

    def checkpoint_bytes(self) -> int:
        """Of all twins, as a first checkpoint writes them."""
        total = 0
        for cell in self.host.cells.values():
            rows, _ = twin_rows(cell.key, cell.snapshot(), 0)
            total += sum(len(row.value or b"") for row in rows)
        return total

    def command_us(self, twin: str, count: int) -> float:
        """Microseconds of CPU a command to one twin, in cycles of 100."""
        began = time.process_time()
        for i in range(0, count, 100):
            told = self.cycle([(twin, {"path": f"{twin}.variables.mode", "value": float(n)}) for n in range(i, i + 100)], 1 + i)
            assert told >= 100
        return (time.process_time() - began) / count * 1e6


def _asleep(twin: str) -> dict[str, Any]:
    return blueprint(twin) | {"arrivals": {}}


def twins(rounds: int, many: int) -> list[Figure]:
    few_us, many_us = [], []
    alone = Partition()
    alone.register(1)
    before = resident_bytes()
    crowded = Partition()
    crowded.register(many)
    idle_bytes = (resident_bytes() - before) / many
    rows_bytes = crowded.checkpoint_bytes() / many
    gc.freeze()  # as a worker does
    for partition in (alone, crowded):
        partition.command_us("twin000000", 2_000)  # with the vitals of those that have just been registered
    for _ in range(rounds):
        few_us.append(alone.command_us("twin000000", 2_000))
        many_us.append(crowded.command_us("twin000000", 2_000))
    gc.unfreeze()
    return [
        Figure(f"growth: CPU a command beside {many:,} idle twins", many_us, few_us, "beside none", "µs", 1.5, "lower"),
        Figure("growth: memory of an idle twin", [idle_bytes / 1024], [16.0], "a limit of our own", "KiB", 1.0, "lower"),
        Figure("growth: checkpoint of an idle twin", [rows_bytes / 1024], [1.0], "a limit of our own", "KiB", 1.0, "lower"),
    ]


def wip(rounds: int, many: int) -> list[Figure]:
    before = resident_bytes()
    large = crowd(many)
    entity_bytes = (resident_bytes() - before) / many
    small = crowd(100)
    per = [
        [sum(len(r.value or b"") for r in twin_rows("Crowd", t.snapshot(), 0)[0]) / n] for t, n in ((large, many), (small, 100))
    ]
    gc.freeze()
    large.advance(math.inf, budget=50_000)  # the first call cuts its calendar: once, not for each event
    cost: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds * TURNS):
        for twin, found in ((large, cost[0]), (small, cost[1])):
            found.append(_event_us(partial(twin.advance, math.inf, budget=20_000), 20_000))
    gc.unfreeze()
    return [
        Figure(f"growth: CPU an event, {many:,} in progress", *cost, "100 in progress", "µs", 1.5, "lower"),
        Figure("growth: memory of an entity in progress", [entity_bytes], [512.0], "a limit of our own", "B", 1.0, "lower"),
        Figure(f"growth: checkpoint of an entity, {many:,} in progress", per[0], per[1], "100 in progress", "B", 1.0, "lower"),
    ]


def history(rounds: int, events: int) -> list[Figure]:
    """The first stretch of a line's life against a stretch after so many events."""
    fresh, old = [], []
    sizes: tuple[list[float], list[float]] = ([], [])
    aged = Twin(line(10_000_000), events=False)
    aged.advance(math.inf, budget=events)
    for _ in range(rounds * TURNS):
        young = Twin(line(10_000_000), events=False)
        young.advance(math.inf, budget=1_000)
        for twin, cost, size in ((young, fresh, sizes[1]), (aged, old, sizes[0])):
            cost.append(_event_us(partial(twin.advance, math.inf, budget=20_000), 20_000))
            size.append(_checkpoint_bytes(twin))
    return [
        Figure(f"growth: CPU an event after {events:,} events", old, fresh, "after 1,000", "µs", 1.2, "lower"),
        Figure(f"growth: checkpoint after {events:,} events", *sizes, "after 21,000", "B", None, "lower"),
    ]


def _checkpoint_bytes(twin: Twin) -> float:
    return float(sum(len(row.value or b"") for row in twin_rows("Line", twin.snapshot(), 0)[0]))


def _event_us(run: Callable[[], object], events: int) -> float:
    began = time.process_time()
    run()
    return (time.process_time() - began) / events * 1e6


async def measure(stage: Stage | None, rounds: int, quick: bool) -> list[Figure]:
    del stage
    return [
        *_alone(twins, rounds, 2_000 if quick else 100_000),
        *_alone(wip, rounds, 10_000 if quick else 1_000_000),
        *history(rounds, 50_000 if quick else 1_000_000),
    ]


def _alone(part: Callable[[int, int], list[Figure]], rounds: int, many: int) -> list[Figure]:
    """In a new process: what another part has left free there would be taken again, and not be seen to grow."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(part, rounds, many).result()
