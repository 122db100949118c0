"""Ingest: commands per second of one worker, from a backlog in the log to the committed effect of each.

Every contender finds the same number of commands of the same form in a topic of four partitions and works them off:
- ours: read, parsed, checked, applied, answered by an Avro event, in one transaction per cycle with the registry's rows; what is
  counted is the group's committed offset;
- the bare loop: read, JSON parsed, a JSON answer sent, in one transaction per fetch; no state, no checks;
- a Faust agent that does nothing;
- desflow's Kafka ingress, which is not durable.
"""

from __future__ import annotations

import asyncio
import signal
from itertools import count
from typing import Any

import orjson
from aiokafka.partitioner import murmur2

from benchmarks.figures import Figure
from benchmarks.peers import desflow_python
from benchmarks.stage import Plant, Rate, Stage, contend, make_topic, producer, rate

PARTITIONS = 4
TWINS_A_PARTITION = 4


def _evenly() -> list[str]:
    """Names of twins, as many on each partition, in turn."""
    found: list[list[str]] = [[] for _ in range(PARTITIONS)]
    for name in (f"T{i:02}" for i in count()):
        partition = found[(murmur2(name.encode()) & 0x7FFFFFFF) % PARTITIONS]
        if len(partition) < TWINS_A_PARTITION:
            partition.append(name)
        if all(len(names) == TWINS_A_PARTITION for names in found):
            return [names[i] for i in range(TWINS_A_PARTITION) for names in found]
    raise AssertionError("the names never end")


TWINS = _evenly()


def blueprint(twin: str) -> dict[str, Any]:
    """A station that is nearly idle: what is measured is the way of the commands."""
    return {
        "twin": twin,
        "resources": {"m": {}},
        "services": {"work": {"exponential": {"mean": 1.0}}},
        "arrivals": {"jobs": {"interarrival": {"exponential": {"mean": 3600.0}}, "flow": "job"}},
        "flows": {"job": [{"process": {"resource": "m", "service": "work"}}]},
        "variables": {"mode": 0.0},
    }


def command(i: int) -> tuple[str, dict[str, Any]]:
    twin = TWINS[i % len(TWINS)]
    if i // len(TWINS) % 2:
        return twin, {"id": f"c{i}", "path": f"{twin}.services.work.mean", "value": 0.5 + i % 100 / 100}
    return twin, {"id": f"c{i}", "path": f"{twin}.variables.mode", "value": float(i)}


async def registered(plant: Plant) -> None:
    """The plant's twins exist and its worker is stopped."""
    plant.start(0)
    await plant.ready(0)
    await plant.send([(twin, {"kind": "register", "twin": twin, "blueprint": blueprint(twin)}) for twin in TWINS])
    await plant.committed(len(TWINS))
    plant.signal(0, signal.SIGTERM)
    await asyncio.to_thread(plant.workers[0].wait, 30)
    plant.forget_logs()


async def ours(stage: Stage, name: str, commands: int, **settings: str) -> Rate:
    plant = Plant(stage, name, partitions=PARTITIONS, **settings)
    try:
        await registered(plant)
        await plant.send([command(i) for i in range(commands)])
        plant.start(0)
        samples = await plant.committed(len(TWINS) + commands)
        first = next(sample for sample in samples if sample.count > len(TWINS))
        plant.close()
        told = await plant.count("sim-events", holding=b"parameter-changed")
        assert told == commands, f"{told} events answer {commands} commands"
        return rate(first, samples[-1])
    finally:
        plant.close()


async def backlog(stage: Stage, name: str, records: int) -> str:
    """A topic with as many commands, for the contenders; every second variable's last change is its end mark."""
    await make_topic(stage.bootstrap, name, PARTITIONS)
    async with producer(stage.bootstrap, linger_ms=5, max_batch_size=256 << 10) as out:
        futures = []
        for i in range(records):
            twin, _ = command(i)
            value = -1.0 if i >= records - len(TWINS) else float(i)
            body = {"id": f"c{i}", "path": f"Line.variables.v{i % len(TWINS):02}", "value": value}
            futures.append(await out.send(name, orjson.dumps(body), twin.encode()))
        await asyncio.gather(*futures)
    return name


def of(answer: dict[str, Any]) -> Rate:
    return Rate(answer["per_s"], answer["cpu_us"])


async def bare(stage: Stage, source: str, records: int) -> Rate:
    target = f"{source}-out"
    await make_topic(stage.bootstrap, target, PARTITIONS)
    return of(await asyncio.to_thread(contend, "bare_loop.py", stage.bootstrap, source, target, records, PARTITIONS))


async def faust(stage: Stage, source: str, records: int) -> Rate:
    folder = stage.folder / f"faust-{source}"
    return of(await asyncio.to_thread(contend, "faust_agent.py", stage.bootstrap, source, records, PARTITIONS, folder))


async def desflow(stage: Stage, source: str, records: int, python: str) -> Rate:
    arguments = (stage.bootstrap, source, len(TWINS), records)
    return of(await asyncio.to_thread(lambda: contend("desflow_ingress.py", *arguments, python=python)))


async def measure(stage: Stage, rounds: int, quick: bool) -> list[Figure]:
    commands = 4_000 if quick else 60_000
    python = desflow_python()
    found: dict[str, list[Rate]] = {"ours": [], "bare": [], "faust": [], "desflow": []}
    for i in range(rounds):
        found["ours"].append(await ours(stage, f"ingest-{i}", commands))
        source = await backlog(stage, f"backlog-{i}", commands)
        found["faust"].append(await faust(stage, source, commands))
        found["bare"].append(await bare(stage, source, commands))
        found["desflow"].append(await desflow(stage, source, commands, python))
    wall = {name: [r.per_s for r in rates] for name, rates in found.items()}
    cpu = {name: [r.cpu_us for r in rates] for name, rates in found.items()}
    return [
        Figure("ingest: commands/s to committed effect", wall["ours"], wall["faust"], "Faust agent that does nothing", "/s", 3.0),
        Figure("ingest: CPU a command", cpu["ours"], cpu["faust"], "Faust agent that does nothing", "µs", 1 / 3, "lower"),
        Figure("ingest: commands/s to committed effect", wall["ours"], wall["bare"], "bare loop with transactions", "/s"),
        Figure(
            "ingest: commands/s to committed effect", wall["ours"], wall["desflow"], "desflow ingress, not durable", "/s", 1.0
        ),
    ]
