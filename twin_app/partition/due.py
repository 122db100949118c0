"""Which twins are due when: a heap with stale entries left in place, so that an idle twin costs nothing."""

from __future__ import annotations

import heapq

from twin_app.partition.cell import Cell
from twin_app.partition.timeline import FAR_FUTURE_US


class DueList:
    """Cells by the wall time of their next calendar entry; equal times in the order of their keys."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, Cell]] = []

    def schedule(self, cell: Cell) -> None:
        """Enter the cell's next due time; an earlier entry of it becomes stale."""
        due_us = cell.due_us()
        if due_us == cell.scheduled_us:
            return
        cell.scheduled_us = due_us
        if due_us < FAR_FUTURE_US:
            heapq.heappush(self._heap, (due_us, cell.key, cell))

    def first_us(self) -> int:
        """The earliest due time; FAR_FUTURE_US when nothing is due."""
        heap = self._heap
        while heap and heap[0][2].scheduled_us != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else FAR_FUTURE_US

    def pop_until(self, wall_us: int) -> list[Cell]:
        """Take out every cell due at or before `wall_us`, each once, earliest first."""
        cells = []
        while self.first_us() <= wall_us:
            cell = heapq.heappop(self._heap)[2]
            cell.scheduled_us = FAR_FUTURE_US
            cells.append(cell)
        return cells
