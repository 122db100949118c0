"""What must be true of the logs when a run has come to rest, whatever befell it."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import orjson
from aiokafka import TopicPartition

from models.clock import Tick
from models.errors import TwinError
from tests.dst.world import World
from tests.partition.world import PlainOutbox, read
from twin_app.local import At, simulate
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.streaming.replay import CLOCK_OFFSET_KEY

Tables = dict[str, dict[bytes, bytes]]
NOT_FORETOLD = ("twin-registered", "command-scheduled")
"""Events that tell of a command's way, which depends on when it arrived."""

FORESEEN_ENDS = ("recovery-crashed",)
"""Of processes, when the Kafka client gave up while Faust recovered. Anything else is a defect."""


class Broken(Exception):
    """A promise was not kept."""


def check(world: World) -> None:
    """Raises Broken."""
    for fault in world.loop.faults:
        raise Broken(f"nobody took notice: {fault.get('message')}: {fault.get('exception')!r}")
    for event in world.exits:
        if event not in FORESEEN_ENDS:
            raise Broken(f"a worker ended with {event}: {world.ends}")
    for p in range(world.plan.partitions):
        golden = _golden(world, p)
        told = {"sim-events": [], "twin-dead-letters": []} | golden.told
        for topic, expected in told.items():
            _same(f"{topic}-{p}", expected, [e.value for e in world.broker.log(TopicPartition(topic, p)).committed()])
        _dense(p, told["sim-events"])
        _answered(world, p, golden)
        tables = {table: _fold(world, table, p) for table in ("checkpoint", "registry")}
        _registry_is_the_board(p, golden, tables)
        _checkpoint_leads_to_the_same_state(world, p, golden, tables)
        _group_offset(world, p, golden)
        if world.plan.scripted:
            _foretold(world, p, golden)
    _disks(world)


class Golden:
    """A host of the usual limits and rhythms that was handed the config log and the clock log, once, from the start."""

    def __init__(self, host: PartitionHost, ticks: list[Tick], records: list[ConfigRecord]) -> None:
        self.host, self.ticks, self.records = host, ticks, records
        self.told: dict[str, list[bytes | None]] = defaultdict(list)


def _golden(world: World, p: int) -> Golden:
    ticks = [Tick.from_bytes(e.value or b"") for e in world.broker.log(TopicPartition(world.settings.clock_topic, p)).committed()]
    log = world.broker.log(world.config(p)).committed()
    records = [ConfigRecord(e.offset, e.timestamp_ms, e.key, e.value) for e in log]
    golden = Golden(PartitionHost.open(p, {}, PlainOutbox(), read, HostSettings()), ticks, records)
    waiting = iter(records)
    record = next(waiting, None)
    last = Tick(1, 0, 0, 0)
    for number, tick in enumerate(ticks, 1):
        if tick.seq != number or tick.wall_us < last.wall_us or tick.next_offset < last.next_offset:
            raise Broken(f"partition {p}: tick {tick} follows {last}")
        last, batch = tick, []
        while record is not None and record.offset < tick.next_offset:
            batch.append(record)
            record = next(waiting, None)
        try:
            outputs = golden.host.replay(tick, batch, aloud=True)
        except TwinError as error:
            raise Broken(f"partition {p}: the logs do not give what was committed: {error}") from error
        for output in outputs:
            golden.told[output.topic].append(output.value)
    if record is not None:
        raise Broken(f"partition {p}: no tick covers the command at offset {record.offset}")
    return golden


def _same(place: str, expected: list[bytes | None], found: list[bytes | None]) -> None:
    for i, (one, other) in enumerate(zip(expected, found, strict=False)):
        if one != other:
            raise Broken(f"{place}: record {i} is {other!r} instead of {one!r}")
    if len(expected) != len(found):
        raise Broken(f"{place}: {len(found)} records instead of {len(expected)}")


def _dense(p: int, events: list[bytes | None]) -> None:
    seen: dict[str, int] = {}
    for raw in events:
        event = orjson.loads(raw or b"")
        if event["seq"] != seen.get(event["twin"], 0) + 1:
            raise Broken(f"partition {p}: event {event['seq']} of {event['twin']} follows {seen.get(event['twin'])}")
        seen[event["twin"]] = event["seq"]


def _answered(world: World, p: int, golden: Golden) -> None:
    """accepted + rejected = produced."""
    accepted: dict[int, set[str]] = defaultdict(set)
    for raw in golden.told["sim-events"]:
        event = orjson.loads(raw or b"")
        if event["cause"] and event["cause"]["offset"] is not None:
            accepted[event["cause"]["offset"]].add(event["kind"])
    refused = [orjson.loads(raw or b"")["offset"] for raw in golden.told["twin-dead-letters"]]
    for record in golden.records:
        times = refused.count(record.offset)
        if times + (record.offset in accepted) == 0:
            raise Broken(f"partition {p}: the command at offset {record.offset} has no answer")
        if times > 1 or (times and accepted[record.offset] - {"command-scheduled", "command-rejected"}):
            raise Broken(f"partition {p}: the command at offset {record.offset} has several answers")


