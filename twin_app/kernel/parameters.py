"""The live parameters of a running twin: read, and changed all together or not at all."""

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from models.blueprint import CAPACITY_MAX, Blueprint
from models.errors import Rejected
from models.parameters import Declared, declared
from models.sharing import shared
from twin_app.kernel.emission import Value
from twin_app.kernel.entity import Entity
from twin_app.kernel.live import (
    ContainerOwner,
    Fields,
    MachineOwner,
    Owner,
    QuestionOwner,
    ResourceOwner,
    SamplerOwner,
    StoreOwner,
    VariablesOwner,
)

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

_TYPES = {"int": int, "float": float, "bool": bool, "str": str}


class ParameterBoard:
    """Paths to their owners in this twin."""

    def __init__(self, twin: "Twin") -> None:
        self._twin = twin
        self._declared: dict[str, Declared] = shared(declared, twin.blueprint)
        self._owners = _owners(twin)
        self._slots: dict[str, tuple[Owner, str, str]] = {}
        """Path -> its owner, the owner's name and that of the owner's field."""
        for path in self._declared:
            prefix, _, field = path.rpartition(".")
            self._slots[path] = (self._owners[prefix], prefix, field)

    def read(self, path: str) -> Value:
        """Raises Rejected (`unknown-path`)."""
        slot = self._slots.get(path)
        if slot is None:
            raise Rejected("unknown-path", f"there is no parameter `{path}`", path=path)
        return slot[0].read(slot[2])

    def all(self) -> dict[str, Value]:
        return {path: owner.read(field) for path, (owner, _, field) in self._slots.items()}

    def change(self, changes: Sequence[tuple[str, Value]], entity: Entity | None) -> None:
        """Check all, take all, tell all, and only then let them have consequences. Raises Rejected with nothing changed."""
        if len(changes) == 1:
            self._change_one(*changes[0], entity)
            return
        cast = [(path, self._cast(path, value)) for path, value in changes]
        grouped: dict[str, Fields] = {}
        for path, value in cast:
            _, prefix, field = self._slots[path]
            grouped.setdefault(prefix, {})[field] = value
        plans = {prefix: self._plan(self._owners[prefix], prefix, fields) for prefix, fields in grouped.items()}
        before = [(path, self.read(path), value) for path, value in cast]
        for prefix, fields in grouped.items():
            self._owners[prefix].take(fields, plans[prefix])
        self._tell(before, grouped, entity)

    def _change_one(self, path: str, value: Value, entity: Entity | None) -> None:
        """The same for the most frequent case: what groups and orders several changes has nothing to do."""
        twin, value = self._twin, self._cast(path, value)
        owner, prefix, field = self._slots[path]
        fields = {field: value}
        plan = self._plan(owner, prefix, fields)
        old = owner.read(field)
        owner.take(fields, plan)
        seq = None
        if twin.events:
            cause = entity.last if entity is not None else None
            seq = twin.emit("parameter-changed", None, cause, {"path": path, "old": old, "new": value})
        owner.follow(fields, seq)
        if old != value or type(old) is not type(value):
            twin.waiting.notify(path, seq)

    def _plan(self, owner: Owner, prefix: str, fields: Fields) -> Any:
        """What the owner needs to take the fields, checked together. Raises Rejected."""
        try:
            return owner.check(fields)
        except Rejected as rejected:
            path = f"{prefix}.{rejected.path}"
            raise Rejected(rejected.code, f"`{path}`: {rejected.message}", path=path, value=rejected.value) from None

    def _tell(self, before: list[tuple[str, Value, Value]], grouped: dict[str, Fields], entity: Entity | None) -> None:
        """First all events, then the consequences: lines served, gaps drawn anew, those who wait for a change woken."""
        twin = self._twin
        cause = entity.last if entity is not None else None
        seqs: dict[str, int | None] = {}
        for path, old, new in before:
            payload = {"path": path, "old": old, "new": new}
            seqs[path] = twin.emit("parameter-changed", None, cause, payload) if twin.events else None
        for prefix, fields in grouped.items():
            self._owners[prefix].follow(fields, seqs[f"{prefix}.{next(iter(fields))}"])
        for path, old, new in before:
            if old != new or type(old) is not type(new):
                twin.waiting.notify(path, seqs[path])

    def _cast(self, path: str, value: Value) -> Value:
        spec = self._declared.get(path)
        if spec is None:
            raise Rejected("unknown-path", f"there is no parameter `{path}`", path=path, value=value)
        kind = type(value)
        if spec.kind == "float" and kind is int and abs(value) < 1e300:
            value = float(value)
        elif spec.kind == "int" and kind is float and isfinite(value) and value == int(value):
            value = int(value)
        right = _TYPES.get(spec.kind)
        if right is not None and type(value) is not right:
            raise Rejected("wrong-type", f"`{path}` is {spec.kind}, not {value!r}", path=path, value=value)
        if type(value) in (int, float):
            if type(value) is float and not isfinite(value):
                raise Rejected("not-finite", f"`{path}` cannot be {value}", path=path, value=value)
            # The upper bound of a capacity is the live `max_capacity`: its owner looks at them together.
            high = CAPACITY_MAX if path.startswith("resources.") and spec.kind == "int" else spec.high
            if (spec.low is not None and value < spec.low) or (high is not None and value > high):
                raise Rejected("out-of-bounds", f"`{path}` lies in {spec.low:g}..{high:g}, not {value!r}", path=path, value=value)
        return value

    def unfit(self, values: Mapping[str, Value], checked: Collection[str]) -> list[Rejected]:
        """Why these values cannot stand in this twin: each of the paths to be `checked` by itself, and all of one owner together
        (but for levels: a stock may hold more than a capacity that was lowered)."""
        faults: list[Rejected] = []
        grouped: dict[str, Fields] = {}
        for path, value in values.items():
            _, prefix, field = self._slots[path]
            try:
                kept = self._cast(path, value) if path in checked else value
            except Rejected as rejected:
                faults.append(rejected)
                continue
            if not path.startswith("containers."):
                grouped.setdefault(prefix, {})[field] = kept
        for prefix, fields in grouped.items():
            if any(f"{prefix}.{field}" in checked for field in fields):
                try:
                    self._plan(self._owners[prefix], prefix, fields)
                except Rejected as rejected:
                    faults.append(rejected)
        return faults

    # -- as data
    def restore(self, data: dict[str, Value]) -> None:
        """Put back all values. Those for which the snapshot has none keep the blueprint's."""
        grouped: dict[str, Fields] = {}
        for path, value in data.items():
            _, prefix, field = self._slots[path]
            grouped.setdefault(prefix, {})[field] = value
        for prefix, fields in grouped.items():
            self._owners[prefix].put_back(fields)


