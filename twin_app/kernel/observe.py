"""Making a twin agree with what was seen in reality.

Each thing that was seen is compared with what the twin has there, the difference is told, and the twin is made to agree: a line
gets the length that was counted, a stock the contents that were measured, an entity the step where it was found. The twin goes
on from there by its own rules at the same instant: a free server takes the first of a line that was made longer.

Who is taken out of a line that is too long: those who would be served last, since the least depends on them. They leave with the
outcome `removed`, and those who had to be made are created by an event, so that the books balance (arrived = in progress +
left). Everything is checked before anything is changed.
"""

from collections import Counter
from collections.abc import Iterable
from json import dumps
from typing import TYPE_CHECKING, Any

from models.commands import Observe
from models.errors import EntityFault, Rejected
from twin_app.kernel.emission import Value
from twin_app.kernel.entity import CARRIED, MOVING, QUEUED, Entity
from twin_app.kernel.expressions import checked
from twin_app.kernel.opening import MACHINE
from twin_app.kernel.resource import Resource
from twin_app.kernel.steps.base import Step
from twin_app.kernel.steps.blocks import OF_ONE_STEP, forget, recall, remember
from twin_app.kernel.steps.control import End
from twin_app.kernel.steps.serve import Seize
from twin_app.kernel.stock import Store

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

LEFT = "left"
"""Where an entity is that has left, or that the twin does not know by its attribute."""

CREATED_MAX = 10_000
"""Entities that one observation can create: it is carried out in one go, and a worker must not stand still for it."""


