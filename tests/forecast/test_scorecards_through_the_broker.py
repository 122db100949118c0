"""Scorecards from the topics: by the verb, and by a worker that tells them as vitals; a restart comes to the same."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.brokers.plugin import Broker, Registry
from tests.forecast.floor import Floor
from tests.forecast.plants import LINE
from topics.registry import SchemaRegistry
from twin_app.settings import Settings
from twin_app.streaming.connections import side_consumer
from twin_app.streaming.scoring import ScoreReader

pytestmark = pytest.mark.broker

FAST_LINE = {**LINE, "time": {"unit": "minutes", "factor": 0.0001}}
"""A minute of it takes 6 ms."""


async def _verb(floor: Floor, *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "twin_app.cli", "scorecard", *arguments),
        env=floor.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out


async def _vital(floor: Floor, name: str) -> dict[str, Any]:
    reader = AIOKafkaConsumer(
        floor.topic("sim-vitals"), bootstrap_servers=floor.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    await reader.start()
    try:
        async with asyncio.timeout(30):
            async for record in reader:
                vital: dict[str, Any] = orjson.loads(record.value)
                if vital["name"] == name:
                    return vital
    finally:
        await reader.stop()
    raise AssertionError("unreachable")


async def test_what_a_worker_foretold_is_found_to_have_come_true(broker: Broker, registry: Registry, tmp_path: Path) -> None:
    settings = {"TWIN_FORECAST_INTERVAL_S": "0.2", "TWIN_FORECAST_HORIZON": "2h", "TWIN_SCORECARD_INTERVAL_S": "2"}
    floor = Floor(broker.bootstrap, registry.url, tmp_path, **settings)
    try:
        await floor.open()
        await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
        await floor.event(lambda e: e["kind"] == "entity-left")
        await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=0)
        light = await _vital(floor, "forecast.queue.light")
        assert light["twin"] == "Line_A"
        assert (await _vital(floor, "forecast.wip.held"))["value"] == 1.0
        while sum(r["error"] is None for r in floor.records) < 15:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        shown = (await _verb(floor, "Line_A")).decode()
        assert "Line_A  green" in shown
        card = orjson.loads(await _verb(floor, "--json"))
        found = {score["kind"]: score for score in card["kinds"]}
        assert card["forecasts"] >= 10
        assert found["queue"]["held"] == found["wip"]["held"] == found["leaving-time"]["held"] == 1.0
        assert await _verb(floor, "Nobody") == b""
    finally:
        await floor.close()


async def test_rounds_that_are_cut_anywhere_come_to_the_same_as_one(broker: Broker, registry: Registry, tmp_path: Path) -> None:
    """A reader that takes the events in bits, as a worker does, and one that takes them all at once, as the verb does."""
    floor = Floor(broker.bootstrap, registry.url, tmp_path, TWIN_FORECAST_INTERVAL_S="0.2", TWIN_FORECAST_HORIZON="1h")
    try:
        await floor.open()
        await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
        while len(floor.records) < 12:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    finally:
        await floor.close()
    settings = Settings(
        bootstrap_servers=floor.bootstrap, registry_url=floor.registry_url, app_id=floor.name, topic_prefix=f"{floor.name}-"
    )
    client = side_consumer(settings)
    await client.start()
    try:
        whole, bits = (ScoreReader(settings, client, SchemaRegistry(floor.registry_url)) for _ in range(2))
        await whole.open([0], 0)
        await whole.round()
        await bits.open([0], 0)
        tp = TopicPartition(settings.topics.events.name, 0)
        client.assign([tp])
        client.seek(tp, 0)
        stamps = [r.timestamp for r in (await client.getmany(tp, timeout_ms=2_000, max_records=10_000)).get(tp, [])]
        for until_ms in sorted({*stamps[::50]}):
            await bits.round(until_ms)
        await bits.round()
        assert whole.scorecards()[0][1].forecasts >= 5
        assert bits.scorecards() == whole.scorecards()
    finally:
        await client.stop()
