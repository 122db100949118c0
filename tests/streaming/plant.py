"""A plant of counting hosts: worker processes, load for them, and the check that every command counted once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.streaming.workers import Workers

KEYS = 16


class Plant(Workers):
    """Workers with counting hosts, and topics of their own."""

    def __init__(self, bootstrap: str, folder: Path, *, partitions: int = 4, **settings: str) -> None:
        super().__init__(bootstrap, folder, partitions=partitions, **settings)
        self.command = ("tests.streaming.counting_worker", self.topic("out"))
        self.sent = 0

    # -- topics

    async def create(self) -> None:
        compact = {"cleanup.policy": "compact", "max.message.bytes": str(17 << 20)}
        topics = [NewTopic(self.topic(name), self.partitions, 1) for name in ("twin-config", "twin-clock", "out")]
        topics += [
            NewTopic(f"{self.name}-{t}-changelog", self.partitions, 1, topic_configs=compact) for t in ("registry", "checkpoint")
        ]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            await admin.create_topics(topics)
        finally:
            await admin.close()

    # -- load and check

    async def produce(self, count: int, rate_per_s: float = 1e9, value: bytes = b"x") -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=2)
        await producer.start()
        try:
            started, futures = time.monotonic(), []
            for i in range(self.sent, self.sent + count):
                key = i % KEYS
                partition = key % self.partitions
                futures.append(await producer.send(self.topic("twin-config"), value, b"k%d" % key, partition=partition))
                ahead_s = len(futures) / rate_per_s - (time.monotonic() - started)
                if ahead_s > 0.005:
                    await asyncio.sleep(ahead_s)
            await asyncio.gather(*futures)
        finally:
            await producer.stop()
        self.sent += count

    async def read(self, name: str = "out") -> list[tuple[int, str]]:
        """(partition, value) of all committed records of a topic, in order per partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, isolation_level="read_committed", fetch_max_wait_ms=100)
        await consumer.start()
        try:
            tps = [TopicPartition(self.topic(name), p) for p in range(self.partitions)]
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            ends = await consumer.end_offsets(tps)
            found: list[tuple[int, str]] = []
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for tp, records in (await consumer.getmany(*tps, timeout_ms=200)).items():
                    found += [(tp.partition, (record.value or b"").decode(errors="replace")) for record in records]
            return found
        finally:
            await consumer.stop()

    async def settled(self, within_s: float = 60.0) -> list[tuple[int, str]]:
        """The out topic once every command sent has its output, or when the time is over."""
        end = time.monotonic() + within_s
        while True:
            found = await self.read()
            if sum(not value.startswith("beat:") for _, value in found) >= self.sent or time.monotonic() > end:
                return found
            await asyncio.sleep(0.5)

    async def check_exact(self, within_s: float = 60.0) -> None:
        """Every command has exactly one output, in order, numbered without gap; ticks and heartbeats are in order too."""
        await self.settled(within_s)
        await asyncio.sleep(1.0)  # what a second owner might still write
        found = await self.read()
        counts: dict[str, list[int]] = defaultdict(list)
        beats: dict[int, list[int]] = defaultdict(list)
        for partition, value in found:
            if value.startswith("beat:"):
                beats[partition].append(int(value.split(":")[1]))
            else:
                key, n, *_ = value.split(":")
                counts[key].append(int(n))
        for key in range(min(KEYS, self.sent)):
            expected = list(range(1, len(range(key, self.sent, KEYS)) + 1))
            assert counts[f"k{key}"] == expected, _difference(f"k{key}", counts[f"k{key}"], expected) + self.logs()[-4000:]
        for partition, ticks in beats.items():
            assert ticks == sorted(set(ticks)), f"heartbeats of partition {partition} repeat or go back: {ticks[:50]}"


def _difference(key: str, got: list[int], expected: list[int]) -> str:
    missing = sorted(set(expected) - set(got))[:10]
    twice = [n for n, times in Counter(got).items() if times > 1][:10]
    return f"{key}: {len(got)} of {len(expected)}, missing {missing}, twice {twice}, sorted {got == sorted(got)}\n"
