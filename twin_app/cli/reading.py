"""Reading what a user names on the command line: a file or `-` for stdin, within bounds, with errors that say which."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from models.blueprint import Blueprint
from models.errors import TwinError
from models.load import load_blueprint
from twin_app.kernel.own_steps import offered

FILE_BYTES_MAX = 16 * 1024 * 1024
"""Longest file that is read; a blueprint has its own, lower limit."""


def read_text(path: Path) -> str:
    """The file's text. Raises TwinError `unreadable-file`."""
    try:
        if str(path) == "-":
            raw = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with path.open("rb") as file:
                raw = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TwinError(
            "unreadable-file", f"cannot be read: {reason}", place=str(path), remedy="check the name and the rights"
        ) from error
    if len(raw) > FILE_BYTES_MAX:
        raise TwinError("unreadable-file", f"has more than {FILE_BYTES_MAX >> 20} MB", place=str(path), remedy="split it")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TwinError("unreadable-file", f"is not UTF-8 text ({error})", place=str(path), remedy="save it as UTF-8") from error


def read_blueprint(path: Path, *, to_run: bool = True) -> Blueprint:
    """The blueprint in a file, with the files that it names. Raises BlueprintError, TwinError `unreadable-file`.

    `to_run`: the own Python steps that it calls have to be there.
    """
    source = source_name(path)
    return load_blueprint(read_text(path), source=source, read=files_beside(source), own_steps=offered() if to_run else None)


def files_beside(source: str) -> Callable[[str], str]:
    """Reads the files that a blueprint names: from its own folder; for one from stdin, from here."""
    folder = Path(source).parent
    return lambda name: read_text(folder / name)


def source_name(path: Path) -> str:
    """How places in this file are named."""
    return "<stdin>" if str(path) == "-" else str(path)
