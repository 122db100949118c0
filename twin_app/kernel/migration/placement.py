"""Each entity at its step in the new blueprint, with what it has and remembers in the new one's names; or told to have none."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from twin_app.kernel.entity import CARRIED, QUEUED, WAITING
from twin_app.kernel.migration.moves import Moves
from twin_app.kernel.migration.report import Report
from twin_app.kernel.migration.verdict import Verdicts
from twin_app.kernel.migration.work import AT, FLOW, HELD, ID, MEMORY, ORDER, PHASE, STEP, UNITS, Row, Work
from twin_app.kernel.opening import MACHINE
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.plain import PlainProcess
from twin_app.kernel.steps.serve import Seize
from twin_app.kernel.steps.stock import StockStep
from twin_app.kernel.steps.wait import WaitFor

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Placement:
    """`moving`: who begins at a step anew (from where, to where), in the order in which they would have gone on. `asked`: who
    waits at the same step under another condition. `ended`: the flows of machines that are gone, no longer in the work."""

    def __init__(self, work: Work, old: "Twin", new: "Twin", moves: Moves, report: Report) -> None:
        self.moving: dict[int, tuple[str, str]] = {}
        self.asked: list[int] = []
        self.ended: list[int] = []
        self._work = work
        self._old = old
        self._new = new
        self._moves = moves
        self._report = report
        self._verdicts = Verdicts(moves)
        self._lost: Counter[tuple[str, str, str]] = Counter()
        rows = list(work.rows.values())
        for row in rows:
            if row[PHASE] != CARRIED:
                self._place(row)
        self._place_members(rows)
        for (place, message, remedy), count in self._lost.items():
            whose = "entity" if count == 1 else "entities"
            report.misfit(place, f"{count:,} {whose} {message}", remedy)
        ranks = work.ranks()
        self.moving = {number: self.moving[number] for number in sorted(self.moving, key=ranks.__getitem__)}

    def _place(self, row: Row) -> None:
        step = self._work.was_at[row[ID]]
        machine = step.place.flow.startswith(MACHINE)
        if machine and step.place.flow not in self._new.program.flows:
            self._end_machine(row, step)
            return
        there, anew, reason = self._verdicts.on(row, step)
        if there is None or reason is not None:
            plural = str(reason).replace("is here", "stand here", 1)
            self._lost[_place_of(step), plural, _remedy(step)] += 1
            return
        if anew:
            self.moving[row[ID]] = (_place_of(step), _place_of(there))
        row[STEP] = there.index
        self._adopt(row)
        if not machine:
            self._count(row)
        if not anew:
            self._settle_in(row, step)

    def _place_members(self, rows: list[Row]) -> None:
        """Of batches: they stand where they were, or else where the entity is that moves for them."""
        carriers = {number: row for row in rows for number in (row[MEMORY] or {}).get("members", ())}
        for row in rows:
            if row[PHASE] == CARRIED and row[ID] in self._work.rows:
                there = self._moves.counterpart(self._work.was_at[row[ID]])
                carrier = carriers[row[ID]]
                while carrier[PHASE] == CARRIED:
                    carrier = carriers[carrier[ID]]
                row[STEP] = there.index if there is not None else carrier[STEP]
                self._adopt(row)
                self._report.kept += 1

    def _count(self, row: Row) -> None:
        report, pair = self._report, self.moving.get(row[ID])
        if pair is None:
            report.kept += 1
        else:
            report.moved[pair] = report.moved.get(pair, 0) + 1

    def _end_machine(self, row: Row, step: Step) -> None:
        name = step.place.flow.removeprefix(MACHINE)
        if row[PHASE] != WAITING or row[HELD] or (row[MEMORY] or {}).get("children"):
            message = "of a machine that is gone is in the middle of a step"
            self._lost[f"machines.{name}", message, "wait until it is at rest"] += 1
            return
        self.ended.append(row[ID])
        del self._work.rows[row[ID]]
        self._work.data["machines"] -= 1
        self._report.machines.append(name)

    def _settle_in(self, row: Row, step: Step) -> None:
        """It stays at the step: a patience or a timeout that is no more does not end its wait."""
        if isinstance(step, PlainProcess):
            row[UNITS] = 1
        waits = isinstance(step, WaitFor) or (row[PHASE] == QUEUED and isinstance(step, Seize | StockStep))
        if waits and row[ORDER]:
            limit = "timeout" if isinstance(step, WaitFor) else "patience"
            if getattr(self._moves.after(step).model.body, limit) is None:
                row[AT], row[ORDER] = None, 0
        if isinstance(step, WaitFor) and self._moves.before(step).says != self._moves.after(step).says:
            self.asked.append(row[ID])

    def _adopt(self, row: Row) -> None:
        """What the entity has and remembers by the names and numbers of the old blueprint."""
        self._adopt_flow(row)
        for name in row[HELD] or ():
            if name not in self._new.resources:
                remedy = "keep it (a capacity of 0 lets nobody new in) until they have given it back"
                self._lost[f"resources.{name}", "hold units of it, and it is gone", remedy] += 1
        if row[MEMORY]:
            self._adopt_memory(row)

    def _adopt_flow(self, row: Row) -> None:
        flow = self._moves.renamed.get(row[FLOW], row[FLOW])
        if flow not in self._new.program.flows:
            if row[ID] in self.moving:
                flow = self._new.program.steps[row[STEP]].place.flow
            else:
                key = (f"flows.{row[FLOW]}", "began in it, and it is gone", f"say its new name: moves: {{{row[FLOW]}: FLOW}}")
                self._lost[key] += 1
        row[FLOW] = flow

    def _adopt_memory(self, row: Row) -> None:
        """Steps by their new numbers. Who is moved remembers only the blocks that are around its new step too."""
        around = None
        if row[ID] in self.moving:
            inside = self._new.program.steps[row[STEP]].place.around
            around = {owner.index for owner in inside} | {c.index for owner in inside if (c := getattr(owner, "_check", None))}
        kept: dict[str, Any] = {}
        for key, value in row[MEMORY].items():
            word, _, number = key.partition(" ")
            if word in ("loop", "tries", "kept") and number:
                owner = self._moves.counterpart(self._old.program.steps[int(number)])
                if owner is not None and (around is None or owner.index in around):
                    kept[f"{word} {owner.index}"] = value
            elif key != "repairs" or self._has_outage(*value):
                kept[key] = value
        row[MEMORY] = kept or None

    def _has_outage(self, name: str, reason: str) -> bool:
        resource = self._new.resources.get(name)
        return resource is not None and any(outage.reason == reason for outage in resource.outages)


def _place_of(step: Step) -> str:
    return f"{step.place.flow}.{step.place.label or step.place.number}"


def _remedy(step: Step) -> str:
    if step.place.flow.startswith(MACHINE):
        name = step.place.flow.removeprefix(MACHINE)
        return f"say where they go: moves: {{machines.{name}.STATE: machines.{name}.STATE}}"
    place = _place_of(step)
    return f"keep the step, give it the label it had, or say where they go: moves: {{{place}: FLOW.STEP}}"
