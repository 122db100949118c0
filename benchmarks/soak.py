"""Whether a worker stays as it is: `python -m benchmarks.soak --minutes 20`. Real Kafka, live twins, commands of all sorts.

Every few seconds the resident memory and the open descriptors of the worker and of its forks are read from /proc. The first
quarter is a warm-up (caches and pools fill); then the mean of the last quarter is compared with that of the second. At the end
the history must be the golden one. Exit code 1 if it is not, or if something has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from tests.brokers.real_kafka import RealKafka
from tests.brokers.real_registry import RealRegistry
from tests.chaos.factory import Factory

SAMPLE_S = 5.0
GROWTH_MAX = 1.05
"""Memory of the last quarter against that of the second; descriptors may differ by `DESCRIPTORS_MAX`."""
DESCRIPTORS_MAX = 8
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 2**20


def line(twin: str, seed: int) -> dict[str, Any]:
    """A line whose work in progress is bounded by the patience of its orders."""
    return {
        "twin": twin,
        "seed": seed,
        "variables": {"mode": "auto"},
        "resources": {"a": {"capacity": 2, "max_capacity": 4}, "b": {"capacity": 2, "max_capacity": 4}},
        "services": {"turning": {"exponential": {"mean": 0.4}}, "milling": {"normal": {"mean": 0.5, "sd": 0.1, "min": 0}}},
        "arrivals": {"orders": {"interarrival": {"exponential": {"mean": 0.5}}, "flow": "make"}},
        "flows": {
            "make": [
                {"process": {"resource": "a", "service": "turning", "patience": 20}},
                {"process": {"resource": "b", "service": "milling", "patience": 20}},
                {"emit": {"kind": "order-packed", "payload": {"age": "now - entity.created"}}},
            ]
        },
        "watch": {"bottleneck": {"queue": 8, "for": 2}},
    }


class SoakFactory(Factory):
    """The factory with bounded lines, and commands that keep them so."""

    blueprint = staticmethod(line)

    async def load(self, duration_s: float, rate_per_s: float, seed: int) -> None:
        rng, loop = random.Random(seed), asyncio.get_running_loop()
        end = loop.time() + duration_s
        while loop.time() < end:
            twin = rng.choice(self.twins)
            commands: list[Any] = [
                {"path": f"{twin}.resources.a.capacity", "value": rng.randint(1, 4)},
                {"kind": "patch", "changes": {"services.milling.mean": rng.uniform(0.3, 0.6), "variables.mode": "slow"}},
                {"kind": "spawn", "flow": "make"},
                {"path": f"{twin}.resources.a.capacity", "value": 99},
                b"{not json",
            ]
            await self.send(twin, rng.choice(commands))
            await asyncio.sleep(rng.expovariate(rate_per_s))


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(grandchild for child in children for grandchild in descendants(int(child)))]


def sample(pid: int) -> tuple[float, int]:
    """Resident memory in MiB and open descriptors, of a process and its descendants."""
    memory, descriptors = 0.0, 0
    for one in descendants(pid):
        try:
            memory += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE_MB
            descriptors += len(os.listdir(f"/proc/{one}/fd"))
        except OSError:  # a fork that has just ended
            continue
    return memory, descriptors


async def soak(minutes: float, rate_per_s: float, forecast_workers: int) -> int:
    with tempfile.TemporaryDirectory(prefix="twin-soak-", ignore_cleanup_errors=True) as scratch:
        kafka, registry = RealKafka(Path(scratch) / "kafka"), RealRegistry(Path(scratch) / "registry")
        try:
            await asyncio.to_thread(kafka.start)
            await asyncio.to_thread(registry.start)
            forecasts = {"TWIN_FORECAST_WORKERS": str(forecast_workers), "TWIN_FORECAST_BUDGET_S": "0.5"}
            factory = SoakFactory(kafka.bootstrap, registry.url, Path(scratch) / "factory", **forecasts)
            try:
                return await watch(factory, minutes, rate_per_s)
            finally:
                await factory.aclose()
        finally:
            registry.stop()
            kafka.stop()


async def watch(factory: SoakFactory, minutes: float, rate_per_s: float) -> int:
    await factory.create()
    factory.start()
    await factory.wait_for_line(0, "partition-ready", within_s=120)
    load = asyncio.create_task(factory.load(minutes * 60, rate_per_s, seed=1))
    samples: list[tuple[float, int]] = []
    while not load.done():
        samples.append(sample(factory.workers[0].pid))
        if len(samples) % 12 == 0:
            print(f"{len(samples) * SAMPLE_S / 60:5.1f} min  {samples[-1][0]:7.1f} MiB  {samples[-1][1]} descriptors", flush=True)
        await asyncio.wait([load], timeout=SAMPLE_S)
    await load
    quarter = max(1, len(samples) // 4)
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    memory = [mean(one[0] for one in part) for part in (second, last)]
    descriptors = [mean(one[1] for one in part) for part in (second, last)]
    histories = await factory.applied(within_s=300)
    commands, events = (sum(len(getattr(h, what)) for h in histories) for what in ("commands", "events"))
    print(f"{commands} commands, {events} events in {minutes} minutes")
    print(f"memory {memory[0]:.1f} -> {memory[1]:.1f} MiB, descriptors {descriptors[0]:.0f} -> {descriptors[1]:.0f}")
    await factory.check()
    flat = memory[1] <= memory[0] * GROWTH_MAX and abs(descriptors[1] - descriptors[0]) <= DESCRIPTORS_MAX
    print("flat" if flat else "NOT FLAT")
    return 0 if flat else 1


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    arguments.add_argument("--minutes", type=float, default=20.0)
    arguments.add_argument("--rate", type=float, default=20.0, help="commands per second")
    arguments.add_argument("--forecast-workers", type=int, default=1, help="processes for forks; 0: no forecasts")
    given = arguments.parse_args()
    return asyncio.run(soak(given.minutes, given.rate, given.forecast_workers))


if __name__ == "__main__":
    sys.exit(main())
