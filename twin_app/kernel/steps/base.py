"""What a step is.

`enter(entity)` is called when an entity comes to the step, `wake(entity)` when a calendar entry of an entity standing there is
due. Both return the step to go on with at once, or None when the entity waits (or is gone). `cancel(entity)` undoes whatever
the entity waits for or holds inside the step, when it is taken away from there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

from models.errors import EntityFault
from twin_app.kernel.calendar import NORMAL
from twin_app.kernel.entity import Entity
from twin_app.kernel.expressions import Expression

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin

DURATION_MAX = 1e12

Next = Optional["Step"]
Amount = Callable[[Entity], Any]


class Step:
    """One step of one flow, linked to those it leads to. Holds no entity: who stands here is known by the entities."""

    __slots__ = ("index", "next", "place", "twin")

    index: int
    next: "Step"

    def __init__(self, twin: "Twin", place: "Place") -> None:
        self.twin = twin
        self.place = place

    def connect(self) -> None:
        """Called once when `next` is known: link the steps inside this one."""

    def link(self) -> None:
        """Called once when all steps exist: resolve targets."""

    def enter(self, entity: Entity) -> Next:
        raise NotImplementedError

    def wake(self, entity: Entity) -> Next:
        raise NotImplementedError

    def begin(self, entity: Entity, cause: int | None) -> Next:
        """What was waited for has been granted."""
        raise NotImplementedError

    def cancel(self, entity: Entity) -> None:
        """Nothing is waited for here."""

    def interrupt(self, entity: Entity, by: Entity) -> None:
        """Somebody interrupts the entity; most steps do not let themselves be interrupted."""

    def interrupted(self, by: Entity) -> None:
        """After an interruption: whoever waited for what it has freed goes on."""

    def __repr__(self) -> str:
        return str(self.place)


def legal_duration(duration: Any) -> float:
    """Clip at 0 and refuse what is no length of time: more than 1e12 units, or not a number. Raises EntityFault."""
    if isinstance(duration, bool) or not isinstance(duration, int | float) or duration != duration:
        raise EntityFault("not-a-duration", f"{duration!r} is no length of time")
    if duration > DURATION_MAX:
        raise EntityFault("duration-too-long", f"{duration} is longer than {DURATION_MAX:g} time units")
    return max(0.0, float(duration))


def positive_whole(value: Any, what: str) -> int:
    """A number of units. Raises EntityFault."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EntityFault("not-units", f"{what} must be a whole number of at least 1, not {value!r}")
    return value


def amount(twin: "Twin", value: Any) -> Any:
    """A number as it is, or the expression that gives it."""
    return Expression(value, twin.scope) if isinstance(value, str) else value


__all__ = ["NORMAL", "Amount", "Next", "Step", "amount", "legal_duration", "positive_whole"]
