"""What turns a record into a Kafka value: the interface, and JSON, the default.

A serializer is prepared once, asynchronously, before the worker takes traffic; from then on ``encode`` is pure: no I/O, no
waiting, the same bytes for the same record.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import orjson
from pydantic import BaseModel

from models.errors import TwinError
from models.events import EventRecord, utc_from_us
from models.vitals import VitalRecord
from topics import envelope

JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS

Record = EventRecord | VitalRecord | Mapping[str, Any] | BaseModel
"""What a serializer takes. Own serializers may take anything that their routes give them."""


@runtime_checkable
class Serializer(Protocol):
    """From record to bytes for one topic."""

    content_type: str

    async def prepare(self) -> None:
        """Do once what needs the outside (registering a schema). Calling it again does no harm."""

    def encode(self, record: Any) -> bytes:
        """The record's value. Pure. Raises TwinError for a record that does not fit."""


class Json:
    """JSON by orjson. Fields are in the order of the record's class, or of the mapping; NaN and infinity become null.

    ``sort_keys`` orders a mapping's fields by name, for records whose order of fields is accidental.
    """

    content_type = "application/json"

    def __init__(self, *, sort_keys: bool = False) -> None:
        self._options = JSON_OPTIONS | (orjson.OPT_SORT_KEYS if sort_keys else 0)

    def __repr__(self) -> str:
        return "Json()"

    async def prepare(self) -> None:
        """Nothing to prepare."""

    def encode(self, record: Any) -> bytes:
        """The JSON text in UTF-8.

        Raises TwinError ``unencodable-record`` for what JSON cannot carry.
        """
        if isinstance(record, EventRecord):
            return envelope.encode_json(record)
        try:
            return orjson.dumps(plain(record), option=self._options)
        except TypeError as error:
            raise TwinError(
                "unencodable-record",
                f"a record of type {type(record).__name__} cannot be written as JSON: {error}",
                remedy="use mappings, lists, strings, numbers, dates and pydantic classes",
            ) from error


def plain(record: Any) -> Any:
    """The record as a mapping of its fields, with dates as dates."""
    if isinstance(record, VitalRecord):
        fields = record._asdict()
        fields["wall_time"] = utc_from_us(fields.pop("wall_time_us"))
        return {name: fields[name] for name in ("twin", "name", "value", "unit", "wall_time", "partition")}
    if isinstance(record, EventRecord):
        return {**envelope.as_dict(record), "event_time": utc_from_us(record.event_time_us)}
    if isinstance(record, BaseModel):
        return record.model_dump()
    return record
