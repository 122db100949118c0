"""A partition host with plain-text contracts: what is told can be read in a test without a registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from models.clock import Tick
from models.errors import Rejected
from models.events import EventRecord
from models.vitals import VitalRecord
from topics.envelope import encode_json
from twin_app.partition import ConfigRecord, Cycle, HostSettings, Output, PartitionHost
from twin_app.switchboard import parse

T0_MS = 1_795_000_000_000
T0_US = T0_MS * 1000


class PlainOutbox:
    """Everything as JSON."""

    def event(self, event: EventRecord, partition: int, timestamp_ms: int) -> Iterator[Output]:
        yield Output("sim-events", event.twin.encode(), encode_json(event), timestamp_ms, (), partition)

    def dead_letter(self, record: ConfigRecord, reason: Rejected, partition: int, timestamp_ms: int) -> Output:
        letter = {"offset": record.offset, "code": reason.code, "message": reason.message, "path": reason.path}
        return Output("twin-dead-letters", record.key, orjson.dumps(letter), timestamp_ms, (), partition)

    def vital(self, vital: VitalRecord) -> Output:
        return Output("sim-vitals", None, orjson.dumps(vital._asdict()))


def read(record: ConfigRecord) -> Any:
    return parse(record.value, record.key)


def line(**changes: Any) -> dict[str, Any]:
    """A line of two machines in seconds, everything deterministic but the second machine."""
    blueprint: dict[str, Any] = {
        "twin": "Line_A",
        "seed": 7,
        "resources": {"a": {"capacity": 1, "max_capacity": 5}, "b": {"capacity": 2, "max_capacity": 5}},
        "services": {"turning": {"constant": 1.0}, "milling": {"exponential": {"mean": 1.5}}},
        "arrivals": {"orders": {"interarrival": {"constant": 1.0}, "flow": "make"}},
        "flows": {
            "make": [
                {"process": {"resource": "a", "service": "turning"}},
                {"process": {"resource": "b", "service": "milling"}},
            ]
        },
    }
    return blueprint | changes


class Log:
    """The config topic of one partition."""

    def __init__(self) -> None:
        self.records: list[ConfigRecord] = []

    def write(self, key: str | None, value: Mapping[str, Any] | bytes | None, at_s: float = 0.0) -> int:
        raw = orjson.dumps(value) if isinstance(value, Mapping) else value
        offset = len(self.records)
        self.records.append(ConfigRecord(offset, T0_MS + round(at_s * 1000), None if key is None else key.encode(), raw))
        return offset


@dataclass
class Committed:
    """What a partition has committed so far, as Kafka would hold it."""

    ticks: list[Tick] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    tables: dict[str, dict[bytes, bytes]] = field(default_factory=lambda: {"registry": {}, "checkpoint": {}})

    def commit(self, cycle: Cycle) -> None:
        self.ticks.append(cycle.tick)
        self.outputs += cycle.outputs
        for row in cycle.rows:
            if row.value is None:
                self.tables[row.table].pop(row.key, None)
            else:
                self.tables[row.table][row.key] = row.value

    def values(self, topic: str) -> list[dict[str, Any]]:
        return [orjson.loads(o.value) for o in self.outputs if o.topic == topic]

    def raw(self, topic: str) -> list[bytes]:
        return [o.value for o in self.outputs if o.topic == topic]

    @property
    def events(self) -> list[dict[str, Any]]:
        return self.values("sim-events")


def new_host(settings: HostSettings | None = None, tables: Mapping[str, Mapping[bytes, bytes]] | None = None) -> PartitionHost:
    return PartitionHost.open(0, tables or {}, PlainOutbox(), read, settings or HostSettings())


def cycle(
    host: PartitionHost, committed: Committed, records: Iterable[ConfigRecord], at_s: float, *, backlog: bool = False
) -> Cycle | None:
    """One cycle at the wall time `at_s` after T0, committed."""
    for _ in host.begin(list(records), T0_US + round(at_s * 1e6), backlog=backlog):
        pass
    done = host.take()
    if done is not None:
        committed.commit(done)
    return done


def settle(host: PartitionHost, committed: Committed, records: Iterable[ConfigRecord], at_s: float) -> None:
    """Cycles, as many as it takes, until all is done that is due at the wall time `at_s`."""
    cycle(host, committed, records, at_s)
    while host.waiting or (host.next_due_us() or 1 << 62) <= T0_US + round(at_s * 1e6):
        if cycle(host, committed, [], at_s) is None:
            break


def recover(committed: Committed, log: Log, settings: HostSettings | None = None) -> PartitionHost:
    """A new host from what is committed: the checkpoint, then the replay of the ticks after it."""
    host = new_host(settings, committed.tables)
    replay(host, committed.ticks, log.records)
    return host


def replay(host: PartitionHost, ticks: Sequence[Tick], records: Sequence[ConfigRecord]) -> None:
    for tick in ticks:
        if tick.seq > host.position.tick_seq:
            host.replay(tick, records[host.position.next_offset : tick.next_offset])
