"""The broker is away: at the start, for a moment, for longer than sessions and transactions last."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.brokers.java_process import free_ports
from tests.streaming.plant import Plant

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def test_broker_missing_at_the_start_is_no_crash_loop(tmp_path):
    address = f"127.0.0.1:{free_ports(1)[0]}"
    p = Plant(address, tmp_path)
    try:
        p.start()
        await p.wait_for_line(0, "broker not reachable", within_s=20)
        await asyncio.sleep(5)
        assert p.alive(0)
        said = p.logs()
        assert address in said
        assert "Traceback" not in said
        assert len(said.splitlines()) < 20, said
        assert await p.terminate(0) == 0, "the order to stop is heard while waiting"
    finally:
        p.close()


@pytest.mark.parametrize("away_s", [1.0, 16.0], ids=["for-a-moment", "longer-than-session-and-transaction"])
async def test_broker_restart_loses_or_doubles_nothing(plant, broker, away_s):
    p = await plant(TWIN_TRANSACTION_TIMEOUT_S="10")
    p.start(0)
    p.start(1)
    for number in (0, 1):
        await p.wait_for_line(number, "partition-ready", within_s=60)
    await p.produce(1500, rate_per_s=200)
    await asyncio.to_thread(broker.kill9)
    await asyncio.sleep(away_s)
    await asyncio.to_thread(broker.restart)
    began = time.monotonic()
    await p.produce(1000, rate_per_s=400)
    await p.check_exact(within_s=90)
    print(f"exact {time.monotonic() - began:.1f} s after the broker came back")
    assert p.alive(0), p.tail(0)
    assert p.alive(1), p.tail(1)
    assert "Traceback" not in p.logs(), p.logs()
