"""Whether 90 % intervals hold 90 % of what then happens: `python -m benchmarks.forecast_coverage [FORECASTS]`.

A twin is run to many random moments of many random histories. At each, a forecast of 199 replications is made as a worker makes
it, and then the twin itself goes on. Counted is how often what it does lies in the forecast's 5 % to 95 % range: the leaving
time of each entity in progress, the length of queues and the work in progress at four times, and the totals of the horizon.

A count like a queue's length cannot be held by exactly 90 %: a value on the very edge of its range counts as held, and beside it
is told how many would be held if the edges were not. The times are continuous, and are what is judged: 88 to 92 %.

The runs are many but small, so that the study takes minutes: raise FORECASTS for a sharper answer.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np
import orjson

from benchmarks.forecast_speed import asking
from models.blueprint import Blueprint
from twin_app.forecast import Effort, ForkPool, answers, question
from twin_app.forecast.estimates import wilson
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
    """How often what happened was strictly inside, and on the edge of, what was foretold."""

    def __init__(self) -> None:
        self.inside: dict[str, list[tuple[bool, bool]]] = defaultdict(list)

    def see(self, what: str, low: float | None, value: float, high: float | None) -> None:
        """None stands for beyond the horizon."""
        bottom, top = np.inf if low is None else low, np.inf if high is None else high
        self.inside[what].append((bottom < value < top, bottom <= value <= top))

    def show(self) -> None:
        for what, found in self.inside.items():
            strict, held = (sum(column) for column in zip(*found, strict=True))
            share = wilson(held, len(found))
            print(
                f"{what:28} {100 * share.estimate:5.1f} % of {len(found):,} held "
                f"(edges not counted: {100 * strict / len(found):.1f} %)"
            )


async def one(pool: ForkPool, seed: int, rng: np.random.Generator, score: Score, shares: list[tuple[int, int]]) -> None:
    twin = LiveTwin.register(Blueprint.model_validate({**SHOP, "seed": seed}))
    twin.advance(float(rng.uniform(100, 1_500)))
    twin.drain()
    made = [r async for r in answers(question(twin, HORIZON), pool, asking, effort=Effort((1, REPLICATIONS), 1e6))]
    outlook = orjson.loads(made[-1].body)["baseline"]
    finished = twin.twin.outcomes["finished"]
    areas = {name: resource.areas() for name, resource in twin.twin.resources.items()}
    bands = {band["quantity"]: band for band in outlook["bands"]}
    begun = twin.now
    for number, until in enumerate(outlook["grid"]):
        twin.advance(until)
        if number in CHECKED:
            for name, resource in twin.twin.resources.items():
                band = bands[f"resources.{name}.queue"]
                score.see(f"queue of {name}", band["q05"][number], len(resource.queue), band["q95"][number])
            score.see("work in progress", bands["wip"]["q05"][number], twin.wip, bands["wip"]["q95"][number])
    totals = {total["quantity"]: total for total in outlook["totals"]}
    for name, resource in twin.twin.resources.items():
        queue = (resource.areas()[2] - areas[name][2]) / (twin.now - begun)
        total = totals[f"resources.{name}.queue_mean"]
        score.see(f"mean queue of {name}", total["q05"], queue, total["q95"])
    score.see("finished", totals["finished"]["q05"], twin.twin.outcomes["finished"] - finished, totals["finished"]["q95"])
    left = {event.entity: event.sim_time for event in twin.drain() if event.kind == "entity-left"}
    held = 0
    for entity in outlook["entities"]:
        at = left.get(entity["entity"], float("inf"))
        low, high = entity["leaves_low"], entity["leaves_high"]
        if low == high:
            continue  # it is on the calendar already: exact
        score.see("leaving time of an entity", low, at, high)
        held += (np.inf if low is None else low) <= at <= (np.inf if high is None else high)
    shares.append((held, sum(e["leaves_low"] != e["leaves_high"] for e in outlook["entities"])))


async def main(forecasts: int) -> int:
    pool = ForkPool(2)
    await pool.start()
    score, rng, started = Score(), np.random.default_rng(1), time.monotonic()
    shares: list[tuple[int, int]] = []
    try:
        for first in range(0, forecasts, 4):
            seeds = range(first, min(first + 4, forecasts))
            await asyncio.gather(*(one(pool, seed, rng, score, shares) for seed in seeds))
    finally:
        await pool.close()
    print(f"{forecasts} forecasts of {REPLICATIONS} replications in {time.monotonic() - started:.0f} s")
    score.show()
    counts = np.array(shares, dtype=float)
    ratio = counts[:, 0].sum() / counts[:, 1].sum()
    error = np.sqrt(np.sum((counts[:, 0] - ratio * counts[:, 1]) ** 2)) / counts[:, 1].sum()
    print(f"leaving times, judged by forecast (entities of one are not independent): {100 * ratio:.1f} ± {164 * error:.1f} %")
    return 0 if 0.88 <= ratio <= 0.92 else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else FORECASTS)))
