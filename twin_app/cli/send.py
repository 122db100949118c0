"""`twin send`: commands to the config topic, checked first, and waited for if wanted."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from models.commands import Patch, Register, Set
from models.errors import TwinError
from models.load import load_blueprint
from twin_app.cli import connect, output
from twin_app.cli.command_file import holds_commands, read_commands
from twin_app.cli.decoding import EventReader, json_object
from twin_app.cli.options import AppId, Bootstrap, Registry, Timeout, settings_from
from twin_app.cli.output import ExitCode
from twin_app.cli.reading import files_beside, read_text, source_name
from twin_app.cli.watch import show_event, show_letter
from twin_app.settings import Settings

BATCH_MAX = 500
"""Commands on their way at once."""


class Outgoing(NamedTuple):
    """One record for the config topic, and what to call it."""

    key: bytes | None
    value: bytes
    about: str


def send(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Commands, or a blueprint (it is registered); - reads stdin.", show_default=False),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--json", metavar="TEXT", help="The command itself, instead of a file.", show_default=False)
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="TWIN", help="The twin, where a command does not name it.", show_default=False)
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a worker has applied or refused each. Ends with 2 if one is refused.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="The blueprint takes the place of the twin's present one.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Send the text as it is, unchecked, as one record with the key.")] = False,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Annotated[bool, typer.Option("--json-lines", help="JSON lines instead of text on stdout.")] = False,
) -> None:
    """Send commands to their twins. They are checked here first; each is keyed by its twin, so that their order is kept."""
    if (file is None) == (text is None):
        raise TwinError("bad-option", "what is to be sent is given by FILE or by --json TEXT", remedy="give one of them")
    settings = settings_from(bootstrap, registry, app_id)
    if file is not None:
        text, name = read_text(file), source_name(file)
    else:
        text, name = str(text), "--json"
    outgoing = [_raw(text, name, key)] if raw else _checked(text, name, key, replace)
    refused = connect.run_async(deliver(settings, outgoing, wait, timeout, as_json))
    if refused:
        raise typer.Exit(ExitCode.WRONG_INPUT)


def _checked(text: str, name: str, key: str | None, replace: bool) -> list[Outgoing]:
    if not holds_commands(text) and name != "--json":
        return [registration(text, name, replace)]
    written = read_commands(text, source=name, twin=key)
    return [Outgoing(item.command.twin.encode(), item.value, f"{item.command.kind} {_about(item.command)}") for item in written]


def registration(text: str, name: str, replace: bool = False) -> Outgoing:
    """The command that registers a blueprint. Raises BlueprintError."""
    blueprint = load_blueprint(text, source=name, read=files_beside(name))
    plain = blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    command = Register(twin=blueprint.twin, blueprint=plain, replace=replace)
    value = orjson.dumps({"kind": command.kind, **command.model_dump(mode="json", exclude_defaults=True)})
    return Outgoing(blueprint.twin.encode(), value, f"register {blueprint.twin}")


def _raw(text: str, name: str, key: str | None) -> Outgoing:
    value = text.encode("utf-8", "surrogateescape")
    return Outgoing(None if key is None else key.encode(), value, f"{len(value):,} bytes of {name}, unchecked")


def _about(command: Any) -> str:
    if isinstance(command, Set):
        return f"{command.twin}.{command.path} to {orjson.dumps(command.value).decode()[:80]}"
    if isinstance(command, Patch):
        return f"{len(command.changes)} paths of {command.twin}"
    return str(command.twin)


async def deliver(settings: Settings, outgoing: list[Outgoing], wait: bool, timeout_s: float, as_json: bool) -> int:
    """Send everything; the number of commands that were refused, as far as they were waited for."""
    topic = settings.topics.config.name
    await connect.partitions_of(settings, timeout_s, topic)
    async with contextlib.AsyncExitStack() as open_clients:
        writer = await open_clients.enter_async_context(connect.producer(settings, timeout_s))
        answers: Answers | None = None
        if wait:
            client = await open_clients.enter_async_context(connect.consumer(settings, timeout_s))
            answers = Answers(settings, client, timeout_s)
            await answers.open()
        refused = 0
        for start in range(0, len(outgoing), BATCH_MAX):
            batch = outgoing[start : start + BATCH_MAX]
            places = await connect.within(settings, timeout_s, _write(writer, topic, batch))
            for item, (partition, offset) in zip(batch, places, strict=True):
                if as_json:
                    output.put_json({"sent": {"topic": topic, "partition": partition, "offset": offset, "about": item.about}})
                else:
                    output.say(f"sent {item.about} ({topic}-{partition}@{offset})")
            if answers is not None:
                refused += await answers.collect(places, as_json)
        return refused


async def _write(writer: AIOKafkaProducer, topic: str, batch: list[Outgoing]) -> list[tuple[int, int]]:
    futures = [await writer.send(topic, item.value, key=item.key) for item in batch]
    written = await asyncio.gather(*futures)
    return [(metadata.partition, metadata.offset) for metadata in written]


class Answers:
    """What workers say to commands: an event that names the command as its cause, or a dead letter."""

    def __init__(self, settings: Settings, client: AIOKafkaConsumer, timeout_s: float) -> None:
        self._settings, self._client, self._timeout_s = settings, client, timeout_s
        self._specs = settings.topics
        self._reader = EventReader(settings, timeout_s)

    async def open(self) -> None:
        """Listen from now on: before the first command is sent."""
        settings, client, timeout_s = self._settings, self._client, self._timeout_s
        tps = await connect.partitions_of(settings, timeout_s, self._specs.events.name, self._specs.dead_letters.name)
        client.assign(tps)
        await connect.within(settings, timeout_s, client.seek_to_end(*tps))
        for tp in tps:  # the offset is looked up now, not at the first fetch
            await connect.within(settings, timeout_s, client.position(tp))

    async def collect(self, places: list[tuple[int, int]], as_json: bool) -> int:
        """Wait for one answer to each and show it; the number of refusals. Raises TwinError `no-answer`."""
        waiting = dict.fromkeys(places)
        patched: set[tuple[int, int]] = set()
        refused = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                while waiting:
                    fetched = await self._client.getmany(timeout_ms=200, max_records=connect.FETCH_RECORDS_MAX)
                    for records in fetched.values():
                        await self._reader.resolve([record.value for record in records])
                        for record in records:
                            refused += self._answer(record, waiting, patched, as_json)
        except TimeoutError as error:
            partition, offset = next(iter(waiting))
            raise TwinError(
                "no-answer",
                f"no worker answered {len(waiting)} command(s) within {self._timeout_s:g} s",
                place=f"{self._specs.config.name}-{partition}@{offset}",
                remedy="they are in the topic and will be applied; start a worker, or wait longer with --timeout",
            ) from error
        return refused

    def _answer(
        self, record: ConsumerRecord, waiting: dict[tuple[int, int], None], patched: set[tuple[int, int]], as_json: bool
    ) -> bool:
        """Whether this record refuses one of the commands. `patched`: those that were answered by a change; of a patch, each
        further change is shown too, as far as it comes along."""
        place = f"{record.topic}-{record.partition}@{record.offset}"
        letter = record.topic == self._specs.dead_letters.name
        try:
            fields = json_object(record.value, place) if letter else self._reader.decode(record.value, place)
        except TwinError:
            return False  # not one of ours
        cause = fields if letter else fields.get("cause") or {}
        at = (cause.get("partition"), cause.get("offset"))
        change = fields.get("kind") == "parameter-changed"
        if cause.get("topic") != self._specs.config.name or not (at in waiting or (change and at in patched)):
            return False
        waiting.pop(at, None)
        if change:
            patched.add(at)
        (show_letter if letter else show_event)(fields, as_json)
        return letter
