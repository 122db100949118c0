"""What goes into a cycle of a partition and what comes out of it: plain records, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from models.clock import Tick
from models.commands import Command

CHECKPOINT_TABLE = "checkpoint"
REGISTRY_TABLE = "registry"


class ConfigRecord(NamedTuple):
    """One record of the config topic, as it was read."""

    offset: int
    timestamp_ms: int
    """Kafka's timestamp of the record (create time or log-append time), milliseconds since 1970 UTC."""
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


class Output(NamedTuple):
    """One record to be written to a topic. `partition` None leaves the choice to the producer's partitioner."""

    topic: str
    key: bytes | None
    value: bytes
    timestamp_ms: int | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int | None = None


class Row(NamedTuple):
    """One change of a table; `value` None deletes the row."""

    table: str
    key: bytes
    value: bytes | None


class Position(NamedTuple):
    """How far a partition has come: everything below `next_offset` is applied, ticks up to `tick_seq` have run."""

    next_offset: int
    tick_seq: int


class Accepted(NamedTuple):
    """A command that took effect, or was taken to do so later: what may ask for a new forecast.

    `before`: the values that the paths it changed had, for a `set` or `patch` that acted at once.
    """

    twin: str
    command: Command
    offset: int
    timestamp_ms: int
    before: dict[str, Any]


@dataclass(slots=True)
class Cycle:
    """What one cycle wants committed, already decided: all of it or nothing, in one transaction.

    `accepted` is not written: it is for those who act on commands once they are committed.
    """

    tick: Tick
    outputs: list[Output] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)

    @property
    def next_offset(self) -> int:
        return self.tick.next_offset


@dataclass(frozen=True, slots=True)
class HostSettings:
    """The limits and rhythms of a partition host. Durations in the unit that ends the name."""

    config_topic: str = "twin-config"
    watermark_delay_us: int = 0
    """Simulation trails the wall clock by this much, so that commands which arrive a little late still find their time."""
    checkpoint_ticks: int = 200
    """A checkpoint is taken after so many ticks at the latest: it bounds the replay after a crash."""
    checkpoint_interval_us: int = 10_000_000
    vitals_interval_us: int = 1_000_000
    entries_per_cycle: int = 20_000
    """Aim for the calendar entries that one cycle executes: it bounds the size of a transaction."""
    entries_per_slice: int = 500
    """The event loop gets its turn after so many calendar entries: a few milliseconds."""
    commands_per_slice: int = 50
    """It also gets its turn after so many commands."""
    events_per_slice: int = 500
    """And after so many events were encoded."""
    checkpoint_bytes_per_slice: int = 16_384
    """And after so many bytes of a checkpoint, or one twin: a few milliseconds."""
    twins_max: int = 200_000
    """Twins that a partition hosts at most; a `register` beyond it is rejected."""
    epoch_age_us_max: int = 30 * 86_400 * 1_000_000
    """A `register` whose record is older than this starts no twin, since that would have to catch up all the time since."""
