"""The flow language: what an entity does, step by step, as data.

A flow is a list of steps; a step is a mapping with one key, its verb, and may carry a label: `- pack: {process: {...}}`.
A target (`go`, `on_renege`...) is a label of the same flow, or a flow (from its first step), or `next` (the step after this
one), or `end` (the entity leaves).
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.base import NUMBER_OR_EXPRESSION, Duration, EventKind, Expression, Json, Model, Name, Quantity, only_key
from models.distributions import DISTRIBUTIONS, AnyDistribution

STEPS_MAX = 1_000
ARMS_MAX = 100
REASON_LENGTH_MAX = 200

Target = Name


def _short(field: str) -> BeforeValidator:
    """Lets `seize: lathe` stand for `seize: {resource: lathe}`."""
    return BeforeValidator(lambda value: {field: value} if isinstance(value, str) else value)


def _span_form(value: Any) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "expression"
    return only_key(DISTRIBUTIONS)(value) and "distribution"


Span = Annotated[
    Annotated[Duration, Tag("number")]
    | Annotated[Expression, Tag("expression")]
    | Annotated[AnyDistribution, Tag("distribution")],
    Discriminator(
        _span_form, custom_error_type="bad_span", custom_error_message="needs a number, an expression or a distribution"
    ),
]
"""A length of simulation time: a number, an expression, or a distribution with a random stream of its own."""


Share = Annotated[
    Annotated[float, Field(ge=0, le=1), Tag("number")] | Annotated[Expression, Tag("expression")], NUMBER_OR_EXPRESSION
]
"""A probability, or an expression that gives one."""


def _attribute_form(value: Any) -> str:
    return "distribution" if not isinstance(value, list | str) and only_key(DISTRIBUTIONS)(value) else "value"


Attribute = Annotated[
    Annotated[AnyDistribution, Tag("distribution")] | Annotated[Json, Tag("value")], Discriminator(_attribute_form)
]
"""What a new entity's attribute starts with: a distribution to draw from, or a value (a text is an expression)."""


class Seize(Model):
    """Wait for `units` of a resource and hold them. Lower `priority` goes first.

    With `patience` the entity gives up after that long and goes to `on_renege` (without: it leaves). When the resource's
    queue is at its limit it does not join and goes to `on_balk` (without: it leaves).
    """

    resource: Name
    units: Quantity = 1
    priority: Quantity = 0
    patience: Span | None = None
    on_renege: Target | None = None
    on_balk: Target | None = None


class Process(Seize):
    """Seize, spend the time of `service` (a named one) or `for`, release.

    At a preemptive resource an entity with `preempt` displaces those of a higher priority number. `on_interrupt`: what one who
    is displaced, or whose resource breaks down, does later: `resume` with the time that was left, `restart` with a new draw,
    or `abandon` at once, to `on_abandon` (without: it leaves).
    """

    service: Name | None = None
    for_: Span | None = Field(default=None, alias="for")
    preempt: bool = True
    on_interrupt: Literal["resume", "restart", "abandon"] = "resume"
    on_abandon: Target | None = None

    @model_validator(mode="after")
    def _one_time(self) -> "Process":
        if (self.service is None) == (self.for_ is None):
            raise PydanticCustomError("one_time", "give either `service` or `for`")
        return self


class Stock(Model):
    """A container or a store, with patience."""

    container: Name | None = None
    store: Name | None = None
    patience: Span | None = None
    on_renege: Target | None = None

    @model_validator(mode="after")
    def _one_stock(self) -> "Stock":
        if (self.container is None) == (self.store is None):
            raise PydanticCustomError("one_stock", "give either `container` or `store`")
        for field in () if self.container is None else ("item", "priority", "where", "as_"):
            if field in self.model_fields_set:
                raise PydanticCustomError("one_stock", "`{field}` is for a store", {"field": field.rstrip("_")})
        if self.store is not None and "amount" in self.model_fields_set:
            raise PydanticCustomError("one_stock", "`amount` is for a container")
        return self


class Put(Stock):
    """Put an `amount` into a container, or an `item` (texts are expressions) into a store; wait while there is no room."""

    amount: Quantity = 1
    item: Json = "entity.id"
    priority: Quantity = 0


class Get(Stock):
    """Get an `amount` out of a container, or an item out of a store: the first, or the first for which `where` holds (`item` is
    its name there). It becomes the entity's attribute `as`. Wait while there is none."""

    amount: Quantity = 1
    where: Expression | None = None
    as_: Name = Field(default="item", alias="as")


