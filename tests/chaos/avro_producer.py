"""A producer that writes Avro commands in a schema of its own, which no worker has met before."""

from __future__ import annotations

import io
import random
import uuid
from typing import Any

import fastavro

from models.command_record import CommandRecord
from topics.confluent import HEADER, MAGIC
from topics.registry import SchemaRegistry


class AvroProducer:
    """Registers its schema when made ready; after that it needs no registry."""

    def __init__(self, registry: str) -> None:
        schema: dict[str, Any] = CommandRecord.avro_schema_to_python()
        self.schema = schema | {"name": f"Command{uuid.uuid4().hex[:8]}", "aliases": ["Command"]}
        self._registry = SchemaRegistry(registry)
        self._parsed = fastavro.parse_schema(self.schema)
        self._id = 0

    async def prepare(self, topic: str) -> None:
        self._id = await self._registry.register(f"{topic}-{self.schema['name']}", self.schema, "NONE")

    def command(self, rng: random.Random, twin: str) -> bytes:
        out = io.BytesIO()
        out.write(HEADER.pack(MAGIC, self._id))
        record = {"kind": "set", "path": f"{twin}.resources.a.capacity", "value": rng.randint(1, 4)}
        fastavro.schemaless_writer(out, self._parsed, record)
        return out.getvalue()
