"""Forecasts beside their peers: replications a second against SimPy, and how long a fork of a crowd takes to begin.

A machine's speed may halve within the hour. The first figure therefore has its reference within the same round: plain SimPy at
the same line and the same number of visits, in as many processes at once as the pool has. The others have the limits that were
set for them, in seconds and milliseconds of this machine as it is.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

import msgpack

from benchmarks.figures import Figure
from benchmarks.forecast_speed import CROWDED, LINE, REPLICATIONS, VISITS, WIP, asking, cpu_s, live
from benchmarks.kernel import plain_simpy
from benchmarks.stage import Stage
from twin_app.forecast import Effort, ForkPool, answers, question
from twin_app.forecast.bench import Bench
from twin_app.forecast.crews import value_of

PROCESSES = 2
STATIONS = 3
SIMPY_RUNS = 3
"""Of each process, in a round."""
ALL_LIMIT_S, BEGIN_LIMIT_MS, SAVE_LIMIT_MS = 4.0, 50.0, 20.0
FORKS_A_ROUND = 5


async def replicating(rounds: int, replications: int) -> list[Figure]:
    """Replications of VISITS visits each on a pool of two processes."""
    asked = question(live(LINE, 1_000.0), VISITS / STATIONS)
    ours: list[float] = []
    peer: list[float] = []
    wall_s: list[float] = []
    pool = ForkPool(PROCESSES)
    await pool.start()
    try:
        with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as simpy:
            list(simpy.map(plain_simpy, [10] * PROCESSES))  # both are there and have loaded what they need
            for _ in range(rounds):
                began, used = time.perf_counter(), cpu_s(pool.pids)
                made = [r async for r in answers(asked, pool, asking, effort=Effort((1, replications), 1e6), schema_id=1)]
                wall_s.append(time.perf_counter() - began)
                ours.append(replications / (cpu_s(pool.pids) - used))
                assert made[-1].replications == replications
                jobs_a_s = list(simpy.map(plain_simpy, [VISITS // STATIONS] * PROCESSES * SIMPY_RUNS))
                peer.append(sum(jobs_a_s) / len(jobs_a_s) / (VISITS // STATIONS))
    finally:
        await pool.close()
    visits = f"{VISITS:,} visits"
    scaled = [wall * REPLICATIONS / replications for wall in wall_s]
    return [
        Figure(f"forecast: replications of {visits} a CPU-s", ours, peer, "SimPy, generator style", "1/s", 2.0),
        Figure(
            f"forecast: {REPLICATIONS} replications of {visits}, {PROCESSES} processes, wall",
            *(scaled, [ALL_LIMIT_S] * rounds, "a limit of our own", "s", 1.0, "lower"),
        ),
    ]


def beginning(rounds: int) -> list[Figure]:
    """CPU of a fork of WIP entities in progress: the snapshot, and from its beginning to that of the first replication.

    What is between two processes, writing and reading half a megabyte, takes a fraction of a millisecond and is not in it.
    """
    twin = live(CROWDED, WIP * 1.02)
    assert twin.wip >= WIP
    bench = Bench()
    saving, all_ms = [], []
    for _ in range(rounds * FORKS_A_ROUND):
        gc.collect()  # the fork before this one: a worker has its forks elsewhere
        began = time.process_time()
        asked = question(twin, 10.0)
        saved = time.process_time()
        task = msgpack.packb(["take", msgpack.packb(asked.to_plain())])
        value_of(bench.perform(task))
        ready = time.process_time()
        value_of(bench.perform(msgpack.packb(["replicate", 0, [1], True])))
        saving.append((saved - began) * 1e3)
        all_ms.append((ready - began) * 1e3)
    own = "a limit of our own"
    limits = [SAVE_LIMIT_MS] * len(saving), [BEGIN_LIMIT_MS] * len(all_ms)
    return [
        Figure(f"forecast: CPU ms to save {WIP:,} in progress", saving, limits[0], own, "ms", 1.0, "lower"),
        Figure("forecast: CPU ms from there to the first replication", all_ms, limits[1], own, "ms", 1.0, "lower"),
    ]


async def measure(stage: Stage | None, rounds: int, quick: bool) -> list[Figure]:
    del stage
    return [*await replicating(rounds, 8 if quick else REPLICATIONS), *beginning(rounds)]
