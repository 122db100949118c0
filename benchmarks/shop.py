"""Kernel figures on more models than the tandem line: M/M/c, and a job shop of twenty stations that break down.

Per CPU second, against idiomatic SimPy (generators, `PreemptiveResource` for breakdowns) on the same model: without events; with
typed events handed out; with every event written as Avro. SimPy tells nothing in any of them.
"""

from __future__ import annotations

import gc
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import simpy

from benchmarks.figures import Figure
from benchmarks.kernel import line, plain_simpy
from benchmarks.stage import Stage
from models.blueprint import Blueprint
from topics.envelope import encode_avro
from twin_app.kernel import Twin
from twin_app.switchboard import LiveTwin

SERVERS, STATIONS, ROUTES, VISITS = 5, 20, 4, 10
SERVICE, GAP, UP, DOWN = 1.0, 6.0, 100.0, 5.0
SLICE = 500
FAR = 1e15


def mmc(jobs: int) -> Blueprint:
    return Blueprint.model_validate(
        {
            "twin": "Queue",
            "seed": 1,
            "resources": {"m": {"capacity": SERVERS, "max_capacity": SERVERS}},
            "services": {"work": {"exponential": {"mean": SERVICE}}},
            "arrivals": {"jobs": {"interarrival": {"exponential": {"mean": SERVICE / 4}}, "flow": "job", "limit": jobs}},
            "flows": {"job": [{"process": {"resource": "m", "service": "work"}}]},
        }
    )


def mmc_simpy(jobs: int) -> Callable[[], None]:
    environment, draws = simpy.Environment(), random.Random(1)
    servers = simpy.Resource(environment, SERVERS)

    def job() -> Iterator[Any]:
        with servers.request() as request:
            yield request
            yield environment.timeout(draws.expovariate(1 / SERVICE))

    def arrivals() -> Iterator[Any]:
        for _ in range(jobs):
            yield environment.timeout(draws.expovariate(4 / SERVICE))
            environment.process(job())

    environment.process(arrivals())
    return environment.run


def route(number: int) -> list[int]:
    """Ten of the twenty stations, in an order of its own."""
    return [(number * 7 + visit * (2 * number + 3)) % STATIONS for visit in range(VISITS)]


def job_shop(jobs: int) -> Blueprint:
    breakdown = {"time_to_failure": {"exponential": {"mean": UP}}, "repair": {"exponential": {"mean": DOWN}}}
    return Blueprint.model_validate(
        {
            "twin": "Shop",
            "seed": 1,
            "resources": {f"s{i}": {"breakdown": breakdown} for i in range(STATIONS)},
            "services": {"work": {"exponential": {"mean": SERVICE}}},
            "arrivals": {
                f"r{n}": {"interarrival": {"exponential": {"mean": GAP}}, "flow": f"r{n}", "limit": jobs // ROUTES}
                for n in range(ROUTES)
            },
            "flows": {
                f"r{n}": [{"process": {"resource": f"s{i}", "service": "work", "on_interrupt": "resume"}} for i in route(n)]
                for n in range(ROUTES)
            },
        }
    )


def job_shop_simpy(jobs: int) -> Callable[[], None]:
    environment, draws = simpy.Environment(), random.Random(1)
    stations = [simpy.PreemptiveResource(environment, 1) for _ in range(STATIONS)]
    left = itertools.count(1)
    over = environment.event()

    def job(visits: list[int]) -> Iterator[Any]:
        for i in visits:
            needed = draws.expovariate(1 / SERVICE)
            while needed > 0:
                with stations[i].request(priority=1) as request:
                    yield request
                    began = environment.now
                    try:
                        yield environment.timeout(needed)
                        needed = 0.0
                    except simpy.Interrupt:
                        needed -= environment.now - began
        if next(left) == jobs:
            over.succeed()

    def breaking(station: simpy.PreemptiveResource) -> Iterator[Any]:
        while True:
            yield environment.timeout(draws.expovariate(1 / UP))
            with station.request(priority=0) as request:
                yield request
                yield environment.timeout(draws.expovariate(1 / DOWN))

    def arrivals(visits: list[int]) -> Iterator[Any]:
        for _ in range(jobs // ROUTES):
            yield environment.timeout(draws.expovariate(1 / GAP))
            environment.process(job(visits))

    for station in stations:
        environment.process(breaking(station))
    for n in range(ROUTES):
        environment.process(arrivals(route(n)))
    return lambda: environment.run(over)


def _silent(blueprint: Blueprint, jobs: int) -> int:
    twin = Twin(blueprint, events=False)
    while not twin.advance(math.inf, budget=SLICE) and not _left(twin, jobs):
        pass
    return 0


def _typed(blueprint: Blueprint, jobs: int) -> int:
    twin, told = Twin(blueprint, events=True), 0
    over = False
    while not over:
        over = twin.advance(math.inf, budget=SLICE) or _left(twin, jobs)
        told += len(twin.drain())
    return told


def _avro(blueprint: Blueprint, jobs: int) -> int:
    live, told = LiveTwin.register(blueprint, epoch_ms=1_795_338_000_000), 0
    over = False
    while not over:
        over = live.advance(FAR, budget=SLICE) or _left(live.twin, jobs)
        for event in live.drain():
            encode_avro(event, b"\x00\x00\x00\x00\x01")
            told += 1
    return told


def _left(twin: Twin, jobs: int) -> bool:
    """All jobs came and went: breakdowns alone would go on for ever."""
    return twin.wip == 0 and sum(arrival.count for arrival in twin.arrivals.values()) >= jobs


def _timed(run: Callable[[], object]) -> tuple[float, Any]:
    gc.collect()
    gc.freeze()
    try:
        began = time.process_time()
        found = run()
        return time.process_time() - began, found
    finally:
        gc.unfreeze()


async def measure(stage: Stage | None, rounds: int, quick: bool) -> list[Figure]:
    del stage
    jobs = 2_000 if quick else 20_000
    models: dict[str, tuple[Callable[[int], Blueprint], Callable[[], float]]] = {
        "line": (line, lambda: plain_simpy(jobs)),
        "M/M/5": (mmc, lambda: jobs / _timed(mmc_simpy(jobs))[0]),
        "job shop": (job_shop, lambda: jobs / _timed(job_shop_simpy(jobs))[0]),
    }
    figures = []
    for name, (blueprint, peer) in models.items():
        found: dict[str, list[float]] = {"peer": [], "no events": [], "typed events": [], "Avro": [], "events": []}
        for _ in range(rounds):
            found["peer"].append(peer())
            for how, run in (("no events", _silent), ("typed events", _typed), ("Avro", _avro)):
                spent, told = _timed(partial(run, blueprint(jobs), jobs))
                found[how].append(jobs / spent)
                assert how == "no events" or told > 4 * jobs, f"{told} events of {jobs} jobs"
                if how == "Avro":
                    found["events"].append(told / spent)
        goals = {"no events": 3.0, "typed events": 2.0, "Avro": None}
        figures += [
            Figure(f"model {name}: jobs/CPU-s, {how}", found[how], found["peer"], "SimPy, tells nothing", "/s", goal)
            for how, goal in goals.items()
        ]
        figures.append(Figure(f"model {name}: Avro events/CPU-s", found["events"], found["peer"], "jobs/CPU-s of SimPy", "/s"))
    return figures
