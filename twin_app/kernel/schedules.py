"""Schedules: live parameters changed by the calendar, once or in a cycle. Shifts, opening hours, rates over the day."""

from typing import TYPE_CHECKING

from models.blueprint import Schedule as ScheduleModel
from models.errors import Rejected
from twin_app.kernel.calendar import URGENT, Entry

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Schedule(Entry):
    """One schedule. Its calendar entry is its next step; like a command it goes before what else is due at that time."""

    __slots__ = ("cycle", "model", "name", "position", "twin")

    def __init__(self, twin: "Twin", name: str, model: ScheduleModel) -> None:
        super().__init__()
        self.step = self
        self.twin = twin
        self.name = name
        self.model = model
        self.cycle = 0
        self.position = 0

    def plan(self) -> None:
        """Put the next step on the calendar."""
        steps = self.model.steps
        if self.position == len(steps):
            if self.model.every is None:
                return
            self.cycle += 1
            self.position = 0
        at = (self.model.every or 0.0) * self.cycle + steps[self.position].at
        self.twin.calendar.schedule(self, at, URGENT)

    def wake(self, entry: Entry) -> None:
        twin = self.twin
        changes = self.model.steps[self.position].set
        self.position += 1
        self.plan()
        try:
            twin.parameter_board.change(list(changes.items()), None)
        except Rejected as rejected:
            # Another bound was set in the meantime: the schedule says so and goes on.
            if twin.events:
                twin.emit(
                    "schedule-refused", None, None, {"schedule": self.name, "code": rejected.code, "message": rejected.message}
                )
