"""The past of a twin, as it was measured: frames from the retained vitals.

They are read by a consumer of the worker's own, outside the group: nothing live is touched. A stretch with more records than are
read at most is looked at in places, evenly spread over it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from models.errors import TwinError
from models.events import EPOCH, utc_from_us
from twin_app.settings import Settings
from twin_app.streaming.connections import side_consumer
from twin_app.web.shapes import Frame, Place
from twin_app.web.shapes import Past as PastShape

RECORDS_MAX = 60_000
"""Records of a stretch that is read from end to end."""
PLACES_MAX = 40
"""Places at which a longer stretch is looked at."""
PLACE_RECORDS_MAX = 2_000
"""Records that are read at one place to find a frame of the twin."""
FRAMES_MAX = 2_000
READERS_MAX = 2
"""Stretches that are read at once; others wait."""
READ_S = 20.0
FETCH_MS = 200


class Measurements:
    """Reads the vitals of one application."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gate = asyncio.Semaphore(READERS_MAX)

    async def frames(self, twin: str, partition: int, start: datetime, end: datetime, limit: int) -> PastShape:
        """At most `limit` frames between two instants. Raises TwinError `bad-stretch`, `broker-unreachable`."""
        if end <= start:
            raise TwinError("bad-stretch", "the stretch ends before it begins", place="to", remedy="give `to` later than `from`")
        tp = TopicPartition(self._settings.topics.vitals.name, partition)
        try:
            async with asyncio.timeout(READ_S), self._gate:
                consumer = side_consumer(self._settings)
                try:
                    await consumer.start()
                    consumer.assign([tp])
                    found, last, thinned = await self._read(consumer, tp, twin, _ms(start), _ms(end))
                finally:
                    await consumer.stop()
        except (TimeoutError, KafkaError) as error:
            raise TwinError(
                "broker-unreachable",
                f"the vitals could not be read within {READ_S:g} s ({type(error).__name__})",
                place=f"{tp.topic}-{tp.partition}",
                remedy="ask for a shorter stretch, or again later",
            ) from error
        frames = [Frame(wall_time=utc_from_us(at * 1_000), values=values) for at, values in sorted(found.items())]
        if len(frames) > limit:
            step = len(frames) / limit
            frames, thinned = [frames[int(number * step)] for number in range(limit - 1)] + [frames[-1]], True
        source = Place(topic=tp.topic, partition=tp.partition, offset=last)
        return PastShape(twin=twin, start=start, end=end, frames=frames, thinned=thinned, source=source)

    async def _read(
        self, consumer: AIOKafkaConsumer, tp: TopicPartition, twin: str, start_ms: int, end_ms: int
    ) -> tuple[dict[int, dict[str, float]], int, bool]:
        """Frames by wall time (ms), the offset behind the last record read, and whether some were left out."""
        found: dict[int, dict[str, float]] = {}
        behind = (await consumer.end_offsets([tp]))[tp]
        first = await _offset_at(consumer, tp, start_ms, behind)
        last = await _offset_at(consumer, tp, end_ms + 1, behind)
        if last - first <= RECORDS_MAX:
            await _collect(consumer, tp, twin, first, last, found, end_ms, whole=True)
            return found, last, False
        for place in range(PLACES_MAX):
            at_ms = start_ms + (end_ms - start_ms) * place // (PLACES_MAX - 1)
            offset = max(first, await _offset_at(consumer, tp, at_ms, behind) - (PLACE_RECORDS_MAX if at_ms >= end_ms else 0))
            await _collect(consumer, tp, twin, offset, min(last, offset + PLACE_RECORDS_MAX), found, end_ms, whole=False)
        return found, last, True


async def _offset_at(consumer: AIOKafkaConsumer, tp: TopicPartition, at_ms: int, behind: int) -> int:
    if at_ms > time.time_ns() // 1_000_000:
        return behind
    offsets = await consumer.offsets_for_times({tp: max(0, at_ms)})
    return behind if offsets.get(tp) is None else offsets[tp].offset


async def _collect(
    consumer: AIOKafkaConsumer,
    tp: TopicPartition,
    twin: str,
    first: int,
    last: int,
    found: dict[int, dict[str, float]],
    end_ms: int,
    *,
    whole: bool,
) -> None:
    """Put the twin's measurements in [first, last) into `found`; without `whole` stop once one frame is complete."""
    if first >= last:
        return
    key = twin.encode()
    consumer.seek(tp, first)
    frame: int | None = None
    while await consumer.position(tp) < last:
        for record in (await consumer.getmany(tp, timeout_ms=FETCH_MS, max_records=1_000)).get(tp, ()):
            if record.offset >= last or record.timestamp > end_ms:
                return
            if record.key != key or record.value is None:
                continue
            if frame is not None and record.timestamp != frame and (not whole or len(found) >= FRAMES_MAX * 10):
                return
            frame = record.timestamp
            vital = orjson.loads(record.value)
            found.setdefault(frame, {})[vital["name"]] = vital["value"]


def _ms(moment: datetime) -> int:
    return int((moment - EPOCH).total_seconds() * 1_000)
