"""`kill -9` at any instant, again and again: what a read-committed consumer reads is as if nothing had happened.

`TWIN_TEST_KILLS` sets how often (default: 30 times on the real Kafka, 8 times on the embedded broker).
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

from tests.brokers.plugin import Broker
from tests.chaos.factory import Factory, line
from twin_app.local import At, simulate

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = {"embedded": 8, "kafka": 30}
SEED = int(os.environ.get("TWIN_TEST_SEED", "1"))
LIVE_S = 1.2
"""A worker lives for up to so long after its partitions are ready."""
MID_START_SHARE = 0.25
"""So many of the kills hit a worker that is still starting or recovering."""
START_S = (0.05, 1.0)
"""A fork of the warm process is ready after about a second."""
RATE_PER_S = 15.0
LAST_PLANNED_S = 50.0
WAITS_MAX = 120


def planned() -> list[dict[str, Any]]:
    """Commands with their own times: what comes of them cannot depend on when a worker lived."""
    return [
        {"kind": "set", "path": "resources.a.capacity", "value": 0, "at": 20.0},
        {"kind": "set", "path": "resources.a.capacity", "value": 3, "at": 31.5},
        {"kind": "patch", "changes": {"variables.mode": "bypass", "services.turning.mean": 0.1}, "at": 44.25},
        {"kind": "spawn", "flow": "make", "attributes": {"priority": 0}, "at": LAST_PLANNED_S},
    ]


async def test_many_kills_lose_nothing_double_nothing_and_change_nothing(factory, broker: Broker) -> None:
    # Forecasts are not compared here, and two processes more would be started each time.
    f: Factory = await factory(partitions=2, TWIN_MEMBER_ID="one", TWIN_FORECAST_WORKERS="0")
    rng = random.Random(SEED)
    kills = int(os.environ.get("TWIN_TEST_KILLS", KILLS[broker.kind]))
    fixed = line("Fixed", seed=99)
    await f.send("Fixed", {"kind": "register", "blueprint": fixed})
    for command in planned():
        await f.send("Fixed", command)
    f.start()
    load = asyncio.create_task(f.load(3600.0, RATE_PER_S, seed=SEED))
    try:
        ready = 0
        for _ in range(kills):
            if rng.random() < MID_START_SHARE:
                await asyncio.sleep(rng.uniform(*START_S))
            else:
                await f.wait_for_line(0, "partition-ready", within_s=60, count=ready + f.partitions)
                await asyncio.sleep(rng.uniform(0.0, LIVE_S))
            f.kill9(0)
            ready = f.log(0).read_text(errors="replace").count("partition-ready")
            f.start()
        await until_the_last_planned_command(f)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    await f.check()
    await same_as_without_broker_clock_or_kill(f, fixed)


async def until_the_last_planned_command(f: Factory) -> None:
    for _ in range(WAITS_MAX):
        if any(e["twin"] == "Fixed" and e["sim_time"] > LAST_PLANNED_S for e in await f.events()):
            return
        await asyncio.sleep(1.0)
    raise AssertionError(f"the twin did not come past {LAST_PLANNED_S} s")


async def same_as_without_broker_clock_or_kill(f: Factory, fixed: dict[str, Any]) -> None:
    """The twin whose commands carry their own times did what it does on a laptop."""
    live = [e for e in await f.events() if e["twin"] == "Fixed" and e["kind"] != "command-scheduled"]
    end = live[-1]["sim_time"]
    run = simulate(fixed, commands=[At(0.0, command) for command in planned()], until=end)
    plain = [e for e in run.events if e.kind != "command-scheduled" and e.sim_time < end]
    assert len(plain) > 200
    found = [(e["sim_time"], e["kind"], e["entity"], e["payload"]) for e in live if e["sim_time"] < end]
    assert found == [(e.sim_time, e.kind, e.entity, e.payload) for e in plain]
