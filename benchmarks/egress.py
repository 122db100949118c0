"""Egress: Avro events per second of one worker.

1. The way out alone: the same events, from the kernel's tuples to a committed transaction, against a bare transactional producer
   that sends the same bytes, ready-made, in batches. Same producer, same number of records a transaction, in turn in one process.
2. A whole worker that simulates as fast as it can, against desflow's JSON egress doing the same.
3. The same way out with other settings: compression, batch size.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from benchmarks.figures import Figure
from benchmarks.kernel import line
from benchmarks.peers import desflow_python
from benchmarks.stage import Plant, Stage, contend, count_records, make_topic
from models.clock import Tick
from models.events import EventRecord
from topics.registry import SchemaRegistry
from twin_app.partition.contracts import Contracts
from twin_app.partition.cycle import Cycle
from twin_app.settings import Settings
from twin_app.streaming.connections import partition_producer
from twin_app.streaming.failpoints import Failpoints
from twin_app.streaming.surroundings import Surroundings
from twin_app.streaming.transaction import PartitionTransactions
from twin_app.switchboard import LiveTwin

CYCLE_EVENTS = 2_000
T0_MS = 1_795_338_000_000


def events_of_a_line(count: int) -> list[EventRecord]:
    live = LiveTwin.register(line(count // 10), epoch_ms=T0_MS)
    events: list[EventRecord] = []
    while len(events) < count:
        live.advance(1e15, budget=5_000)
        events += live.drain()
    return events[:count]


class Out:
    """One application's events topic, with our transactions on it."""

    def __init__(self, stage: Stage, name: str, **settings: Any) -> None:
        self.settings = Settings(
            bootstrap_servers=stage.bootstrap, registry_url=stage.registry, app_id=name, topic_prefix=f"{name}-", **settings
        )
        self.topic = self.settings.topics.events.name
        self.contracts = Contracts(self.settings.topics, SchemaRegistry(stage.registry))
        self.transactions = PartitionTransactions(0, self.settings, {}, Failpoints(""), Surroundings(self.settings))

    async def open(self) -> None:
        await self.contracts.prepare()
        for topic in (self.topic, self.settings.clock_topic, self.settings.config_topic):
            await make_topic(self.settings.bootstrap_servers, topic, 1)

    async def by_us(self, events: Sequence[EventRecord], *, batch_bytes: int | None = None, linger_s: float = 0.0) -> float:
        """Events per second from tuples to committed."""
        await self.transactions.fence()
        accumulator = self.transactions._producer._message_accumulator  # type: ignore[union-attr]
        accumulator._batch_size, accumulator._linger_time = batch_bytes or accumulator._batch_size, linger_s
        began = time.perf_counter()
        for i in range(0, len(events), CYCLE_EVENTS):
            outputs = [out for event in events[i : i + CYCLE_EVENTS] for out in self.contracts.event(event, 0, T0_MS)]
            await self.transactions.commit(Cycle(Tick(i + 1, T0_MS * 1000, 0, i), outputs))
        spent = time.perf_counter() - began
        await self.transactions.close()
        return len(events) / spent

    async def by_a_bare_producer(self, records: Sequence[tuple[bytes, bytes]]) -> float:
        """Records per second, ready-made bytes, in batches, one transaction per as many records."""
        producer: AIOKafkaProducer = partition_producer(self.settings, f"{self.topic}-bare")
        await producer.start()
        began = time.perf_counter()
        for i in range(0, len(records), CYCLE_EVENTS):
            await self._send(producer, records[i : i + CYCLE_EVENTS])
        spent = time.perf_counter() - began
        await producer.stop()
        return len(records) / spent

    async def _send(self, producer: AIOKafkaProducer, records: Sequence[tuple[bytes, bytes]]) -> None:
        tp = TopicPartition(self.topic, 0)
        async with producer.transaction():
            futures, batch = [], producer.create_batch()
            for key, value in records:
                if batch.append(key=key, value=value, timestamp=T0_MS) is None:
                    futures.append(await producer.send_batch(batch, tp.topic, partition=0))
                    batch = producer.create_batch()
                    batch.append(key=key, value=value, timestamp=T0_MS)
            futures.append(await producer.send_batch(batch, tp.topic, partition=0))
            await asyncio.gather(*futures)
            await producer.send_offsets_to_transaction({TopicPartition(self.settings.config_topic, 0): 0}, self.settings.app_id)


