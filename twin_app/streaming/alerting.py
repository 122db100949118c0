"""Telling what has become of standing questions: judged with each forecast, told on the alerts topic, read back from there.

The topic is the state. Whoever is given a partition reads what was told of its twins before it tells more; and before each change
is told, it reads what else may have come, from a former owner that was slow to notice its end. A change that could not be sent is
found again by the next forecast. So a change is told at least once, under the same id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from models.alerts import Alert
from models.errors import TwinError
from topics.confluent import ConfluentAvro
from topics.reader import ConfluentReader, schema_id_of
from topics.registry import SchemaRegistry
from twin_app.forecast.alerts import Alerts, Key, Present, Told
from twin_app.partition import PartitionHost
from twin_app.settings import Settings
from twin_app.streaming import driver as drivers
from twin_app.streaming.driver import PartitionDriver

FETCH_RECORDS_MAX = 500
FETCH_WAIT_MS = 200
SWEEP_S = 30.0
"""Between two looks at whether what is raised is over; more often where questions are asked more often."""
TURN_LIMIT_S = 10.0
"""For what one forecast or one look makes: who waits for a topic that cannot be read holds up no forecast for longer."""

log = structlog.get_logger(__name__)


class Alerting:
    """The alerts of a worker's partitions. Lives in its event loop."""

    def __init__(self, settings: Settings, registry: SchemaRegistry, asks: Callable[[int], bool]) -> None:
        """`asks`: whether a twin of the partition has questions."""
        self._asks = asks
        self._topic = settings.topics.alerts.name
        self._avro = ConfluentAvro(Alert, registry, topic=self._topic)
        self._reader = ConfluentReader(registry, Alert, raw_bytes_max=settings.record_bytes_max)
        self._interval_s = min(settings.question_interval_s or SWEEP_S, SWEEP_S)
        self._client: AIOKafkaConsumer | None = None
        self._producer: AIOKafkaProducer | None = None
        self._ready = asyncio.Event()
        self._turn = asyncio.Lock()
        """One at a time reads and tells."""
        self._drivers: dict[int, PartitionDriver] = {}
        self._alerts: dict[int, Alerts] = {}
        self._positions: dict[int, int] = {}
        self._swept: dict[int, float] = {}
        self.sent = 0
        """Changes told since the worker was started."""
        self.unreadable = 0
        """Records that were passed over since they are not what the topic holds."""

    @property
    def raised(self) -> int:
        """Alerts that are raised, of the twins that are here."""
        return sum(alerts.raised for alerts in self._alerts.values())

    def of(self, twin: str) -> list[tuple[Key, Told]]:
        """What is raised of a twin that is here, the oldest first."""
        return [found for alerts in self._alerts.values() for found in alerts.of(twin)]

    # -- life
    async def prepare(self) -> None:
        """Register the schema. Raises TwinError `incompatible-schema`."""
        await self._avro.prepare()

    async def run(self, client: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        """For ever: read what was told of new partitions, and take back what is over. Both clients are started."""
        self._client, self._producer = client, producer
        self._ready.set()
        while True:
            for partition in list(self._drivers):
                if time.monotonic() - self._swept.get(partition, -inf) >= self._interval_s:
                    self._swept[partition] = time.monotonic()
                    await self._safely(partition, self._sweep)
            await asyncio.sleep(min(1.0, self._interval_s))

    def opened(self, driver: PartitionDriver) -> None:
        """The partition is here; nothing is told of it before what was told is read."""
        self._drivers[driver.partition] = driver

    def closed(self, partition: int) -> None:
        """It is somebody else's."""
        self._drivers.pop(partition, None)
        self._alerts.pop(partition, None)
        self._positions.pop(partition, None)
        self._swept.pop(partition, None)

    # -- telling
    async def judge(self, partition: int, twin: str, told: Mapping[str, Any]) -> bool:
        """Tell what a forecast's answers change. Whether all of it is told; else a later forecast finds it again."""

        def found(alerts: Alerts, present: Callable[[str], Present | None]) -> list[dict[str, Any]]:
            return alerts.judge(twin, told, present(twin), time.time_ns() // 1000)

        return await self._safely(partition, lambda p: self._tell(p, found))

    async def _sweep(self, partition: int) -> None:
        if self._asks(partition) or self._alerts.get(partition) or partition not in self._alerts:
            await self._catch_up(partition)
        await self._tell(partition, lambda alerts, present: [])
        async with self._settled(partition) as present:
            gone = self._known(partition).forgettable(present) if present is not None else []
        for key in gone:
            offset = await self._send(partition, key, None)
            self._known(partition).forget(key, offset)

    async def _tell(
        self, partition: int, judged: Callable[[Alerts, Callable[[str], Present | None]], list[dict[str, Any]]]
    ) -> None:
        """First what is over, then what was judged: found once more after reading what else was told."""
        if partition not in self._alerts:
            await self._catch_up(partition)
        for find in (_over, judged):
            if not await self._found(partition, find):
                continue
            await self._catch_up(partition)
            for change in await self._found(partition, find):
                key = Key(change["twin"], change["question"], change["entity"])
                offset = await self._send(partition, key, self._avro.encode({**_DEFAULTS, **change}))
                self._known(partition).read(change, offset)
                self.sent += 1

    async def _found(
        self, partition: int, find: Callable[[Alerts, Callable[[str], Present | None]], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        async with self._settled(partition) as present:
            return [] if present is None else find(self._known(partition), present)

    def _known(self, partition: int) -> Alerts:
        if partition not in self._alerts:
            raise _Elsewhere
        return self._alerts[partition]

    async def _send(self, partition: int, key: Key, body: bytes | None) -> int:
        assert self._producer is not None
        if partition not in self._drivers:
            raise _Elsewhere
        metadata = await self._producer.send_and_wait(self._topic, body, key=str(key).encode(), partition=partition)
        return int(metadata.offset)

    # -- inside
    async def _safely(self, partition: int, work: Callable[[int], Any]) -> bool:
        """Do it when it is its turn; what goes wrong is said, and tried again with the next forecast."""
        try:
            async with asyncio.timeout(TURN_LIMIT_S), self._turn:
                await self._ready.wait()
                if partition in self._drivers:
                    await work(partition)
                    return True
        except (KafkaError, TwinError, TimeoutError) as error:
            why = str(error) or f"it took more than {TURN_LIMIT_S:g} s"
            log.warning("alerts-wait", partition=partition, error=why, goes_on="the next forecast tries again")
        except _Elsewhere:
            pass
        return False

    @asynccontextmanager
    async def _settled(self, partition: int) -> AsyncIterator[Callable[[str], Present | None] | None]:
        """Look at the twins as they are committed; None if they are not here any more."""
        driver = self._drivers.get(partition)
        if driver is None:
            raise _Elsewhere
        async with driver.settled:
            if self._drivers.get(partition) is not driver:
                raise _Elsewhere
            host = driver.host
            if driver.state is not drivers.State.LIVE or not isinstance(host, PartitionHost):
                yield None
            else:
                yield lambda twin: _present(host, twin)

    async def _catch_up(self, partition: int) -> None:
        """Read what was told since the last time, or ever."""
        assert self._client is not None
        client, tp = self._client, TopicPartition(self._topic, partition)
        alerts = self._alerts.get(partition) or Alerts()
        client.assign([tp])
        end = (await client.end_offsets([tp]))[tp]
        client.seek(tp, self._positions.get(partition, 0))
        if partition not in self._positions:
            await client.seek_to_beginning(tp)
        while (position := await client.position(tp)) < end:
            fetched = await client.getmany(tp, timeout_ms=FETCH_WAIT_MS, max_records=FETCH_RECORDS_MAX)
            records = fetched.get(tp, [])
            while not await self._reader.resolve([record.value for record in records]):
                pass
            for record in records:
                self._take(alerts, record)
        if partition in self._drivers:
            self._alerts[partition], self._positions[partition] = alerts, position

    def _take(self, alerts: Alerts, record: ConsumerRecord) -> None:
        if record.value is None:
            parts = (record.key or b"").decode("utf-8", "replace").split("/")
            if len(parts) == 3 and parts[2].isdecimal():
                alerts.forget(Key(parts[0], parts[1], int(parts[2])), record.offset)
            return
        try:
            if schema_id_of(record.value) is not None:
                alerts.read(self._reader.decode(record.value), record.offset)
                return
        except TwinError:
            pass
        self.unreadable += 1


class _Elsewhere(Exception):
    """The partition was given up meanwhile: its next owner goes on."""


_DEFAULTS = {name: None if field.is_required() else field.default for name, field in Alert.model_fields.items()}


def _over(alerts: Alerts, present: Callable[[str], Present | None]) -> list[dict[str, Any]]:
    return alerts.over(present, time.time_ns() // 1000)


def _present(host: PartitionHost, twin: str) -> Present | None:
    cell = host.cells.get(twin)
    if cell is None or cell.live is None:
        return None
    live = cell.live
    return Present(live.earlier, frozenset(live.twin.blueprint.questions), live.twin.entities.__contains__)