class Alignment:
    """One observation, checked when it is made, then carried out. Raises Rejected."""

    def __init__(self, twin: "Twin", seen: Observe) -> None:
        self._twin = twin
        self._seen = seen
        self._cause: int | None = None
        self._ties = Ties(twin)
        self._steps = _steps_by_name(twin) if seen.steps or seen.queues else {}
        self._levels = [(name, self._stock(name, level), level) for name, level in seen.levels.items()]
        self._items = [(self._store(name), self._legal(items, f"stores.{name}")) for name, items in seen.items.items()]
        self._attributes: dict[str, Value] = self._legal(dict(seen.attributes), "attributes")
        self._found = self._entities()
        self._targets = [(name, self._target(name, step)) for name, step in seen.steps.items()]
        self._lines = [(self._resource(name), length, self._entry(name, length)) for name, length in seen.queues.items()]
        self._check_room()

    # -- checking
    def _known(self, section: dict[str, Any], word: str, name: str) -> Any:
        if name not in section:
            raise Rejected(
                "unknown-path", f"the twin has no {word} {name!r}", path=f"{word}s.{name}"[:200], remedy=_some(section, word)
            )
        return section[name]

    def _resource(self, name: str) -> Resource:
        found: Resource = self._known(self._twin.resources, "resource", name)
        return found

    def _store(self, name: str) -> Store:
        found: Store = self._known(self._twin.stores, "store", name)
        return found

    def _stock(self, name: str, level: float) -> Any:
        if name not in self._twin.stores:
            return self._known(self._twin.containers, "container", name)
        store = self._twin.stores[name]
        if level != int(level):
            raise Rejected("wrong-type", f"a store holds whole items, not {level}", path=f"stores.{name}", value=level)
        if level > store.level:
            message = f"{level:g} items were counted and the twin has {store.level}: nothing says what the others are"
            raise Rejected("out-of-bounds", message, path=f"stores.{name}", value=level, remedy="list them under `items`")
        return store

    def _legal(self, value: Any, path: str) -> Any:
        try:
            for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
                checked(inner, str(name))
        except EntityFault as fault:
            raise Rejected(fault.code, fault.message, path=path) from None
        return value

    def _entities(self) -> dict[str, Entity | None]:
        """Whom the names mean; None for one who is not in the twin (any more)."""
        wanted = dict.fromkeys([*self._seen.steps, *self._seen.finished])
        return self._by_attribute(wanted, self._seen.by) if self._seen.by is not None else self._by_number(wanted)

    def _by_number(self, wanted: Iterable[str]) -> dict[str, Entity | None]:
        found: dict[str, Entity | None] = {}
        for name in wanted:
            number = int(name) if name.isascii() and name.isdigit() and len(name) <= 19 else 0
            entity = self._twin.entities.get(number)
            if not 1 <= number <= self._twin.last_entity or (entity is not None and entity.flow.startswith(MACHINE)):
                raise Rejected(
                    "unknown-entity",
                    f"the twin never had an entity {name[:60]!r}",
                    path=f"entities.{name}"[:200],
                    remedy="give its number, or name the attribute that holds its name as `by`",
                )
            found[name] = entity
        return found

    def _by_attribute(self, wanted: dict[str, None], attribute: str) -> dict[str, Entity | None]:
        found: dict[str, Entity | None] = {**wanted}
        for entity in self._twin.entities.values():
            value = entity.attributes.get(attribute) if entity.attributes else None
            name = value if isinstance(value, str) else None if value is None else dumps(value)
            if name is not None and name in found:
                earlier = found[name]
                if earlier is not None:
                    raise Rejected(
                        "ambiguous",
                        f"the entities {earlier.id} and {entity.id} both have {attribute[:60]!r} = {name[:60]!r}",
                        path=f"entities.{name}"[:200],
                        remedy="name them by their numbers",
                    )
                found[name] = entity
        return found

    def _target(self, name: str, step: str) -> Step:
        entity = self._found[name]
        found = self._steps.get(f"{entity.flow}.{step}") if entity is not None else None
        found = found or self._steps.get(step)
        if found is None:
            lacks = "" if entity is not None or "." in step else "; with an entity that has left, name the flow too"
            raise Rejected("unknown-step", f"there is no step {step[:100]!r}{lacks}", path=f"entities.{name}"[:200], value=step)
        return found

    def _entry(self, name: str, length: int) -> Step | None:
        """The step at which entities join the resource's line; None where none has to."""
        path = f"resources.{name}"
        asking = [step for step in self._steps.values() if isinstance(step, Seize) and step.resource.name == name]
        asking = list(dict.fromkeys(asking))
        if name in self._seen.queue_steps:
            chosen = self._steps.get(self._seen.queue_steps[name])
            if not isinstance(chosen, Seize) or chosen not in asking:
                text = self._seen.queue_steps[name][:100]
                raise Rejected("unknown-step", f"{text!r} is no step that asks for {name!r}", path=path, remedy=_named(asking))
            return chosen
        if len(asking) == 1 or length <= len(self._twin.resources[name].queue):
            return asking[0] if asking else None
        if not asking:
            raise Rejected("unknown-step", f"no step asks for {name!r}: nobody can wait there", path=path)
        raise Rejected("ambiguous", f"{len(asking)} steps ask for {name!r}", path=path, remedy=f"choose: {_named(asking)}")

    def _check_room(self) -> None:
        missing = sum(max(0, length - len(resource.queue)) for resource, length, _ in self._lines)
        missing += sum(self._found[name] is None for name, _ in self._targets)
        limit = self._twin.blueprint.limits.entities
        if missing > CREATED_MAX:
            message = f"{missing:,} entities would have to be created; one observation creates up to {CREATED_MAX:,}"
            raise Rejected("too-many-entities", message, remedy="approach the length in several observations")
        if len(self._twin.entities) + missing > limit:
            message = f"{missing:,} entities would have to be created; with those in progress that is above {limit:,}"
            raise Rejected("too-many-entities", message, remedy="raise limits.entities")

    # -- carrying out
    def carry_out(self) -> None:
        twin = self._twin
        if twin.events:
            self._cause = twin.note("observation-received", {"observations": self._seen.observations})
        for name, stock, level in self._levels:
            self._level(name, stock, level)
        for store, items in self._items:
            self._contents(store, items)
        for name in self._seen.finished:
            self._finished(name)
        for name, target in self._targets:
            self._moved(name, target)
        for resource, length, entry in self._lines:
            self._line(resource, length, entry)

    def _tell(
        self,
        what: str,
        path: str,
        observed: Value,
        simulated: Value,
        *,
        agrees: bool,
        entity: Entity | None = None,
        created: int = 0,
        removed: int = 0,
    ) -> int | None:
        twin = self._twin
        if not twin.events:
            return None
        numbers = isinstance(observed, int | float) and isinstance(simulated, int | float)
        payload = {
            "what": what,
            "path": path,
            "observed": observed,
            "simulated": simulated,
            "difference": float(observed - simulated) if numbers else None,
            "agrees": agrees,
            "created": created,
            "removed": removed,
        }
        return twin.emit("divergence-measured", entity.id if entity is not None else None, self._cause, payload)

    def _level(self, name: str, stock: Any, level: float) -> None:
        if isinstance(stock, Store):
            self._count(stock, int(level))
            return
        simulated = stock.level
        cause = self._tell("level", f"containers.{name}", level, simulated, agrees=level == simulated)
        if level != simulated:
            stock.set_level(level)
            stock.serve(cause)
            self._twin.settle_from_outside()

    def _count(self, store: Store, count: int) -> None:
        """Fewer items than the twin had: those that would be given out last are gone."""
        before = store.level
        # What was checked before may have changed by what came first in this observation: never more than there is.
        surplus = max(0, before - count)
        cause = self._tell("level", f"stores.{store.name}", count, before, agrees=count == before, removed=surplus)
        if surplus:
            store.drop_last(surplus)
            store.serve(cause)
            self._twin.settle_from_outside()

    def _contents(self, store: Store, items: list[Any]) -> None:
        before = store.items()
        agrees = _texts(before) == _texts(items)
        lacking, surplus = Counter(_texts(items)), Counter(_texts(before))
        created, removed = (lacking - surplus).total(), (surplus - lacking).total()
        path = f"stores.{store.name}"
        cause = self._tell("items", path, len(items), len(before), agrees=agrees, created=created, removed=removed)
        if not agrees:
            store.replace(items)
            for number in store.numbers():
                store.offer(number, cause)
            store.serve(cause)
            self._twin.settle_from_outside()

    def _finished(self, name: str) -> None:
        entity = self._still(name)
        where = str(entity.step) if entity is not None else LEFT
        removed = int(entity is not None)
        cause = self._tell("finished", f"entities.{name}", LEFT, where, agrees=entity is None, entity=entity, removed=removed)
        if entity is not None:
            self._take_away(entity, cause)
            self._twin.leave(entity, "finished")
            self._twin.settle_from_outside()

    def _moved(self, name: str, target: Step) -> None:
        twin = self._twin
        entity = self._still(name)
        path, to = f"entities.{name}", str(target)
        if entity is None:
            cause = self._tell("step", path, to, LEFT, agrees=False, created=1)
            own = {self._seen.by: name} if self._seen.by is not None else {}
            self._enter(self._create(target, own, cause), target)
        elif _stands_at(entity, target):
            self._tell("step", path, to, str(entity.step), agrees=True, entity=entity)
            return
        else:
            origin = str(entity.step)
            cause = self._tell("step", path, to, origin, agrees=False, entity=entity)
            self._take_away(entity, cause)
            if twin.events:
                entity.last = twin.emit("entity-moved", entity.id, cause, {"origin": origin, "to": to})
            self._enter(entity, target)
        twin.settle_from_outside()

    def _line(self, resource: Resource, length: int, entry: Step | None) -> None:
        twin = self._twin
        before = len(resource.queue)
        created, removed = max(0, length - before), max(0, before - length)
        if entry is None:
            created = 0  # only where the line has shrunk since it was checked
        path = f"resources.{resource.name}"
        cause = self._tell("queue", path, length, before, agrees=length == before, created=created, removed=removed)
        for entity in resource.queue.in_order()[length:] if removed else ():
            if twin.entities.get(entity.id) is entity and entity.phase == QUEUED and _asks_for(entity.step, resource):
                self._take_away(entity, cause)
                twin.leave(entity, "removed")
        for _ in range(created):
            assert entry is not None
            entity = self._create(entry, {}, cause)
            limit, resource.queue_limit = resource.queue_limit, None  # they were seen there, limit or not
            try:
                self._enter(entity, entry)
            finally:
                resource.queue_limit = limit
        if created or removed:
            twin.settle_from_outside()

    # -- entities
    def _still(self, name: str) -> Entity | None:
        """The entity, if what came first in this observation has not made it leave."""
        entity = self._found[name]
        return entity if entity is not None and self._twin.entities.get(entity.id) is entity else None

    def _create(self, step: Step, own: dict[str, Value], cause: int | None) -> Entity:
        attributes = {**self._attributes, **own}
        return self._twin.create(step.place.flow, attributes or None, None, cause)

    def _enter(self, entity: Entity, step: Step) -> None:
        twin = self._twin
        entity.step = step
        try:
            following = step.enter(entity)
        except EntityFault as fault:
            twin.fail(entity, fault)
            return
        if following is not None:
            entity.step = following
            twin.ready.append(entity)

    def _take_away(self, entity: Entity, cause: int | None) -> None:
        """Out of whatever it waits for or is served by. What it has seized stays with it."""
        twin = self._twin
        if twin.events:
            entity.last = cause
        if entity.phase == CARRIED:
            self._ties.let_go_member(entity)
        elif recall(entity, "children", 0):
            self._ties.let_go_children(entity)
        entity.step.cancel(entity)
        twin.calendar.cancel(entity)
        entity.phase = MOVING
        for key in OF_ONE_STEP:
            forget(entity, key)


