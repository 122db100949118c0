"""Where the data of a log ends. A log's end offset counts transaction markers and aborted records; this does not."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

FIRST_LOOK_BACK = 8
"""Offsets before the end that are looked at first; each further look reaches eight times as far."""


async def last_data_offsets(consumer: AIOKafkaConsumer, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset of the last committed record of each partition, -1 where there is none.

    Waiting for an end offset that is a marker would be waiting for ever. `consumer` must read committed records only and is
    left assigned to `tps`. Start it after fencing, so that no transaction of a former owner is open any more.
    """
    tps = sorted(tps)
    consumer.assign(tps)
    ends = await consumer.end_offsets(tps)
    starts = await consumer.beginning_offsets(tps)
    last = {}
    for tp in tps:
        consumer.pause(*[other for other in tps if other != tp])
        consumer.resume(tp)
        last[tp] = await _last_data_offset(consumer, tp, starts[tp], ends[tp])
    consumer.resume(*tps)
    return last


async def _last_data_offset(consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int) -> int:
    last, back, high = -1, FIRST_LOOK_BACK, end
    while high > start and last < 0:
        low = max(start, end - back)
        consumer.seek(tp, low)
        while await consumer.position(tp) < high:
            for records in (await consumer.getmany(tp, timeout_ms=200)).values():
                last = max([last, *(record.offset for record in records if record.offset < end)])
        high, back = low, back * 8
    return last
