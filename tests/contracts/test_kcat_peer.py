"""kcat, a tool in C that knows nothing of us, reads our JSON and writes our commands."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from models.commands import Set
from models.events import EventRecord, SourceOffset
from topics.admin import ensure_topics
from topics.registry import SchemaRegistry
from topics.routes import router_from, topics_beside
from topics.specs import topic_specs
from twin_app.switchboard import parse

TIMEOUT_S = 60

EVENTS = [
    EventRecord(
        "Line_A", 1, 0.5, 1_795_338_000_000_000, "resource-down", None, SourceOffset("twin-config", 0, 3), {"resource": "b"}
    ),
    EventRecord("Halle_ä", 2, 0.75, 1_795_338_000_250_000, "resource-up", None, 1, {"resource": "b", "down": 0.25}),
    EventRecord("Line_A", 3, 1.0, 1_795_338_000_500_000, "entity-left", 7, 2, {"outcome": "finished"}),
]


@pytest.fixture
def kcat(broker):
    """Run kcat on the broker; gives what it prints."""
    if shutil.which("kcat") is None:
        if os.environ.get("TWIN_REQUIRE_REAL") == "1":
            pytest.fail("kcat is not installed (Debian package kcat)")
        pytest.skip("kcat is not installed (Debian package kcat)")

    async def run(*arguments: str, text: str | None = None) -> str:
        command = ["kcat", "-b", broker.bootstrap, *arguments]
        done = await asyncio.to_thread(
            subprocess.run, command, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        return done.stdout

    return run


async def test_kcat_never_reads_another_event_than_was_routed_and_its_commands_are_taken(broker, kcat, tmp_path: Path):
    unique = uuid.uuid4().hex[:8]
    specs = topic_specs(app=f"app-{unique}", prefix=f"{unique}.", partitions=1)
    alarms = f"{unique}.alarms"
    file = tmp_path / "routes.yaml"
    file.write_text(f"routes:\n  - {{kinds: 'resource-*', to: {alarms}}}\nserializers: {{events: json}}\n")
    router = router_from(file, specs, SchemaRegistry("http://127.0.0.1:9"))
    await ensure_topics(broker.bootstrap, specs, beside=topics_beside(router, specs))

    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for topic, key, value in router.route_all(EVENTS):
            await producer.send_and_wait(topic, value, key=key, timestamp_ms=1_795_338_000_000, headers=[("origin", b"test")])

    for topic, expected in ((alarms, EVENTS[:2]), (specs.events.name, EVENTS[2:])):
        read = [json.loads(line) for line in (await kcat("-C", "-t", topic, "-e", "-q", "-J")).splitlines()]
        assert [(record["key"], record["headers"], record["ts"]) for record in read] == [
            (event.twin, ["origin", "test"], 1_795_338_000_000) for event in expected
        ]
        fields = [json.loads(record["payload"]) for record in read]
        assert [(f["id"], f["kind"], f["entity"], f["payload"]) for f in fields] == [
            (f"{event.twin}:{event.seq}", event.kind, event.entity, event.payload) for event in expected
        ]

    text = '{"path_id": "Line_A.resources.b.current_cap", "value": 0}\n'
    await kcat("-P", "-t", specs.config.name, "-k", "Line_A", "-H", "trace=17", text=text)
    async with AIOKafkaConsumer(specs.config.name, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
        record = await asyncio.wait_for(consumer.getone(), TIMEOUT_S)
    assert parse(record.value, record.key) == Set(twin="Line_A", path="resources.b.capacity", value=0)
    assert record.headers == (("trace", b"17"),)
