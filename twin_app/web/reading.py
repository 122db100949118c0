"""From a live twin to what the API answers. Pure reads of bounded cost: the caller holds the partition between two cycles."""

from __future__ import annotations

from itertools import islice
from typing import Any

from models.events import utc_from_us
from twin_app.kernel import entity as phases
from twin_app.kernel.resource import Resource
from twin_app.kernel.stock import Stock
from twin_app.partition.cell import Cell
from twin_app.switchboard import LiveTwin
from twin_app.web.shapes import (
    ParameterPage,
    ParameterState,
    ResourceState,
    Scale,
    StockState,
    TwinState,
    TwinSummary,
    WorkItem,
    WorkPage,
)

PARTS_MAX = 500
"""Resources, containers, stores and machines that one answer shows, each."""
ATTRIBUTES_MAX = 50
TEXT_CHARS_MAX = 200

PHASES: dict[int, Any] = {
    phases.MOVING: "moving",
    phases.QUEUED: "queued",
    phases.SERVING: "in service",
    phases.DELAYED: "delayed",
    phases.WAITING: "waiting",
    phases.HALTED: "halted",
    phases.GATHERED: "gathered",
    phases.CARRIED: "carried",
}


def summary(cell: Cell, live: LiveTwin, partition: int, worker: str) -> TwinSummary:
    return TwinSummary(
        twin=cell.key,
        partition=partition,
        worker=worker,
        running=cell.running,
        sim_time=live.now,
        time_unit=live.twin.blueprint.time.unit,
        wip=live.wip,
        seq=live.seq,
    )


def state(cell: Cell, live: LiveTwin, *, partition: int, worker: str, phase: str, lag_s: float, next_offset: int) -> TwinState:
    """The whole picture, at most PARTS_MAX of each sort."""
    twin = live.twin
    parts: list[Any] = [twin.resources, twin.containers, twin.stores, twin.machine_states]
    bottlenecks = {watch.resource for watch in twin.watches if watch.formed}
    quarantine = None if cell.quarantine is None else f"{cell.quarantine.message} [{cell.quarantine.code}]"
    return TwinState(
        twin=cell.key,
        description=twin.blueprint.description,
        partition=partition,
        worker=worker,
        running=cell.running,
        quarantine=quarantine,
        partition_state=phase,
        sim_time=live.now,
        event_time=utc_from_us(live.scale.event_time_us(live.now)),
        time_unit=twin.blueprint.time.unit,
        time_mode=twin.blueprint.time.mode,
        scale=Scale(epoch_ms=live.scale.epoch_ms, unit_ms=live.scale.unit_ms),
        lag_s=round(lag_s, 3),
        seq=live.seq,
        wip=live.wip,
        created=twin.created,
        finished=twin.outcomes["finished"],
        left=sum(twin.outcomes.values()),
        next_offset=next_offset,
        resources={name: _resource(r, name in bottlenecks) for name, r in islice(twin.resources.items(), PARTS_MAX)},
        containers={name: _stock(c) for name, c in islice(twin.containers.items(), PARTS_MAX)},
        stores={name: _stock(s) for name, s in islice(twin.stores.items(), PARTS_MAX)},
        machines=dict(islice(twin.machine_states.items(), PARTS_MAX)),
        more=sum(max(0, len(part) - PARTS_MAX) for part in parts),
    )


def _resource(resource: Resource, bottleneck: bool) -> ResourceState:
    figures = resource.statistics()
    return ResourceState(
        capacity=resource.capacity,
        max_capacity=resource.max_capacity,
        busy=resource.busy,
        queue=len(resource.queue),
        queue_limit=resource.queue_limit,
        down=resource.down,
        state=_resource_state(resource, bottleneck),
        utilisation=min(1.0, figures["utilisation"]),
        queue_mean=figures["queue_mean"],
        started=figures["started"],
    )


def _resource_state(resource: Resource, bottleneck: bool) -> Any:
    if resource.down:
        return "down"
    if resource.capacity == 0:
        return "closed"
    if bottleneck:
        return "bottleneck"
    if not resource.busy:
        return "idle"
    return "full" if resource.busy >= resource.capacity else "working"


def _stock(stock: Stock) -> StockState:
    return StockState(capacity=stock.capacity, level=stock.level, putting=len(stock.putters), getting=len(stock.getters))


def parameters(live: LiveTwin, twin: str, after: int, limit: int, prefix: str) -> ParameterPage:
    """Paths in the blueprint's order, those beginning with `prefix`, from number `after` on."""
    board = live.board
    chosen = [path for path in board.parameters if path.startswith(prefix)]
    page = []
    for path in chosen[after : after + limit]:
        parameter, mark = board.parameters[path], board.mark(path)
        page.append(
            ParameterState(
                path=path,
                type=str(parameter.type),
                value=board.value(path),
                version=mark.version,
                changed_at=mark.changed_at,
                offset=None if mark.source is None else mark.source.offset,
                low=parameter.low,
                high=parameter.high,
                above=parameter.above,
                high_path=parameter.high_path,
            )
        )
    following = after + len(page)
    more = following < len(chosen)
    return ParameterPage(twin=twin, seq=live.seq, parameters=page, next_after=following if more else None, total=len(chosen))


def work(live: LiveTwin, twin: str, after: int, limit: int) -> WorkPage:
    """Entities in progress by number, above `after`."""
    entities = live.twin.entities  # in the order of their numbers
    found = list(islice((one for number, one in entities.items() if number > after), limit + 1))
    page = [_work_item(one) for one in found[:limit]]
    following = page[-1].entity if len(found) > limit else None
    return WorkPage(twin=twin, seq=live.seq, sim_time=live.now, work=page, next_after=following, total=live.wip)


def _work_item(entity: phases.Entity) -> WorkItem:
    attributes = entity.attributes or {}
    return WorkItem(
        entity=entity.id,
        flow=entity.flow,
        step=str(entity.step),
        place=place_of(entity.step),
        phase=PHASES[entity.phase],
        since=entity.since,
        until=entity.at if entity.order else None,
        created=entity.created,
        attributes={name: _short(value) for name, value in islice(attributes.items(), ATTRIBUTES_MAX)},
        held=dict(islice((entity.held or {}).items(), ATTRIBUTES_MAX)),
    )


def place_of(step: Any) -> str | None:
    """What a step is about, as `resources.b`; None for one that is about no part of the line."""
    resource, stock = getattr(step, "resource", None), getattr(step, "stock", None)
    if isinstance(resource, Resource):
        return f"resources.{resource.name}"
    return f"{stock.kind}s.{stock.name}" if isinstance(stock, Stock) else None


def _short(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= TEXT_CHARS_MAX else text[:TEXT_CHARS_MAX] + "..."
