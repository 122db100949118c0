"""A twin: one simulated system, as data on an event calendar.

Life of an entity: created -> moved from step to step, at rest only where it waits for something that is written down (a
calendar entry, a place in a line, a subscription) -> left. Nothing of it lives in a Python frame, so that the twin can be
saved, restored and forked between any two calendar entries.

A twin reads no clock: its owner says how far time goes (`advance`) and what comes from the outside (`set`, `spawn`, `signal`).
"""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Any

from models.blueprint import Blueprint, Watch
from models.check import every_step
from models.commands import Observe
from models.errors import EntityFault, ModelError, Rejected
from models.machines import as_flow
from twin_app.kernel import cushion
from twin_app.kernel import snapshot as snapshots
from twin_app.kernel.arrivals import Arrival
from twin_app.kernel.breath import breathe
from twin_app.kernel.calendar import URGENT, Calendar
from twin_app.kernel.emission import Emission, Value
from twin_app.kernel.entity import Entity
from twin_app.kernel.expressions import Expression, checked
from twin_app.kernel.leaving import fail, leave_others
from twin_app.kernel.observe import Alignment
from twin_app.kernel.opening import MACHINE, Opening
from twin_app.kernel.parameters import ParameterBoard
from twin_app.kernel.program import Program
from twin_app.kernel.queues import Tickets
from twin_app.kernel.resource import Resource
from twin_app.kernel.sampling import Sampler, sampler
from twin_app.kernel.schedules import schedule
from twin_app.kernel.scope import TwinScope
from twin_app.kernel.statistics import FlowStatistics, WarmUp
from twin_app.kernel.steps.base import Amount, Next
from twin_app.kernel.steps.serve import give_back
from twin_app.kernel.stock import Container, Stock, Store
from twin_app.kernel.streams import Stream
from twin_app.kernel.waiting import Waiting
from twin_app.kernel.watch import ResourceWatch

_as_emission = partial(tuple.__new__, Emission)

BREATH = 1_024
"""Entries after which signals and other threads have their turn, which compiled code would not give them."""
OUTCOMES = ("finished", "reneged", "balked", "abandoned", "joined", "assembled", "failed", "removed")


class Clockwork:
    """What each step of each entity reads of its twin. In slots, which are read faster than the attributes of a large object."""

    __slots__ = ("calendar", "dirty", "entities", "events", "now", "ready", "seq", "tell")

    calendar: Calendar
    dirty: dict[str, None]
    entities: dict[int, Entity]
    events: bool
    now: float
    ready: deque[Entity]
    seq: int
    tell: Callable[[tuple[Any, ...]], None]


