"""The small facts that must survive: topics, committed offsets, producers, transactions. One line of JSON each.

A line is written before the answer that depends on it leaves. A torn last line (the process died while writing) was never
acknowledged and is cut off. When the file has grown it is replaced by a snapshot of the state, atomically.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

SNAPSHOT_BYTES_MIN = 4 << 20
SNAPSHOT_GROWTH = 4


class Journal:
    """`snapshot` returns the whole state as entries; it is asked for when the file has grown `SNAPSHOT_GROWTH`-fold."""

    def __init__(self, path: Path, snapshot: Callable[[], Iterable[list[Any]]], *, fsync: bool) -> None:
        self.path = path
        self._snapshot = snapshot
        self._fsync = fsync
        self._file: Any = None
        self._size = 0
        self._limit = SNAPSHOT_BYTES_MIN

    def replay(self) -> Iterator[list[Any]]:
        """The entries in order; afterwards the file ends after the last whole one and is open for `write`."""
        intact = 0
        if self.path.exists():
            with self.path.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break
                    try:
                        entry = json.loads(line)
                    except ValueError:
                        break
                    intact += len(line)
                    yield entry
            os.truncate(self.path, intact)
        self._size = intact
        self._file = self.path.open("ab", buffering=0)

    def write(self, *entry: Any) -> None:
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        self._file.write(line)
        if self._fsync:
            os.fsync(self._file.fileno())
        self._size += len(line)

    def shrink(self) -> None:
        """Replaces the file by a snapshot if it has grown enough. Call between requests, when the state is whole."""
        if self._size < self._limit:
            return
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as out:
            for entry in self._snapshot():
                out.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
            self._size = out.tell()
        fresh.replace(self.path)
        self._file.close()
        self._file = self.path.open("ab", buffering=0)
        self._limit = max(SNAPSHOT_BYTES_MIN, SNAPSHOT_GROWTH * self._size)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
