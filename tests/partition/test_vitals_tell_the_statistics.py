"""The vitals of a twin: what is there now, and its statistics since the warm-up; never without bound."""

from __future__ import annotations

from typing import Any

import pytest

from models.blueprint import Blueprint
from tests.partition.world import Committed, Log, line, new_host, settle
from twin_app.kernel import Twin
from twin_app.partition import HostSettings
from twin_app.partition.measures import MEASURES_MAX
from twin_app.partition.measures import measures as measured


def test_the_figures_of_a_busy_line_are_told_and_count_from_the_warm_up():
    log, host, committed = Log(), new_host(HostSettings(vitals_interval_us=1)), Committed()
    statistics = {"warm_up": 10.0, "quantiles": True}
    log.write("Line_A", {"kind": "register", "blueprint": line(statistics=statistics, stores={"s": {}})}, 0.0)
    ready: list[Any] = list(log.records)
    for second in range(1, 41):
        settle(host, committed, ready, float(second))
        ready = []
    told = {v["name"]: (v["value"], v["unit"]) for v in committed.values("sim-vitals") if v["twin"] == "Line_A"}
    assert told["statistics.since"] == (10.0, "seconds")
    assert told["resources.a.utilisation"] == (pytest.approx(1.0), "1")
    assert 0.4 < told["resources.b.utilisation"][0] < 1.0
    assert told["resources.a.wait_mean"] == (0.0, "seconds")
    p50, p99 = (told[f"flows.make.time_in_system_{p}"][0] for p in ("p50", "p99"))
    assert 1.0 < p50 < p99
    assert told["stores.s.level"] == (0.0, "1")
    assert told["entities.created"][0] >= 39


def test_a_plant_of_any_size_has_a_bounded_number_of_vitals():
    resources = {f"m{number}": {} for number in range(900)}
    found = measured(Twin(Blueprint.model_validate({"twin": "T", "resources": resources})))
    assert len(found) == MEASURES_MAX
    assert found[0][0] == "entities.wip"
    name, left_out, _ = found[-1]
    assert name == "vitals.left_out"
    assert left_out == 1 + 900 * 3 + 1 + 6 + 900 * 4 - (MEASURES_MAX - 1)
