"""The same blueprint explained and run: what queueing theory says is what then happens. Seeds are fixed, nothing is timed."""

from __future__ import annotations

import pytest

from models.load import load_blueprint
from twin_app.analysis import explain
from twin_app.kernel.twin import Twin

PLANT = """
twin: Plant
time: {unit: minutes}
seed: 3
resources:
  lathe: {capacity: 2}
  oven: {breakdown: {time_to_failure: {exponential: {mean: 200}}, repair: {exponential: {mean: 20}}}}
  pack: {capacity: 3}
arrivals:
  orders: {interarrival: {exponential: {mean: 5}}, flow: make}
  rush: {interarrival: {exponential: {mean: 20}}, flow: finish}
flows:
  make:
    - turn: {process: {resource: lathe, for: {exponential: {mean: 6}}}}
    - branch: [{weight: 0.1, go: turn}, {go: next}]
    - process: {resource: oven, for: {triangular: {low: 2, mode: 3, high: 4}}}
    - go: finish
  finish:
    - seize: pack
    - delay: {gamma: {shape: 2, scale: 3}}
    - delay: 1
    - release: pack
"""


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    blueprint = load_blueprint(PLANT)
    twin = Twin(blueprint, events=False)
    twin.advance(100_000.0)
    simulated = twin.statistics()
    return {station.resource: station for station in explain(blueprint).stations}, simulated["resources"]


@pytest.mark.parametrize(("resource", "tolerance"), [("lathe", 0.12), ("oven", 0.2), ("pack", 0.2)])
def test_waits_are_those_of_the_simulation(both: tuple[dict, dict], resource: str, tolerance: float) -> None:
    station, simulated = both[0][resource], both[1][resource]
    assert simulated["busy_mean"] == pytest.approx(station.load, rel=0.03)
    assert simulated["wait_mean"] == pytest.approx(station.wait_mean, rel=tolerance)
    assert simulated["queue_mean"] == pytest.approx(station.queue_mean, rel=tolerance)


def test_an_overloaded_queue_grows_as_fast_as_is_said() -> None:
    blueprint = load_blueprint(PLANT.replace("mean: 6", "mean: 10"))
    [lathe, *_] = explain(blueprint).stations
    twin = Twin(blueprint, events=False)
    twin.advance(50_000.0)
    assert len(twin.resources["lathe"].queue) / 50_000.0 == pytest.approx(lathe.growth, rel=0.15)
