"""What surrounds live twins fails under load: the registry, the broker, the wall clock, and workers while they recover.

The golden sequence decides each time. `TWIN_TEST_SEED` sets instants and commands, `TWIN_TEST_ROUNDS` how often each blow falls.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal

import pytest

from tests.chaos.avro_producer import AvroProducer
from tests.chaos.factory import TWINS, Factory
from twin_app.streaming.failpoints import NAMES

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(900)]

SEED = int(os.environ.get("TWIN_TEST_SEED", "1"))
ROUNDS = int(os.environ.get("TWIN_TEST_ROUNDS", "1"))
RATE_PER_S = 20.0


async def ready(f: Factory, *numbers: int) -> None:
    for number in numbers:
        await f.wait_for_line(number, "partition-ready", within_s=90)


async def test_a_registry_that_is_down_under_load_pauses_and_loses_nothing(factory, registry):
    """A command in a schema that nobody has met waits for the registry, and all commands of its partition behind it."""
    f = await factory(partitions=2, TWIN_FORECAST_WORKERS="0")
    f.start(0)
    await ready(f, 0)
    rng = random.Random(SEED)
    for round_ in range(ROUNDS):
        avro = AvroProducer(f.application.registry_url)
        await avro.prepare(f.application.config_topic)
        await asyncio.to_thread(registry.kill9)
        for twin in TWINS:
            await f.send(twin, avro.command(rng, twin))
        await f.load(4.0, RATE_PER_S, seed=SEED + round_)
        await f.wait_for_line(0, "registry-unreachable", within_s=30, count=round_ + 1)
        assert f.alive(0), f.tail(0)
        await asyncio.to_thread(registry.restart)
        await f.load(2.0, RATE_PER_S, seed=SEED + 100 + round_)
        await f.applied()
    await f.wait_for_line(0, "partition-goes-on", within_s=60)  # once it has caught up
    assert "Traceback" not in f.logs()
    await f.check()


async def test_a_broker_restart_in_the_middle_of_everything_leaves_no_trace_in_the_events(factory, broker):
    f = await factory(partitions=2, TWIN_TRANSACTION_TIMEOUT_S="10", TWIN_FORECAST_WORKERS="0")
    f.start(0)
    f.start(1)
    await ready(f, 0, 1)
    for round_ in range(ROUNDS):
        await f.load(2.0, RATE_PER_S, seed=SEED + round_)
        await asyncio.to_thread(broker.kill9)
        f.kill9(round_ % 2)
        await asyncio.sleep(2.0)
        f.start(round_ % 2)  # it finds no broker
        await asyncio.sleep(4.0)
        await asyncio.to_thread(broker.restart)
        await f.load(3.0, RATE_PER_S, seed=SEED + 100 + round_)
        await f.applied()
    await f.check()


async def test_a_wall_clock_that_is_set_moves_no_twin_back_and_loses_nothing(factory):
    """Two workers whose clocks are set forward and back while partitions change hands between them."""
    f = await factory(partitions=2, TWIN_FORECAST_WORKERS="0")
    clocks = {number: f.folder / f"clock-{number}" for number in (0, 1)}
    for number, clock in clocks.items():
        clock.write_text("0")
        f.command = ("tests.chaos.skewed_worker", str(clock))
        f.start(number)
    await ready(f, 0, 1)
    for round_ in range(ROUNDS):
        await f.load(2.0, RATE_PER_S, seed=SEED + round_)
        for number, ahead_s in ((0, 12.0), (1, -5.0), (0, -3600.0), (1, 8.0)):
            clocks[number].write_text(str(ahead_s))
            await f.load(2.5, RATE_PER_S, seed=SEED + 10 * round_ + number)
        f.command = ("tests.chaos.skewed_worker", str(clocks[0]))
        f.kill9(0)
        clocks[0].write_text("-30")
        f.start(0)
        await f.load(8.0, RATE_PER_S, seed=SEED + 200 + round_)
    assert "clock-set-back" in f.logs(), "a partition whose time stands says why"
    assert "Traceback" not in f.logs()
    for clock in clocks.values():
        clock.write_text("60")  # later than any tick: nothing may be left waiting
    await f.check()


async def test_workers_that_come_go_and_die_while_others_recover_leave_no_trace_in_the_events(factory):
    """1, 2, 4 and 1 workers, without waiting for anybody: each step falls into the recovery that the last one caused."""
    f = await factory(partitions=4, TWIN_STANDBY_REPLICAS="1", TWIN_FORECAST_WORKERS="0")
    f.start(0)
    load = asyncio.create_task(f.load(3600.0, RATE_PER_S, seed=SEED))
    rng = random.Random(SEED)
    try:
        await ready(f, 0)
        for _ in range(ROUNDS):
            f.start(1)
            await f.wait_for_line(1, "worker-starting", within_s=60)
            await asyncio.sleep(rng.uniform(0.0, 1.0))
            f.kill9(0)
            f.start(2)
            f.start(3)
            await asyncio.sleep(rng.uniform(4.0, 8.0))
            f.kill9(3)
            f.start(0)
            await asyncio.sleep(rng.uniform(3.0, 6.0))
            f.signal(2, signal.SIGSTOP)
            await asyncio.sleep(rng.uniform(7.0, 9.0))
            f.signal(2, signal.SIGCONT)
            for number in (1, 2):
                f.kill9(number)
            shutil.rmtree(f.data(1), ignore_errors=True)
            await asyncio.sleep(rng.uniform(5.0, 9.0))
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    await f.check()


async def test_live_twins_survive_deaths_at_every_named_point(factory):
    """One worker, started again whenever it died, until it has died at most points of a recovery and of a cycle."""
    chances = ",".join(f"{name}:0.02" for name in NAMES)
    f = await factory(partitions=2, TWIN_MEMBER_ID="one", TWIN_FORECAST_WORKERS="0", TWIN_FAILPOINTS=chances)
    wanted = min(len(NAMES), 2 + 2 * ROUNDS)
    load = asyncio.create_task(f.load(3600.0, RATE_PER_S, seed=SEED))
    loop = asyncio.get_running_loop()
    end = loop.time() + 60.0 * ROUNDS
    f.start(0)
    try:
        while len(f.failpoints_hit()) < wanted and loop.time() < end:
            await asyncio.sleep(0.2)
            if not f.alive(0):
                f.start(0)
    finally:
        load.cancel()
        await asyncio.gather(load, return_exceptions=True)
    f.kill9(0)
    f.start(0, TWIN_FAILPOINTS="")
    await f.check()
    assert len(f.failpoints_hit()) >= min(2, wanted), f.failpoints_hit()
