"""`twin alerts`: the standing questions that are true now, from the alerts topic alone."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from aiokafka import ConsumerRecord
from rich.text import Text

from models.alerts import Alert
from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.decoding import EventReader
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from
from twin_app.cli.watch import batches
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets


def alerts(
    twin: Annotated[
        list[str] | None, typer.Argument(metavar="[TWIN]...", help="Only of these twins; else of all.", show_default=False)
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Every change that is kept, also those that are not true any more.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, and show each change as it is told.")] = False,
    count: Annotated[int | None, typer.Option("--count", min=1, help="Stop after so many changes.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Show which standing questions are true now: what is likely to happen that somebody wanted to be told of."""
    settings = settings_from(bootstrap, registry, app_id)
    shown = connect.run_async(_alerts(settings, frozenset(twin or ()), history, follow, count, timeout, as_json))
    if not shown and not as_json:
        output.note("no standing question is true")


async def _alerts(
    settings: Settings, twins: frozenset[str], history: bool, follow: bool, count: int | None, timeout_s: float, as_json: bool
) -> int:
    topic = settings.topics.alerts.name
    reader = EventReader(settings, timeout_s, Alert)
    raised: dict[bytes, dict[str, Any]] = {}
    shown = 0
    async with connect.consumer(settings, timeout_s) as client:
        tps = await connect.partitions_of(settings, timeout_s, topic)
        ends = await connect.within(settings, timeout_s, last_data_offsets(client, tps))
        client.assign(tps)
        await connect.within(settings, timeout_s, client.seek_to_beginning(*tps))
        async for batch in batches(client, ends):
            await reader.resolve([record.value for record in batch])
            for record in batch:
                alert = _read(record, reader, twins)
                if history and alert is not None:
                    shown += _show(alert, as_json)
                elif alert is not None and alert["raised"]:
                    raised[record.key] = alert
                else:
                    raised.pop(record.key, None)
        for alert in sorted(raised.values(), key=lambda one: one["created_at"]):
            shown += _show(alert, as_json)
        if not follow:
            return shown
        if not as_json:
            output.note(f"watching {topic} on {settings.bootstrap_servers}; Ctrl-C ends")
        async for batch in batches(client, None):
            await reader.resolve([record.value for record in batch])
            for record in batch:
                alert = _read(record, reader, twins)
                shown += 0 if alert is None else _show(alert, as_json)
                if count is not None and shown >= count:
                    return shown
    return shown


def _read(record: ConsumerRecord, reader: EventReader, twins: frozenset[str]) -> dict[str, Any] | None:
    """The alert, if it is wanted; what cannot be read is reported and passed over."""
    if record.value is None:
        return None
    place = f"{record.topic}-{record.partition}@{record.offset}"
    try:
        alert = reader.decode(record.value, place)
    except TwinError as error:
        output.tell(TwinError(error.code, error.message, place=error.place or place, remedy=error.remedy))
        return None
    return alert if not twins or alert.get("twin") in twins else None


def _show(alert: dict[str, Any], as_json: bool) -> int:
    """One change, as its fields or in words."""
    if as_json:
        output.put_json(alert)
        return 1
    line = Text.assemble((f"{alert['created_at']:%Y-%m-%d %H:%M:%S}  ", "dim"), (f"{alert['twin']}  ", "bold"))
    line.append("raised   " if alert["raised"] else "cleared  ", style="bold red" if alert["raised"] else "green")
    line.append(f"{alert['question']}  ", style="bold").append(alert["sentence"])
    output.stdout().print(line)
    return 1
