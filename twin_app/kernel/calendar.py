"""The event calendar: SimPy's, ordered by (time, priority, sequence number), holding entries that are data.

An entry never holds a closure over a frame. It names whom to wake (`step`), so that a calendar can be written down and
rebuilt with every tie in place: the sequence number is part of the entry.

SimPy's calendar is a binary heap. With a million entries each push and pop walks over memory that no cache holds, so a large
calendar is cut in two by a `horizon`: what is due before it is in SimPy's heap, what is due later lies unsorted in buckets of
equal width, and beyond those in one list. When the heap is worked off, the next bucket goes into it. This is a calendar queue
(Brown, "Calendar queues: a fast O(1) priority queue implementation for the simulation event set problem", 1988) that sorts as
late as the ladder queue does (Tang, Goh, Thng, 2005). The order of execution is that of one heap, to the last tie: the bounds
of a bucket are exact numbers, and all of it is in the heap before any of it is executed.
"""

from heapq import heapify, heappop, heappush
from math import frexp, inf, ldexp
from typing import Any

from simpy import Environment
from simpy.events import NORMAL, URGENT, Event

__all__ = ["NORMAL", "URGENT", "Calendar", "Entry"]

STALE_MIN = 64
NEAR_MAX = 4_096
"""Above so many entries the heap is cut; below, there is nothing but the heap."""
BUCKET_TARGET = 256
"""Entries in a bucket, about: few enough to stay in the processor's cache, enough to share the work of fetching them."""
BUCKETS_MAX = 32_768
SAMPLE = 1_024
"""Entries whose times are looked at to choose the width of buckets."""
EXACT_MAX = 2.0**50
"""Bounds of buckets stay below this many widths: there, their numbers are exact as floats."""


class Entry(Event):
    """A calendar entry that can be used again and again: at most one occurrence of it is due at any time.

    `order` is the sequence number of the due occurrence, 0 when none is. Cancelling sets it to 0; what is left of it in the
    calendar is recognised as stale, in the heap by its number, in a bucket by its time.
    """

    __slots__ = ("at", "order", "phase", "step")  # `phase` is an entity's; it lies here since it is used with the others

    at: float
    order: int
    phase: int
    step: Any

    def __init__(self) -> None:
        # SimPy's own constructor is not called: an entry keeps no callbacks and no value, its `step` is all there is.
        self.at = 0.0
        self.order = 0