class Delay(Model):
    """Let time pass: that of a named `service`, or `for`. One who is interrupted goes to `on_interrupt`, with the time that was
    left in its attribute `remaining`; without, interruptions do not reach it."""

    service: Name | None = None
    for_: Span | None = Field(default=None, alias="for")
    on_interrupt: Target | None = None

    @model_validator(mode="after")
    def _one_time(self) -> "Delay":
        if (self.service is None) == (self.for_ is None):
            raise PydanticCustomError("one_time", "give either `service` or `for`")
        return self


class Release(Model):
    """Give back `units` of a resource that this entity holds (all of them when left out)."""

    resource: Name
    units: Quantity | None = None


class Arm(Model):
    """One way out of a branch: the first whose `when` holds; or drawn by `weight`; an arm with neither takes the rest.

    It leads to `go`, or through the steps of `do` to the step after the branch.
    """

    when: Expression | None = None
    weight: Annotated[float, Field(ge=0, le=1e9)] | None = None
    go: Target | None = None
    do: "list[Step] | None" = Field(default=None, max_length=STEPS_MAX)

    @model_validator(mode="after")
    def _not_both(self) -> "Arm":
        if (self.go is None) == (self.do is None):
            raise PydanticCustomError("arm", "give either `go` or `do`")
        if self.when is not None and self.weight is not None:
            raise PydanticCustomError("arm", "give either `when` or `weight`, not both")
        return self


class Emit(Model):
    """Put an event of one's own into the twin's stream. Texts in `payload` are expressions."""

    kind: EventKind
    payload: dict[Name, Json] = Field(default_factory=dict, max_length=100)


class WaitFor(Model):
    """Wait until a condition holds (`when`), for the next change of a path (`change`, then `when` looks at it), or for a signal.

    `when` alone passes at once if it already holds. A change or a signal is only seen by those who wait at that moment.
    After `timeout` the entity goes on to `on_timeout` (without: to the next step).
    """

    when: Expression | None = None
    change: str | None = Field(default=None, max_length=400)
    signal: Name | None = None
    timeout: Span | None = None
    on_timeout: Target | None = None

    @model_validator(mode="after")
    def _something(self) -> "WaitFor":
        if self.when is None and self.change is None and self.signal is None:
            raise PydanticCustomError("wait_for", "give `when`, `change` or `signal`")
        if self.change is not None and self.signal is not None:
            raise PydanticCustomError("wait_for", "give either `change` or `signal`, not both")
        return self


def _delay_form(value: Any) -> Any:
    if isinstance(value, int | float | str) or (isinstance(value, dict) and only_key(DISTRIBUTIONS)(value)):
        return {"for": value}
    return value


class AnyArm(Model):
    """One of the things that end a wait: `after` a time, a `signal`, a `change` of a path, or `when` a condition holds."""

    after: Span | None = None
    signal: Name | None = None
    change: str | None = Field(default=None, max_length=400)
    when: Expression | None = None
    go: Target = "next"

    @model_validator(mode="after")
    def _one(self) -> "AnyArm":
        if sum(value is not None for value in (self.after, self.signal, self.change)) + (self.when is not None) == 0:
            raise PydanticCustomError("any_arm", "give `after`, `signal`, `change` or `when`")
        if sum(value is not None for value in (self.after, self.signal, self.change)) > 1:
            raise PydanticCustomError("any_arm", "give only one of `after`, `signal` and `change`")
        return self


class Loop(Model):
    """Do the steps of `do` again and again: `times`, or `while` a condition holds, or both."""

    times: (
        Annotated[
            Annotated[int, Field(ge=0, le=10**9), Tag("number")] | Annotated[Expression, Tag("expression")], NUMBER_OR_EXPRESSION
        ]
        | None
    ) = None
    while_: Expression | None = Field(default=None, alias="while")
    do: "list[Step]" = Field(min_length=1, max_length=STEPS_MAX)

    @model_validator(mode="after")
    def _bounded(self) -> "Loop":
        if self.times is None and self.while_ is None:
            raise PydanticCustomError("loop", "give `times` or `while`")
        return self


class Retry(Model):
    """Do the steps of `do` until no `fail` step ended the try and `until` holds after them; at most `times` times, `wait`
    between. Then to `on_give_up`.

    Without `on_give_up` the entity leaves; where a `fail` step ended the last try, the failure goes on to the retry around this
    one, or the entity leaves as failed. What a try that failed had seized is given back, what was held before is kept.
    """

    do: "list[Step]" = Field(min_length=1, max_length=STEPS_MAX)
    until: Expression | None = None
    times: Annotated[int, Field(ge=1, le=10**6)] = 3
    wait: Span | None = None
    on_give_up: Target | None = None


