"""Workers start together: each registers the same schemas, and none may be told that they are incompatible."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from models.forecasts import ForecastRecord
from tests.brokers.plugin import Registry
from topics.registry import SchemaRegistry

pytestmark = pytest.mark.broker


async def test_workers_that_register_at_once_all_have_the_same_id(registry: Registry) -> None:
    schema = ForecastRecord.avro_schema_to_python()
    for _ in range(10):
        subject = f"at-once-{uuid.uuid4().hex}"
        clients = [SchemaRegistry(registry.url, patience_s=20) for _ in range(4)]
        ids = await asyncio.gather(*(client.register(subject, schema, "FULL_TRANSITIVE") for client in clients))
        assert len(set(ids)) == 1
