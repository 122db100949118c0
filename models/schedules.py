"""Schedules: parameters set by the clock. Once, in a cycle, or by shifts on the days of the week."""

from datetime import date
from itertools import pairwise
from typing import Annotated, Literal, get_args

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from models.base import Duration, Json, Model

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)

Changes = Annotated[dict[Annotated[str, Field(max_length=400)], Json], Field(min_length=1, max_length=100)]
ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]
"""Hours and minutes of a day, `08:30`. `24:00` is the end of the day."""
UtcOffset = Annotated[str, StringConstraints(pattern=r"^[+-](0[0-9]|1[0-4]):[0-5][0-9]$")]


class ScheduleStep(Model):
    """At `at` (from the start, or of the cycle) these parameters get these values."""

    at: Duration
    set: Changes


class Shift(Model):
    """On these `days` of the week, `from` a time of day `to` another (of the next day, if that is not later), `set` holds."""

    days: list[Day] = Field(default=list(DAYS), min_length=1, max_length=7)
    from_: ClockTime = Field(alias="from")
    to: ClockTime
    set: Changes


class Schedule(Model):
    """Parameters set by the clock: at `steps`, once or in a cycle of length `every`; or by `shifts`.

    Of shifts the first that covers the time of day holds, and `otherwise` where none does; all of them set the same
    parameters. No shift begins on a `closed` date. Clock times are those of event times: from the blueprint's `time.start` on, at
    its `factor`. They are at a fixed `utc_offset` (there is no summer time: its rules change, and the past would change too).
    """

    every: Annotated[float, Field(gt=0, le=1e12)] | None = None
    steps: list[ScheduleStep] | None = Field(default=None, min_length=1, max_length=10_000)
    shifts: list[Shift] | None = Field(default=None, min_length=1, max_length=100)
    otherwise: Changes | None = None
    closed: list[Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]] = Field(
        default_factory=list, max_length=1_000
    )
    utc_offset: UtcOffset = "+00:00"

    @model_validator(mode="after")
    def _one_kind(self) -> "Schedule":
        if (self.steps is None) == (self.shifts is None):
            raise PydanticCustomError("one_kind", "give either `steps` or `shifts`")
        if self.shifts is not None:
            self._check_shifts(self.shifts)
        elif self.otherwise is not None or self.closed:
            raise PydanticCustomError("one_kind", "`otherwise` and `closed` belong to `shifts`")
        return self

    def _check_shifts(self, shifts: list[Shift]) -> None:
        if self.every is not None:
            raise PydanticCustomError("one_kind", "`every` belongs to `steps`: shifts repeat by the week")
        if self.otherwise is None:
            raise PydanticCustomError("otherwise_missing", "shifts need `otherwise`: what holds when none of them does")
        for shift in shifts:
            if set(shift.set) != set(self.otherwise):
                raise PydanticCustomError("shift_paths", "each shift and `otherwise` set the same parameters")
        for day in self.closed:
            try:
                date.fromisoformat(day)
            except ValueError:
                raise PydanticCustomError("no_such_date", "there is no date {day}", {"day": day}) from None

    @model_validator(mode="after")
    def _in_order(self) -> "Schedule":
        steps = self.steps or []
        if any(b.at < a.at for a, b in pairwise(steps)):
            raise PydanticCustomError("schedule_order", "the times of a schedule do not go back")
        if self.every is not None and steps and steps[-1].at >= self.every:
            raise PydanticCustomError("schedule_order", "a step of a cycle lies before its end, `every`")
        return self

    def changes(self) -> list[tuple[tuple[str | int, ...], dict[str, Json]]]:
        """All that it may set, each with its place inside the schedule."""
        found: list[tuple[tuple[str | int, ...], dict[str, Json]]] = []
        for number, step in enumerate(self.steps or []):
            found.append((("steps", number, "set"), step.set))
        for number, shift in enumerate(self.shifts or []):
            found.append((("shifts", number, "set"), shift.set))
        if self.otherwise is not None:
            found.append((("otherwise",), self.otherwise))
        return found
