"""Delay and wait_for: letting time pass, or waiting until the world has changed."""

from typing import TYPE_CHECKING, Any

from twin_app.kernel.entity import DELAYED, MOVING, WAITING, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import DURATION_MAX, Next, Step, legal_duration
from twin_app.kernel.waiting import topics_of

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin


class Delay(Step):
    """Time passes; nothing is held for it."""

    __slots__ = ("_duration", "_interrupt_to", "_interruptible")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._duration = twin.service(body.service) if body.service else twin.duration(body.for_, f"{place.stream}.for")

        self._interruptible = body.on_interrupt

    def link(self) -> None:
        self._interrupt_to = self.place.target(self._interruptible or "next")

    def enter(self, entity: Entity) -> Next:
        twin = self.twin
        duration = self._duration(entity)
        if not 0.0 <= duration <= DURATION_MAX:
            duration = legal_duration(duration)
        entity.phase = DELAYED
        twin.calendar.schedule(entity, twin.now + duration)
        return None

    def wake(self, entity: Entity) -> Next:
        entity.phase = MOVING
        return self.next

    def interrupt(self, entity: Entity, by: Entity) -> None:
        if self._interruptible is None:
            return
        twin = self.twin
        left = max(0.0, entity.at - twin.now)
        twin.calendar.cancel(entity)
        entity.phase = MOVING
        entity.attributes = {**(entity.attributes or {}), "remaining": left}
        if twin.events:
            entity.last = twin.emit("entity-interrupted", entity.id, by.last, {"remaining": left, "by": by.id})
        entity.step = self._interrupt_to
        twin.ready.append(entity)


class WaitFor(Step):
    """Until a condition holds, a path changes, or a signal comes; or the timeout."""

    __slots__ = ("_body", "_condition", "_late_to", "_level", "_payload", "_timeout", "topics")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._condition = Expression(body.when, twin.scope) if body.when is not None else None
        self._level = body.change is None and body.signal is None
        if body.change is not None:
            self.topics: tuple[str, ...] = (body.change,)
        elif body.signal is not None:
            self.topics = (f"signal:{body.signal}",)
        else:
            assert self._condition is not None
            self.topics = topics_of(self._condition)
        self._timeout = twin.duration(body.timeout, f"{place.stream}.timeout") if body.timeout is not None else None
        self._payload = {
            name: text
            for name, text in (("when", body.when), ("change", body.change), ("signal", body.signal))
            if text is not None
        }
        twin.waiting.expect(self.topics)

    def link(self) -> None:
        self._late_to = self.place.target(self._body.on_timeout or "next")

    def enter(self, entity: Entity) -> Next:
        twin = self.twin
        if self._level and self._condition is not None and self._condition(entity):
            return self.next
        entity.phase = WAITING
        if twin.events:
            entity.last = twin.emit("entity-waiting", entity.id, entity.last, self._payload)
        twin.waiting.join(entity, self.topics)
        if self._timeout is not None:
            twin.calendar.schedule(entity, twin.now + legal_duration(self._timeout(entity)))
        return None

    def satisfied(self, entity: Entity, topic: str) -> bool:
        """Does what has just happened end the wait? Raises EntityFault."""
        return self._condition is None or bool(self._condition(entity))

    def begin(self, entity: Entity, cause: int | None) -> Next:
        """It does: go on."""
        twin = self.twin
        self.cancel(entity)
        if entity.order:
            twin.calendar.cancel(entity)
        entity.phase = MOVING
        if twin.events:
            entity.last = twin.emit(
                "entity-woken", entity.id, cause if cause is not None else entity.last, {"reason": "condition"}
            )
        return self.next

    def wake(self, entity: Entity) -> Next:
        twin = self.twin
        self.cancel(entity)
        entity.phase = MOVING
        if twin.events:
            entity.last = twin.emit("entity-woken", entity.id, entity.last, {"reason": "timeout"})
        return self._late_to

    def cancel(self, entity: Entity) -> None:
        self.twin.waiting.quit(entity, self.topics)


class WaitAny(Step):
    """Until the first of several: a time, a signal, a change, a condition. Of those that come at once the first written."""

    __slots__ = ("_arms", "_body", "_targets", "topics")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._arms: list[tuple[Any, Any, Any, tuple[str, ...]]] = []
        topics: dict[str, None] = {}
        for number, arm in enumerate(body):
            condition = Expression(arm.when, twin.scope) if arm.when is not None else None
            after = twin.duration(arm.after, f"{place.stream}.{number}.after") if arm.after is not None else None
            own: tuple[str, ...] = ()
            if arm.signal is not None:
                own = (f"signal:{arm.signal}",)
            elif arm.change is not None:
                own = (arm.change,)
            elif condition is not None and after is None:
                own = topics_of(condition)
            topics.update(dict.fromkeys(own))
            self._arms.append((arm, condition, after, own))
        self.topics = tuple(topics)
        twin.waiting.expect(self.topics)

    def link(self) -> None:
        self._targets = [self.place.target(arm.go) for arm in self._body]

    def enter(self, entity: Entity) -> Next:
        twin = self.twin
        soonest: tuple[float, int] | None = None
        for number, (arm, condition, after, _) in enumerate(self._arms):
            if after is not None:
                duration = legal_duration(after(entity))
                if (condition is None or condition(entity)) and (soonest is None or duration < soonest[0]):
                    soonest = (duration, number)
            elif arm.signal is None and arm.change is None and condition(entity):
                return self._targets[number]
        entity.phase = WAITING
        if twin.events:
            entity.last = twin.emit("entity-waiting", entity.id, entity.last, {})
        twin.waiting.join(entity, self.topics)
        if soonest is not None:
            entity.memory = {**(entity.memory or {}), "after": soonest[1]}
            twin.calendar.schedule(entity, twin.now + soonest[0])
        return None

    def satisfied(self, entity: Entity, topic: str) -> bool:
        """Does an arm on this topic end the wait? Remembers which. Raises EntityFault."""
        for number, (_, condition, after, own) in enumerate(self._arms):
            if after is None and topic in own and (condition is None or condition(entity)):
                entity.memory = {**(entity.memory or {}), "arm": number}
                return True
        return False

    def begin(self, entity: Entity, cause: int | None) -> Next:
        assert entity.memory is not None
        return self._go_on(entity, entity.memory.pop("arm"), cause, "condition")

    def wake(self, entity: Entity) -> Next:
        assert entity.memory is not None
        return self._go_on(entity, entity.memory["after"], entity.last, "timeout")

    def _go_on(self, entity: Entity, arm: int, cause: int | None, reason: str) -> Next:
        twin = self.twin
        self.cancel(entity)
        if entity.order:
            twin.calendar.cancel(entity)
        assert entity.memory is not None
        entity.memory.pop("after", None)
        entity.phase = MOVING
        if twin.events:
            entity.last = twin.emit("entity-woken", entity.id, cause if cause is not None else entity.last, {"reason": reason})
        return self._targets[arm]

    def cancel(self, entity: Entity) -> None:
        self.twin.waiting.quit(entity, self.topics)
