"""Seize, process and release: holding units of a resource."""

from heapq import heappush
from typing import TYPE_CHECKING, Any

from models.errors import EntityFault
from twin_app.kernel.calendar import NORMAL
from twin_app.kernel.entity import HALTED, MOVING, QUEUED, SERVING, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import DURATION_MAX, Next, Step, amount, legal_duration, positive_whole

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin


class Seize(Step):
    """Hold units until they are released."""

    __slots__ = (
        "_balk_to",
        "_body",
        "_patience",
        "_preempts",
        "_priority",
        "_renege_to",
        "_simple",
        "_units",
        "payload",
        "resource",
    )

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self.resource = twin.resources[body.resource]
        self.payload = {"resource": body.resource}
        self._units = amount(twin, body.units)
        self._priority = amount(twin, body.priority)
        self._patience = twin.duration(body.patience, f"{place.stream}.patience") if body.patience is not None else None
        self._preempts = self.resource.discipline == "preemptive" and getattr(body, "preempt", True)
        # Most steps ask for one unit at priority 0 and wait for ever.
        self._simple = self._units == 1 and self._priority == 0 and self._patience is None

    def link(self) -> None:
        self._renege_to = self.place.target(self._body.on_renege or "end")
        self._balk_to = self.place.target(self._body.on_balk or "end")

    # -- asking
    def enter(self, entity: Entity) -> Next:
        resource = self.resource
        if not self._simple:
            self._ask(entity)
        else:
            entity.units = 1
            entity.priority = 0
        free = not resource.queue and resource.busy + entity.units <= resource.usable
        if not free and resource.queue_limit is not None and len(resource.queue) >= resource.queue_limit:
            return self._balk(entity)
        twin = self.twin
        if twin.events:
            entity.last = twin.emit("entity-queued", entity.id, entity.last, self.payload)
        if free:
            return self.begin(entity, entity.last)
        entity.phase = QUEUED
        resource.join(entity)
        if self._patience is not None:
            twin.calendar.schedule(entity, twin.now + legal_duration(self._patience(entity)))
        if resource.busy < resource.usable:
            resource.grant(entity.last)
        if self._preempts and entity.phase == QUEUED and resource.usable and resource.queue.first() is entity:
            self._displace(entity)
        return None

    def _displace(self, entity: Entity) -> None:
        """Make room by interrupting the worst in service, if they are worse than this one and suffice."""
        resource = self.resource
        assert resource.users is not None
        short = resource.busy + entity.units - resource.usable
        victims = resource.users.worse_than(entity.priority, short)
        for victim in victims:
            victim.step.interrupt(victim, entity)
        if victims:
            resource.grant(entity.last)

    def _ask(self, entity: Entity) -> None:
        units, priority = self._units, self._priority
        entity.units = positive_whole(units(entity), "`units`") if isinstance(units, Expression) else units
        entity.priority = priority.number(entity) if isinstance(priority, Expression) else priority

    def _balk(self, entity: Entity) -> Next:
        twin = self.twin
        if twin.events:
            entity.last = twin.emit("entity-balked", entity.id, entity.last, self.payload)
        if self._body.on_balk is None:
            return twin.leave(entity, "balked")
        return self._balk_to

    def wake(self, entity: Entity) -> Next:
        return self._renege(entity)

    def _renege(self, entity: Entity) -> Next:
        """Patience has run out."""
        twin, resource = self.twin, self.resource
        entity.phase = MOVING
        resource.quit(entity)
        if twin.events:
            payload = {"resource": resource.name, "waited": twin.now - entity.since}
            entity.last = twin.emit("entity-reneged", entity.id, entity.last, payload)
        resource.grant(entity.last)
        if self._body.on_renege is None:
            return twin.leave(entity, "reneged")
        return self._renege_to

    # -- holding
    def begin(self, entity: Entity, cause: int | None) -> Next:
        resource, twin = self.resource, self.twin
        self._occupy(entity)
        if twin.events:
            entity.last = twin.emit("entity-started", entity.id, cause, self.payload)
        held = entity.held
        if held is None:
            held = entity.held = {}
        held[resource.name] = held.get(resource.name, 0) + entity.units
        if resource.on_change is not None:
            resource.on_change()
        return self.next

    def _occupy(self, entity: Entity) -> None:
        resource, twin = self.resource, self.twin
        resource.busy += entity.units
        resource.busy_sum -= entity.units * twin.now
        resource.started += 1

    def cancel(self, entity: Entity) -> None:
        if entity.phase == QUEUED:
            self.resource.quit(entity)
            self.resource.grant(entity.last)


