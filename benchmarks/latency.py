"""Latency: command written -> its event readable by a read-committed consumer, against a bare round trip with a transaction.

Both are up at the same time on the same broker, and are asked in turn, one command at a time with a pause between: neither waits
behind other work.
"""

from __future__ import annotations

import asyncio
import random
import signal
import statistics
import subprocess
import sys
import time

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.figures import Figure
from benchmarks.ingest import TWINS, command, registered
from benchmarks.stage import CONTENDERS, ROOT, Plant, Stage, consumer, make_topic, producer

PAUSE_S = 0.06
ANSWER_S = 20.0


class Asked:
    """Commands go in here, answers come out there; the answer to command `id` holds it."""

    def __init__(self, source: str, answers: AIOKafkaConsumer) -> None:
        self.source, self._answers = source, answers

    async def round_trip(self, out: AIOKafkaProducer, key: str, body: dict[str, object]) -> float:
        """Seconds from the send to the answer."""
        mark = f'"{body["id"]}"'.encode() if "loop" in self.source else str(body["id"]).encode()
        began = time.perf_counter()
        await out.send(self.source, orjson.dumps(body), key.encode())
        while time.perf_counter() - began < ANSWER_S:
            for records in (await self._answers.getmany(timeout_ms=1000)).values():
                if any(mark in (record.value or b"") for record in records):
                    return time.perf_counter() - began
        raise AssertionError(f"no answer to {body} within {ANSWER_S} s")


async def answers_of(reader: AIOKafkaConsumer, topic: str, partitions: int) -> None:
    tps = [TopicPartition(topic, p) for p in range(partitions)]
    reader.assign(tps)
    await reader.seek_to_end(*tps)


async def measure(stage: Stage, rounds: int, quick: bool) -> list[Figure]:
    asks = 20 if quick else 150  # of fewer, the worst alone would be the p99
    plant = Plant(stage, "latency", partitions=4)
    await registered(plant)
    plant.start(0)
    await plant.ready(0)
    await make_topic(stage.bootstrap, "loop", 1)
    await make_topic(stage.bootstrap, "loop-out", 1)
    arguments = [sys.executable, str(CONTENDERS / "bare_loop.py"), stage.bootstrap, "loop", "loop-out", "1000000", "1"]
    loop = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 (its output is not read)
    p50: tuple[list[float], list[float]] = ([], [])
    p99: tuple[list[float], list[float]] = ([], [])
    pauses = random.Random(1)
    try:
        async with (
            producer(stage.bootstrap, linger_ms=0) as out,
            consumer(stage.bootstrap) as told,
            consumer(stage.bootstrap) as echoed,
        ):
            await answers_of(told, plant.topic("sim-events"), 4)
            await answers_of(echoed, "loop-out", 1)
            ours, bare = Asked(plant.topic("twin-config"), told), Asked("loop", echoed)
            number = 0
            for r in range(rounds + 1):
                times: tuple[list[float], list[float]] = ([], [])
                for _ in range(asks if r else 10):  # the first round warms up
                    number += 1
                    _, body = command(2 * len(TWINS) * number)
                    for asked, found in ((ours, times[0]), (bare, times[1])):
                        await asyncio.sleep(PAUSE_S * (0.5 + pauses.random()))
                        found.append(await asked.round_trip(out, TWINS[0], body) * 1e3)
                if r:
                    for kept, part in ((p50, 50), (p99, 99)):
                        for side, values in zip(kept, times, strict=True):
                            side.append(statistics.quantiles(values, n=100)[part - 1])
            assert plant.alive(0), plant.tail(0)
    finally:
        loop.send_signal(signal.SIGKILL)
        loop.wait()
        plant.close()
    name = "bare round trip with a transaction"
    return [
        Figure("latency: command to readable event, p50", *p50, name, "ms", 3.0, "lower"),
        Figure("latency: command to readable event, p99", *p99, name, "ms", 3.0, "lower"),
    ]