@contextlib.asynccontextmanager
async def out(stage: Stage, name: str, **settings: Any) -> AsyncIterator[Out]:
    opened = Out(stage, name, **settings)
    await opened.open()
    yield opened


async def way_out(stage: Stage, rounds: int, events: Sequence[EventRecord]) -> Figure:
    async with out(stage, "egress") as way:
        records = [(o.key or b"", o.value) for event in events for o in way.contracts.event(event, 0, T0_MS)]
        ours, bare = [], []
        for _ in range(rounds):
            bare.append(await way.by_a_bare_producer(records))
            ours.append(await way.by_us(events))
        sent = await count_records(stage.bootstrap, way.topic)
        assert sent == 2 * rounds * len(events), f"{sent} records of {2 * rounds * len(events)}"
    return Figure("egress: Avro events/s, tuples to committed", ours, bare, "bare producer, ready-made bytes, batches", "/s", 0.8)


async def studies(stage: Stage, rounds: int, events: Sequence[EventRecord]) -> list[Figure]:
    """What compression, smaller batches and lingering make of it, against what a worker does."""
    plain: list[float] = []
    tuned: dict[str, tuple[dict[str, Any], list[float]]] = {
        "batches of 16 KiB": ({"batch_bytes": 16 << 10}, []),
        "batches of 64 KiB": ({"batch_bytes": 64 << 10}, []),
        "linger 5 ms": ({"linger_s": 0.005}, []),
    }
    found: dict[str, list[float]] = {"lz4": [], "zstd": [], "gzip": []}
    for i in range(rounds):
        async with out(stage, f"plain-{i}") as way:
            await way.by_us(events[: len(events) // 4])  # the first transactions of a topic take longer
            plain.append(await way.by_us(events))
            for tuning, rates in tuned.values():
                rates.append(await way.by_us(events, **tuning))
        for compression, rates in found.items():
            async with out(stage, f"{compression}-{i}", compression=compression) as way:
                await way.by_us(events[: len(events) // 4])
                rates.append(await way.by_us(events))
    usual = "batches of 512 KiB, no linger"
    figures = [
        Figure(f"egress: Avro events/s, {how}", rates, plain, "the same uncompressed", "/s") for how, rates in found.items()
    ]
    return figures + [Figure(f"egress: Avro events/s, {how}", rates, plain, usual, "/s") for how, (_, rates) in tuned.items()]


def busy(twin: str, jobs: int) -> dict[str, Any]:
    """A line far behind the wall clock, with so many jobs to come: the worker runs as fast as it can."""
    document = line(jobs).model_dump(mode="json", exclude_defaults=True)
    return document | {"twin": twin, "seed": len(twin), "time": {"factor": 1e-6}}


async def whole_worker(stage: Stage, name: str, jobs: int) -> float:
    """Events per second of a worker with four lines, from the first committed event to the last."""
    plant = Plant(stage, name, partitions=4)
    twins = ["L0", "L1", "L2", "L3"]
    expected = len(twins) * (11 * jobs + 1)
    try:
        plant.start(0)
        await plant.ready(0)
        began = time.perf_counter()
        await plant.send([(twin, {"kind": "register", "twin": twin, "blueprint": busy(twin, jobs)}) for twin in twins])
        while True:
            await asyncio.sleep(0.2)
            assert plant.alive(0), plant.tail(0)
            assert time.perf_counter() - began < 170, plant.tail(0)
            if (told := await plant.count("sim-events")) >= expected:
                break
        spent = time.perf_counter() - began
        assert told == expected, f"{told} events of {expected}"
        return expected / spent
    finally:
        plant.close()


async def desflow(stage: Stage, name: str, jobs: int, python: str) -> float:
    answer = await asyncio.to_thread(lambda: contend("desflow_egress.py", stage.bootstrap, name, jobs, python=python))
    return await count_records(stage.bootstrap, name) / answer["seconds"]


async def measure(stage: Stage, rounds: int, quick: bool) -> list[Figure]:
    events = events_of_a_line(20_000 if quick else 60_000)
    figures = [await way_out(stage, rounds, events)]
    python, jobs = desflow_python(), 500 if quick else 2_000
    ours, theirs = [], []
    for i in range(rounds):
        ours.append(await whole_worker(stage, f"worker-{i}", jobs))
        theirs.append(await desflow(stage, f"desflow-{i}", jobs, python))
    figures.append(
        Figure("egress: events/s of a whole worker, exactly once", ours, theirs, "desflow, JSON, at most once", "/s", 1.0)
    )
    return figures + await studies(stage, min(rounds, 3), events)
