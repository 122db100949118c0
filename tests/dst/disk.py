"""What a worker keeps on its machine: the stores of its table partitions. It outlives the process, more or less.

As with RocksDB, rows and the changelog offset are written together or not at all. What a crash can do to it: nothing; the last
writes are gone (they had not left the operating system); the folder is gone; it cannot be read and is thrown away when opened.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from faust.types import TP

from tests.dst.network import Network
from twin_app.partition.cycle import Row

UNDO_MAX = 6
"""Writes that a crash can take back."""

Undo = tuple[dict[bytes, bytes | None], int | None, bool]


@dataclass
class Folder:
    """One table partition. `unsure`: the rows need not be those of the log up to `offset`; reading on from there mends it."""

    rows: dict[bytes, bytes] = field(default_factory=dict)
    offset: int | None = None
    unsure: bool = False
    undo: list[Undo] = field(default_factory=list)

    def write(self, rows: Sequence[tuple[bytes, bytes | None]], offset: int | None, *, settles: bool = True) -> None:
        """`settles`: the rows are those of one moment. Not so while a changelog, which may be compacted, is being read."""
        before = {key: self.rows.get(key) for key, _ in rows}
        self.undo = [*self.undo[1 - UNDO_MAX :], (before, self.offset, self.unsure)]
        self._put(dict(rows))
        self.offset = self.offset if offset is None else offset
        self.unsure = offset is None or not settles

    def take_back(self) -> None:
        if self.undo:
            before, self.offset, self.unsure = self.undo.pop()
            self._put(before)

    def _put(self, rows: dict[bytes, bytes | None]) -> None:
        for key, value in rows.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value


class Disk:
    """The folders of one machine."""

    def __init__(self) -> None:
        self.folders: dict[tuple[str, int], Folder] = {}

    def folder(self, table: str, partition: int) -> Folder:
        return self.folders.setdefault((table, partition), Folder())

    def after_a_crash(self, chance: random.Random, network: Network) -> None:
        """Each folder fares on its own."""
        for place in sorted(self.folders):
            fate = chance.random()
            if fate < 0.15:
                network.hits["disk-lost"] += 1
                del self.folders[place]
            elif fate < 0.4:
                network.hits["disk-stale"] += 1
                for _ in range(chance.randint(1, UNDO_MAX)):
                    self.folders[place].take_back()


class SimulatedStore:
    """What the product sees of one table's folders: the methods of `PartitionStore`."""

    def __init__(self, table: str, disk: Disk, network: Network, fail: float) -> None:
        self.table, self.path = table, Path("/simulated") / table
        self._disk, self._network, self._fail = disk, network, fail

    def rows(self, partition: int) -> dict[bytes, bytes]:
        return dict(self._folder(partition).rows)

    def apply(self, partition: int, rows: Iterable[Row], changelog_offset: int | None) -> None:
        self._network.maybe_crash("before-store")
        if self._network.happens(self._fail, "disk-full"):
            raise OSError("no space left on device")
        self._folder(partition).write([(row.key, row.value) for row in rows], changelog_offset)
        self._network.maybe_crash("after-store")

    def wipe(self, partition: int) -> None:
        self._disk.folders.pop((self.table, partition), None)

    # -- the side of recovery

    def persisted_offset(self, tp: TP) -> int | None:
        """As `PartitionStore` does when it opens: rows without an offset are not trusted."""
        partition = tp.partition
        folder = self._folder(partition)
        if folder.rows and folder.offset is None:
            self.wipe(partition)
        return self._folder(partition).offset

    def recover(self, partition: int, rows: Sequence[tuple[bytes, bytes | None]], offset: int) -> None:
        self._folder(partition).write(rows, offset, settles=False)
        self._network.maybe_crash("recovering-store")

    def settled(self, partition: int) -> None:
        """The changelog is read to its end."""
        self._folder(partition).unsure = False

    def _folder(self, partition: int) -> Folder:
        return self._disk.folder(self.table, partition)
