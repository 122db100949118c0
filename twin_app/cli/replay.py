"""`twin replay`: any stretch of the past, told again from the retained logs, bit for bit."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, TextIO

import orjson
import typer
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.decoding import json_object
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from, unwritable
from twin_app.cli.output import ExitCode
from twin_app.cli.telling import Telling
from twin_app.cli.watch import show_event, show_letter
from twin_app.partition import Output
from twin_app.replay.stretch import Bound, Stretch

IN_FLIGHT_MAX = 500
"""Records on their way to another topic at once."""


def replay(
    partition: Annotated[
        list[int] | None,
        typer.Option("--partition", "-p", min=0, help="Only of these partitions (repeatable).", show_default=False),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TICK|TIME", help="First tick, or instant.", show_default="the beginning")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TICK|TIME", help="Last tick, or instant.", show_default="now")
    ] = None,
    twin: Annotated[
        list[str] | None, typer.Option("--twin", help="Only of these twins (repeatable).", show_default=False)
    ] = None,
    dead_letters: Annotated[bool, typer.Option("--dead-letters", help="Also the commands that were refused.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare with the events topic, byte for byte; a difference ends with 1.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write JSON lines to this file.", show_default=False)
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option("--to-topic", metavar="TOPIC", help="Write the records, as they were, to this topic.", show_default=False),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only the summary.")] = False,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Tell a stretch of the past again, from the config and clock logs: the same events, bit for bit. Disturbs no worker."""
    stretch = Stretch(None if start is None else Bound.parse(start), None if end is None else Bound.parse(end))
    telling = Telling(settings_from(bootstrap, registry, app_id), timeout)
    silent = quiet or file is not None or topic is not None
    wanted = _Wanted(telling, frozenset(name.encode() for name in twin or ()), dead_letters)
    whole = connect.run_async(_replay(telling, stretch, partition, wanted, verify, file, topic, silent, as_json))
    if not whole:
        raise typer.Exit(ExitCode.FAILED)


class _Wanted:
    """Which of the retold records the user asked for; an empty set of twins stands for all."""

    def __init__(self, telling: Telling, twins: frozenset[bytes], dead_letters: bool) -> None:
        self._topics = {telling.specs.events.name} | ({telling.specs.dead_letters.name} if dead_letters else set())
        self._twins = twins

    def __call__(self, record: Output) -> bool:
        return record.topic in self._topics and (not self._twins or record.key in self._twins)


async def _replay(
    telling: Telling,
    stretch: Stretch,
    partitions: list[int] | None,
    wanted: _Wanted,
    verify: bool,
    file: Path | None,
    topic: str | None,
    silent: bool,
    as_json: bool,
) -> bool:
    whole = True
    await telling.prepare(partitions)
    async with contextlib.AsyncExitStack() as stack:
        sinks: list[Any] = [] if silent else [_Console(telling, as_json)]
        if file is not None:
            sinks.append(stack.enter_context(_file(telling, file)))
        if topic is not None:
            sinks.append(await stack.enter_async_context(_topic(telling, topic)))
        for partition in telling.partitions:
            with _progress(silent, partition) as tell:
                whole &= await _replay_one(telling, partition, stretch, wanted, verify, sinks, tell)
    return whole


