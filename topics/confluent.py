"""Avro values in the Confluent wire format: a zero byte, the schema id in four bytes (big endian), the record in Avro binary.

https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
"""

import io
import struct
from typing import Any

import fastavro
from dataclasses_avroschema.pydantic import AvroBaseModel

from models.errors import TwinError
from models.events import EventRecord, TwinEvent
from topics import envelope
from topics.compatibility import Level
from topics.registry import SchemaRegistry
from topics.serdes import plain

MAGIC = 0
HEADER = struct.Struct(">bI")


def subject_name(topic: str, model: type[AvroBaseModel]) -> str:
    """The subject of a record class on a topic: ``<topic>-<namespace>.<name>``, so that a topic may carry several classes."""
    schema = model.avro_schema_to_python()
    return f"{topic}-{full_name(schema)}"


def full_name(schema: dict[str, Any]) -> str:
    """Namespace and name of a record schema."""
    return ".".join(part for part in (schema.get("namespace"), schema["name"]) if part)


class ConfluentAvro:
    """Avro for one record class on one topic.

    ``level`` is the compatibility that the subject must keep. The default for all records is FULL_TRANSITIVE: any consumer
    reads any record, older or newer (docs/decisions/0003).
    """

    content_type = "application/vnd.confluent.avro"

    def __init__(
        self,
        model: type[AvroBaseModel],
        registry: SchemaRegistry,
        *,
        topic: str | None = None,
        subject: str | None = None,
        level: Level = "FULL_TRANSITIVE",
    ) -> None:
        if (topic is None) == (subject is None):
            raise TwinError(
                "bad-serializer", "an Avro serializer needs a topic or a subject", remedy="give exactly one of the two"
            )
        self.model = model
        self.schema: dict[str, Any] = model.avro_schema_to_python()
        self.subject = subject if subject is not None else subject_name(str(topic), model)
        self.level = level
        self.schema_id: int | None = None
        self._registry = registry
        self._parsed = fastavro.parse_schema(self.schema)
        self._header = b""

    def __repr__(self) -> str:
        return f"ConfluentAvro({self.model.__name__}, subject={self.subject!r}, schema_id={self.schema_id})"

    async def prepare(self) -> None:
        """Register the schema. Waits while the registry is down; raises what :meth:`SchemaRegistry.register` raises."""
        if self.schema_id is None:
            self.use_schema_id(await self._registry.register(self.subject, self.schema, self.level))

    def use_schema_id(self, schema_id: int) -> None:
        """Take a schema id that is known from elsewhere, instead of registering."""
        self.schema_id = schema_id
        self._header = HEADER.pack(MAGIC, schema_id)

    def encode(self, record: Any) -> bytes:
        """The record in the wire format.

        Raises TwinError: ``serializer-not-prepared``; ``unencodable-record`` when it does not fit the class.
        """
        if not self._header:
            raise TwinError("serializer-not-prepared", f"{self!r} has no schema id yet", remedy="await prepare() before encoding")
        if self.model is TwinEvent and isinstance(record, EventRecord):
            return envelope.encode_avro(record, self._header)
        out = io.BytesIO()
        out.write(self._header)
        try:
            fastavro.schemaless_writer(out, self._parsed, plain(record), strict_allow_default=True)
        except Exception as error:
            # fastavro raises many kinds for a record that does not fit: ValueError, TypeError, KeyError, struct.error, ...
            raise TwinError(
                "unencodable-record",
                f"the record does not fit {self.model.__name__}: {error}",
                place=f"subject {self.subject}",
                remedy="give every field of the class with a value of its type",
            ) from error
        return out.getvalue()

    def decode(self, body: bytes) -> dict[str, Any]:
        """The fields of a record that this class has written itself, without its header."""
        fields = fastavro.schemaless_reader(io.BytesIO(body), self._parsed, None)
        assert isinstance(fields, dict)
        return fields
