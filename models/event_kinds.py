"""Every kind of event that a twin tells by itself, with its payload. A blueprint's `emit` steps add kinds of their own.

Times are in the blueprint's unit. The entity, where there is one, is in the event, not in the payload.
"""

from typing import ClassVar

from pydantic import ConfigDict

from models.base import Json, Model


class EntityCreated(Model):
    """An entity begins. `source`: the arrival that brought it, None for a command or another entity."""

    kind: ClassVar = "entity-created"
    flow: str
    source: str | None


class EntityRefused(Model):
    """An arrival found the twin at its limit of entities."""

    kind: ClassVar = "entity-refused"
    flow: str
    source: str


class EntityQueued(Model):
    """It asks for units of a resource (and may be served at the same instant)."""

    kind: ClassVar = "entity-queued"
    resource: str


class EntityStarted(Model):
    """It has been given them."""

    kind: ClassVar = "entity-started"
    resource: str


class EntityFinished(Model):
    """It has given them back."""

    kind: ClassVar = "entity-finished"
    resource: str


class EntityBalked(Model):
    """The queue was at its limit; it did not join."""

    kind: ClassVar = "entity-balked"
    resource: str


class EntityReneged(Model):
    """Its patience ran out after `waited`."""

    kind: ClassVar = "entity-reneged"
    resource: str
    waited: float


class EntityPreempted(Model):
    """It was displaced or its resource went out of service. `remaining`: service time left. `by`: the entity that displaced
    it, None for an outage."""

    kind: ClassVar = "entity-preempted"
    resource: str
    remaining: float
    by: int | None


class EntityResumed(Model):
    """Its interrupted service goes on, for `remaining`."""

    kind: ClassVar = "entity-resumed"
    resource: str
    remaining: float


class ResourceDown(Model):
    """Out of service. `reason`: `breakdown` or `maintenance`; `interrupted`: entities whose service stopped."""

    kind: ClassVar = "resource-down"
    resource: str
    reason: str
    interrupted: int


class ResourceUp(Model):
    """Back in service after `down`."""

    kind: ClassVar = "resource-up"
    resource: str
    reason: str
    down: float


class EntityBlocked(Model):
    """It waits for a container or a store. `verb`: `put` (no room) or `get` (not enough there)."""

    kind: ClassVar = "entity-blocked"
    stock: str
    verb: str


class EntityPut(Model):
    """It has put `amount` (1 for an item); `level` is what is there now."""

    kind: ClassVar = "entity-put"
    stock: str
    amount: float
    level: float


class EntityGet(Model):
    """It has got `amount` (1 for an item); `level` is what is left."""

    kind: ClassVar = "entity-get"
    stock: str
    amount: float
    level: float


class EntityInterrupted(Model):
    """Another entity (`by`) ended its delay with `remaining` time left."""

    kind: ClassVar = "entity-interrupted"
    remaining: float
    by: int


class EntityGathered(Model):
    """It waits at a meeting point; `size` of its group so far."""

    kind: ClassVar = "entity-gathered"
    group: str
    size: int


class EntityWaiting(Model):
    """It waits for a condition, a change or a signal."""

    kind: ClassVar = "entity-waiting"
    when: str | None = None
    change: str | None = None
    signal: str | None = None


class EntityWoken(Model):
    """The wait is over. `reason`: `condition` (what was waited for has come) or `timeout`."""

    kind: ClassVar = "entity-woken"
    reason: str


class EntityFailed(Model):
    """Its step failed (`code` `failed`: by a `fail` step, for the reason `message`). It leaves; the twin goes on."""

    kind: ClassVar = "entity-failed"
    code: str
    message: str
    step: str


class TryFailed(Model):
    """A `fail` step ended a try of a retry, its `tries`-th. It tries again, or gives up."""

    kind: ClassVar = "try-failed"
    reason: str
    step: str
    tries: int


class EntityLeft(Model):
    """It is gone: the last event of every entity. `outcome`: `finished`, `reneged`, `balked`, `abandoned`, `joined`,
    `assembled`, `failed`, or `removed` (reality did not show it)."""

    kind: ClassVar = "entity-left"
    flow: str
    outcome: str
    time_in_system: float


class ParameterChanged(Model):
    """A live parameter was set, by a command or by a step."""

    kind: ClassVar = "parameter-changed"
    path: str
    old: Json
    new: Json


class ScheduleRefused(Model):
    """A step of a schedule could not be taken, since another bound was set in the meantime."""

    kind: ClassVar = "schedule-refused"
    schedule: str
    code: str
    message: str


class SignalReceived(Model):
    """A signal came; its payload's fields stand beside `signal`."""

    model_config = ConfigDict(extra="allow")
    kind: ClassVar = "signal-received"
    signal: str


class ObservationReceived(Model):
    """Reality was seen; `observations` things of it. A `divergence-measured` follows for each."""

    kind: ClassVar = "observation-received"
    observations: int


