"""The live parameters that a blueprint declares: every path that can be set, with its type and bounds.

Paths are relative to the twin:

    variables.<name>                              any JSON type, fixed by the first value
    resources.<name>.capacity                     whole, 0..max_capacity
    resources.<name>.max_capacity                 whole, only where the blueprint gives one
    resources.<name>.time_to_failure.<parameter>  number; also repair, maintenance_every, maintenance_duration
    containers.<name>.capacity | level            number, level <= capacity
    stores.<name>.capacity                        whole
    services.<name>.<parameter>                   number; for a constant: services.<name>.constant
    arrivals.<name>.<parameter>                   number, of the interarrival distribution
    machines.<name>.state                         text, one of the machine's states
    questions.<name>.above                        number; also at_least, at_most where the question has one
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from models.distributions import parameters_of
from models.questions import live_fields

if TYPE_CHECKING:
    from models.blueprint import Blueprint

Kind = Literal["int", "float", "bool", "str", "json"]


@dataclass(frozen=True, slots=True)
class Declared:
    """One live parameter as declared. `low` and `high` are inclusive; relations between parameters are checked on change."""

    path: str
    kind: Kind
    value: Any
    low: float | None = None
    high: float | None = None


def declared(blueprint: "Blueprint") -> dict[str, Declared]:
    """Every live parameter by path, in the blueprint's order: variables, resources, stocks, services, arrivals."""
    found: dict[str, Declared] = {}

    def add(path: str, kind: Kind, value: Any, low: float | None = None, high: float | None = None) -> None:
        found[path] = Declared(path, kind, value, low, high)

    for name, value in blueprint.variables.items():
        add(f"variables.{name}", kind_of_value(value), value)
    for name, resource in blueprint.resources.items():
        add(
            f"resources.{name}.capacity",
            "int",
            resource.capacity,
            0,
            resource.max_capacity if resource.max_capacity is not None else 1_000_000,
        )
        if resource.max_capacity is not None:
            add(f"resources.{name}.max_capacity", "int", resource.max_capacity, 0, 1_000_000)
        for prefix, distribution in outages(name, resource):
            for key, value in parameters_of(distribution).items():
                add(f"{prefix}.{key}", "float", float(value), -1e12, 1e12)
    for name, container in blueprint.containers.items():
        add(f"containers.{name}.capacity", "float", float(container.capacity), 0, 1e15)
        add(f"containers.{name}.level", "float", float(container.level), 0, 1e15)
    for name, store in blueprint.stores.items():
        add(f"stores.{name}.capacity", "int", store.capacity, 0, 1_000_000)
    for name, service in blueprint.services.items():
        for key, value in parameters_of(service).items():
            add(f"services.{name}.{key}", "float", float(value), -1e12, 1e12)
    for name, arrival in blueprint.arrivals.items():
        for key, value in parameters_of(arrival.interarrival).items() if arrival.interarrival is not None else ():
            add(f"arrivals.{name}.{key}", "float", float(value), -1e12, 1e12)
    for name, machine in blueprint.machines.items():
        add(f"machines.{name}.state", "str", machine.initial)
    for name, question in blueprint.questions.items():
        for key, (value, low, high) in live_fields(question).items():
            add(f"questions.{name}.{key}", "float", value, low, high)
    return found


def outages(name: str, resource: Any) -> list[tuple[str, Any]]:
    """The distributions of a resource's breakdowns and maintenance, by the path under which their parameters live."""
    found: list[tuple[str, Any]] = []
    if resource.breakdown is not None:
        found.append((f"resources.{name}.time_to_failure", resource.breakdown.time_to_failure))
        if resource.breakdown.repair is not None:
            found.append((f"resources.{name}.repair", resource.breakdown.repair))
    if resource.maintenance is not None:
        found.append((f"resources.{name}.maintenance_every", resource.maintenance.every))
        found.append((f"resources.{name}.maintenance_duration", resource.maintenance.duration))
    return found


def kind_of_value(value: Any) -> Kind:
    """The type of a variable, from its first value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    if isinstance(value, str):
        return "str"
    return "json"
