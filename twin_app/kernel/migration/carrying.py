"""All the rest of the snapshot carried over, part by part in the order of the new blueprint."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from twin_app.kernel.emission import Value
from twin_app.kernel.entity import WAITING
from twin_app.kernel.migration.moves import Moves
from twin_app.kernel.migration.resources import Resources
from twin_app.kernel.migration.sources import Sources
from twin_app.kernel.migration.work import ID, PHASE, STEP, Work

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Carrying:
    """Afterwards the work is a snapshot of the new twin. `resources`, `sources`: what is to be planned or set once that is there.
    `watches`: whether each begins anew, in the new twin's order."""

    def __init__(
        self,
        work: Work,
        base: dict[str, Any],
        old: "Twin",
        new: "Twin",
        moves: Moves,
        values: Mapping[str, Value],
        moving: Collection[int],
    ) -> None:
        """`base`: a snapshot of the new twin as it is with no work."""
        data = work.data
        data["entities"] = list(work.rows.values())
        data["blueprint"] = base["blueprint"]
        data["parameters"] = dict(values)
        known = {stream.name for stream in new.streams()}
        data["streams"] = {name: position for name, position in data["streams"].items() if name in known}
        _carry_figures(data, base, moves, quantiles=new.blueprint.statistics.quantiles)
        self.resources = Resources(work, base["resources"], old, new)
        for section in ("containers", "stores"):
            fresh = {name: {**row, "sums": [0.0, new.now]} for name, row in base[section].items()}
            data[section] = {name: data[section].get(name, row) for name, row in fresh.items()}
        _carry_gatherings(data, old, new, moves)
        _carry_waits(data, new, moving)
        self.sources = Sources(work, base, old.blueprint, new.blueprint)
        self.watches = _carry_watches(data, base, old, new)
        if data["opening"][0] is not None and not new.blueprint.machines:
            data["opening"] = [None, 0]
        _carry_warm_up(work, old, new)

    @property
    def planned(self) -> list[str]:
        """Paths of what begins anew."""
        return [
            *(f"arrivals.{name}" for name in self.sources.arrivals),
            *(f"resources.{name}.{reason}" for name, reason in self.resources.outages),
            *(f"schedules.{name}" for name in self.sources.schedules),
        ]


def _carry_figures(data: dict[str, Any], base: dict[str, Any], moves: Moves, *, quantiles: bool) -> None:
    """Figures of the flows: their quantiles only where they are still kept."""
    back = {there: name for name, there in moves.renamed.items()}
    found = {}
    for name, fresh in base["flows"].items():
        row = data["flows"].get(back.get(name, name))
        if row is None:
            found[name] = fresh
        else:
            found[name] = row if quantiles else [*row[:2], None]
    data["flows"] = found


def _carry_gatherings(data: dict[str, Any], old: "Twin", new: "Twin", moves: Moves) -> None:
    groups = {}
    for gathering, group in zip(old.program.gatherings, data["gatherings"], strict=True):
        there = moves.counterpart(gathering)
        if there is not None:
            groups[there.index] = group
    data["gatherings"] = [groups.get(gathering.index, {}) for gathering in new.program.gatherings]


def _carry_waits(data: dict[str, Any], new: "Twin", moving: Collection[int]) -> None:
    """Who waits for which news: in the old order, and at the end who waits for other news than before."""
    steps = new.program.steps
    wanted = {
        row[ID]: getattr(steps[row[STEP]], "topics", ())
        for row in data["entities"]
        if row[PHASE] == WAITING and row[ID] not in moving
    }
    waiting: dict[str, list[int]] = {}
    for topic, line in data["waiting"].items():
        waiting[topic] = [number for number in line if topic in wanted.get(number, ())]
    for number, topics in wanted.items():
        for topic in topics:
            line = waiting.setdefault(topic, [])
            if number not in data["waiting"].get(topic, ()):
                line.append(number)
    data["waiting"] = {topic: line for topic, line in waiting.items() if line}


def _carry_watches(data: dict[str, Any], base: dict[str, Any], old: "Twin", new: "Twin") -> list[bool]:
    same = old.blueprint.watch == new.blueprint.watch
    rows = {watch.resource: row for watch, row in zip(old.watches, data["watches"], strict=True)} if same else {}
    found = []
    for watch, fresh in zip(new.watches, base["watches"], strict=True):
        resource = data["resources"][watch.resource]
        state = [False, False, len(resource["queue"]), resource["sums"][1], 0]
        found.append(rows.get(watch.resource, [state, fresh[1]]))
    data["watches"] = found
    return [watch.resource not in rows for watch in new.watches]


def _carry_warm_up(work: Work, old: "Twin", new: "Twin") -> None:
    warm_up = new.blueprint.statistics.warm_up
    if warm_up != old.blueprint.statistics.warm_up:
        work.data["warm_up"] = [warm_up, work.next_order()] if warm_up > new.now else [None, 0]
