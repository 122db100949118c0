"""Whatever befalls the workers, the broker, the network and the clocks: nothing is lost and nothing doubled.

`TWIN_TEST_DST_RUNS` and `TWIN_TEST_DST_SEED` change how many simulations there are and where they begin.
"""

from __future__ import annotations

import os

from tests.dst.plan import draw
from tests.dst.simulate import campaign, simulate

RUNS = int(os.environ.get("TWIN_TEST_DST_RUNS", "400"))
SEED = int(os.environ.get("TWIN_TEST_DST_SEED", "1"))
SECONDS_MAX = float(os.environ.get("TWIN_TEST_DST_SECONDS", "20"))

CRASHES = """
    begin before-send after-send before-offsets after-offsets before-commit after-commit before-store after-store
    before-fence after-fence after-fetch recovering-store
"""
OTHERS = """
    lost-request-commit lost-answer-commit lost-answer-send lost-answer-fence refused-batch forgotten-offset
    kill freeze cut stop expire broker-down wall-step compact group-offsets zombie fenced
    lost-delivery repeated-delivery disk-lost disk-stale disk-full
"""
MUST_HAPPEN = [*(f"crash-{point}" for point in CRASHES.split()), *OTHERS.split()]
"""A fault that never happens is not tested."""
ENOUGH_RUNS = 300
"""From so many on, each of them does."""


def test_no_fault_loses_or_doubles_anything() -> None:
    failures, hits, done = campaign(SEED, RUNS, seconds=SECONDS_MAX)
    assert not failures, str(failures[0])
    if done >= ENOUGH_RUNS:
        assert [name for name in MUST_HAPPEN if not hits[name]] == []


def test_a_seed_never_gives_another_run() -> None:
    for seed in (2, 5, 23):
        assert draw(seed) == draw(seed)
        one, other = simulate(seed), simulate(seed)
        assert (one.hits, one.ticks, one.events, one.failure) == (other.hits, other.ticks, other.events, other.failure)
