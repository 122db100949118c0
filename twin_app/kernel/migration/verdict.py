"""The verdict on an entity: where it goes on, whether it begins there anew, or why it cannot."""

from typing import Any, NamedTuple

from twin_app.kernel.entity import GATHERED, QUEUED, WAITING
from twin_app.kernel.migration.moves import Moves
from twin_app.kernel.migration.work import MEMORY, PHASE, UNITS, Row, units_of
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.blocks import RetryCheck
from twin_app.kernel.steps.plain import PlainProcess
from twin_app.kernel.steps.serve import Seize
from twin_app.kernel.steps.stock import StockStep
from twin_app.kernel.steps.wait import WaitFor


class Verdict(NamedTuple):
    """`step`: where it goes on. `anew`: it begins there. `reason`: why it cannot, in words that follow "one entity"."""

    step: Step | None
    anew: bool
    reason: str | None


class Verdicts:
    """One answer for all who are there alike: there may be a hundred thousand."""

    def __init__(self, moves: Moves) -> None:
        self._moves = moves
        self._found: dict[tuple[Any, ...], Verdict] = {}

    def on(self, row: Row, step: Step) -> Verdict:
        """On an entity that stands at this step of the old twin."""
        key = (step.index, row[PHASE], row[UNITS], "remaining" in (row[MEMORY] or ()))
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._find(row, step)
        return found

    def _find(self, row: Row, step: Step) -> Verdict:
        target = self._moves.target(step)
        if target is not None:
            return Verdict(target, True, None)
        there = self._moves.counterpart(step)
        if there is None:
            return Verdict(None, False, "is here, and the new blueprint has no such step")
        reason = self._why_not(row, step, there)
        return Verdict(there, reason is None and self._begins_anew(row, step), reason)

    def _why_not(self, row: Row, step: Step, there: Step) -> str | None:
        """Why the entity cannot go on at the step's counterpart; None if it can."""
        if isinstance(step, RetryCheck) or isinstance(there, RetryCheck):
            return None if type(step) is type(there) else "is here, where the new blueprint does something else"
        verb, now = self._moves.before(step).model.verb, self._moves.after(step).model.verb
        if verb != now:
            return f"is here, where the new blueprint has `{now}` instead of `{verb}`"
        if isinstance(step, Seize) and isinstance(there, Seize):
            return _why_not_served(row, step, there)
        if isinstance(step, StockStep) and isinstance(there, StockStep):
            if (step.stock.kind, step.stock.name) != (there.stock.kind, there.stock.name):
                return f"is here for the {step.stock.kind} `{step.stock.name}`, and the new blueprint asks for another"
            if type(step) is not type(there):
                return "is here, where the new blueprint does something else"
        return None

    def _begins_anew(self, row: Row, step: Step) -> bool:
        """Several waits in one, and meetings, are begun anew where they mean something else now."""
        if row[PHASE] not in (WAITING, GATHERED) or isinstance(step, RetryCheck | WaitFor):
            return False
        old, new = self._moves.before(step), self._moves.after(step)
        return bool(old.model.verb in ("wait_any", "batch", "assemble") and old.says != new.says)


def _why_not_served(row: Row, step: Seize, there: Seize) -> str | None:
    if step.resource.name != there.resource.name:
        return f"is here for `{step.resource.name}`, and the new blueprint asks for `{there.resource.name}`"
    alone = isinstance(there, PlainProcess) or (row[PHASE] == QUEUED and there.resource.plain_line is not None)
    if alone and units_of(row, step) != 1:
        return f"is here with {row[UNITS]} units of `{step.resource.name}`, and the new blueprint asks for one"
    if isinstance(there, PlainProcess) and "remaining" in (row[MEMORY] or {}):
        return "is here with an interrupted service, and the new blueprint interrupts none"
    return None
