"""Steps that contain steps: loop and retry; and fail, which ends a block before its time. A block ends where its owner says."""

from typing import TYPE_CHECKING, Any

from models.check import every_step
from models.errors import EntityFault
from twin_app.kernel.entity import DELAYED, MOVING, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import Next, Step, amount, legal_duration, positive_whole
from twin_app.kernel.steps.serve import give_back

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


OF_ONE_STEP = ("remaining", "item", "after", "arm", "children", "group", "kind")
"""What an entity remembers for the step where it stands, and must not take along when it is taken away from there."""


class BlockOwner(Step):
    """A step with a block that is done again."""

    __slots__ = ()

    def left(self, entity: Entity) -> None:
        """An entity goes to somewhere outside the block: when it comes again, it begins anew."""
        raise NotImplementedError

    def broken(self, entity: Entity, failure: "Fail") -> "tuple[bool, Next]":
        """An entity inside the block fails. Gives whether that is the end of it, and if so the step to go on with; if not, the
        owner around this one is asked."""
        raise NotImplementedError


class Loop(BlockOwner):
    """Do the block again and again: `times`, or `while` a condition holds, or both."""

    __slots__ = ("_block", "_condition", "_times")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._condition = Expression(body.while_, twin.scope) if body.while_ is not None else None
        self._times = Expression(body.times, twin.scope) if isinstance(body.times, str) else body.times
        self._block: Block = place.block(body.do, "do", self)

    def connect(self) -> None:
        self._block.ends_at(self)

    def left(self, entity: Entity) -> None:
        forget(entity, f"loop {self.index}")

    def broken(self, entity: Entity, failure: "Fail") -> tuple[bool, Next]:
        self.left(entity)
        return False, None

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


class Retry(BlockOwner):
    """Do the block until no step of it failed and a condition holds after it, at most so many times, with a pause between."""

    __slots__ = ("_block", "_body", "_check", "_may_fail")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._body = body
        self._may_fail = any(step.verb == "fail" for step in every_step([body.do]))
        self._block: Block = place.block(body.do, "do", self)
        self._check = place.extra(RetryCheck(twin, place.inner("check"), body, self._block))

    def connect(self) -> None:
        self._block.ends_at(self._check)
        self._check.next = self.next

    def enter(self, entity: Entity) -> Next:
        remember(entity, f"tries {self._check.index}", 0)
        if self._may_fail and entity.held:
            remember(entity, f"kept {self._check.index}", dict(entity.held))
        return self._block.first

    def left(self, entity: Entity) -> None:
        self._check.left(entity)

    def broken(self, entity: Entity, failure: "Fail") -> tuple[bool, Next]:
        # Who has come into the block by another way than the retry is not in a try.
        if recall(entity, f"tries {self._check.index}", None) is None:
            return False, None
        return self._check.broken(entity, failure)


class RetryCheck(Step):
    """After each try."""

    __slots__ = ("_block", "_body", "_give_up_to", "_pause", "_until")

    def __init__(self, twin: "Twin", place: "Place", body: Any, block: "Block") -> None:
        super().__init__(twin, place)
        self._body = body
        self._block = block
        self._until = Expression(body.until, twin.scope) if body.until is not None else None
        self._pause = twin.duration(body.wait, f"{place.stream}.wait") if body.wait is not None else None

    def link(self) -> None:
        self._give_up_to = self.place.target(self._body.on_give_up or "end")

    def enter(self, entity: Entity) -> Next:
        if self._until is None or self._until(entity):
            self.left(entity)
            return self.next
        tries = recall(entity, f"tries {self.index}", 0) + 1
        if tries >= self._body.times:
            self.left(entity)
            if self._body.on_give_up is None:
                return self.twin.leave(entity, "abandoned")
            return self._give_up_to
        return self._again(entity, tries)

    def broken(self, entity: Entity, failure: "Fail") -> tuple[bool, Next]:
        """A step of the block has ended the try."""
        twin = self.twin
        tries = recall(entity, f"tries {self.index}", 0) + 1
        kept = recall(entity, f"kept {self.index}", {})
        if twin.events:
            payload = {"reason": failure.reason, "step": str(failure), "tries": tries}
            entity.last = twin.emit("try-failed", entity.id, entity.last, payload)
        for name, units in list((entity.held or {}).items()):
            if units > kept.get(name, 0):
                give_back(twin, entity, name, units - kept.get(name, 0))
        if tries < self._body.times:
            return True, self._again(entity, tries)
        self.left(entity)
        return (False, None) if self._body.on_give_up is None else (True, self._give_up_to)

    def left(self, entity: Entity) -> None:
        forget(entity, f"tries {self.index}")
        forget(entity, f"kept {self.index}")

    def _again(self, entity: Entity, tries: int) -> Next:
        remember(entity, f"tries {self.index}", tries)
        if self._pause is None:
            return self._block.first
        pause = legal_duration(self._pause(entity))
        entity.step = self
        entity.phase = DELAYED
        self.twin.calendar.schedule(entity, self.twin.now + pause)
        return None

    def wake(self, entity: Entity) -> Next:
        entity.phase = MOVING
        return self._block.first


class Leave(Step):
    """On the way from inside blocks to a step outside them."""

    __slots__ = ("_left", "_to")

    def __init__(self, twin: "Twin", place: "Place", left: tuple[BlockOwner, ...], to: Step) -> None:
        super().__init__(twin, place)
        self._left = left
        self._to = to

    def enter(self, entity: Entity) -> Next:
        for owner in self._left:
            owner.left(entity)
        return self._to


class Fail(Step):
    """The try is over, or the entity: if a condition holds, with a probability."""

    __slots__ = ("_condition", "_probability", "_stream", "reason")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self.reason: str = body.reason
        self._condition = Expression(body.when, twin.scope) if body.when is not None else None
        self._probability = amount(twin, body.probability)
        self._stream = twin.stream(f"{place.stream}.fail") if body.probability is not None else None

    def enter(self, entity: Entity) -> Next:
        if not self._happens(entity):
            return self.next
        for owner in reversed(self.place.around):
            over, following = owner.broken(entity, self)
            if over:
                return following
        raise EntityFault("failed", self.reason)

    def _happens(self, entity: Entity) -> bool:
        if self._condition is not None and not self._condition(entity):
            return False
        if self._stream is None:
            return True
        share = self._probability
        if isinstance(share, Expression):
            share = share(entity)
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise EntityFault("not-a-probability", f"`probability` must be a number from 0 to 1, not {share!r}")
        return self._stream.uniform() < share
