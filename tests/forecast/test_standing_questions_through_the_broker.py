"""Standing questions on a broker, with worker processes: what becomes true is told, once, and so is that it is not any more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from models.alerts import Alert
from tests.brokers.plugin import Broker, Registry
from tests.forecast.floor import Floor
from tests.forecast.plants import LINE

pytestmark = pytest.mark.broker

QUESTIONS: dict[str, Any] = {
    "jam": {"bottleneck": "b", "within": 240, "above": 0.5},
    "late_orders": {"late": {}, "above": 0.3},
}
FAST_LINE = {**LINE, "time": {"unit": "minutes", "factor": 0.001}, "questions": QUESTIONS}
"""A minute of it takes 60 ms."""

OpenFloor = Callable[..., Awaitable[Floor]]


@pytest.fixture
async def open_floor(broker: Broker, registry: Registry, tmp_path: Path) -> AsyncIterator[OpenFloor]:
    floors: list[Floor] = []

    async def opened(**settings: str) -> Floor:
        floor = Floor(broker.bootstrap, registry.url, tmp_path, **{"TWIN_QUESTION_INTERVAL_S": "0.5", **settings})
        floors.append(floor)
        await floor.open()
        return floor

    yield opened
    for floor in floors:
        await floor.close()


def _is(question: str, raised: bool) -> Callable[[dict[str, Any]], bool]:
    return lambda alert: alert.get("question") == question and alert["raised"] is raised


async def test_no_question_is_true_without_a_word_nor_told_twice(open_floor: OpenFloor) -> None:
    floor = await open_floor()
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
    await floor.event(lambda e: e["kind"] == "entity-left")
    assert not floor.alerts
    offset, _ = await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=0)
    raised = await floor.alert(_is("jam", True))
    forecast = await floor.forecast(lambda r: r["id"] == raised["forecast"])
    assert forecast["source_offset"] == offset
    assert raised["expected_sim_time"] == forecast["baseline"]["bottlenecks"][0]["sim_time"]
    assert (raised["as_of_seq"], raised["low"], raised["high"]) == (forecast["as_of_seq"], 1.0, 1.0)
    late = await floor.alert(_is("late_orders", True))
    assert late["id"] == f"Line_A/late_orders/{late['entity']}:0:1"
    await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=1)
    cleared = await floor.alert(_is("jam", False))
    assert (raised["id"], cleared["id"]) == ("Line_A/jam:0:1", "Line_A/jam:0:2")
    await floor.alert(lambda a: a.get("over") == f"Line_A/late_orders/{late['entity']}")
    await floor.send(kind="remove", twin="Line_A", discard_work=True)
    await asyncio.sleep(1.5)
    told = [alert["id"] for alert in floor.alerts if "id" in alert]
    assert len(told) == len(set(told))
    standing = {(a["question"], a["entity"]): a["raised"] for a in floor.alerts if "id" in a}
    assert not any(standing.values())
    assert all(Alert.model_validate({k: v for k, v in a.items() if k != "arrived"}) for a in floor.alerts if "id" in a)


async def test_no_raise_and_no_clear_is_lost_with_the_worker(open_floor: OpenFloor) -> None:
    """It is killed after the raise; its heir has never raised anything, and takes it back all the same, once."""
    floor = await open_floor()
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
    await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=0)
    await floor.alert(_is("jam", True))
    os.kill(floor.worker_pid, signal.SIGKILL)
    await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=1)
    await floor.send(kind="set", twin="Line_A", path="services.milling.constant", value=1)
    floor.start_worker()
    await floor.alert(_is("jam", False), within_s=60.0)
    assert [alert["id"] for alert in floor.alerts if alert.get("question") == "jam"] == ["Line_A/jam:0:1", "Line_A/jam:0:2"]


async def test_a_question_is_asked_anew_of_a_twin_at_work_and_no_work_is_lost(open_floor: OpenFloor) -> None:
    """The twin is registered without questions, and jammed; then it is asked, then with another probability, then no more."""
    floor = await open_floor()
    plain = {name: part for name, part in FAST_LINE.items() if name != "questions"}
    await floor.send(kind="register", twin="Line_A", blueprint=plain)
    await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=0)
    await floor.event(lambda e: e["kind"] == "bottleneck-formed")
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE, replace=True)
    raised = await floor.alert(_is("jam", True))
    assert raised["sentence"].startswith("B is a bottleneck already")
    await floor.send(kind="register", twin="Line_A", blueprint=plain, replace=True)
    cleared = await floor.alert(_is("jam", False))
    assert cleared["reason"] == "withdrawn"
    changed = [e for e in floor.events if e["kind"] == "questions-changed"]
    assert [e["payload"]["questions"] for e in changed] == [2, 0]
    assert not [e for e in floor.events if e["kind"] == "twin-replaced"]
