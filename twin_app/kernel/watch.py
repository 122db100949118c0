"""What a twin reports by itself about a resource: a bottleneck, a growing queue, starvation.

- `bottleneck-formed`: the queue has held at least `queue` entities for `for` time units without a break; `bottleneck-cleared`:
  it then fell below.
- `queue-growing`: `by` entities joined the queue since one was last taken from it to be served (told again at each multiple).
- `resource-starving`: the resource has worked before, and for `for` time units has had capacity, nothing in service and
  nobody waiting; `resource-fed`: after that, an entity began.
"""

from typing import TYPE_CHECKING, Any

from models.blueprint import Watch as WatchModel
from twin_app.kernel.calendar import Entry
from twin_app.kernel.resource import Resource

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Alarm(Entry):
    """A timer that calls one of its watch's reports."""

    __slots__ = ("report",)

    def __init__(self, report: Any) -> None:
        super().__init__()
        self.step = self
        self.report = report

    def wake(self, entry: Entry) -> None:
        self.report()


class ResourceWatch:
    """Looks at one resource after each change of its queue or of what is busy. Constant work each time."""

    def __init__(self, twin: "Twin", resource: Resource, model: WatchModel) -> None:
        self._twin = twin
        self._resource = resource
        self._model = model
        self._formed = False
        self._starving = False
        self._queue = 0
        self._taken = 0
        self._joined = 0
        self.form_alarm = Alarm(self._form)
        self.starve_alarm = Alarm(self._starve)
        queue = model.bottleneck
        self._threshold, self._lasting = (queue.queue, queue.for_) if queue is not None else (0, 0.0)
        only_queue = queue is not None and model.growing is None and model.starving is None
        twin.observe(resource, self._look_at_queue if only_queue else self.look)

    @property
    def resource(self) -> str:
        """Name of the resource that is watched."""
        return self._resource.name

    @property
    def formed(self) -> bool:
        """Whether the resource is a bottleneck now."""
        return self._formed

    def alarms(self) -> list[Alarm]:
        return [self.form_alarm, self.starve_alarm]

    def look(self) -> None:
        if self._model.growing is not None:
            self._look_at_growth(self._model.growing.by)
        if self._model.bottleneck is not None:
            self._look_at_queue()
        if self._model.starving is not None:
            self._look_at_work(self._model.starving.for_)

    def _look_at_growth(self, by: int) -> None:
        resource = self._resource
        queue = len(resource.queue)
        if resource.taken != self._taken:
            self._taken = resource.taken
            self._joined = 0
        elif queue > self._queue:
            self._joined += queue - self._queue
            if self._joined % by == 0:
                self._tell("queue-growing", queue=queue, joined=self._joined)
        self._queue = queue

    def _look_at_queue(self) -> None:
        if len(self._resource.queue) >= self._threshold:
            if not self._formed and not self.form_alarm.order:
                self._twin.calendar.schedule(self.form_alarm, self._twin.now + self._lasting)
                self._twin.forming(self._resource.name)
        elif self._formed:
            self._formed = False
            self._tell("bottleneck-cleared", queue=len(self._resource.queue))
        elif self.form_alarm.order:
            self._twin.calendar.cancel(self.form_alarm)

    def _form(self) -> None:
        self._formed = True
        self._tell("bottleneck-formed", queue=len(self._resource.queue))

    def _look_at_work(self, lasting: float) -> None:
        resource = self._resource
        if resource.busy or resource.queue or not resource.usable:
            if self.starve_alarm.order:
                self._twin.calendar.cancel(self.starve_alarm)
            elif self._starving and resource.busy:
                self._starving = False
                self._tell("resource-fed")
        elif resource.started and not self._starving and not self.starve_alarm.order:
            self._twin.calendar.schedule(self.starve_alarm, self._twin.now + lasting)

    def _starve(self) -> None:
        self._starving = True
        self._tell("resource-starving")

    def _tell(self, kind: str, **payload: Any) -> None:
        self._twin.report(kind, {"resource": self._resource.name, **payload})

    # -- as data
    def snapshot(self) -> list[Any]:
        return [self._formed, self._starving, self._queue, self._taken, self._joined]

    def restore(self, data: list[Any]) -> None:
        self._formed, self._starving, self._queue, self._taken, self._joined = data
