"""A recorded history as a file: JSON lines, each with one key that says what it is."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from models import checkpoint
from models.clock import Tick
from models.errors import TwinError
from tests.histories.stories import STORIES
from tests.partition.world import T0_US, Committed, Log, PlainOutbox, cycle, new_host, read
from twin_app.partition import ConfigRecord, HostSettings, Output, PartitionHost

FOLDER = Path(__file__).parent
HOW_TO_GO_ON = "raise LOGIC_VERSION in models/checkpoint.py, list the upcast there, and record anew: python -m tests.histories"
TOPICS = ("sim-events", "twin-dead-letters")


@dataclass
class History:
    """One partition's past. `checkpoint`: the rows of its table as they were after tick `checkpoint_tick`."""

    name: str
    logic_version: int
    commands: list[ConfigRecord] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    told: list[tuple[int, str, bytes]] = field(default_factory=list)
    """Tick, topic and value of each event and dead letter."""
    checkpoint: dict[bytes, bytes] = field(default_factory=dict)
    checkpoint_tick: int = 0

    def replay(self, host: PartitionHost) -> Iterator[tuple[int, str, bytes]]:
        """What the host tells of the ticks that it has not seen yet."""
        for tick in self.ticks[host.position.tick_seq :]:
            start = host.position.next_offset
            for output in host.replay(tick, [c for c in self.commands if start <= c.offset < tick.next_offset], aloud=True):
                yield tick.seq, output.topic, _kept(output)

    # -- the file

    def lines(self) -> Iterator[dict[str, Any]]:
        yield {"history": self.name, "logic_version": self.logic_version, "checkpoint_tick": self.checkpoint_tick}
        for c in self.commands:
            yield {"command": [c.offset, c.timestamp_ms, _text(c.key), _text(c.value)]}
        for t in self.ticks:
            yield {"tick": [t.seq, t.wall_us, t.next_offset, t.events, list(t.refused)]}
        for seq, topic, value in self.told:
            yield {"told": [seq, topic, value.decode()]}
        for key, row in sorted(self.checkpoint.items()):
            yield {"checkpoint": [_text(key), _text(row)]}

    def save(self) -> Path:
        path = FOLDER / f"{self.name}-{self.logic_version}.jsonl"
        path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in self.lines()))
        return path

    @classmethod
    def load(cls, path: Path) -> History:
        first, *rest = (orjson.loads(line) for line in path.read_bytes().splitlines())
        history = cls(first["history"], first["logic_version"], checkpoint_tick=first["checkpoint_tick"])
        for line in rest:
            [(what, value)] = line.items()
            if what == "command":
                offset, timestamp_ms, key, raw = value
                history.commands.append(ConfigRecord(offset, timestamp_ms, _bytes(key), _bytes(raw)))
            elif what == "tick":
                history.ticks.append(Tick(*value[:4], tuple(value[4])))
            elif what == "told":
                history.told.append((value[0], value[1], value[2].encode()))
            else:
                history.checkpoint[_bytes(value[0]) or b""] = _bytes(value[1]) or b""
        return history


def record(name: str) -> History:
    """Let the story happen, in cycles of uneven length."""
    tell, end_s = STORIES[name]
    log, chance = Log(), random.Random(name)
    tell(log)
    host, committed = new_host(HostSettings(checkpoint_ticks=9, vitals_interval_us=1 << 60)), Committed()
    history = History(name, checkpoint.LOGIC_VERSION, log.records)
    at_s = done = 0
    while at_s < end_s:
        at_s = min(end_s, at_s + chance.uniform(0.05, end_s / 20))
        ready = [r for r in log.records[done:] if r.timestamp_ms * 1000 <= T0_US + at_s * 1e6]
        made = cycle(host, committed, ready, at_s)
        done += len(ready)
        if made is None:
            continue
        history.told += [(made.tick.seq, o.topic, _kept(o)) for o in made.outputs if o.topic in TOPICS]
        if any(row.table == "checkpoint" for row in made.rows) and at_s < end_s * 0.7:
            history.checkpoint, history.checkpoint_tick = dict(committed.tables["checkpoint"]), made.tick.seq
    history.ticks = committed.ticks
    return history


def differences(history: History) -> list[str]:
    """Where this version departs from what was recorded; nothing if it does not. One line each."""
    found = []
    try:
        whole = PartitionHost.open(0, {}, PlainOutbox(), read, HostSettings())
        found += _compare("from the logs", history.told, list(history.replay(whole)))
    except TwinError as error:
        found.append(f"from the logs: {error}")
    try:
        saved = PartitionHost.open(0, {"checkpoint": history.checkpoint}, PlainOutbox(), read, HostSettings())
        if saved.position.tick_seq != history.checkpoint_tick:
            found.append(f"from the checkpoint: it is of tick {saved.position.tick_seq}, not {history.checkpoint_tick}")
        later = [told for told in history.told if told[0] > history.checkpoint_tick]
        found += _compare("from the checkpoint", later, list(history.replay(saved)))
    except TwinError as error:
        found.append(f"from the checkpoint: {error}")
    return found


def _compare(way: str, recorded: list[tuple[int, str, bytes]], told: list[tuple[int, str, bytes]]) -> list[str]:
    for i, (one, other) in enumerate(zip(recorded, told, strict=False)):
        if one != other:
            return [f"{way}: record {i} was {one}, and is {other} now"]
    return [] if len(recorded) == len(told) else [f"{way}: {len(recorded)} records were told, and are {len(told)} now"]


def _kept(output: Output) -> bytes:
    """An event as it is; of a dead letter not its wording, which may be bettered, and may be a library's."""
    if output.topic == "sim-events":
        return output.value
    letter = orjson.loads(output.value)
    return orjson.dumps({name: letter[name] for name in ("offset", "code", "path")})


def _text(raw: bytes | None) -> str | list[str] | None:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return [base64.b64encode(raw).decode()]


def _bytes(text: str | list[str] | None) -> bytes | None:
    if isinstance(text, list):
        return base64.b64decode(text[0])
    return None if text is None else text.encode()
