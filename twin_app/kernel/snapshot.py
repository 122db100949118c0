"""A twin as plain data, and back: dicts with text keys, lists, texts, numbers, truth values and None only.

Kept: the blueprint, live parameters, entities with their calendar entries (time and sequence number), lines in their order,
subscriptions, positions of the random streams, integrals. Everything else follows from the blueprint. A snapshot carries
`format`; one that is not known is refused.
"""

from collections.abc import Iterable
from copy import deepcopy
from hashlib import blake2b
from json import dumps
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from models.errors import CheckpointError
from models.sharing import blueprint_from
from twin_app.kernel.calendar import NORMAL, URGENT, Entry
from twin_app.kernel.entity import Entity

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

FORMAT = 1


def take(twin: "Twin") -> dict[str, Any]:
    """The snapshot of a twin at rest (between two calendar entries). `salt` is there only in a fork that has one."""
    return {
        **({"salt": twin.salt} if twin.salt else {}),
        "format": FORMAT,
        "blueprint": twin.blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "now": twin.now,
        "seq": twin.seq,
        "executed": twin.executed,
        "instant_steps": twin._instant_steps,
        "last_entity": twin.last_entity,
        "last_number": twin.calendar.number,
        "next_ticket": twin.tickets.next,
        "counts": [twin.created, twin.refused, list(twin.outcomes.values()), twin.statistics_since],
        "flows": {name: flow.snapshot() for name, flow in twin.flow_statistics.items()},
        "warm_up": _due(twin.warm_up),
        "opening": _due(twin.opening),
        "machines": twin.machines,
        "parameters": twin.parameter_board.all(),
        "streams": {name: stream.position for name, stream in twin._streams.items() if stream.position},
        "entities": _entity_rows(twin.entities.values()),
        "resources": {name: resource.snapshot() for name, resource in twin.resources.items()},
        "containers": {name: container.snapshot() for name, container in twin.containers.items()},
        "stores": {name: store.snapshot() for name, store in twin.stores.items()},
        "arrivals": {name: [arrival.count, *_due(arrival)] for name, arrival in twin.arrivals.items()},
        "schedules": {name: [s.cycle, s.position, *_due(s)] for name, s in twin.schedules.items()},
        "families": [[family, parts] for family, parts in twin.families.items()],
        "gatherings": [gathering.snapshot() for gathering in twin.program.gatherings],
        "waiting": twin.waiting.snapshot(),
        "watches": [[watch.snapshot(), [_due(alarm) for alarm in watch.alarms()]] for watch in twin.watches],
    }


def put_back(twin: "Twin", data: dict[str, Any], events: bool) -> "Twin":
    """Fill a new twin from a snapshot. Raises CheckpointError."""
    version = data.get("format") if isinstance(data, dict) else None
    if version != FORMAT:
        remedy = f"this version reads format {FORMAT}: restart the twin from its blueprint, or use the version that wrote it"
        raise CheckpointError("unknown-format", f"snapshot format {version!r} is not known", remedy=remedy)
    try:
        return _fill(twin, data, events)
    except ValidationError as error:
        raise CheckpointError("bad-blueprint", f"the snapshot's blueprint is not accepted: {error.errors()[0]['msg']}") from error
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError("damaged-snapshot", f"the snapshot is damaged: {type(error).__name__}: {error}") from error


