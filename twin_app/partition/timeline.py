"""When a twin is due on the wall clock: the exact inverse of its time scale.

Wall times are integer microseconds since 1970 UTC.
"""

from __future__ import annotations

import math

from twin_app.switchboard.timescale import TimeScale

FAR_FUTURE_US = 1 << 62


def sim_time_at(scale: TimeScale, wall_us: int) -> float:
    """Simulation time, in the twin's unit, at a wall time; negative before the epoch."""
    return scale.sim_time(wall_us / 1000)


def due_us(scale: TimeScale, sim_time: float) -> int:
    """The first wall microsecond at which `sim_time` is reached; FAR_FUTURE_US if it never is.

    It is corrected until it agrees with `sim_time_at`: what is found due at a wall time must be found due in a replay.
    """
    if math.isinf(sim_time):
        return FAR_FUTURE_US
    distance = sim_time * scale.unit_ms * 1000
    if distance >= FAR_FUTURE_US - scale.epoch_ms * 1000:
        return FAR_FUTURE_US
    wall_us = scale.epoch_ms * 1000 + math.ceil(distance)
    step = 1
    while sim_time_at(scale, wall_us) < sim_time:  # a few rounding errors away at most; the step doubles, so it ends
        wall_us += step
        step *= 2
    step = 1
    while sim_time_at(scale, wall_us - step) >= sim_time:
        wall_us -= step
        step *= 2
    while step > 1:
        step //= 2
        if sim_time_at(scale, wall_us - step) >= sim_time:
            wall_us -= step
    return wall_us
