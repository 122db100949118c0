"""Whether 90 % intervals hold 90 % of what then happens.

`python -m benchmarks.forecast_coverage [FORECASTS [FIRST_SEED [REPLICATIONS]]]`

A twin is run to many random moments of many random histories. At each, a forecast of 199 replications is made as a worker makes
it, and then the twin itself goes on. Counted is how often what it does lies in the forecast's 5 % to 95 % range: the leaving
time of each entity in progress, the length of queues and the work in progress at four times, and the totals of the horizon.

A count like a queue's length takes few values, and no interval of whole numbers holds exactly 90 % of them: one with its edges
holds more, one without them less. So three figures are told:
- held: the value lies within its range or on its edge, as a reader of the record takes it, beside what the forecast itself says
  of this range: the share of its own replications in there. Those two must agree.
- the rank test: the value's rank among the replications, ties broken at random (the randomised probability integral transform:
  Czado, Gneiting and Held 2009, "Predictive model assessment for count data"). If the twin's future is one more replication, all
  ranks are equally likely, whatever the distribution, and exactly 90 % of them lie in the middle 90 %. This is what is judged,
  for counts and times alike: 88 to 92 %.

The runs are many but small, so that the study takes minutes: raise FORECASTS for a sharper answer, and give another FIRST_SEED
for an independent one (histories are seeded FIRST_SEED, FIRST_SEED + 1, …). The rank test is as exact with 19 replications, in a
tenth of the time; what is held then says less, since an interval of 19 is a rougher one.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any, cast

import numpy as np

from models.blueprint import Blueprint
from models.forecasts import QUANTILES
from twin_app.forecast import Fork, ForkPool, PoolLimits, Question, question
from twin_app.forecast.answering import Topic
from twin_app.forecast.estimates import Array, quantiles, wilson
from twin_app.forecast.layout import Layout
from twin_app.forecast.outlook import Rows
from twin_app.forecast.replication import prepare
from twin_app.switchboard import LiveTwin

FORECASTS = 400
REPLICATIONS = 199
HORIZON = 60.0
CHECKED = (0, 11, 23, 47)
"""Points of the grid at which what is counted is compared."""

SHOP: dict[str, Any] = {
    "twin": "Shop",
    "resources": {"a": {}, "b": {"capacity": 2}},
    "services": {"turning": {"exponential": {"mean": 4.4}}, "milling": {"lognormal": {"mean": 9, "sd": 4}}},
    "arrivals": {"orders": {"interarrival": {"exponential": {"mean": 5}}, "flow": "make"}},
    "flows": {
        "make": [{"process": {"resource": "a", "service": "turning"}}, {"process": {"resource": "b", "service": "milling"}}]
    },
    "watch": {"bottleneck": {"queue": 8, "for": 5}},
}


class Score:
    """How often what happened was within what was foretold. Each: held, said by the forecast itself, rank in the middle."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self.found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)

    def see(self, what: str, rows: Array, value: float) -> bool:
        """`rows`: what the replications say. Whether the range of the record would hold the value."""
        low, high = quantiles(rows, [QUANTILES[0], QUANTILES[-1]])
        n = len(rows)
        rank = (np.sum(rows < value) + self._rng.uniform() * (1 + np.sum(rows == value))) / (n + 1)
        held = bool(low <= value <= high)
        self.found[what].append((held, float(np.mean((low <= rows) & (rows <= high))), float(0.05 <= rank < 0.95)))
        return held

    def show(self) -> bool:
        """Print all; whether every rank test is within its limits."""
        good = True
        for what, found in self.found.items():
            held, said, middle = (100 * sum(column) / len(found) for column in zip(*found, strict=True))
            limits = wilson(round(middle * len(found) / 100), len(found))
            assert limits.low is not None
            assert limits.high is not None
            missed = limits.high < 0.88 or limits.low > 0.92
            good &= not missed
            print(
                f"{what:28} {held:5.1f} % of {len(found):,} held, {said:5.1f} % said; rank test {middle:5.1f} % "
                f"[{100 * limits.low:.1f}, {100 * limits.high:.1f}]{'  MISSED' if missed else ''}"
            )
        return good


