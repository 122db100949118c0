"""An answer ends when it is narrow enough, or when its time is spent; and no more is asked of the pool than it takes."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from models.errors import TwinError
from tests.forecast.plants import LINE, SHOP, asking, live, revisions
from twin_app.forecast import Effort, ForkPool, InlineCrew, answers, pool, question
from twin_app.forecast.answering import Topic

STEADY: dict[str, Any] = {**SHOP, "services": {"turning": {"uniform": {"low": 3.9, "high": 4.1}}, "milling": {"constant": 9}}}
STEADY["arrivals"] = {"orders": {"interarrival": {"constant": 5}, "flow": "make"}}
"""It is left to chance, but to little."""


async def test_what_is_narrow_enough_is_not_sharpened_further() -> None:
    made = await revisions(question(live(STEADY, 300.0), 200.0), rounds=(1, 4, 16, 64, 200))
    assert not made[-1].deterministic
    assert made[-1].precise
    assert made[-1].final
    assert [one.replications for one in made] == [1, 4, 16, 64], "200 were allowed; with 16, no share is known to 5 %"


async def test_what_is_wide_is_sharpened_to_the_last_round() -> None:
    made = await revisions(question(live(SHOP, 300.0), 200.0), rounds=(1, 4, 16, 24))
    assert [(one.replications, one.final) for one in made] == [(1, False), (4, False), (16, False), (24, True)]
    assert not made[-1].precise


async def test_no_round_is_begun_when_the_time_is_spent() -> None:
    """The answer is given as it is, and says how little it knows."""
    asked = question(live(SHOP, 300.0), 200.0)
    made = [one async for one in answers(asked, InlineCrew(), asking, effort=Effort((1, 4, 16), 0.0))]
    assert [(one.replications, one.final, one.precise) for one in made] == [(1, True, False)]
    totals = orjson.loads(made[0].body)["baseline"]["totals"]
    assert {total["mean_low"] for total in totals} == {None}


async def test_tasks_beyond_the_limit_are_refused_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait already keep their turn. No process is needed for that."""
    monkeypatch.setattr(pool, "WAITING_MAX", 3)
    forks, topic = ForkPool(1), Topic(question(live(LINE, 10.0), 10.0))
    waiting = [asyncio.create_task(forks.perform(topic, ["contrast", 0])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TwinError) as refused:
        await forks.perform(topic, ["contrast", 0])
    assert refused.value.code == "pool-full"
    assert not any(task.done() for task in waiting)
    await forks.close()
    await asyncio.gather(*waiting, return_exceptions=True)
