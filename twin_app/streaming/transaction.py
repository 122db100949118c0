"""One Kafka transaction per cycle, by the one transactional producer of a partition.

The order, and why it is safe at every step:
1. `fence`: starting the producer ends the epoch of every earlier owner and aborts what it left open. Only after that does
   anybody read offsets, tables or the clock topic.
2. begin; the source offset joins the transaction;
3. all records of the cycle are handed to the producer at once, in a few large batches;
4. every batch must be acknowledged before the commit is asked for: a lost batch raises here, not after the commit;
5. commit. From here the cycle has happened, whatever becomes of this process.
6. the caller writes the changed rows to the local store, with the changelog offset, in one write.

A failure in 2 to 5 is never repaired by sending again: `TransactionLost` sends the partition back to 1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.structs import OffsetAndMetadata, RecordMetadata

from twin_app.partition.cycle import Cycle
from twin_app.settings import Settings
from twin_app.streaming.batches import Message, build_batches
from twin_app.streaming.errors import StreamingError, TransactionLost
from twin_app.streaming.failpoints import Failpoints
from twin_app.streaming.surroundings import Surroundings

_new = tuple.__new__

STOP_TIMEOUT_S = 3.0
"""Longest polite stop of a producer; after that its connections are cut."""


class PartitionTransactions:
    """The transactions of one partition, from fencing to close."""

    def __init__(
        self,
        partition: int,
        settings: Settings,
        changelogs: Mapping[str, str],
        failpoints: Failpoints,
        surroundings: Surroundings,
    ) -> None:
        self.partition, self.settings, self.failpoints = partition, settings, failpoints
        self._surroundings = surroundings
        self.transactional_id = f"{settings.app_id}-{partition}"
        self._changelogs = changelogs
        self._producer: AIOKafkaProducer | None = None
        self._choose = DefaultPartitioner()

    async def fence(self) -> None:
        """Become the only owner. Returns when no transaction of a former owner is open. Raises KafkaError."""
        self._producer = self._surroundings.producer(self.transactional_id)
        await self._producer.start()

    async def commit(self, cycle: Cycle) -> dict[str, int]:
        """Commit a cycle. Returns the offset of the last record written per topic, for topics written on this partition.

        A topic is missing if the broker acknowledged a repeated batch whose offset it no longer knew.

        Raises TransactionLost; StreamingError `record-too-large` or `unknown-topic` before anything is sent.
        """
        producer = self._producer
        assert producer is not None, "fence() comes first"
        try:
            async with asyncio.timeout(self.settings.transaction_timeout_s):
                return await self._commit(producer, cycle)
        except (KafkaError, TimeoutError) as error:
            raise TransactionLost(self.transactional_id, error) from error

    async def close(self) -> None:
        """Let go of the connections. An open transaction is left to the next owner's fence."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with contextlib.suppress(KafkaError, TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(producer.stop(), STOP_TIMEOUT_S)
        with contextlib.suppress(Exception):
            await producer.client.close()

    # -- inside

    async def _commit(self, producer: AIOKafkaProducer, cycle: Cycle) -> dict[str, int]:
        batches = build_batches(producer, await self._messages(producer, cycle), self.settings.record_bytes_max)
        await producer.begin_transaction()
        self.failpoints.hit("begin")
        # Not while the batches are on their way: a broker that is asked about a batch just as the coordinator adds the group to
        # the transaction refuses the batch for now (docs/decisions/0107).
        source = TopicPartition(self.settings.config_topic, self.partition)
        position = {source: OffsetAndMetadata(cycle.next_offset, "")}
        await producer.send_offsets_to_transaction(position, self.settings.app_id)
        self.failpoints.hit("offsets")
        futures = [(tp, batch, await producer.send_batch(batch, tp.topic, partition=tp.partition)) for tp, batch in batches]
        self.failpoints.hit("handed")
        written = await asyncio.gather(*(future for _, _, future in futures))
        self.failpoints.hit("sent")
        await producer.commit_transaction()
        self.failpoints.hit("committed")
        last: dict[str, int] = {}
        for (tp, batch, _), metadata in zip(futures, written, strict=True):
            assert isinstance(metadata, RecordMetadata)
            if tp.partition == self.partition and metadata.offset >= 0:
                last[tp.topic] = metadata.offset + batch.record_count() - 1
        return last

    async def _messages(self, producer: AIOKafkaProducer, cycle: Cycle) -> list[Message]:
        clock = TopicPartition(self.settings.clock_topic, self.partition)
        messages = [Message(clock, None, cycle.tick.to_bytes(), cycle.tick.wall_us // 1000)]
        partitions: dict[str, list[int]] = {}
        places: dict[tuple[str, int], TopicPartition] = {}
        add = messages.append
        for topic, key, value, timestamp_ms, headers, partition in cycle.outputs:
            if partition is None:
                if topic not in partitions:
                    partitions[topic] = await self._partitions_of(producer, topic)
                partition = self._choose(key, partitions[topic], partitions[topic])
            place = places.get((topic, partition))
            if place is None:
                place = places[topic, partition] = TopicPartition(topic, partition)
            add(_new(Message, (place, key, value, timestamp_ms, headers)))
        changelogs = {table: TopicPartition(topic, self.partition) for table, topic in self._changelogs.items()}
        messages += [Message(changelogs[table], key, value, None) for table, key, value in cycle.rows]
        return messages

    async def _partitions_of(self, producer: AIOKafkaProducer, topic: str) -> list[int]:
        try:
            return sorted(await producer.partitions_for(topic))
        except UnknownTopicOrPartitionError as error:
            raise StreamingError(
                "unknown-topic",
                "an event is routed to a topic that does not exist; the worker stops",
                place=topic,
                remedy="create the topic, or correct the route",
            ) from error