def ask_anew(twin: "Twin", blueprint: Blueprint) -> None:
    """Give a twin a blueprint that differs in its questions alone. What is in progress, and all other values, stay."""
    twin.blueprint = blueprint
    twin.parameter_board = ParameterBoard(twin)


def _owners(twin: "Twin") -> dict[str, Owner]:
    """Owners by the part of the path before the last dot."""
    owners: dict[str, Owner] = {"variables": VariablesOwner(twin)}
    for name, resource in twin.resources.items():
        owners[f"resources.{name}"] = ResourceOwner(resource)
        for outage in resource.outages:
            for key, sampler, redraw in outage.live():
                owners[f"resources.{name}.{key}"] = SamplerOwner(sampler, redraw)
    for name, container in twin.containers.items():
        owners[f"containers.{name}"] = ContainerOwner(container)
    for name, store in twin.stores.items():
        owners[f"stores.{name}"] = StoreOwner(store)
    for name, service in twin.services.items():
        owners[f"services.{name}"] = SamplerOwner(service, None)
    for name, arrival in twin.arrivals.items():
        if arrival.interarrival is not None:
            owners[f"arrivals.{name}"] = SamplerOwner(arrival.interarrival, arrival.interarrival_changed)
    for name in twin.machine_states:
        owners[f"machines.{name}"] = MachineOwner(twin, name)
    for name, question in twin.blueprint.questions.items():
        owners[f"questions.{name}"] = QuestionOwner(question)
    return owners
