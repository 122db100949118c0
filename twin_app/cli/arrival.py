"""From a record of any topic to the command that brings an entity: pure, and total."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from pydantic import TypeAdapter, ValidationError

from models.errors import Rejected

RECIPE_HEADER = "twin-feed-recipe"
"""Of a dead letter that a feed wrote: the recipe, by which the record can be made a command when it is sent again."""


class Source(NamedTuple):
    """A record of the topic that is read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None

    @property
    def place(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


class Arriving(NamedTuple):
    """A command for the config topic. `at_ms`: the instant at which it is to act (ms since 1970 UTC), where it is one."""

    key: bytes
    value: bytes
    at_ms: float | None


@dataclass(frozen=True)
class Recipe:
    """How a record becomes an arrival: a JSON object whose fields are the entity's attributes.

    `twin`, or the record's field `twin_field`; the `flow`; `at_field`: the field with the time (an ISO 8601 instant, or a number
    of the twin's time units), else the record's own timestamp counts; `shift_ms` is added to an instant. `attributes`: only
    these fields.
    """

    flow: str
    twin: str | None = None
    twin_field: str | None = None
    at_field: str | None = None
    shift_ms: float = 0.0
    attributes: frozenset[str] | None = None

    def to_bytes(self) -> bytes:
        """For a header."""
        return TypeAdapter(Recipe).dump_json(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Recipe | None:
        """From a header; None for what is no recipe: somebody else may write there."""
        try:
            return TypeAdapter(cls).validate_json(raw)
        except ValidationError:
            return None

    def command(self, record: Source) -> Arriving:
        """The command that brings the entity. Raises Rejected for a record that is none."""
        from twin_app.switchboard import parse  # brings the kernel along

        fields = self._fields(record)
        twin = self.twin if self.twin_field is None else fields.pop(self.twin_field, None)
        if not isinstance(twin, str):
            raise Rejected(
                "no-twin", f"the field `{self.twin_field}` names no twin", remedy="give the record that field, as a text"
            )
        at, at_ms = self._time(record, fields)
        if self.attributes is not None:
            fields = {name: value for name, value in fields.items() if name in self.attributes}
        document = {"kind": "spawn", "twin": twin, "flow": self.flow, "attributes": fields, "at": at, "id": record.place}
        key, value = twin.encode(errors="replace"), orjson.dumps(document)
        parse(value, key)
        return Arriving(key, value, at_ms)

    def _fields(self, record: Source) -> dict[str, Any]:
        try:
            found = orjson.loads(record.value or b"")
        except orjson.JSONDecodeError as error:
            raise Rejected("bad-json", f"not readable as JSON: {error}", remedy="the topic must hold JSON objects") from None
        if not isinstance(found, dict):
            raise Rejected("not-an-object", "the value is no JSON object", remedy="the topic must hold JSON objects")
        return found

    def _time(self, record: Source, fields: dict[str, Any]) -> tuple[float | str, float | None]:
        """When it is to act, as a command says it; and the instant, where it is one."""
        if self.at_field is None:
            at_ms: float = record.timestamp_ms
        else:
            said = fields.pop(self.at_field, None)
            if isinstance(said, int | float) and not isinstance(said, bool):
                return float(said), None
            try:
                instant = datetime.fromisoformat(str(said))
            except ValueError:
                remedy = "an ISO 8601 instant, or a number of the twin's time units"
                raise Rejected("bad-at", f"the field `{self.at_field}` is no time: {str(said)[:80]!r}", remedy=remedy) from None
            at_ms = (instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp() * 1000
        at_ms += self.shift_ms
        try:
            return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds"), at_ms
        except (ValueError, OverflowError, OSError):
            raise Rejected("bad-at", f"{at_ms:.0f} ms since 1970 is no time", remedy="correct it, or --shift") from None
