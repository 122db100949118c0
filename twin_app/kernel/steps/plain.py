"""The most frequent step, written out: `process` with one unit, no priority, no patience, at a plain line.

It does exactly what `Process` does (a test runs both and compares); what is written out here are the calls that would cost
more than the work. Used only where nothing else can stand in the resource's line.
"""

from heapq import heappush
from typing import Any

from models.errors import EntityFault
from twin_app.kernel.calendar import NORMAL
from twin_app.kernel.entity import MOVING, QUEUED, SERVING, Entity
from twin_app.kernel.resource import Resource
from twin_app.kernel.steps.base import DURATION_MAX, Next, legal_duration
from twin_app.kernel.steps.serve import Process


class PlainProcess(Process):
    """Seize one unit, spend the service time, release."""

    __slots__ = ()

    @staticmethod
    def fits(resource: Resource, body: Any, *, interrupts: bool) -> bool:
        """May this step be used for that body? Not where some step `interrupts`: there a service may have to be resumed."""
        return (
            not interrupts
            and resource.plain_line is not None
            and body.units == 1
            and body.priority == 0
            and body.patience is None
            and resource.queue_limit is None
        )

    def enter(self, entity: Entity) -> Next:
        resource, twin = self.resource, self.twin
        if twin.events:
            twin.seq = seq = twin.seq + 1
            tell = twin.tell
            tell((seq, twin.now, "entity-queued", entity.id, entity.last, self.payload))
            entity.last = seq
        entity.units = 1
        line = resource.plain_line
        if not line and resource.busy < resource.usable:
            return self.begin(entity, entity.last)
        entity.phase = QUEUED
        entity.since = now = twin.now
        resource.queue_sum -= now
        line.append(entity)  # type: ignore[union-attr]
        if resource.on_change is not None:
            resource.on_change()
        return None

    def begin(self, entity: Entity, cause: int | None) -> Next:
        draw = self._duration
        duration = draw(entity)
        if not 0.0 <= duration <= DURATION_MAX:
            duration = legal_duration(duration)
        resource, twin = self.resource, self.twin
        now = twin.now
        resource.busy += 1
        resource.busy_sum -= now
        resource.started += 1
        entity.phase = SERVING
        if twin.events:
            twin.seq = entity.last = seq = twin.seq + 1
            tell = twin.tell
            tell((seq, now, "entity-started", entity.id, cause, self.payload))
        calendar = twin.calendar
        at = now + duration
        if at < calendar.reach:
            # calendar.schedule(), written out: this is the most frequent entry
            entity.at = at
            calendar.number = entity.order = order = calendar.number + 1
            heappush(calendar.heap, (at, NORMAL, order, entity))
        else:
            calendar.schedule(entity, at)
        if resource.on_change is not None:
            resource.on_change()
        return None

    def _stop(self, entity: Entity) -> None:
        # What is noted in `units` may be of another step: here it is always one.
        self.resource.busy -= 1
        self.resource.busy_sum += self.twin.now

    def wake(self, entity: Entity) -> Next:
        resource, twin = self.resource, self.twin
        now = twin.now
        resource.busy -= 1
        resource.busy_sum += now
        entity.phase = MOVING
        if twin.events:
            twin.seq = seq = twin.seq + 1
            tell = twin.tell
            tell((seq, now, "entity-finished", entity.id, entity.last, self.payload))
            entity.last = seq
        line = resource.plain_line
        while line and resource.busy < resource.usable:
            # resource.grant(), written out
            waiting = line.popleft()
            resource.queue_sum += now
            resource.taken += 1
            resource.waited += now - waiting.since
            step = waiting.step
            if type(step) is PlainProcess:
                try:
                    step.begin(waiting, entity.last)
                except EntityFault as fault:
                    waiting.phase = MOVING
                    twin.fail(waiting, fault)
            else:
                waiting.phase = MOVING
                try:
                    following = step.begin(waiting, entity.last)
                except EntityFault as fault:
                    twin.fail(waiting, fault)
                    continue
                if following is not None:
                    waiting.step = following
                    twin.ready.append(waiting)
        if resource.on_change is not None:
            resource.on_change()
        return self.next
