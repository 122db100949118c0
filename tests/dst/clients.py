"""The Kafka client as the product uses it, on the simulated network: what aiokafka 0.14 does with the same calls.

Two habits of aiokafka matter and are kept: `commit_transaction` waits for the batches on their way, yet commits also when one of
them was refused; and a commit that nobody waits for any more goes on in the background until the producer is stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
)
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from tests.dst.broker import Broker, Entry
from tests.dst.network import Network

FETCH_ENTRIES = 40
BATCH_RECORDS_MAX = 16
"""So that a large cycle takes several batches of one partition."""


class Record(NamedTuple):
    """A record as it is read."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


class SimulatedBatch:
    """What `create_batch` gives."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def append(self, *, timestamp: int | None, key: bytes | None, value: bytes | None, headers: Any = ()) -> object | None:
        if len(self.entries) >= BATCH_RECORDS_MAX:
            return None
        self.entries.append(Entry(-1, timestamp or 0, key, value, tuple(headers)))
        return self

    def record_count(self) -> int:
        return len(self.entries)


class SimulatedProducer:
    """A transactional producer."""

    def __init__(self, broker: Broker, network: Network, transactional_id: str, timeout_s: float) -> None:
        self.broker, self.network = broker, network
        self.name, self.timeout_s = transactional_id, timeout_s
        self.client = self
        self.epoch = -1
        self._in_transaction = self._committing = False
        self._fatal: BaseException | None = None
        self._added: set[TopicPartition] = set()
        self._offsets = False
        self._numbers: dict[TopicPartition, int] = {}
        self._last: dict[TopicPartition, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._coordinator = asyncio.Lock()

    async def start(self) -> None:
        self.epoch = await self.network.insist("fence", lambda: self.broker.init_producer(self.name, self.timeout_s))

    async def stop(self) -> None:
        if self.network.closed:
            return
        if self._background:
            await asyncio.wait(self._background)
        await self.close()

    async def close(self) -> None:
        for task in self._background:
            task.cancel()

    def create_batch(self) -> SimulatedBatch:
        return SimulatedBatch()

    async def partitions_for(self, topic: str) -> set[int]:
        return self.broker.partitions_of(topic) or {0}

    async def begin_transaction(self) -> None:
        self.network.maybe_crash("begin")
        assert not self._in_transaction, "a transaction is open"
        assert not self._committing, "a transaction is being committed"
        if self._fatal is not None:
            raise self._fatal
        self._in_transaction = True
        self._added, self._offsets = set(), False

    async def send_batch(self, batch: SimulatedBatch, topic: str, *, partition: int) -> asyncio.Future[RecordMetadata]:
        assert self._in_transaction, "no transaction is open"
        tp = TopicPartition(topic, partition)
        future: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        number = self._numbers.get(tp, -1) + 1
        self._numbers[tp] = number
        self._last[tp] = self._spawn(self._send(tp, batch.entries, number, self._last.get(tp), future))
        return future

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: str) -> None:
        assert self._in_transaction, "no transaction is open"
        ((tp, position),) = offsets.items()
        self._offsets = True

        async def send() -> None:
            await self._ask("offsets", lambda: self.broker.commit_offset(self.name, self.epoch, group, tp, position.offset))

        await asyncio.shield(self._spawn(send()))

    async def commit_transaction(self) -> None:
        assert self._in_transaction, "no transaction is open"
        self._in_transaction, self._committing = False, True
        under_way = [task for task in self._last.values() if not task.done()]

        async def commit() -> None:
            if under_way:
                await asyncio.wait(under_way)
            if self._added or self._offsets:
                await self._ask("commit", lambda: self.broker.end_transaction(self.name, self.epoch, True))
            self._committing = False

        await asyncio.shield(self._spawn(commit()))

    # -- inside

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for it is told; if nobody does, so be it

    async def _ask(self, name: str, request: Callable[[], Any]) -> None:
        """One request to the coordinator at a time. An error there is the end of this producer."""
        async with self._coordinator:
            if self._fatal is not None:
                raise self._fatal
            try:
                await self.network.insist(name, request)
            except KafkaError as error:
                self._fatal = error
                raise

    async def _send(
        self,
        tp: TopicPartition,
        entries: list[Entry],
        number: int,
        before: Awaitable[None] | None,
        future: asyncio.Future[RecordMetadata],
    ) -> None:
        calls = 0

        def produce() -> int:
            nonlocal calls
            calls += 1
            return self.broker.produce(self.name, self.epoch, tp, number, entries)

        try:
            if tp not in self._added:
                await self._ask("add", lambda: self.broker.add_partitions(self.name, self.epoch, [tp]))
                self._added.add(tp)
            if before is not None:
                await asyncio.wait([asyncio.ensure_future(before)])
            if self.network.happens(self.network.weather.refuse_batch, "refused-batch"):
                raise MessageSizeTooLargeError
            offset = await self.network.insist("send", produce)
            if calls > 1 and self.network.happens(0.3, "forgotten-offset"):
                offset = -1  # the broker knows that it has the batch, and no longer where
        except (KafkaError, OutOfOrderSequenceNumber) as error:
            if not future.done():
                future.set_exception(error)
                future.exception()
        else:
            if not future.done():
                future.set_result(RecordMetadata(tp.topic, tp.partition, tp, offset, -1, 0, 0))


class SimulatedConsumer:
    """A read-committed consumer, assigned by hand."""

    def __init__(self, broker: Broker, network: Network) -> None:
        self.broker, self.network = broker, network
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._news: asyncio.Event | None = None
        self._busy = False

    async def start(self) -> None:
        await self._ask("connect", lambda: None)

    async def stop(self) -> None:
        self._unwatch()

    def assign(self, tps: list[TopicPartition]) -> None:
        assert not self._busy, "a consumer is assigned anew while somebody reads with it"
        self._unwatch()
        self._positions = {tp: self.broker.log(tp).start for tp in tps}
        self._paused.clear()

    def pause(self, *tps: TopicPartition) -> None:
        self._paused.update(tps)

    def resume(self, *tps: TopicPartition) -> None:
        self._paused.difference_update(tps)
        if self._news is not None:
            self._news.set()

    def seek(self, tp: TopicPartition, offset: int) -> None:
        assert tp in self._positions
        self._positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    async def end_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._ask("ends", lambda: {tp: self.broker.log(tp).stable_end for tp in tps})

    async def beginning_offsets(self, tps: list[TopicPartition]) -> dict[TopicPartition, int]:
        return await self._ask("starts", lambda: {tp: self.broker.log(tp).start for tp in tps})

    async def getmany(
        self, *tps: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Record]]:
        """Waits for records up to the time-out. Positions also pass what nobody may see."""
        assert not self._busy, "two tasks read with one consumer: one seeks, and the other misses records"
        self._busy = True
        try:
            return await self._getmany(tps, timeout_ms, max_records)
        finally:
            self._busy = False

    async def _getmany(
        self, tps: tuple[TopicPartition, ...], timeout_ms: int, max_records: int | None
    ) -> dict[TopicPartition, list[Record]]:
        if self._news is None:
            self._watch()
        assert self._news is not None
        end = self.network.loop.time() + timeout_ms / 1000
        while True:
            self._news.clear()
            found = await self._fetch(tps or tuple(self._positions), max_records)
            left = end - self.network.loop.time()
            if found or left <= 0:
                return found
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
            except TimeoutError:
                return {}

    async def _fetch(self, tps: tuple[TopicPartition, ...], max_records: int | None) -> dict[TopicPartition, list[Record]]:
        wanted = {tp: self._positions[tp] for tp in tps if tp not in self._paused}
        limit = self.network.chance.randint(1, FETCH_ENTRIES)
        if not wanted:
            return {}
        try:
            answer = await self.network.call(
                "fetch", lambda: {tp: self.broker.fetch(tp, position, limit) for tp, position in wanted.items()}
            )
        except KafkaConnectionError:
            return {}
        found: dict[TopicPartition, list[Record]] = {}
        for tp, (entries, position) in answer.items():
            if self._positions.get(tp) != wanted[tp] or tp in self._paused:
                continue  # sought elsewhere in the meantime
            if max_records is not None and len(entries) > max_records:
                entries = entries[:max_records]
                position = entries[-1].offset + 1
            self._positions[tp] = position
            if entries:
                found[tp] = [Record(e.offset, e.timestamp_ms, e.key, e.value, e.headers) for e in entries]
        return found

    async def _ask(self, name: str, request: Callable[[], Any]) -> Any:
        network = self.network
        if network.down or network.happens(network.weather.error, f"error-{name}"):
            await asyncio.sleep(network.weather.detect_s)
            raise KafkaTimeoutError
        return await network.insist(name, request)

    def _watch(self) -> None:
        self._news = asyncio.Event()
        for tp in self._positions:
            self.broker.watchers.setdefault(tp, []).append(self._news.set)

    def _unwatch(self) -> None:
        if self._news is not None:
            for tp in self._positions:
                self.broker.watchers[tp].remove(self._news.set)
            self._news = None
