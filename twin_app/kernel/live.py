"""What stands behind the live parameters: each owner reads its fields, checks changes of several together, and takes them.

The board (parameters.py) sees to it that everything is checked before anything is taken, and told before it has consequences.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from models.errors import Rejected
from models.questions import StandingQuestion, live_fields
from twin_app.kernel.emission import Value
from twin_app.kernel.resource import Resource
from twin_app.kernel.sampling import Sampler
from twin_app.kernel.stock import Container, Store

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

Fields = dict[str, Value]


class Owner(Protocol):
    """Owns some live parameters, by field name."""

    def read(self, field: str) -> Value: ...

    def check(self, fields: Fields) -> Any:
        """Relations between fields, as they will be. Gives what `take` needs. Raises Rejected (its path is the field's)."""

    def take(self, fields: Fields, plan: Any) -> None:
        """Become so. No consequences yet."""

    def follow(self, fields: Fields, seq: int | None) -> None:
        """The consequences; `seq` is the event that told the change."""

    def put_back(self, fields: Fields) -> None:
        """Become so when restored from a snapshot: no checks, no bookkeeping of changes."""


class VariablesOwner:
    """All variables. Their consequences are those who wait for them."""

    def __init__(self, twin: "Twin") -> None:
        self._variables = twin.variables

    def read(self, field: str) -> Value:
        return self._variables[field]

    def check(self, fields: Fields) -> None:
        return None

    def take(self, fields: Fields, plan: None) -> None:
        self._variables.update(fields)

    def follow(self, fields: Fields, seq: int | None) -> None:
        return None

    def put_back(self, fields: Fields) -> None:
        self._variables.update(fields)


class ResourceOwner:
    """Capacity and its bound."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def read(self, field: str) -> Value:
        return getattr(self._resource, field)

    def check(self, fields: Fields) -> None:
        capacity = fields.get("capacity", self._resource.capacity)
        bound = fields.get("max_capacity", self._resource.max_capacity)
        if bound is not None and capacity > bound:
            raise Rejected(
                "out-of-bounds", f"a capacity of {capacity} is above the bound of {bound}", path="capacity", value=capacity
            )

    def take(self, fields: Fields, plan: None) -> None:
        if "max_capacity" in fields:
            self._resource.max_capacity = fields["max_capacity"]
        if "capacity" in fields:
            self._resource.set_capacity(fields["capacity"])

    def follow(self, fields: Fields, seq: int | None) -> None:
        if "capacity" in fields:
            self._resource.grant(seq)
            if self._resource.on_change is not None:
                self._resource.on_change()

    def put_back(self, fields: Fields) -> None:
        self._resource.max_capacity = fields.get("max_capacity")
        self._resource.capacity = fields["capacity"]
        self._resource.weigh()


class ContainerOwner:
    """Capacity and level of a container. Contents stay when the capacity falls below them; a level that is set must fit."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def read(self, field: str) -> Value:
        return getattr(self._container, field)

    def check(self, fields: Fields) -> None:
        capacity = fields.get("capacity", self._container.capacity)
        if "level" in fields and fields["level"] > capacity:
            level = fields["level"]
            raise Rejected("out-of-bounds", f"a level of {level} is above the capacity of {capacity}", path="level", value=level)

    def take(self, fields: Fields, plan: None) -> None:
        if "capacity" in fields:
            self._container.capacity = fields["capacity"]
        if "level" in fields:
            self._container.set_level(fields["level"])

    def follow(self, fields: Fields, seq: int | None) -> None:
        self._container.serve(seq)

    def put_back(self, fields: Fields) -> None:
        self._container.capacity = fields["capacity"]


class StoreOwner:
    """Capacity of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, field: str) -> Value:
        return self._store.capacity

    def check(self, fields: Fields) -> None:
        return None

    def take(self, fields: Fields, plan: None) -> None:
        self._store.capacity = fields["capacity"]

    def follow(self, fields: Fields, seq: int | None) -> None:
        self._store.serve(seq)

    def put_back(self, fields: Fields) -> None:
        self._store.capacity = fields["capacity"]


class MachineOwner:
    """The state of a machine. Setting it makes the machine leave its state and enter that one."""

    def __init__(self, twin: "Twin", name: str) -> None:
        self._states = twin.machine_states
        self._name = name
        self._known = twin.blueprint.machines[name].states

    def read(self, field: str) -> Value:
        return self._states[self._name]

    def check(self, fields: Fields) -> None:
        if fields["state"] not in self._known:
            known = ", ".join(list(self._known)[:20])
            raise Rejected("out-of-bounds", f"there is no such state; it has {known}", path="state", value=fields["state"])

    def take(self, fields: Fields, plan: None) -> None:
        self._states[self._name] = fields["state"]

    def follow(self, fields: Fields, seq: int | None) -> None:
        return None

    def put_back(self, fields: Fields) -> None:
        self._states[self._name] = fields["state"]


class QuestionOwner:
    """The probability and the level of a standing question. Nothing in the twin depends on them: forecasts ask."""

    def __init__(self, question: StandingQuestion) -> None:
        self._fields: Fields = {field: value for field, (value, _, _) in live_fields(question).items()}

    def read(self, field: str) -> Value:
        return self._fields[field]

    def check(self, fields: Fields) -> None:
        return None

    def take(self, fields: Fields, plan: None) -> None:
        self._fields.update(fields)

    def follow(self, fields: Fields, seq: int | None) -> None:
        return None

    def put_back(self, fields: Fields) -> None:
        self._fields.update(fields)


class SamplerOwner:
    """The parameters of a distribution. `redraw` is called when they have changed."""

    def __init__(self, sampler: Sampler, redraw: Callable[[], None] | None) -> None:
        self._sampler = sampler
        self._redraw = redraw

    def read(self, field: str) -> Value:
        return self._sampler.parameters()[field]

    def check(self, fields: Fields) -> Any:
        try:
            return self._sampler.changed(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = str(first["loc"][-1]) if first["loc"] and first["loc"][-1] in fields else next(iter(fields))
            message = first["msg"].removeprefix("Value error, ")
            raise Rejected("out-of-bounds", message[:1].lower() + message[1:], path=field, value=fields[field]) from None

    def take(self, fields: Fields, plan: Any) -> None:
        self._sampler.take(plan)

    def follow(self, fields: Fields, seq: int | None) -> None:
        if self._redraw is not None:
            self._redraw()

    def put_back(self, fields: Fields) -> None:
        if self._sampler.parameters() != fields:
            self._sampler.take(self._sampler.changed(fields))
