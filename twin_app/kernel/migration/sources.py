"""Arrivals and schedules carried over: as they were where their declaration is the same, planned anew elsewhere."""

from typing import Any

from models.blueprint import Blueprint
from twin_app.kernel.migration.work import Work

WHEN = ("interarrival", "trace", "limit")
"""What an arrival's times follow from."""


class Sources:
    """`arrivals`, `schedules`: names of those to be planned anew once the new twin is there."""

    def __init__(self, work: Work, base: dict[str, Any], old: Blueprint, new: Blueprint) -> None:
        self.arrivals: list[str] = []
        self.schedules: list[str] = []
        self._carry_arrivals(work.data, base["arrivals"], old, new)
        self._carry_schedules(work.data, base["schedules"], old, new)

    def _carry_arrivals(self, data: dict[str, Any], base: dict[str, Any], old: Blueprint, new: Blueprint) -> None:
        found = {}
        for name, fresh in base.items():
            row = found[name] = data["arrivals"].get(name, fresh)
            before, after = old.arrivals.get(name), new.arrivals[name]
            if before is None or any(getattr(before, part) != getattr(after, part) for part in WHEN):
                found[name] = [_come(row[0], before, after, data["now"]), None, 0]
                self.arrivals.append(name)
        data["arrivals"] = found

    def _carry_schedules(self, data: dict[str, Any], base: dict[str, Any], old: Blueprint, new: Blueprint) -> None:
        found = {}
        for name, fresh in base.items():
            row = found[name] = data["schedules"].get(name, fresh)
            if old.schedules.get(name) != new.schedules[name]:
                found[name] = [*row[:2], None, 0]
                self.schedules.append(name)
        data["schedules"] = found


def _come(count: int, before: Any, after: Any, now: float) -> int:
    """How many have come. Of another trace, what lies before now has gone by."""
    if after.trace is None:
        return count
    past = count if before is not None and before.trace is not None and before.trace[:count] == after.trace[:count] else 0
    return max(past, sum(entry.at < now for entry in after.trace))
