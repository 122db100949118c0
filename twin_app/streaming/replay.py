"""From the last checkpoint to the last committed cycle: config log and clock log through the same host, output off.

Where reading of the clock topic starts: a checkpoint cannot hold the offset of its own tick, which is known only once the
transaction that carries both is written. It holds the offset of the tick *before* instead, in a row of its own. That is a
lower bound at no cost and no search; ticks that the checkpoint covers are skipped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from models.clock import Tick
from twin_app.partition.cycle import CHECKPOINT_TABLE, ConfigRecord, Position, Row
from twin_app.settings import Settings
from twin_app.streaming.errors import StreamingError
from twin_app.streaming.hosting import Host
from twin_app.streaming.status import Progress
from twin_app.streaming.surroundings import Surroundings, loop_s
from twin_app.streaming.tails import last_data_offsets

log = structlog.get_logger(__name__)

CLOCK_OFFSET_KEY = b"clock-offset"
"""Key of the row that says from which offset of the clock topic a replay has to read."""
FETCH_RECORDS_MAX = 500
FETCH_WAIT_MS = 200
STALL_S = 10.0
"""A replay that got nothing for so long says so."""
PROGRESS_S = 2.0
SLICE_S = 0.005
"""The event loop gets its turn after so much replaying."""


def clock_offset_row(offset: int) -> Row:
    """The row to be written with a checkpoint: `offset` is that of the last tick already committed."""
    return Row(CHECKPOINT_TABLE, CLOCK_OFFSET_KEY, str(offset).encode())


def clock_offset_of(row: bytes | None) -> int:
    """Offset to start from; 0 if no checkpoint was taken yet."""
    return int(row) if row else 0


class LogReader:
    """Reads one partition's committed records in order, from a chosen offset up to another, a bounded piece at a time."""

    def __init__(self, consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
        self.tp = tp
        self._consumer = consumer
        self._fetched: deque[ConsumerRecord] = deque()

    def seek(self, offset: int) -> None:
        self._fetched.clear()
        self._consumer.seek(self.tp, offset)

    async def until(self, end: int) -> AsyncIterator[ConsumerRecord]:
        """Records below `end`, from where the last call stopped. Offsets that hold no record are passed over."""
        quiet_since = loop_s()
        while True:
            while self._fetched:
                if self._fetched[0].offset >= end:
                    return
                yield self._fetched.popleft()
            if await self._consumer.position(self.tp) >= end:
                return
            fetched = await self._consumer.getmany(self.tp, timeout_ms=FETCH_WAIT_MS, max_records=FETCH_RECORDS_MAX)
            self._fetched.extend(fetched.get(self.tp, ()))
            if self._fetched:
                quiet_since = loop_s()
            elif loop_s() - quiet_since > STALL_S:
                quiet_since = loop_s()
                log.warning(
                    "log-reading-stalled", topic=self.tp.topic, partition=self.tp.partition, end_offset=end, goes_on="it waits"
                )


class ConfigLog:
    """Side access to one partition of the config topic, opened when first needed. For one task: it has one position."""

    def __init__(self, partition: int, settings: Settings, surroundings: Surroundings) -> None:
        self.tp = TopicPartition(settings.config_topic, partition)
        self._surroundings = surroundings
        self._consumer: AIOKafkaConsumer | None = None

    async def between(self, start: int, end: int) -> AsyncIterator[ConfigRecord]:
        """Committed records from `start` up to, not including, `end`."""
        reader = LogReader(await self._open(), self.tp)
        reader.seek(start)
        async for record in reader.until(end):
            yield config_record(record)

    async def last_offset(self) -> int:
        """Offset of the last command in the log, -1 if there is none."""
        return (await last_data_offsets(await self._open(), [self.tp]))[self.tp]

    async def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = self._surroundings.consumer()
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            consumer.assign([self.tp])
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()


def config_record(record: ConsumerRecord) -> ConfigRecord:
    """A record of the config topic as hosts take it."""
    return ConfigRecord(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))


