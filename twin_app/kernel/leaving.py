"""What an entity that goes sets off in others: those that it carries, waits with, or came from; and failing, a way to go.

One that goes may make others go, and those again others. How deep that may be is counted here, and the same in every process and
form of the kernel: what is told before it ends is told again by a replay. (Compiled code would use up the stack unnoticed.)
"""

from typing import TYPE_CHECKING, Any

from models.errors import EntityFault, ModelError
from twin_app.kernel.entity import MOVING, Entity
from twin_app.kernel.steps.gather import Join

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


DEPTH_MAX = 100
"""Entities that go, each since the one before it went. At most six calls each, far below the interpreter's limit."""


def _deeper(twin: "Twin") -> None:
    """One more goes because of another. Raises ModelError."""
    if twin.going >= DEPTH_MAX:
        raise ModelError(
            "too-many-set-off",
            f"{DEPTH_MAX} entities leave or fail, each because of the one before it",
            place=f"{twin.blueprint.twin} at {twin.now}",
            remedy="look for failing steps of entities that hold what the next one waits for",
        )
    twin.going += 1


def leave_others(twin: "Twin", memory: dict[str, Any], outcome: str) -> None:
    """Whoever has to do with an entity that has left hears of it. Raises ModelError."""
    _deeper(twin)
    try:
        _leave_others(twin, memory, outcome)
    finally:
        twin.going -= 1


def _leave_others(twin: "Twin", memory: dict[str, Any], outcome: str) -> None:
    for number in memory.get("members", ()):
        member = twin.entities[number]
        member.phase = MOVING
        twin.leave(member, outcome)
    if "repairs" in memory:
        name, reason = memory["repairs"]
        next(outage for outage in twin.resources[name].outages if outage.reason == reason).end()
    if "parent" in memory and memory["parent"] in twin.entities:
        parent: Any = twin.entities[memory["parent"]]
        parent.step.child_left(parent)
    if "family" in memory and memory["family"] in twin.families:
        family = memory["family"]
        twin.families[family] -= 1
        if not twin.families[family]:
            del twin.families[family]
        for gathering in twin.program.gatherings:
            if isinstance(gathering, Join):
                gathering.check(family)


def fail(twin: "Twin", entity: Entity, fault: EntityFault) -> None:
    """One entity's step failed: it says so and leaves; the twin goes on. Raises ModelError."""
    _deeper(twin)
    try:
        _fail(twin, entity, fault)
    finally:
        twin.going -= 1


def _fail(twin: "Twin", entity: Entity, fault: EntityFault) -> None:
    step = entity.step
    step.cancel(entity)
    twin.calendar.cancel(entity)
    entity.phase = MOVING
    if twin.events:
        payload = {"code": fault.code, "message": fault.message, "step": str(step)}
        entity.last = twin.emit("entity-failed", entity.id, entity.last, payload)
    twin.leave(entity, "failed")
