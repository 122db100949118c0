"""SCENARIOS Q1: the kernel's figures against the formulas, with fixed seeds and 99 % confidence intervals over replications;
and Little's law on each run's own events and figures."""

import math
from statistics import fmean, stdev

import pytest

from models.blueprint import Blueprint
from tests.kernel.three_ways import Play, blueprint, three_ways
from twin_app.kernel import Twin

REPLICATIONS = 10
T_99 = 3.250
"""Student's t, 9 degrees of freedom, two-sided 99 %."""
CUSTOMERS = 8_000


def queue(servers: int, service: dict, rate: float, seed: int) -> Blueprint:
    return Blueprint.model_validate(
        {
            "twin": "Q",
            "seed": seed,
            "resources": {"s": {"capacity": servers}},
            "arrivals": {"a": {"interarrival": {"exponential": {"rate": rate}}, "flow": "f"}},
            "flows": {"f": [{"process": {"resource": "s", "for": service}}]},
            "statistics": {"warm_up": 500 / rate},
        }
    )


def figures(models: list[Blueprint], until: float) -> list[dict]:
    found = []
    for model in models:
        twin = Twin(model, events=False)
        twin.advance(until)
        found.append(twin.statistics())
    return found


def covers(values: list[float], expected: float) -> None:
    half = T_99 * stdev(values) / math.sqrt(len(values))
    assert abs(fmean(values) - expected) <= half, f"{fmean(values):.4f} ± {half:.4f} does not cover {expected:.4f}"
    assert half < 0.25 * expected, "the interval is too wide to say anything"


