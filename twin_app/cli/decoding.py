"""Reading what the workers write: events in Avro or JSON, dead letters in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from dataclasses_avroschema.pydantic import AvroBaseModel

from models.errors import TwinError
from models.events import TwinEvent
from topics.reader import ConfluentReader, schema_id_of
from twin_app.security.registry import registry_of
from twin_app.settings import Settings


class EventReader:
    """Decodes events, or records of another class, whatever their encoding. `resolve` asks the registry, `decode` does not."""

    def __init__(self, settings: Settings, timeout_s: float, model: type[AvroBaseModel] = TwinEvent) -> None:
        self._reader = ConfluentReader(registry_of(settings, patience_s=timeout_s), model)

    async def resolve(self, values: Sequence[bytes | None]) -> None:
        """Fetch the schemas that these values need. Raises TwinError `registry-unreachable`."""
        while not await self._reader.resolve(values):
            pass

    def decode(self, value: bytes | None, place: str) -> dict[str, Any]:
        """The fields of the record. Raises TwinError for what is none."""
        if value is not None and schema_id_of(value) is not None:
            return self._reader.decode(value)
        return json_object(value, place)


def json_object(value: bytes | None, place: str) -> dict[str, Any]:
    """The JSON object in a record's value. Raises TwinError `unreadable-record`."""
    try:
        found = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise TwinError("unreadable-record", f"the record is neither Avro nor JSON: {error}", place=place) from error
    if not isinstance(found, dict):
        raise TwinError("unreadable-record", "the record is JSON, but no object", place=place)
    return found
