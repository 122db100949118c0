"""Steps that take no time: branch, go, emit, set, and the end of every flow."""

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from models.errors import EntityFault, Rejected
from twin_app.kernel.entity import Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import Next, Step, amount

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin


class End(Step):
    """After the last step of a flow: the entity leaves, with whatever it still holds given back."""

    __slots__ = ()

    def enter(self, entity: Entity) -> Next:
        twin = self.twin
        return twin.leave(entity, "finished")


class Go(Step):
    """On to another place."""

    __slots__ = ("_target", "_to")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._target = body

    def link(self) -> None:
        self._to = self.place.target(self._target)

    def enter(self, entity: Entity) -> Next:
        return self._to


class Branch(Step):
    """The first arm whose condition holds; without any, the next step."""

    __slots__ = ("_arms", "_blocks", "_body", "_conditions")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._conditions = [Expression(arm.when or "true", twin.scope) for arm in body]
        self._blocks = arm_blocks(place, body)

    def connect(self) -> None:
        for block in self._blocks.values():
            block.ends_at(self.next)

    def link(self) -> None:
        targets = arm_targets(self.place, self._body, self._blocks)
        self._arms = list(zip(self._conditions, targets, strict=True))

    def enter(self, entity: Entity) -> Next:
        for condition, target in self._arms:
            if condition(entity):
                return target
        return self.next


class WeightedBranch(Step):
    """An arm drawn by weight, from the step's own stream."""

    __slots__ = ("_blocks", "_body", "_cumulated", "_stream", "_targets")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._blocks = arm_blocks(place, body)
        self._stream = twin.stream(f"{place.stream}.branch")
        weights = [arm.weight for arm in body]
        if weights[-1] is None:
            weights[-1] = 1.0 - sum(weights[:-1])
        total = sum(weights)
        self._cumulated = [weight / total for weight in accumulate(weights)]

    def connect(self) -> None:
        for block in self._blocks.values():
            block.ends_at(self.next)

    def link(self) -> None:
        self._targets = arm_targets(self.place, self._body, self._blocks)

    def enter(self, entity: Entity) -> Next:
        place = bisect_right(self._cumulated, self._stream.uniform())
        return self._targets[min(place, len(self._targets) - 1)]


def arm_blocks(place: "Place", body: Any) -> dict[int, Any]:
    return {number: place.block(arm.do, str(number)) for number, arm in enumerate(body) if arm.do is not None}


def arm_targets(place: "Place", body: Any, blocks: dict[int, Any]) -> list[Step]:
    return [blocks[number].first if number in blocks else place.target(arm.go) for number, arm in enumerate(body)]


def branch(twin: "Twin", place: "Place", body: Any) -> Step:
    """The kind of branch that the arms ask for."""
    weighted = any(arm.weight is not None for arm in body)
    return WeightedBranch(twin, place, body) if weighted else Branch(twin, place, body)


class Emit(Step):
    """An event of the author's own."""

    __slots__ = ("_kind", "_payload")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._kind = body.kind
        self._payload = [(name, amount(twin, value)) for name, value in body.payload.items()]

    def enter(self, entity: Entity) -> Next:
        payload = {name: value(entity) if isinstance(value, Expression) else value for name, value in self._payload}
        twin = self.twin
        if twin.events:
            entity.last = twin.emit(self._kind, entity.id, entity.last, payload)
        return self.next


class Set(Step):
    """Assign attributes of the entity, variables and live parameters, in the order written; the parameters at once together."""

    __slots__ = ("_assignments",)

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._assignments = [(path, path.removeprefix("entity."), amount(twin, value)) for path, value in body.items()]

    def enter(self, entity: Entity) -> Next:
        changes: list[tuple[str, Any]] = []
        for path, name, value in self._assignments:
            if isinstance(value, Expression):
                value = value(entity)
            if path.startswith("entity."):
                if entity.attributes is None:
                    entity.attributes = {}
                entity.attributes[name] = value
            else:
                changes.append((path, value))
        if changes:
            try:
                self.twin.parameter_board.change(changes, entity)
            except Rejected as rejected:
                raise EntityFault(rejected.code, rejected.message, place=rejected.path) from None
        return self.next
