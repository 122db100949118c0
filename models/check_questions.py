"""What standing questions must satisfy beyond their shape: what they ask about exists, and can be foretold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from models.nearest import nearest_path
from models.questions import ANYWHERE, StandingQuestion

if TYPE_CHECKING:
    from models.blueprint import Blueprint

HINTS_MAX = 5_000

Fault = tuple[tuple[str, ...], str, str, str | None]
"""Location, code, message and remedy."""
Nearest = Callable[[str, Iterable[str]], str | None]


def question_faults(
    blueprint: Blueprint, lost: frozenset[str], nearest: Nearest, attributes: Callable[[], set[str]]
) -> Iterator[Fault]:
    """The faults of all questions. `attributes`: those that the blueprint itself gives to entities."""
    for name, question in blueprint.questions.items():
        loc = ("questions", name)
        if question.bottleneck is not None:
            yield from _bottleneck(blueprint, loc, question.bottleneck, lost, nearest)
        elif question.quantity is not None:
            yield from _quantity(blueprint, loc, question.quantity, lost)
        else:
            yield from _late(loc, question, attributes(), lost, nearest)


def quantities(blueprint: Blueprint) -> Iterator[str]:
    """Every quantity that a question may be about."""
    yield from ("wip", "throughput")
    for name in blueprint.resources:
        yield from (f"resources.{name}.queue", f"resources.{name}.utilisation")
    yield from (f"containers.{name}.level" for name in blueprint.containers)
    yield from (f"stores.{name}.level" for name in blueprint.stores)
    yield from (f"variables.{name}" for name, value in blueprint.variables.items() if type(value) in (int, float))


def _bottleneck(
    blueprint: Blueprint, loc: tuple[str, ...], resource: str, lost: frozenset[str], nearest: Nearest
) -> Iterator[Fault]:
    place = (*loc, "bottleneck")
    if resource != ANYWHERE and resource not in blueprint.resources and resource not in lost:
        remedy = nearest(resource, [*islice(blueprint.resources, HINTS_MAX), ANYWHERE])
        yield place, "unknown-resource", f"there is no resource `{resource}`", remedy or f"for all of them write `{ANYWHERE}`"
    if blueprint.watch.bottleneck is None and "watch" not in lost:
        yield place, "no-watch", "nothing says what a bottleneck is", "say it in `watch.bottleneck`"


def _quantity(blueprint: Blueprint, loc: tuple[str, ...], path: str, lost: frozenset[str]) -> Iterator[Fault]:
    if _is_quantity(blueprint, path) or not lost.isdisjoint(path.split(".")):
        return
    near = nearest_path(path, islice(quantities(blueprint), HINTS_MAX))
    remedy = f"did you mean `{near}`?" if near else "for example `wip`, or `resources.<name>.queue`"
    yield (*loc, "quantity"), "unknown-quantity", f"there is no quantity `{path}`", remedy


def _is_quantity(blueprint: Blueprint, path: str) -> bool:
    section, _, rest = path.partition(".")
    name, _, field = rest.partition(".")
    if section == "variables":
        return not field and type(blueprint.variables.get(name)) in (int, float)
    fields: dict[str, Any] = {"resources": ("queue", "utilisation"), "containers": ("level",), "stores": ("level",)}
    if section in fields:
        return name in getattr(blueprint, section) and field in fields[section]
    return path in ("wip", "throughput")


def _late(
    loc: tuple[str, ...], question: StandingQuestion, given: set[str], lost: frozenset[str], nearest: Nearest
) -> Iterator[Fault]:
    """Attributes come with commands as well, so only what looks like a slip of the pen is a fault."""
    assert question.late is not None
    for name in question.late.where:
        if name not in given and name not in lost:
            remedy = nearest(name, sorted(given))
            if remedy is not None:
                yield (*loc, "late", "where", name), "unknown-attribute", f"nothing gives an attribute `{name}`", remedy