def erlang_c(servers: int, load: float) -> float:
    """Probability of waiting (Erlang, 1917)."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**k / math.factorial(k) for k in range(servers)) + last)


@pytest.mark.parametrize(
    ("name", "servers", "service", "rate", "rho", "wait"),
    [
        ("M/M/1", 1, {"exponential": {"mean": 1.0}}, 0.7, 0.7, 0.7 / 0.3),
        ("M/M/3", 3, {"exponential": {"mean": 1.0}}, 2.1, 0.7, erlang_c(3, 2.1) / (3 - 2.1)),
        ("M/D/1", 1, {"constant": 1.0}, 0.7, 0.7, 0.7 / (2 * 0.3)),
        # Pollaczek-Khinchine: Wq = rate * E[S²] / (2 * (1 - rho)), here with four Erlang stages: E[S²] = 1 + 1/4.
        ("M/E4/1", 1, {"erlang": {"stages": 4, "mean": 1.0}}, 0.7, 0.7, 0.7 * 1.25 / (2 * 0.3)),
    ],
)
def test_q1_single_station(name: str, servers: int, service: dict, rate: float, rho: float, wait: float):
    models = [queue(servers, service, rate, seed) for seed in range(REPLICATIONS)]
    station = [found["resources"]["s"] for found in figures(models, CUSTOMERS / rate)]
    covers([each["utilisation"] for each in station], rho)
    covers([each["wait_mean"] for each in station], wait)
    covers([each["queue_mean"] for each in station], rate * wait)


def test_q1_jackson_network():
    """Two stations; a quarter of those who leave the second come back to the first. Each behaves as M/M/1 by itself."""
    models = [
        Blueprint.model_validate(
            {
                "twin": "J",
                "seed": seed,
                "resources": {"one": {}, "two": {}},
                "arrivals": {"a": {"interarrival": {"exponential": {"rate": 0.45}}, "flow": "f"}},
                "flows": {
                    "f": [
                        {"again": {"process": {"resource": "one", "for": {"exponential": {"mean": 1.0}}}}},
                        {"process": {"resource": "two", "for": {"exponential": {"mean": 1.2}}}},
                        {"branch": [{"weight": 0.25, "go": "again"}, {"go": "end"}]},
                    ]
                },
                "statistics": {"warm_up": 1_000},
            }
        )
        for seed in range(REPLICATIONS)
    ]
    found = figures(models, CUSTOMERS / 0.45)
    through = 0.45 / 0.75
    for name, mean in (("one", 1.0), ("two", 1.2)):
        rho = through * mean
        covers([each["resources"][name]["utilisation"] for each in found], rho)
        covers([each["resources"][name]["queue_mean"] for each in found], rho**2 / (1 - rho))
        covers([each["resources"][name]["wait_mean"] for each in found], rho * mean / (1 - rho))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("servers", "discipline"), [(1, "fifo"), (3, "lifo"), (2, "priority")])
def test_littles_law_holds_exactly_on_every_runs_own_figures(seed: int, servers: int, discipline: str):
    """L = lambda W for the line, the servers and the whole, whatever the order of service, until all have left."""
    arrivals = {"a": {"interarrival": {"exponential": {"rate": 0.8 * servers}}, "flow": "f", "limit": 500}}
    rework = {"branch": [{"weight": 0.2, "go": "again"}, {"go": "end"}]}
    process = {"resource": "s", "for": {"gamma": {"shape": 0.7, "scale": 1.0}}, "priority": "entity.rank"}
    model = blueprint(
        seed=seed,
        resources={"s": {"capacity": servers, "discipline": discipline}},
        arrivals={"a": {**arrivals["a"], "attributes": {"rank": {"uniform": {"low": 0, "high": 3}}}}},
        flows={"f": [{"again": {"process": process}}, rework]},
    )
    twin = Twin(model, events=False)
    twin.advance(math.inf)
    figures = twin.statistics()
    station, flow, elapsed = figures["resources"]["s"], figures["flows"]["f"], figures["now"]
    assert flow["finished"] == 500
    assert station["queue_mean"] * elapsed == pytest.approx(station["started"] * station["wait_mean"], rel=1e-9)
    within = (station["queue_mean"] + station["busy_mean"]) * elapsed
    assert within == pytest.approx(flow["finished"] * flow["time_in_system_mean"], rel=1e-9)
    assert station["utilisation"] == pytest.approx(station["busy_mean"] / servers, rel=1e-12)


def test_littles_law_holds_on_the_runs_own_events():
    """L from the steps of N(t), lambda and W from single entities: three figures from three sources."""
    model = queue(1, {"exponential": {"mean": 1.0}}, 0.8, 3)
    twin = Twin(model)
    twin.advance(2_000.0)
    created: dict[int, float] = {}
    area = times = 0.0
    number, last = 0, 0.0
    for event in twin.drain():
        if event.kind in ("entity-created", "entity-left"):
            area += number * (event.sim_time - last)
            last = event.sim_time
            number += 1 if event.kind == "entity-created" else -1
        if event.kind == "entity-created":
            created[event.entity or 0] = event.sim_time
        elif event.kind == "entity-left":
            times += event.sim_time - created.pop(event.entity or 0)
    area += number * (twin.now - last)
    times += sum(twin.now - at for at in created.values())
    assert area == pytest.approx(times, rel=1e-12)
    assert number == twin.wip


def test_the_figures_agree_with_the_events():
    model = queue(2, {"exponential": {"mean": 2.0}}, 0.9, 5)
    model = Blueprint.model_validate(
        {**model.model_dump(by_alias=True, exclude_defaults=True, mode="json"), "statistics": {"quantiles": True}}
    )
    play: Play = three_ways(
        model, [(40.0, "set", "resources.s.capacity", 1), (60.0, "set", "resources.s.capacity", 3)], until=120.0
    )
    asked: dict[int, float] = {}
    waits, stays = [], []
    busy_area, began, changes = 0.0, {}, []
    for event in play.told:
        number = event.entity or 0
        if event.kind == "entity-queued":
            asked[number] = event.sim_time
        elif event.kind == "entity-started":
            waits.append(event.sim_time - asked[number])
            began[number] = event.sim_time
            changes.append((event.sim_time, +1))
        elif event.kind == "entity-finished":
            busy_area += event.sim_time - began.pop(number)
            changes.append((event.sim_time, -1))
        elif event.kind == "entity-left":
            stays.append(event.payload["time_in_system"])
    busy_area += sum(120.0 - at for at in began.values())
    figures = play.twin.statistics()
    assert figures["resources"]["s"]["wait_mean"] == pytest.approx(fmean(waits))
    assert figures["resources"]["s"]["busy_mean"] == pytest.approx(busy_area / 120)
    busy_at_40 = sum(change for at, change in changes if at < 40)
    assert busy_at_40 == 2  # its second server works on beyond 40: so long it counts
    released = next(at for at, change in changes if at > 40 and change < 0)
    capacity_area = 40 * 2 + 20 * 1 + 60 * 3 + (min(released, 60) - 40)
    assert figures["resources"]["s"]["utilisation"] == pytest.approx(busy_area / capacity_area)
    assert figures["flows"]["f"]["time_in_system_mean"] == pytest.approx(fmean(stays))
    for percent in (50, 90, 95, 99):
        exact = sorted(stays)[percent * (len(stays) - 1) // 100]
        assert figures["flows"]["f"][f"time_in_system_p{percent}"] == pytest.approx(exact, rel=0.01 + 1e-9)


def test_warm_up_forgets_what_was_before():
    model = blueprint(
        resources={"m": {}},
        containers={"t": {"capacity": 10, "level": 4}},
        flows={"f": [{"process": {"resource": "m", "for": 10}}]},
        statistics={"warm_up": 10},
    )
    play = three_ways(model, [(0.0, "spawn", "f"), (5.0, "spawn", "f"), (15.0, "set", "containers.t.level", 8)], until=30.0)
    figures = play.twin.statistics()
    assert figures["since"] == 10
    assert figures["resources"]["m"]["utilisation"] == pytest.approx(0.5)
    assert figures["resources"]["m"]["queue_mean"] == 0
    assert figures["flows"]["f"]["finished"] >= 1
    assert figures["containers"]["t"]["level_mean"] == pytest.approx((5 * 4 + 15 * 8) / 20)
