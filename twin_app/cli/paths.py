"""`twin paths`: every live path with its value, as the workers have committed it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.letters import records_up_to
from twin_app.cli.options import AppId, Bootstrap, Json, Timeout, settings_from
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets
from twin_app.switchboard.rows import PathRow, path_row


def paths(
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="Only paths that begin so, e.g. Line_A.resources.", show_default=False)
    ] = "",
    bootstrap: Bootstrap = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """List live paths: value, version, and when and by which command each was set. Needs no worker: reads what is committed.

    A container's level, and what else the model moves by itself, is as it was when it was last set.
    """
    settings = settings_from(bootstrap, None, app_id)
    rows = connect.run_async(_read(settings, timeout, prefix.encode()))
    if prefix and not rows:
        raise TwinError("unknown-path", "no live path begins so", place=prefix[:200], remedy="`twin paths` lists all of them")
    shown = [{"path": path, **row._asdict()} for path, row in sorted(rows.items())]
    if as_json:
        for line in shown:
            output.put_json(line)
        return
    output.table([line | {"value": _text(line["value"])} for line in shown], ("path", "value", "version", "changed_at", "offset"))
    output.note(f"{len(shown):,} path(s); changed_at is simulation time, offset that of the command")


def _text(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 100 else text[:100] + "..."


async def _read(settings: Settings, timeout_s: float, prefix: bytes) -> dict[str, PathRow]:
    """The latest row of each path. Raises TwinError."""
    topic = settings.topics.registry_changelog.name
    latest: dict[str, PathRow] = {}
    async with connect.consumer(settings, timeout_s) as client:
        tps = await connect.partitions_of(settings, timeout_s, topic)
        ends = await connect.within(settings, timeout_s, last_data_offsets(client, tps))
        for tp in tps:
            async for record in records_up_to(client, tp, ends[tp], settings, timeout_s):
                if record.key is None or not record.key.startswith(prefix):
                    continue
                path = record.key.decode(errors="replace")
                if record.value is None:
                    latest.pop(path, None)
                    continue
                latest[path] = path_row(record.value, f"{topic}-{record.partition}@{record.offset}")
    return latest
