"""Steps by which entities make others and reach others: spawn, signal, interrupt."""

from typing import TYPE_CHECKING, Any

from models.base import Model
from models.errors import EntityFault
from twin_app.kernel.entity import DELAYED, MOVING, SERVING, WAITING, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.sampling import Sampler
from twin_app.kernel.steps.base import Amount, Next, Step, amount, positive_whole
from twin_app.kernel.steps.blocks import remember

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin

SPAWN_MAX = 10_000


def giver(twin: "Twin", value: Any, stream: str) -> Amount | Any:
    """What gives an attribute's first value: an expression, a sampler, or the value itself."""
    if isinstance(value, str):
        return Expression(value, twin.scope)
    return twin.sampler(stream, value) if isinstance(value, Model) else value


def given(give: Any, entity: Entity) -> Any:
    if isinstance(give, Expression):
        return give(entity)
    return give.draw() if isinstance(give, Sampler) else give


class Spawn(Step):
    """New entities in a flow; with `wait` this one goes on when all of them have left."""

    __slots__ = ("_attributes", "_body", "_count")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._count = amount(twin, body.count)
        self._attributes = [
            (name, giver(twin, value, f"{place.stream}.attributes.{name}")) for name, value in body.attributes.items()
        ]

    def enter(self, entity: Entity) -> Next:
        twin, body = self.twin, self._body
        count = self._count(entity) if isinstance(self._count, Expression) else self._count
        count = 0 if count == 0 else positive_whole(count, "`count`")
        if count > SPAWN_MAX or len(twin.entities) + count > twin.blueprint.limits.entities:
            raise EntityFault("too-many-entities", f"cannot spawn {count} entities: the twin's limit would be passed")
        attributes = [{name: given(give, entity) for name, give in self._attributes} for _ in range(count)]
        for own in attributes:
            child = twin.create(body.flow, own or None, None, entity.last)
            if body.wait:
                child.memory = {"parent": entity.id}
            twin.ready.append(child)
        if not body.wait or count == 0:
            return self.next
        remember(entity, "children", count)
        entity.phase = WAITING
        return None

    def child_left(self, entity: Entity) -> None:
        """One of those waited for has left."""
        assert entity.memory is not None
        entity.memory["children"] -= 1
        if entity.memory["children"] == 0:
            del entity.memory["children"]
            entity.phase = MOVING
            entity.step = self.next
            self.twin.ready.append(entity)


class Signal(Step):
    """Wake all who wait for a signal."""

    __slots__ = ("_body", "_payload")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._payload = [(name, amount(twin, value)) for name, value in body.payload.items()]

    def enter(self, entity: Entity) -> Next:
        payload = {name: value(entity) if isinstance(value, Expression) else value for name, value in self._payload}
        twin = self.twin
        if twin.events:
            told = {"signal": self._body.name, **payload}
            entity.last = twin.emit("signal-received", entity.id, entity.last, told)
        twin.wake_by_signal(self._body.name, payload, entity.last)
        return self.next


class Interrupt(Step):
    """Interrupt entities that are in service or in a delay of a flow; each does what its step says. Costs a look at each
    entity in the twin."""

    __slots__ = ("_body", "_where")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._where = Expression(body.where, twin.scope) if body.where is not None else None

    def enter(self, entity: Entity) -> Next:
        flow, where = self._body.flow, self._where
        chosen = [
            other
            for other in self.twin.entities.values()
            if other.step.place.flow == flow and other.phase in (SERVING, DELAYED) and other is not entity
        ]
        if where is not None:
            chosen = [other for other in chosen if where(other)]
        # Who begins only because another was interrupted is not meant: all are chosen before any is.
        steps = [other.step for other in chosen]
        for other, step in zip(chosen, steps, strict=True):
            step.interrupt(other, entity)
        for step in dict.fromkeys(steps):
            step.interrupted(entity)
        return self.next
