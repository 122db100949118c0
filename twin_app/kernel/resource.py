"""A resource: servers with a live capacity and a line of entities before it.

Life of a unit: free -> busy (an entity began) -> free (it released) -> granted to the first in line. Lowering the capacity below
what is busy takes nothing away: the debt is paid by the next releases. Raising it grants at the same instant.
"""

from collections.abc import Callable
from typing import Any

from models.blueprint import Resource as ResourceModel
from models.errors import EntityFault
from twin_app.kernel.entity import MOVING, Entity
from twin_app.kernel.outages import Outage
from twin_app.kernel.queues import FifoQueue, LifoQueue, PlainLine, PriorityQueue, Queue, Users


class Resource:
    """Capacity, what is busy of it, the queue, and time integrals of both.

    The integrals are kept as sums of instants: beginning subtracts `now`, ending adds it; what is still open is added when
    read. `on_change` is called after each change of queue or busy, where somebody looks. `debt` is what is busy beyond the
    capacity: until it is released it counts as capacity in the figures, so that nothing is utilised by more than all of it.
    """

    __slots__ = (
        "before",
        "busy",
        "busy_sum",
        "capacity",
        "capacity_area",
        "capacity_since",
        "debt",
        "debt_area",
        "debt_looked_at",
        "debt_since",
        "discipline",
        "down",
        "down_sum",
        "halted",
        "max_capacity",
        "name",
        "on_change",
        "outages",
        "plain_line",
        "queue",
        "queue_limit",
        "queue_sum",
        "started",
        "taken",
        "twin",
        "usable",
        "users",
        "waited",
    )

    def __init__(self, twin: Any, name: str, model: ResourceModel, *, prioritised: bool, single: bool, patient: bool) -> None:
        """What is asked of it, in any step: other priorities than 0, never more than one unit, without a limit of patience."""
        self.twin = twin
        self.name = name
        self.capacity = model.capacity
        self.max_capacity = model.max_capacity
        self.queue_limit = model.queue_limit
        self.discipline = model.discipline
        self.busy = 0
        self.down = 0
        self.usable = self.capacity
        self.queue: Queue
        if model.discipline == "lifo":
            self.queue = LifoQueue()
        elif model.discipline == "preemptive" or (model.discipline == "priority" and prioritised):
            self.queue = PriorityQueue(twin.tickets)
        else:
            self.queue = PlainLine() if single and patient else FifoQueue()
        self.outages = [
            Outage(twin, self, reason, outage)
            for reason, outage in (("breakdown", model.breakdown), ("maintenance", model.maintenance))
            if outage is not None
        ]
        # Who is in service is only known where somebody may have to be interrupted.
        interruptible = model.discipline == "preemptive" or any(outage.interrupts for outage in self.outages)
        self.users: Users | None = Users(twin.tickets) if interruptible else None
        self.halted: list[Entity] = []
        self.down_sum = 0.0
        # Nobody asks for more than one unit, or has to be found in service: then the line needs no looking at its front.
        plain = isinstance(self.queue, PlainLine) and self.users is None
        self.plain_line: PlainLine | None = self.queue if plain else None  # type: ignore[assignment]
        self.on_change: Callable[[], None] | None = None
        self.before = [0.0] * 6
        self.started = 0
        self.taken = 0
        self.waited = 0.0
        self.busy_sum = 0.0
        self.queue_sum = 0.0
        self.capacity_area = 0.0
        self.capacity_since = 0.0
        self.debt = 0
        self.debt_area = 0.0
        self.debt_since = 0.0
        self.debt_looked_at = False

    def __repr__(self) -> str:
        return f"<resource {self.name}: {self.busy}/{self.capacity} busy, {len(self.queue)} queued>"

    # -- the line
    def join(self, entity: Entity, *, ahead: bool = False) -> None:
        """The entity stands in line from now on (`ahead` of its equals, where there are priorities)."""
        now = self.twin.now
        entity.since = now
        self.queue_sum -= now
        self.queue.join(entity, ahead=ahead)
        if self.on_change is not None:
            self.on_change()

    def quit(self, entity: Entity) -> None:
        """The entity leaves the line unserved; who stood behind it may have become first."""
        self.queue_sum += self.twin.now
        self.queue.remove(entity)
        if self.on_change is not None:
            self.on_change()

    def grant(self, cause: int | None) -> None:
        """Serve the line while the first in it fits. A large request at the front is not overtaken."""
        queue, plain_line = self.queue, self.plain_line
        twin = self.twin
        now = twin.now
        while queue and self.busy < self.usable:
            if plain_line is not None:
                entity = plain_line.popleft()
            else:
                entity = queue.first()
                if self.busy + entity.units > self.usable:
                    return
                queue.take()
            self.queue_sum += now
            self.taken += 1
            self.waited += now - entity.since
            if entity.order:
                twin.calendar.cancel(entity)
            entity.phase = MOVING
            try:
                step = entity.step.begin(entity, cause)
            except EntityFault as fault:
                twin.fail(entity, fault)
                continue
            if step is not None:
                entity.step = step
                twin.ready.append(entity)

    # -- live parameters
    def set_capacity(self, capacity: int) -> None:
        """Takes effect at once; the caller grants afterwards."""
        now = self.twin.now
        self.capacity_area += self.capacity * (now - self.capacity_since)
        self.capacity_since = now
        self.capacity = capacity
        self.weigh()
        self.owe()

    def owe(self) -> None:
        """Busy or capacity may have changed. From the first debt on, this is called after each change of busy."""
        debt = max(0, self.busy - self.capacity)
        if not (debt or self.debt):
            return
        now = self.twin.now
        self.debt_area += self.debt * (now - self.debt_since)
        self.debt, self.debt_since = debt, now
        if debt:
            self._look_at_debt()

    def _look_at_debt(self) -> None:
        if not self.debt_looked_at:
            self.debt_looked_at = True
            self.twin.observe(self, self.owe)

    def weigh(self) -> None:
        """What can be used: nothing while any outage lasts."""
        self.usable = 0 if self.down else self.capacity

    # -- outages
    def serving(self) -> list[Entity]:
        """Those in service by a `process` step, in the order in which they began."""
        return self.users.in_order() if self.users is not None else []

    def go_down(self, *, interrupt: bool, cause: int | None) -> None:
        """Out of service. With `interrupt` those in service stop; each does what its step says."""
        if not self.down:
            self.down_sum -= self.twin.now
        self.down += 1
        self.weigh()
        if interrupt:
            for entity in self.serving():
                entity.step.halt(entity, cause)
        if self.on_change is not None:
            self.on_change()

    def come_up(self, cause: int | None) -> None:
        """One outage is over. Those who were interrupted go on first, then the line is served."""
        self.down -= 1
        self.weigh()
        if not self.down:
            self.down_sum += self.twin.now
            halted, self.halted = self.halted, []
            for entity in halted:
                entity.step.unhalt(entity, cause)
            self.owe()
            self.grant(cause)
        if self.on_change is not None:
            self.on_change()

    # -- statistics
    def _totals(self) -> list[float]:
        """Since the twin's start: started, waited, and the areas under busy, queue, capacity with debt, and down."""
        now = self.twin.now
        return [
            self.started,
            self.waited,
            self.busy_sum + self.busy * now,
            self.queue_sum + len(self.queue) * now,
            self.capacity_area
            + self.capacity * (now - self.capacity_since)
            + self.debt_area
            + self.debt * (now - self.debt_since),
            self.down_sum + (now if self.down else 0.0),
        ]

    def areas(self) -> tuple[float, float, float, float]:
        """Now, and the integrals up to now of busy, queue and capacity with debt: differences are what counts."""
        _, _, busy, queue, capacity, _ = self._totals()
        return self.twin.now, busy, queue, capacity

    def reset_statistics(self) -> None:
        """Figures count from now on. The totals go on; what they were is subtracted."""
        self.before = self._totals()

    def statistics(self) -> dict[str, Any]:
        """Over the time since statistics began: utilisation, queue length, waits (in the blueprint's time unit).

        Utilisation is the area under busy by the area under capacity, where units that were taken away at work count as capacity
        until they are released: 0 to 1, but for rounding.
        """
        started, waited, busy, queue, capacity, down = (
            now - before for now, before in zip(self._totals(), self.before, strict=True)
        )
        elapsed = self.twin.now - self.twin.statistics_since
        return {
            "capacity": self.capacity,
            "busy": self.busy,
            "queue": len(self.queue),
            "started": int(started),
            "utilisation": busy / capacity if capacity > 0 else 0.0,
            "busy_mean": busy / elapsed if elapsed > 0 else 0.0,
            "queue_mean": queue / elapsed if elapsed > 0 else 0.0,
            "wait_mean": waited / started if started else 0.0,
            "down": down,
        }

    # -- as data
    def snapshot(self) -> dict[str, Any]:
        return {
            "busy": self.busy,
            "down": self.down,
            "halted": [entity.id for entity in self.halted],
            "outages": [[o.down_since, *((o.at, o.order) if o.order else (None, 0))] for o in self.outages],
            **({"users": [entity.id for entity in self.users.in_order()]} if self.users is not None else {}),
            **({"debt": [self.debt_area, self.debt_since]} if self.debt or self.debt_area else {}),
            "before": list(self.before),
            "queue": [entity.id for entity in self.queue.in_order()],
            "sums": [
                self.started,
                self.taken,
                self.waited,
                self.busy_sum,
                self.queue_sum,
                self.capacity_area,
                self.capacity_since,
                self.down_sum,
            ],
        }

    def restore(self, data: dict[str, Any], entities: dict[int, Entity]) -> None:
        self.busy = data["busy"]
        self.down = data["down"]
        self.before = list(data["before"])
        self.weigh()
        self.halted = [entities[number] for number in data["halted"]]
        for outage, (down_since, at, order) in zip(self.outages, data["outages"], strict=True):
            outage.down_since = down_since
            outage.at, outage.order = (at, order) if at is not None else (0.0, 0)
        if self.users is not None:
            self.users.load([entities[number] for number in data["users"]])
        self.queue.load([entities[number] for number in data["queue"]])
        (
            self.started,
            self.taken,
            self.waited,
            self.busy_sum,
            self.queue_sum,
            self.capacity_area,
            self.capacity_since,
            self.down_sum,
        ) = data["sums"]
        self.debt_area, self.debt_since = data.get("debt", (0.0, self.twin.now))  # older ones did not count it
        self.debt = max(0, self.busy - self.capacity)
        if self.debt:
            self._look_at_debt()
