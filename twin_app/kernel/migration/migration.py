"""One migration from end to end: worked out when it is made, and carried out if all fits."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from models.blueprint import Blueprint
from models.errors import ModelError, Rejected
from twin_app.kernel import snapshot as snapshots
from twin_app.kernel.emission import Value
from twin_app.kernel.migration.carrying import Carrying
from twin_app.kernel.migration.checks import check_left_behind, check_limit, check_time
from twin_app.kernel.migration.moves import Moves
from twin_app.kernel.migration.placement import Placement
from twin_app.kernel.migration.report import Report
from twin_app.kernel.migration.sequel import follow
from twin_app.kernel.migration.values import merge
from twin_app.kernel.migration.withdrawal import Withdrawal
from twin_app.kernel.migration.work import Work

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


class Migration:
    """One migration, worked out when it is made: `report` says what becomes of what.

    `moves`: `flow.step` to `flow.step` (a label or a number), `flow` to `flow` for one that has another name now,
    `machines.name.state` to the same. Raises Rejected (`unknown-step`, `unknown-flow`) for moves that name none.
    """

    def __init__(self, twin: "Twin", blueprint: Blueprint, moves: Mapping[str, str] | None = None) -> None:
        self.report = report = Report()
        self._old = twin
        self._new: Twin = type(twin).__new__(type(twin))
        self._new._build(blueprint, twin.events)
        self._new.now = twin.now
        self._work = Work(twin)
        self._carrying: Carrying | None = None
        new, work = self._new, self._work
        base = snapshots.take(new)
        leads = Moves(twin.blueprint, blueprint, new.program.steps, moves or {})
        check_time(twin.blueprint, blueprint, report)
        values = merge(twin.blueprint, blueprint, work.data["parameters"], new.parameter_board, leads, report)
        self._placement = Placement(work, twin, new, leads, report)
        check_limit(work, blueprint.limits.entities, report)
        self._withdrawal = Withdrawal(work, twin, self._placement.moving, self._placement.ended)
        check_left_behind(work, twin, new, report)
        if report.fits:
            self._carrying = Carrying(work, base, twin, new, leads, values, self._placement.moving)
            report.planned = self._carrying.planned

    @property
    def fits(self) -> bool:
        return self.report.fits

    def check(self) -> None:
        """Raises Rejected (`work-does-not-fit`) with all that does not fit."""
        self.report.check()

    def carry_out(self, told: Mapping[str, Value]) -> "Twin":
        """The new twin, at the same instant. Its first event is `twin-migrated`, with what is `told` and the report in figures.

        Raises Rejected (`work-does-not-fit`); the old twin is as it was, whatever happens.
        """
        self.check()
        assert self._carrying is not None, "it fits, and is carried over"
        twin = snapshots.put_back(self._new, self._work.data, self._old.events)
        cause = twin.note("twin-migrated", {**told, **self.report.counts()}) if twin.events else None
        try:
            follow(twin, self._old.blueprint, self._placement, self._withdrawal, self._carrying, self.report.taken, cause)
        except ModelError as error:
            message = f"the new blueprint fails as soon as it takes the work over: {error.message}"
            raise Rejected("work-does-not-fit", message, path=error.place, remedy=error.remedy) from error
        return twin
