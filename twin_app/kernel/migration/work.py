"""The work in progress as plain data: the snapshot of the old twin, with its entities at hand by their numbers."""

from typing import TYPE_CHECKING, Any

from twin_app.kernel import snapshot as snapshots
from twin_app.kernel.entity import SERVING
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.plain import PlainProcess

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

ID, STEP, PHASE, AT, ORDER, FLOW, _, LAST, UNITS, PRIORITY, TICKET, _, _, HELD, MEMORY = range(15)
"""An entity's row in a snapshot (kernel/snapshot.py)."""
BUSY_SUM, QUEUE_SUM, CAPACITY_SINCE = 3, 4, 6
"""In the sums of a resource."""

Row = list[Any]


class Work:
    """`data`: the snapshot, which becomes that of the new twin. `rows`: the entities that go on. `was_at`: their old steps."""

    def __init__(self, twin: "Twin") -> None:
        self.data = snapshots.take(twin)
        self.rows: dict[int, Row] = {row[ID]: row for row in self.data["entities"]}
        self.was_at: dict[int, Step] = {row[ID]: twin.program.steps[row[STEP]] for row in self.data["entities"]}

    def next_ticket(self) -> int:
        ticket: int = self.data["next_ticket"]
        self.data["next_ticket"] = ticket + 1
        return ticket

    def next_order(self) -> int:
        """For a new calendar entry: above the last one, so no old tie changes."""
        self.data["last_number"] += 1
        order: int = self.data["last_number"]
        return order

    def ranks(self) -> dict[int, int]:
        """Entities in the order in which they would have gone on: that is the order in which they are moved."""
        data = self.data
        found: dict[int, None] = {}
        serving = sorted((row[ORDER], row[ID]) for row in data["entities"] if row[PHASE] == SERVING)
        found.update(dict.fromkeys(number for _, number in serving))
        for resource in data["resources"].values():
            found.update(dict.fromkeys([*resource["halted"], *resource["queue"]]))
        for stock in (*data["containers"].values(), *data["stores"].values()):
            found.update(dict.fromkeys([*stock["putters"], *stock["getters"]]))
        for groups in data["gatherings"]:
            for group in groups.values():
                found.update(dict.fromkeys(group))
        found.update(dict.fromkeys(row[ID] for row in data["entities"]))
        return {number: rank for rank, number in enumerate(found)}


def units_of(row: Row, step: Step) -> Any:
    """Units that the entity asks for or has in service; a plain process always takes one."""
    return 1 if isinstance(step, PlainProcess) else row[UNITS]
