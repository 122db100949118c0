"""Outages: breakdowns and maintenance. Each takes the whole resource out of service for a while, again and again.

Life of one: due -> down (those in service are interrupted, or finish) -> repaired -> the time to the next begins. Two outages of
one resource may overlap; it serves again when both are over.
"""

from collections.abc import Callable
from math import isinf
from typing import TYPE_CHECKING, Any

from twin_app.kernel.calendar import Entry
from twin_app.kernel.sampling import Sampler
from twin_app.kernel.steps.base import legal_duration

if TYPE_CHECKING:
    from twin_app.kernel.resource import Resource
    from twin_app.kernel.twin import Twin


class Outage(Entry):
    """One kind of outage of one resource. Its calendar entry is the next failure, or the end of the repair."""

    __slots__ = (
        "_between",
        "_first",
        "_keys",
        "_lasting",
        "_repair_flow",
        "down_since",
        "interrupts",
        "reason",
        "resource",
        "twin",
    )

    def __init__(self, twin: "Twin", resource: "Resource", reason: str, model: Any) -> None:
        super().__init__()
        self.step = self
        self.twin = twin
        self.resource = resource
        self.reason = reason
        self.interrupts = model.policy == "interrupt"
        self.down_since: float | None = None
        self._repair_flow: str | None = None
        self._first: float | None = None
        path = f"resources.{resource.name}"
        if reason == "breakdown":
            self._keys = ("time_to_failure", "repair")
            between, lasting = model.time_to_failure, model.repair
            self._repair_flow = model.repair_flow
        else:
            self._keys = ("maintenance_every", "maintenance_duration")
            between, lasting = model.every, model.duration
            self._first = model.first
        self._between: Sampler = twin.sampler(f"{path}.{self._keys[0]}", between)
        self._lasting: Sampler | None = twin.sampler(f"{path}.{self._keys[1]}", lasting) if lasting is not None else None

    def live(self) -> list[tuple[str, Sampler, Callable[[], None] | None]]:
        """Live parameters: a changed time to failure redraws the pending one, a changed repair counts from the next."""
        found: list[tuple[str, Sampler, Callable[[], None] | None]] = [(self._keys[0], self._between, self._redraw)]
        if self._lasting is not None:
            found.append((self._keys[1], self._lasting, None))
        return found

    def plan(self) -> None:
        """Put the first outage on the calendar."""
        if self._first is not None:
            self.twin.calendar.schedule(self, self.twin.now + self._first)
        else:
            self._schedule(self._between)

    def _schedule(self, sampler: Sampler) -> None:
        lasting = sampler.draw()
        if not isinf(lasting):
            self.twin.calendar.schedule(self, self.twin.now + legal_duration(lasting))

    def _redraw(self) -> None:
        if self.down_since is None:
            self.twin.calendar.cancel(self)
            self._schedule(self._between)

    def wake(self, entry: Entry) -> None:
        if self.down_since is None:
            self._fail()
        else:
            self.end()

    def _fail(self) -> None:
        twin, resource = self.twin, self.resource
        self.down_since = twin.now
        count = len(resource.serving()) if self.interrupts else 0
        cause = None
        if twin.events:
            payload = {"resource": resource.name, "reason": self.reason, "interrupted": count}
            cause = twin.emit("resource-down", None, None, payload)
        resource.go_down(interrupt=self.interrupts, cause=cause)
        if self._lasting is not None:
            self._schedule(self._lasting)
        else:
            assert self._repair_flow is not None
            entity = twin.create(self._repair_flow, {"resource": resource.name}, None)
            entity.memory = {"repairs": [resource.name, self.reason]}
            twin.ready.append(entity)

    def end(self) -> None:
        """Back in service."""
        twin, resource = self.twin, self.resource
        assert self.down_since is not None
        lasted = twin.now - self.down_since
        self.down_since = None
        cause = None
        if twin.events:
            cause = twin.emit("resource-up", None, None, {"resource": resource.name, "reason": self.reason, "down": lasted})
        self._schedule(self._between)
        resource.come_up(cause)
