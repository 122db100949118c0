"""Asking for a forecast and following the answer as it sharpens: of a live twin through the broker, or of a blueprint here."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import orjson
from rich.live import Live
from rich.text import Text

from models.commands import Forecast
from models.errors import TwinError
from models.forecasts import ForecastRecord
from twin_app import local
from twin_app.cli import connect, output
from twin_app.cli.forecast_view import view, write_png
from twin_app.cli.reading import read_blueprint
from twin_app.forecast import InlineCrew, answers, asked_by
from twin_app.settings import Settings
from twin_app.switchboard import LiveTwin, read_command

BLUEPRINT_SUFFIXES = (".yaml", ".yml", ".json")
SLICE_ENTRIES = 10_000
SIM_TIME_MAX = 1e12


def is_blueprint(target: str) -> bool:
    """Whether a target means a file rather than a twin: twins' names have no dots and slashes."""
    return target.endswith(BLUEPRINT_SUFFIXES) or "/" in target


def command_for(twin: str, horizon: str, scenarios: Mapping[str, Any]) -> Forecast:
    """The command that asks. Raises Rejected."""
    plain: Any = float(horizon) if horizon.replace(".", "", 1).isdigit() else horizon
    command = read_command({"kind": "forecast", "twin": twin, "horizon": plain, "scenarios": dict(scenarios)}, twin)
    assert isinstance(command, Forecast)
    return command


async def show(revisions: AsyncIterator[dict[str, Any]], as_json: bool, png: Path | None) -> None:
    """Show revisions as they come: on a terminal in place, on a pipe the last; as JSON each in a line. Raises TwinError."""
    last: dict[str, Any] | None = None
    if as_json:
        async for last in revisions:
            output.put_json(last)
    elif sys.stdout.isatty():
        asked = Text("asked; the first answer comes and is then sharpened", style="dim")
        with Live(asked, console=output.stdout(), refresh_per_second=4) as screen:
            try:
                async for record in revisions:
                    if record["error"] is None:
                        last = record
                        screen.update(view(record))
                    else:
                        _tell_failure(record, last)
            finally:
                if last is None:
                    screen.update(Text())  # nothing comes any more: what is said then is the error
    else:
        async for record in revisions:
            if record["error"] is None:
                last = record
            else:
                _tell_failure(record, last)
        if last is not None:
            output.stdout().print(view(last))
    if png is not None and last is not None and last["error"] is None:
        write_png(last, png)
        output.note(f"wrote {png}")
    if as_json and last is not None and last["error"] is not None:
        _tell_failure(last, None)


def _tell_failure(record: dict[str, Any], earlier: dict[str, Any] | None) -> None:
    """A forecast that ended early still stands as far as it came; one without any answer is an error."""
    error = record["error"]
    if earlier is None:
        raise TwinError(error["code"], error["message"], place=record["twin"], remedy=error["remedy"])
    output.note(f"{error['message']} [{error['code']}]")


# -- here


async def ahead_of_blueprint(
    path: Path, begin: str | None, horizon: str, scenarios: Mapping[str, Any], seed: int | None
) -> AsyncIterator[dict[str, Any]]:
    """The forecast of a twin that is run from its blueprint to a simulation time, here and without a broker. Raises TwinError."""
    blueprint = read_blueprint(path)
    if seed is not None:
        blueprint = blueprint.model_copy(update={"seed": seed})
    twin = local.start(blueprint).twin
    _run_to(twin, _sim_time(begin))
    async for record in _ahead(twin, command_for(blueprint.twin, horizon, scenarios), "local-0"):
        yield record


async def ahead_of_past(settings: Settings, command: Forecast, begin: str, timeout_s: float) -> AsyncIterator[dict[str, Any]]:
    """The forecast of a live twin as it would have been made at an instant (or tick) of its past; the worker is not asked.

    Raises TwinError: `no-past` when it was not there.
    """
    live = await past_of(settings, command.twin, begin, timeout_s)
    async for record in _ahead(live, command, "past-0"):
        yield record


async def past_of(settings: Settings, twin: str, begin: str, timeout_s: float) -> LiveTwin:
    """A twin as it was at an instant (or tick) of its past, told again from the retained logs.

    Raises TwinError: `no-past` when it was not there.
    """
    from twin_app.cli.telling import Telling
    from twin_app.partition.timeline import sim_time_at
    from twin_app.replay.stretch import Bound

    bound = Bound.parse(begin)
    telling = Telling(settings, timeout_s)
    await telling.prepare()
    for partition in sorted(telling.partitions, key=lambda p: p != _home(twin, telling.partitions)):
        snapshot = await telling.state_at(partition, twin, bound)
        if snapshot is None:
            continue
        live = LiveTwin.restore(snapshot)
        if bound.wall_us is not None and live.twin.blueprint.time.mode == "wall":
            _run_to(live, sim_time_at(live.scale, bound.wall_us))
        return live
    raise TwinError("no-past", f"{twin} was not running at {bound}", place=twin, remedy="see its first events with `twin replay`")