class DivergenceMeasured(Model):
    """One thing that was seen, beside what the twin had there; the twin agrees with it from now on.

    `what`: `queue`, `level`, `items`, `step` or `finished`. `path`: `resources.b`, `containers.oil`, `stores.shelf`,
    `entities.7`. `difference`: observed less simulated, where both are numbers (of items: their numbers). `agrees`: there was
    nothing to do. `created` and `removed`: entities (of a store: items) that had to come or go, each with its own events, whose
    cause is this one."""

    kind: ClassVar = "divergence-measured"
    what: str
    path: str
    observed: Json
    simulated: Json
    difference: float | None
    agrees: bool
    created: int
    removed: int


class EntityMoved(Model):
    """It was seen at the step `to`, or a new blueprint begins it there, and it is there now; `origin` is where it was."""

    kind: ClassVar = "entity-moved"
    origin: str
    to: str


class BottleneckFormed(Model):
    """The queue has held at least as many as the watch says, for as long as it says."""

    kind: ClassVar = "bottleneck-formed"
    resource: str
    queue: int


class BottleneckCleared(Model):
    """It holds fewer again."""

    kind: ClassVar = "bottleneck-cleared"
    resource: str
    queue: int


class QueueGrowing(Model):
    """`joined`: entities that joined since one was last taken from the queue."""

    kind: ClassVar = "queue-growing"
    resource: str
    queue: int
    joined: int


class ResourceStarving(Model):
    """It has had nothing to do for as long as the watch says."""

    kind: ClassVar = "resource-starving"
    resource: str


class ResourceFed(Model):
    """It has work again."""

    kind: ClassVar = "resource-fed"
    resource: str


EVENT_KINDS: dict[str, type[Model]] = {
    payload.kind: payload
    for payload in (
        EntityCreated,
        EntityRefused,
        EntityQueued,
        EntityStarted,
        EntityFinished,
        EntityBalked,
        EntityReneged,
        EntityPreempted,
        EntityInterrupted,
        EntityGathered,
        EntityBlocked,
        EntityPut,
        EntityGet,
        EntityResumed,
        ResourceDown,
        ResourceUp,
        EntityWaiting,
        EntityWoken,
        EntityFailed,
        TryFailed,
        EntityLeft,
        ParameterChanged,
        ScheduleRefused,
        SignalReceived,
        ObservationReceived,
        DivergenceMeasured,
        EntityMoved,
        BottleneckFormed,
        BottleneckCleared,
        QueueGrowing,
        ResourceStarving,
        ResourceFed,
    )
}
"""Payload class by kind."""


class TwinRegistered(Model):
    """The twin begins to live, at simulation time 0."""

    kind: ClassVar = "twin-registered"
    blueprint_hash: str


class TwinUnchanged(Model):
    """The twin was registered again with the blueprint that it has."""

    kind: ClassVar = "twin-unchanged"
    blueprint_hash: str


class TwinReplaced(Model):
    """The twin has a new blueprint, and begins anew. What was in progress and was given up is counted."""

    kind: ClassVar = "twin-replaced"
    blueprint_hash: str
    entities_dropped: int
    commands_dropped: int


class QuestionsChanged(Model):
    """The twin has the blueprint that it had, with other standing questions. All that was in progress goes on."""

    kind: ClassVar = "questions-changed"
    blueprint_hash: str
    questions: int


class TwinMigrated(Model):
    """The twin has a new blueprint, and goes on with its work. Of the entities in progress some were moved to another step (each
    has its `entity-moved`), the others kept all that they had. Of the paths some kept their live value, some took the newly
    declared one; some are new, some are gone."""

    kind: ClassVar = "twin-migrated"
    blueprint_hash: str
    entities_kept: int
    entities_moved: int
    parameters_kept: int
    parameters_taken: int
    parameters_new: int
    parameters_gone: int


class TwinRemoved(Model):
    """The twin is no more."""

    kind: ClassVar = "twin-removed"
    entities_dropped: int
    commands_dropped: int


class TwinQuarantined(Model):
    """The twin's model failed. It stands still and keeps its state; other twins go on."""

    kind: ClassVar = "twin-quarantined"
    code: str
    message: str


class CommandScheduled(Model):
    """A command is kept until its time, the simulation time `at`."""

    kind: ClassVar = "command-scheduled"
    command_kind: str
    at: float


class CommandRejected(Model):
    """A command that was kept was refused when its time came; it is a dead letter, too."""

    kind: ClassVar = "command-rejected"
    command_kind: str
    code: str
    reason: str


class ForecastRequested(Model):
    """A forecast was asked for; it comes in the topic of forecasts."""

    kind: ClassVar = "forecast-requested"
    horizon: float | str
    scenarios: int


class TimeAdvanced(Model):
    """A twin in event mode was moved forward by a command."""

    kind: ClassVar = "time-advanced"
    to: float


OWNERS_KINDS: dict[str, type[Model]] = {
    payload.kind: payload
    for payload in (
        TwinRegistered,
        TwinUnchanged,
        TwinReplaced,
        QuestionsChanged,
        TwinMigrated,
        TwinRemoved,
        TwinQuarantined,
        CommandScheduled,
        CommandRejected,
        ForecastRequested,
        TimeAdvanced,
    )
}
"""Payload class by kind, of what is told about a twin rather than by it."""

ACKNOWLEDGING = ("command", "late", "version")
"""What the event that answers a command has besides: the producer's id, whether it came after its time, the path's version."""
