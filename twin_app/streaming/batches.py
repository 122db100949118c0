"""From a cycle's records to few large batches, one list per topic partition, in the order of the cycle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from twin_app.streaming.errors import StreamingError


class Message(NamedTuple):
    """One record on its way out; the partition is decided."""

    tp: TopicPartition
    key: bytes | None
    value: bytes | None
    timestamp_ms: int | None
    headers: Sequence[tuple[str, bytes]] = ()


def build_batches(
    producer: AIOKafkaProducer, messages: Sequence[Message], record_bytes_max: int
) -> list[tuple[TopicPartition, BatchBuilder]]:
    """Fill batches in order. Raises StreamingError `record-too-large`: cutting or dropping it would be a silent loss."""
    open_batches: dict[TopicPartition, BatchBuilder] = {}
    batches: list[tuple[TopicPartition, BatchBuilder]] = []
    for message in messages:
        size = len(message.value or b"") + len(message.key or b"")
        if size > record_bytes_max:
            raise StreamingError(
                "record-too-large",
                f"a record of {size} bytes with key {message.key!r} is over the limit of {record_bytes_max}; the worker stops",
                place=f"{message.tp.topic}-{message.tp.partition}",
                remedy="raise TWIN_RECORD_BYTES_MAX and max.message.bytes of the topic",
            )
        batch = open_batches.get(message.tp)
        if batch is None or not _append(batch, message):
            batch = open_batches[message.tp] = producer.create_batch()
            batches.append((message.tp, batch))
            _append(batch, message)  # an empty batch takes a record of any size
    return batches


def _append(batch: BatchBuilder, message: Message) -> bool:
    added = batch.append(timestamp=message.timestamp_ms, key=message.key, value=message.value, headers=list(message.headers))
    return added is not None