class Process(Seize):
    """Seize, spend the service time, release. The service may be interrupted, and resumed.

    Interrupted by a better entity it goes back into the line, ahead of its equals; by an outage it stays where it is (halted).
    What is left of its time is in its memory.
    """

    __slots__ = ("_abandon_to", "_duration")

    def link(self) -> None:
        super().link()
        self._abandon_to = self.place.target(self._body.on_abandon or "end")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place, body)
        self._duration = twin.service(body.service) if body.service else twin.duration(body.for_, f"{place.stream}.for")

    def begin(self, entity: Entity, cause: int | None) -> Next:
        resource, twin = self.resource, self.twin
        memory = entity.memory
        left = memory.pop("remaining", None) if memory is not None else None
        duration = self._duration(entity) if left is None else left
        if not 0.0 <= duration <= DURATION_MAX:
            duration = legal_duration(duration)
        now = twin.now
        units = entity.units
        resource.busy += units
        resource.busy_sum -= units * now
        entity.phase = SERVING
        if resource.users is not None:
            resource.users.add(entity)
        if left is None:
            resource.started += 1
            if twin.events:
                entity.last = twin.emit("entity-started", entity.id, cause, self.payload)
        elif twin.events:
            payload = {"resource": resource.name, "remaining": left}
            entity.last = twin.emit("entity-resumed", entity.id, cause, payload)
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

    def wake(self, entity: Entity) -> Next:
        if entity.phase != SERVING:
            return self._renege(entity)
        resource, twin = self.resource, self.twin
        self._stop(entity)
        entity.phase = MOVING
        if twin.events:
            entity.last = twin.emit("entity-finished", entity.id, entity.last, self.payload)
        if resource.queue:
            resource.grant(entity.last)
        if resource.on_change is not None:
            resource.on_change()
        return self.next

    def _stop(self, entity: Entity) -> None:
        """The units are free again; who gets them is for the caller to see to."""
        resource, twin = self.resource, self.twin
        units = entity.units
        resource.busy -= units
        resource.busy_sum += units * twin.now
        if resource.users is not None:
            resource.users.remove(entity)

    def cancel(self, entity: Entity) -> None:
        resource = self.resource
        if entity.phase == SERVING:
            self._stop(entity)
            if resource.on_change is not None:
                resource.on_change()
            resource.grant(entity.last)
        elif entity.phase == HALTED:
            resource.halted.remove(entity)
        else:
            super().cancel(entity)

    # -- interruptions
    def interrupt(self, entity: Entity, by: Entity) -> None:
        """Displaced by a better one: back into the line, or away."""
        self._break_off(entity, by.last, by.id)
        if self._body.on_interrupt == "abandon":
            self._abandon(entity)
        else:
            entity.phase = QUEUED
            self.resource.join(entity, ahead=True)

    def interrupted(self, by: Entity) -> None:
        self.resource.grant(by.last)
        if self.resource.on_change is not None:
            self.resource.on_change()

    def halt(self, entity: Entity, cause: int | None) -> None:
        """The resource went out of service: stay, or away."""
        self._break_off(entity, cause, None)
        if self._body.on_interrupt == "abandon":
            self._abandon(entity)
        else:
            entity.phase = HALTED
            self.resource.halted.append(entity)

    def unhalt(self, entity: Entity, cause: int | None) -> None:
        """The resource is back."""
        try:
            self.begin(entity, cause)
        except EntityFault as fault:
            entity.phase = MOVING
            self.twin.fail(entity, fault)

    def _break_off(self, entity: Entity, cause: int | None, by: int | None) -> None:
        twin = self.twin
        left = max(0.0, entity.at - twin.now)
        twin.calendar.cancel(entity)
        self._stop(entity)
        if twin.events:
            payload = {"resource": self.resource.name, "remaining": left, "by": by}
            entity.last = twin.emit("entity-preempted", entity.id, cause, payload)
        if self._body.on_interrupt == "resume":
            entity.memory = {**(entity.memory or {}), "remaining": left}

    def _abandon(self, entity: Entity) -> None:
        entity.phase = MOVING
        if self._body.on_abandon is None:
            self.twin.leave(entity, "abandoned")
        else:
            entity.step = self._abandon_to
            self.twin.ready.append(entity)


class Release(Step):
    """Give back units held."""

    __slots__ = ("_payload", "_units", "resource")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self.resource = twin.resources[body.resource]
        self._payload = {"resource": body.resource}
        self._units = amount(twin, body.units)

    def enter(self, entity: Entity) -> Next:
        name = self.resource.name
        held = (entity.held or {}).get(name, 0)
        units = self._units
        if isinstance(units, Expression):
            units = units(entity)
        units = held if units is None else positive_whole(units, "`units`")
        if units == 0 or units > held:
            raise EntityFault("not-held", f"cannot release {units or 'any'} of `{name}`: {held} held")
        give_back(self.twin, entity, name, units)
        return self.next


def give_back(twin: "Twin", entity: Entity, name: str, units: int) -> None:
    """Take units from the entity, free them, and serve the line."""
    resource = twin.resources[name]
    held = entity.held or {}
    if held[name] == units:
        del held[name]
    else:
        held[name] -= units
    resource.busy -= units
    resource.busy_sum += units * twin.now
    if twin.events:
        entity.last = twin.emit("entity-finished", entity.id, entity.last, {"resource": name})
    resource.grant(entity.last)
    if resource.on_change is not None:
        resource.on_change()