async def _replay_one(
    telling: Telling,
    partition: int,
    stretch: Stretch,
    wanted: _Wanted,
    verify: bool,
    sinks: list[Any],
    tell: Callable[[int, int], None],
) -> bool:
    ticks = records = 0
    last_tick_ms = None
    async with contextlib.AsyncExitStack() as stack:
        checked = None
        if verify:
            client = await stack.enter_async_context(connect.consumer(telling.settings, telling.timeout_s))
            checked = telling.verification(client, partition)
        async for told in telling.retold(partition, stretch):
            if told.outputs is None:
                continue
            last_tick_ms = None if stretch.end is not None else told.tick.wall_us // 1000
            ticks += 1
            tell(ticks, records)
            for record in told.outputs:
                if checked is not None and record.topic == telling.specs.events.name:
                    await telling.reader.resolve([record.value])
                    await checked.compare(record)
                if wanted(record):
                    records += 1
                    for sink in sinks:
                        await sink.put(record)
        if checked is not None:
            await checked.finish(last_tick_ms)
    summary = f"partition {partition}: {records:,} records of {ticks:,} ticks"
    if checked is None:
        output.note(summary)
        return True
    if checked.difference is not None:
        output.tell(TwinError("not-as-written", checked.difference, remedy="report it with the config, clock and events topics"))
        return False
    gone = f"; {checked.gone:,} older than the topic keeps" if checked.gone else ""
    output.note(f"{summary}; {checked.compared:,} events are byte for byte as consumers read them{gone}")
    return True


@contextlib.contextmanager
def _progress(shown: bool, partition: int) -> Iterator[Callable[[int, int], None]]:
    """How far it is, on a terminal, while no records are shown; nothing on a pipe. How much there is, is not known beforehand."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=output.stderr(),
        transient=True,
        disable=not shown or not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(f"partition {partition}", total=None)
        yield lambda ticks, records: progress.update(
            task, description=f"partition {partition}: {ticks:,} ticks, {records:,} records"
        )


class _Console:
    def __init__(self, telling: Telling, as_json: bool) -> None:
        self._telling, self._as_json = telling, as_json

    async def put(self, record: Output) -> None:
        if record.topic == self._telling.specs.dead_letters.name:
            show_letter(json_object(record.value, record.topic), self._as_json)
        else:
            show_event(await self._telling.fields(record.value, record.topic), self._as_json)


class _Lines:
    def __init__(self, telling: Telling, file: TextIO) -> None:
        self._telling, self._file = telling, file

    async def put(self, record: Output) -> None:
        if record.topic == self._telling.specs.dead_letters.name:
            line: Any = {"dead_letter": json_object(record.value, record.topic)}
        else:
            line = await self._telling.fields(record.value, record.topic)
        self._file.write(orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode() + "\n")


@contextlib.contextmanager
def _file(telling: Telling, path: Path) -> Any:
    try:
        with path.open("w", encoding="utf-8") as file:
            yield _Lines(telling, file)
    except OSError as error:
        raise unwritable(path, error, "make room, or name another file") from error


class _Topic:
    def __init__(self, telling: Telling, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        self._telling, self._producer, self._topic, self._partitions = telling, producer, topic, partitions
        self._in_flight: list[asyncio.Future[Any]] = []

    async def put(self, record: Output) -> None:
        same = record.partition is not None and record.partition < self._partitions
        sent = await self._producer.send(
            self._topic,
            record.value,
            record.key,
            partition=record.partition if same else None,
            timestamp_ms=record.timestamp_ms,
            headers=list(record.headers),
        )
        self._in_flight.append(sent)
        if len(self._in_flight) >= IN_FLIGHT_MAX:
            await self.flush()

    async def flush(self) -> None:
        in_flight, self._in_flight = self._in_flight, []
        await connect.within(self._telling.settings, self._telling.timeout_s, asyncio.gather(*in_flight))


@contextlib.asynccontextmanager
async def _topic(telling: Telling, topic: str) -> AsyncIterator[_Topic]:
    """Raises TwinError `own-topic` for one of the application itself: its readers would take the past for the present."""
    if topic in {spec.name for spec in telling.specs.all()}:
        raise TwinError("own-topic", "this topic is the application's own", place=topic, remedy="name another one")
    tps = await connect.partitions_of(telling.settings, telling.timeout_s, topic)
    async with connect.producer(telling.settings, telling.timeout_s) as producer:
        sink = _Topic(telling, producer, topic, len(tps))
        yield sink
        try:
            await sink.flush()
        except KafkaError as error:
            raise TwinError("not-written", f"the topic did not take the records: {error}", place=topic) from error
