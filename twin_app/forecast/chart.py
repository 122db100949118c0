"""From a forecast's record to curves that can be drawn: each quantity of each future over time, from now on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from models.forecasts import BASELINE


@dataclass(frozen=True)
class Curve:
    """One quantity of one future. All lists are as long as `times` (simulation time); the first point is now, if it has one.

    A value is nan where the quantity is no number (a variable that was set to a text).
    """

    quantity: str
    future: str
    times: list[float]
    low: list[float]
    median: list[float]
    high: list[float]


def futures(record: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and outlook of each future that was run: the baseline first."""
    if record["baseline"] is None:
        return []
    run = [(scenario["name"], scenario["outlook"]) for scenario in record["scenarios"] if scenario["outlook"] is not None]
    return [(BASELINE, record["baseline"]), *run]


def curves(record: Mapping[str, Any], quantities: int | None = None, *, measured_now: bool = False) -> list[list[Curve]]:
    """For each quantity, one curve per future; the quantities that move most come first, the first so many of them.

    `measured_now`: only what has a value at this moment (queues, levels, work in progress), no averages over intervals.
    """
    named = futures(record)
    if not named:
        return []
    bands = [(name, outlook["grid"], {band["quantity"]: band for band in outlook["bands"]}) for name, outlook in named]
    found: list[list[Curve]] = []
    for quantity, band in bands[0][2].items():
        if band["now"] is not None or not measured_now:
            found.append(
                [_curve(record["as_of_sim_time"], grid, name, of[quantity]) for name, grid, of in bands if quantity in of]
            )
    found.sort(key=lambda group: -max(_swing(curve) for curve in group))
    return found[:quantities]


def _curve(now: float, grid: list[float], future: str, band: Mapping[str, Any]) -> Curve:
    first, times = ([], []) if band["now"] is None else ([band["now"]], [now])
    low, median, high = ([nan if value is None else value for value in first + band[q]] for q in ("q05", "q50", "q95"))
    return Curve(band["quantity"], future, times + grid, low, median, high)


def _swing(curve: Curve) -> float:
    """Without the points at which it is no number."""
    told = [value for value in curve.median if value == value]
    return max(told) - min(told) if told else 0.0