class Fail(Model):
    """Fail for a `reason` (a text, not an expression): if `when` holds, with `probability` (without: always); else on to the next
    step.

    Inside a `retry` that the entity is in, this try is over; elsewhere the entity says so, leaves as failed, and gives back what
    it holds.
    """

    reason: Annotated[str, Field(min_length=1, max_length=REASON_LENGTH_MAX)]
    when: Expression | None = None
    probability: Share | None = None


class Spawn(Model):
    """`count` new entities in `flow`; with `wait` this one goes on when all of them have left. Texts are expressions (of this
    entity)."""

    flow: Name
    count: Quantity = 1
    attributes: dict[Name, Attribute] = Field(default_factory=dict, max_length=100)
    wait: bool = False


class Signal(Model):
    """Wake all who wait for the signal. They find the payload as `entity.signal`."""

    name: Name
    payload: dict[Name, Json] = Field(default_factory=dict, max_length=100)


class Interrupt(Model):
    """Interrupt those who are in service or in a delay in `flow` (for whom `where` holds: `entity` is the other one there)."""

    flow: Name
    where: Expression | None = None


class Batch(Model):
    """Wait until `size` have come (of equal `by`); the first goes on and carries the others. After `timeout`: with fewer."""

    size: Annotated[
        Annotated[int, Field(ge=1, le=10**6), Tag("number")] | Annotated[Expression, Tag("expression")], NUMBER_OR_EXPRESSION
    ]
    by: Expression | None = None
    timeout: Span | None = None


class Split(Model):
    """Let those carried go on, each for itself; or become `into` parts, numbered from 0 in the attribute `as`."""

    into: (
        Annotated[
            Annotated[int, Field(ge=1, le=10_000), Tag("number")] | Annotated[Expression, Tag("expression")], NUMBER_OR_EXPRESSION
        ]
        | None
    ) = None
    as_: Name = Field(default="part", alias="as")


class Join(Model):
    """Wait for all parts of a split; they are one again."""


class Assemble(Model):
    """Wait until `needs` are met: so many of each `kind` (of equal `by`). The first of the first kind goes on, the others are
    built in."""

    needs: dict[Name, Annotated[int, Field(ge=1, le=10_000)]] = Field(min_length=1, max_length=100)
    kind: Expression
    by: Expression | None = None


class Call(Model):
    """Call an own Python step (offered as an entry point of `twin_app.steps`); texts in `with` are expressions. What it gives
    becomes the attribute `as`."""

    step: Name
    with_: dict[Name, Json] = Field(default_factory=dict, max_length=100, alias="with")
    as_: Name | None = Field(default=None, alias="as")


class CallStep(Model):
    call: Annotated[Call, _short("step")]


class SpawnStep(Model):
    spawn: Annotated[Spawn, _short("flow")]


class SignalStep(Model):
    signal: Annotated[Signal, _short("name")]


class InterruptStep(Model):
    interrupt: Annotated[Interrupt, _short("flow")]


class LoopStep(Model):
    loop: Loop


class RetryStep(Model):
    retry: Retry


class FailStep(Model):
    fail: Annotated[Fail, _short("reason")]


class WaitAnyStep(Model):
    """Wait for the first of several."""

    wait_any: list[AnyArm] = Field(min_length=1, max_length=ARMS_MAX)


class BatchStep(Model):
    batch: Batch


class SplitStep(Model):
    split: Split


class JoinStep(Model):
    join: Join


class AssembleStep(Model):
    assemble: Assemble


class SeizeStep(Model):
    seize: Annotated[Seize, _short("resource")]


class ProcessStep(Model):
    process: Process


class DelayStep(Model):
    delay: Annotated[Delay, BeforeValidator(_delay_form)]


class ReleaseStep(Model):
    release: Annotated[Release, _short("resource")]


class PutStep(Model):
    put: Put


class GetStep(Model):
    get: Get


class BranchStep(Model):
    branch: list[Arm] = Field(min_length=1, max_length=ARMS_MAX)

    @model_validator(mode="after")
    def _consistent(self) -> "BranchStep":
        weighted = any(arm.weight is not None for arm in self.branch)
        if weighted and any(arm.when is not None for arm in self.branch):
            raise PydanticCustomError("branch", "the arms of one branch go either by `when` or by `weight`")
        rest = [number for number, arm in enumerate(self.branch) if arm.when is None and arm.weight is None]
        if rest and rest != [len(self.branch) - 1]:
            raise PydanticCustomError("branch", "only the last arm may have neither `when` nor `weight`: it takes the rest")
        if weighted:
            total = sum(arm.weight or 0.0 for arm in self.branch)
            if rest and total > 1:
                raise PydanticCustomError("branch", "with an arm for the rest the weights are probabilities: at most 1 together")
            if not rest and total <= 0:
                raise PydanticCustomError("branch", "at least one weight must be above 0")
        return self


