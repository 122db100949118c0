"""Steps that contain steps: loop and retry, and the arms of a branch. A block ends where its owner says."""

from typing import TYPE_CHECKING, Any

from twin_app.kernel.entity import DELAYED, MOVING, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import Next, Step, legal_duration, positive_whole

if TYPE_CHECKING:
    from twin_app.kernel.program import Block, Place
    from twin_app.kernel.twin import Twin


def remember(entity: Entity, key: str, value: Any) -> None:
    if entity.memory is None:
        entity.memory = {}
    entity.memory[key] = value


def recall(entity: Entity, key: str, otherwise: Any) -> Any:
    return entity.memory.get(key, otherwise) if entity.memory is not None else otherwise


def forget(entity: Entity, key: str) -> None:
    if entity.memory is not None:
        entity.memory.pop(key, None)


class Loop(Step):
    """Do the block again and again: `times`, or `while` a condition holds, or both."""

    __slots__ = ("_block", "_condition", "_times")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._condition = Expression(body.while_, twin.scope) if body.while_ is not None else None
        self._times = Expression(body.times, twin.scope) if isinstance(body.times, str) else body.times
        self._block: Block = place.block(body.do, "do")

    def connect(self) -> None:
        self._block.ends_at(self)

    def enter(self, entity: Entity) -> Next:
        key = f"loop {self.index}"
        if self._times is not None:
            left = recall(entity, key, None)
            if left is None:
                times = self._times(entity) if isinstance(self._times, Expression) else self._times
                left = 0 if times == 0 else positive_whole(times, "`times`")
            if left == 0:
                forget(entity, key)
                return self.next
            remember(entity, key, left - 1)
        if self._condition is not None and not self._condition(entity):
            forget(entity, key)
            return self.next
        return self._block.first


class Retry(Step):
    """Do the block until a condition holds after it, at most so many times, with a pause between."""

    __slots__ = ("_block", "_body", "_check", "_give_up_to")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._block: Block = place.block(body.do, "do")
        self._check = place.extra(RetryCheck(twin, place.inner("check"), body, self._block))

    def connect(self) -> None:
        self._block.ends_at(self._check)
        self._check.next = self.next

    def enter(self, entity: Entity) -> Next:
        remember(entity, f"tries {self._check.index}", 0)
        return self._block.first


class RetryCheck(Step):
    """After each try."""

    __slots__ = ("_block", "_body", "_give_up_to", "_pause", "_until")

    def __init__(self, twin: "Twin", place: "Place", body: Any, block: "Block") -> None:
        super().__init__(twin, place)
        self._body = body
        self._block = block
        self._until = Expression(body.until, twin.scope)
        self._pause = twin.duration(body.wait, f"{place.stream}.wait") if body.wait is not None else None

    def link(self) -> None:
        self._give_up_to = self.place.target(self._body.on_give_up or "end")

    def enter(self, entity: Entity) -> Next:
        key = f"tries {self.index}"
        if self._until(entity):
            forget(entity, key)
            return self.next
        tries = recall(entity, key, 0) + 1
        if tries >= self._body.times:
            forget(entity, key)
            if self._body.on_give_up is None:
                return self.twin.leave(entity, "abandoned")
            return self._give_up_to
        remember(entity, key, tries)
        if self._pause is None:
            return self._block.first
        entity.phase = DELAYED
        self.twin.calendar.schedule(entity, self.twin.now + legal_duration(self._pause(entity)))
        return None

    def wake(self, entity: Entity) -> Next:
        entity.phase = MOVING
        return self._block.first
