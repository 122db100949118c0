"""The blueprint: a whole simulated system as one document."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from models.base import Duration, Json, Model, Name, TwinName
from models.check import problems
from models.distributions import Distribution
from models.flow import Attribute, Discipline, Flow
from models.machines import Machine
from models.questions import QUESTIONS_MAX, StandingQuestion
from models.schedules import Schedule

NAMES_MAX = 10_000
TRACE_MAX = 100_000
CAPACITY_MAX = 1_000_000

Capacity = Annotated[int, Field(ge=0, le=CAPACITY_MAX)]


class Time(Model):
    """`unit` of all times in the blueprint; `factor`: wall time per simulation time (1.0 in step, lower is faster).

    `mode` `wall` follows the wall clock, `event` the records' timestamps only. `start`: the calendar time of simulation time 0.
    """

    unit: Literal["seconds", "minutes", "hours", "days"] = "seconds"
    factor: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    mode: Literal["wall", "event"] = "wall"
    start: Annotated[datetime, Field(strict=False)] | None = None


class Breakdown(Model):
    """The resource fails `time_to_failure` after it last came back, and comes back after `repair`, or when the entity that the
    failure sends through `repair_flow` (with the attribute `resource`) has left.

    `policy`: `interrupt` those in service (each does what its step's `on_interrupt` says), or let them `finish`.
    """

    time_to_failure: Distribution
    repair: Distribution | None = None
    repair_flow: Name | None = None
    policy: Literal["interrupt", "finish"] = "interrupt"

    @model_validator(mode="after")
    def _one_repair(self) -> "Breakdown":
        if (self.repair is None) == (self.repair_flow is None):
            raise PydanticCustomError("one_repair", "give either `repair` or `repair_flow`")
        return self


class Maintenance(Model):
    """The resource is taken out of service on purpose: first at `first` (without: after `every`), then `every` so long after
    it came back, for `duration` each time. `policy` as for a breakdown, but those in service may `finish` by default."""

    every: Distribution
    duration: Distribution
    first: Duration | None = None
    policy: Literal["interrupt", "finish"] = "finish"


class Resource(Model):
    """Servers that entities seize. `capacity` 0 is a closed resource; `max_capacity` bounds what it may be set to.

    `discipline`: `priority` (lower first, equal ones first come first served), `fifo`, `lifo`, or `preemptive` (as
    `priority`, and a better one displaces a worse one in service).
    """

    capacity: Capacity = Field(default=1, validation_alias=AliasChoices("capacity", "current_cap"))
    max_capacity: Capacity | None = Field(default=None, validation_alias=AliasChoices("max_capacity", "max_cap"))
    discipline: Discipline = "priority"
    queue_limit: Annotated[int, Field(ge=0, le=CAPACITY_MAX)] | None = None
    breakdown: Breakdown | None = None
    maintenance: Maintenance | None = None

    @model_validator(mode="after")
    def _within_bound(self) -> "Resource":
        if self.max_capacity is not None and self.capacity > self.max_capacity:
            raise PydanticCustomError("above_bound", "`capacity` is above `max_capacity`")
        return self


class Container(Model):
    """An amount of something, between 0 and `capacity`."""

    capacity: Annotated[float, Field(ge=0, le=1e15)]
    level: Annotated[float, Field(ge=0, le=1e15)] = 0.0

    @model_validator(mode="after")
    def _within(self) -> "Container":
        if self.level > self.capacity:
            raise PydanticCustomError("above_bound", "`level` is above `capacity`")
        return self


class Store(Model):
    """Single items, at most `capacity` of them. They come out in the order of `discipline` (`priority`: lower first)."""

    capacity: Capacity = CAPACITY_MAX
    discipline: Literal["fifo", "lifo", "priority"] = "fifo"
    items: list[Json] = Field(default_factory=list, max_length=100_000)

    @model_validator(mode="after")
    def _within(self) -> "Store":
        if len(self.items) > self.capacity:
            raise PydanticCustomError("above_bound", "more `items` than `capacity`")
        return self


class TraceEntry(Model):
    """One recorded arrival."""

    at: Duration
    attributes: dict[Name, Json] = Field(default_factory=dict, max_length=100)


class Arrival(Model):
    """Entities that come by themselves: the first after one interarrival time, or each at its time of a recorded `trace` (in a
    file: `csv: orders.csv`, with a column `at` and one for each attribute).

    `on_change`: what becomes of the gap already drawn when the distribution is changed: `redraw` from now on, or `keep` it.
    `limit`: at most so many entities.
    """

    interarrival: Distribution | None = None
    trace: list[TraceEntry] | None = Field(default=None, min_length=1, max_length=TRACE_MAX)
    flow: Name
    attributes: dict[Name, Attribute] = Field(default_factory=dict, max_length=100)
    on_change: Literal["redraw", "keep"] = "redraw"
    limit: Annotated[int, Field(ge=0, le=10**15)] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "Arrival":
        if (self.interarrival is None) == (self.trace is None):
            raise PydanticCustomError("one_source", "give either `interarrival` or `trace`")
        if self.trace is not None and any(b.at < a.at for a, b in zip(self.trace, self.trace[1:], strict=False)):
            raise PydanticCustomError("trace_order", "the times of a `trace` do not go back")
        return self


class QueueWatch(Model):
    """A resource is a bottleneck when its queue has held at least `queue` entities for `for` time units without a break."""

    queue: Annotated[int, Field(ge=1, le=CAPACITY_MAX)]
    for_: Duration = Field(default=0.0, alias="for")


class GrowthWatch(Model):
    """A queue is growing each time `by` entities have joined it since one was last taken from it."""

    by: Annotated[int, Field(ge=1, le=CAPACITY_MAX)]


class StarvingWatch(Model):
    """A resource starves when, having worked before, it has had capacity but nothing to do for `for` time units."""

    for_: Duration = Field(alias="for")


class Watch(Model):
    """What the twin reports by itself, for every resource."""

    bottleneck: QueueWatch | None = None
    growing: GrowthWatch | None = None
    starving: StarvingWatch | None = None


class Statistics(Model):
    """`warm_up`: figures begin to count then. `quantiles`: keep a sketch of the time in system of each flow (1 % accurate)."""

    warm_up: Duration = 0.0
    quantiles: bool = False


class Limits(Model):
    """Bounds of the twin. `entities`: in progress at once. `steps_per_instant`: what may happen without time passing."""

    entities: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    steps_per_instant: Annotated[int, Field(ge=100, le=100_000_000)] = 1_000_000


SEED_MAX = 2**63 - 1
Seed = Annotated[int, Field(ge=0, lt=SEED_MAX + 1)]


class Blueprint(Model):
    """A twin's blueprint. All times are in `time.unit`; every random draw follows from `seed`."""

    twin: TwinName
    description: Annotated[str, Field(max_length=10_000)] | None = None
    time: Time = Time()
    seed: Seed = 0
    variables: dict[Name, Json] = Field(default_factory=dict, max_length=NAMES_MAX)
    resources: dict[Name, Resource] = Field(default_factory=dict, max_length=NAMES_MAX)
    containers: dict[Name, Container] = Field(default_factory=dict, max_length=NAMES_MAX)
    stores: dict[Name, Store] = Field(default_factory=dict, max_length=NAMES_MAX)
    services: dict[Name, Distribution] = Field(default_factory=dict, max_length=NAMES_MAX)
    arrivals: dict[Name, Arrival] = Field(default_factory=dict, max_length=NAMES_MAX)
    flows: dict[Name, Flow] = Field(default_factory=dict, max_length=NAMES_MAX)
    machines: dict[Name, Machine] = Field(default_factory=dict, max_length=NAMES_MAX)
    schedules: dict[Name, Schedule] = Field(default_factory=dict, max_length=NAMES_MAX)
    watch: Watch = Watch()
    questions: dict[Name, StandingQuestion] = Field(default_factory=dict, max_length=QUESTIONS_MAX)
    statistics: Statistics = Statistics()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> "Blueprint":
        context = info.context or {}
        found = problems(self, context.get("lost", frozenset()), context.get("own_steps"))
        if found:
            first = found[0]
            raise PydanticCustomError(
                "blueprint",
                "{message} (at {where}){more}",
                {
                    "message": first.message,
                    "where": ".".join(map(str, first.loc)),
                    "more": f", and {len(found) - 1} more" if len(found) > 1 else "",
                    "problems": [(list(p.loc), p.code, p.message, p.remedy) for p in found],
                },
            )
        return self
