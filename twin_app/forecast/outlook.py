"""From the rows of many replications to one outlook: what the record says of one future. Plain data, as models/forecasts.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from models.forecasts import QUANTILES
from twin_app.forecast.estimates import Array, Interval, finite, mean_interval, quantiles, wilson
from twin_app.forecast.layout import OUTCOME_CODES, STILL_HERE, Layout
from twin_app.forecast.question import Question

BOTTLENECKS_MAX = 50
THRESHOLDS_MAX = 200

OUTER = (QUANTILES[0], 0.5, QUANTILES[-1])


@dataclass(frozen=True)
class Rows:
    """The replications of one future: one row each, in the order of their salts. `exact`: they are all the same."""

    question: Question
    layout: Layout
    matrix: Array
    exact: bool

    def part(self, name: str) -> Array:
        """One part of all rows: replications x figures."""
        return self.matrix[:, self.layout.parts()[name]]

    def total(self, quantity: str) -> Array:
        """One figure of the whole horizon, per replication."""
        return self.part("totals")[:, self.layout.totals.index(quantity)]

    def instant(self, sim_time: float) -> datetime:
        """The UTC date and time of a simulation time."""
        return self.question.instant(sim_time)

    def proportion(self, hits: int, trials: int) -> Interval:
        """With its interval, which has no width where every run is the same."""
        if self.exact:
            return Interval(hits / trials, hits / trials, hits / trials)
        return wilson(hits, trials)


def outlook(rows: Rows, baseline: Rows | None = None, entities: int | None = None) -> dict[str, Any]:
    """The fields of `Outlook` but its sentence. With a `baseline`, entities say how they are shifted against it.

    `entities`: how many of those that are followed it lists; all, if that is None.
    """
    found = bottlenecks(rows)
    return {
        "bottleneck": max(found, key=lambda b: b["first"])["resource"] if any(b["first"] for b in found) else None,
        "bottlenecks": found,
        "thresholds": _thresholds(rows),
        "grid": rows.layout.grid,
        "bands": _bands(rows),
        "totals": _totals(rows),
        "entities": _entities(rows, baseline, entities),
        "entities_total": rows.layout.entities_total,
    }


def bottlenecks(rows: Rows) -> list[dict[str, Any]]:
    """Every resource that is or becomes a bottleneck: those there already, then the likeliest, then the earliest."""
    formed = rows.part("formed")
    n = len(formed)
    if not formed.size:
        return []
    found: list[dict[str, Any]] = []
    comes = np.isfinite(formed)
    first = np.bincount(np.argmin(formed, axis=1)[comes.any(axis=1)], minlength=formed.shape[1])
    for column, name in enumerate(rows.layout.resources):
        hits = int(comes[:, column].sum())
        present = name in rows.layout.present
        if not hits and not present:
            continue
        share, low, high = rows.proportion(hits, n)
        times: list[float | None] = (
            [None] * 3 if not hits else [float(t) for t in quantiles(formed[comes[:, column], column], OUTER)]
        )
        found.append(
            {
                "resource": name,
                "present": present,
                "probability": share,
                "probability_low": low,
                "probability_high": high,
                "first": float(first[column]) / n,
                "sim_time_low": times[0],
                "sim_time": times[1],
                "sim_time_high": times[2],
                "event_time": None if times[1] is None else rows.instant(times[1]),
            }
        )
    found.sort(key=lambda b: (not b["present"], -b["probability"], b["sim_time"] or 0.0))
    return found[:BOTTLENECKS_MAX]


def _thresholds(rows: Rows) -> list[dict[str, Any]]:
    crossed = rows.part("crossed")
    hits = np.isfinite(crossed).sum(axis=0)
    found: list[dict[str, Any]] = []
    for column in np.flatnonzero(hits)[:THRESHOLDS_MAX]:
        quantity, level, why = rows.layout.crossings[column]
        share, low, high = rows.proportion(int(hits[column]), len(crossed))
        early, median, late = (finite(t) for t in quantiles(crossed[:, column], OUTER))
        found.append(
            {
                "quantity": quantity,
                "level": level,
                "why": why,
                "probability": share,
                "probability_low": low,
                "probability_high": high,
                "sim_time_low": early,
                "sim_time": median,
                "sim_time_high": late,
            }
        )
    return found


def _bands(rows: Rows) -> list[dict[str, Any]]:
    names, points = rows.layout.series, len(rows.layout.grid)
    values = quantiles(rows.part("series"), QUANTILES).reshape(len(QUANTILES), len(names), points)
    return [
        {
            "quantity": name,
            "now": rows.layout.now.get(name),
            **{f"q{round(100 * q):02}": values[number, column].tolist() for number, q in enumerate(QUANTILES)},
        }
        for column, name in enumerate(names)
    ]


def _totals(rows: Rows) -> list[dict[str, Any]]:
    found = []
    totals = rows.part("totals")
    spread = quantiles(totals, OUTER)
    for column, name in enumerate(rows.layout.totals):
        mean, low, high = mean_interval(totals[:, column], exact=rows.exact)
        q05, q50, q95 = (float(value) for value in spread[:, column])
        found.append({"quantity": name, "mean": mean, "mean_low": low, "mean_high": high, "q05": q05, "q50": q50, "q95": q95})
    return found


class Lateness(NamedTuple):
    """By the number of the followed entity: in how many replications it is late, and in how many that is not told."""

    late: list[int]
    untold: list[int]


def lateness(rows: Rows, most: int | None = None) -> Lateness:
    """Late is who has not finished by its due time; not told where it is still here at the end, and due after that."""
    left_at, outcome = rows.part("left_at")[:, :most], rows.part("outcome")[:, :most]
    dues = np.array([np.inf if due is None else due for due in rows.layout.dues[:most]])
    in_time = ((outcome == OUTCOME_CODES["finished"]) & (left_at <= dues)).sum(axis=0)
    untold = ((outcome == STILL_HERE) & (dues > rows.question.end)).sum(axis=0)
    return Lateness((len(left_at) - untold - in_time).tolist(), untold.tolist())


def _entities(rows: Rows, baseline: Rows | None, most: int | None) -> list[dict[str, Any]]:
    layout = rows.layout
    numbers = layout.entities[:most]
    if not numbers:
        return []
    left_at, outcome = rows.part("left_at")[:, :most], rows.part("outcome")[:, :most]
    n = len(left_at)
    times = [_or_none(quantile) for quantile in quantiles(left_at, OUTER)]
    finished = outcome == OUTCOME_CODES["finished"]
    told = lateness(rows, most)
    shifts = [None] * len(numbers) if baseline is None else _or_none(_shifts(left_at, baseline, most))
    shares = finished.mean(axis=0).tolist()
    found: list[dict[str, Any]] = []
    for column, (number, flow, due) in enumerate(zip(numbers, layout.flows, layout.dues, strict=False)):
        fields = {
            "entity": number,
            "flow": flow,
            "leaves_low": times[0][column],
            "leaves": times[1][column],
            "leaves_high": times[2][column],
            "finished": shares[column],
            "due": due,
            "late": None,
            "late_low": None,
            "late_high": None,
            "shift": shifts[column],
        }
        if due is not None:
            unknown, late = told.untold[column], told.late[column]
            fields["late"] = late / (n - unknown) if n > unknown else None
            fields["late_low"] = rows.proportion(late, n).low
            fields["late_high"] = rows.proportion(late + unknown, n).high
        found.append(fields)
    return found


def _or_none(values: Array) -> list[float | None]:
    """As plain numbers; None for what is infinite or undefined."""
    told = np.isfinite(values).tolist()
    return [value if known else None for value, known in zip(values.tolist(), told, strict=True)]


def _shifts(left_at: Array, baseline: Rows, most: int | None) -> Array:
    """Mean change of each entity's leaving time over the replications in which it leaves in both."""
    pairs = min(len(left_at), len(baseline.matrix))
    with np.errstate(invalid="ignore"):
        change = left_at[:pairs] - baseline.part("left_at")[:pairs, :most]
    told = np.isfinite(change)
    counts = told.sum(axis=0)
    return np.where(counts > 0, np.where(told, change, 0.0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def differences(scenario: Rows, baseline: Rows) -> list[dict[str, Any]]:
    """The fields of `Difference` for each total: paired, replication by replication."""
    pairs = min(len(scenario.matrix), len(baseline.matrix))
    found = []
    for name in baseline.layout.totals:
        before, after = baseline.total(name)[:pairs], scenario.total(name)[:pairs]
        mean, low, high = mean_interval(after - before, exact=scenario.exact and baseline.exact)
        found.append(
            {
                "quantity": name,
                "baseline": float(before.mean()),
                "scenario": float(after.mean()),
                "mean": mean,
                "low": low,
                "high": high,
            }
        )
    return found
