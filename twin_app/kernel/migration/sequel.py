"""What follows from what is different, in the new twin and at the same instant."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.blueprint import Blueprint
from models.errors import EntityFault
from twin_app.kernel.emission import Value
from twin_app.kernel.entity import MOVING, WAITING
from twin_app.kernel.migration.carrying import Carrying
from twin_app.kernel.migration.placement import Placement
from twin_app.kernel.migration.values import same
from twin_app.kernel.migration.withdrawal import Withdrawal
from twin_app.kernel.opening import MACHINE
from twin_app.kernel.steps.wait import WaitFor

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


def follow(
    twin: "Twin",
    old: Blueprint,
    placement: Placement,
    withdrawal: Withdrawal,
    carrying: Carrying,
    taken: Mapping[str, tuple[Value, Value]],
    cause: int | None,
) -> None:
    """Whoever has room now is served, then the moved begin, then new machines, and those who wait are asked again.

    `taken`: values that are not what they were. `cause`: the event from which all of it follows.
    """
    _plan(twin, carrying)
    _serve(twin, withdrawal, carrying, taken, cause)
    twin.settle_from_outside()
    for number, (origin, to) in placement.moving.items():
        _begin(twin, number, origin, to, cause)
    _start_machines(twin, old)
    _ask_again(twin, placement.asked, cause)
    for path, (before, after) in taken.items():
        if not same(before, after):
            twin.waiting.notify(path, cause)
    twin.settle_from_outside()
    for watch, fresh in zip(twin.watches, carrying.watches, strict=True):
        if fresh:
            watch.look()
    twin.settle_from_outside()


def _plan(twin: "Twin", carrying: Carrying) -> None:
    for name, capacity in carrying.resources.capacities.items():
        twin.resources[name].set_capacity(capacity)
    for name, reason in carrying.resources.outages:
        next(outage for outage in twin.resources[name].outages if outage.reason == reason).plan()
    for name in carrying.sources.schedules:
        twin.schedules[name].begin()
    for name in carrying.sources.arrivals:
        twin.arrivals[name].plan()


def _serve(
    twin: "Twin", withdrawal: Withdrawal, carrying: Carrying, taken: Mapping[str, tuple[Value, Value]], cause: int | None
) -> None:
    for name in carrying.resources.healed:
        twin.resources[name].come_up(cause)
    for name in {**withdrawal.resources, **carrying.resources.capacities}:
        if name in twin.resources:
            resource = twin.resources[name]
            resource.owe()
            resource.grant(cause)
            if resource.on_change is not None:
                resource.on_change()
    changed = {path.split(".")[1] for path in taken if path.startswith(("containers.", "stores."))}
    for name, stock in {**twin.containers, **twin.stores}.items():
        if name in withdrawal.stocks or name in changed:
            stock.serve(cause)


def _begin(twin: "Twin", number: int, origin: str, to: str, cause: int | None) -> None:
    entity = twin.entities.get(number)
    if entity is None or entity.phase != MOVING:
        return  # it went, or was sent on, because of one that was moved before it
    if twin.events:
        entity.last = twin.emit("entity-moved", number, cause, {"origin": origin, "to": to})
    try:
        following = entity.step.enter(entity)
    except EntityFault as fault:
        twin.fail(entity, fault)
    else:
        if following is not None:
            entity.step = following
            twin.ready.append(entity)
    twin.settle_from_outside()


def _start_machines(twin: "Twin", old: Blueprint) -> None:
    if twin.opening.order:
        return  # time 0: all of them begin when the twin does
    for name in twin.blueprint.machines:
        if name not in old.machines:
            twin.machines += 1
            twin.created -= 1
            twin.ready.append(twin.create(MACHINE + name, None, None))
    twin.settle_from_outside()


def _ask_again(twin: "Twin", asked: list[int], cause: int | None) -> None:
    """Those who wait under another condition now."""
    for number in asked:
        entity = twin.entities.get(number)
        step: Any = entity.step if entity is not None else None
        body = step._body if isinstance(step, WaitFor) else None
        if entity is None or body is None or entity.phase != WAITING or body.change is not None or body.signal is not None:
            continue
        try:
            if step.satisfied(entity, ""):
                entity.step = step.begin(entity, cause)
                twin.ready.append(entity)
        except EntityFault as fault:
            twin.fail(entity, fault)
