"""The partition's contracts with the world, on the topics room: how commands are read, how everything told is written."""

from __future__ import annotations

from collections.abc import Sequence

from models.commands import Command
from models.deadletters import DeadLetter
from models.errors import Rejected
from models.events import EventRecord
from models.vitals import VitalRecord
from topics.reader import ConfluentReader
from topics.registry import SchemaRegistry
from topics.router import Router
from topics.routes import default_router
from topics.specs import TopicSpecs
from twin_app.partition.cycle import ConfigRecord, Output
from twin_app.switchboard import parse

_new = tuple.__new__


class Contracts:
    """Reads and writes by the topics' serializers. `prepare` once; after that everything but `resolve` is pure."""

    def __init__(self, specs: TopicSpecs, registry: SchemaRegistry, router: Router | None = None) -> None:
        self.specs, self.registry = specs, registry
        self.router = router or default_router(specs, registry)
        self.reader = ConfluentReader(registry)  # in the writer's schema: no field that it has is dropped unseen
        self._co_partitioned = frozenset(spec.name for spec in specs.all() if spec.co_partitioned)

    async def prepare(self) -> None:
        """Register the schemas. Waits while the registry is down; raises TwinError `incompatible-schema`."""
        await self.router.prepare()

    async def resolve(self, records: Sequence[ConfigRecord]) -> None:
        """Fetch the writers' schemas of these commands, so that `parse` need not ask. Waits while the registry is down."""
        values = [record.value for record in records]
        while not await self.reader.resolve(values):
            pass

    def parse(self, record: ConfigRecord) -> Command:
        """The command in a record whose schema is resolved. Raises Rejected."""
        return parse(record.value, record.key, avro=self.reader.decode)

    def event(self, event: EventRecord, partition: int, timestamp_ms: int) -> list[Output]:
        own, routed = self._co_partitioned, self.router.route(event)
        if len(routed) == 1:
            topic, key, value = routed[0]
            return [_new(Output, (topic, key, value, timestamp_ms, (), partition if topic in own else None))]
        return [
            _new(Output, (topic, key, value, timestamp_ms, (), partition if topic in own else None))
            for topic, key, value in routed
        ]

    def dead_letter(self, record: ConfigRecord, reason: Rejected, partition: int, timestamp_ms: int) -> Output:
        letter = DeadLetter.of(
            reason,
            topic=self.specs.config.name,
            partition=partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            key=record.key,
            value=record.value,
        )
        topic = self.specs.dead_letters.name
        value = self.router.serializer(topic).encode(letter)
        return Output(topic, record.key, value, timestamp_ms, (), self._partition(topic, partition))

    def vital(self, vital: VitalRecord) -> Output:
        topic = self.specs.vitals.name
        key = (vital.twin or f"partition-{vital.partition}").encode()
        value = self.router.serializer(topic).encode(vital)
        return Output(topic, key, value, vital.wall_time_us // 1000, (), self._partition(topic, vital.partition))

    def _partition(self, topic: str, partition: int) -> int | None:
        return partition if topic in self._co_partitioned else None
