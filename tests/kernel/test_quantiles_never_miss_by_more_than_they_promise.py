"""Quantiles of the time in system against the exact ones: within 1 %, whatever the distribution, after a restore too."""

from typing import Any

import pytest

from tests.kernel.three_ways import blueprint, through_text
from twin_app.kernel import Twin
from twin_app.kernel.statistics import QUANTILES

ENTITIES = 5_000
PROMISED = 0.01 + 1e-9

TIMES: list[Any] = [
    {"constant": 3.0},
    {"uniform": {"low": 1.0, "high": 2.0}},
    {"exponential": {"mean": 5.0}},
    {"lognormal": {"mean": 10.0, "sd": 60.0}},
    {"choice": {"values": [0.01, 1e6], "weights": [0.949, 0.051]}},
    {"choice": {"values": [0.0, 7.0], "weights": [0.92, 0.08]}},
]


def told_and_exact(times: dict[str, Any]) -> list[tuple[float, float]]:
    """For each quantile, of a run that is saved and restored half-way."""
    model = blueprint(
        arrivals={"x": {"interarrival": {"constant": 1.0}, "flow": "f", "limit": ENTITIES}},
        flows={"f": [{"delay": times}]},
        statistics={"quantiles": True},
    )
    twin = Twin(model)
    twin.advance(ENTITIES / 2)
    events = twin.drain()
    twin = Twin.restore(through_text(twin.snapshot()))
    twin.advance(1e9)
    events += twin.drain()
    stays = sorted(event.payload["time_in_system"] for event in events if event.kind == "entity-left")
    assert len(stays) == ENTITIES
    told = twin.statistics()["flows"]["f"]
    return [(told[f"time_in_system_p{q * 100:g}"], stays[int(q * (ENTITIES - 1))]) for q in QUANTILES]


@pytest.mark.parametrize("times", TIMES, ids=str)
def test_quantiles_agree_with_the_exact_ones(times: dict[str, Any]) -> None:
    for told, exact in told_and_exact(times):
        assert told == pytest.approx(exact, rel=PROMISED, abs=1e-9)


def test_what_is_too_small_to_be_told_beside_the_largest_harms_no_upper_quantile() -> None:
    """The bins span a factor of 7.8e8: what lies further below the largest is put together."""
    (p50, small), *upper = told_and_exact({"choice": {"values": [0.001, 1e6], "weights": [0.89, 0.11]}})
    assert small == pytest.approx(0.001)
    assert small < p50 < 1e6 / 7e8
    for told, exact in upper:
        assert exact == pytest.approx(1e6)
        assert told == pytest.approx(exact, rel=PROMISED)
