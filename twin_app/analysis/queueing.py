"""Formulas of queueing theory. Times in one unit, rates per that unit; loads in Erlang (units busy on average)."""

from __future__ import annotations

from typing import NamedTuple


class Waiting(NamedTuple):
    """In the long run: the probability that one has to wait, the mean wait, and how many wait on average."""

    probability: float
    wait: float
    queue: float


def erlang_b(servers: int, load: float) -> float:
    """Probability that all servers are busy where nobody waits (Erlang 1917), by the recursion over the servers, which is
    stable for any number (Jagerman, "Some properties of the Erlang loss function", 1974)."""
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


def erlang_c(servers: int, load: float) -> float:
    """Probability of waiting in M/M/c, C = B/(1 - rho·(1 - B)) (Erlang 1917). 1 where the load is not below the servers."""
    if load >= servers:
        return 1.0
    blocked = erlang_b(servers, load)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


def waiting(servers: int, rate: float, mean: float, scv_arrivals: float = 1.0, scv_service: float = 1.0) -> Waiting | None:
    """Mean wait in G/G/c by Allen and Cunneen (Allen, "Probability, statistics and queueing theory", 1990, section 5.2.3):
    (ca² + cs²)/2 times the wait of M/M/c. For one server it is Kingman's formula ("The single server queue in heavy traffic",
    1961). Exact for M/M/c, and for M/G/1 (Pollaczek and Khinchine). None where the load is not below the servers.
    """
    load = rate * mean
    if load >= servers:
        return None
    if load == 0.0:
        return Waiting(0.0, 0.0, 0.0)
    probability = erlang_c(servers, load)
    wait = (scv_arrivals + scv_service) / 2.0 * probability * mean / (servers - load)
    if scv_arrivals + scv_service <= 1e-12:  # everything in step: nobody ever waits
        return Waiting(0.0, 0.0, 0.0)
    return Waiting(probability, wait, rate * wait)


def departures_scv(servers: int, utilisation: float, scv_arrivals: float, scv_service: float) -> float:
    """How irregular departures are (Whitt, "The queueing network analyzer", 1983, equations 38 and 39)."""
    square = min(1.0, utilisation) ** 2
    return 1.0 + (1.0 - square) * (scv_arrivals - 1.0) + square / servers**0.5 * (max(scv_service, 0.2) - 1.0)


def availability(between: float, lasting: float) -> float:
    """Share of time in service, MTTF/(MTTF + MTTR): the long run of a process that alternates (renewal theory)."""
    return between / (between + lasting)


def with_outages(mean: float, scv: float, available: float, repair: float, repair_scv: float) -> tuple[float, float]:
    """Mean and scv of the time that a job takes from one server with its interruptions: t/A, and
    c² + (1 + cr²)·A·(1 - A)·m_r/t (Hopp and Spearman, "Factory physics", 3rd edition, section 8.4.2; exponential failures)."""
    return mean / available, scv + (1.0 + repair_scv) * available * (1.0 - available) * repair / mean if mean else 0.0


def repair_wait(available: float, repair: float, repair_square: float) -> float:
    """Mean rest of a repair that is met on arrival, (1 - A)·E[R²]/(2·E[R]): what failures of an idle server add to the wait
    (Avi-Itzhak and Naor, "Some queuing problems with the service station subject to breakdown", 1963)."""
    return (1.0 - available) * repair_square / (2.0 * repair) if repair else 0.0
