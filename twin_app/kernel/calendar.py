"""The event calendar: SimPy's, ordered by (time, priority, sequence number), holding entries that are data.

An entry never holds a closure over a frame. It names whom to wake (`step`), so that a calendar can be written down and
rebuilt with every tie in place: the sequence number is part of the entry.

SimPy's calendar is a binary heap. With a million entries each push and pop walks over memory that no cache holds, so a large
calendar is cut: what is due soon is in SimPy's heap, what is due later lies in lots of equal width (lots.py), unsorted, and
beyond those in one more. When the heap is worked off, the next lot is sorted into a run, and goes into the heap chunk by chunk.
This is a calendar queue (Brown, "Calendar queues: a fast O(1) priority queue implementation for the simulation event set
problem", 1988) that sorts as late as the ladder queue does (Tang, Goh, Thng, 2005). The order of execution is that of one heap,
to the last tie: the bounds of a lot are exact numbers, and what is due at one time goes into the heap together.
"""

from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from simpy import Environment
from simpy.events import NORMAL, URGENT

from twin_app.kernel.lots import Lots

__all__ = ["NORMAL", "URGENT", "Calendar", "Entry"]

STALE_MIN = 64
NEAR_MAX = 4_096
"""Above so many entries the heap is cut; below, there is nothing but the heap."""
CHUNK = 256
"""Entries that go into the heap at once, about: few enough to stay in the processor's cache, enough to share the work."""


class Entry:
    """A calendar entry that can be used again and again: at most one occurrence of it is due at any time.

    `order` is the sequence number of the due occurrence, 0 when none is. Cancelling sets it to 0; what is left of it in the
    calendar is recognised as stale by its number.
    """

    # `phase` and `units` are an entity's: what is used together lies together.
    __slots__ = ("at", "order", "phase", "step", "units")

    at: float
    order: int
    phase: int
    step: Any
    units: int

    def __init__(self) -> None:
        self.at = 0.0
        self.order = 0


class Calendar:
    """SimPy's calendar with cancellation and a horizon.

    `number`: the sequence number given last. `heap`: what is due next. All that is due before the `horizon` is in it, and
    whoever is scheduled before `reach` goes there too (urgent entries, of which there are few, whenever they are due). `far`: how
    many lie elsewhere. `stale`: how many are cancelled, here and there; dropped when met, or all at once when they are the
    majority.
    """

    __slots__ = (
        "_cut_at",
        "_lots",
        "_near_max",
        "environment",
        "far",
        "heap",
        "horizon",
        "number",
        "reach",
        "stale",
    )

    def __init__(self, start: float = 0.0) -> None:
        self.environment = Environment(initial_time=start)
        self.heap: list[Any] = self.environment._queue
        self.number = 0
        self._uncut()

    def _uncut(self) -> None:
        """Nothing but the heap, and nothing stale in it."""
        self._lots = Lots()
        self._near_max = NEAR_MAX
        self._cut_at = 0
        self.far = 0
        self.stale = 0
        self.horizon = inf
        self.reach = inf

    def schedule(self, entry: Entry, at: float, priority: int = NORMAL) -> None:
        entry.at = at
        self.number = entry.order = order = self.number + 1
        if at < self.reach or priority != NORMAL:
            heappush(self.heap, (at, priority, order, entry))
            if len(self.heap) > self._near_max:
                self._cut(order)
        else:
            lots = self._lots
            lots.times.append(at)
            lots.orders.append(order)
            lots.entries.append(entry)
            self.far += 1

    # -- cancellation
    def cancel(self, entry: Entry) -> None:
        if entry.order:
            entry.order = 0
            self.stale += 1
            if self.stale > STALE_MIN and self.stale * 2 > len(self.heap) + self.far:
                self._sweep()

    def _sweep(self) -> None:
        """Drop all that is stale."""
        self._distribute([], [item for item in self.heap if item[3].order == item[2]], self._cut_at)

    def next_time(self) -> float:
        """Time of the earliest entry; infinity if there is none."""
        heap = self.heap
        while heap or self.draw_near():
            head = heap[0]
            if head[0] >= self.horizon:
                self.draw_near()
            elif head[3].order == head[2]:
                return head[0]
            else:
                heappop(heap)
                self.stale -= 1
        return inf

    # -- near and far
    def draw_near(self) -> bool:
        """The heap is worked off up to the horizon: put what is due next into it. False when nothing is left at all."""
        heap, lots = self.heap, self._lots
        while self.far:
            if lots.used_up() or lots.sprawling(self.far):
                self._distribute([], [item for item in heap if item[3].order == item[2]], self.number)
                lots = self._lots
                continue
            items, self.horizon = lots.chunk(CHUNK)
            self.reach = lots.reach
            self.far -= len(items)
            if self.stale:
                found = [item for item in items if item[3].order == item[2]]
                self.stale -= len(items) - len(found)
                items = found
            if not heap:
                heap[:] = items  # sorted: a heap
            elif len(heap) < len(items):
                heap += items
                heapify(heap)
            else:
                for item in items:
                    heappush(heap, item)
            if len(heap) > self._near_max:
                self._cut(self.number)
            if heap:
                return True
        self.horizon = self.reach = inf
        return bool(heap)

    def cut(self) -> None:
        """Cut the calendar if it has grown large. (For those who push into `heap` themselves.)"""
        if len(self.heap) > self._near_max:
            self._cut(self.number)

    def _cut(self, number: int) -> None:
        """Cut where the heap is large, but not before as many have been scheduled (`number` counts) as are to be distributed."""
        if number - self._cut_at >= self.far:
            due = [item for item in self.heap if item[3].order == item[2]]
            self._distribute([item for item in due if item[1] == NORMAL], [item for item in due if item[1] != NORMAL], number)

    def _distribute(self, near: list[Any], heap: list[Any], number: int) -> None:
        """Choose the width of lots anew, and distribute what is far and what is `near`. `heap` is what stays in it."""
        rows = [(item[0], item[2], item[3]) for item in near] + self._lots.rows()
        if self.stale:
            rows = [row for row in rows if row[2].order == row[1]]
        self._uncut()
        self._cut_at = number
        lots = Lots.of(rows, few=NEAR_MAX // 2)
        if lots is not None:
            self._lots = lots
            self.far = len(rows)
            self.horizon = self.reach = lots.reach
        else:
            # Few are left, or too many are due at once: no width would part them.
            heap = heap + [(at, NORMAL, order, entry) for at, order, entry in rows]
        heapify(heap)
        self.heap[:] = heap
        self._near_max = max(NEAR_MAX, 2 * len(heap))

    # -- as data
    def rebuild(self, entries: list[tuple[float, int, int, Entry]], last_number: int) -> None:
        """Put back what a snapshot held, with the sequence numbers of then."""
        for at, _, order, entry in entries:
            entry.at, entry.order = at, order
        self._uncut()
        self.heap[:] = entries
        heapify(self.heap)
        self.number = last_number
