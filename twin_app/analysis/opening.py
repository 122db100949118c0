"""Expressions that follow from the blueprint alone: of parameters that nothing in it changes, at the values it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.check import every_step
from models.errors import TwinError
from models.parameters import declared
from twin_app.kernel.expressions import Evaluate, Expression

if TYPE_CHECKING:
    from models.blueprint import Blueprint


class NotKnown(Exception):
    """The expression depends on the state, on the entity, or on a parameter that a step or schedule sets."""


class OpeningScope:
    """Reads names as the blueprint's first values; raises NotKnown for every other."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._values = {path: parameter.value for path, parameter in declared(blueprint).items()}
        self.moving = _moving(blueprint)

    def read(self, parts: tuple[str, ...]) -> Evaluate:
        path = ".".join(parts)
        if parts[0] == "machines" or path not in self._values or path in self.moving or path.endswith(".level"):
            raise NotKnown(path)
        value = self._values[path]
        return lambda entity: value

    def value(self, text: str) -> Any:
        """What the expression gives. Raises NotKnown."""
        try:
            return Expression(text, self)(None)
        except TwinError as error:
            raise NotKnown(text) from error


def _moving(blueprint: Blueprint) -> frozenset[str]:
    """Paths that the blueprint itself changes."""
    machines = [[*state.entry, *state.exit, *(s for t in state.transitions for s in t.do)] for m in blueprint.machines.values()
                for state in m.states.values()]  # fmt: skip
    steps = every_step([*blueprint.flows.values(), *machines])
    paths = [path for step in steps if step.verb == "set" for path in step.body]
    paths += [path for schedule in blueprint.schedules.values() for _, changes in schedule.changes() for path in changes]
    # A variable that holds a structure may be changed in its parts.
    return frozenset(part for path in paths for part in (path, ".".join(path.split(".")[:2])))
