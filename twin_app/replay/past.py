"""Telling a partition's past again: a fresh host, fed from the retained logs by a read-committed consumer.

The telling begins at the first tick. Where the logs no longer reach back that far, it begins at the last checkpoint: what lies
before it cannot be told any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from models.clock import Tick
from models.errors import TwinError
from topics.specs import TopicSpecs
from twin_app.partition import ConfigRecord, Output, PartitionHost
from twin_app.partition.cycle import CHECKPOINT_TABLE
from twin_app.replay.stretch import Stretch
from twin_app.streaming.replay import CLOCK_OFFSET_KEY, LogReader, clock_offset_of, committed_cycles
from twin_app.streaming.tails import last_data_offsets

Rows = dict[str, dict[bytes, bytes]]


class Told(NamedTuple):
    """One cycle, run again: its tick, and the events and dead letters of it if it belongs to the stretch, else None."""

    tick: Tick
    outputs: list[Output] | None


class Teller(Protocol):
    """Opens hosts and readies commands for them, as a worker's hosting does."""

    def open(self, partition: int, rows: Rows) -> PartitionHost: ...
    async def resolve(self, records: Sequence[ConfigRecord]) -> None: ...


class Past:
    """One partition's past."""

    def __init__(self, partition: int, specs: TopicSpecs, teller: Teller, consumer: AIOKafkaConsumer) -> None:
        """`consumer` is started, reads committed records only, belongs to no group, and is used by nobody else meanwhile."""
        self.partition = partition
        self.clock = TopicPartition(specs.clock.name, partition)
        self.config = TopicPartition(specs.config.name, partition)
        self.checkpoint = TopicPartition(specs.checkpoint_changelog.name, partition)
        self.host: PartitionHost | None = None
        """The host after the last tick that was told."""
        self._teller, self._consumer = teller, consumer

    async def tell(self, stretch: Stretch) -> AsyncIterator[Told]:
        """All cycles up to the end of the stretch, in order; those before it too, so that a caller sees how it gets on.

        Raises TwinError: `past-is-gone` when the logs no longer reach back to the stretch; `clock-log-gap` or
        `config-log-gap` when they have a hole; `replay-diverged` when another version wrote them.
        """
        last = await last_data_offsets(self._consumer, [self.clock, self.config])
        if last[self.clock] < 0:
            return
        starts = await self._consumer.beginning_offsets([self.clock, self.config])
        whole = starts[self.config] == 0 and (await self._first_tick(last[self.clock])).seq == 1
        rows: Rows = {CHECKPOINT_TABLE: {}} if whole else await self._checkpoint()
        clock_start = clock_offset_of(rows[CHECKPOINT_TABLE].pop(CLOCK_OFFSET_KEY, None))
        self.host = host = self._teller.open(self.partition, rows)
        self._consumer.assign([self.clock, self.config])
        self._check_reach(host, stretch)
        async for _, tick, records in committed_cycles(
            self._consumer, self.clock, self.config, host.position, clock_start, last[self.clock] + 1
        ):
            if stretch.over(tick):
                return
            if tick.seq <= host.position.tick_seq:
                continue
            await self._teller.resolve(records)
            begun = stretch.begun(tick)
            outputs = host.replay(tick, records, aloud=begun)
            yield Told(tick, outputs if begun else None)

    # -- inside

    async def _first_tick(self, last: int) -> Tick:
        self._consumer.assign([self.clock])
        reader = LogReader(self._consumer, self.clock)
        reader.seek(0)
        async for record in reader.until(last + 1):
            return Tick.from_bytes(record.value, place=f"{self.clock.topic}-{self.partition}-{record.offset}")
        raise AssertionError("the log has a last record and no first one")

    async def _checkpoint(self) -> Rows:
        last = (await last_data_offsets(self._consumer, [self.checkpoint]))[self.checkpoint]
        rows: dict[bytes, bytes] = {}
        reader = LogReader(self._consumer, self.checkpoint)
        reader.seek(0)
        async for record in reader.until(last + 1):
            if record.value is None:
                rows.pop(record.key, None)
            else:
                rows[record.key] = record.value
        return {CHECKPOINT_TABLE: rows}

    def _check_reach(self, host: PartitionHost, stretch: Stretch) -> None:
        """Whether the host stands before the stretch."""
        meta, start = host.meta, stretch.start
        if meta.tick_seq == 0:
            return
        if start is None or start.passed(Tick(meta.tick_seq, meta.wall_us, meta.next_offset, meta.events)):
            raise TwinError(
                "past-is-gone",
                f"the logs no longer reach back so far; they go on from the checkpoint at tick {meta.tick_seq}",
                place=f"{self.clock.topic}-{self.partition}",
                remedy=f"begin at tick {meta.tick_seq + 1} or later; a longer retention of both topics keeps more",
            )
