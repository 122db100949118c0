"""Those who are moved, taken out of the lines, services and groups where they are; in the data, before any line is served.

What they have seized stays with them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from twin_app.kernel.entity import GATHERED, HALTED, MOVING, QUEUED, SERVING, WAITING
from twin_app.kernel.migration.work import (
    AT,
    BUSY_SUM,
    ID,
    MEMORY,
    ORDER,
    PHASE,
    QUEUE_SUM,
    TICKET,
    Row,
    Work,
    units_of,
)
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.blocks import OF_ONE_STEP
from twin_app.kernel.steps.serve import Seize
from twin_app.kernel.steps.stock import StockStep

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Withdrawal:
    """`resources`, `stocks`: names of those that somebody was taken out of, in this order: they may have to serve others.

    `moving`: who is moved, in the order in which they would have gone on. `ended`: who is gone, and waited for nothing but news.
    """

    def __init__(self, work: Work, old: "Twin", moving: Iterable[int], ended: Iterable[int]) -> None:
        self.resources: dict[str, None] = {}
        self.stocks: dict[str, None] = {}
        self._work = work
        self._old = old
        self._away: dict[int, bool] = dict.fromkeys(ended, False)
        """Who is taken out of lines; whether it waits for children."""
        for number in moving:
            self._take_away(work.rows[number], work.was_at[number])
        if self._away:
            self._out_of_lines()

    def _take_away(self, row: Row, step: Step) -> None:
        phase = row[PHASE]
        if isinstance(step, Seize) and phase in (QUEUED, SERVING, HALTED):
            self._out_of_resource(row, step)
        elif isinstance(step, StockStep) and phase == QUEUED:
            self.stocks[step.stock.name] = None
        elif phase == GATHERED:
            self._out_of_group(row, step)
        self._away[row[ID]] = phase == WAITING and bool((row[MEMORY] or {}).get("children"))
        row[AT], row[ORDER], row[PHASE], row[TICKET] = None, 0, MOVING, 0
        if row[MEMORY]:
            row[MEMORY] = {key: value for key, value in row[MEMORY].items() if key not in OF_ONE_STEP} or None

    def _out_of_resource(self, row: Row, step: Seize) -> None:
        now = self._old.now
        data, resource = self._work.data["resources"][step.resource.name], step.resource
        self.resources[resource.name] = None
        if row[PHASE] == QUEUED:
            data["sums"][QUEUE_SUM] += now
        elif row[PHASE] == SERVING:
            if "debt" in data:
                owed = max(0, data["busy"] - resource.capacity)
                data["debt"] = [data["debt"][0] + owed * (now - data["debt"][1]), now]
            units = units_of(row, step)
            data["busy"] -= units
            data["sums"][BUSY_SUM] += units * now

    def _out_of_group(self, row: Row, step: Step) -> None:
        place = next(place for place, gathering in enumerate(self._old.program.gatherings) if gathering is step)
        groups = self._work.data["gatherings"][place]
        key = row[MEMORY]["group"]
        groups[key].remove(row[ID])
        if not groups[key]:
            del groups[key]
        elif row[ORDER]:  # the timeout of the group was on its first
            first = self._work.rows[groups[key][0]]
            first[AT], first[ORDER] = row[AT], self._work.next_order()

    def _out_of_lines(self) -> None:
        """All at once, since a line may be as long as those who leave it are many."""
        data, away = self._work.data, self._away
        lines: list[tuple[dict[str, list[int]], str]] = [(data["waiting"], topic) for topic in data["waiting"]]
        for resource in data["resources"].values():
            lines += [(resource, name) for name in ("queue", "halted", "users") if name in resource]
        for stock in (*data["containers"].values(), *data["stores"].values()):
            lines += [(stock, "putters"), (stock, "getters")]
        for owner, name in lines:
            owner[name] = [number for number in owner[name] if number not in away]
        for row in self._work.rows.values():
            if row[MEMORY] and away.get(row[MEMORY].get("parent")):
                del row[MEMORY]["parent"]
