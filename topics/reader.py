"""Reading Avro values of others in the Confluent wire format: commands in Avro, and events at a consumer.

Decoding must be pure where commands are applied, so it is done in two steps: :meth:`ConfluentReader.resolve` fetches, ahead
and asynchronously, the schemas of a batch; :meth:`ConfluentReader.decode` then only computes. A registry that is down makes
``resolve`` wait and never costs a command; an id that the registry does not know rejects the command.
"""

import asyncio
import io
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from datetime import date, timedelta
from datetime import time as clock_time
from decimal import Decimal
from itertools import islice
from typing import Any

import fastavro
from dataclasses_avroschema.pydantic import AvroBaseModel

from models.errors import Rejected
from topics.confluent import HEADER, MAGIC
from topics.registry import SchemaRegistry
from topics.schema_limits import SCHEMA_CHARS_MAX, SchemaRefused, check_schema

SCHEMAS_MAX = 1_000
"""How many writers' schemas are kept."""

UNKNOWN_IDS_MAX = 10_000
"""How many unknown ids are remembered."""

UNKNOWN_FOR_S = 30.0
"""How long an id that the registry did not know is not asked for again."""

FETCHES_AT_ONCE = 8
"""How many schemas are asked for at the same time."""

RAW_BYTES_MAX = 1024 * 1024
"""Longest value that is decoded."""


def schema_id_of(raw: bytes | None) -> int | None:
    """The schema id of a value in the wire format, None when it is not in it (JSON begins with another byte)."""
    if raw is None or len(raw) < HEADER.size or raw[0] != MAGIC:
        return None
    return int(HEADER.unpack_from(raw)[1])


def json_values(value: Any) -> Any:
    """A decoded value as JSON has it: dates and UUIDs as text, durations in seconds, decimals as numbers, bytes as UTF-8."""
    if isinstance(value, dict):
        return {str(name): json_values(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [json_values(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, date | clock_time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


class ConfluentReader:
    """Decodes any record whose schema the registry knows; with ``model``, into the fields of that class (schema resolution).

    ``clock`` gives monotonic seconds, for forgetting unknown ids.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        model: type[AvroBaseModel] | None = None,
        *,
        raw_bytes_max: int = RAW_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._raw_bytes_max = raw_bytes_max
        self._clock = clock
        self._reader_schema = None if model is None else fastavro.parse_schema(model.avro_schema_to_python())
        self._schemas: OrderedDict[int, Any] = OrderedDict()
        self._unknown: OrderedDict[int, tuple[str, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"ConfluentReader(schemas={len(self._schemas)}, unknown={len(self._unknown)}, registry={self._registry.address!r})"

    async def resolve(self, raw_values: Sequence[bytes | None]) -> bool:
        """Settle these values: fetch the schemas that they need and that are not known yet. True when done.

        What the values need is kept until the next call, so the caches exceed their limits by at most one batch: the caller
        bounds the batch. Waits while the registry is down. Raises TwinError ``registry-unreachable`` after its patience is over;
        no value is to be rejected for that.
        """
        now = self._clock()
        for unknown, (_, since) in list(self._unknown.items()):
            if now - since < UNKNOWN_FOR_S:
                break  # they are in the order of their time
            del self._unknown[unknown]
        needed = dict.fromkeys(schema_id for raw in raw_values if (schema_id := schema_id_of(raw)) is not None)
        for schema_id in needed:
            if schema_id in self._schemas:
                self._schemas.move_to_end(schema_id)
        wanted = iter([schema_id for schema_id in needed if schema_id not in self._schemas and schema_id not in self._unknown])

        async def fetch() -> None:
            for schema_id in wanted:
                self._learn(schema_id, await self._registry.fetch(schema_id) if schema_id > 0 else None)

        try:
            async with asyncio.TaskGroup() as fetches:
                for _ in range(FETCHES_AT_ONCE):
                    fetches.create_task(fetch())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        self._forget(needed)
        return True

    def settled(self, raw: bytes | None) -> bool:
        """Whether ``decode(raw)`` can give its final answer."""
        schema_id = schema_id_of(raw)
        return schema_id is None or schema_id in self._schemas or schema_id in self._unknown

    def decode(self, raw: bytes) -> dict[str, Any]:
        """The record as a mapping. Pure. Without a ``model`` its values are JSON values (see :func:`json_values`).

        Raises Rejected: ``unknown-schema`` when the registry does not know the id (or its schema is refused), ``bad-avro``
        when the bytes are not a record of that schema. A value that was not resolved before is a mistake of the caller: it raises
        LookupError, so that no command is lost for it.
        """
        schema_id = schema_id_of(raw)
        if schema_id is None:
            raise Rejected(
                "bad-avro", "the value does not begin with a zero byte and a schema id", remedy="use the Confluent wire format"
            )
        if len(raw) > self._raw_bytes_max:
            raise Rejected(
                "bad-avro", f"the value has {len(raw)} bytes, at most {self._raw_bytes_max} are decoded", remedy="send less"
            )
        if schema_id in self._unknown:
            why, _ = self._unknown[schema_id]
            raise Rejected(
                "unknown-schema",
                f"schema id {schema_id}: {why}",
                value=schema_id,
                remedy="register the writer's schema before sending, and send again",
            )
        if schema_id not in self._schemas:
            raise LookupError(f"schema id {schema_id} was not resolved before decoding")
        stream = io.BytesIO(raw)
        stream.seek(HEADER.size)
        try:
            record = fastavro.schemaless_reader(stream, self._schemas[schema_id], self._reader_schema)
        except Exception as error:
            # fastavro raises many kinds for damaged bytes: EOFError, IndexError, OverflowError, UnicodeDecodeError, ...
            raise self._bad(schema_id, f"{type(error).__name__} {error}"[:200]) from error
        if stream.tell() != len(raw):
            raise self._bad(schema_id, f"{len(raw) - stream.tell()} bytes are left over")
        if not isinstance(record, dict):
            raise self._bad(schema_id, "it is not a record")
        return record if self._reader_schema is not None else json_values(record)

    def _bad(self, schema_id: int, why: str) -> Rejected:
        return Rejected(
            "bad-avro",
            f"the value is not a record of schema id {schema_id}: {why}",
            value=schema_id,
            remedy="check that the writer registered the schema that it wrote with",
        )

    def _learn(self, schema_id: int, text: str | None) -> None:
        try:
            if text is None:
                raise SchemaRefused("the registry has no Avro schema of this id")
            if len(text) > SCHEMA_CHARS_MAX:
                raise SchemaRefused(f"its text has more than {SCHEMA_CHARS_MAX} characters")
            plain = json.loads(text)
            check_schema(plain)
            self._schemas[schema_id] = fastavro.parse_schema(plain)
        except SchemaRefused as error:
            self._unknown[schema_id] = str(error), self._clock()
        except Exception as error:  # whatever a foreign text makes of the parsers, RecursionError included
            self._unknown[schema_id] = f"its schema cannot be parsed ({type(error).__name__})", self._clock()

    def _forget(self, needed: Collection[int]) -> None:
        """Bring the caches back to their limits, the longest unused first, but keep what is needed."""
        caches: tuple[tuple[OrderedDict[int, Any], int], ...] = ((self._schemas, SCHEMAS_MAX), (self._unknown, UNKNOWN_IDS_MAX))
        for cache, limit in caches:
            for schema_id in list(islice(cache, max(0, len(cache) - limit))):
                if schema_id not in needed:
                    del cache[schema_id]
