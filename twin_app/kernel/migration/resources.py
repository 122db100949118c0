"""Resources carried over: their figures, lines, services and outages."""

from typing import TYPE_CHECKING, Any

from twin_app.kernel.entity import SERVING
from twin_app.kernel.migration.work import CAPACITY_SINCE, ID, ORDER, PHASE, PRIORITY, TICKET, Row, Work
from twin_app.kernel.queues import PriorityQueue
from twin_app.kernel.resource import Resource
from twin_app.kernel.steps.serve import Process

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Resources:
    """What is different is done once the new twin is there. `capacities`: those to be set. `outages`: those to be planned, by
    resource and reason. `healed`: resources whose last outage is gone."""

    def __init__(self, work: Work, fresh: dict[str, dict[str, Any]], old: "Twin", new: "Twin") -> None:
        self.capacities: dict[str, int] = {}
        self.outages: list[tuple[str, str]] = []
        self.healed: list[str] = []
        self._work = work
        self._old = old
        self._new = new
        work.data["resources"] = {name: self._carried(name, row) for name, row in fresh.items()}

    def _carried(self, name: str, fresh: dict[str, Any]) -> dict[str, Any]:
        new = self._new.resources[name]
        if name not in self._old.resources:
            fresh["sums"][CAPACITY_SINCE] = self._new.now
            self.outages += [(name, outage.reason) for outage in new.outages]
            return fresh
        old, data, values = self._old.resources[name], self._work.data["resources"][name], self._work.data["parameters"]
        path = f"resources.{name}.capacity"
        if values[path] != old.capacity:
            self.capacities[name] = int(values[path])
            values[path] = old.capacity  # changed later, with what follows from it
        self._carry_outages(name, data, old, new)
        self._carry_services(data, old, new)
        self._carry_line(data, old, new)
        return data

    def _carry_outages(self, name: str, data: dict[str, Any], old: Resource, new: Resource) -> None:
        """One that has begun goes on; one that is planned does too, if its declaration is the same."""
        rows = {outage.reason: row for outage, row in zip(old.outages, data["outages"], strict=True)}
        before, after = self._old.blueprint.resources[name], self._new.blueprint.resources[name]
        data["outages"], down = [], 0
        for outage in new.outages:
            row = rows.pop(outage.reason, None)
            same = getattr(before, outage.reason) == getattr(after, outage.reason)
            if row is None or (row[0] is None and not same):
                self.outages.append((name, outage.reason))
                row = [None, None, 0]
            data["outages"].append(row)
            down += row[0] is not None
        if data["down"] and not down:
            self.healed.append(name)
        data["down"] = max(down, min(1, data["down"]))

    def _carry_services(self, data: dict[str, Any], old: Resource, new: Resource) -> None:
        """Who is in service, where somebody may have to be interrupted now, or may not any more."""
        rows = self._work.rows
        if new.users is None:
            for number in data.pop("users", ()):
                rows[number][TICKET] = 0
        elif "users" not in data:
            serving = [row for row in rows.values() if row[PHASE] == SERVING and self._serves(row, old)]
            for row in sorted(serving, key=lambda row: row[ORDER]):
                row[TICKET] = self._work.next_ticket()
            data["users"] = [row[ID] for row in sorted(serving, key=lambda row: row[TICKET])]

    def _carry_line(self, data: dict[str, Any], old: Resource, new: Resource) -> None:
        """It may be of another kind now."""
        rows, by_priority = self._work.rows, isinstance(new.queue, PriorityQueue)
        if by_priority != isinstance(old.queue, PriorityQueue):
            for number in data["queue"]:
                rows[number][TICKET] = self._work.next_ticket() if by_priority else 0
        if by_priority:
            data["queue"].sort(key=lambda number: (rows[number][PRIORITY], rows[number][TICKET]))

    def _serves(self, row: Row, resource: Resource) -> bool:
        step = self._work.was_at[row[ID]]
        return isinstance(step, Process) and step.resource is resource
