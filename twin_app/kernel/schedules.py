"""Schedules: live parameters changed by the clock: once, in a cycle, or by shifts. Opening hours, rates over the day."""

from typing import TYPE_CHECKING

from models.errors import Rejected
from models.schedules import Schedule as ScheduleModel
from twin_app.kernel.calendar import URGENT, Entry
from twin_app.kernel.emission import Value
from twin_app.kernel.shifts import OTHERWISE, Roster

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

UNIT_S = {"seconds": 1.0, "minutes": 60.0, "hours": 3_600.0, "days": 86_400.0}


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
        steps = self.model.steps or []
        if self.position == len(steps):
            if self.model.every is None:
                return
            self.cycle += 1
            self.position = 0
        at = (self.model.every or 0.0) * self.cycle + steps[self.position].at
        self.twin.calendar.schedule(self, at, URGENT)

    def begin(self) -> None:
        """Begin in the middle of the twin's life: the first step that is not before now is next."""
        every, now = self.model.every, self.twin.now
        self.cycle = int(now // every) if every is not None else 0
        since = now - (every or 0.0) * self.cycle
        self.position = sum(step.at < since for step in self.model.steps or [])
        self.plan()

    def due(self) -> dict[str, Value]:
        """What is set now; the next step is planned."""
        assert self.model.steps is not None
        changes = self.model.steps[self.position].set
        self.position += 1
        self.plan()
        return changes

    def wake(self, entry: Entry) -> None:
        twin = self.twin
        changes = self.due()
        try:
            twin.parameter_board.change(list(changes.items()), None)
        except Rejected as rejected:
            # Another bound was set in the meantime: the schedule says so and goes on.
            if twin.events:
                twin.emit(
                    "schedule-refused", None, None, {"schedule": self.name, "code": rejected.code, "message": rejected.message}
                )


class ShiftSchedule(Schedule):
    """A schedule by shifts. `cycle` is the instant of its next change in the roster's seconds; `position` is not used."""

    __slots__ = ("_roster", "_start_s", "_unit_s")

    def __init__(self, twin: "Twin", name: str, model: ScheduleModel) -> None:
        super().__init__(twin, name, model)
        time = twin.blueprint.time
        assert time.start is not None  # models/check.py sees to it
        self._roster = Roster(model)
        self._start_s = self._roster.local_s(time.start)
        # The one line between simulation time and the calendar (switchboard/timescale.py): the same as of event times and `at`.
        self._unit_s = UNIT_S[time.unit] * (1.0 if time.mode == "event" else time.factor)

    def plan(self) -> None:
        """At time 0 what holds then is set."""
        self.cycle = int(self._start_s // 1)
        self.twin.calendar.schedule(self, 0.0, URGENT)

    def begin(self) -> None:
        """What holds now is set."""
        now = self.twin.now
        self.cycle = int((self._start_s + now * self._unit_s) // 1)
        self.twin.calendar.schedule(self, now, URGENT)

    def due(self) -> dict[str, Value]:
        held = self._roster.holds(self.cycle)
        following = self._roster.next_change(self.cycle)
        if following is not None:
            self.cycle = following
            self.twin.calendar.schedule(self, (following - self._start_s) / self._unit_s, URGENT)
        assert self.model.shifts is not None
        assert self.model.otherwise is not None
        return self.model.otherwise if held == OTHERWISE else self.model.shifts[held].set


def schedule(twin: "Twin", name: str, model: ScheduleModel) -> Schedule:
    """The schedule that a model describes."""
    return (Schedule if model.shifts is None else ShiftSchedule)(twin, name, model)