class Calendar:
    """SimPy's calendar with cancellation and a horizon.

    `number`: the sequence number given last. `heap`: what is due before the `horizon`, and urgent entries (there are few)
    whenever they are due. `far`: how many lie in buckets and beyond. `stale`: how many are cancelled, here and there; dropped
    when met, or all at once when they are the majority.
    """

    __slots__ = (
        "_base",
        "_beyond",
        "_buckets",
        "_cut_at",
        "_end",
        "_near_max",
        "_next",
        "_scale",
        "environment",
        "far",
        "heap",
        "horizon",
        "number",
        "stale",
    )

    def __init__(self, start: float = 0.0) -> None:
        self.environment = Environment(initial_time=start)
        self.heap: list[Any] = self.environment._queue
        self.number = 0
        self._uncut()

    def _uncut(self) -> None:
        """Nothing but the heap."""
        self._buckets: list[list[Entry]] = []
        self._next = 0
        self._base = 0
        self._scale = 1.0
        self._end = -inf
        self._beyond: list[Entry] = []
        self._near_max = NEAR_MAX
        self._cut_at = 0
        self.far = 0
        self.stale = 0
        self.horizon = inf

    def schedule(self, entry: Entry, at: float, priority: int = NORMAL) -> None:
        entry.at = at
        self.number = entry.order = order = self.number + 1
        if at < self.horizon or priority != NORMAL:
            heappush(self.heap, (at, priority, order, entry))
            if len(self.heap) > self._near_max:
                self._cut(order)
        else:
            self.defer(entry, at)

    def defer(self, entry: Entry, at: float) -> None:
        """Put an entry where what is due at or after the horizon lies."""
        if at < self._end:
            self._buckets[int(at * self._scale) - self._base].append(entry)
        else:
            self._beyond.append(entry)
        self.far += 1

    def cancel(self, entry: Entry) -> None:
        if entry.order:
            entry.order = 0
            self.stale += 1
            if self.stale > STALE_MIN and self.stale * 2 > len(self.heap) + self.far:
                self._sweep()

    def _sweep(self) -> None:
        """Drop all that is stale."""
        self.heap[:] = [item for item in self.heap if item[3].order == item[2]]
        heapify(self.heap)
        for number in range(self._next, len(self._buckets)):
            self._buckets[number] = self._due(self._buckets[number], *self._bounds(number))
        self._beyond = self._due(self._beyond, self._end, inf)
        self.far = sum(map(len, self._buckets[self._next :])) + len(self._beyond)
        self.stale = 0

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
        heap, buckets = self.heap, self._buckets
        while self.far:
            if self._next == len(buckets):
                self._distribute([], [item for item in heap if item[3].order == item[2]], self.number)
                return bool(heap)
            bucket = buckets[self._next]
            low, self.horizon = self._bounds(self._next)
            buckets[self._next] = []
            self._next += 1
            if not bucket:
                continue
            self.far -= len(bucket)
            if self.stale:
                found = self._due(bucket, low, self.horizon)
                self.stale -= len(bucket) - len(found)
                bucket = found
            items = [(entry.at, NORMAL, entry.order, entry) for entry in bucket]
            items.sort()
            if heap:
                heap += items
                heapify(heap)
            else:
                heap[:] = items
            if len(heap) > self._near_max:
                self._cut(self.number)
            if heap:
                return True
        self.horizon = inf
        return bool(heap)

    def cut(self) -> None:
        """Cut the calendar if it has grown large. (For those who push into `heap` themselves.)"""
        if len(self.heap) > self._near_max:
            self._cut(self.number)

    def _cut(self, number: int) -> None:
        """Cut where the heap is large, but not before as many have been scheduled (`number` counts) as are to be distributed."""
        if number - self._cut_at >= self.far:
            live = [item for item in self.heap if item[3].order == item[2]]
            self._distribute(
                [item[3] for item in live if item[1] == NORMAL], [item for item in live if item[1] != NORMAL], number
            )

    def _distribute(self, near: list[Entry], urgent: list[Any], number: int) -> None:
        """Choose the width of buckets by how densely the next entries lie, and distribute all entries anew."""
        for place in range(self._next, len(self._buckets)):
            near += self._due(self._buckets[place], *self._bounds(place))
        near += self._due(self._beyond, self._end, inf)
        self._uncut()
        self._cut_at = number
        times = sorted([entry.at for entry in near[:: max(1, len(near) // SAMPLE)]])
        quarter = times[len(times) // 4] if times else 0.0
        width = (quarter - times[0]) / len(near) * 4 * BUCKET_TARGET if times else 0.0
        heap = urgent
        if len(near) > NEAR_MAX // 2 and width > quarter / EXACT_MAX:
            self._scale = scale = ldexp(1.0, -frexp(width)[1])
            self._base = int(min([entry.at for entry in near]) * scale)
            number_of = min(int(times[-1] * scale) - self._base + 2, BUCKETS_MAX)
            self._buckets = [[] for _ in range(number_of)]
            self._end = (self._base + number_of) / scale
            self._next = 1
            self.horizon = horizon = (self._base + 1) / scale
            for entry in near:
                if entry.at < horizon:
                    heap.append((entry.at, NORMAL, entry.order, entry))
                else:
                    self.defer(entry, entry.at)
        else:
            # Few are left, or too many are due at once: no width would part them.
            heap += [(entry.at, NORMAL, entry.order, entry) for entry in near]
        heapify(heap)
        self.heap[:] = heap
        self._near_max = max(NEAR_MAX, 2 * len(heap))

    def _bounds(self, number: int) -> tuple[float, float]:
        """Of a bucket: due from the first on, before the second."""
        place = self._base + number
        return place / self._scale, (place + 1) / self._scale

    @staticmethod
    def _due(bucket: list[Entry], low: float, high: float) -> list[Entry]:
        """Those in a bucket that are due in it, each once (who was cancelled and came back is there twice)."""
        return list({entry.order: entry for entry in bucket if entry.order and low <= entry.at < high}.values())

    # -- as data
    def rebuild(self, entries: list[tuple[float, int, int, Entry]], last_number: int) -> None:
        """Put back what a snapshot held, with the sequence numbers of then."""
        for at, _, order, entry in entries:
            entry.at, entry.order = at, order
        self._uncut()
        self.heap[:] = entries
        heapify(self.heap)
        self.number = last_number
