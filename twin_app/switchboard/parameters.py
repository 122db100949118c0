"""Flattening: every value of a blueprint that may be changed from the outside, as a typed, bounded, addressable path.

Paths are relative to the twin: `resources.lathe.capacity`, `services.milling.mean`, `arrivals.orders.rate`, `variables.mode`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from models.base import Model
from models.blueprint import Blueprint
from models.distributions import kind_of, with_parameters
from models.errors import Rejected
from models.parameters import Declared, declared
from twin_app.switchboard.casting import ParameterType, type_of


@dataclass(frozen=True, slots=True)
class Parameter:
    """One settable path. `low` and `high` are inclusive; `high_path` is another path whose value bounds this one from above.

    `above` is an exclusive lower bound. `value` is the blueprint's; what it is now, the twin knows.
    """

    path: str
    type: ParameterType
    value: Any
    low: float | None = None
    high: float | None = None
    above: float | None = None
    high_path: str | None = None

    def check_bounds(self, value: Any) -> None:
        """Raises Rejected (`out-of-bounds`) if the cast value is outside the parameter's own bounds."""
        if self.low is not None and value < self.low:
            problem = f"{value} is below {self.low:g}"
        elif self.above is not None and value <= self.above:
            problem = f"{value} is not above {self.above:g}"
        elif self.high is not None and value > self.high:
            problem = f"{value} is above {self.high:g}"
        else:
            return
        raise Rejected("out-of-bounds", problem, path=self.path, value=value, remedy=f"send a value {self.bounds()}")

    def bounds(self) -> str:
        """The bounds in words, e.g. `from 0 to 5`."""
        low = f"from {self.low:g}" if self.low is not None else f"above {self.above:g}" if self.above is not None else ""
        high = f"to {self.high:g}" if self.high is not None else f"to {self.high_path}" if self.high_path else ""
        return " ".join(part for part in (low, high) if part) or "of any size"


def flatten(blueprint: Blueprint) -> dict[str, Parameter]:
    """Every settable path of the blueprint, in the order in which it declares them."""
    paths = declared(blueprint)
    return {path: _parameter(blueprint, path, entry, paths) for path, entry in paths.items()}


def distribution_at(blueprint: Blueprint, group: str) -> Any:
    """The distribution whose parameters are below the path `group`, as the blueprint has it; None if it is no distribution's."""
    section, _, name = group.partition(".")
    if section == "services":
        return blueprint.services[name]
    return blueprint.arrivals[name].interarrival if section == "arrivals" else None


def _parameter(blueprint: Blueprint, path: str, entry: Declared, paths: Mapping[str, Declared]) -> Parameter:
    group, _, name = path.rpartition(".")
    if group.startswith("variables"):
        return Parameter(path, type_of(entry.value), entry.value)
    distribution = distribution_at(blueprint, group)
    if distribution is not None:
        low, high, above = _field_bounds(_field(distribution, name))
        return Parameter(path, entry.kind, entry.value, low, high, above)
    bound = f"{group}.max_{name}"
    if bound in paths:
        return Parameter(path, entry.kind, entry.value, entry.low, paths[bound].high, high_path=bound)
    return Parameter(path, entry.kind, entry.value, entry.low, entry.high)


def _field(distribution: Any, name: str) -> FieldInfo:
    """Where the distribution's model declares the parameter."""
    body = getattr(distribution, kind_of(distribution))
    return type(body if isinstance(body, Model) else distribution).model_fields[name]


def _field_bounds(field: FieldInfo) -> tuple[float | None, float | None, float | None]:
    """(low, high, above) from the model's own declaration, so that there is one place where a bound is written."""
    low: Any = None
    high: Any = None
    above: Any = None
    for mark in _marks(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation):
        if isinstance(mark, Ge):
            low = mark.ge
        elif isinstance(mark, Gt):
            above = mark.gt
        elif isinstance(mark, Le):
            high = mark.le
    return low, high, above


def _marks(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        for mark in annotation.__metadata__:
            yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)
    for inner in get_args(annotation):
        if get_origin(inner) is Annotated or get_args(inner):
            yield from _marks(inner)


def check_distribution(path: str, distribution: Any, values: dict[str, float]) -> None:
    """Raises Rejected (`inconsistent`) if the distribution at `path` cannot have these parameter values together."""
    try:
        with_parameters(distribution, values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]["msg"].removeprefix(
            "Value error, "
        )
        shown = ", ".join(f"{name}={value:g}" for name, value in values.items())
        raise Rejected(
            "inconsistent",
            f"{problem.replace('`', '')} ({shown})",
            path=path,
            remedy="change the parameters that belong together in one patch",
        ) from None