def _fold(world: World, table: str, p: int, end: int | None = None) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    for entry in world.broker.log(TopicPartition(world.changelog(table), p)).committed():
        if end is not None and entry.offset > end:
            break
        if entry.value is None:
            rows.pop(entry.key or b"", None)
        else:
            rows[entry.key or b""] = entry.value
    return rows


def _registry_is_the_board(p: int, golden: Golden, tables: Tables) -> None:
    expected = {}
    for key, cell in golden.host.cells.items():
        for path in cell.live.board.parameters if cell.live is not None else ():
            assert cell.live is not None
            mark = cell.live.board.mark(path)
            source = None if mark.source is None else mark.source.offset
            value = {
                "value": cell.live.board.value(path),
                "version": mark.version,
                "changed_at": mark.changed_at,
                "offset": source,
            }
            expected[f"{key}.{path}".encode()] = value
    found = {key: orjson.loads(value) for key, value in tables["registry"].items()}
    wrong = sorted(key for key in expected | found if expected.get(key) != found.get(key))
    if wrong:
        first = wrong[0]
        raise Broken(f"partition {p}: the registry holds {found.get(first)} for {first!r}, the board {expected.get(first)}")


def _checkpoint_leads_to_the_same_state(world: World, p: int, golden: Golden, tables: Tables) -> None:
    tables["checkpoint"].pop(CLOCK_OFFSET_KEY, None)
    host = world.hosting.open(p, tables)
    for tick in golden.ticks[host.position.tick_seq :]:
        start = host.position.next_offset
        host.replay(tick, [r for r in golden.records if start <= r.offset < tick.next_offset])
    for key, cell in golden.host.cells.items():
        one, other = cell.live, host.cells[key].live
        if (one and one.state_hash()) != (other and other.state_hash()):
            raise Broken(f"partition {p}: {key} is not the same after its checkpoint")


def _group_offset(world: World, p: int, golden: Golden) -> None:
    """What other tools read as the lag. A spoilt one is right again with the next cycle."""
    offset = world.broker.group_offsets.get((world.settings.app_id, world.config(p)))
    if golden.ticks and offset != golden.ticks[-1].next_offset and not world.network.hits["group-offsets"]:
        raise Broken(f"partition {p}: the group's offset is {offset} instead of {golden.ticks[-1].next_offset}")


def _disks(world: World) -> None:
    """A local copy is some committed state, never ahead of the log."""
    for worker in world.workers:
        for (table, p), folder in worker.disk.folders.items():
            if folder.offset is None or folder.unsure:
                continue
            if folder.rows != _fold(world, table, p, folder.offset):
                raise Broken(f"{worker.name}: its {table}-{p} is not the changelog up to offset {folder.offset}")


def _foretold(world: World, p: int, golden: Golden) -> None:
    """Events of a plan whose commands say when they act: computed without logs, broker or partition host."""
    commands: dict[str, list[dict[str, Any]]] = defaultdict(list)
    blueprints: dict[str, dict[str, Any]] = {}
    for record in golden.records:
        value, twin = orjson.loads(record.value or b""), (record.key or b"").decode()
        if value["kind"] == "register":
            blueprints[twin] = value["blueprint"]
        elif twin in blueprints:
            commands[twin].append(value)
    for twin, blueprint in blueprints.items():
        cell = golden.host.cells[twin]
        assert cell.live is not None
        at = [At(command["at"], {k: v for k, v in command.items() if k != "at"}) for command in commands[twin]]
        run = simulate(blueprint, at, until=cell.live.now)
        expected = [(_bits(e.sim_time), e.kind, e.entity, _flat(e.payload)) for e in run.events if e.kind not in NOT_FORETOLD]
        found = [*_told(golden, twin)]
        for one, other in zip(expected, found, strict=False):
            if one != other:
                raise Broken(f"{twin}: {other} instead of the foretold {one}")
        if len(expected) != len(found):
            raise Broken(f"{twin}: {len(found)} events instead of the foretold {len(expected)}")


def _told(golden: Golden, twin: str) -> Iterator[Any]:
    for raw in golden.told["sim-events"]:
        e = orjson.loads(raw or b"")
        if e["twin"] == twin and e["kind"] not in NOT_FORETOLD:
            yield _bits(e["sim_time"]), e["kind"], e["entity"], e["payload"]


def _bits(number: float) -> bytes:
    return struct.pack(">d", number)


def _flat(payload: dict[str, Any]) -> dict[str, Any]:
    return orjson.loads(orjson.dumps(payload))
