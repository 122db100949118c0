"""What is due later: occurrences of calendar entries in lots of equal width, as columns of numbers.

An entry is put into one table when it comes and stays where it is until it is due. All else happens to columns: its time, its
sequence number and its place in the table lie side by side as plain numbers, which are distributed to lots some thousand at a
time; the lot that is due next is sorted (then it is called the run) and handed out in chunks. So nothing of an entry is looked
at before it is due: among a million of them each look costs a place in memory that no cache holds.
"""

from itertools import repeat
from math import frexp, inf, ldexp
from typing import Any

import numpy as np
from simpy.events import NORMAL

LOTS_MAX = 128
STAGED_MAX = 1_024
"""So many are distributed to the lots at once, about: while they are still in the second-level cache."""
SAMPLE = 1_024
"""Occurrences whose times are looked at to choose the width of lots."""
EXACT_MAX = 2.0**50
"""Bounds of lots stay below this many widths: there, their numbers are exact as floats."""
PLACES_MIN = 65_536
"""Up to so many places of the table may be those of entries that are gone, however few are left."""

TIME, ORDER, PLACE = range(3)
Columns = np.ndarray[Any, Any]
"""Rows TIME (the bits of a float), ORDER and PLACE (in the table)."""


class Lots:
    """Lots [base, base + 1), [base + 1, base + 2) ... in units of 1/scale (a power of two), and a last one of what lies beyond.

    `reach`: only what is due at or after it may be added. What is due before it and has not been handed out is the run.
    `times`, `orders`, `entries`: what has been added last, not yet in a lot. Whoever adds, adds to all three.
    """

    __slots__ = (
        "_base",
        "_done",
        "_filled",
        "_lots",
        "_next",
        "_run",
        "_run_times",
        "_scale",
        "_table",
        "entries",
        "orders",
        "reach",
        "times",
    )

    _done: int

    def __init__(self) -> None:
        self.times: list[float] = []
        self.orders: list[int] = []
        self.entries: list[Any] = []
        self.reach = inf
        self._filled = 0
        self._table = np.empty(0, object)
        self._base = 0
        self._scale = 1.0
        self._lots: list[list[Columns]] = [[]]
        self._next = 0
        self._sort([])

    @classmethod
    def of(cls, rows: list[tuple[float, int, Any]], *, few: int) -> "Lots | None":
        """All of these (time, sequence number, entry); None if they are `few`, or if no width would part them.

        The width follows from how densely those lie that are due next: more than half of them lie in lots.
        """
        if len(rows) <= few:
            return None
        times = [row[0] for row in rows]
        every = np.fromiter(times, np.float64, len(times))
        low = float(every.min())
        sample = np.sort(every[:: max(1, len(rows) // SAMPLE)])
        middle = float(sample[len(sample) // 2])
        width = (middle - low) * 4 / LOTS_MAX
        if not width > middle / EXACT_MAX:
            return None
        made = cls()
        made._scale = scale = ldexp(1.0, -frexp(width)[1])
        made._base = int(low * scale)
        made._lots = [[] for _ in range(LOTS_MAX + 1)]
        made.reach = made._base / scale
        made.times = times
        made.orders = [row[1] for row in rows]
        made.entries = [row[2] for row in rows]
        return made

    def rows(self) -> list[tuple[float, int, Any]]:
        """Time, sequence number and entry of all that has not been handed out."""
        self._distribute()
        lots = [columns for lot in self._lots[self._next :] for columns in lot]
        columns = np.concatenate([self._run[:, self._done :], *lots], axis=1)
        entries = self._table.take(columns[PLACE]).tolist()
        return list(zip(columns[TIME].view(np.float64).tolist(), columns[ORDER].tolist(), entries, strict=True))

    def sprawling(self, many: int) -> bool:
        """Whether most places of the table are those of entries that are gone, when there are so `many` others."""
        return self._filled > 4 * many + PLACES_MIN

    # -- handing out
    def chunk(self, size: int) -> tuple[list[Any], float]:
        """What is due next, `size` or some more of it, in order, as items of a calendar's heap; and when what follows is due.

        What is due at one time is in one chunk. Nothing at all where a lot is empty: ask again, unless they are used up.
        """
        if len(self.times) > STAGED_MAX:
            self._distribute()
        start, times = self._done, self._run_times
        if start == len(times):
            if self.used_up():
                return [], self.reach
            self._distribute()
            lot, self._lots[self._next] = self._lots[self._next], []
            self._next += 1
            self.reach = (self._base + self._next) / self._scale
            self._sort(lot)
            start, times = 0, self._run_times
        stop, following = len(times), self.reach
        if start + size < stop:
            stop = int(np.searchsorted(times, times[start + size - 1], side="right"))
            if stop < len(times):
                following = float(times[stop])
        self._done = stop
        places = self._run[PLACE, start:stop]
        # numpy's loop is so short that the processor fetches several of the entries at once.
        entries = self._table.take(places).tolist()
        self._table[places] = None
        orders = self._run[ORDER, start:stop].tolist()
        return list(zip(times[start:stop].tolist(), repeat(NORMAL), orders, entries, strict=False)), following

    def used_up(self) -> bool:
        """Whether only what lies beyond the lots is left."""
        return self._next == len(self._lots) - 1 and self._done == len(self._run_times)

    def _sort(self, lot: list[Columns]) -> None:
        """Make a lot the run."""
        columns = np.concatenate(lot, axis=1) if lot else np.empty((3, 0), np.int64)
        self._run = columns[:, np.lexsort((columns[ORDER], columns[TIME].view(np.float64)))]
        self._run_times = self._run[TIME].view(np.float64)
        self._done = 0

    def _distribute(self) -> None:
        """Put what has been added last into lots."""
        if not self.times:
            return
        times = np.fromiter(self.times, np.float64, len(self.times))
        last = len(self._lots) - 1
        lots = (np.minimum(times * self._scale, self._base + last) - self._base).astype(np.int16)
        by_lot = np.argsort(lots, kind="stable")
        columns = np.empty((3, len(times)), np.int64)
        columns[TIME] = times.view(np.int64)[by_lot]
        columns[ORDER] = np.fromiter(self.orders, np.int64, len(times))[by_lot]
        columns[PLACE] = by_lot + self._filled
        start = 0
        for lot, stop in zip(self._lots, np.cumsum(np.bincount(lots, minlength=last + 1)).tolist(), strict=True):
            if stop > start:
                lot.append(columns[:, start:stop].copy())
            start = stop
        filled = self._filled + len(times)
        if filled > len(self._table):
            grown = np.empty(max(filled, 2 * len(self._table)), object)
            grown[: self._filled] = self._table[: self._filled]
            self._table = grown
        # (Assigned as a list, numpy would look into each of them for arrays.)
        self._table[self._filled : filled] = np.fromiter(self.entries, object, len(self.entries))
        self._filled = filled
        self.times, self.orders, self.entries = [], [], []
