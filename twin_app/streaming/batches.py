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


_NO_HEADERS: list[tuple[str, bytes]] = []
"""Only read: the batch builder wants a list."""


def build_batches(
    producer: AIOKafkaProducer, messages: Sequence[Message], record_bytes_max: int
) -> list[tuple[TopicPartition, BatchBuilder]]:
    """Fill batches in order. Raises StreamingError `record-too-large`: cutting or dropping it would be a silent loss."""
    open_batches: dict[TopicPartition, BatchBuilder] = {}
    batches: list[tuple[TopicPartition, BatchBuilder]] = []
    last: TopicPartition | None = None
    batch: BatchBuilder | None = None
    for tp, key, value, timestamp_ms, headers in messages:
        size = (len(value) if value else 0) + (len(key) if key else 0)
        if size > record_bytes_max:
            raise StreamingError(
                "record-too-large",
                f"a record of {size} bytes with key {key!r} is over the limit of {record_bytes_max}; the worker stops",
                place=f"{tp.topic}-{tp.partition}",
                remedy="raise TWIN_RECORD_BYTES_MAX and max.message.bytes of the topic",
            )
        if tp is not last:  # most records go where the one before them went
            last, batch = tp, open_batches.get(tp)
        listed = list(headers) if headers else _NO_HEADERS
        if batch is None or batch.append(timestamp=timestamp_ms, key=key, value=value, headers=listed) is None:
            batch = open_batches[tp] = producer.create_batch()
            batches.append((tp, batch))
            batch.append(timestamp=timestamp_ms, key=key, value=value, headers=listed)  # an empty one takes any size
    return batches