class Ties:
    """Who carries whom, and who was spawned by whom: known only by looking at all entities, so that is done when needed, and
    again only when what was found is no longer true."""

    def __init__(self, twin: "Twin") -> None:
        self._twin = twin
        self._carrier: dict[int, int] = {}
        self._children: dict[int, list[int]] = {}

    def let_go_member(self, member: Entity) -> None:
        """Its batch goes on without it."""
        carrier = self._carrier_of(member)
        if carrier is None:
            self._look()
            carrier = self._carrier_of(member)
        assert carrier is not None
        remember(carrier, "members", [number for number in recall(carrier, "members", []) if number != member.id])

    def let_go_children(self, parent: Entity) -> None:
        """Those it has spawned are not waited for any more."""
        if len(self._children_of(parent)) != recall(parent, "children", 0):
            self._look()
        for child in self._children_of(parent):
            forget(child, "parent")

    def _carrier_of(self, member: Entity) -> Entity | None:
        carrier = self._twin.entities.get(self._carrier.get(member.id, 0))
        return carrier if carrier is not None and member.id in recall(carrier, "members", ()) else None

    def _children_of(self, parent: Entity) -> list[Entity]:
        found = [self._twin.entities.get(number) for number in self._children.get(parent.id, ())]
        return [child for child in found if child is not None and recall(child, "parent", None) == parent.id]

    def _look(self) -> None:
        self._carrier, self._children = {}, {}
        for entity in self._twin.entities.values():
            for member in recall(entity, "members", ()):
                self._carrier[member] = entity.id
            parent = recall(entity, "parent", None)
            if parent is not None:
                self._children.setdefault(parent, []).append(entity.id)


