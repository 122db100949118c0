"""Put and get: filling and emptying containers and stores."""

from typing import TYPE_CHECKING, Any

from models.errors import EntityFault
from twin_app.kernel.entity import MOVING, QUEUED, Entity
from twin_app.kernel.expressions import Expression
from twin_app.kernel.steps.base import Next, Step, amount, legal_duration

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin


class StockStep(Step):
    """Waiting for a stock, with patience."""

    __slots__ = ("_body", "_patience", "_renege_to", "_verb", "stock")

    def __init__(self, twin: "Twin", place: "Place", body: Any, verb: str) -> None:
        super().__init__(twin, place)
        self._body = body
        self._verb = verb
        self.stock: Any = twin.containers[body.container] if body.container is not None else twin.stores[body.store]
        self._patience = twin.duration(body.patience, f"{place.stream}.patience") if body.patience is not None else None

    def link(self) -> None:
        self._renege_to = self.place.target(self._body.on_renege or "end")

    def _wait(self, entity: Entity, line: Any) -> None:
        twin = self.twin
        if twin.events:
            entity.last = twin.emit("entity-blocked", entity.id, entity.last, {"stock": self.stock.name, "verb": self._verb})
        entity.phase = QUEUED
        entity.since = twin.now
        line.join(entity)
        if self._patience is not None:
            twin.calendar.schedule(entity, twin.now + legal_duration(self._patience(entity)))

    def _tell(self, entity: Entity, units: float, cause: int | None) -> None:
        twin = self.twin
        if twin.events:
            payload = {"stock": self.stock.name, "amount": units, "level": self.stock.level}
            entity.last = twin.emit(f"entity-{self._verb}", entity.id, cause if cause is not None else entity.last, payload)

    def wake(self, entity: Entity) -> Next:
        twin = self.twin
        self.stock.quit(entity)
        entity.phase = MOVING
        if entity.memory is not None:
            entity.memory.pop("item", None)
        if twin.events:
            payload = {"resource": self.stock.name, "waited": twin.now - entity.since}
            entity.last = twin.emit("entity-reneged", entity.id, entity.last, payload)
        self.stock.serve(entity.last)
        if self._body.on_renege is None:
            return twin.leave(entity, "reneged")
        return self._renege_to

    def cancel(self, entity: Entity) -> None:
        if entity.phase == QUEUED:
            self.stock.quit(entity)
            self.stock.serve(entity.last)


def _legal_amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e15:
        raise EntityFault("not-an-amount", f"`amount` must be a number from 0 to 1e15, not {value!r}")
    return value


class ContainerStep(StockStep):
    """Put an amount into a container, or get it out."""

    __slots__ = ("_amount",)

    def __init__(self, twin: "Twin", place: "Place", body: Any, verb: str) -> None:
        super().__init__(twin, place, body, verb)
        self._amount = amount(twin, body.amount)

    def enter(self, entity: Entity) -> Next:
        wanted = self._amount
        entity.units = units = _legal_amount(wanted(entity) if isinstance(wanted, Expression) else wanted)  # type: ignore[assignment]
        stock = self.stock
        line = stock.putters if self._verb == "put" else stock.getters
        if line or not (stock.fits(units) if self._verb == "put" else stock.holds(units)):
            self._wait(entity, line)
            return None
        following = self.begin(entity, None)
        stock.serve(entity.last)
        return following

    def begin(self, entity: Entity, cause: int | None) -> Next:
        units = entity.units
        self.stock.set_level(self.stock.level + (units if self._verb == "put" else -units))
        self._tell(entity, units, cause)
        return self.next


class StorePut(StockStep):
    """Put an item into a store."""

    __slots__ = ("_item", "_priority")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place, body, "put")
        self._item = amount(twin, body.item)
        self._priority = amount(twin, body.priority)

    def enter(self, entity: Entity) -> Next:
        item, priority = self._item, self._priority
        if isinstance(item, Expression):
            item = item(entity)
        entity.priority = priority.number(entity) if isinstance(priority, Expression) else priority
        entity.memory = {**(entity.memory or {}), "item": item}
        stock = self.stock
        if stock.putters or not stock.fits():
            self._wait(entity, stock.putters)
            return None
        number = self.store_item(entity)
        following = self.begin(entity, None)
        stock.offer(number, entity.last)
        stock.serve(entity.last)
        return following

    def store_item(self, entity: Entity) -> int:
        """The item changes hands; gives its number in the store."""
        assert entity.memory is not None
        return self.stock.put(entity.memory.pop("item"), entity.priority)

    def begin(self, entity: Entity, cause: int | None) -> Next:
        self._tell(entity, 1, cause)
        return self.next


class StoreGet(StockStep):
    """Get an item out of a store: the first, or the first that matches."""

    __slots__ = ("_name", "_where", "filtered")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place, body, "get")
        self._name = body.as_
        self._where = Expression(body.where, twin.scope) if body.where is not None else None
        self.filtered = self._where is not None

    def enter(self, entity: Entity) -> Next:
        stock = self.stock
        # Those who wait without a filter are ahead; while they wait there is nothing to get.
        found, item = stock.take((lambda item: self.wants(entity, item)) if self.filtered else None)
        if not found:
            self._wait(entity, stock.getters)
            return None
        self.receive(entity, item)
        following = self.begin(entity, None)
        stock.serve(entity.last)
        return following

    def wants(self, entity: Entity, item: Any) -> bool:
        """Does the filter let this item through? Raises EntityFault."""
        if self._where is None:
            return True
        self.twin.item = item
        try:
            return bool(self._where(entity))
        finally:
            self.twin.item = None

    def receive(self, entity: Entity, item: Any) -> None:
        entity.attributes = {**(entity.attributes or {}), self._name: item}

    def begin(self, entity: Entity, cause: int | None) -> Next:
        self._tell(entity, 1, cause)
        return self.next


def put(twin: "Twin", place: "Place", body: Any) -> Step:
    return ContainerStep(twin, place, body, "put") if body.container is not None else StorePut(twin, place, body)


def get(twin: "Twin", place: "Place", body: Any) -> Step:
    return ContainerStep(twin, place, body, "get") if body.container is not None else StoreGet(twin, place, body)
