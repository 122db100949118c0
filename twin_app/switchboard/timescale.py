"""The line between simulation time and the calendar: sim_time = (instant - epoch) / (factor x unit).

`factor` 1.0 is in step with the wall clock; 0.1 is ten times as fast. An event-mode twin lives on its records' timestamps,
whose pace is reality's own: its factor is 1. The same line serves the records' timestamps, the commands' `at` and the
events' time, so that an event's time sent back as `at` means the same simulation time (to the microsecond).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import NamedTuple

from models.errors import Rejected
from models.events import EVENT_TIME_US_MAX

UNIT_S = {"seconds": 1.0, "minutes": 60.0, "hours": 3_600.0, "days": 86_400.0}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class TimeScale(NamedTuple):
    """`epoch_ms`: the instant of simulation time 0, in ms since 1970 UTC. `unit_ms`: wall ms per simulation time unit."""

    epoch_ms: int
    unit_ms: float

    @classmethod
    def of(cls, unit: str, factor: float, epoch_ms: int) -> TimeScale:
        """The line for a blueprint's time unit and factor."""
        return cls(epoch_ms, 1_000.0 * UNIT_S[unit] * factor)

    def paced(self, unit_ms: float, now: float) -> TimeScale:
        """The line that leaves this one at simulation time `now`, with `unit_ms` wall ms per time unit from then on.

        Its epoch is a whole millisecond: the calendar may skip part of one, and never goes back.
        """
        if unit_ms == self.unit_ms:
            return self
        return TimeScale(ceil(self.epoch_ms + now * (self.unit_ms - unit_ms)), unit_ms)

    def sim_time(self, instant: float | datetime) -> float:
        """Simulation time at an instant (ms since 1970 UTC, or an aware datetime)."""
        ms = (instant - _EPOCH) / _MILLISECOND if isinstance(instant, datetime) else instant
        return (ms - self.epoch_ms) / self.unit_ms

    def event_time_us(self, sim_time: float) -> int:
        """The instant of a simulation time, in microseconds since 1970 UTC, at most EVENT_TIME_US_MAX."""
        distance_us = sim_time * self.unit_ms * 1_000.0
        if distance_us > EVENT_TIME_US_MAX:
            return EVENT_TIME_US_MAX
        return min(self.epoch_ms * 1_000 + floor(distance_us + 0.5), EVENT_TIME_US_MAX)


def to_epoch_ms(instant: datetime) -> int:
    """Milliseconds since 1970 UTC of an aware datetime."""
    return (instant - _EPOCH) // _MILLISECOND


def moment(at: float | datetime | None, scale: TimeScale, default: float) -> float:
    """A command's `at` as simulation time; `default` where it has none. Raises Rejected: `at-out-of-range`."""
    if at is None:
        return default
    sim_time = scale.sim_time(at) if isinstance(at, datetime) else at
    if sim_time > 1e15:
        raise Rejected("at-out-of-range", "`at` is too far in the future", remedy="give a simulation time below 1e15")
    return sim_time