def _steps_by_name(twin: "Twin") -> dict[str, Step]:
    """Every step that the blueprint names, by `flow.label` and `flow.number`; by the bare label where one flow has it."""
    found: dict[str, Step] = {}
    bare: dict[str, list[Step]] = {}
    for step in twin.program.steps:
        place = step.place
        if place.flow.startswith(MACHINE) or isinstance(step, End) or place.step is not step:
            continue
        found[f"{place.flow}.{place.number}"] = step
        if place.label is not None:
            found[f"{place.flow}.{place.label}"] = step
            bare.setdefault(place.label, []).append(step)
    for label, steps in bare.items():
        if len(steps) == 1:
            found.setdefault(label, steps[0])
    return found


def _stands_at(entity: Entity, target: Step) -> bool:
    """Whether the entity is at the step, or at one inside it."""
    here, there = entity.step.place, target.place
    inside = here.flow == there.flow and here.number.startswith(f"{there.number}.")
    return entity.phase != CARRIED and (entity.step is target or inside)


def _asks_for(step: Any, resource: Resource) -> bool:
    return isinstance(step, Seize) and step.resource is resource


def _texts(items: list[Any]) -> list[str]:
    return [dumps(item, sort_keys=True) for item in items]


def _named(steps: list[Any]) -> str:
    return ", ".join(f"{step.place.flow}.{step.place.label or step.place.number}" for step in steps[:8])


def _some(section: dict[str, Any], word: str) -> str:
    return f"it has {', '.join(list(section)[:8])}" if section else f"it has no {word}s"
