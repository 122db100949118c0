"""F1 and the forecast part of S1: where nothing is left to chance a forecast is exact."""

from __future__ import annotations

import pytest

from models.forecasts import ForecastRecord
from tests.forecast.plants import LINE, SHOP, ahead, apply, live, scenario, set_
from twin_app.forecast import fork
from twin_app.switchboard import LiveTwin

BREAKDOWN = 62.0


def broken_line() -> LiveTwin:
    """S1: b is taken out with a job in service and two waiting."""
    line = live(LINE, 30.0, services={**LINE["services"], "turning": {"constant": 3}, "milling": {"constant": 5.5}})
    line.advance(BREAKDOWN)
    while len(line.twin.resources["b"].queue) < 2:
        line.advance(line.next_time)
    line.drain()
    assert line.twin.resources["b"].busy == 1
    apply(line, set_(line, "resources.b.capacity", 0))
    return line


def test_a_fork_tells_what_the_twin_then_tells_to_the_last_event() -> None:
    line = broken_line()
    ahead_of_it = fork(line.snapshot(), 0, events=True)
    ahead_of_it.advance(line.now + 480)
    line.advance(line.now + 480)
    foretold, happened = ahead_of_it.drain(), line.drain()
    assert foretold == happened
    assert len(happened) > 300


def test_the_next_bottleneck_is_foretold_to_the_minute_at_which_the_twin_reports_it() -> None:
    line = broken_line()
    record = ahead(line, 480)
    assert record["deterministic"]
    assert record["final"]
    assert record["replications"] == 1
    assert record["coverage"] == 1.0
    foretold = record["baseline"]["bottlenecks"][0]
    line.advance(line.now + 480)
    formed = [event for event in line.drain() if event.kind == "bottleneck-formed"]
    assert (
        (foretold["resource"], foretold["sim_time"])
        == (formed[0].payload["resource"], formed[0].sim_time)
        == ("b", foretold["sim_time"])
    )
    assert foretold["probability"] == foretold["probability_low"] == foretold["probability_high"] == foretold["first"] == 1.0
    assert "b's queue is growing" in record["sentence"].lower()
    assert "bottleneck forms at b at" in record["sentence"]


@pytest.mark.parametrize("horizon", [10.0, 77.3, 480.0])
def test_no_entity_in_progress_leaves_at_another_time_than_foretold(horizon: float) -> None:
    line = live(LINE, 61.0)
    record = ahead(line, horizon)
    foretold = {e["entity"]: e for e in record["baseline"]["entities"]}
    assert set(foretold) == set(line.twin.entities)
    end = line.now + horizon
    line.advance(end)
    left = {event.entity: event for event in line.drain() if event.kind == "entity-left"}
    for number, entity in foretold.items():
        happened = left[number].sim_time if number in left else None
        assert entity["leaves_low"] == entity["leaves"] == entity["leaves_high"] == happened
        if entity["late"] is None:
            assert happened is None
            assert entity["due"] > end
        else:
            assert entity["late"] == (happened is None or happened > entity["due"])


def test_figures_over_time_are_those_that_the_twin_then_has() -> None:
    line = broken_line()
    record = ahead(line, 96)
    bands = {band["quantity"]: band for band in record["baseline"]["bands"]}
    finished = line.twin.outcomes["finished"]
    for number, until in enumerate(record["baseline"]["grid"]):
        line.advance(until)
        assert bands["wip"]["q50"][number] == line.wip
        for name, resource in line.twin.resources.items():
            assert bands[f"resources.{name}.queue"]["q05"][number] == len(resource.queue)
    totals = {total["quantity"]: total for total in record["baseline"]["totals"]}
    assert totals["finished"]["mean"] == totals["finished"]["mean_low"] == line.twin.outcomes["finished"] - finished


def test_the_time_to_a_level_is_that_of_the_event_that_reaches_it() -> None:
    line = broken_line()
    record = ahead(line, 480)
    threshold = next(t for t in record["baseline"]["thresholds"] if t["quantity"] == "resources.b.queue")
    while len(line.twin.resources["b"].queue) < threshold["level"]:
        line.advance(line.next_time)
    assert threshold["sim_time_low"] == threshold["sim_time"] == line.now


def test_a_scheduled_command_that_waits_in_the_twin_happens_in_the_forecast_too() -> None:
    line = live(LINE, 61.0)
    line.apply(set_(line, "resources.c.capacity", 0, at=90.0), effective=line.now)
    line.drain()
    foretold = ahead(line, 300)["baseline"]["bottlenecks"]
    line.advance(400)
    formed = next(event for event in line.drain() if event.kind == "bottleneck-formed")
    assert [(b["resource"], b["sim_time"]) for b in foretold] == [("c", formed.sim_time)]


def test_rerouting_is_shown_beside_the_baseline_with_the_first_point_of_difference() -> None:
    line = broken_line()
    record = ahead(line, 480, {"route to d": [set_(line, "variables.route", "d", at=line.now + 5)]})
    rerouted = scenario(record, "route to d")
    assert rerouted["outlook"]["bottlenecks"] == []
    assert "no bottleneck forms" in rerouted["outlook"]["sentence"].lower()
    finished = next(d for d in rerouted["differences"] if d["quantity"] == "finished")
    assert finished["mean"] == finished["low"] == finished["high"] > 0
    first = rerouted["first_difference"]
    assert first["sim_time"] >= line.now + 5
    assert first["scenario_event"].endswith("at d")
    assert first["baseline_event"].endswith("at b")
    apply(line, set_(line, "variables.route", "d", at=line.now + 5))
    line.advance(line.now + 480)
    assert "bottleneck-formed" not in {event.kind for event in line.drain()}


def test_the_record_fits_its_contract() -> None:
    line = broken_line()
    for twin, scenarios in ((line, {"more": [set_(line, "resources.b.capacity", 1)]}), (live(SHOP, 200.0), {})):
        record = ForecastRecord.model_validate(ahead(twin, 100, scenarios, rounds=(1, 3)))
        assert record.as_of_sim_time == twin.now
        assert record.as_of_seq == twin.seq


def test_a_twin_in_which_nothing_can_happen_has_a_forecast() -> None:
    record = ahead(live({"twin": "Empty"}), 100)
    assert record["deterministic"]
    assert record["baseline"]["entities"] == []
    assert record["sentence"]


def test_a_tank_is_foretold_to_run_dry_when_it_then_does() -> None:
    document = {
        "twin": "Tank_Farm",
        "containers": {"oil": {"capacity": 50, "level": 40}},
        "arrivals": {"trucks": {"interarrival": {"constant": 10}, "flow": "fill"}},
        "flows": {"fill": [{"get": {"container": "oil", "amount": 8}}]},
    }
    farm = live(document, 15.0)
    record = ahead(farm, 100)
    band = next(band for band in record["baseline"]["bands"] if band["quantity"] == "containers.oil.level")
    assert band["now"] == 32
    dry = next(t for t in record["baseline"]["thresholds"] if (t["quantity"], t["why"]) == ("containers.oil.level", "empty"))
    while farm.twin.containers["oil"].level > 0:
        farm.advance(farm.next_time)
    assert dry["sim_time"] == farm.now == 50.0
