"""Arrivals: entities that come by themselves, each source with a random stream of its own."""

from math import inf, isinf
from typing import TYPE_CHECKING, Any

from models.blueprint import Arrival as ArrivalModel
from models.errors import EntityFault
from twin_app.kernel.calendar import URGENT, Entry
from twin_app.kernel.sampling import Sampler
from twin_app.kernel.steps.base import DURATION_MAX, Amount
from twin_app.kernel.steps.family import given, giver

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Arrival(Entry):
    """A source. Its calendar entry is the next arrival.

    What comes from the outside comes first: at the same instant arrivals go before everything else (as commands do).
    """

    __slots__ = ("_entities_max", "_limit", "_trace", "attributes", "count", "flow", "interarrival", "model", "name", "twin")

    def __init__(self, twin: "Twin", name: str, model: ArrivalModel) -> None:
        super().__init__()
        self.twin = twin
        self.name = name
        self.model = model
        self.step = self
        self.flow = model.flow
        self.interarrival: Sampler | None = None
        if model.interarrival is not None:
            self.interarrival = twin.sampler(f"arrivals.{name}", model.interarrival)
        self.count = 0
        self._entities_max = twin.blueprint.limits.entities
        self._limit = model.limit if model.limit is not None else inf
        self._trace = model.trace
        self.attributes: list[tuple[str, Amount | Any]] = []

    def link(self) -> None:
        """Called when everything else exists."""
        for key, value in self.model.attributes.items():
            give = giver(self.twin, value, f"arrivals.{self.name}.attributes.{key}")
            self.attributes.append((key, give))

    def plan(self) -> None:
        """Draw the gap to the next arrival, from now, and put that on the calendar. Whatever was due is replaced."""
        if self.order:
            self.twin.calendar.cancel(self)
        if self.count >= self._limit:
            return
        if self.interarrival is None:
            self._plan_recorded()
            return
        gap = self.interarrival.draw()
        if not 0.0 <= gap <= DURATION_MAX:
            if isinf(gap):
                return
            gap = min(max(gap, 0.0), DURATION_MAX)
        twin = self.twin
        twin.calendar.schedule(self, twin.now + gap, URGENT)

    def _plan_recorded(self) -> None:
        assert self.model.trace is not None
        if self.count < len(self.model.trace):
            self.twin.calendar.schedule(self, self.model.trace[self.count].at, URGENT)

    def wake(self, entry: Entry) -> None:
        """One comes."""
        self.count += 1
        self.plan()
        twin = self.twin
        if len(twin.entities) >= self._entities_max:
            twin.refuse(self.name, self.flow)
            return
        entity = twin.create(self.flow, None, self.name)
        if self._trace is not None:
            entity.attributes = dict(self._trace[self.count - 1].attributes) or None
        if self.attributes:
            try:
                entity.attributes = self._attributes(entity)
            except EntityFault as fault:
                twin.fail(entity, fault)
                return
        twin.ready.append(entity)

    def _attributes(self, entity: Any) -> dict[str, Any]:
        entity.attributes = found = entity.attributes or {}
        for key, give in self.attributes:
            found[key] = given(give, entity)
        return found

    def interarrival_changed(self) -> None:
        """Policy of the gap already drawn (SCENARIOS P5): drawn anew from now on, or kept. Where none was due, one is drawn."""
        if self.model.on_change == "redraw" or not self.order:
            self.plan()
