"""S1 on a broker, with a worker process: a change is answered by a forecast in time, a question by futures side by side."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.forecasts import ForecastRecord
from tests.brokers.plugin import Broker, Registry
from tests.forecast.floor import Floor
from tests.forecast.plants import LINE, SHOP

pytestmark = pytest.mark.broker

FAST_LINE = {**LINE, "time": {"unit": "minutes", "factor": 0.001}}
"""A minute of it takes 60 ms."""

CLOCK_S = 0.05
"""Stamps in whole milliseconds by several processes, and the steps of the clock that they share."""

OpenFloor = Callable[..., Awaitable[Floor]]


@pytest.fixture
async def open_floor(broker: Broker, registry: Registry, tmp_path: Path) -> AsyncIterator[OpenFloor]:
    floors: list[Floor] = []

    async def opened(**settings: str) -> Floor:
        floor = Floor(broker.bootstrap, registry.url, tmp_path, **settings)
        floors.append(floor)
        await floor.open()
        return floor

    yield opened
    for floor in floors:
        await floor.close()


async def _broken(floor: Floor) -> tuple[int, float]:
    """The line at work, and b taken out."""
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
    await floor.event(lambda e: e["kind"] == "entity-left")
    return await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=0)


async def test_the_bottleneck_is_foretold_before_it_forms_and_to_the_minute(open_floor: OpenFloor) -> None:
    floor = await open_floor()
    offset, _ = await _broken(floor)
    record = await floor.forecast(lambda r: r["source_offset"] == offset)
    foretold = record["baseline"]["bottlenecks"][0]
    formed = await floor.event(lambda e: e["kind"] == "bottleneck-formed")
    assert record["trigger"] == f"change-{offset}"
    assert record["as_of_sim_time"] < foretold["sim_time"]
    assert (foretold["resource"], foretold["sim_time"]) == (formed["payload"]["resource"], formed["sim_time"])
    assert record["deterministic"]
    assert record["baseline"]["entities"]
    without = record["scenarios"][0]
    assert without["name"] == "without the change"
    assert without["outlook"]["bottleneck"] is None
    revision = {name: value for name, value in record.items() if name != "arrived"}
    assert ForecastRecord.model_validate(revision)


async def test_an_answer_never_misstates_what_it_rests_on(open_floor: OpenFloor) -> None:
    """Every field of its provenance, against what the events and the clock say."""
    floor = await open_floor(TWIN_FORECAST_INTERVAL_S="1")
    asked_at = time.time()
    offset, written = await _broken(floor)
    record = await floor.forecast(lambda r: r["source_offset"] == offset)
    taken_s = record["arrived"] - written
    registered = await floor.event(lambda e: e["kind"] == "twin-registered")
    last = await floor.event(lambda e: e["seq"] == record["as_of_seq"])
    following = await floor.event(lambda e: e["seq"] == record["as_of_seq"] + 1)
    assert (record["twin"], record["seed"], record["time_unit"]) == ("Line_A", 42, "minutes")
    assert record["blueprint_hash"] == registered["payload"]["blueprint_hash"]
    assert record["id"] == f"Line_A:{record['as_of_seq']}:change-{offset}:1"
    assert (record["source_topic"], record["source_partition"]) == (floor.topic("twin-config"), 0)
    assert record["as_of_offset"] == offset
    assert last["sim_time"] <= record["as_of_sim_time"] <= following["sim_time"]
    minutes = record["as_of_sim_time"] - registered["sim_time"]
    assert record["as_of_event_time"] == registered["event_time"] + timedelta(milliseconds=60 * minutes)
    assert (record["replications"], record["deterministic"], record["coverage"], record["precise"]) == (1, True, 1.0, True)
    assert record["horizon"] == record["horizon_asked"]
    assert 0 < record["compute_s"] <= taken_s
    assert 0 <= record["input_age_s"] <= taken_s - record["compute_s"] + CLOCK_S
    assert 0 <= record["lag_s"] <= taken_s
    assert asked_at - CLOCK_S <= record["created_at"].timestamp() <= time.time() + CLOCK_S
    scheduled = await floor.forecast(lambda r: r["trigger"].startswith("schedule") and r["as_of_offset"] == offset)
    since_s = scheduled["created_at"].timestamp() - record["created_at"].timestamp()
    moved_s = scheduled["input_age_s"] + scheduled["compute_s"] - record["input_age_s"] - record["compute_s"]
    assert scheduled["source_offset"] is None
    assert abs(moved_s - since_s) <= CLOCK_S


async def test_no_change_is_left_without_its_first_answer(open_floor: OpenFloor) -> None:
    """Every one of nine changes in quick succession; the times are printed, and measured in docs/PERFORMANCE.md."""
    floor = await open_floor()
    await _broken(floor)
    taken = []
    for number in range(9):
        offset, written = await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=(number + 1) % 2)
        record = await floor.forecast(lambda r, offset=offset: r["source_offset"] == offset)  # type: ignore[misc]
        taken.append(record["arrived"] - written)
        await asyncio.sleep(0.3)
    print("ms to the first answer:", [round(1000 * t) for t in taken])
    assert len(taken) == 9


async def test_a_question_is_answered_with_the_futures_side_by_side(open_floor: OpenFloor) -> None:
    floor = await open_floor()
    await _broken(floor)
    later = [{"kind": "set", "path": "variables.route", "value": "d"}]
    offset, _ = await floor.send(
        kind="forecast", twin="Line_A", horizon="4h", id="q1", scenarios={"route to d": later, "same": []}
    )
    record = await floor.forecast(lambda r: r["source_offset"] == offset and r["final"])
    assert record["trigger"] == f"command-{offset}"
    assert record["command"] == "q1"
    assert record["horizon"] == 240.0
    rerouted, same = record["scenarios"]
    assert rerouted["first_difference"]["scenario_event"].endswith("at d")
    assert {difference["mean"] for difference in same["differences"]} == {0.0}
    revisions = [r["revision"] for r in floor.records if r["source_offset"] == offset]
    assert revisions == list(range(1, len(revisions) + 1))


async def test_forks_that_are_killed_never_stop_the_twin(open_floor: OpenFloor) -> None:
    floor = await open_floor()
    await _broken(floor)
    forks = floor.fork_pids()
    assert len(forks) == 2
    for pid in forks:
        os.kill(pid, signal.SIGKILL)
    offset, _ = await floor.send(kind="forecast", twin="Line_A", horizon="4h")
    first = await floor.forecast(lambda r: r["source_offset"] == offset)
    seen = len(floor.events)
    again, _ = await floor.send(kind="forecast", twin="Line_A", horizon="4h")
    answered = await floor.forecast(lambda r: r["source_offset"] == again and r["error"] is None, within_s=60.0)
    assert first["error"] is None or first["error"]["code"] == "fork-crashed"
    assert answered["baseline"]["sentence"]
    assert len(floor.events) > seen
    seqs = [event["seq"] for event in floor.events if event["twin"] == "Line_A"]
    assert seqs == list(range(1, len(seqs) + 1))


async def _goes_on(floor: Floor, twin: str, since: dict[str, Any]) -> dict[str, Any]:
    """The first event of the twin that was read after another event, and is of a later time."""
    return await floor.event(
        lambda e: e["twin"] == twin and e["arrived"] > since["arrived"] and e["event_time"] > since["event_time"]
    )


async def test_the_live_twins_never_wait_for_a_forecast_under_way(open_floor: OpenFloor) -> None:
    """The forks have minutes of work, and are stopped in the midst of it: what is read before they go on waited for no fork."""
    floor = await open_floor(TWIN_FORECAST_BUDGET_S="600", TWIN_FORECAST_TASK_LIMIT_S="600")
    await _broken(floor)
    await floor.send(kind="register", twin="Shop", blueprint={**SHOP, "time": FAST_LINE["time"]})
    asked, _ = await floor.send(kind="forecast", twin="Shop", horizon="2500h")
    first = await floor.forecast(lambda r: r["source_offset"] == asked)
    forks = floor.fork_pids()
    for pid in forks:
        os.kill(pid, signal.SIGSTOP)
    try:
        for number in range(5):
            offset, _ = await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=number % 2)
            changed = await floor.event(lambda e, at=offset: e["kind"] == "parameter-changed" and e["cause"]["offset"] == at)  # type: ignore[misc]
            await _goes_on(floor, "Line_A", changed)
            last = await _goes_on(floor, "Shop", changed)
        assert not [r for r in floor.records if r["source_offset"] == asked and r["final"]]
        await floor.send(kind="set", twin="Shop", path="resources.b.capacity", value=3)
        ended = await floor.forecast(lambda r: r["source_offset"] == asked and r["final"])
    finally:
        for pid in forks:
            os.kill(pid, signal.SIGCONT)
    assert ended["error"]["code"] == "superseded"  # it was at work all the while, until its own twin was changed
    assert ended["as_of_seq"] == first["as_of_seq"] < last["seq"]


async def test_a_question_whose_worker_dies_is_answered_by_the_next_owner(open_floor: OpenFloor) -> None:
    floor = await open_floor()
    await _broken(floor)
    offset, _ = await floor.send(kind="forecast", twin="Line_A", horizon="4h")
    await floor.event(lambda e: e["kind"] == "forecast-requested" and e["cause"]["offset"] == offset)
    os.kill(floor.worker_pid, signal.SIGKILL)
    before = len(floor.records)
    floor.start_worker()
    await floor.wait_for_line("forecasts-ready", count=2)
    record = await floor.forecast(lambda r: r in floor.records[before:] and r["source_offset"] == offset, within_s=60.0)
    assert record["error"] is None


async def test_twins_at_work_are_forecast_on_schedule_and_idle_ones_cost_nothing(open_floor: OpenFloor) -> None:
    floor = await open_floor(TWIN_FORECAST_INTERVAL_S="1")
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
    await floor.send(kind="register", twin="Idle", blueprint={"twin": "Idle", "resources": {"a": {}}})
    await floor.forecast(lambda r: r["twin"] == "Line_A" and r["trigger"].startswith("schedule"))
    await floor.forecast(lambda r: r["twin"] == "Idle")
    await asyncio.sleep(3)
    assert not [r for r in floor.records if r["twin"] == "Idle" and r["trigger"].startswith("schedule")]


async def test_a_twin_is_forecast_as_its_own_time_passes(open_floor: OpenFloor) -> None:
    """An hour of the line takes 3.6 s; whatever the wall clock says, a forecast is of a state past each full hour."""
    floor = await open_floor(TWIN_FORECAST_EVERY="1h")
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
    first = await floor.forecast(lambda r: r["trigger"].startswith("schedule"))
    second = await floor.forecast(lambda r: r["trigger"].startswith("schedule") and r["trigger"] != first["trigger"])
    assert int(first["as_of_sim_time"] // 60) < int(second["as_of_sim_time"] // 60)


async def test_the_command_line_shows_a_live_twins_futures(open_floor: OpenFloor) -> None:
    floor = await open_floor()
    await _broken(floor)
    asked = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "twin_app.cli", "whatif", "Line_A", "--set", "variables.route=d", "--name", "route to d", "--horizon", "4h"),
        env=floor.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asked.communicate()
    assert asked.returncode == 0, err.decode()
    shown = out.decode()
    assert "b is a bottleneck" in shown or "ottleneck forms at b" in shown
    assert "route to d: " in shown
    assert "First difference at" in shown
    refused = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "twin_app.cli", "whatif", "Line_A", "--set", "resources.b.capacity=-1"),
        env=floor.environment(),
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await refused.communicate()
    assert refused.returncode == 2
    assert "out-of-bounds" in err.decode()


async def test_what_if_is_asked_again_of_the_past_as_it_was(open_floor: OpenFloor) -> None:
    """Long after b has broken and its bottleneck has formed, the question is put to the line as it was before."""
    floor = await open_floor()
    await floor.send(kind="register", twin="Line_A", blueprint=FAST_LINE)
    await floor.event(lambda e: e["kind"] == "entity-left")
    before = datetime.now(UTC)
    await asyncio.sleep(0.3)
    await floor.send(kind="set", twin="Line_A", path="resources.b.capacity", value=0)
    formed = await floor.event(lambda e: e["kind"] == "bottleneck-formed")

    async def ask(instant: str, *changes: str) -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "twin_app.cli", "whatif", "Line_A", "--from", instant, "--horizon", "4h", "--json", *changes),
            env=floor.environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out, err

    code, out, err = await ask(before.isoformat(), "--set", "resources.b.capacity=0")
    assert code == 0, err.decode()
    record = orjson.loads(out.splitlines()[-1])
    assert record["trigger"] == "past-0"
    assert record["as_of_sim_time"] < formed["sim_time"]
    assert record["baseline"]["bottleneck"] is None
    assert record["scenarios"][0]["outlook"]["bottleneck"] == "b"
    code, out, err = await ask("2020-01-01T00:00:00Z", "--set", "resources.b.capacity=0")
    assert code == 2
    assert b"no-past" in err
