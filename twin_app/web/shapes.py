"""What the API answers and takes: the classes from which its OpenAPI document is made. Fields are only ever added."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from models.commands import SCENARIOS_MAX


class Shape(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class WorkerShape(Shape):
    """One worker of the application."""

    url: str = Field(description="Where it serves this API")
    partitions: list[int] = Field(description="Partitions that the group gave it")
    here: bool = Field(description="Whether it is the one that answers")
    reached: bool = Field(description="Whether it answered; its twins are missing from a list if it did not")


class TwinSummary(Shape):
    """One twin in a list."""

    twin: str = Field(description="Its name")
    partition: int = Field(description="Partition of the config topic that it lives on")
    worker: str = Field(description="URL of the worker that hosts it")
    running: bool = Field(description="False for a twin in quarantine: its model failed")
    sim_time: float = Field(description="Its simulation time, in its unit, from its start")
    time_unit: str = Field(description="seconds, minutes, hours or days")
    wip: int = Field(description="Entities in progress")
    seq: int = Field(description="Sequence number of its last event")


class TwinList(Shape):
    """Twins of all workers, by name."""

    twins: list[TwinSummary]
    next_after: str | None = Field(description="Ask again with `after` set to this for the next page; null: that was all")
    workers: list[WorkerShape]


class Scale(Shape):
    """The line between simulation time and the calendar: instant = epoch + sim_time x unit."""

    epoch_ms: int = Field(description="Instant of simulation time 0, in milliseconds since 1970 UTC")
    unit_ms: float = Field(description="Wall milliseconds that one simulation time unit takes")


class ResourceState(Shape):
    """Servers and the line before them."""

    capacity: int
    max_capacity: int | None = Field(description="What `capacity` may be set to at most; null: no bound of its own")
    busy: int
    queue: int
    queue_limit: int | None
    down: int = Field(description="Outages that last: a breakdown, maintenance")
    state: Literal["bottleneck", "closed", "down", "working", "full", "idle"] = Field(
        description="closed: no capacity; down: out of service; bottleneck: as the blueprint's watch has it; full: all is busy"
    )
    utilisation: float = Field(description="Busy over capacity since statistics began, 0 to 1")
    queue_mean: float
    started: int = Field(description="Services begun since statistics began")


class StockState(Shape):
    """A container (an amount) or a store (single items)."""

    capacity: float
    level: float
    putting: int = Field(description="Entities that wait to put something in")
    getting: int = Field(description="Entities that wait to get something out")


class TwinState(Shape):
    """A twin as it was committed last, taken between two cycles."""

    twin: str
    description: str | None
    partition: int
    worker: str
    running: bool
    quarantine: str | None = Field(description="Why it stands still; null: it runs")
    partition_state: str = Field(description="live, catching-up, committing, ...")
    sim_time: float
    event_time: datetime = Field(description="The simulation time as a UTC date and time")
    time_unit: str
    time_mode: str = Field(description="wall or event")
    scale: Scale
    lag_s: float = Field(description="How far the twin is behind its clock, in wall seconds; 0 on schedule")
    seq: int
    wip: int
    created: int
    finished: int
    left: int = Field(description="Entities that left in whatever way, finished included")
    next_offset: int = Field(description="All commands of the partition below this offset are applied")
    resources: dict[str, ResourceState]
    containers: dict[str, StockState]
    stores: dict[str, StockState]
    machines: dict[str, str] = Field(description="State machine -> its state")
    more: int = Field(description="Resources, containers, stores and machines beyond the limit that are not shown")


class ParameterState(Shape):
    """One live path."""

    path: str
    type: str
    value: JsonValue
    version: int = Field(description="How often it was set")
    changed_at: float = Field(description="Simulation time of the last change; 0 if there was none")
    offset: int | None = Field(description="Config offset of the command that set it; null: the blueprint or the model")
    low: float | None
    high: float | None
    above: float | None = Field(description="An exclusive lower bound")
    high_path: str | None = Field(description="A path whose value bounds this one from above")


class ParameterPage(Shape):
    """Live paths in the blueprint's order."""

    twin: str
    seq: int = Field(description="The last event when they were read: all values are of one instant")
    parameters: list[ParameterState]
    next_after: int | None = Field(description="`after` for the next page; null: that was all")
    total: int


class WorkItem(Shape):
    """One entity in progress."""

    entity: int
    flow: str
    step: str = Field(description="Where it is in its flow")
    place: str | None = Field(description="Resource, container or store that the step names")
    phase: Literal["moving", "queued", "in service", "delayed", "waiting", "halted", "gathered", "carried"]
    since: float = Field(description="Simulation time at which it joined the line it stands in, or joined one last")
    until: float | None = Field(description="Simulation time of its next calendar entry: end of service, of patience, of a delay")
    created: float
    attributes: dict[str, Any]
    held: dict[str, int] = Field(description="Units by resource that it has seized")


class WorkPage(Shape):
    """Entities in progress by number."""

    twin: str
    seq: int
    sim_time: float
    work: list[WorkItem]
    next_after: int | None
    total: int


class Node(Shape):
    """A box of the diagram. `layer` and `row` are its place on a grid: layers follow the flow, rows keep lines from crossing."""

    id: str = Field(description="arrivals.orders, resources.b, containers.tank, stores.shelf, flows.make, end.make")
    kind: Literal["arrival", "resource", "container", "store", "entry", "end"]
    name: str
    layer: int
    row: float


class Edge(Shape):
    """A way that entities can take from one box to the next."""

    source: str
    target: str
    back: bool = Field(description="Against the direction of the layers: rework, a loop")
    label: str | None = Field(None, description="The condition or the share of a branch")


class Diagram(Shape):
    """The line laid out from its blueprint."""

    twin: str
    blueprint_hash: str
    layers: int
    rows: float
    nodes: list[Node]
    edges: list[Edge]
    more: int = Field(description="Boxes beyond the limit that are not shown")


class Place(Shape):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


class Answer(Shape):
    """What the twin said to a command. Accepted: the event; refused: code, reason and remedy of the dead letter."""

    accepted: bool
    event: dict[str, Any] | None = None
    code: str | None = None
    reason: str | None = None
    path: str | None = None
    remedy: str | None = None


class Sent(Shape):
    """A command is in the config topic."""

    place: Place
    answer: Answer | None = Field(
        description="Null if it was not waited for, or did not come in time: it is applied nevertheless"
    )


class Ask(Shape):
    """A question: what will happen, and what if."""

    horizon: float | str = Field("8h", description="How far to look: a duration such as 8h, or a number of the twin's time units")
    scenarios: dict[str, list[dict[str, JsonValue]]] = Field(
        default_factory=dict, max_length=SCENARIOS_MAX, description="Name -> commands (set, patch, spawn, signal)"
    )


class Frame(Shape):
    """What was measured at one instant of the past."""

    wall_time: datetime
    values: dict[str, float] = Field(description="resources.b.queue, resources.b.busy, resources.b.capacity, entities.wip, ...")


class Past(Shape):
    """Measurements of a stretch of the past, from the retained vitals; each frame holds until the next."""

    twin: str
    start: datetime
    end: datetime
    frames: list[Frame]
    thinned: bool = Field(description="Whether frames were left out because there were more than asked for")
    source: Place = Field(description="Topic and partition that were read, and the offset behind the last record")


class Health(Shape):
    """The process answers."""

    alive: bool


class Ready(Shape):
    """Whether the worker has recovered all partitions that it was given."""

    ready: bool
    phase: str
    why: dict[str, str] | None
    partitions: dict[str, str]
