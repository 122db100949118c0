"""What each public topic carries: the one table from which the AsyncAPI document and the reference page are made.

A topic without a row here is the application's own (changelogs), or carries nothing yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import BaseModel

from models.alerts import Alert
from models.command_record import CommandRecord
from models.commands import KINDS
from models.deadletters import DeadLetter
from models.events import TwinEvent
from models.forecasts import ForecastRecord
from models.vitals import Vital

JSON = "application/json"
AVRO = "application/vnd.confluent.avro"
MSGPACK = "application/msgpack"


@dataclass(frozen=True)
class Message:
    """One sort of record. ``models`` are the classes of its JSON form, ``avro`` the class of its Avro form."""

    name: str
    title: str
    summary: str
    models: tuple[type[BaseModel], ...] = ()
    avro: type[AvroBaseModel] | None = None
    default: Literal["json", "avro", "msgpack"] = "json"
    schema: Mapping[str, Any] | None = None
    examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Contract:
    """What a topic carries. ``action`` is the application's: it receives commands and sends the rest."""

    role: str
    action: Literal["receive", "send"]
    operation: str
    summary: str
    messages: tuple[Message, ...]


COMMAND = Message(
    name="Command",
    title="Command",
    summary="A change of a running twin. The canonical form; shorter spellings are accepted, see the switchboard's reference. "
    "Accepted ones are acknowledged by an event, rejected ones are dead letters.",
    models=tuple(KINDS.values()),
    avro=CommandRecord,
    examples={
        "set": {"kind": "set", "twin": "Line_A", "path": "resources.b.capacity", "value": 0},
        "patch-at-a-time": {
            "kind": "patch",
            "twin": "Line_A",
            "changes": {"services.milling.constant": 4.0, "variables.mode": "bypass"},
            "at": "2026-11-22T09:05:00Z",
        },
        "observe": {
            "kind": "observe",
            "twin": "Line_A",
            "queues": {"b": 7},
            "levels": {"oil": 31.5},
            "steps": {"17": "make.pack"},
            "finished": ["12"],
        },
        "forecast": {"kind": "forecast", "twin": "Line_A", "horizon": "8h"},
    },
)

EVENT = Message(
    name="TwinEvent",
    title="Event",
    summary="One thing that happened in a twin. A consumer ignores kinds and payload entries that it does not know.",
    models=(TwinEvent,),
    avro=TwinEvent,
    default="avro",
    examples={
        "parameter-changed": {
            "id": "Line_A:1042",
            "twin": "Line_A",
            "seq": 1042,
            "sim_time": 540.0,
            "event_time": "2026-11-22T09:00:00Z",
            "kind": "parameter-changed",
            "entity": None,
            "cause": {"topic": "twin-config", "partition": 3, "offset": 88, "event": None},
            "payload": {"path": "resources.b.capacity", "old": 1, "new": 0},
        }
    },
)

DIVERGENCE = Message(
    name="Divergence",
    title="Divergence",
    summary="The event `divergence-measured`: one thing that was seen in reality, beside what the twin had there. Also in the "
    "events topic, in its place among the others.",
    models=(TwinEvent,),
    avro=TwinEvent,
    default="avro",
    examples={
        "a-queue": {
            "id": "Line_A:1043",
            "twin": "Line_A",
            "seq": 1043,
            "sim_time": 545.0,
            "event_time": "2026-11-22T09:05:00Z",
            "kind": "divergence-measured",
            "entity": None,
            "cause": {"topic": None, "partition": None, "offset": None, "event": "Line_A:1042"},
            "payload": {
                "what": "queue",
                "path": "resources.b",
                "observed": 7,
                "simulated": 5,
                "difference": 2.0,
                "agrees": False,
                "created": 2,
                "removed": 0,
            },
        }
    },
)

VITAL = Message(
    name="Vital",
    title="Vital",
    summary="A measurement of a twin or of the system at an instant of the wall clock.",
    models=(Vital,),
    avro=Vital,
    examples={
        "lag": {
            "twin": "Line_A",
            "name": "system.simulation.lag_seconds",
            "value": 0.25,
            "unit": "s",
            "wall_time": "2026-11-22T09:00:00.250000Z",
            "partition": 3,
        }
    },
)

DEAD_LETTER = Message(
    name="DeadLetter",
    title="Dead letter",
    summary="A command that was rejected, with its place, its value and the reason.",
    models=(DeadLetter,),
    avro=DeadLetter,
    examples={
        "unknown-path": {
            "topic": "twin-config",
            "partition": 3,
            "offset": 89,
            "timestamp_ms": 1795338000000,
            "code": "unknown-path",
            "reason": "Line_A has no path resources.lathe.capacity",
            "key": "Line_A",
            "value": '{"path": "Line_A.resources.lathe.capacity", "value": 3}',
            "value_bytes": 55,
        }
    },
)

