"""The event calendar: SimPy's, ordered by (time, priority, sequence number), holding entries that are data.

An entry never holds a closure over a frame. It names whom to wake (`step`), so that a calendar can be written down and
rebuilt with every tie in place: the sequence number is part of the entry.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Any

from simpy import Environment
from simpy.events import NORMAL, URGENT, Event

__all__ = ["NORMAL", "URGENT", "Calendar", "Entry"]

STALE_MIN = 64


class Entry(Event):
    """A calendar entry that can be used again and again: at most one occurrence of it is due at any time.

    `order` is the sequence number of the due occurrence, 0 when none is. Cancelling sets it to 0; the tuple that is left in the
    heap is recognised as stale by its number.
    """

    __slots__ = ("at", "order", "step")

    at: float
    order: int
    step: Any

    def __init__(self) -> None:
        # SimPy's own constructor is not called: an entry keeps no callbacks and no value, its `step` is all there is.
        self.at = 0.0
        self.order = 0


class Calendar:
    """SimPy's calendar with cancellation. Cancelled entries are dropped when met, or all at once when they are the majority."""

    __slots__ = ("environment", "heap", "numbers", "stale")

    def __init__(self, start: float = 0.0) -> None:
        self.environment = Environment(initial_time=start)
        self.heap: list[Any] = self.environment._queue
        self.numbers = self.environment._eid
        self.stale = 0

    def schedule(self, entry: Entry, at: float, priority: int = NORMAL) -> None:
        entry.at = at
        entry.order = order = next(self.numbers) + 1
        heappush(self.heap, (at, priority, order, entry))

    def cancel(self, entry: Entry) -> None:
        if entry.order:
            entry.order = 0
            self.stale += 1
            if self.stale > STALE_MIN and self.stale * 2 > len(self.heap):
                self.heap[:] = [item for item in self.heap if item[3].order == item[2]]
                heapify(self.heap)
                self.stale = 0

    def next_time(self) -> float:
        """Time of the earliest entry; infinity if there is none."""
        heap = self.heap
        while heap:
            head = heap[0]
            if head[3].order == head[2]:
                return head[0]
            heappop(heap)
            self.stale -= 1
        return inf

    # -- as data
    def last_number(self) -> int:
        """The sequence number given last."""
        number = next(self.numbers)
        self._number_from(number)
        return number

    def _number_from(self, number: int) -> None:
        self.environment._eid = self.numbers = count(number)

    def rebuild(self, entries: list[tuple[float, int, int, Entry]], last_number: int) -> None:
        """Put back what a snapshot held, with the sequence numbers of then."""
        for at, _, order, entry in entries:
            entry.at, entry.order = at, order
        self.heap[:] = entries
        heapify(self.heap)
        self.stale = 0
        self._number_from(last_number)
