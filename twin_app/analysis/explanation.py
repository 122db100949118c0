"""A blueprint explained: stations, flows, the bottleneck, the limit, and all that was left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from twin_app.analysis.chain import visits
from twin_app.analysis.moments import Moments
from twin_app.analysis.routes import END, Routes
from twin_app.analysis.stations import Station, stations

if TYPE_CHECKING:
    from models.blueprint import Arrival, Blueprint

HOURS_OF = {"seconds": 3600.0, "minutes": 60.0, "hours": 1.0, "days": 1.0 / 24.0}
"""Time units in an hour."""


class Note(NamedTuple):
    """What is not, or only roughly, taken into account, and where."""

    place: str
    what: str


@dataclass(frozen=True)
class FlowFigures:
    """A flow into which entities come. `visits`: expected ones of each resource, for one entity and those that it spawns; None
    where they never end. `time_mean`: from beginning to end, None if it cannot be said."""

    flow: str
    rate: float
    visits: dict[str, float] | None
    time_mean: float | None


@dataclass(frozen=True)
class Explanation:
    """`limit_rate`: entities per time unit, of all arrivals together in this mix, above which the bottleneck cannot keep up."""

    twin: str
    unit: str
    rate: float
    stations: tuple[Station, ...]
    flows: tuple[FlowFigures, ...]
    bottleneck: str | None
    limit_rate: float | None
    notes: tuple[Note, ...]

    @property
    def per_hour(self) -> float:
        """Time units in an hour."""
        return HOURS_OF[self.unit]

    def as_fields(self) -> dict[str, Any]:
        """For a program."""
        found = asdict(self)
        for station in found["stations"]:
            del station["servers"], station["effective"], station["repair_wait"]
        return {**found, "notes": [note._asdict() for note in self.notes], "sentence": self.sentence()}

    def sentence(self) -> str:
        """The answer in words."""
        said = [self._trouble(station) for station in self.stations if station.growth]
        worst = next((station for station in self.stations if station.resource == self.bottleneck), None)
        if worst is None and any(station.rate for station in self.stations):
            return " ".join(said) or "How long the resources are held is not known from the blueprint alone."
        if worst is None:
            return "Nothing comes to any resource by itself: there is nothing to compute."
        share = f"{worst.utilisation:.0%}" if worst.utilisation is not None else "an unknown share"
        limit = ""
        if self.limit_rate is not None:
            limit = f"; in this mix at most {self.limit_rate * self.per_hour:.4g} entities an hour get through"
            limit += f" ({self.rate * self.per_hour:.4g} come)"
        return " ".join([*said, f"The bottleneck is {worst.resource}, in use {share} of the time that it has{limit}."])

    def _trouble(self, station: Station) -> str:
        grows = f"the queue grows by {station.growth * self.per_hour:.3g}/h"
        if station.state == "closed":
            return f"{station.resource} is closed (capacity 0): {grows}."
        return f"{station.resource} needs {station.needs:.3g} of {station.capacity} units: {grows}."


def explain(blueprint: Blueprint) -> Explanation:
    """What follows from the blueprint alone, in the long run, at its parameters' first values. Raises TwinError `too-large`."""
    routes = Routes(blueprint)
    sources: dict[str, list[Moments]] = {}
    for name, arrival in blueprint.arrivals.items():
        gap = _gap(routes, name, arrival)
        if gap is not None:
            sources.setdefault(arrival.flow, []).append(gap)
    rates: dict[int, float] = {}
    entering: dict[int, tuple[float, float]] = {}
    ways: dict[str, tuple[float, dict[int, float] | None]] = {}
    for flow, gaps in sources.items():
        rate, start = sum(1.0 / gap.mean for gap in gaps), routes.first[flow]
        ways[flow] = rate, (way := visits(routes, start))
        if way is None:
            routes.note(f"flows.{flow}", "its entities never leave: what they do is not taken into account")
            continue
        for index, times in way.items():
            rates[index] = rates.get(index, 0.0) + rate * times
        if start != END:
            before, scv = entering.get(start, (0.0, 0.0))
            mixed = (before * scv + sum(gap.scv / gap.mean for gap in gaps)) / (before + rate)
            entering[start] = before + rate, mixed
    found = stations(blueprint, routes, rates, entering)
    _beyond(blueprint, routes, found)
    busiest = max((s for s in found.values() if s.utilisation), key=lambda s: s.utilisation or 0.0, default=None)
    total = sum(rate for rate, _ in ways.values())
    closed = any(station.state == "closed" for station in found.values())
    return Explanation(
        twin=blueprint.twin,
        unit=blueprint.time.unit,
        rate=total,
        stations=tuple(found.values()),
        flows=tuple(_figures(routes, flow, rate, way, found) for flow, (rate, way) in ways.items()),
        bottleneck=busiest.resource if busiest is not None else None,
        limit_rate=total / busiest.utilisation if busiest is not None and busiest.utilisation and not closed else None,
        notes=tuple(Note(*note) for note in routes.notes),
    )


def _gap(routes: Routes, name: str, arrival: Arrival) -> Moments | None:
    """Moments of the time between two arrivals; None if none come."""
    place = f"arrivals.{name}"
    if arrival.limit is not None:
        routes.note(place, f"it ends after {arrival.limit:,}: the figures are for as long as they come")
    if arrival.trace is not None:
        times = [entry.at for entry in arrival.trace]
        if times[-1] <= times[0]:
            routes.note(place, "a trace within one instant has no rate: not taken into account")
            return None
        routes.note(place, "a trace: the figures are for its average rate, as long as it lasts")
        gaps = [b - a for a, b in pairwise(times)]
        mean = sum(gaps) / len(gaps)
        return Moments(mean, sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert arrival.interarrival is not None
    found = routes.moments(arrival.interarrival, place)
    if found is not None and (found.mean <= 0 or not isfinite(1.0 / found.mean)):
        routes.note(place, "a mean interarrival time that is not above 0: not taken into account")
        return None
    return found


def _beyond(blueprint: Blueprint, routes: Routes, found: dict[str, Station]) -> None:
    """What no formula here knows of."""
    for name in blueprint.schedules:
        routes.note(f"schedules.{name}", "changes over time are not taken into account: parameters are those of the start")
    for name in blueprint.machines:
        routes.note(f"machines.{name}", "state machines are not taken into account")
    for station in found.values():
        if station.growth:
            routes.note(
                f"resources.{station.resource}", "what is behind it gets less than is said there, since it cannot keep up"
            )
    fed = {arrival.flow for arrival in blueprint.arrivals.values()}
    if blueprint.flows and not fed:
        routes.note("arrivals", "nothing comes by itself; what is spawned by commands is not known")


def _figures(routes: Routes, flow: str, rate: float, way: dict[int, float] | None, found: dict[str, Station]) -> FlowFigures:
    if way is None:
        return FlowFigures(flow, rate, None, None)
    counted: dict[str, float] = {}
    time: float | None = 0.0
    for index, times in way.items():
        node = routes.nodes[index]
        if node.births or node.factor != 1.0 or node.time is None:
            time = None
        elif time is not None:
            time += times * node.time.mean
        if node.resource is not None:
            counted[node.resource] = counted.get(node.resource, 0.0) + times
            wait, effective = found[node.resource].wait_mean, found[node.resource].effective
            if wait is None or effective is None:
                time = None
            elif time is not None:
                longer = effective.mean - found[node.resource].service_mean
                time += times * (wait + longer)
    return FlowFigures(flow, rate, counted, time)