def _home(twin: str, partitions: list[int]) -> int:
    """Where a producer's default partitioner puts the twin: it is looked for there first."""
    from aiokafka.partitioner import DefaultPartitioner

    return int(DefaultPartitioner()(twin.encode(), partitions, partitions))


def _sim_time(begin: str | None) -> float:
    try:
        at = float(begin or 0.0)
    except ValueError:
        at = -1.0
    if not 0 <= at <= SIM_TIME_MAX:
        raise TwinError("bad-option", f"{begin!r} is no simulation time", place="--from", remedy="for a FILE: --from 300")
    return at


def _run_to(twin: LiveTwin, at: float) -> None:
    while not twin.advance(max(at, twin.now), budget=SLICE_ENTRIES):
        twin.drain()
    twin.drain()


async def _ahead(twin: LiveTwin, command: Forecast, trigger: str) -> AsyncIterator[dict[str, Any]]:
    """The forecast of a twin that is in this process."""
    twin.check_forecast(command)
    asked = asked_by(twin, command)

    def asking(revision: int, compute_s: float) -> dict[str, Any]:
        return {
            "id": f"{command.twin}:{twin.seq}:{trigger}:{revision}",
            "trigger": trigger,
            "revision": revision,
            "lag_s": 0.0,
            "horizon_asked": asked.horizon,
            "compute_s": compute_s,
            "created_at_us": time.time_ns() // 1000,
        }

    async with aclosing(answers(asked, InlineCrew(), asking)) as coming:
        async for made in coming:
            yield orjson.loads(made.body)


# -- through the broker


async def ahead_of_twin(settings: Settings, command: Forecast, timeout_s: float) -> AsyncIterator[dict[str, Any]]:
    """The forecast of a live twin, revision by revision.

    Raises TwinError: `no-answer` when nothing (more) comes within `timeout_s`; the code of a refusal.
    """
    from topics.reader import ConfluentReader
    from twin_app.cli.decoding import json_object
    from twin_app.security.registry import registry_of

    specs = settings.topics
    registry = registry_of(settings, patience_s=timeout_s)
    reader = ConfluentReader(registry, ForecastRecord, raw_bytes_max=settings.record_bytes_max)
    parts = await connect.partitions_of(settings, timeout_s, specs.forecasts.name, specs.dead_letters.name)
    async with connect.producer(settings, timeout_s) as writer, connect.consumer(settings, timeout_s) as client:
        client.assign(parts)
        await connect.within(settings, timeout_s, client.seek_to_end(*parts))
        for part in parts:  # the offset is looked up now, not at the first fetch
            await connect.within(settings, timeout_s, client.position(part))
        value = command.model_dump_json(exclude_none=True).encode()
        sending = writer.send_and_wait(specs.config.name, value, key=command.twin.encode())
        sent = await connect.within(settings, timeout_s, sending)
        place = f"{sent.topic}-{sent.partition}@{sent.offset}"
        until = time.monotonic() + timeout_s
        while True:
            if time.monotonic() > until:
                raise TwinError(
                    "no-answer",
                    f"no forecast came within {timeout_s:g} s",
                    place=place,
                    remedy="look whether a worker runs with TWIN_FORECAST_WORKERS above 0, or wait longer with --timeout",
                )
            fetched = await client.getmany(timeout_ms=100, max_records=connect.FETCH_RECORDS_MAX)
            for record in (record for records in fetched.values() for record in records):
                if record.topic == specs.dead_letters.name:
                    _look_for_refusal(json_object(record.value, place), sent, place)
                    continue
                while not await reader.resolve([record.value]):
                    pass
                fields = reader.decode(record.value)
                if (fields["source_partition"], fields["source_offset"]) == (sent.partition, sent.offset):
                    until = time.monotonic() + timeout_s
                    yield fields
                    if fields["final"]:
                        return


def _look_for_refusal(letter: Mapping[str, Any], sent: Any, place: str) -> None:
    if (letter.get("topic"), letter.get("partition"), letter.get("offset")) == (sent.topic, sent.partition, sent.offset):
        raise TwinError(letter["code"], letter["reason"], place=place, remedy=letter.get("remedy"))
