"""Waiting lines. All of them: join, look at the first, take the first, take out anyone, in O(log n) (but see PlainLine)."""

from collections import OrderedDict, deque
from heapq import heapify, heappop, heappush
from typing import Any, Protocol

from twin_app.kernel.entity import Entity

STALE_MIN = 64


class Queue(Protocol):
    """A waiting line of entities. True when somebody waits."""

    def __len__(self) -> int: ...
    def join(self, entity: Entity, *, ahead: bool = False) -> None:
        """`ahead`: before its equals (one who was in service before)."""
        ...

    def first(self) -> Entity: ...
    def take(self) -> Entity: ...
    def remove(self, entity: Entity) -> None: ...
    def in_order(self) -> list[Entity]: ...
    def load(self, entities: list[Entity]) -> None: ...


class FifoQueue(OrderedDict[int, Entity]):
    """First come, first served."""

    def join(self, entity: Entity, *, ahead: bool = False) -> None:
        self[entity.id] = entity
        if ahead:
            self.move_to_end(entity.id, last=False)

    def first(self) -> Entity:
        return self[next(iter(self))]

    def take(self) -> Entity:
        return self.popitem(last=False)[1]

    def remove(self, entity: Entity) -> None:
        del self[entity.id]

    def in_order(self) -> list[Entity]:
        return list(self.values())

    def load(self, entities: list[Entity]) -> None:
        """Fill from a snapshot, in the order of service."""
        for entity in entities:
            self[entity.id] = entity


class PlainLine(deque[Entity]):
    """First come, first served, where nobody is impatient: the fastest line. Taking out another than the first is O(n), but
    happens only when somebody corrects the line from outside; then mostly several in a row."""

    _place = 0

    def join(self, entity: Entity, *, ahead: bool = False) -> None:
        if ahead:
            self.appendleft(entity)
        else:
            self.append(entity)

    def first(self) -> Entity:
        return self[0]

    def take(self) -> Entity:
        return self.popleft()

    def remove(self, entity: Entity) -> None:
        place = self._place
        if place >= len(self) or self[place] is not entity:
            place = self._place = self.index(entity)
        del self[place]

    def in_order(self) -> list[Entity]:
        return list(self)

    def load(self, entities: list[Entity]) -> None:
        """Fill from a snapshot, in the order of service."""
        self.extend(entities)


class LifoQueue(FifoQueue):
    """Last come, first served."""

    def join(self, entity: Entity, *, ahead: bool = False) -> None:
        self[entity.id] = entity

    def first(self) -> Entity:
        return self[next(reversed(self))]

    def take(self) -> Entity:
        return self.popitem(last=True)[1]

    def in_order(self) -> list[Entity]:
        return list(reversed(self.values()))

    def load(self, entities: list[Entity]) -> None:
        super().load(entities[::-1])


class Tickets:
    """Hands out places in lines: one counter for the whole twin, so that a place left behind in one queue is never mistaken
    for a place in another."""

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next = 1


class PriorityQueue:
    """Lower priority first; equal ones in the order in which they came (`ticket`). Those taken out leave a stale item."""

    __slots__ = ("_count", "_heap", "_tickets")

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._heap: list[tuple[float, int, Entity]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(self, entity: Entity, *, ahead: bool = False) -> None:
        ticket = self._tickets.next
        self._tickets.next = ticket + 1
        entity.ticket = ticket = -ticket if ahead else ticket
        heappush(self._heap, (entity.priority, ticket, entity))
        self._count += 1

    def first(self) -> Entity:
        heap = self._heap
        while True:
            _, ticket, entity = heap[0]
            if entity.ticket == ticket:
                return entity
            heappop(heap)

    def take(self) -> Entity:
        entity = self.first()
        heappop(self._heap)
        entity.ticket = 0
        self._count -= 1
        return entity

    def remove(self, entity: Entity) -> None:
        entity.ticket = 0
        self._count -= 1
        if len(self._heap) > STALE_MIN and len(self._heap) > 2 * self._count:
            self._heap = [item for item in self._heap if item[2].ticket == item[1]]
            heapify(self._heap)

    def in_order(self) -> list[Entity]:
        return [entity for _, ticket, entity in sorted(self._heap, key=_place) if entity.ticket == ticket]

    def load(self, entities: list[Entity]) -> None:
        """Fill from a snapshot: in the order of service, their tickets in place."""
        self._heap = [(entity.priority, entity.ticket, entity) for entity in entities]
        self._count = len(entities)


class Users:
    """Those in service at a resource where somebody may be interrupted: the worst priority first, of equal ones the latest."""

    __slots__ = ("_heap", "_live", "_tickets")

    def __init__(self, tickets: Tickets) -> None:
        self._tickets = tickets
        self._heap: list[tuple[float, int, Entity]] = []
        self._live = 0

    def add(self, entity: Entity) -> None:
        entity.ticket = ticket = self._tickets.next
        self._tickets.next = ticket + 1
        heappush(self._heap, (-entity.priority, -ticket, entity))
        self._live += 1

    def remove(self, entity: Entity) -> None:
        entity.ticket = 0
        self._live -= 1
        if len(self._heap) > STALE_MIN and len(self._heap) > 2 * self._live:
            self._heap = [item for item in self._heap if item[2].ticket == -item[1]]
            heapify(self._heap)

    def worse_than(self, priority: float, units: int) -> list[Entity]:
        """The fewest of the worst whose units make up `units`, each of a worse priority; nobody if they do not suffice."""
        chosen: list[Entity] = []
        kept = []
        while self._heap and units > 0:
            item = self._heap[0]
            if item[2].ticket != -item[1]:
                heappop(self._heap)
                continue
            if item[2].priority <= priority:
                break
            kept.append(heappop(self._heap))
            chosen.append(item[2])
            units -= item[2].units
        for item in kept:
            heappush(self._heap, item)
        return chosen if units <= 0 else []

    def in_order(self) -> list[Entity]:
        """In the order in which they began."""
        live = [item for item in self._heap if item[2].ticket == -item[1]]
        return [item[2] for item in sorted(live, key=lambda item: -item[1])]

    def load(self, entities: list[Entity]) -> None:
        self._heap = [(-entity.priority, -entity.ticket, entity) for entity in entities]
        heapify(self._heap)
        self._live = len(entities)


def _place(item: tuple[float, int, Any]) -> tuple[float, int]:
    return item[0], item[1]
