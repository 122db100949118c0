"""What the streaming figures are measured on: a broker, topics of their own, worker processes, and looks at how far they are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models.errors import TwinError
from tests.brokers.embedded_process import EmbeddedProcess
from tests.brokers.maven import Unavailable
from tests.brokers.real_kafka import RealKafka
from tests.streaming.workers import Workers

ROOT = Path(__file__).parents[1]
CONTENDERS = ROOT / "benchmarks" / "contenders"
EMBEDDED = "embedded development broker"
WAIT_S = 180.0
POLL_S = 0.05


class Stage(NamedTuple):
    """A broker and a registry that answer, and a folder for everything else."""

    bootstrap: str
    registry: str
    broker_name: str
    folder: Path


@contextlib.contextmanager
def stage(*, embedded_broker: bool = False) -> Iterator[Stage]:
    """Apache Kafka, or the embedded broker for who asks for it. The registry is the embedded one: it is asked at start-up only.

    Raises TwinError `missing-broker` when Apache Kafka is not to be had: figures of another broker would look like its own.
    """
    with tempfile.TemporaryDirectory(prefix="twin-bench-", ignore_cleanup_errors=True) as scratch, contextlib.ExitStack() as held:
        folder = Path(scratch)
        kafka = None if embedded_broker else _real_kafka(folder / "kafka")
        embedded = EmbeddedProcess(folder / "embedded")
        held.callback(embedded.stop)
        embedded.start()
        if kafka is None:
            yield Stage(embedded.bootstrap, embedded.url, EMBEDDED, folder)
            return
        held.callback(kafka.stop)
        kafka.start()
        yield Stage(kafka.bootstrap, embedded.url, kafka.name, folder)


def _real_kafka(folder: Path) -> RealKafka:
    try:
        return RealKafka(folder)
    except Unavailable as error:
        raise TwinError(
            "missing-broker",
            f"Apache Kafka cannot be measured: {error}",
            remedy="install Java 17 and Maven, and see that Maven reaches a repository; or measure the embedded broker "
            "(--embedded), or suites that need none",
        ) from error


class Sample(NamedTuple):
    """How far something is, when, and how much CPU its process had used by then."""

    count: int
    at_s: float
    cpu_s: float


class Rate(NamedTuple):
    """Records per second of wall time, and microseconds of CPU per record."""

    per_s: float
    cpu_us: float


def rate(first: Sample, last: Sample) -> Rate:
    count = last.count - first.count
    return Rate(count / (last.at_s - first.at_s), (last.cpu_s - first.cpu_s) / count * 1e6)


class Plant(Workers):
    """An application with twins: its workers, its commands, how far it is."""

    forks = False  # a fork shares memory with its parent and pays for each page that it writes: it is measured as it is used

    def __init__(self, stage: Stage, name: str, *, partitions: int = 4, **settings: str) -> None:
        folder = stage.folder / name
        folder.mkdir()
        settings = {"TWIN_REGISTRY_URL": stage.registry, "TWIN_FORECAST_WORKERS": "0", **settings}
        super().__init__(stage.bootstrap, folder, partitions=partitions, **settings)

    async def ready(self, *numbers: int) -> None:
        """Until these workers together hold every partition."""
        end = time.monotonic() + WAIT_S
        while sum(self.log(n).read_text(errors="replace").count("partition-ready") for n in numbers) < self.partitions:
            for n in numbers:
                assert self.alive(n), self.tail(n)
            assert time.monotonic() < end, self.logs()[-4000:]
            await asyncio.sleep(POLL_S)

    def forget_logs(self) -> None:
        for path in self.folder.glob("worker-*.log"):
            path.write_text("")

    async def send(self, commands: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Write commands, each with its twin as the key."""
        async with producer(self.bootstrap, linger_ms=5, max_batch_size=256 << 10) as out:
            futures = [await out.send(self.topic("twin-config"), orjson.dumps(body), twin.encode()) for twin, body in commands]
            await asyncio.gather(*futures)

    async def look(self, consumer: AIOKafkaConsumer, numbers: Sequence[int]) -> Sample:
        """Commands whose effects are committed, as the group's offsets say."""
        tps = [TopicPartition(self.topic("twin-config"), p) for p in range(self.partitions)]
        count = sum([await consumer.committed(tp) or 0 for tp in tps])
        return Sample(count, time.perf_counter(), sum(cpu_s(self.workers[n].pid) for n in numbers))

    async def committed(self, count: int, numbers: Sequence[int] = (0,)) -> list[Sample]:
        """Looks until `count` commands are committed. Two markers per cycle take no offsets of the config topic."""
        samples: list[Sample] = []
        end = time.monotonic() + WAIT_S
        async with consumer(self.bootstrap, group_id=self.name) as asking:
            while not samples or samples[-1].count < count:
                assert time.monotonic() < end, f"{samples[-1:]} of {count}\n{self.logs()[-4000:]}"
                samples.append(await self.look(asking, numbers))
                await asyncio.sleep(POLL_S)
        return samples

    async def count(self, name: str, *, holding: bytes = b"") -> int:
        """Committed records of a topic; with `holding`, those whose value has these bytes."""
        return await count_records(self.bootstrap, self.topic(name), holding=holding)


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def producer(bootstrap: str, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    out = AIOKafkaProducer(bootstrap_servers=bootstrap, **settings)
    await out.start()
    try:
        yield out
    finally:
        await out.stop()


@contextlib.asynccontextmanager
async def consumer(bootstrap: str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
    reader = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=100, **settings
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def make_topic(bootstrap: str, name: str, partitions: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    finally:
        await admin.close()


async def count_records(bootstrap: str, topic: str, *, holding: bytes = b"") -> int:
    """Committed records of a topic; with `holding`, those whose value has these bytes."""
    async with consumer(bootstrap) as reader:
        partitions = None
        while not partitions:  # the metadata of a new topic takes a moment
            await reader._client.force_metadata_update()
            partitions = reader.partitions_for_topic(topic)
            await asyncio.sleep(0 if partitions else POLL_S)
        tps = [TopicPartition(topic, p) for p in sorted(partitions)]
        reader.assign(tps)
        await reader.seek_to_beginning(*tps)
        ends, found = await reader.end_offsets(tps), 0
        while any([await reader.position(tp) < ends[tp] for tp in tps]):
            for records in (await reader.getmany(*tps, timeout_ms=200)).values():
                found += len(records) if not holding else sum(holding in (record.value or b"") for record in records)
        return found


def contend(script: str, *arguments: object, python: str = sys.executable, timeout_s: float = WAIT_S) -> dict[str, Any]:
    """Run a contender to its end; the JSON of its last line."""
    command = [python, str(CONTENDERS / script), *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{script} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return json.loads(done.stdout.splitlines()[-1])
