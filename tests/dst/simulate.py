"""One simulation from its seed, and what came of it."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from tests.dst.loop import Stuck
from tests.dst.oracle import Broken, check
from tests.dst.plan import Plan, draw
from tests.dst.world import World
from twin_app.streaming import partitions

QUIET = structlog.make_filtering_bound_logger(50)


@dataclass
class Outcome:
    """`failure`: one line, None if all promises were kept."""

    seed: int
    failure: str | None
    hits: Counter[str] = field(default_factory=Counter)
    ticks: int = 0
    events: int = 0

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.failure}   repeat with: python -m tests.dst --seed {self.seed} --runs 1 --trace"


def simulate(seed: int, change: Callable[[Plan], None] | None = None, *, trace: bool = False) -> Outcome:
    """Run the plan of a seed. `change` may alter the plan first."""
    plan = draw(seed)
    if change is not None:
        change(plan)
    world = World(plan)
    before = structlog.get_config()
    structlog.configure(
        processors=[_tell(world)],
        wrapper_class=structlog.make_filtering_bound_logger(0) if trace else QUIET,
        cache_logger_on_first_use=False,
    )
    failure = None
    try:
        world.run()
        check(world)
    except (Broken, Stuck) as error:
        failure = f"{type(error).__name__.lower()}: {error}"
    finally:
        structlog.configure(**before)
    hits = world.network.hits + world.exits
    hits["zombie"], hits["fenced"], hits["rebalance"] = world.zombies, world.broker.fenced, world.group.rebalances
    ticks = sum(len(log.entries) for tp, log in world.broker.logs.items() if tp.topic == world.settings.clock_topic)
    events = sum(len(log.entries) for tp, log in world.broker.logs.items() if tp.topic == "sim-events")
    return Outcome(seed, failure, hits, ticks, events)


def campaign(
    first: int,
    runs: int,
    *,
    seconds: float = 1e9,
    stop_after: int = 1,
    change: Callable[[Plan], None] | None = None,
    tell: Callable[[Outcome], None] = lambda _: None,
) -> tuple[list[Outcome], Counter[str], int]:
    """Simulations of the seeds from `first` on: the failures, all faults that happened, and how many runs it were."""
    failures: list[Outcome] = []
    hits: Counter[str] = Counter()
    started, done = time.monotonic(), 0
    gc.collect()
    gc.disable()  # the runs make many small cycles; collected between runs, in one go
    gc.freeze()  # and all that was there before them is not gone through each time
    tuned = partitions.settle_memory, partitions.await_many_objects
    partitions.settle_memory = partitions.await_many_objects = lambda: None  # the collector is this process's, not a worker's
    try:
        for seed in range(first, first + runs):
            outcome = simulate(seed, change)
            done += 1
            hits += outcome.hits
            if outcome.failure is not None:
                failures.append(outcome)
                tell(outcome)
                if len(failures) >= stop_after:
                    break
            if done % 20 == 0:
                gc.collect()
            if time.monotonic() - started > seconds:
                break
    finally:
        partitions.settle_memory, partitions.await_many_objects = tuned
        gc.unfreeze()
        gc.enable()
    return failures, hits, done


def _tell(world: World) -> Callable[..., str]:
    def tell(_: object, method: str, event: structlog.typing.EventDict) -> str:
        name = event.pop("event")
        event.pop("exc_info", None)
        return f"{world.loop.now:9.3f} {method:8} {name} " + " ".join(f"{key}={value}" for key, value in event.items())

    return tell
