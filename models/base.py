"""What all contracts share: strict, closed, immutable models, names, and unions chosen by their one key."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, StringConstraints, Tag

NAME_LENGTH_MAX = 100
EXPRESSION_LENGTH_MAX = 1000

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$", max_length=NAME_LENGTH_MAX)]
"""A name inside a blueprint. No dot: paths are separated by dots."""

TwinName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=NAME_LENGTH_MAX)]

EventKind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=NAME_LENGTH_MAX)]
"""An event kind: kebab-case."""

Expression = Annotated[str, StringConstraints(min_length=1, max_length=EXPRESSION_LENGTH_MAX)]
"""Text of an expression (models/expressions.py says what it may hold)."""

NUMBER_OR_EXPRESSION = Discriminator(
    lambda value: "expression" if isinstance(value, str) else "number",
)
"""Tells a number (tag `number`) from a text (tag `expression`), so that a fault is told once, of the one that was meant."""

Number = int | float
Quantity = Annotated[Annotated[int | float, Tag("number")] | Annotated[Expression, Tag("expression")], NUMBER_OR_EXPRESSION]
"""A number, or an expression that gives one."""

Duration = Annotated[float, Field(ge=0, le=1e12)]
"""A length of simulation time, in the blueprint's time unit."""

Json = JsonValue


class Model(BaseModel):
    """Base of all contracts: nothing unknown is accepted, nothing is converted, nothing changes afterwards."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
    )


def only_key(keys: frozenset[str]) -> Callable[[Any], str | None]:
    """A discriminator for one-key mappings: `{normal: {...}}` is told by its key. Works on models on their way out, too."""

    def discriminate(value: Any) -> str | None:
        if isinstance(value, dict):
            found = [key for key in value if key in keys]
            return found[0] if len(found) == 1 else None
        for key in type(value).model_fields if isinstance(value, BaseModel) else ():
            if key in keys:
                return key
        return None

    return discriminate
