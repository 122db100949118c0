"""`twin diff`: the first difference of two stretches of events."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from
from twin_app.cli.output import ExitCode
from twin_app.cli.reading import source_name
from twin_app.cli.telling import Telling
from twin_app.replay.difference import EVENTS_MAX, Difference, compare
from twin_app.replay.stretch import Stretch

LINE_CHARS_MAX = 4 << 20
REPLAY, EVENTS = "@replay", "@events"
SHOWN_MAX = 20


def diff(
    a: Annotated[
        str, typer.Argument(metavar="A", help="JSON lines of events, - for stdin, @replay or @events.", show_default=False)
    ],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.", show_default=False)],
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Compare two stretches of events, twin by twin, and name the first difference. Ends with 1 if there is one.

    A and B are files as `twin replay --json`, `twin watch --json` and `twin run --json` write them; `@replay` stands for what the
    config and clock logs give, `@events` for what the events topic holds.
    """
    if a == b == "-":
        raise TwinError("bad-source", "only one of the two can be the standard input", remedy="write one of them to a file")
    settings = (bootstrap, registry, app_id)
    found = compare(_events(a, settings, timeout), _events(b, settings, timeout))
    if as_json:
        output.put_json({"a": found.a, "b": found.b, "differences": [_fields(d) for d in found.differences]})
    else:
        for difference in found.differences[:SHOWN_MAX]:
            output.say(str(difference))
        if len(found.differences) > SHOWN_MAX:
            output.say(f"... and {len(found.differences) - SHOWN_MAX:,} more twins")
        if not found.differences:
            output.say(f"no difference in {found.a:,} events")
    if found.differences:
        raise typer.Exit(ExitCode.FAILED)


def _fields(difference: Difference) -> dict[str, Any]:
    d = difference
    return {"twin": d.twin, "seq": d.seq, "sim_time": d.sim_time, "field": d.field, "a": d.a, "b": d.b}


def _events(source: str, settings: tuple[str | None, ...], timeout_s: float) -> Iterable[dict[str, Any]]:
    if source in (REPLAY, EVENTS):
        return connect.run_async(_of_the_application(source, Telling(settings_from(*settings), timeout_s)))
    return _of_a_file(Path(source))


async def _of_the_application(source: str, telling: Telling) -> list[dict[str, Any]]:
    await telling.prepare()
    events: list[dict[str, Any]] = []
    for partition in telling.partitions:
        if source == EVENTS:
            async with connect.consumer(telling.settings, telling.timeout_s) as client:
                async for read in telling.written(client, partition):
                    place = f"{telling.specs.events.name}-{partition}@{read.offset}"
                    _add(events, await telling.fields(read.value, place), source)
        else:
            async for told in telling.retold(partition, Stretch()):
                for record in told.outputs or ():
                    if record.topic == telling.specs.events.name:
                        _add(events, await telling.fields(record.value, record.topic), source)
    return events


def _add(events: list[dict[str, Any]], event: dict[str, Any], source: str) -> None:
    if len(events) >= EVENTS_MAX:
        raise TwinError("too-many-events", f"more than {EVENTS_MAX:,} events", place=source, remedy="compare stretches in files")
    events.append(orjson.loads(orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)))


def _of_a_file(path: Path) -> Iterator[dict[str, Any]]:
    """The events in a file; lines that tell of something else (`dead_letter`, `summary`) are passed over."""
    name = source_name(path)
    try:
        with contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as file:
            number = 0
            while line := file.readline(LINE_CHARS_MAX):
                number += 1
                event = _event(line, f"{name}:{number}")
                if event is not None:
                    yield event
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TwinError(
            "unreadable-file", f"cannot be read: {reason}", place=name, remedy="check the name and the rights"
        ) from error


def _event(line: bytes | str, place: str) -> dict[str, Any] | None:
    if not line.strip():
        return None
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise TwinError("bad-event", f"the line is no JSON: {error}", place=place, remedy="give JSON lines of events") from error
    if not isinstance(event, dict):
        raise TwinError("bad-event", "the line is no JSON object", place=place, remedy="give JSON lines of events")
    return event if "seq" in event or "kind" in event else None
