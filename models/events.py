"""The envelope of every event that a twin emits.

There is one record class for all kinds, and it never breaks: what differs between kinds is in ``kind`` (a string, not an
enum) and in ``payload`` (a map, not a record), so a consumer that was written today reads the events of tomorrow
(docs/decisions/0003). Fields are only ever added, with a default.

At run time an event is an :class:`EventRecord`, a plain tuple; :class:`TwinEvent` is the contract (schema, documentation,
validation at a consumer) and is not built on the way out.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from dataclasses_avroschema import types
from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import Field, field_validator

Scalar = bool | int | float | str | None
"""What a payload value is on the wire. A list or an object is carried as its JSON text."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EVENT_TIME_US_MIN = -62_135_596_800_000_000
"""0001-01-01T00:00:00Z in microseconds since 1970: earlier times are not representable for many consumers."""

EVENT_TIME_US_MAX = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the latest time that a Python consumer can read. Later ones are written as this."""


class SourceOffset(NamedTuple):
    """The record from outside that caused an event."""

    topic: str
    partition: int
    offset: int


class EventRecord(NamedTuple):
    """One event on its way out, before it is encoded.

    ``cause`` is the source offset of the command that caused the event, or the ``seq`` of the parent event of the same
    twin, or None for what the model does by itself. ``event_time_us`` is microseconds since 1970, UTC; ``sim_time`` is in
    the blueprint's time unit from the twin's start. ``payload`` holds JSON values.
    """

    twin: str
    seq: int
    sim_time: float
    event_time_us: int
    kind: str
    entity: int | None
    cause: SourceOffset | int | None
    payload: dict[str, Any]


class Cause(AvroBaseModel):
    """Why an event happened: a record from outside (topic, partition, offset), or another event of the same twin."""

    topic: str | None = Field(None, description="Topic of the command that caused the event")
    partition: types.Int32 | None = Field(None, description="Partition of that command")
    offset: int | None = Field(None, description="Offset of that command")
    event: str | None = Field(None, description="Id of the parent event, for example Line_A:1041")

    class Meta:
        namespace = "twin.events"


class TwinEvent(AvroBaseModel):
    """One thing that happened in a twin. The id is unique and the sequence number has no gaps within a twin."""

    id: str = Field(description="Twin and sequence number, for example Line_A:1042; the key for de-duplication")
    twin: str = Field(description="Name of the twin; also the key of the record")
    seq: int = Field(description="Sequence number within the twin, from 1, without gaps")
    sim_time: float = Field(description="Simulation time, in the time unit of the blueprint, from the start of the twin")
    event_time: types.DateTimeMicro = Field(description="The simulation time as a UTC date and time")
    kind: str = Field(description="What happened, for example entity-started; new kinds may appear at any time")
    entity: int | None = Field(None, description="Number of the entity that it happened to, if any")
    cause: Cause | None = Field(None, description="The command or the event that led to this one")
    # The branches' order is part of the wire format.
    payload: dict[str, None | bool | int | float | str] = Field(  # noqa: RUF036
        default_factory=dict, description="Details by name; a list or an object is given as its JSON text"
    )

    class Meta:
        namespace = "twin.events"

    @field_validator("event_time")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("event_time needs a time zone")
        return value.astimezone(UTC)


def utc_from_us(microseconds: int) -> datetime:
    """The UTC date and time of ``microseconds`` since 1970, clamped to the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=min(max(microseconds, EVENT_TIME_US_MIN), EVENT_TIME_US_MAX))


def us_from_utc(moment: datetime) -> int:
    """Microseconds since 1970 of an aware date and time."""
    return (moment - EPOCH) // timedelta(microseconds=1)
