"""What is fuzzed. A target takes bytes and lets through nothing but what the worker is built for."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable

import msgpack

from models import checkpoint as blob
from models.command_record import CommandRecord
from models.errors import CheckpointError, ModelError, Rejected
from tests.switchboard.plants import line
from topics.registry import SchemaRegistry
from topics.specs import topic_specs
from twin_app.partition.cell import Cell
from twin_app.partition.checkpoints import META_KEY, Meta, twin_states
from twin_app.partition.contracts import Contracts
from twin_app.partition.cycle import ConfigRecord
from twin_app.switchboard import LiveTwin

TWIN = "Line_A"
SCHEMA_ID = 7

_contracts = Contracts(topic_specs(), SchemaRegistry("http://127.0.0.1:9"))
_contracts.reader._learn(SCHEMA_ID, json.dumps(CommandRecord.avro_schema_to_python()))
_contracts.reader._unknown[1] = ("the registry has no Avro schema of this id", 0.0)


def _twin() -> LiveTwin:
    live = LiveTwin.register(line(), epoch_ms=0)
    live.advance(30.0)
    live.drain()
    return live


SNAPSHOT = _twin().snapshot()
"""A twin with work in progress, to which the commands are applied."""

STATE = {"seq": 9, "quarantine": None, "live": SNAPSHOT}
"""What a checkpoint holds of it."""


def command(data: bytes) -> None:
    """A record of the config topic: a command or a refusal, and a command is applied or refused."""
    record = ConfigRecord(0, 1_000, TWIN.encode(), data)
    if data[:1] == b"\x00" and not _contracts.reader.settled(data):
        return  # a worker has asked the registry before
    try:
        parsed = _contracts.parse(record)
    except Rejected:
        return
    live = LiveTwin.restore(SNAPSHOT)
    before = live.state_hash()
    try:
        live.apply(parsed, effective=live.now)
        live.advance(live.now + 50.0, budget=2_000)
        live.drain()
    except Rejected:
        assert live.state_hash() == before
    except ModelError:
        pass  # the twin is quarantined, the others go on


def checkpoint(data: bytes) -> None:
    """The rows of a checkpoint table: as they are; with a header that fits; and as the state inside."""
    header = struct.Struct(">4sHHIQ16s")
    sealed = header.pack(b"TWCP", blob.FORMAT_VERSION, blob.LOGIC_VERSION, 1, len(data) or 1, blob._digest(data)) + data
    packed = zlib.compress(data)
    inside = header.pack(b"TWCP", blob.FORMAT_VERSION, blob.LOGIC_VERSION, 1, len(data) or 1, blob._digest(packed)) + packed
    for first in (data, sealed, inside):
        try:
            for key, state, chunks in twin_states({b"twin/Line_A/0000": first}):
                Cell.restore(key, state, chunks)
        except CheckpointError:
            pass
    try:
        Meta.from_rows({META_KEY: data})
    except CheckpointError:
        pass


TARGETS: dict[str, Callable[[bytes], None]] = {"command": command, "checkpoint": checkpoint}


def seeds() -> dict[str, list[bytes]]:
    """Good bytes to begin with."""
    commands = [
        b'{"path_id": "Line_A.resources.b.current_cap", "value": 0}',
        b'{"kind": "patch", "changes": {"services.sawing.low": 1, "variables.mode": "x"}, "at": 31.5, "if_version": 0}',
        b'{"kind": "spawn", "flow": "make", "attributes": {"a": [1]}}',
        b'{"kind": "observe", "queues": {"a": 3}, "steps": {"1": "make.1"}, "finished": ["2"]}',
        b'{"kind": "forecast", "horizon": "8h", "scenarios": {"s": [{"path": "variables.mode", "value": "y"}]}}',
        b'{"kind": "register", "twin": "Line_A", "blueprint": {"flows": {"f": [{"delay": 1}]}}, "replace": true}',
        struct.pack(">bI", 0, SCHEMA_ID) + b"\x06set",
    ]
    return {
        "command": commands,
        "checkpoint": [blob.encode(STATE)[0], msgpack.packb(STATE), Meta(1, 2, 3, 4).to_row().value or b""],
    }
