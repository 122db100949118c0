"""Wall time and simulation time must agree exactly: what was due is due again in a replay."""

import math

from hypothesis import given
from hypothesis import strategies as st

from twin_app.partition.timeline import FAR_FUTURE_US, due_us, sim_time_at
from twin_app.switchboard.timescale import TimeScale

EPOCH_MS = 1_795_000_000_000
scales = st.builds(
    TimeScale.of,
    st.sampled_from(["seconds", "minutes", "hours", "days"]),
    st.floats(1e-4, 1e2, allow_nan=False),
    st.integers(0, 2 * EPOCH_MS),
)


@given(scales, st.floats(0, 1e5, allow_nan=False))
def test_due_time_is_not_early_and_not_a_microsecond_late(scale: TimeScale, sim_time: float) -> None:
    wall_us = due_us(scale, sim_time)
    assert sim_time_at(scale, wall_us) >= sim_time
    assert sim_time_at(scale, wall_us - 1) < sim_time


@given(scales, st.integers(0, 10**15), st.integers(0, 10**15))
def test_simulation_time_does_not_run_backwards(scale: TimeScale, a: int, b: int) -> None:
    early, late = sorted((a, b))
    base = scale.epoch_ms * 1000
    assert sim_time_at(scale, base + early) <= sim_time_at(scale, base + late)


def test_factor_below_one_is_faster_than_the_wall() -> None:
    assert sim_time_at(TimeScale.of("seconds", 0.1, EPOCH_MS), EPOCH_MS * 1000 + 1_000_000) == 10.0
    assert sim_time_at(TimeScale.of("minutes", 1.0, EPOCH_MS), EPOCH_MS * 1000 + 60_000_000) == 1.0


def test_nothing_due_is_the_far_future_and_not_an_overflow() -> None:
    scale = TimeScale.of("days", 1e4, EPOCH_MS)
    assert due_us(scale, math.inf) == FAR_FUTURE_US
    assert due_us(scale, 1e300) == FAR_FUTURE_US
