"""The opening: at time 0 the state machines begin."""

from typing import TYPE_CHECKING

from twin_app.kernel.calendar import Entry

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

MACHINE = "machine:"
"""Prefix of the flows that carry machines out; no name of a blueprint can begin so."""


class Opening(Entry):
    """A calendar entry at time 0 (only where there are machines)."""

    __slots__ = ("_twin",)

    def __init__(self, twin: "Twin") -> None:
        super().__init__()
        self.step = self
        self._twin = twin

    def wake(self, entry: Entry) -> None:
        twin = self._twin
        for name in twin.blueprint.machines:
            twin.machines += 1
            twin.created -= 1
            twin.ready.append(twin.create(MACHINE + name, None, None))
