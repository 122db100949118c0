"""Stocks: containers (an amount of something) and stores (single items), with lines of those who want to put and to get.

Both lines are first come, first served; the first waits for its turn even if a smaller one behind it could go. Only a
filtered get at a store lets others pass while nothing matches it. A smaller capacity takes nothing out: puts wait until there
is room again.
"""

from bisect import insort
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from models.errors import EntityFault
from twin_app.kernel.entity import MOVING, Entity
from twin_app.kernel.queues import FifoQueue

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Stock:
    """What containers and stores share: capacity, the two lines, and the time integral of the level."""

    kind = ""

    def __init__(self, twin: "Twin", name: str, capacity: float) -> None:
        self.twin = twin
        self.name = name
        self.capacity = capacity
        self.putters = FifoQueue()
        self.getters = FifoQueue()
        self.on_change: Callable[[], None] | None = None
        self._area = 0.0
        self._since = 0.0

    @property
    def level(self) -> float:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}: {self.level} of {self.capacity}>"

    def weigh(self) -> None:
        """Before each change of the level: add up what was."""
        now = self.twin.now
        self._area += self.level * (now - self._since)
        self._since = now

    def changed(self) -> None:
        if self.on_change is not None:
            self.on_change()

    def serve(self, cause: int | None) -> None:
        """Whoever can go, goes."""
        raise NotImplementedError

    def quit(self, entity: Entity) -> None:
        """The entity gives up its place in either line."""
        self.putters.pop(entity.id, None)
        self.getters.pop(entity.id, None)

    def _go_on(self, line: FifoQueue, entity: Entity, cause: int | None) -> None:
        line.remove(entity)
        if entity.order:
            self.twin.calendar.cancel(entity)
        entity.phase = MOVING
        entity.step = entity.step.begin(entity, cause)
        self.twin.ready.append(entity)

    def statistics(self) -> dict[str, Any]:
        elapsed = self.twin.now - self.twin.statistics_since
        area = self._area + self.level * (self.twin.now - self._since)
        return {
            "capacity": self.capacity,
            "level": self.level,
            "putting": len(self.putters),
            "getting": len(self.getters),
            "level_mean": area / elapsed if elapsed > 0 else float(self.level),
        }

    def reset_statistics(self) -> None:
        self._area = 0.0
        self._since = self.twin.now

    # -- as data
    def snapshot(self) -> dict[str, Any]:
        return {"putters": list(self.putters), "getters": list(self.getters), "sums": [self._area, self._since]}

    def restore(self, data: dict[str, Any], entities: dict[int, Entity]) -> None:
        self.putters.load([entities[number] for number in data["putters"]])
        self.getters.load([entities[number] for number in data["getters"]])
        self._area, self._since = data["sums"]


class Container(Stock):
    """An amount of something. Who waits keeps its amount in `entity.units`."""

    kind = "container"

    def __init__(self, twin: "Twin", name: str, capacity: float, level: float) -> None:
        self._level = level
        super().__init__(twin, name, capacity)

    @property
    def level(self) -> float:
        return self._level

    def set_level(self, level: float) -> None:
        self.weigh()
        self._level = level

    def fits(self, amount: float) -> bool:
        return self._level + amount <= self.capacity

    def holds(self, amount: float) -> bool:
        return self._level >= amount

    def serve(self, cause: int | None) -> None:
        progress = True
        while progress:
            progress = False
            while self.putters and self.fits((entity := self.putters.first()).units):
                self._go_on(self.putters, entity, cause)
                progress = True
            while self.getters and self.holds((entity := self.getters.first()).units):
                self._go_on(self.getters, entity, cause)
                progress = True
        self.changed()

    def snapshot(self) -> dict[str, Any]:
        return {**super().snapshot(), "level": self._level}

    def restore(self, data: dict[str, Any], entities: dict[int, Entity]) -> None:
        super().restore(data, entities)
        self._level = data["level"]


