"""Measured times from a CSV file: columns of numbers under a header; everything else is told with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import NamedTuple

from models.errors import TwinError
from models.nearest import suggestion
from twin_app.cli.reading import read_text, source_name

COLUMNS_MAX = 50
VALUES_MAX = 200_000
"""Of one column."""
TIME_MAX = 1e12
"""As in a blueprint."""
SEPARATORS = (";", "\t", ",")
SHOWN = 60


class Column(NamedTuple):
    """`times`, in the order of the file; `blank`: so many rows have nothing here."""

    name: str
    times: list[float]
    blank: int


def read_columns(path: Path, names: Sequence[str] = (), *, least: int = 1) -> list[Column]:
    """Those columns; without `names`, every one that begins with a number. Each has at least so many times.

    Raises TwinError: `unreadable-file`, `bad-csv`, `unknown-column`, `bad-time`, `no-times`, `too-few-times`, `too-large`.
    """
    source = source_name(path)
    rows = _rows(read_text(path), source)
    _, header = next(rows, (1, []))
    header = [name.strip() for name in header]
    _check_header(header, source)
    for name in names:
        if name not in header:
            near = suggestion(name, header) or f"there are: {', '.join(header)[:SHOWN]}"
            raise TwinError("unknown-column", f"there is no column {name[:SHOWN]!r}", place=source, remedy=near)
    cells = _cells(rows, header, source)
    wanted = list(dict.fromkeys(names)) or [name for name in header if _begins_with_a_number(cells[name])]
    if not wanted:
        raise TwinError(
            "no-times", "no column holds numbers", place=source, remedy="a header line, and one time in each line below it"
        )
    return [_column(name, cells[name], source, least) for name in wanted]


def _rows(text: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line on which it ends."""
    first = text.partition("\n")[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=max(SEPARATORS, key=first.count), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        raise TwinError(
            "bad-csv", f"is not CSV: {error}", place=f"{source}:{reader.line_num}", remedy="close the quotes, one row a line"
        ) from error


def _check_header(header: list[str], source: str) -> None:
    remedy = "a header line that names each column, once"
    if not any(header):
        raise TwinError("bad-csv", "is empty, or its first line is", place=f"{source}:1", remedy=remedy)
    if len(header) > COLUMNS_MAX:
        raise TwinError("too-large", f"{len(header)} columns", place=f"{source}:1", remedy=f"keep at most {COLUMNS_MAX}")
    for name in header:
        if header.count(name) > 1 or not name:
            raise TwinError(
                "bad-csv",
                f"the column {name[:SHOWN]!r} is there more than once, or has no name",
                place=f"{source}:1",
                remedy=remedy,
            )
    if all(_number(name) is not None for name in header):
        raise TwinError("bad-csv", "the first line holds numbers, not names", place=f"{source}:1", remedy=remedy)


def _cells(rows: Iterator[tuple[int, list[str]]], header: list[str], source: str) -> dict[str, list[tuple[int, str]]]:
    """For each column, its lines and texts. Rows may end early: columns need not be of one length."""
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in header}
    for number, (line, row) in enumerate(rows):
        if len(row) > len(header):
            remedy = "quote what holds a separator; write numbers with a point"
            raise TwinError("bad-csv", f"{len(row)} cells under {len(header)} names", place=f"{source}:{line}", remedy=remedy)
        if number >= VALUES_MAX:
            raise TwinError(
                "too-large",
                f"more than {VALUES_MAX:,} rows",
                place=f"{source}:{line}",
                remedy="a part of them, chosen at random, says as much",
            )
        for name, text in zip(header, [*row, *[""] * (len(header) - len(row))], strict=True):
            found[name].append((line, text.strip()))
    return found


def _begins_with_a_number(cells: list[tuple[int, str]]) -> bool:
    return next((_number(text) is not None for _, text in cells if text), False)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _column(name: str, cells: list[tuple[int, str]], source: str, least: int) -> Column:
    times = [_time(text, name, f"{source}:{line}") for line, text in cells if text]
    if len(times) < least:
        remedy = f"measure at least {least}; better a hundred"
        raise TwinError("too-few-times", f"column {name[:SHOWN]!r} holds {len(times)} times", place=source, remedy=remedy)
    return Column(name, times, len(cells) - len(times))


def _time(text: str, name: str, place: str) -> float:
    value = _number(text)
    what = f"{text[:SHOWN]!r} in column {name[:SHOWN]!r}"
    if value is None:
        remedy = "write it as 12.5" if "," in text else "a number, or nothing where none was measured"
        raise TwinError("bad-time", f"{what} is no number", place=place, remedy=remedy)
    if not isfinite(value):
        raise TwinError("bad-time", f"{what} is no time", place=place, remedy="leave the cell empty where none was measured")
    if value < 0.0:
        raise TwinError("bad-time", f"{what} is below 0", place=place, remedy="correct it, or leave the cell empty")
    if value > TIME_MAX:
        raise TwinError(
            "bad-time",
            f"{what} is above {TIME_MAX:g}",
            place=place,
            remedy="write it in a larger unit: an instant is no duration",
        )
    return value + 0.0  # no negative zero
