"""The loop of `twin feed`: records of a topic become commands of the config topic, each once.

Each round is one transaction: the commands, the dead letters of records that are none, and the offsets in the topic that was
read. So whatever ends this process, each record has been fed once. The transactional id is that of the feed's name: who starts
the same later takes over, and reads from where the former had got to.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from models.deadletters import DeadLetter
from models.errors import Rejected, TwinError
from topics.serdes import Serializer
from twin_app.cli import connect
from twin_app.cli.arrival import RECIPE_HEADER, Arriving, Recipe, Source
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets

BATCH_MAX = 500
"""Records of one transaction, and of each partition that wait for their time in memory."""
LEAD_MS = 1_000.0
"""Commands are sent at most so long before they act: a twin keeps only so many that are still to come."""
IDLE_S = 0.2


@dataclass
class Tally:
    """What became of the records that were read. `empty`: those without a value, which mean nothing here."""

    fed: int = 0
    refused: int = 0
    empty: int = 0


class Waiting:
    """The records of one partition that are read and not yet fed, and where the next one is."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.records: deque[tuple[Source, Arriving | Rejected | None]] = deque()

    def due(self, horizon_ms: float, room: int) -> list[tuple[Source, Arriving | Rejected | None]]:
        """Take those that may be sent by now. One that may not keeps all behind it: the order of a partition stays."""
        taken: list[tuple[Source, Arriving | Rejected | None]] = []
        while self.records and len(taken) < room:
            _, made = self.records[0]
            if isinstance(made, Arriving) and made.at_ms is not None and made.at_ms > horizon_ms:
                break
            taken.append(self.records.popleft())
        return taken


