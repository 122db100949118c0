"""A partition's past for the verbs: told again from the logs, and read from the events topic; each wait has its limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from models.errors import TwinError
from twin_app.cli import connect
from twin_app.cli.decoding import EventReader
from twin_app.replay.past import Past, Told
from twin_app.replay.stretch import Bound, Stretch
from twin_app.replay.verification import Read, Verification, identify_in
from twin_app.settings import Settings
from twin_app.streaming.assembly import TwinHosting, contracts_of
from twin_app.streaming.replay import LogReader
from twin_app.streaming.tails import last_data_offsets

T = TypeVar("T")


class Telling:
    """What the verbs need of one application to tell its past. `prepare` once."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self.settings, self.timeout_s = settings, timeout_s
        self.specs = settings.topics
        self.contracts = contracts_of(settings, patience_s=timeout_s)
        self.reader = EventReader(settings, timeout_s)
        self.partitions: list[int] = []

    async def prepare(self, wanted: list[int] | None = None) -> None:
        """Find the partitions and the schemas. Raises TwinError `unknown-partition`, `unknown-topic`, `broker-unreachable`."""
        tps = await connect.partitions_of(self.settings, self.timeout_s, self.specs.config.name)
        known = sorted(tp.partition for tp in tps)
        for partition in wanted or ():
            if partition not in known:
                raise TwinError(
                    "unknown-partition",
                    f"there is no partition {partition}",
                    place=self.specs.config.name,
                    remedy=f"0 to {known[-1]}",
                )
        self.partitions = sorted(set(wanted)) if wanted else known
        await self.contracts.prepare()

    async def retold(self, partition: int, stretch: Stretch) -> AsyncIterator[Told]:
        """The cycles of a partition up to the end of the stretch. Raises TwinError."""
        async with connect.consumer(self.settings, self.timeout_s) as client:
            past = Past(partition, self.specs, TwinHosting(self.settings, self.contracts), client)
            async for told in self._in_time(past.tell(stretch)):
                yield told

    async def state_at(self, partition: int, twin: str, bound: Bound) -> dict[str, Any] | None:
        """The saved state of a twin after the last cycle up to a bound; None if it was not there, or stood still."""
        async with connect.consumer(self.settings, self.timeout_s) as client:
            past = Past(partition, self.specs, TwinHosting(self.settings, self.contracts), client)
            async for _ in self._in_time(past.tell(Stretch(bound, bound))):
                pass
            return None if past.host is None else past.host.state_of(twin)

    async def written(self, client: AIOKafkaConsumer, partition: int) -> AsyncIterator[Read]:
        """What the events topic holds by now."""
        tp = TopicPartition(self.specs.events.name, partition)
        last = (await connect.within(self.settings, self.timeout_s, last_data_offsets(client, [tp])))[tp]
        reader = LogReader(client, tp)
        reader.seek(0)
        async for record in self._in_time(reader.until(last + 1)):
            await self.reader.resolve([record.value])
            yield Read(record.offset, record.key, record.value, record.timestamp)

    def verification(self, client: AIOKafkaConsumer, partition: int) -> Verification:
        """A comparison with the events topic, to be fed with what is retold."""
        return Verification(self.specs.events.name, partition, self.written(client, partition), self._identify)

    async def fields(self, value: bytes | None, place: str) -> dict[str, Any]:
        """An event's fields, whatever its encoding."""
        await self.reader.resolve([value])
        return self.reader.decode(value, place)

    def _identify(self, value: bytes | None) -> tuple[str, int]:
        return identify_in(self.reader.decode(value, self.specs.events.name))

    async def _in_time(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items, none of which may take longer than the user is willing to wait."""
        while True:
            try:
                yield await connect.within(self.settings, self.timeout_s, anext(items))
            except StopAsyncIteration:
                return
