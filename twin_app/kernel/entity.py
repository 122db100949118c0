"""An entity: what flows through the twin. A record, not a process; all that it is can be written down."""

from typing import Any

from twin_app.kernel.calendar import Entry

MOVING = 0
"""Between steps (only seen while a calendar entry runs)."""
QUEUED = 1
"""In a queue; a due calendar entry is its patience."""
SERVING = 2
"""Holding a resource inside a `process`; the due entry is the end of service."""
DELAYED = 3
"""Letting time pass."""
HALTED = 5
"""In service at a resource that is out of service: holds its place, no time passes for it."""
GATHERED = 6
"""Waiting at a meeting point for others."""
CARRIED = 7
"""Member of a batch: another entity moves for it."""
WAITING = 4
"""Waiting for a condition, a change or a signal; a due entry is the timeout."""


class Entity(Entry):
    """One entity.

    `step`: where it is. `phase`: what it does there. `held`: units by resource name, seized and not yet released. `ticket`: its
    place in the queue it stands in. `since`: when it joined that. `last`: sequence number of its latest event. `memory`: what
    a step needs to remember of it, by name.
    """

    __slots__ = ("attributes", "created", "flow", "held", "id", "last", "memory", "priority", "since", "ticket")

    def __init__(self, number: int, flow: str, created: float, attributes: dict[str, Any] | None, step: Any) -> None:
        self.at = 0.0
        self.order = 0
        self.step = step
        self.id = number
        self.flow = flow
        self.created = created
        self.attributes = attributes
        self.held: dict[str, int] | None = None
        self.last: int | None = None
        self.memory: dict[str, Any] | None = None
        self.phase = MOVING
        self.priority: float = 0
        self.since = 0.0
        self.ticket = 0
        self.units = 1

    def __repr__(self) -> str:
        return f"<entity {self.id} of {self.flow} at {getattr(self, 'step', None)!r}, phase {self.phase}>"