async def committed_cycles(
    consumer: AIOKafkaConsumer, clock: TopicPartition, config: TopicPartition, after: Position, clock_start: int, clock_end: int
) -> AsyncIterator[tuple[int, Tick, list[ConfigRecord]]]:
    """Clock offset, tick and commands of each cycle from `clock_start` up to, not including, `clock_end`.

    `consumer` is assigned to both logs. Ticks that `after` covers come without their commands. Raises StreamingError
    `clock-log-gap` or `config-log-gap` when records are gone; TwinError `bad-tick` for what is no tick.
    """
    ticks, commands = LogReader(consumer, clock), LogReader(consumer, config)
    ticks.seek(clock_start)
    commands.seek(after.next_offset)
    next_offset, tick_seq = after
    async for record in ticks.until(clock_end):
        place = f"{clock.topic}-{clock.partition}-{record.offset}"
        tick = Tick.from_bytes(record.value, place=place)
        if tick.seq <= tick_seq:
            yield record.offset, tick, []
            continue
        if tick.seq != tick_seq + 1:
            raise _gap("clock-log-gap", f"tick {tick.seq} follows tick {tick_seq}", place)
        records = [config_record(r) async for r in commands.until(tick.next_offset)]
        if tick.next_offset > next_offset and (not records or records[-1].offset != tick.next_offset - 1):
            raise _gap("config-log-gap", f"tick {tick.seq} covers offsets below {tick.next_offset}", place)
        next_offset, tick_seq = tick.next_offset, tick.seq
        yield record.offset, tick, records


class Replay:
    """Brings one host to the partition's last committed cycle.

    Afterwards `clock_offset` is the offset of the last tick (-1 if there is none), `config_end` the offset after the last
    command in the config topic.
    """

    def __init__(
        self,
        partition: int,
        settings: Settings,
        resolve: Callable[[Sequence[ConfigRecord]], Awaitable[None]],
        surroundings: Surroundings,
    ) -> None:
        self.partition, self.settings, self._resolve = partition, settings, resolve
        self._surroundings = surroundings
        self.clock = TopicPartition(settings.clock_topic, partition)
        self.config = TopicPartition(settings.config_topic, partition)
        self.clock_offset = -1
        self.config_end = 0
        self.ticks = self.commands = 0
        self._clock_start = self._clock_end = 0
        self._started_s = 0.0

    def progress(self) -> Progress:
        """How far it has come in the clock topic."""
        at = max(self._clock_start, self.clock_offset + 1)
        return Progress.of("replay", self._clock_start, at, self._clock_end, loop_s() - self._started_s)

    async def run(self, host: Host, clock_start: int) -> None:
        """Replay from the host's position. Only after fencing: the clock topic must have no open transaction.

        Raises StreamingError `clock-log-gap` or `config-log-gap` when records are gone that the replay needs.
        """
        consumer = self._surroundings.consumer()
        await consumer.start()
        try:
            last = await last_data_offsets(consumer, [self.clock, self.config])
            self.config_end = last[self.config] + 1
            await self._check_start(consumer, host)
            await self._replay(consumer, host, clock_start, last[self.clock])
        finally:
            await consumer.stop()

    async def _replay(self, consumer: AIOKafkaConsumer, host: Host, clock_start: int, last_clock: int) -> None:
        self._clock_start, self._clock_end = clock_start, last_clock + 1
        self._started_s = told = sliced = loop_s()
        cycles = committed_cycles(consumer, self.clock, self.config, host.position, clock_start, last_clock + 1)
        async for offset, tick, records in cycles:
            self.clock_offset = offset
            if tick.seq <= host.position.tick_seq:
                continue
            await self._resolve(records)
            host.replay(tick, records)
            self.ticks += 1
            self.commands += len(records)
            now = loop_s()
            if now - sliced > SLICE_S:
                await asyncio.sleep(0)
                sliced = loop_s()
            if now - told > PROGRESS_S:
                told = now
                so_far = self.progress()
                log.info(
                    "replaying",
                    partition=self.partition,
                    clock_offset=offset,
                    rate_per_s=so_far.rate_per_s,
                    remaining=so_far.remaining,
                    eta_s=so_far.eta_s,
                )

    async def _check_start(self, consumer: AIOKafkaConsumer, host: Host) -> None:
        start = (await consumer.beginning_offsets([self.config]))[self.config]
        if host.position.tick_seq and start > host.position.next_offset:
            place = f"{self.config.topic}-{self.partition}"
            raise _gap("config-log-gap", f"it begins at offset {start}, the checkpoint at {host.position.next_offset}", place)


def _gap(code: str, what: str, place: str) -> StreamingError:
    return StreamingError(
        code,
        f"records that the replay needs are gone: {what}; it stops",
        place=place,
        remedy="retention of the config and clock topics must be longer than TWIN_CHECKPOINT_INTERVAL_S and any outage",
    )
