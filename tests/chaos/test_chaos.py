"""Live twins while their workers die: the events that a consumer reads are those of an undisturbed run, byte for byte.

`TWIN_TEST_SEED` sets the instants and the commands.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

pytestmark = [pytest.mark.broker, pytest.mark.slow]

SEED = int(os.environ.get("TWIN_TEST_SEED", "1"))
RATE_PER_S = 20.0


@pytest.mark.timeout(400)
async def test_takeovers_and_zombies_leave_no_trace_in_the_events(factory):
    f = await factory(TWIN_FORECAST_WORKERS="0")
    f.start(0)
    f.start(1)
    await f.wait_for_line(0, "partition-ready", within_s=60)
    await f.wait_for_line(1, "partition-ready", within_s=60)
    await f.load(3.0, RATE_PER_S, seed=SEED)
    f.kill9(0)
    await f.load(9.0, RATE_PER_S, seed=SEED + 1)
    f.start(0)
    await f.load(5.0, RATE_PER_S, seed=SEED + 2)
    f.signal(1, signal.SIGSTOP)
    await f.load(9.0, RATE_PER_S, seed=SEED + 3)
    f.signal(1, signal.SIGCONT)
    await f.load(4.0, RATE_PER_S, seed=SEED + 4)
    await f.check()


@pytest.mark.timeout(400)
async def test_one_two_four_one_workers_leave_no_trace_in_the_events(factory):
    f = await factory()
    f.start(0)
    await f.wait_for_line(0, "worker-starting", within_s=60)
    await f.load(4.0, RATE_PER_S, seed=SEED)
    f.start(1)
    await f.wait_for_line(1, "worker-starting", within_s=60)
    await f.load(4.0, RATE_PER_S, seed=SEED + 1)
    f.start(2)
    f.start(3)
    await f.wait_for_line(2, "worker-starting", within_s=60)
    await f.wait_for_line(3, "worker-starting", within_s=60)
    await f.load(6.0, RATE_PER_S, seed=SEED + 2)
    for number in (0, 1, 2):
        assert await f.terminate(number) == 0
        await f.load(1.0, RATE_PER_S, seed=SEED + 3 + number)
    await asyncio.sleep(1.0)
    await f.check()


@pytest.mark.timeout(300)
async def test_events_after_an_outage_are_those_of_a_worker_that_never_slept(factory):
    f = await factory(TWIN_WATERMARK_DELAY_MS="2000", TWIN_FORECAST_WORKERS="0")  # the wire's own delay makes nothing late
    f.start()
    await f.wait_for_line(0, "partition-ready", within_s=60)
    await f.load(3.0, RATE_PER_S, seed=SEED)
    f.kill9(0)
    await f.load(6.0, RATE_PER_S, seed=SEED + 1)
    f.start()
    await f.check()
    told_late = [event for event in await f.events() if event["payload"].get("late")]
    # Only this path is ever set with an `at` of its own, which may lie in the past.
    late = [event for event in told_late if event["payload"].get("path") != "services.turning.mean"]
    assert not late, f"commands written during the outage take effect at their own time: {late[:3]}"