FORECAST = Message(
    name="ForecastRecord",
    title="Forecast",
    summary="One revision of what is going to happen in a twin, as it is and under scenarios, with how sure that is and from "
    "what it was computed. Each revision replaces those before it; the last is marked as final.",
    models=(ForecastRecord,),
    avro=ForecastRecord,
    default="avro",
    examples={
        "superseded": {
            "id": "Line_A:1042:change-88:3",
            "twin": "Line_A",
            "trigger": "change-88",
            "revision": 3,
            "final": True,
            "as_of_sim_time": 540.0,
            "as_of_event_time": "2026-11-22T09:00:00Z",
            "as_of_seq": 1042,
            "time_unit": "minutes",
            "horizon": 480.0,
            "horizon_asked": 480.0,
            "seed": 42,
            "blueprint_hash": "0f6c2f0f6b1c4b0c9c1d5f3a7e9b2d4c",
            "created_at": "2026-11-22T09:00:01Z",
            "sentence": "No better forecast: a newer change has made this forecast old; its revisions stand as of their state.",
            "error": {"code": "superseded", "message": "a newer change has made this forecast old", "remedy": None},
        }
    },
)

ALERT = Message(
    name="Alert",
    title="Alert",
    summary="A standing question of a twin has become true, or is not true any more, with the forecast that it rests on. A "
    "record without a value says that its key is over for ever.",
    models=(Alert,),
    avro=Alert,
    default="avro",
    examples={
        "raised": {
            "id": "Line_A/late_orders/17:0:1",
            "twin": "Line_A",
            "question": "late_orders",
            "entity": 17,
            "raised": True,
            "reason": "forecast",
            "sentence": "Entity 17 of make is late, due at 10:30: probability 62 % (55 to 69 %), around 10:41; "
            "asked for above 30 %.",
            "number": 1,
            "life": 0,
            "above": 0.3,
            "probability": 0.62,
            "low": 0.55,
            "high": 0.69,
            "expected_sim_time": 101.0,
            "expected_event_time": "2026-11-22T10:41:00Z",
            "forecast": "Line_A:1042:question-1795338000000:4",
            "as_of_sim_time": 60.0,
            "as_of_event_time": "2026-11-22T10:00:00Z",
            "as_of_seq": 1042,
            "replications": 200,
            "deterministic": False,
            "created_at": "2026-11-22T10:00:03Z",
        }
    },
)

TICK = Message(
    name="Tick",
    title="Tick",
    summary="How far the partition's simulation time went, and which commands had been applied by then.",
    default="msgpack",
    schema={
        "description": "A msgpack array. A reader refuses a format number that it does not know.",
        "type": "array",
        "items": [
            {"title": "format", "type": "integer", "const": 1},
            {"title": "seq", "description": "Number of the tick in its partition, from 1", "type": "integer"},
            {"title": "wall_us", "description": "Target of the advance, in microseconds since 1970, UTC", "type": "integer"},
            {"title": "next_offset", "description": "Config offset below which all commands were applied", "type": "integer"},
            {"title": "events", "description": "Events that the partition has emitted since its beginning", "type": "integer"},
            {
                "title": "refused",
                "description": "Offsets of commands that were rejected for a reason outside the logs",
                "type": "array",
                "items": {"type": "integer"},
            },
        ],
        "minItems": 6,
        "maxItems": 6,
    },
    examples={"tick": [1, 7, 1_795_338_000_000_000, 89, 1042, []]},
)

CONTRACTS: tuple[Contract, ...] = (
    Contract("config", "receive", "receiveCommands", "Change a twin while it runs.", (COMMAND,)),
    Contract("events", "send", "sendEvents", "Tell what happens in the twins.", (EVENT,)),
    Contract("vitals", "send", "sendVitals", "Tell how the twins and the system are doing.", (VITAL,)),
    Contract("forecasts", "send", "sendForecasts", "Tell what is going to happen in the twins.", (FORECAST,)),
    Contract("alerts", "send", "sendAlerts", "Tell which standing questions have become true.", (ALERT,)),
    Contract("dead_letters", "send", "sendDeadLetters", "Tell which commands were rejected, and why.", (DEAD_LETTER,)),
    Contract("divergence", "send", "sendDivergence", "Tell how far the twins were from reality.", (DIVERGENCE,)),
    Contract("clock", "send", "sendTicks", "Write down the course of simulation time, for replay.", (TICK,)),
)
