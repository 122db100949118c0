"""The local copy of a table, in RocksDB: a cache of the changelog that is never ahead of it.

Rows are written after the commit of their transaction, in one atomic write together with the changelog offset up to which
the copy is complete. So a crash at any instant leaves the copy at some committed point, and recovery reads on from there.
A copy that cannot be opened or read (truncated, damaged) is thrown away and rebuilt from the changelog.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import structlog
from faust.stores import rocksdb
from faust.types import TP
from rocksdict import Rdict, WriteBatch

from twin_app.partition.cycle import Row

WRITE_BUFFER_BYTES = 8 << 20
OPEN_FILES_MAX = 128
LOCKED = re.compile("(?i:lock file|lock hold)")
"""In RocksDB's words. Not just "lock": a damaged *block* is another matter."""

log = structlog.get_logger(__name__)


def store_options(cache_bytes: int) -> dict[str, Any]:
    """Options of one table partition's database: megabytes, where the default block cache takes two gigabytes."""
    return {
        "driver": "rocksdict",
        "block_cache_size": cache_bytes,
        "write_buffer_size": WRITE_BUFFER_BYTES,
        "max_write_buffer_number": 2,
        "max_open_files": OPEN_FILES_MAX,
    }


class MemoryCopy:
    """Stands in for a database that the disk has no room for: the rows of one recovery, until the host has them."""

    def __init__(self, rows: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._rows = dict(rows)

    def get(self, key: bytes) -> bytes | None:
        return self._rows.get(key)

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        return self._rows.items()

    def put(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if value is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = value

    def close(self) -> None:
        self._rows = {}


class PartitionStore(rocksdb.Store):
    """RocksDB databases of one table, one for each partition that is held here.

    A disk that is full, or cannot be written, takes no partition down: what recovery reads is then held in memory until the
    host is opened, and the copy on the disk stays where it is.
    """

    def rows(self, partition: int) -> dict[bytes, bytes]:
        """All rows of a partition."""
        return dict(self._all(self._db_for_partition(partition)))

    def apply(self, partition: int, rows: Iterable[Row], changelog_offset: int | None) -> None:
        """Write committed rows and the offset of the last of them, atomically. Without it, a recovery reads them again.

        Raises what RocksDB raises, or OSError: the copy is then behind for good.
        """
        db = self._db_for_partition(partition)
        if isinstance(db, MemoryCopy):
            db.close()
            raise OSError(f"{self.partition_path(partition)} could not be written during recovery")
        self._write(db, ((row.key, row.value) for row in rows), changelog_offset)

    def recover(self, partition: int, rows: Sequence[tuple[bytes, bytes | None]], offset: int) -> None:
        """Write what was read from the changelog, up to `offset`; one atomic write."""
        db = self._db_for_partition(partition)
        if not isinstance(db, MemoryCopy):
            try:
                self._write(db, rows, offset)
                return
            except Exception as error:
                self._tell_unwritable(partition, error)
                memory = MemoryCopy(self._all(db))
                self._close(partition)
                db = self._dbs[partition] = memory
        db.put([*rows, (self.offset_key, str(offset).encode())])

    def sizes(self) -> tuple[int, int]:
        """What the open databases take on the disk and in memory, in bytes, as RocksDB counts them."""
        on_disk = in_memory = 0
        for db in self._dbs.values():
            if isinstance(db, Rdict):
                on_disk += _property(db, "rocksdb.total-sst-files-size")
                in_memory += sum(_property(db, name) for name in ("rocksdb.cur-size-all-mem-tables", "rocksdb.block-cache-usage"))
        return on_disk, in_memory

    def wipe(self, partition: int) -> None:
        """Throw the local copy of a partition away."""
        self._close(partition)
        shutil.rmtree(self.partition_path(partition), ignore_errors=True)

    # -- Faust's side

    def apply_changelog_batch(self, batch: Iterable[Any], to_key: Callable[[Any], Any], to_value: Callable[[Any], Any]) -> None:
        raise RuntimeError(f"table {self.table_name}: changelogs are read by `changelogs` only")

    def _set(self, key: bytes, value: bytes | None) -> None:
        raise RuntimeError(f"table {self.table_name}: rows are written by the partition's transaction only")

    def _del(self, key: bytes) -> None:
        self._set(key, None)

    def revoke_partitions(self, table: Any, tps: set[TP]) -> None:
        """Close at once, so that another worker on this machine can open the folder."""
        for tp in tps:
            if tp.topic in table.changelog_topic.topics:
                self._close(tp.partition)

    async def stop(self) -> None:
        for partition in list(self._dbs):
            self._close(partition)

    def _open_for_partition(self, partition: int) -> Rdict | MemoryCopy:
        path = Path(self.partition_path(partition))
        try:
            return self._open_checked(path)
        except Exception as error:
            if LOCKED.search(str(error)):
                raise  # another process still has it: Faust tries again
            log.warning("local-state-damaged", path=str(path), error=str(error), goes_on="it is rebuilt from the changelog")
            shutil.rmtree(path, ignore_errors=True)
        try:
            return self._open_checked(path)
        except Exception as error:
            self._tell_unwritable(partition, error)
            return MemoryCopy()

    # -- inside

    def _open_checked(self, path: Path) -> Rdict:
        """Open and read everything once: RocksDB checks its checksums block by block, while reading."""
        db = self.rocksdb_options.open(path)
        try:
            offset = db.get(self.offset_key)
            if offset is not None:
                int(offset)
            rows = sum(1 for _ in self._all(db))
            if rows and offset is None:
                raise ValueError("rows without a changelog offset")
        except BaseException:
            db.close()
            raise
        return db

    def _all(self, db: Rdict | MemoryCopy) -> Iterator[tuple[bytes, bytes]]:
        """Every row but the offset's. Raises at a damaged block, where `Rdict.items` just ends, as if there were no more."""
        if isinstance(db, MemoryCopy):
            yield from ((key, value) for key, value in db.items() if key != self.offset_key)
            return
        cursor = db.iter()
        cursor.seek_to_first()
        while cursor.valid():
            key = cursor.key()
            if key != self.offset_key:
                yield key, cursor.value()
            cursor.next()
        cursor.status()

    def _write(self, db: Rdict, rows: Iterable[tuple[bytes, bytes | None]], changelog_offset: int | None) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        if changelog_offset is not None:
            batch.put(self.offset_key, str(changelog_offset).encode())
        db.write(batch)

    def _tell_unwritable(self, partition: int, error: Exception) -> None:
        log.error(
            "local-state-unwritable",
            partition=partition,
            path=str(self.partition_path(partition)),
            error=str(error),
            goes_on="in memory until the partition is open, then without local state: nothing is lost",
        )

    def _close(self, partition: int) -> None:
        db = self._dbs.pop(partition, None)
        if db is None:
            return
        try:
            db.close()
        except Exception as error:  # after a failed write RocksDB refuses the flush; the handle goes with its last reference
            log.warning("local-state-not-flushed", path=str(self.partition_path(partition)), error=str(error))


def _property(db: Rdict, name: str) -> int:
    return int(db.property_int_value(name) or 0)