class Store(Stock):
    """Single items. A waiting putter keeps its item in its memory.

    Items are given out in the store's order: `fifo`, `lifo`, or `priority` (lower first, equal ones first in, first out).
    """

    kind = "store"

    def __init__(self, twin: "Twin", name: str, capacity: float, discipline: str, items: Iterable[Any]) -> None:
        self._discipline = discipline
        self._items: OrderedDict[int, Any] = OrderedDict()
        self._ranks: list[tuple[float, int]] = []  # of a priority store: the best at the end
        self._next_number = 1
        super().__init__(twin, name, capacity)
        for item in items:
            self._keep(item, 0.0)

    @property
    def level(self) -> int:
        return len(self._items)

    def fits(self) -> bool:
        return len(self._items) < self.capacity

    def _keep(self, item: Any, priority: float) -> int:
        number = self._next_number
        self._next_number += 1
        self._items[number] = item
        if self._discipline == "priority":
            insort(self._ranks, (-priority, -number))
        return number

    def _in_order(self) -> Iterable[int]:
        if self._discipline == "priority":
            return (-number for _, number in reversed(self._ranks))
        return reversed(self._items) if self._discipline == "lifo" else iter(self._items)

    def _remove(self, number: int) -> Any:
        self.weigh()
        if self._discipline == "priority":
            place = len(self._ranks) - 1
            while self._ranks[place][1] != -number:
                place -= 1
            del self._ranks[place]
        return self._items.pop(number)

    def put(self, item: Any, priority: float) -> int:
        """Take an item in; gives its number. The caller serves afterwards."""
        self.weigh()
        return self._keep(item, priority)

    def items(self) -> list[Any]:
        """What is in it, oldest first."""
        return list(self._items.values())

    def numbers(self) -> list[int]:
        """The numbers of what is in it, in the order in which it is given out."""
        return list(self._in_order())

    def replace(self, items: Iterable[Any]) -> None:
        """Hold these items, oldest first, of equal rank, in place of all others. The caller offers them and serves."""
        self.weigh()
        self._items.clear()
        self._ranks.clear()
        for item in items:
            self._keep(item, 0.0)

    def drop_last(self, count: int) -> None:
        """Without the `count` items that would be given out last. The caller serves afterwards."""
        self.weigh()
        for number in self.numbers()[len(self._items) - count :]:
            del self._items[number]
        self._ranks = [rank for rank in self._ranks if -rank[1] in self._items]

    def take(self, matches: Callable[[Any], bool] | None) -> tuple[bool, Any]:
        """The first item (that matches): whether there is one, and the item. Raises EntityFault (from the filter)."""
        for number in self._in_order():
            if matches is None or matches(self._items[number]):
                return True, self._remove(number)
        return False, None

    def offer(self, number: int, cause: int | None) -> bool:
        """Offer a new item to those who wait, in their order; true if somebody took it."""
        for entity in list(self.getters.values()):
            if number not in self._items:
                return True
            step: Any = entity.step
            try:
                wanted = step.wants(entity, self._items[number])
            except EntityFault as fault:
                self.twin.fail(entity, fault)
                continue
            if wanted:
                # Without a filter the first in the store's own order is taken, which may be another one.
                chosen = number if step.filtered else next(iter(self._in_order()))
                step.receive(entity, self._remove(chosen))
                self._go_on(self.getters, entity, cause)
                if chosen == number:
                    return True
        return number not in self._items

    def serve(self, cause: int | None) -> None:
        """Let waiting puts in while there is room; each new item is offered to those who wait."""
        while self.putters and self.fits():
            entity = self.putters.first()
            number = entity.step.store_item(entity)
            self._go_on(self.putters, entity, cause)
            self.offer(number, cause)
        self.changed()

    # -- as data
    def snapshot(self) -> dict[str, Any]:
        ranks = {-number: -priority for priority, number in self._ranks}
        items = [[number, item, ranks.get(number, 0.0)] for number, item in self._items.items()]
        return {**super().snapshot(), "items": items, "next_number": self._next_number}

    def restore(self, data: dict[str, Any], entities: dict[int, Entity]) -> None:
        super().restore(data, entities)
        self._items = OrderedDict((number, item) for number, item, _ in data["items"])
        self._ranks = (
            sorted((-priority, -number) for number, _, priority in data["items"]) if self._discipline == "priority" else []
        )
        self._next_number = data["next_number"]
