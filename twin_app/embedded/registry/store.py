"""What the registry remembers: schemas by id, versions by subject, settings; kept as lines of JSON in a file.

A line is on disk before the answer that depends on it, so ids survive a restart and are never given out twice.
"""

import json
import os
from pathlib import Path
from typing import Any

SCHEMAS_MAX = 100_000


class Version:
    def __init__(self, number: int, schema_id: int) -> None:
        self.number = number
        self.schema_id = schema_id
        self.deleted = False


class Store:
    """`path` None keeps everything in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.schemas: dict[int, str] = {}
        self.ids: dict[str, int] = {}
        self.subjects: dict[str, list[Version]] = {}
        self.levels: dict[str, str] = {}  # by subject; "" is the global one
        self.modes: dict[str, str] = {}
        self._file: Any = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._replay(path)
            self._file = path.open("ab", buffering=0)

    def _replay(self, path: Path) -> None:
        if not path.exists():
            return
        intact = 0
        with path.open("rb") as lines:
            for line in lines:
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    entry = None
                if entry is None:
                    break
                self._apply(entry)
                intact += len(line)
        os.truncate(path, intact)

    def write(self, *entry: Any) -> None:
        """Applies one change, and keeps it."""
        if self._file is not None:
            self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
            os.fsync(self._file.fileno())
        self._apply(list(entry))

    def _apply(self, entry: list[Any]) -> None:
        kind, *rest = entry
        if kind == "schema":
            self.schemas[rest[0]] = rest[1]
            self.ids[rest[1]] = rest[0]
        elif kind == "version":
            subject, number, schema_id = rest
            self.subjects.setdefault(subject, []).append(Version(number, schema_id))
        elif kind == "delete":
            for version in self.subjects[rest[0]]:
                if version.number in rest[1]:
                    version.deleted = True
        elif kind == "erase":
            left = [version for version in self.subjects[rest[0]] if version.number not in rest[1]]
            self.subjects[rest[0]] = left
            if not left:
                del self.subjects[rest[0]]
        elif kind in ("level", "mode"):
            table = self.levels if kind == "level" else self.modes
            table.pop(rest[0], None)
            if rest[1] is not None:
                table[rest[0]] = rest[1]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
