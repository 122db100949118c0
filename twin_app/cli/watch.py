"""`twin watch`: events (and dead letters) as they are committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from rich.text import Text

from models.deadletters import REPLAYED
from models.errors import TwinError
from topics.specs import TopicSpecs
from twin_app.cli import connect, output
from twin_app.cli.decoding import EventReader, json_object
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from
from twin_app.cli.words import described, shown, style_of
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets

FETCH_WAIT_MS = 500


def watch(
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Everything that is kept, not only what comes from now on.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on, or stop at what is there now.")] = True,
    count: Annotated[int | None, typer.Option("--count", min=1, help="Stop after so many records.", show_default=False)] = None,
    twin: Annotated[
        list[str] | None, typer.Option("--twin", help="Only of these twins (repeatable).", show_default=False)
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only events of these kinds (repeatable).", show_default=False)
    ] = None,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Also the commands that were refused.")] = False,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Show what happens in the twins: committed events only, in order for each twin. Disturbs no worker."""
    settings = settings_from(bootstrap, registry, app_id)
    wanted = _Wanted(frozenset(twin or ()), frozenset(kind or ()))
    connect.run_async(_watch(settings, wanted, from_beginning, follow, count, dead_letters, timeout, as_json))


class _Wanted:
    """Which records the user asked for; an empty set stands for all."""

    def __init__(self, twins: frozenset[str], kinds: frozenset[str]) -> None:
        self.twins, self.kinds = twins, kinds

    def event(self, fields: dict[str, Any]) -> bool:
        return (not self.twins or fields.get("twin") in self.twins) and (not self.kinds or fields.get("kind") in self.kinds)

    def letter(self, fields: dict[str, Any]) -> bool:
        return not self.twins or (fields.get("twin") or fields.get("key")) in self.twins


async def _watch(
    settings: Settings,
    wanted: _Wanted,
    from_beginning: bool,
    follow: bool,
    count: int | None,
    dead_letters: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    specs = settings.topics
    reader = EventReader(settings, timeout_s)
    topics = [specs.events.name, *([specs.dead_letters.name] if dead_letters else [])]
    shown_count = 0
    async with connect.consumer(settings, timeout_s) as client:
        tps = await connect.partitions_of(settings, timeout_s, *topics)
        ends = None if follow else await connect.within(settings, timeout_s, last_data_offsets(client, tps))
        client.assign(tps)
        await connect.within(settings, timeout_s, (client.seek_to_beginning if from_beginning else client.seek_to_end)(*tps))
        if follow and not as_json:
            output.note(f"watching {', '.join(topics)} on {settings.bootstrap_servers}; Ctrl-C ends")
        async for batch in batches(client, ends):
            await reader.resolve([record.value for record in batch])
            for record in batch:
                shown_count += _show(record, specs, reader, wanted, as_json)
                if count is not None and shown_count >= count:
                    return


async def batches(client: AIOKafkaConsumer, ends: dict[TopicPartition, int] | None) -> AsyncIterator[list[ConsumerRecord]]:
    """What is fetched, until every partition is past its offset in `ends`; for ever without."""
    open_ends = None if ends is None else {tp: end for tp, end in ends.items() if end >= 0}
    while open_ends is None or open_ends:
        fetched = await client.getmany(timeout_ms=FETCH_WAIT_MS, max_records=connect.FETCH_RECORDS_MAX)
        for tp, records in fetched.items():
            yield records
            if open_ends is not None and records[-1].offset >= open_ends.get(tp, -1):
                open_ends.pop(tp, None)
        if open_ends:
            for tp in list(open_ends):
                if await client.position(tp) > open_ends[tp]:
                    del open_ends[tp]


def _show(record: ConsumerRecord, specs: TopicSpecs, reader: EventReader, wanted: _Wanted, as_json: bool) -> bool:
    """Show one record if it is wanted; what cannot be read is reported and passed over."""
    place = f"{record.topic}-{record.partition}@{record.offset}"
    try:
        if record.topic == specs.dead_letters.name:
            letter = json_object(record.value, place)
            if wanted.letter(letter):
                show_letter(letter, as_json)
                return True
            return False
        event = reader.decode(record.value, place)
    except TwinError as error:
        output.tell(TwinError(error.code, error.message, place=error.place or place, remedy=error.remedy))
        return False
    if wanted.event(event):
        show_event(event, as_json)
        return True
    return False


def show_event(event: dict[str, Any], as_json: bool) -> None:
    """One event, as its envelope's fields or in words."""
    if as_json:
        output.put_json(event)
        return
    line = Text.assemble((f"{event['twin']}  {event['sim_time']:12.3f}  ", "dim"))
    line.append(described(event["kind"], event["entity"], event["payload"]), style=style_of(event["kind"]))
    output.stdout().print(line)


def show_letter(letter: dict[str, Any], as_json: bool) -> None:
    """One dead letter, as its fields or in words."""
    if as_json:
        output.put_json({"dead_letter": letter})
        return
    if letter.get("code") == REPLAYED:
        output.say(
            f"{letter.get('topic')}-{letter.get('partition')}@{letter.get('offset')}  {letter.get('reason')}", style="green"
        )
        return
    line = Text.assemble(("refused  ", "bold red"))
    line.append(f"{letter.get('topic')}-{letter.get('partition')}@{letter.get('offset')}  ", style="dim")
    line.append(f"{letter.get('reason') or letter.get('message')} [{letter.get('code')}]")
    if letter.get("remedy"):
        line.append(f" ({shown(letter['remedy'])})", style="green")
    output.stdout().print(line)
