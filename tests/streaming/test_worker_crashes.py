"""Workers die and come back, with a host that counts; a read-committed consumer must not be able to tell.

The same with live twins, also at random instants, by takeovers and with zombies: tests/chaos.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import time

import pytest

from twin_app.streaming.failpoints import CYCLE, RECOVERY

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def test_death_at_each_named_point_of_the_cycle_loses_or_doubles_nothing(plant):
    p = await plant()
    load = asyncio.create_task(p.produce(1200, rate_per_s=60))
    for point in CYCLE:
        # A static member takes its partitions back at once. Some cycles go through before the one that dies.
        p.start(TWIN_MEMBER_ID="one", TWIN_FAILPOINTS=f"{point}:0.2")
        await asyncio.wait_for(asyncio.to_thread(p.workers[0].wait), 60)
        assert p.failpoints_hit()[point] == 1, f"the worker ended elsewhere than at {point}:\n{p.tail(0)}"
    p.start(TWIN_MEMBER_ID="one")
    await load
    await p.check_exact()


async def test_death_in_the_middle_of_a_recovery_loses_or_doubles_nothing(plant):
    p = await plant()
    chosen = {"TWIN_MEMBER_ID": "one", "TWIN_FAILPOINTS": ",".join(f"{point}:0.2" for point in RECOVERY)}
    load = asyncio.create_task(p.produce(800, rate_per_s=60))
    end = time.monotonic() + 60
    p.start(**chosen)
    while sum(p.failpoints_hit().values()) < 3 and time.monotonic() < end:
        await asyncio.sleep(0.1)
        if not p.alive(0):
            p.start(**chosen)
        elif "partition-ready" in p.said_since_start(0):
            p.kill9(0)  # it got through: once more
            p.start(**chosen)
    await load
    p.kill9(0)
    p.start(TWIN_MEMBER_ID="one")
    await p.check_exact()
    assert sum(p.failpoints_hit().values()) >= 1, "the worker never died where it should"


async def test_graceful_leave_and_join_loses_or_doubles_nothing(plant):
    p = await plant()
    p.start(0)
    await p.wait_for_line(0, "worker-starting", within_s=60)
    load = asyncio.create_task(p.produce(3000, rate_per_s=150))
    await asyncio.sleep(4)
    p.start(1)
    await p.wait_for_line(1, "worker-starting", within_s=60)
    await asyncio.sleep(4)
    assert await p.terminate(0) == 0
    await asyncio.sleep(3)
    p.start(0)
    await p.wait_for_line(0, "worker-starting", within_s=60, count=2)
    await asyncio.sleep(3)
    assert await p.terminate(1) == 0
    await load
    await p.check_exact()
    assert "transaction-lost" not in p.logs(), "a graceful hand-over must fence nobody"


async def test_lost_and_damaged_local_state_is_rebuilt_from_the_changelog(plant):
    p = await plant(TWIN_MEMBER_ID="one")
    p.start()
    await p.produce(800, rate_per_s=400)
    await p.settled()
    p.kill9(0)
    shutil.rmtree(p.data(0))
    p.start()
    await p.produce(400, rate_per_s=400)
    await p.settled()
    p.kill9(0)
    rng = random.Random(2)
    files = sorted(f for f in p.data(0).rglob("*") if f.is_file() and f.stat().st_size > 100)
    assert files
    for file in files[::2]:
        raw = bytearray(file.read_bytes())
        raw[rng.randrange(len(raw))] ^= 0xFF
        file.write_bytes(raw if rng.random() < 0.5 else raw[: len(raw) // 2])
    p.start()
    await p.produce(400, rate_per_s=400)
    await p.check_exact()


async def test_a_cycle_that_raises_commits_nothing_and_ends_the_process(plant):
    p = await plant(partitions=1)
    p.start()
    await p.produce(100, rate_per_s=400)
    await p.settled()
    await p.produce(1, value=b"crash")
    code = await asyncio.wait_for(asyncio.to_thread(p.workers[0].wait), 30)
    assert code == 70
    outputs = [value for _, value in await p.read() if not value.startswith("beat")]
    assert len(outputs) == 100
    assert "cycle-failed" in p.logs()
