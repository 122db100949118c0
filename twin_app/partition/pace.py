"""How far one cycle may go: the whole way when on schedule, in bounded steps when there is much to catch up."""

from __future__ import annotations

STEP_US_MIN = 1_000
STEP_US_MAX = 3_600_000_000
STEP_US_START = 1_000_000


class Pace:
    """Chooses the wall-time span of a cycle so that it executes about `entries_aim` calendar entries.

    What it chooses is written into the tick, so a replay does not depend on it.
    """

    __slots__ = ("entries_aim", "step_us")

    def __init__(self, entries_aim: int) -> None:
        self.entries_aim = entries_aim
        self.step_us = STEP_US_START

    def learn(self, entries: int) -> None:
        """Halve the step after a cycle that did too much, double it after one that had room to spare."""
        if entries > self.entries_aim:
            self.step_us = max(STEP_US_MIN, self.step_us // 2)
        elif entries * 4 < self.entries_aim:
            self.step_us = min(STEP_US_MAX, self.step_us * 2)