async def ahead(pool: ForkPool, asked: Question, replications: int) -> tuple[Layout, Array]:
    """All replications of a question, one row each, on both processes."""
    topic = Topic(asked)
    layout = Layout.of(asked, cast(Fork, prepare(asked, 0, 1).live.twin))
    salts = np.array_split(np.arange(1, replications + 1), pool.size)
    made = await asyncio.gather(*(pool.perform(topic, ["replicate", 0, part.tolist(), False]) for part in salts))
    return layout, np.frombuffer(b"".join(rows for rows, _, _ in made)).reshape(replications, -1)


async def one(
    pool: ForkPool, seed: int, replications: int, rng: np.random.Generator, score: Score, shares: list[tuple[int, int]]
) -> None:
    twin = LiveTwin.register(Blueprint.model_validate({**SHOP, "seed": seed}))
    twin.advance(float(rng.uniform(100, 1_500)))
    twin.drain()
    asked = question(twin, HORIZON)
    layout, matrix = await ahead(pool, asked, replications)
    rows = Rows(asked, layout, matrix, exact=False)
    series = rows.part("series").reshape(replications, len(layout.series), len(layout.grid))
    finished = twin.twin.outcomes["finished"]
    areas = {name: resource.areas() for name, resource in twin.twin.resources.items()}
    begun = twin.now
    for number, until in enumerate(layout.grid):
        twin.advance(until)
        if number in CHECKED:
            for name, resource in twin.twin.resources.items():
                foretold = series[:, layout.series.index(f"resources.{name}.queue"), number]
                score.see(f"queue of {name}", foretold, len(resource.queue))
            score.see("work in progress", series[:, layout.series.index("wip"), number], twin.wip)
    for name, resource in twin.twin.resources.items():
        queue = (resource.areas()[2] - areas[name][2]) / (twin.now - begun)
        score.see(f"mean queue of {name}", rows.total(f"resources.{name}.queue_mean"), queue)
    score.see("finished", rows.total("finished"), twin.twin.outcomes["finished"] - finished)
    left = {event.entity: event.sim_time for event in twin.drain() if event.kind == "entity-left"}
    held = judged = 0
    for column, entity in enumerate(layout.entities):
        foretold = rows.part("left_at")[:, column]
        if foretold.min() == foretold.max():
            continue  # it is on the calendar already: exact
        judged += 1
        held += score.see("leaving time of an entity", foretold, left.get(entity, float("inf")))
    shares.append((held, judged))


async def main(forecasts: int, first_seed: int, replications: int) -> int:
    pool = ForkPool(2, PoolLimits(task_s=120.0))
    await pool.start()
    rng, started = np.random.default_rng([1, first_seed]), time.monotonic()
    score = Score(np.random.default_rng([2, first_seed]))
    shares: list[tuple[int, int]] = []
    try:
        until = first_seed + forecasts
        for first in range(first_seed, until, 4):
            seeds = range(first, min(first + 4, until))
            await asyncio.gather(*(one(pool, seed, replications, rng, score, shares) for seed in seeds))
    finally:
        await pool.close()
    print(f"{forecasts} forecasts of {replications} replications in {time.monotonic() - started:.0f} s")
    good = score.show()
    counts = np.array(shares, dtype=float)
    ratio = counts[:, 0].sum() / counts[:, 1].sum()
    error = np.sqrt(np.sum((counts[:, 0] - ratio * counts[:, 1]) ** 2)) / counts[:, 1].sum()
    print(f"leaving times, judged by forecast (entities of one are not independent): {100 * ratio:.1f} ± {164 * error:.1f} %")
    return 0 if good and 0.88 <= ratio <= 0.92 else 1


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    sys.exit(asyncio.run(main(*(given + [FORECASTS, 0, REPLICATIONS][len(given) :]))))
