"""A path as a row of the registry's changelog: what is kept of it for whoever wants to read it back."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from models.errors import TwinError
from twin_app.switchboard.board import Board


class PathRow(NamedTuple):
    """One path. `changed_at`: simulation time of its last change, 0 if there was none. `offset`: of the command that made it,
    None if the model did."""

    value: Any
    version: int
    changed_at: float
    offset: int | None


def row_of(board: Board, path: str) -> PathRow:
    """The path as it is now. Raises Rejected (`unknown-path`)."""
    mark = board.mark(path)
    return PathRow(board.value(path), mark.version, mark.changed_at, None if mark.source is None else mark.source.offset)


def row_bytes(row: PathRow) -> bytes:
    """The row's value in the changelog."""
    return orjson.dumps(row._asdict(), option=orjson.OPT_SORT_KEYS)


def path_row(raw: bytes, place: str) -> PathRow:
    """The row of a changelog's value. Raises TwinError `unreadable-record`."""
    try:
        return PathRow(**orjson.loads(raw))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise TwinError("unreadable-record", f"this is no row of the registry: {str(error)[:100]}", place=place) from None