class GoStep(Model):
    go: Target


class EmitStep(Model):
    emit: Annotated[Emit, _short("kind")]


class SetStep(Model):
    """Assign: `{entity.colour: "'red'", variables.count: variables.count + 1, resources.b.capacity: 2}` (by expressions)."""

    set: dict[Annotated[str, Field(max_length=400)], Json] = Field(min_length=1, max_length=100)


class WaitForStep(Model):
    wait_for: Annotated[WaitFor, _short("when")]


STEPS = frozenset(
    {"seize", "process", "delay", "release", "put", "get", "branch", "go", "emit", "set", "wait_for", "wait_any", "spawn"}
    | {"signal", "interrupt", "loop", "retry", "fail", "batch", "split", "join", "assemble", "call"}
)
RESERVED_TARGETS = frozenset({"next", "end"})

AnyStep = (
    Annotated[SeizeStep, Tag("seize")]
    | Annotated[ProcessStep, Tag("process")]
    | Annotated[DelayStep, Tag("delay")]
    | Annotated[ReleaseStep, Tag("release")]
    | Annotated[PutStep, Tag("put")]
    | Annotated[GetStep, Tag("get")]
    | Annotated[BranchStep, Tag("branch")]
    | Annotated[GoStep, Tag("go")]
    | Annotated[EmitStep, Tag("emit")]
    | Annotated[SetStep, Tag("set")]
    | Annotated[WaitForStep, Tag("wait_for")]
    | Annotated[WaitAnyStep, Tag("wait_any")]
    | Annotated[CallStep, Tag("call")]
    | Annotated[SpawnStep, Tag("spawn")]
    | Annotated[SignalStep, Tag("signal")]
    | Annotated[InterruptStep, Tag("interrupt")]
    | Annotated[LoopStep, Tag("loop")]
    | Annotated[RetryStep, Tag("retry")]
    | Annotated[FailStep, Tag("fail")]
    | Annotated[BatchStep, Tag("batch")]
    | Annotated[SplitStep, Tag("split")]
    | Annotated[JoinStep, Tag("join")]
    | Annotated[AssembleStep, Tag("assemble")]
)


class _Taken(dict[str, Any]):
    """A step's mapping, taken apart into label and action."""


class Step(Model):
    """One step with its optional label; written and read as a one-key mapping."""

    label: Name | None = None
    action: Annotated[
        AnyStep,
        Discriminator(
            only_key(STEPS),
            custom_error_type="unknown_step",
            custom_error_message=f"a step is a mapping with one key of: {', '.join(sorted(STEPS))}; or a label over one",
        ),
    ]

    @property
    def verb(self) -> str:
        return next(iter(type(self.action).model_fields))

    @property
    def body(self) -> Any:
        return getattr(self.action, self.verb)

    @model_validator(mode="before")
    @classmethod
    def _from_mapping(cls, value: Any) -> Any:
        if isinstance(value, _Taken):  # a class that refers to itself may be asked twice
            return value
        if isinstance(value, dict) and len(value) == 1:
            [(key, inner)] = value.items()
            if key not in STEPS and isinstance(inner, dict) and len(inner) == 1:
                if key in RESERVED_TARGETS:
                    raise PydanticCustomError("reserved_label", "`{label}` is a reserved word", {"label": key})
                return _Taken(label=key, action=inner)
        return value if isinstance(value, cls) else _Taken(label=None, action=value)

    @model_serializer(mode="plain")
    def _to_mapping(self) -> dict[str, Any]:
        action = self.action.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return action if self.label is None else {self.label: action}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core_schema))
        action = schema["properties"]["action"] if "properties" in schema else schema
        labelled = {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": {"not": {"enum": sorted(STEPS)}},
            "additionalProperties": action,
        }
        schema.clear()
        schema.update({"title": "Step", "description": cls.__doc__, "anyOf": [action, labelled]})
        return schema


for _owner in (Arm, Loop, Retry, BranchStep, LoopStep, RetryStep, Step):
    _owner.model_rebuild()

Flow = Annotated[list[Step], Field(max_length=STEPS_MAX)]

Discipline = Literal["priority", "fifo", "lifo", "preemptive"]
