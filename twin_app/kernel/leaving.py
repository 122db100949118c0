"""What an entity that goes sets off in others: those that it carries, waits with, or came from; and failing, a way to go.

One that goes may make others go, and those again others. This module is not compiled: here the interpreter counts how deep
that is, and ends it with a RecursionError before the stack is used up. Compiled code would not notice.
"""

from typing import TYPE_CHECKING, Any

from models.errors import EntityFault
from twin_app.kernel.entity import MOVING, Entity
from twin_app.kernel.steps.gather import Join

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


def leave_others(twin: "Twin", memory: dict[str, Any], outcome: str) -> None:
    """Whoever has to do with an entity that has left hears of it."""
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
    """One entity's step failed: it says so and leaves; the twin goes on."""
    step = entity.step
    step.cancel(entity)
    twin.calendar.cancel(entity)
    entity.phase = MOVING
    if twin.events:
        payload = {"code": fault.code, "message": fault.message, "step": str(step)}
        entity.last = twin.emit("entity-failed", entity.id, entity.last, payload)
    twin.leave(entity, "failed")
