"""F3: whatever becomes of a fork, the live twin is as it was, and so are the other forecasts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from models.errors import TwinError
from tests.forecast.plants import LINE, LOOP, SHOP, asking, live, revisions, set_
from twin_app.forecast import Effort, ForkPool, InlineCrew, PoolLimits, answers, headroom, question

ENDLESS: dict[str, Any] = {
    "twin": "Endless",
    "arrivals": {"x": {"interarrival": {"exponential": {"mean": 1.0}}, "flow": "f"}},
    "flows": {"f": [{"delay": 1e9}]},
    "limits": {"entities": 10_000_000},
}
"""Entities only come: memory grows with the horizon."""


@pytest.fixture
async def pool() -> AsyncIterator[ForkPool]:
    pool = ForkPool(2)
    await pool.start()
    yield pool
    await pool.close()


async def test_asking_changes_nothing_in_the_live_twin() -> None:
    twin = live(SHOP, 300.0)
    before = twin.state_hash()
    asked = question(twin, 480, {"wider": [set_(twin, "resources.b.capacity", 4)]})
    made = await revisions(asked)
    assert len(made) == 2
    assert twin.state_hash() == before
    twin.advance(twin.now + 100)
    twin.drain()
    again = live(SHOP, 300.0)
    again.advance(400.0)
    assert twin.state_hash() == again.state_hash()


async def test_the_pool_never_gives_another_answer_than_this_process(pool: ForkPool) -> None:
    def told(bodies: list[Any]) -> list[Any]:
        import orjson

        records = [orjson.loads(made.body) for made in bodies]
        return [{k: v for k, v in record.items() if k not in ("compute_s", "created_at")} for record in records]

    asked = question(live(SHOP, 300.0), 200, {"same": []})
    rounds = (1, 4, 13)
    assert told(await revisions(asked, rounds=rounds, crew=pool)) == told(await revisions(asked, rounds=rounds))


async def test_a_crash_of_a_fork_ends_that_forecast_and_nothing_else(pool: ForkPool) -> None:
    twin = live(SHOP, 300.0)
    before = twin.state_hash()
    pids = pool.pids

    async def kill_after_the_first_answer() -> None:
        async for _ in answers(question(twin, 480), pool, asking, effort=Effort((1, 100_000), 300.0)):
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(TwinError, match="fork-crashed"):
        await kill_after_the_first_answer()
    assert twin.state_hash() == before
    made = await revisions(question(twin, 100), crew=pool)
    assert made[-1].final
    assert set(pool.pids).isdisjoint(pids)


async def test_a_fork_that_needs_too_much_memory_fails_alone() -> None:
    pool = ForkPool(1, PoolLimits(memory_mb=180, task_s=60.0))
    await pool.start()
    try:
        twin = live(ENDLESS, 10.0)
        before = twin.state_hash()
        with pytest.raises(TwinError, match=r"fork-(out-of-memory|crashed)"):
            await revisions(question(twin, 1_900_000.0), rounds=(1, 2), crew=_NoHorizonLimit(pool))
        assert twin.state_hash() == before
        assert (await revisions(question(live(LINE, 60.0), 100), crew=pool))[-1].final
    finally:
        await pool.close()


async def test_a_fork_that_is_stuck_without_memory_is_not_said_to_be_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headroom, "AT_LIMIT_BYTES", 1 << 40)  # any fork is at its limit then, and this one says nothing of it
    pool = ForkPool(1, PoolLimits(task_s=60.0))
    await pool.start()
    try:
        stuck = revisions(question(live(SHOP, 300.0), 4_000_000.0), crew=_NoHorizonLimit(pool))
        with pytest.raises(TwinError, match="fork-out-of-memory"):
            await stuck
        assert (await revisions(question(live(LINE, 60.0), 100), crew=pool))[-1].final
    finally:
        await pool.close()


async def test_a_fork_that_is_too_slow_is_ended() -> None:
    pool = ForkPool(1, PoolLimits(task_s=0.5))
    await pool.start()
    try:
        with pytest.raises(TwinError, match="fork-too-slow"):
            await revisions(question(live(SHOP, 300.0), 400_000.0), crew=_NoHorizonLimit(pool))
        assert (await revisions(question(live(LINE, 60.0), 100), crew=pool))[-1].final
    finally:
        await pool.close()


async def test_a_model_that_fails_ahead_says_so_and_leaves_the_live_twin_running() -> None:
    twin = live(LOOP, 5.0)
    twin.apply(set_(twin, "variables.go", 1, at=50.0), effective=twin.now)
    with pytest.raises(TwinError, match="too-many-steps"):
        await revisions(question(twin, 100))
    twin.advance(45.0)


async def test_a_scenario_that_breaks_the_model_is_put_aside_with_the_reason() -> None:
    import orjson

    twin = live(LOOP, 5.0)
    record = orjson.loads((await revisions(question(twin, 100, {"go": [set_(twin, "variables.go", 1)]})))[-1].body)
    assert "too-many-steps" in record["scenarios"][0]["refused"][0]
    assert record["baseline"]["sentence"]


async def test_a_horizon_that_is_too_far_is_shortened_instead_of_refused() -> None:
    import orjson

    record = orjson.loads((await revisions(question(live(LINE, 60.0), 1e7), crew=InlineCrew()))[-1].body)
    assert 10_000 < record["horizon"] < 1e6
    assert record["final"]


async def test_a_cancelled_answer_frees_its_processes_at_once(pool: ForkPool) -> None:
    long = asyncio.ensure_future(revisions(question(live(SHOP, 300.0), 150_000.0), rounds=(1, 1000), crew=pool))
    await asyncio.sleep(0.5)
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    async with asyncio.timeout(5):
        assert (await revisions(question(live(LINE, 60.0), 100), crew=pool))[-1].final


class _NoHorizonLimit:
    """A crew whose first replication is not stopped by its number of entries."""

    def __init__(self, pool: ForkPool) -> None:
        self.size, self._pool = pool.size, pool

    async def perform(self, about: Any, task: list[Any]) -> Any:
        if task[0] == "replicate":
            task = [*task[:3], False]
        return await self._pool.perform(about, task)
