"""What is measured for a standing question where nobody reports a change: utilisation, throughput, entities, variables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from twin_app.kernel.resource import Resource

if TYPE_CHECKING:
    from twin_app.forecast.fork import Fork

LOOKS = 24
"""At what has a value at each instant and reports no change: equally spaced in the question's window."""


class Gauge(NamedTuple):
    """What measures a quantity that nobody reports, and when to look. `at_once`: it has a value now, too."""

    measure: Callable[[], float]
    looks: list[float]
    at_once: bool


def gauge(twin: Fork, quantity: str, within: float) -> Gauge:
    """Of a question with this window, whatever the forecast's horizon. What is a mean is one of the whole window."""
    section, _, rest = quantity.partition(".")
    end = twin.now + within
    if section == "resources":
        return Gauge(Utilisation(twin.resources[rest.partition(".")[0]]), [end], False)
    if section == "throughput":
        return Gauge(Throughput(twin), [end], False)
    looks = [twin.now + within * k / LOOKS for k in range(1, LOOKS)] + [end]
    measure = partial(_number, twin, rest) if section == "variables" else partial(getattr, twin, "wip")
    return Gauge(measure, looks, True)


def _number(twin: Fork, name: str) -> float:
    value = twin.variables[name]
    return float(value) if type(value) in (int, float) else float("nan")


class Utilisation:
    """Busy over capacity since the beginning, which holds what works on after it was taken away."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._first = resource.areas()

    def __call__(self) -> float:
        first, last = self._first, self._resource.areas()
        busy, capacity = last[1] - first[1], last[3] - first[3]
        return busy / capacity if capacity > 0 else 0.0


class Throughput:
    """Entities finished per unit of time since the beginning."""

    def __init__(self, twin: Fork) -> None:
        self._twin = twin
        self._then, self._before = twin.now, twin.outcomes["finished"]

    def __call__(self) -> float:
        return float((self._twin.outcomes["finished"] - self._before) / (self._twin.now - self._then))