def _fill(twin: "Twin", data: dict[str, Any], events: bool) -> "Twin":
    twin._build(blueprint_from(data["blueprint"]), events)
    twin.now = twin.calendar.environment._now = data["now"]
    twin.seq = data["seq"]
    twin.executed = data["executed"]
    twin._instant_steps = data["instant_steps"]
    twin.last_entity = data["last_entity"]
    twin.machines = data["machines"]
    twin.tickets.next = data["next_ticket"]
    twin.created, twin.refused, outcomes, twin.statistics_since = data["counts"]
    # Outcomes are only ever added, at the end: an older snapshot counts none of the newer ones.
    if len(outcomes) > len(twin.outcomes):
        raise ValueError("there are outcomes that are not known")
    twin.outcomes.update(zip(twin.outcomes, outcomes, strict=False))
    twin.parameter_board.restore(data["parameters"])
    for name, row in data["flows"].items():
        twin.flow_statistics[name].restore(row)
    for name, position in data["streams"].items():
        twin._streams[name].seek(position)
    if data.get("salt"):
        twin.reseed(data["salt"])
    due: list[tuple[float, int, int, Entry]] = []
    entities = twin.entities
    steps = twin.program.steps
    _put_entities_back(data["entities"], steps, entities, due)
    for name, row in data["resources"].items():
        resource = twin.resources[name]
        resource.restore(row, entities)
        due += [(outage.at, NORMAL, outage.order, outage) for outage in resource.outages if outage.order]
    for name, row in data["containers"].items():
        twin.containers[name].restore(row, entities)
    for name, row in data["stores"].items():
        twin.stores[name].restore(row, entities)
    for name, (count, at, order) in data["arrivals"].items():
        twin.arrivals[name].count = count
        if at is not None:
            due.append((at, URGENT, order, twin.arrivals[name]))
    for name, (cycle, position, at, order) in data["schedules"].items():
        schedule = twin.schedules[name]
        schedule.cycle, schedule.position = cycle, position
        if at is not None:
            due.append((at, URGENT, order, schedule))
    twin.families = dict(data["families"])
    for gathering, groups in zip(twin.program.gatherings, data["gatherings"], strict=True):
        gathering.restore(groups, entities)
    twin.waiting.restore(data["waiting"], entities)
    at, order = data["opening"]
    if at is not None:
        due.append((at, URGENT, order, twin.opening))
    at, order = data["warm_up"]
    if at is not None:
        due.append((at, NORMAL, order, twin.warm_up))
    for watch, (state, alarms) in zip(twin.watches, data["watches"], strict=True):
        watch.restore(state)
        for alarm, (at, order) in zip(watch.alarms(), alarms, strict=True):
            if at is not None:
                due.append((at, NORMAL, order, alarm))
    twin.calendar.rebuild(due, data["last_number"])
    return twin


def digest(data: dict[str, Any]) -> str:
    """Hex digest of a snapshot."""
    text = dumps(data, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _due(entry: Entry) -> list[Any]:
    return [entry.at, entry.order] if entry.order else [None, 0]


def _entity_rows(entities: Iterable[Entity]) -> list[list[Any]]:
    """Without a call for each: there may be a hundred thousand, and the live loop waits."""
    rows: list[list[Any]] = []
    for x in entities:
        attributes, held, memory = x.attributes, x.held, x.memory
        rows.append(
            [
                x.id,
                x.step.index,
                x.phase,
                x.at if x.order else None,
                x.order,
                x.flow,
                x.created,
                x.last,
                x.units,
                x.priority,
                x.ticket,
                x.since,
                dict(attributes) if attributes else None,
                dict(held) if held else None,
                deepcopy(memory) if memory else None,
            ]
        )
    return rows


def _put_entities_back(
    rows: list[list[Any]], steps: list[Any], entities: dict[int, Entity], due: list[tuple[float, int, int, Entry]]
) -> None:
    """Each field is written once, without a call for each entity: every replication of a forecast begins with this."""
    new = Entity.__new__
    for row in rows:
        x = new(Entity)
        (
            number,
            index,
            x.phase,
            at,
            order,
            x.flow,
            x.created,
            x.last,
            x.units,
            x.priority,
            x.ticket,
            x.since,
            attributes,
            held,
            memory,
        ) = row
        x.id = number
        x.step = steps[index]
        x.at = 0.0
        x.order = 0
        x.attributes = dict(attributes) if attributes else None
        x.held = dict(held) if held else None
        x.memory = deepcopy(memory) if memory else None
        entities[number] = x
        if at is not None:
            due.append((at, NORMAL, order, x))
