"""Measured times against every family: ranked by BIC, tested, and the one to use written as a blueprint writes it.

The test is that of Anderson and Darling. Its tables do not hold where the parameters come from the same values, so p-values come
from a parametric bootstrap with one fixed seed (Stute, Gonzalez Manteiga and Presedo Quindimil, "Bootstrap based goodness-of-fit
tests", 1993): the same file gives the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, NamedTuple

import numpy as np

from twin_app.analysis.families import FAMILIES, Arguments, Family, Fitted, Unfit, Values, arguments, fitted, rounded
from twin_app.analysis.suspicions import suspicions

VALUES_MIN = 5
LEVEL = 0.05
"""A family with a smaller p-value is rejected."""
SEED = 20261128
BATCHES, BATCH = 5, 40
"""So many times so many resamples, at most."""
EXCEEDING_MAX = 25
"""So many resamples that fit worse than the values are enough to know that the p-value is not small (Besag and Clifford,
"Sequential Monte Carlo p-values", 1991)."""
TESTED_MAX = 1_000
"""More values than this are not tested: a random part of so many is."""
TESTED_BEHIND = 10.0
"""A family whose BIC lies further behind the best is not tested: the evidence against it is very strong (Kass and Raftery, "Bayes
factors", 1995)."""
QUANTILES = 201
DISTINCT_MAX = 20
"""So many different values at most are taken for a choice, where nothing else fits."""


class Judged(NamedTuple):
    """One family: the smaller AIC and BIC the better. `p_value` is None where it was not tested."""

    fitted: Fitted
    log_likelihood: float
    aic: float
    bic: float
    p_value: float | None


class Report(NamedTuple):
    """`distribution` is the one to use and `reason` says why; `judged`: best first; `left_out`: name and reason of each family
    that cannot hold the values; `warnings`: what no distribution can say."""

    values: Values
    distribution: dict[str, Any]
    reason: str
    judged: list[Judged]
    left_out: list[tuple[str, str]]
    warnings: list[str]


def fit(times: Sequence[float]) -> Report:
    """Of at least VALUES_MIN finite times, none below 0, in the order in which they were measured."""
    values = np.asarray(times, dtype=np.float64)
    if values.min() == values.max():
        return Report(values, {"constant": rounded(float(values[0]))}, "all values are equal", [], [], [])
    with np.errstate(all="ignore"):  # what is not finite is left out
        return _report(values)


def _report(values: Values) -> Report:
    generator = np.random.default_rng(SEED)
    found: list[Fitted] = []
    left_out: list[tuple[str, str]] = []
    for family in FAMILIES:
        try:
            found.append(fitted(family, values))
        except Unfit as reason:
            left_out.append((family.name, str(reason)))
    judged = sorted((_judged(one, values) for one in found), key=lambda one: one.bic)
    tested = values if values.size <= TESTED_MAX else generator.choice(values, TESTED_MAX, replace=False)
    step = resolution(values)
    near = [one for one in judged if one.bic <= judged[0].bic + TESTED_BEHIND]
    judged = [one._replace(p_value=goodness(one.fitted.family, tested, step)) for one in near] + judged[len(near) :]
    fits = any(one.p_value is not None and one.p_value >= LEVEL for one in judged)
    warnings = suspicions(values, next((one.fitted for one in judged if one.fitted.family.tails), None), fits)
    if values.size > TESTED_MAX:
        warnings.append(f"the test looks at {TESTED_MAX:,} of the {values.size:,} values, drawn at random")
    return Report(values, *_choice(values, judged), judged, left_out, warnings)


def _judged(one: Fitted, values: Values) -> Judged:
    likelihood, free = one.log_likelihood(values), one.family.free
    return Judged(one, likelihood, 2.0 * free - 2.0 * likelihood, free * log(values.size) - 2.0 * likelihood, None)


def _choice(values: Values, judged: list[Judged]) -> tuple[dict[str, Any], str]:
    for one in judged:
        if one.p_value is not None and one.p_value >= LEVEL:
            return one.fitted.distribution(), "the smallest BIC of those that are not rejected"
    different, counts = np.unique(values, return_counts=True)
    if different.size <= DISTINCT_MAX and values.size >= 5 * different.size:
        reason = "nothing fits, and there are only a few different values: each as often as it was measured"
        return {"choice": {"values": different.tolist(), "weights": counts.tolist()}}, reason
    return {"empirical": {"values": empirical(values)}}, "nothing fits: as measured"


def empirical(values: Values) -> list[float]:
    """What the sampler goes through in straight lines: the values, or as many quantiles."""
    kept = np.sort(values) if values.size <= QUANTILES else np.quantile(values, np.linspace(0.0, 1.0, QUANTILES))
    return [rounded(value) for value in kept.tolist()]


def resolution(values: Values) -> float:
    """The power of ten that measured times were rounded to, where it shows in equal values; else 0."""
    if np.unique(values).size > 0.9 * values.size:
        return 0.0
    for exponent in range(6, -10, -1):
        step = 10.0**exponent
        if step < values.max() and np.allclose(values / step, np.round(values / step), rtol=0.0, atol=1e-6):
            return step
    return 0.0


def distances(one: Family, found: list[Arguments], rows: Values) -> Values:
    """The statistic of Anderson and Darling for each row with its own arguments; bounded also where a value lies on an edge."""
    columns = [np.array(column)[:, None] for column in zip(*found, strict=True)]
    below = np.clip(one.shape.cdf(np.sort(rows, axis=1), *columns), 1e-12, 1.0 - 1e-12)
    number = rows.shape[1]
    weights = 2.0 * np.arange(1, number + 1) - 1.0
    return -number - np.mean(weights * (np.log(below) + np.log1p(-below[:, ::-1])), axis=1)


def goodness(one: Family, values: Values, step: float = 0.0) -> float:
    """The p-value: how often values that do come from the family lie as far from their own fit. `step`: all are rounded to it.

    Raises Unfit.
    """
    generator = np.random.default_rng(SEED)
    known = Fitted(one, arguments(one, values))
    measured = distances(one, [known.arguments], values[None, :])[0]
    exceeding = 0
    for batch in range(BATCHES):
        rows = known.draw((BATCH, values.size), generator)
        if step:
            # What would be rounded to 0 stays above it, unless 0 was measured.
            rows = np.maximum(np.round(rows / step) * step, 0.0 if values.min() == 0.0 else step / 2.0)
        found = [_arguments(one, row, known.arguments) for row in rows]
        for place in np.flatnonzero(distances(one, found, rows) >= measured).tolist():
            exceeding += 1
            if exceeding == EXCEEDING_MAX:
                return exceeding / (batch * BATCH + place + 1)
    return (exceeding + 1) / (BATCHES * BATCH + 1)


def _arguments(one: Family, row: Values, known: Arguments) -> Arguments:
    """Of a resample; those that it was drawn with where none are found, which lie further from it than its own would."""
    try:
        return arguments(one, row)
    except Unfit:
        return known
