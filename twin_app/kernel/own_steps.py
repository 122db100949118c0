"""Own Python steps: functions that a package offers under the entry point group `twin_app.steps`, used as `call: {step: name}`.

    def grade(context, thickness):            # [project.entry-points."twin_app.steps"]
        return thickness + context.uniform()  # grade = "my_package.steps:grade"

A step takes no time and must be pure: the same context and arguments give the same value, for that is what replay rests on. It
reads the clock and draws from its own random stream through the context, and gives a JSON value. Whatever it raises fails
the entity, not the twin.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from models.blueprint import Blueprint
from models.check import OWN_STEP_REMEDY, every_step
from models.errors import BlueprintError, EntityFault, TwinError
from models.machines import as_flow
from models.nearest import suggestion
from twin_app.kernel.emission import Value
from twin_app.kernel.entity import Entity
from twin_app.kernel.expressions import Expression, checked
from twin_app.kernel.steps.base import Next, Step, amount

if TYPE_CHECKING:
    from twin_app.kernel.program import Place
    from twin_app.kernel.twin import Twin

GROUP = "twin_app.steps"

_known: dict[str, Callable[..., Value]] = {}


@dataclass(frozen=True, slots=True)
class Context:
    """What an own step may know. `now`: simulation time. `uniform`: the next number of the step's own stream, in (0, 1)."""

    now: float
    entity: int
    created: float
    attributes: Mapping[str, Value]
    variables: Mapping[str, Value]
    uniform: Callable[[], float]


def offer(name: str, function: Callable[..., Value]) -> None:
    """Make a function known under a name without an entry point (local runs, tests)."""
    _known[name] = function


def offered() -> list[str]:
    """The names that can be called here."""
    return sorted({*_known, *(point.name for point in entry_points(group=GROUP))})


def find_all(blueprint: Blueprint) -> None:
    """Load every own step that a blueprint calls. Raises BlueprintError with all that are not to be had."""
    faults: list[TwinError] = []
    flows = [*blueprint.flows.values(), *(as_flow(name, machine) for name, machine in blueprint.machines.items())]
    for name in dict.fromkeys(step.body.step for step in every_step(flows) if step.verb == "call"):
        try:
            find(name)
        except BlueprintError as error:
            faults += error.errors
    if faults:
        raise BlueprintError(faults)


def find(name: str) -> Callable[..., Value]:
    """The function of that name. Raises BlueprintError if nobody offers it, or if it cannot be loaded."""
    if name not in _known:
        for point in entry_points(group=GROUP, name=name):
            try:
                _known[name] = point.load()
            except Exception as error:
                message = f"the own step `{name}` cannot be loaded from `{point.value}`: {type(error).__name__}: {error}"
                raise BlueprintError([TwinError("broken-own-step", message, remedy="mend or reinstall its package")]) from error
            break
        else:
            remedy = suggestion(name, offered()) or OWN_STEP_REMEDY
            raise BlueprintError([TwinError("unknown-own-step", f"there is no own step `{name}`", remedy=remedy)])
    return _known[name]


class Call(Step):
    """Call an own step; its value becomes the attribute `as`."""

    __slots__ = ("_arguments", "_function", "_name", "_step_name", "_stream")

    def __init__(self, twin: "Twin", place: "Place", body: Any) -> None:
        super().__init__(twin, place)
        self._step_name = body.step
        self._name = body.as_
        self._function = find(body.step)
        self._arguments = [(name, amount(twin, value)) for name, value in body.with_.items()]
        self._stream = twin.stream(f"{place.stream}.call")

    def enter(self, entity: Entity) -> Next:
        twin = self.twin
        arguments = {name: value(entity) if isinstance(value, Expression) else value for name, value in self._arguments}
        attributes = MappingProxyType(entity.attributes or {})
        context = Context(twin.now, entity.id, entity.created, attributes, MappingProxyType(twin.variables), self._stream.uniform)
        try:
            value = self._function(context, **arguments)
        except MemoryError:
            raise
        except Exception as error:
            raise EntityFault("own-step-failed", f"`{self._step_name}`: {type(error).__name__}: {error}") from None
        value = checked(value, self._step_name)
        if self._name is not None:
            entity.attributes = {**(entity.attributes or {}), self._name: value}
        return self.next
