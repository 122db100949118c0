"""Steps at which entities meet and part: batch, split, join, assemble.

Those who wait for others stand in the step's groups, in the order in which they came. Members of a batch are carried by its
first one: they are in the twin, but do nothing until a split lets them go.
"""

from typing import TYPE_CHECKING, Any

from models.errors import EntityFault
from twin_app.kernel.entity import CARRIED, GATHERED, MOVING, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import Next, Step, legal_duration, positive_whole
from twin_app.kernel.steps.blocks import forget, recall, remember

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin


class Gathering(Step):
    """A meeting point with groups by key."""

    __slots__ = ("_by", "_renew", "groups")

    def __init__(self, twin: "Twin", place: "Place", by: str | None) -> None:
        super().__init__(twin, place)
        self._by = Expression(by, twin.scope) if by is not None else None
        self.groups: dict[str, list[Entity]] = {}

    def _key(self, entity: Entity) -> str:
        value = self._by(entity) if self._by is not None else ""
        if isinstance(value, list | dict):
            raise EntityFault("not-a-key", "`by` must give a number, a text or a truth value")
        return str(value)

    def _stay(self, entity: Entity, key: str) -> list[Entity]:
        entity.phase = GATHERED
        remember(entity, "group", key)
        group = self.groups.setdefault(key, [])
        group.append(entity)
        if self.twin.events:
            entity.last = self.twin.emit("entity-gathered", entity.id, entity.last, {"group": key, "size": len(group)})
        return group

    def _go(self, entity: Entity) -> None:
        forget(entity, "group")
        if entity.order:
            self.twin.calendar.cancel(entity)
        entity.phase = MOVING
        entity.step = self.next
        self.twin.ready.append(entity)

    def _absorb(self, entity: Entity, outcome: str) -> None:
        forget(entity, "group")
        if entity.order:
            self.twin.calendar.cancel(entity)
        entity.phase = MOVING
        self.twin.leave(entity, outcome)

    def cancel(self, entity: Entity) -> None:
        if entity.phase == GATHERED:
            key = recall(entity, "group", "")
            forget(entity, "group")
            group = self.groups[key]
            group.remove(entity)
            if not group:
                del self.groups[key]
            elif entity.order:  # the timeout of the group was on its first
                self.twin.calendar.schedule(group[0], entity.at)

    # -- as data
    def snapshot(self) -> dict[str, list[int]]:
        return {key: [entity.id for entity in group] for key, group in self.groups.items()}

    def restore(self, data: dict[str, list[int]], entities: dict[int, Entity]) -> None:
        self.groups = {key: [entities[number] for number in group] for key, group in data.items()}


class Batch(Gathering):
    """When `size` have come, the first goes on and carries the others; after `timeout` with as many as have come."""

    __slots__ = ("_body", "_size", "_timeout")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place, body.by)
        self._body = body
        self._size = Expression(body.size, twin.scope) if isinstance(body.size, str) else body.size
        self._timeout = twin.duration(body.timeout, f"{place.stream}.timeout") if body.timeout is not None else None

    def enter(self, entity: Entity) -> Next:
        key = self._key(entity)
        size = self._size(entity) if isinstance(self._size, Expression) else self._size
        size = positive_whole(size, "`size`")
        timeout = legal_duration(self._timeout(entity)) if self._timeout is not None and key not in self.groups else None
        group = self._stay(entity, key)
        if len(group) >= size:
            self._leave_together(key)
        elif timeout is not None:
            self.twin.calendar.schedule(entity, self.twin.now + timeout)
        return None

    def wake(self, entity: Entity) -> Next:
        self._leave_together(recall(entity, "group", ""))
        return None

    def _leave_together(self, key: str) -> None:
        leader, *others = self.groups.pop(key)
        for other in others:
            forget(other, "group")
            other.phase = CARRIED
        if others:
            remember(leader, "members", [*recall(leader, "members", []), *(other.id for other in others)])
        self._go(leader)


class Split(Step):
    """Let carried members go on, each for itself; or, with `into`, become several parts."""

    __slots__ = ("_body", "_into")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._into = Expression(body.into, twin.scope) if isinstance(body.into, str) else body.into

    def enter(self, entity: Entity) -> Next:
        twin = self.twin
        if self._into is None:
            for number in recall(entity, "members", []):
                member = twin.entities[number]
                member.phase = MOVING
                member.step = self.next
                twin.ready.append(member)
            forget(entity, "members")
            return self.next
        parts = positive_whole(self._into(entity) if isinstance(self._into, Expression) else self._into, "`into`")
        if len(twin.entities) + parts - 1 > twin.blueprint.limits.entities or parts > 10_000:
            raise EntityFault("too-many-entities", f"cannot split into {parts}: the twin's limit would be passed")
        if recall(entity, "family", None) is not None:
            raise EntityFault("already-split", "a part cannot be split again before it is joined")
        twin.families[entity.id] = parts
        remember(entity, "family", entity.id)
        own = dict(entity.attributes or {})
        entity.attributes = {**own, self._body.as_: 0}
        for part in range(1, parts):
            child = twin.create(entity.flow, {**own, self._body.as_: part}, None, entity.last)
            child.memory = {"family": entity.id}
            child.step = self.next
            twin.ready.append(child)
        return self.next


class Join(Gathering):
    """When all parts of one split that are still there have come, they are one again: the original, if it is among them."""

    __slots__ = ()

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place, None)

    def enter(self, entity: Entity) -> Next:
        family = recall(entity, "family", None)
        if family is None:
            raise EntityFault("not-split", "only parts of a split can be joined")
        self._stay(entity, str(family))
        self.check(family)
        return None

    def check(self, family: int) -> None:
        """Are all there? Asked when one comes, and when a part has left elsewhere."""
        group = self.groups.get(str(family))
        if group is None or len(group) < self.twin.families.get(family, 0):
            return
        del self.groups[str(family)]
        self.twin.families.pop(family, None)
        survivor = next((entity for entity in group if entity.id == family), group[0])
        for entity in group:
            forget(entity, "family")
            if entity is not survivor:
                self._absorb(entity, "joined")
        self._go(survivor)


class Assemble(Gathering):
    """When `needs` are met (so many of each kind), the first of the first kind goes on; the others are built in and leave."""

    __slots__ = ("_kind", "_needs")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place, body.by)
        self._kind = Expression(body.kind, twin.scope)
        self._needs: dict[str, int] = body.needs

    def enter(self, entity: Entity) -> Next:
        kind = str(self._kind(entity))
        if kind not in self._needs:
            raise EntityFault("not-needed", f"kind {kind!r} is none of {', '.join(self._needs)}")
        key = self._key(entity)
        remember(entity, "kind", kind)
        self._check(self._stay(entity, key), key)
        return None

    def _check(self, group: list[Entity], key: str) -> None:
        chosen: list[Entity] = []
        for kind, count in self._needs.items():
            of_kind = [entity for entity in group if recall(entity, "kind", None) == kind][:count]
            if len(of_kind) < count:
                return
            chosen += of_kind
        rest = [entity for entity in group if entity not in chosen]
        if rest:
            self.groups[key] = rest
        else:
            del self.groups[key]
        leader, *others = chosen
        for entity in chosen:
            forget(entity, "kind")
        for entity in others:
            self._absorb(entity, "assembled")
        self._go(leader)
