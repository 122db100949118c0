"""A worker process with the real partitions in it, and what Faust does around them: rebalance, changelog recovery, fetch."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from aiokafka import TopicPartition
from faust.types import TP

from tests.dst.clients import Record, SimulatedConsumer, SimulatedProducer
from tests.dst.disk import Disk, SimulatedStore
from tests.dst.loop import Process
from tests.partition.world import T0_US
from twin_app.partition import ConfigRecord
from twin_app.streaming.partitions import Partitions
from twin_app.streaming.recovery import PartitionRecovery
from twin_app.streaming.surroundings import Surroundings

if TYPE_CHECKING:
    from tests.dst.world import World

TABLES = ("checkpoint", "registry")
RETRY_S = 0.5


class SimulatedSurroundings(Surroundings):
    """Brokers, clock and process of one worker."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker.world.settings)
        self._worker = worker

    def consumer(self) -> Any:
        return SimulatedConsumer(self._worker.world.broker, self._worker.world.network)

    def producer(self, transactional_id: str) -> Any:
        world = self._worker.world
        return SimulatedProducer(world.broker, world.network, transactional_id, self._settings.transaction_timeout_s)

    def wall_us(self) -> int:
        return T0_US + round((self._worker.world.loop.now + self._worker.skew_s) * 1e6)

    def end_process(self, code: int, event: str, error: BaseException, **context: object) -> NoReturn:
        self._worker.world.ended(self._worker, code, event, error)
        self._worker.process.die()
        raise AssertionError("not reached")


class Highwaters:
    """Stands where Faust's recovery stands; what the product put in its place is the product's own."""

    _build_highwaters = PartitionRecovery._build_highwaters
    _assigned_partitions = PartitionRecovery._assigned_partitions
    _copy = PartitionRecovery._copy
    _waits = PartitionRecovery._waits
    _goes_on = PartitionRecovery._goes_on

    def __init__(self, app: Any, stores: dict[str, tuple[SimulatedStore, str]], partitions: Iterable[int]) -> None:
        self.app = app
        self.tp_to_table = {
            TP(topic, p): SimpleNamespace(name=name, store=store, persisted_offset=store.persisted_offset)
            for p in partitions
            for name, (store, topic) in stores.items()
        }
        self.active_offsets: Counter[TP] = Counter()


class Worker:
    """One member of the group. A restart keeps its disk and makes a new process."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.disk = Disk()
        self.skew_s = 0.0
        """How far its wall clock is ahead of the true time."""
        self.starts = 0
        self.process = Process(f"{name}.0", world.loop)
        self.process.kill()

    @property
    def running(self) -> bool:
        return not self.process.dead

    @property
    def reachable(self) -> bool:
        return self.running and not self.process.frozen and self.name not in self.world.group.cut

    def start(self) -> None:
        """Boot and join the group."""
        world = self.world
        self.starts += 1
        self.process = Process(f"{self.name}.{self.starts}", world.loop)
        fail = 0.1 if world.plan.disk_full else 0.0
        self.stores = {table: (SimulatedStore(table, self.disk, world.network, fail), world.changelog(table)) for table in TABLES}
        self.partitions = Partitions(
            world.settings,
            world.hosting,
            lambda: self.stores,  # type: ignore[arg-type,return-value]
            self._pause,
            lambda: world.group.join(self),
            SimulatedSurroundings(self),
        )
        self._recovery: asyncio.Task[None] | None = None
        self._feed: asyncio.Task[None] | None = None
        self._consumer: SimulatedConsumer | None = None
        world.group.join(self)

    # -- what the group tells; each runs in the process

    async def revoked(self) -> None:
        """All partitions are given up: cycles under way end, fetching stops."""
        self.partitions.release()
        await self.partitions.close()
        await self._stop_feed()

    async def assigned(self, partitions: list[int]) -> None:
        """A recovery that is under way is cut off, and a new one begun."""
        await self._cut_off()
        self._recovery = asyncio.ensure_future(self._recover(partitions))

    async def stopped(self) -> None:
        """A graceful end."""
        await self._cut_off()
        await self.revoked()

    async def _cut_off(self) -> None:
        recovery, self._recovery = self._recovery, None
        if recovery is not None:
            recovery.cancel()
            await asyncio.wait([recovery])
            if not recovery.cancelled() and recovery.exception() is not None:
                raise recovery.exception()  # type: ignore[misc]

    # -- recovery, as Faust goes about it

    async def _recover(self, partitions: list[int]) -> None:
        try:
            await self._recover_once(partitions)
        except Exception as error:
            self.world.ended(self, 71, "recovery-crashed", error)  # Faust's service crashes with it, and so the app
            self.process.die()

    async def _recover_once(self, partitions: list[int]) -> None:
        world = self.world
        config = world.settings.config_topic
        consumer = SimpleNamespace(assignment=lambda: {TP(config, p) for p in partitions})
        app = SimpleNamespace(partitions=self.partitions, settings=world.settings, consumer=consumer)
        stand_in: Any = Highwaters(app, self.stores, partitions)
        highwaters: Counter[TP] = Counter()
        await stand_in._build_highwaters(None, set(stand_in.tp_to_table), highwaters, "active")
        for tp, table in stand_in.tp_to_table.items():
            table.store.settled(tp.partition)
        await self.partitions.open()
        await self._start_feed(self.partitions.expected_offsets())
        self.partitions.go_live()

    # -- fetch and delivery

    async def _start_feed(self, positions: dict[int, int]) -> None:
        world = self.world
        self._consumer = SimulatedConsumer(world.broker, world.network)
        self._consumer.assign([world.config(p) for p in positions])
        for p, offset in positions.items():
            self._consumer.seek(world.config(p), offset)
        self._feed = asyncio.ensure_future(self._deliver(self._consumer))

    async def _stop_feed(self) -> None:
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await feed
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None

    async def _deliver(self, consumer: SimulatedConsumer) -> None:
        try:
            await self._deliver_all(consumer)
        except Exception as error:
            self.world.ended(self, 71, "agent-crashed", error)  # an agent that raises crashes the app
            self.process.die()

    async def _deliver_all(self, consumer: SimulatedConsumer) -> None:
        """What one fetch brought for a partition at once, as the agent does it; some records twice, some not at all."""
        network, plan = self.world.network, self.world.plan
        recent: list[tuple[TopicPartition, Record]] = []
        while True:
            for tp, records in sorted((await consumer.getmany(timeout_ms=250)).items()):
                arriving: list[Record] = []
                for record in records:
                    if self.world.rough and network.happens(plan.lose_delivery, "lost-delivery"):
                        continue
                    arriving.append(record)
                    recent = [*recent[-3:], (tp, record)]
                    if self.world.rough and network.happens(plan.repeat_delivery, "repeated-delivery"):
                        for where, again in recent:
                            if where == tp:
                                arriving.append(again)
                            else:
                                await self._hand_over(where, [again])
                await self._hand_over(tp, arriving)

    async def _hand_over(self, tp: TopicPartition, records: list[Record]) -> None:
        taken = [ConfigRecord(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]
        await self.partitions.deliver(tp.partition, taken)

    def _pause(self, partition: int, paused: bool) -> None:
        if self._consumer is not None:
            (self._consumer.pause if paused else self._consumer.resume)(self.world.config(partition))
