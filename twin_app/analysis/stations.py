"""Each resource as a station of a queueing network: what comes to it, what it can do, who waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from twin_app.analysis import queueing
from twin_app.analysis.chain import held
from twin_app.analysis.moments import Moments
from twin_app.analysis.routes import Routes

if TYPE_CHECKING:
    from models.blueprint import Blueprint

ROUNDS_MAX = 200
"""Of the iteration for the regularity of the streams between stations."""

State = Literal["stable", "overloaded", "closed", "idle", "unknown"]


@dataclass
class Station:
    """Times in the blueprint's unit. `load`: units in use on average if all that comes is served; `needs`: units for that,
    outages allowed for; `utilisation`: needs over capacity; `growth`: of the queue, entities per time unit. None: not known."""

    resource: str
    capacity: int
    rate: float = 0.0
    service_mean: float = 0.0
    service_scv: float = 0.0
    arrivals_scv: float = 1.0
    availability: float = 1.0
    load: float = 0.0
    needs: float = 0.0
    utilisation: float | None = None
    state: State = "idle"
    waiting_probability: float | None = None
    wait_mean: float | None = None
    queue_mean: float | None = None
    growth: float = 0.0
    servers: int = field(default=0, repr=False)
    repair_wait: float = field(default=0.0, repr=False)
    effective: Moments | None = field(default=None, repr=False)
    """Of the time that a job takes from one server, with the outages in it."""


def stations(
    blueprint: Blueprint, routes: Routes, rates: dict[int, float], entering: dict[int, tuple[float, float]]
) -> dict[str, Station]:
    """`rates`: of visits to each node; `entering`: from outside, the rate and its squared coefficient of variation."""
    visited: dict[str, dict[int, float]] = {name: {} for name in blueprint.resources}
    for index, rate in rates.items():
        resource = routes.nodes[index].resource
        if resource is not None:
            visited[resource][index] = rate
    found = {name: _station(blueprint, routes, name, own) for name, own in visited.items()}
    _regularity(routes, rates, entering, {name: (found[name], list(own)) for name, own in visited.items() if own})
    for station in found.values():
        _judge(station)
    return found


def _station(blueprint: Blueprint, routes: Routes, name: str, rates: dict[int, float]) -> Station:
    model = blueprint.resources[name]
    place = f"resources.{name}"
    station = Station(name, model.capacity, availability=1.0)
    jobs = []
    for index, rate in rates.items():
        node = routes.nodes[index]
        time = held(routes, index) if node.verb == "seize" else node.time
        if node.verb == "seize":
            routes.note(node.place, "waiting for something else while the unit is held is not taken into account")
        if time is None:
            station.state = "unknown"
            routes.note(place, "a time for which it is held is not known: its load is at least what is said")
        jobs.append((rate, time or Moments(0.0, 0.0), node.units or 1.0))
    station.rate = sum(rate for rate, _, _ in jobs)
    if not station.rate:
        return station
    mean = sum(rate * time.mean for rate, time, _ in jobs) / station.rate
    square = sum(rate * time.square for rate, time, _ in jobs) / station.rate
    service = Moments(mean, max(0.0, square - mean * mean))
    station.service_mean, station.service_scv = service.mean, service.scv
    station.load = sum(rate * time.mean * units for rate, time, units in jobs)
    asked = {units for _, _, units in jobs}
    if len(asked) > 1:
        routes.note(place, "entities that take different numbers of units: only the load is computed, no waits")
    station.servers = int(model.capacity // max(1.0, next(iter(asked)))) if len(asked) == 1 else 0
    _outages(blueprint, routes, station, service)
    _discipline(blueprint, routes, name, rates)
    return station


def _outages(blueprint: Blueprint, routes: Routes, station: Station, service: Moments) -> None:
    """Breakdowns and maintenance lengthen the time that a job takes."""
    model = blueprint.resources[station.resource]
    place = f"resources.{station.resource}"
    mean, scv = service.mean, service.scv
    kinds = []
    if model.breakdown is not None:
        kinds.append(("breakdown", model.breakdown.time_to_failure, model.breakdown.repair))
    if model.maintenance is not None:
        kinds.append(("maintenance", model.maintenance.every, model.maintenance.duration))
    for kind, between, lasting in kinds:
        up = routes.moments(between, f"{place}.{kind}")
        down = routes.moments(lasting, f"{place}.{kind}") if lasting is not None else None
        if up is None or down is None or not up.mean + down.mean:
            routes.note(f"{place}.{kind}", "not taken into account: how long it lasts is not known from the blueprint alone")
            continue
        available = queueing.availability(up.mean, down.mean)
        if not available:
            continue
        station.availability *= available
        station.repair_wait += queueing.repair_wait(available, down.mean, down.square)
        mean, scv = queueing.with_outages(mean, scv, available, down.mean, down.scv)
        what = "waits are rough: the formula is for one unit" if station.capacity > 1 else "waits are approximate"
        routes.note(f"{place}.{kind}", f"taken into account as availability {available:.3f}; {what} with exponential failures")
    station.effective = Moments(mean, scv * mean * mean)
    station.needs = station.load / station.availability


def _discipline(blueprint: Blueprint, routes: Routes, name: str, rates: dict[int, float]) -> None:
    model = blueprint.resources[name]
    ranked = any(routes.nodes[index].body.priority not in (0, 0.0) for index in rates)
    if model.discipline == "preemptive":
        routes.note(f"resources.{name}", "preemption is not taken into account: waits are those of first come, first served")
    elif ranked and model.discipline == "priority":
        routes.note(f"resources.{name}", "the wait is the mean over all priorities; one class may wait much longer")
    if model.queue_limit is not None:
        routes.note(f"resources.{name}", "its queue's limit is not taken into account")


def _regularity(
    routes: Routes, rates: dict[int, float], entering: dict[int, tuple[float, float]], found: dict[str, tuple[Station, list[int]]]
) -> None:
    """Squared coefficients of variation of the streams between stations.

    Departures by Whitt's QNA (1983); a stream that splits at random with share p has p·c² + 1 - p; one that is put together the
    mean of its parts, weighted by rate. Streams are taken as independent of one another. Iterated until nothing moves.
    """
    into: dict[int, list[tuple[int, float]]] = {index: [] for index in rates}
    for index in rates:
        for target, share in routes.nodes[index].leads().items():
            if target in into:
                into[target].append((index, share))
    coming = dict.fromkeys(rates, 1.0)
    for _ in range(ROUNDS_MAX):
        leaving = {}
        for station, own in found.values():
            if station.rate:
                station.arrivals_scv = sum(rates[index] * coming[index] for index in own) / station.rate
            if station.rate and station.servers and station.effective is not None:
                busy = station.rate * station.effective.mean / station.servers
                out = queueing.departures_scv(station.servers, busy, station.arrivals_scv, station.effective.scv)
                leaving.update({index: 1.0 + rates[index] / station.rate * (out - 1.0) for index in own})
        moved = 0.0
        for index, sources in into.items():
            rate, scv = entering.get(index, (0.0, 0.0))
            total = rate * scv
            for source, share in sources:
                stream = leaving.get(source, coming[source])
                kept = min(1.0, share)
                total += rates[source] * share * (1.0 + kept * (stream - 1.0))
            value = max(0.0, total / rates[index])
            moved = max(moved, abs(value - coming[index]))
            coming[index] = value
        if moved < 1e-9:
            return


def _judge(station: Station) -> None:
    if not station.rate:
        return
    unknown = station.state == "unknown"
    if station.capacity == 0:
        station.state, station.growth = "closed", station.rate
        return
    station.utilisation = station.needs / station.capacity
    if station.effective is None:
        return
    per_server = station.servers > 0
    share = station.rate * station.effective.mean / station.servers if per_server else station.utilisation
    if share >= 1.0:
        station.state, station.growth = "overloaded", station.rate * (1.0 - 1.0 / share)
    elif not unknown:
        station.state = "stable"
        if station.servers:
            waiting = queueing.waiting(
                station.servers, station.rate, station.effective.mean, station.arrivals_scv, station.effective.scv
            )
            if waiting is not None:
                down = 1.0 - station.availability
                station.waiting_probability = waiting.probability + (1.0 - waiting.probability) * down
                station.wait_mean = waiting.wait + station.repair_wait
                station.queue_mean = station.rate * station.wait_mean
