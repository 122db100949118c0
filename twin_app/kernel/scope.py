"""Where the names of an expression lead inside a twin."""

from typing import TYPE_CHECKING, Any

from twin_app.kernel.expressions import Evaluate

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

_RESOURCE_FIELDS: dict[str, Any] = {
    "capacity": lambda resource: resource.capacity,
    "max_capacity": lambda resource: resource.max_capacity,
    "busy": lambda resource: resource.busy,
    "queue": lambda resource: len(resource.queue),
    "free": lambda resource: max(0, resource.usable - resource.busy),
    "down": lambda resource: resource.down > 0,
}
_ENTITY_FIELDS: dict[str, Evaluate] = {
    "id": lambda entity: entity.id,
    "created": lambda entity: entity.created,
    "flow": lambda entity: entity.flow,
}


class TwinScope:
    """Names resolved once, when the expression is compiled."""

    def __init__(self, twin: "Twin") -> None:
        self._twin = twin

    def read(self, parts: tuple[str, ...]) -> Evaluate:
        root, *rest = parts
        twin = self._twin
        if root == "now":
            return lambda entity: twin.now
        if root == "entity":
            first = _ENTITY_FIELDS.get(rest[0]) or _attribute(rest[0])
            return _into(first, rest[1:])
        if root == "variables":
            variables, name = twin.variables, rest[0]
            return _into(lambda entity: variables[name], rest[1:])
        if root == "resources":
            resource, field = twin.resources[rest[0]], _RESOURCE_FIELDS[rest[1]]
            return lambda entity: field(resource)
        if root == "machines":
            states, machine = twin.machine_states, rest[0]
            return lambda entity: states[machine]
        if root == "item":
            return _into(lambda entity: twin.item, rest)
        if root == "containers":
            container, amount = twin.containers[rest[0]], rest[1] == "level"
            return lambda entity: container.level if amount else container.capacity
        if root == "stores":
            store, count = twin.stores[rest[0]], rest[1] == "count"
            return lambda entity: store.level if count else store.capacity
        sampler: Any = twin.services[rest[0]] if root == "services" else twin.arrivals[rest[0]].interarrival
        return lambda entity: sampler.parameters()[rest[1]]


def _attribute(name: str) -> Evaluate:
    def evaluate(entity: Any) -> Any:
        attributes = entity.attributes
        if attributes is None:
            raise KeyError(f"entity.{name}")
        try:
            return attributes[name]
        except KeyError:
            raise KeyError(f"entity.{name}") from None

    return evaluate


def _into(value: Evaluate, keys: list[str]) -> Evaluate:
    """Deeper into a mapping: `variables.recipe.speed`."""
    if not keys:
        return value

    def evaluate(entity: Any) -> Any:
        inner = value(entity)
        for key in keys:
            if not isinstance(inner, dict):
                raise TypeError(f"there is no `{key}` in a value that is no mapping")
            inner = inner[key]
        return inner

    return evaluate
