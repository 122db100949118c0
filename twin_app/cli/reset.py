"""`twin reset`: throw the local copy of the state away, or put the group's offsets where the partitions really stand."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from models.clock import Tick
from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.group import read_group
from twin_app.cli.options import AppId, Bootstrap, DataDir, Json, Timeout, settings_from
from twin_app.settings import Settings
from twin_app.streaming.tails import last_data_offsets


def reset(
    local: Annotated[
        bool, typer.Option("--local", help="The state folder: the next start rebuilds it from the changelogs.")
    ] = False,
    group_offsets: Annotated[
        bool,
        typer.Option(
            "--group-offsets", help="The group's offsets, after they expired or were set by hand: lag is shown right again."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, only show what would be done.")] = False,
    bootstrap: Bootstrap = None,
    app_id: AppId = None,
    data_dir: DataDir = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Bring local state or group offsets back in order. Touches no topic: neither can lose a command, an event or a twin.

    Where a partition goes on is decided by its checkpoint and its clock, never by the group's offset.
    """
    if local == group_offsets:
        raise TwinError("bad-option", "exactly one of --local and --group-offsets is needed", remedy="see `twin reset --help`")
    settings = settings_from(bootstrap, None, app_id, data_dir=data_dir)
    rows = reset_local(settings, yes) if local else connect.run_async(reset_offsets(settings, timeout, yes))
    for row in rows:
        if as_json:
            output.put_json(row | {"done": yes})
        else:
            output.say("  ".join(f"{name} {value}" for name, value in row.items()))
    if not as_json:
        what = "there is nothing to do" if not rows else "done" if yes else "nothing is changed yet; add --yes to do this"
        output.note(what)


def reset_local(settings: Settings, yes: bool) -> list[dict[str, object]]:
    """Remove this application's databases. Raises TwinError `state-in-use` while a worker has one open."""
    found = sorted(folder for folder in _databases(settings) if folder.is_dir())
    in_use = [folder for folder in found if _locked(folder)]
    if in_use:
        raise TwinError(
            "state-in-use",
            f"a worker has {len(in_use)} databases open",
            place=str(in_use[0]),
            remedy="stop the worker that uses this folder",
        )
    rows: list[dict[str, object]] = [{"remove": str(folder), "bytes": _size(folder)} for folder in found]
    if yes:
        for folder in found:
            shutil.rmtree(folder)
    return rows


def _databases(settings: Settings) -> list[Path]:
    """RocksDB folders below the application's state: each holds a file CURRENT."""
    return [current.parent for current in settings.data_dir.glob("**/CURRENT") if current.is_file()]


def _locked(folder: Path) -> bool:
    lock = folder / "LOCK"
    if not lock.exists():
        return False
    with lock.open("rb+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.lockf(file, fcntl.LOCK_UN)
    return False


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def reset_offsets(settings: Settings, timeout_s: float, yes: bool) -> list[dict[str, object]]:
    """Commit, for the group, what the last tick of each partition says is applied. Raises TwinError `group-in-use`."""
    group = await read_group(settings, timeout_s)
    if group.members:
        raise TwinError(
            "group-in-use",
            f"{len(group.members)} workers are running: they commit the right offsets themselves",
            place=settings.app_id,
            remedy="there is nothing to repair; or stop them first",
        )
    true = await _applied(settings, timeout_s)
    wrong = {p: offset for p, offset in true.items() if group.committed.get(p) != offset}
    if yes and wrong:
        offsets = {TopicPartition(settings.config_topic, p): OffsetAndMetadata(offset, "") for p, offset in wrong.items()}
        async with connect.consumer(settings, timeout_s, group=settings.app_id) as client:
            client.assign(list(offsets))
            await connect.within(settings, timeout_s, client.commit(offsets))
    return [{"partition": p, "from": group.committed.get(p), "to": offset} for p, offset in sorted(wrong.items())]


async def _applied(settings: Settings, timeout_s: float) -> dict[int, int]:
    """Partition -> next config offset after its last committed tick; partitions without a tick are left out."""
    tps = await connect.partitions_of(settings, timeout_s, settings.clock_topic)
    applied = {}
    async with connect.consumer(settings, timeout_s) as client:
        last = await connect.within(settings, timeout_s, last_data_offsets(client, tps))
        for tp, offset in last.items():
            if offset >= 0:
                applied[tp.partition] = (await connect.within(settings, timeout_s, _tick_at(client, tp, offset))).next_offset
    return applied


async def _tick_at(client: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> Tick:
    client.assign([tp])
    client.seek(tp, offset)
    record = await client.getone(tp)
    return Tick.from_bytes(record.value, place=f"{tp.topic}-{tp.partition}@{record.offset}")
