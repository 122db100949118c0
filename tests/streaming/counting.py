"""A partition host that counts, for tests of the streaming room: every loss, repetition and divergence shows in its output.

Command: any bytes under a key. Output `<key>:<n>:<partition>:<offset>` on the out topic, n counting the key's commands; a
heartbeat output each HEARTBEAT_US of wall time while `--heartbeat`. State per key goes to the registry at once, to the
checkpoint every CHECKPOINT_TICKS ticks, so a wrong replay disagrees with the registry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from models.clock import Tick
from models.errors import TwinError
from twin_app.partition.cycle import CHECKPOINT_TABLE, REGISTRY_TABLE, ConfigRecord, Cycle, Output, Position, Row

CHECKPOINT_TICKS = 7
HEARTBEAT_US = 200_000
MARK_EVERY = 5
"""Every so many offsets a row is written that is never written again: a lost one stays lost."""


class CountingHost:
    """Counts per key. See the module."""

    def __init__(
        self, partition: int, rows: Mapping[str, Mapping[bytes, bytes]], out_topic: str, *, heartbeat: bool = True
    ) -> None:
        self.partition, self.out_topic, self.heartbeat = partition, out_topic, heartbeat
        meta = json.loads(rows[CHECKPOINT_TABLE].get(b"meta", b"{}"))
        self.counts: dict[str, int] = meta.get("counts", {})
        self.tick_seq, self.next_offset = meta.get("tick_seq", 0), meta.get("next_offset", 0)
        self.events, self.beat_us = meta.get("events", 0), meta.get("beat_us", 0)
        self.registry = {key.decode(): int(value) for key, value in rows[REGISTRY_TABLE].items() if b"@" not in key}
        self.marks = sorted(int(key[1:]) for key in rows[REGISTRY_TABLE] if key.startswith(b"@"))
        self._cycle: Cycle | None = None

    @property
    def position(self) -> Position:
        return Position(self.next_offset, self.tick_seq)

    @property
    def waiting(self) -> int:
        return 0

    def replay(self, tick: Tick, records: Sequence[ConfigRecord]) -> None:
        self._run(records, tick.wall_us)
        if (self.tick_seq, self.next_offset, self.events) != (tick.seq, tick.next_offset, tick.events):
            raise TwinError("replay-diverged", f"{self.position} {self.events} instead of {tick}")

    def next_due_us(self) -> int | None:
        return self.beat_us + HEARTBEAT_US if self.heartbeat else None

    def begin(self, records: Sequence[ConfigRecord], wall_us: int, *, backlog: bool = False) -> Iterator[None]:
        if self.registry is not None:
            current = dict(self.counts)
            if current != self.registry:
                raise TwinError("registry-diverged", f"{current} instead of {self.registry}")
            if self.marks != list(range(0, self.next_offset, MARK_EVERY)):
                raise TwinError("row-lost", f"rows {self.marks} below offset {self.next_offset}")
            self.registry = None
        yield
        outputs, rows = self._run(records, wall_us)
        if not outputs:
            self.tick_seq -= 1
            return
        if self.tick_seq % CHECKPOINT_TICKS == 0:
            meta = {
                "counts": self.counts,
                "tick_seq": self.tick_seq,
                "next_offset": self.next_offset,
                "events": self.events,
                "beat_us": self.beat_us,
            }
            rows.append(Row(CHECKPOINT_TABLE, b"meta", json.dumps(meta).encode()))
        tick = Tick(seq=self.tick_seq, wall_us=wall_us, next_offset=self.next_offset, events=self.events)
        self._cycle = Cycle(tick, outputs, rows)

    def take(self) -> Cycle | None:
        cycle, self._cycle = self._cycle, None
        return cycle

    def _run(self, records: Sequence[ConfigRecord], wall_us: int) -> tuple[list[Output], list[Row]]:
        outputs: list[Output] = []
        rows: dict[bytes, Row] = {}
        for record in records:
            if record.offset < self.next_offset:
                raise TwinError("offset-repeated", f"{record.offset} after {self.next_offset - 1}")
            key = (record.key or b"").decode()
            if record.value == b"crash":
                raise RuntimeError("told to")
            self.counts[key] = n = self.counts.get(key, 0) + 1
            value = f"{key}:{n}:{self.partition}:{record.offset}".encode()
            outputs.append(Output(self.out_topic, record.key, value, record.timestamp_ms))
            rows[key.encode()] = Row(REGISTRY_TABLE, key.encode(), str(n).encode())
            if record.offset % MARK_EVERY == 0:
                rows[b"@%d" % record.offset] = Row(REGISTRY_TABLE, b"@%d" % record.offset, b"")
            self.next_offset = record.offset + 1
        if self.heartbeat and wall_us >= self.beat_us + HEARTBEAT_US:
            self.beat_us = wall_us
            outputs.append(Output(self.out_topic, b"beat", f"beat:{self.tick_seq + 1}".encode(), None, (), self.partition))
        self.events += len(outputs)
        self.tick_seq += 1
        return outputs, list(rows.values())


class CountingHosting:
    """Makes counting hosts; its commands need no schema."""

    follower = None

    def __init__(self, out_topic: str) -> None:
        self.out_topic = out_topic

    def open(self, partition: int, rows: Mapping[str, Mapping[bytes, bytes]]) -> CountingHost:
        return CountingHost(partition, rows, self.out_topic)

    async def resolve(self, records: Sequence[ConfigRecord]) -> None:
        return
