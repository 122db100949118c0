"""Which rows of the checkpoint table hold what: one meta row for the partition, chunk rows for each twin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgpack

from models import checkpoint
from models.errors import CheckpointError
from twin_app.partition.cycle import CHECKPOINT_TABLE, Row

META_KEY = b"meta"
_TWIN_PREFIX = b"twin/"
_META_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Meta:
    """Where the partition stood when the checkpoint was taken."""

    tick_seq: int = 0
    next_offset: int = 0
    wall_us: int = 0
    events: int = 0

    def to_row(self) -> Row:
        return Row(CHECKPOINT_TABLE, META_KEY, msgpack.packb({"format": _META_FORMAT, **asdict(self)}))

    @classmethod
    def from_rows(cls, rows: Mapping[bytes, bytes]) -> Meta:
        """The meta row of a recovered table; the very beginning if there is none. Raises CheckpointError."""
        raw = rows.get(META_KEY)
        if raw is None:
            return cls()
        try:
            fields = msgpack.unpackb(raw)
            if fields.pop("format", None) != _META_FORMAT:
                raise CheckpointError(
                    "checkpoint-version", "the meta row has an unknown format", remedy="run the version that wrote it"
                )
            if not all(type(value) is int for value in fields.values()):
                raise TypeError("a position is no whole number")
            return cls(**fields)
        except (msgpack.UnpackException, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            raise CheckpointError(
                "checkpoint-damaged", f"the meta row: {type(error).__name__}: {str(error)[:200]}", remedy=checkpoint.REBUILD
            ) from error


def twin_rows(key: str, state: dict[str, Any] | None, chunks_before: int) -> tuple[list[Row], int]:
    """Rows that replace a twin's checkpoint of `chunks_before` chunks, and the number of chunks now.

    A state of None deletes it. Chunks that the smaller state no longer needs are deleted too.
    """
    chunks = checkpoint.encode(state) if state is not None else []
    rows = [Row(CHECKPOINT_TABLE, _chunk_key(key, i), chunk) for i, chunk in enumerate(chunks)]
    rows += [Row(CHECKPOINT_TABLE, _chunk_key(key, i), None) for i in range(len(chunks), chunks_before)]
    return rows, len(chunks)


def twin_states(rows: Mapping[bytes, bytes]) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Every twin's key, state and number of chunks, in the order of the keys. Raises CheckpointError."""
    first_chunks = sorted(k for k in rows if k.startswith(_TWIN_PREFIX) and k.endswith(b"/0000"))
    for row_key in first_chunks:
        key = row_key[len(_TWIN_PREFIX) : -len(b"/0000")].decode(errors="replace")
        count = checkpoint.chunk_count(rows[row_key])
        chunks = [rows[k] for i in range(count) if (k := _chunk_key(key, i)) in rows]
        try:
            yield key, checkpoint.decode(chunks), count
        except CheckpointError as error:
            raise CheckpointError(error.code, error.message, place=key, remedy=error.remedy) from error


def _chunk_key(key: str, index: int) -> bytes:
    return _TWIN_PREFIX + key.encode() + b"/%04d" % index
