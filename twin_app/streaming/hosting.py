"""What this room asks of a partition host. The real one is `twin_app.partition`; tests bring a small one of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from models.clock import Tick
from twin_app.partition.cycle import ConfigRecord, Cycle, Position

if TYPE_CHECKING:
    from twin_app.streaming.driver import PartitionDriver

Rows = Mapping[str, Mapping[bytes, bytes]]
"""Table name -> key -> value: all rows of one partition."""


class Host(Protocol):
    """Single writer of one partition's twins. Pure: it does no I/O and reads no clock."""

    @property
    def position(self) -> Position:
        """What is applied: the next config offset and the last tick."""

    @property
    def waiting(self) -> int:
        """Commands handed in that belong to a later cycle: none are handed in while there are any."""

    def replay(self, tick: Tick, records: Sequence[ConfigRecord]) -> object:
        """Run a committed cycle again with the output off. Raises TwinError if it comes out differently."""

    def next_due_us(self) -> int | None:
        """Wall time (microseconds since 1970) from which there is something to do; None if only a command can bring work."""

    def begin(self, records: Sequence[ConfigRecord], wall_us: int, *, backlog: bool = False) -> Iterator[None]:
        """Run a cycle in slices of a few milliseconds."""

    def take(self) -> Cycle | None:
        """The finished cycle; None when nothing happened."""


class Follower(Protocol):
    """Acts on what partitions have committed, beside their cycles and without holding them up."""

    def opened(self, driver: PartitionDriver) -> None:
        """The partition is about to go live."""

    def committed(self, driver: PartitionDriver, cycle: Cycle) -> None:
        """A cycle has happened."""

    def closed(self, driver: PartitionDriver) -> None:
        """The partition is given up."""

    async def close(self) -> None:
        """The worker ends."""


class Followers:
    """Several followers as one."""

    def __init__(self, followers: Sequence[Follower]) -> None:
        self.each = tuple(followers)

    def opened(self, driver: PartitionDriver) -> None:
        for follower in self.each:
            follower.opened(driver)

    def committed(self, driver: PartitionDriver, cycle: Cycle) -> None:
        for follower in self.each:
            follower.committed(driver, cycle)

    def closed(self, driver: PartitionDriver) -> None:
        for follower in self.each:
            follower.closed(driver)

    async def close(self) -> None:
        for follower in self.each:
            await follower.close()


class Hosting(Protocol):
    """Makes hosts, and readies commands for them."""

    follower: Follower | None

    def open(self, partition: int, rows: Rows) -> Host:
        """The host of a partition, from the recovered rows of its tables. Raises TwinError if they cannot be read."""

    async def resolve(self, records: Sequence[ConfigRecord]) -> None:
        """Fetch what is needed to read these commands (writers' schemas), so that a cycle asks nobody. Waits if need be."""