class Twin(Clockwork):
    """A running blueprint. Times are in the blueprint's unit, from the twin's start.

    `events`: hand out events (off for replications that only need figures). `now`: simulation time. `seq`: the last event's
    number. `executed`: calendar entries executed so far.
    """

    def __init__(self, blueprint: Blueprint, *, events: bool = True) -> None:
        self._build(blueprint, events)
        for resource in self.resources.values():
            for outage in resource.outages:
                outage.plan()
        if blueprint.machines:
            self.calendar.schedule(self.opening, 0.0, URGENT)
        for planned in self.schedules.values():
            planned.plan()
        for arrival in self.arrivals.values():
            arrival.plan()
        if blueprint.statistics.warm_up:
            self.calendar.schedule(self.warm_up, blueprint.statistics.warm_up)

    def _build(self, blueprint: Blueprint, events: bool) -> None:
        """Everything that follows from the blueprint alone; nothing is on the calendar yet."""
        self.blueprint = blueprint
        self.events = events
        self.external = False
        self.now = 0.0
        self.seq = 0
        self.executed = 0
        self.salt = 0
        self.calendar = Calendar()
        self.tickets = Tickets()
        self.ready = deque()
        self.dirty = {}
        self.entities = {}
        self.families: dict[int, int] = {}
        self.last_entity = 0
        self.machines = 0
        self.created = 0
        self.refused = 0
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.statistics_since = 0.0
        self.flow_statistics = {
            name: FlowStatistics(quantiles=blueprint.statistics.quantiles)
            for name in (*blueprint.flows, *(MACHINE + name for name in blueprint.machines))
        }
        self.warm_up = WarmUp(self)
        self.opening = Opening(self)
        self._outbox: list[tuple[Any, ...]] = []
        self.tell = self._outbox.append
        self._instant_steps = 0
        self._streams: dict[str, Stream] = {}
        self.scope = TwinScope(self)
        self.variables: dict[str, Value] = dict(blueprint.variables)
        machines = {MACHINE + name: as_flow(name, machine) for name, machine in blueprint.machines.items()}
        flows = {**blueprint.flows, **machines}
        prioritised, several = _asked_with(flows, "priority", 0), _asked_with(flows, "units", 1)
        impatient = _asked_with(flows, "patience", None)
        self.resources = {
            name: Resource(
                self, name, model, prioritised=name in prioritised, single=name not in several, patient=name not in impatient
            )
            for name, model in blueprint.resources.items()
        }
        self.going = 0
        self.item: Value = None
        self.machine_states = {name: machine.initial for name, machine in blueprint.machines.items()}
        self.containers = {
            name: Container(self, name, float(m.capacity), float(m.level)) for name, m in blueprint.containers.items()
        }
        self.stores = {name: Store(self, name, m.capacity, m.discipline, m.items) for name, m in blueprint.stores.items()}
        self.services = {name: self.sampler(f"services.{name}", model) for name, model in blueprint.services.items()}
        self.arrivals = {name: Arrival(self, name, model) for name, model in blueprint.arrivals.items()}
        self.schedules = {name: schedule(self, name, model) for name, model in blueprint.schedules.items()}
        self.waiting = Waiting(self)
        self.parameter_board = ParameterBoard(self)
        self.program = Program(self, flows)
        for arrival in self.arrivals.values():
            arrival.link()
        watched = blueprint.watch.bottleneck or blueprint.watch.growing or blueprint.watch.starving
        self.watches = [ResourceWatch(self, resource, self.watching()) for resource in self.resources.values() if watched]

    def __repr__(self) -> str:
        return f"<twin {self.blueprint.twin} at {self.now}: {self.wip} in progress, {self.seq} events>"

    # -- time
    @property
    def next_time(self) -> float:
        """Time of the earliest calendar entry; infinity if there is none."""
        return self.calendar.next_time()

    @property
    def wip(self) -> int:
        """Entities in progress (those that carry out state machines do not count)."""
        return len(self.entities) - self.machines

    def advance(self, until: float, *, inclusive: bool = True, budget: int | None = None) -> bool:
        """Execute what is due up to `until` (below it, if not `inclusive`), then let `now` be `until`.

        With a `budget` it stops after so many entries and returns False: call it again. How it is sliced never changes what
        happens. Infinity: until nothing is left to do; `now` is then the time of the last entry.

        Raises ModelError. MemoryError goes through as it is: it is no fault of the model's, the twin is then half changed and
        of no use, and its owner goes back to what is saved.
        """
        until = float(until)
        if until != until:
            raise ValueError("until is not a number")
        bound = until if inclusive else math.nextafter(until, -math.inf)
        calendar = self.calendar
        calendar.cut()
        heap = calendar.heap
        ready, dirty = self.ready, self.dirty
        steps_max = self.blueprint.limits.steps_per_instant
        now, instant = self.now, self._instant_steps
        limit = -1 if budget is None else budget
        done = 0
        try:
            while heap or calendar.draw_near():
                item = heappop(heap)
                at, _, order, entry = item
                if entry.order != order:
                    calendar.stale -= 1
                    continue
                if at >= calendar.horizon:
                    heappush(heap, item)
                    calendar.draw_near()
                    continue
                if at > bound:
                    heappush(heap, item)
                    break
                if done == limit:
                    heappush(heap, item)
                    return False
                done += 1
                if not done % BREATH:
                    breathe()
                if at != now:
                    self.now = now = at
                    instant = 0
                entry.order = 0
                try:
                    step = entry.step.wake(entry)
                    while step is not None:
                        entry.step = step
                        step = step.enter(entry)
                        instant += 1
                        if instant > steps_max:
                            raise self._too_many_steps()
                except EntityFault as fault:
                    self.fail(entry, fault)
                except MemoryError:
                    cushion.give_up()
                    raise
                instant += 1
                if ready or dirty or instant > steps_max:
                    instant = self._settle(instant)
        except ModelError:
            raise
        except MemoryError:
            cushion.give_up()
            raise
        except Exception as error:
            raise self._model_error(error) from error
        finally:
            self.executed += done
            self._instant_steps = instant
            calendar.environment._now = now
        if now < until < math.inf:
            self.now = calendar.environment._now = until
            self._instant_steps = 0
        return True

    def _settle(self, instant: int) -> int:
        """Move all entities that can go on now, until every one is at rest. Counts steps; raises ModelError beyond the limit."""
        ready, dirty = self.ready, self.dirty
        steps_max = self.blueprint.limits.steps_per_instant
        while True:
            while ready:
                entity = ready.popleft()
                try:
                    step = entity.step
                    while step is not None:
                        entity.step = step
                        step = step.enter(entity)
                        instant += 1
                        if instant > steps_max:
                            raise self._too_many_steps()
                except EntityFault as fault:
                    self.fail(entity, fault)
            if instant > steps_max:
                raise self._too_many_steps()
            if not dirty:
                return instant
            topics = list(dirty)
            dirty.clear()
            for topic in topics:
                self.waiting.notify(topic, None)
            instant += 1

    def settle_from_outside(self) -> None:
        """Whatever a command has set going, to its rest. Each command has the whole allowance of steps."""
        try:
            self._instant_steps = self._settle(0)
            self.calendar.cut()
        except (ModelError, MemoryError):
            raise
        except Exception as error:
            raise self._model_error(error) from error

    def _command(self, act: Callable[[], object]) -> None:
        """What a command does. Raises Rejected, and ModelError for what the model does not stand."""
        try:
            act()
        except (ModelError, Rejected, MemoryError):
            raise
        except Exception as error:
            raise self._model_error(error) from error

    def _too_many_steps(self) -> ModelError:
        limit = self.blueprint.limits.steps_per_instant
        return ModelError(
            "too-many-steps",
            f"more than {limit:,} steps without time passing",
            place=f"{self.blueprint.twin} at {self.now}",
            remedy="look for a loop without a delay, or raise limits.steps_per_instant",
        )

    def _model_error(self, error: Exception) -> ModelError:
        return ModelError(
            "model-failed",
            f"{type(error).__name__}: {error}",
            place=f"{self.blueprint.twin} at {self.now}",
            remedy="this is a defect",
        )

    # -- the outside
    def set(self, changes: Sequence[tuple[str, Value]]) -> None:
        """Change live parameters, all or none. One `parameter-changed` for each, before what follows from them.

        Paths as in models/parameters.py. Raises Rejected.
        """
        self._command(partial(self.parameter_board.change, changes, None))
        self.settle_from_outside()

    def get(self, path: str) -> Value:
        """The value of a live parameter. Raises Rejected."""
        return self.parameter_board.read(path)

    def parameters(self) -> dict[str, Value]:
        """Every live parameter with its value, in the blueprint's order."""
        return self.parameter_board.all()

    def spawn(self, flow: str, attributes: Mapping[str, Value] | None = None) -> int:
        """Put an entity into a flow; gives its number. Raises Rejected for an unknown flow or when the twin is full."""
        if flow not in self.blueprint.flows:
            raise Rejected("unknown-flow", f"there is no flow `{flow}`", path=f"flows.{flow}", value=flow)
        limit = self.blueprint.limits.entities
        if len(self.entities) >= limit:
            raise Rejected("too-many-entities", f"{limit:,} entities are in progress", remedy="raise limits.entities")
        try:
            given = {name: checked(value, name) for name, value in attributes.items()} if attributes else None
        except EntityFault as fault:
            raise Rejected(fault.code, fault.message, path="attributes") from None
        entity = self.create(flow, given, None)
        self.ready.append(entity)
        self.settle_from_outside()
        return entity.id

    def signal(self, name: str, payload: Mapping[str, Value] | None = None) -> None:
        """Wake all who wait for the signal now. Nobody who comes later sees it. They find `payload` as `entity.signal`."""
        seq = self.note("signal-received", {"signal": name, **(payload or {})}) if self.events else None
        self._command(partial(self.wake_by_signal, name, payload, seq))
        self.settle_from_outside()

    def align(self, seen: Observe) -> None:
        """Make the twin agree with what was seen in reality, and tell each difference. All or nothing: raises Rejected."""
        self._command(Alignment(self, seen).carry_out)

    def signals(self) -> list[str]:
        """The signals that some step waits for."""
        return self.waiting.signals()

    def note(self, kind: str, payload: dict[str, Value], entity: int | None = None) -> int:
        """Put an event of the owner's into the twin's stream; gives its number."""
        return self.emit(kind, entity, None, payload)

    def drain(self) -> list[Emission]:
        """All events since the last drain, in order."""
        if not self._outbox:
            return []
        emitted = list(map(_as_emission, self._outbox))
        self._outbox.clear()
        return emitted

    def reseed(self, salt: int) -> None:
        """Give the random streams another future, independent of that of any other `salt`; 0 is the twin's own.

        What was drawn before stays as it is, times on the calendar included. For replications of a fork: twins that are
        given the same salt go on sharing their random numbers.
        """
        self.salt = salt
        for stream in self._streams.values():
            stream.rekey(self.blueprint.seed, salt)

    def streams(self) -> list[Stream]:
        """Its random streams, in the order in which they were made."""
        return list(self._streams.values())

    # -- for the steps
    def wake_by_signal(self, name: str, payload: Mapping[str, Value] | None, cause: int | None) -> None:
        """Wake all who wait for a signal; they find its payload as `entity.signal`."""
        for entity in self.waiting.notify(f"signal:{name}", cause):
            if payload:
                entity.attributes = {**(entity.attributes or {}), "signal": dict(payload)}

    def emit(self, kind: str, entity: int | None, cause: int | None, payload: dict[str, Value]) -> int:
        self.seq = seq = self.seq + 1
        tell = self.tell
        tell((seq, self.now, kind, entity, cause, payload))
        return seq

    def create(self, flow: str, attributes: dict[str, Value] | None, source: str | None, cause: int | None = None) -> Entity:
        """A new entity before the first step of a flow; not yet moving."""
        self.last_entity = number = self.last_entity + 1
        self.created += 1
        self.entities[number] = entity = Entity(number, flow, self.now, attributes, self.program.flows[flow][0])
        if self.events:
            self.seq = entity.last = seq = self.seq + 1
            tell = self.tell
            tell((seq, self.now, "entity-created", number, cause, {"flow": flow, "source": source}))
        return entity

    def refuse(self, source: str, flow: str) -> None:
        """An arrival that finds the twin full."""
        self.refused += 1
        if self.events:
            self.emit("entity-refused", None, None, {"flow": flow, "source": source})

    def leave(self, entity: Entity, outcome: str) -> Next:
        """The entity is gone, with no next step. What it still holds is given back."""
        if entity.held:
            for name, units in list(entity.held.items()):
                give_back(self, entity, name, units)
        del self.entities[entity.id]
        if self.machines and entity.flow.startswith(MACHINE):
            self.machines -= 1
        else:
            self.outcomes[outcome] += 1
        if outcome == "finished":
            figures = self.flow_statistics[entity.flow]
            figures.finished += 1
            figures.time_sum += self.now - entity.created
            if figures.sketch is not None:
                figures.sketch.add(self.now - entity.created)
        if self.events:
            self.seq = seq = self.seq + 1
            payload = {"flow": entity.flow, "outcome": outcome, "time_in_system": self.now - entity.created}
            tell = self.tell
            tell((seq, self.now, "entity-left", entity.id, entity.last, payload))
            entity.last = seq
        if entity.memory:
            leave_others(self, entity.memory, outcome)
        return None

    def fail(self, entity: Entity, fault: EntityFault) -> None:
        """One entity's step failed: it says so and leaves; the twin goes on."""
        fail(self, entity, fault)

    def watching(self) -> Watch:
        """What the watches look at."""
        return self.blueprint.watch

    def forming(self, resource: str) -> None:
        """A queue has come to the length of a bottleneck, and may stay there for long enough to be one."""

    def report(self, kind: str, payload: dict[str, Value]) -> None:
        """What one of the watches has noticed."""
        if self.events:
            self.emit(kind, None, None, payload)

    def observe(self, resource: Resource | Stock, look: Callable[[], None]) -> None:
        """Call `look` after each change of the resource's queue or of what is busy, or of the stock's level."""
        before = resource.on_change
        if before is None:
            resource.on_change = look
        else:
            both = (before, look)
            resource.on_change = lambda: (both[0](), both[1](), None)[2]

    # -- for building
    def stream(self, name: str) -> Stream:
        """A random stream of this twin's own."""
        stream = Stream(self.blueprint.seed, name)
        self._streams[name] = stream
        return stream

    def sampler(self, name: str, distribution: Any) -> Sampler:
        made = sampler(self.blueprint.seed, name, distribution)
        self._streams[name] = made
        return made

    def service(self, name: str) -> Amount:
        """The time of a named service, as a function of the entity."""
        return self.services[name].draw

    def duration(self, span: Any, stream: str) -> Amount:
        """A length of time, as a function of the entity: a number, an expression, or a draw from a stream of its own."""
        if isinstance(span, str):
            return Expression(span, self.scope).number
        if isinstance(span, int | float):
            return lambda entity: span
        return self.sampler(stream, span).draw

    # -- statistics
    def reset_statistics(self) -> None:
        """Figures count from now on (the counts of entities go on, so that the books balance)."""
        self.statistics_since = self.now
        quantiles = self.blueprint.statistics.quantiles
        self.flow_statistics = {name: FlowStatistics(quantiles=quantiles) for name in self.flow_statistics}
        parts: list[Any] = [*self.resources.values(), *self.containers.values(), *self.stores.values()]
        for part in parts:
            part.reset_statistics()

    def statistics(self) -> dict[str, Any]:
        """Figures since statistics began. Conservation holds at every instant: created = wip + the sum of outcomes."""
        return {
            "since": self.statistics_since,
            "now": self.now,
            "created": self.created,
            "wip": self.wip,
            "refused": self.refused,
            **self.outcomes,
            "flows": {name: flow.figures() for name, flow in self.flow_statistics.items()},
            "resources": {name: resource.statistics() for name, resource in self.resources.items()},
            "containers": {name: container.statistics() for name, container in self.containers.items()},
            "stores": {name: store.statistics() for name, store in self.stores.items()},
        }

    # -- as data
    def snapshot(self) -> dict[str, Any]:
        """All of the twin as plain data, independent of it. Events not yet drained are not part of it."""
        return snapshots.take(self)

    @classmethod
    def restore(cls, snapshot: dict[str, Any], *, events: bool = True) -> "Twin":
        """The twin as it was, to the same tie and random draw. Raises CheckpointError."""
        twin: Twin = cls.__new__(cls)
        return snapshots.put_back(twin, snapshot, events)

    def state_hash(self) -> str:
        """Hex digest of the canonical snapshot: equal for equal twins, in any process."""
        return snapshots.digest(self.snapshot())


def _asked_with(flows: Mapping[str, Sequence[Any]], field: str, default: int | None) -> frozenset[str]:
    """Resources at which some step asks with another `field` than the default; all others can keep a plain line."""
    found = []
    for step in every_step(flows.values()):
        if step.verb in ("seize", "process") and getattr(step.body, field) != default:
            found.append(step.body.resource)
    return frozenset(found)
