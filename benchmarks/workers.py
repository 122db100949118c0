"""Two workers against one, on the same backlog of commands over four partitions; and one worker with more and more partitions.

The workers hold their partitions, are stopped, and go on when the backlog is written: nobody waits for who writes it.
"""

from __future__ import annotations

import asyncio
import signal

from benchmarks import ingest
from benchmarks.figures import Figure
from benchmarks.stage import Plant, Stage, rate

SESSION_S = "30"
"""Stopped for a few seconds, a worker stays in the group."""


async def drained(stage: Stage, name: str, commands: int, workers: int, partitions: int) -> float:
    """Commands per second of so many workers together, from the first committed to the last."""
    plant = Plant(stage, name, partitions=partitions, TWIN_SESSION_TIMEOUT_S=SESSION_S)
    try:
        await ingest.registered(plant)
        numbers = list(range(workers))
        for number in numbers:
            plant.start(number)
        await plant.ready(*numbers)
        for number in numbers:  # the second joined later: its share is moved to it
            await plant.wait_for_line(number, "partition-ready")
        for number in numbers:
            plant.signal(number, signal.SIGSTOP)
        await plant.send([ingest.command(i) for i in range(commands)])
        samples = asyncio.ensure_future(plant.committed(len(ingest.TWINS) + commands, numbers))
        for number in numbers:
            plant.signal(number, signal.SIGCONT)
        found = await samples
        first = next(i for i, sample in enumerate(found) if sample.count > len(ingest.TWINS))
        for number in numbers:
            plant.signal(number, signal.SIGTERM)
        return rate(found[max(0, first - 1)], found[-1]).per_s
    finally:
        plant.close()


async def measure(stage: Stage, rounds: int, quick: bool) -> list[Figure]:
    commands = 4_000 if quick else 30_000
    one: list[float] = []
    two: list[float] = []
    wide: list[float] = []
    for i in range(rounds):
        one.append(await drained(stage, f"one-{i}", commands, 1, 4))
        two.append(await drained(stage, f"two-{i}", commands, 2, 4))
        wide.append(await drained(stage, f"wide-{i}", commands, 1, 64))
    return [
        Figure("workers: commands/s of two", two, one, "one worker", "/s", 1.5),
        Figure("growth: commands/s with 64 partitions", wide, one, "four partitions", "/s"),
    ]