class Feed:
    """One feed: a topic, and how its records become arrivals. `name` is its consumer group and its transactional id."""

    def __init__(
        self,
        settings: Settings,
        topic: str,
        recipe: Recipe,
        name: str,
        timeout_s: float,
        told: Callable[[Source, Rejected], None],
    ) -> None:
        self._settings, self._topic, self._recipe, self._name = settings, topic, recipe, name
        self._timeout_s, self._told = timeout_s, told
        self.tally = Tally()

    async def run(self, *, from_beginning: bool, follow: bool) -> None:
        """Feed what comes, or (not `follow`) what is there now. Raises TwinError."""
        settings, timeout_s = self._settings, self._timeout_s
        await connect.partitions_of(settings, timeout_s, settings.topics.config.name, settings.topics.dead_letters.name)
        tps = await self._partitions()
        serializer = await self._letters()
        async with self._writer() as writer, connect.consumer(settings, timeout_s, group=self._name) as client:
            # The writer comes first: no transaction of a former one is open now, and none of its offsets still to come.
            last = None if follow else await connect.within(settings, timeout_s, last_data_offsets(client, tps))
            client.assign(tps)
            lines = {tp: Waiting(position) for tp, position in (await self._positions(client, tps, from_beginning)).items()}
            await self._commit(writer, serializer, lines, [])  # where a first start began is known to the next one
            while True:
                await self._fetch(client, lines)
                horizon_ms = time.time() * 1000 + LEAD_MS
                taken = [item for line in lines.values() for item in line.due(horizon_ms, BATCH_MAX // len(lines) + 1)]
                if taken:
                    await self._commit(writer, serializer, lines, taken)
                elif last is not None and all(not line.records and line.position > last[tp] for tp, line in lines.items()):
                    return
                elif any(line.records for line in lines.values()):
                    await asyncio.sleep(IDLE_S)  # their time has not come

    async def _partitions(self) -> list[TopicPartition]:
        try:
            return await connect.partitions_of(self._settings, self._timeout_s, self._topic)
        except TwinError as error:
            if error.code == "unknown-topic":
                error.remedy = "correct the name; it is not created here, since others write it"
            raise

    async def _letters(self) -> Serializer:
        """Writes dead letters as workers do."""
        from twin_app.streaming.assembly import contracts_of  # brings Faust along

        contracts = contracts_of(self._settings, patience_s=self._timeout_s)
        serializer: Serializer = contracts.router.serializer(self._settings.topics.dead_letters.name)
        await serializer.prepare()
        return serializer

    @asynccontextmanager
    async def _writer(self) -> AsyncIterator[AIOKafkaProducer]:
        """The only producer of this feed. Raises TwinError `taken-over`."""
        try:
            async with connect.producer(self._settings, self._timeout_s, transactional_id=self._name) as writer:
                yield writer
        except ProducerFenced as error:
            raise TwinError(
                "taken-over",
                "another `twin feed` of this name has taken over",
                place=self._name,
                remedy="run one of each name; give a second feed a --name of its own",
            ) from error

    async def _positions(
        self, client: AIOKafkaConsumer, tps: list[TopicPartition], from_beginning: bool
    ) -> dict[TopicPartition, int]:
        """Where to go on: after what was fed, or at the end (the beginning) of the topic. Raises TwinError `records-gone`."""
        settings, timeout_s = self._settings, self._timeout_s
        begins = await connect.within(settings, timeout_s, client.beginning_offsets(tps))
        ends = await connect.within(settings, timeout_s, client.end_offsets(tps))
        found = {}
        for tp in tps:
            committed = await connect.within(settings, timeout_s, client.committed(tp))
            if committed is not None and not begins[tp] <= committed <= ends[tp]:
                raise TwinError(
                    "records-gone",
                    f"fed up to {committed}, but the topic has {begins[tp]} to {ends[tp]}: it was cleaned, or made anew",
                    place=f"{tp.topic}-{tp.partition}",
                    remedy="begin anew under another --name, with or without --from-beginning",
                )
            found[tp] = committed if committed is not None else begins[tp] if from_beginning else ends[tp]
            client.seek(tp, found[tp])
        return found

    async def _fetch(self, client: AIOKafkaConsumer, lines: dict[TopicPartition, Waiting]) -> None:
        """Read on where nothing waits for its time."""
        idle = [tp for tp, line in lines.items() if not line.records]
        if not idle:
            return
        fetched = await client.getmany(*idle, timeout_ms=int(IDLE_S * 1000), max_records=BATCH_MAX)
        for tp, records in fetched.items():
            for record in records:
                source = Source(tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value)
                lines[tp].records.append((source, self._made(source)))

    def _made(self, record: Source) -> Arriving | Rejected | None:
        if record.value is None:
            return None
        try:
            return self._recipe.command(record)
        except Rejected as rejected:
            return rejected

    async def _commit(
        self,
        writer: AIOKafkaProducer,
        serializer: Serializer,
        lines: dict[TopicPartition, Waiting],
        taken: list[tuple[Source, Arriving | Rejected | None]],
    ) -> None:
        """One transaction. Raises TwinError, KafkaError; then nothing of it was fed, and the next start does it again."""
        config, letters = self._settings.topics.config.name, self._settings.topics.dead_letters.name
        recipe = [(RECIPE_HEADER, self._recipe.to_bytes())]
        for record, _ in taken:
            lines[TopicPartition(record.topic, record.partition)].position = record.offset + 1
        try:
            async with asyncio.timeout(self._timeout_s), writer.transaction():
                for record, made in taken:
                    if isinstance(made, Arriving):
                        await writer.send(config, made.value, key=made.key)
                    elif made is not None:
                        letter = DeadLetter.of(made, **record._asdict(), twin=self._recipe.twin)
                        await writer.send(letters, serializer.encode(letter), key=record.key, headers=recipe)
                offsets = {tp: OffsetAndMetadata(line.position, "") for tp, line in lines.items()}
                await writer.send_offsets_to_transaction(offsets, self._name)
        except ProducerFenced:
            raise
        except (KafkaError, TimeoutError) as error:
            raise connect.broker_unreachable(self._settings, self._timeout_s, error) from error
        for record, made in taken:
            if isinstance(made, Rejected):
                self._told(record, made)
        self.tally.fed += sum(isinstance(made, Arriving) for _, made in taken)
        self.tally.refused += sum(isinstance(made, Rejected) for _, made in taken)
        self.tally.empty += sum(made is None for _, made in taken)
