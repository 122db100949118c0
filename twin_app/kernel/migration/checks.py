"""What of the work in progress has no place in the new blueprint as a whole: time that means something else, too many entities,
stocks and resources that are gone."""

from typing import TYPE_CHECKING

from models.blueprint import Blueprint
from twin_app.kernel.migration.report import Report
from twin_app.kernel.migration.work import Work

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


def check_time(old: Blueprint, new: Blueprint, report: Report) -> None:
    """Every time that is stored must go on to mean the same instant."""
    for name in ("unit", "mode", "start"):
        before, after = getattr(old.time, name), getattr(new.time, name)
        if before != after:
            message = f"the work in progress lives by {name} {before}, not {after}"
            report.misfit(f"time.{name}", message, f"leave time.{name} as it is, or replace the twin with discard_work")
    shifts = [name for name, model in new.schedules.items() if model.shifts is not None]
    if old.time.factor != new.time.factor and shifts:
        message = f"the shifts of `{shifts[0]}` are reckoned at one factor from the start on"
        report.misfit("time.factor", message, "leave time.factor as it is, or replace the twin with discard_work")


def check_limit(work: Work, limit: int, report: Report) -> None:
    if len(work.rows) > limit:
        message = f"{len(work.rows):,} entities are in progress, and the new limit is {limit:,}"
        report.misfit("limits.entities", message, "raise limits.entities")


def check_left_behind(work: Work, old: "Twin", new: "Twin", report: Report) -> None:
    """Nothing may be left in what is gone. Once the moved are taken out of their lines."""
    for name, stock in {**old.containers, **old.stores}.items():
        there = new.containers if name in old.containers else new.stores
        if name not in there and stock.level:
            message = f"{stock.level:g} {'items are' if stock.kind == 'store' else 'is'} in it, and it is gone"
            report.misfit(f"{stock.kind}s.{name}", message, "empty it first, or keep it in the new blueprint")
    if report.fits:  # else the entities that hold it or wait for it are told already
        for name, row in work.data["resources"].items():
            if name not in new.resources and (row["busy"] or row["queue"] or row["halted"]):
                message = f"{row['busy']} units of it are busy and {len(row['queue'])} entities wait for it, and it is gone"
                report.misfit(f"resources.{name}", message, "keep it until they have given it back")
