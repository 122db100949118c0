"""How fast forecasts are: `python -m benchmarks.forecast_speed`. CPU seconds beside wall seconds, since machines are shared.

1. 200 replications of 10,000 entity visits each, on a pool of two processes (aim: below 4 s).
2. With 10,000 entities in progress: the time for which the live loop stands still (the snapshot), and from there to the first
   revision (aims: below 20 ms; first replication begun below 50 ms).
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import msgpack

from models.blueprint import Blueprint
from twin_app.forecast import Effort, ForkPool, answers, question
from twin_app.forecast.bench import Bench
from twin_app.forecast.crews import value_of
from twin_app.switchboard import LiveTwin

VISITS = 10_000
REPLICATIONS = 200
WIP = 10_000

LINE: dict[str, Any] = {
    "twin": "Line",
    "seed": 7,
    "resources": {"a": {}, "b": {}, "c": {}},
    "services": {name: {"exponential": {"mean": 0.8}} for name in "abc"},
    "arrivals": {"orders": {"interarrival": {"exponential": {"mean": 1.0}}, "flow": "make"}},
    "flows": {"make": [{"process": {"resource": name, "service": name}} for name in "abc"]},
    "watch": {"bottleneck": {"queue": 30, "for": 5}},
}

CROWDED: dict[str, Any] = {**LINE, "resources": {**LINE["resources"], "c": {"capacity": 0}}}
"""The same with its last station standing still: whoever comes stays."""


def live(document: dict[str, Any], until: float) -> LiveTwin:
    twin = LiveTwin.register(Blueprint.model_validate(document))
    twin.advance(until)
    twin.drain()
    return twin


def asking(revision: int, compute_s: float) -> dict[str, Any]:
    return {"id": "", "trigger": "local", "revision": revision, "horizon_asked": 0.0, "compute_s": compute_s, "created_at_us": 0}


def cpu_s(pids: list[int]) -> float:
    """CPU seconds of other processes so far, from /proc."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


async def replications(pool: ForkPool) -> None:
    asked = question(live(LINE, 1_000.0), VISITS / 3)
    for _ in range(3):
        started, used = time.perf_counter(), cpu_s(pool.pids)
        made = [r async for r in answers(asked, pool, asking, effort=Effort((1, REPLICATIONS), 1e6), schema_id=1)]
        wall_s, spent_s = time.perf_counter() - started, cpu_s(pool.pids) - used
        print(
            f"{made[-1].replications} replications of {VISITS:,} visits: {wall_s:.2f} s wall, {spent_s:.2f} CPU s, "
            f"{spent_s / pool.size:.2f} s on {pool.size} free cores"
        )


async def large(pool: ForkPool) -> None:
    twin = live(CROWDED, WIP * 1.02)
    times: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        snapshot = twin.snapshot()
        times.append(time.perf_counter() - started)
    del snapshot
    print(f"{twin.wip:,} in progress: snapshot {1000 * min(times):.1f} ms (of 5: {', '.join(f'{1000 * t:.1f}' for t in times)})")
    asked = question(twin, 10.0)
    bench = Bench()
    packed = time.perf_counter()
    plain = msgpack.packb(asked.to_plain())
    taken = time.perf_counter()
    value_of(bench.perform(msgpack.packb(["take", plain])))
    ready = time.perf_counter()
    value_of(bench.perform(msgpack.packb(["replicate", 0, [1], True])))
    done = time.perf_counter()
    begun_ms = 1000 * (min(times) + ready - packed)
    print(
        f"  packed in {1000 * (taken - packed):.1f} ms ({len(plain) / 1e6:.1f} MB), restored in {1000 * (ready - taken):.1f} ms:"
    )
    print(
        f"  {begun_ms:.1f} ms from the snapshot's beginning to the first replication, which takes {1000 * (done - ready):.1f} ms"
    )
    for _ in range(3):
        started = time.perf_counter()
        async for made in answers(question(twin, 10.0), pool, asking, effort=Effort((1, 4), 60.0), schema_id=1):
            print(f"  revision of {made.replications}: {1000 * (time.perf_counter() - started):.0f} ms, {len(made.body):,} bytes")


async def main() -> None:
    pool = ForkPool(2)
    await pool.start()
    try:
        await replications(pool)
        await large(pool)
    finally:
        await pool.close()


if __name__ == "__main__":
    asyncio.run(main())
