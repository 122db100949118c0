"""The whole history of an application: what its config, clock and events topics hold, read committed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from models.clock import Tick
from twin_app.cli import connect
from twin_app.partition.cycle import ConfigRecord
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets


class Written(NamedTuple):
    """One record of an output topic, as a consumer gets it."""

    key: bytes | None
    value: bytes | None
    timestamp_ms: int


@dataclass
class PartitionHistory:
    """What one partition holds of each topic, in order."""

    partition: int
    commands: list[ConfigRecord] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    events: list[Written] = field(default_factory=list)
    dead_letters: list[Written] = field(default_factory=list)


async def read_history(settings: Settings, timeout_s: float) -> list[PartitionHistory]:
    """Every partition's history up to now. Raises TwinError."""
    specs = settings.topics
    names = [specs.config.name, specs.clock.name, specs.events.name, specs.dead_letters.name]
    found: dict[int, PartitionHistory] = {}
    async with connect.consumer(settings, timeout_s) as client:
        tps = await connect.partitions_of(settings, timeout_s, *names)
        ends = await connect.within(settings, timeout_s, last_data_offsets(client, tps))
        for tp in tps:
            history = found.setdefault(tp.partition, PartitionHistory(tp.partition))
            await connect.within(settings, timeout_s, _read(client, tp, ends[tp], history, names))
    return [found[partition] for partition in sorted(found)]


async def _read(client: AIOKafkaConsumer, tp: TopicPartition, end: int, history: PartitionHistory, names: list[str]) -> None:
    config, clock, events, _ = names
    client.assign([tp])
    await client.seek_to_beginning(tp)
    while end >= 0 and await client.position(tp) <= end:
        for records in (await client.getmany(tp, timeout_ms=200, max_records=connect.FETCH_RECORDS_MAX)).values():
            for record in records:
                if record.offset > end:
                    continue
                if tp.topic == config:
                    history.commands.append(
                        ConfigRecord(record.offset, record.timestamp, record.key, record.value, tuple(record.headers))
                    )
                elif tp.topic == clock:
                    place = f"{tp.topic}-{tp.partition}@{record.offset}"
                    history.ticks.append(Tick.from_bytes(record.value, place=place))
                else:
                    kept = history.events if tp.topic == events else history.dead_letters
                    kept.append(Written(record.key, record.value, record.timestamp))


def count_records(histories: Iterable[PartitionHistory]) -> dict[str, int]:
    """How much there is of each."""
    listed = list(histories)
    return {
        what: sum(len(getattr(history, what)) for history in listed) for what in ("commands", "ticks", "events", "dead_letters")
    }
