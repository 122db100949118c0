"""One revision of a forecast: the fields of `ForecastRecord`, from the rows so far and from what is known of the asking."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from twin_app.forecast.estimates import Array, coverage, mean_interval, wilson
from twin_app.forecast.layout import Layout
from twin_app.forecast.outlook import Rows, differences, outlook
from twin_app.forecast.question import Question
from twin_app.forecast.replies import answers, decided
from twin_app.forecast.sentence import sentence

PROPORTION_HALF_WIDTH = 0.05
"""Narrow enough for a probability."""
RELATIVE_HALF_WIDTH = 0.05
"""Narrow enough for a mean, against the mean or 1, whichever is larger."""
REPLICATIONS_MIN = 16
"""Before that many, no interval is trusted to be narrow."""


def precise(rows: Rows) -> bool:
    """Whether the intervals of the totals' means and of the next bottleneck's probability are narrow enough to stop."""
    if rows.exact:
        return True
    n = len(rows.matrix)
    if n < REPLICATIONS_MIN:
        return False
    hits = int(np.isfinite(rows.part("formed")).any(axis=1).sum())
    _, low, high = wilson(hits, n)
    assert low is not None
    assert high is not None
    if high - low > 2 * PROPORTION_HALF_WIDTH:
        return False
    for column in rows.part("totals").T:
        mean, low, high = mean_interval(column, exact=False)
        assert low is not None
        assert high is not None
        if high - low > 2 * RELATIVE_HALF_WIDTH * max(abs(mean), 1.0):
            return False
    return True


def futures(question: Question, layout: Layout, matrices: Sequence[Array]) -> list[Rows]:
    """The rows of each future; a future without any has none. All are exact if no run of any drew a random number."""
    drew = any(len(matrix) and matrix[:, -1].any() for matrix in matrices)
    return [Rows(question, layout, matrix, exact=not drew) for matrix in matrices]


def revise(
    question: Question,
    layout: Layout,
    matrices: Sequence[Array],
    refused: Mapping[int, list[str]],
    contrasts: Mapping[int, dict[str, Any] | None],
    asking: Mapping[str, Any],
    *,
    last: bool,
    entities: int | None = None,
) -> dict[str, Any]:
    """The record as plain data. `asking`: the fields that the asker knows (trigger, source, age, lag, times, revision).

    `matrices`, `refused` and `contrasts` are by the number of the future. `last`: there will be no better one.
    `entities`: how many of the followed ones each outlook lists; None: all.
    """
    all_rows = futures(question, layout, matrices)
    baseline = all_rows[0]
    main = outlook(baseline, None, entities)
    main["sentence"] = sentence(baseline, main)
    scenarios = []
    for future, rows in enumerate(all_rows[1:], 1):
        scenario: dict[str, Any] = {"name": question.names[future], "outlook": None, "refused": refused.get(future, [])}
        if len(rows.matrix):
            found = outlook(rows, baseline, entities)
            found["sentence"] = sentence(rows, found)
            scenario |= {"outlook": found, "differences": differences(rows, baseline)}
            contrast = contrasts.get(future)
            if contrast is not None:
                contrast = contrast | {"event_time": baseline.instant(contrast["sim_time"])}
            scenario["first_difference"] = contrast
        scenarios.append(scenario)
    told = answers(baseline)
    sharp = all(precise(rows) for rows in all_rows if len(rows.matrix)) and (baseline.exact or all(map(decided, told)))
    return {
        **provenance(question),
        **asking,
        "final": last or sharp,
        "deterministic": baseline.exact,
        "replications": len(baseline.matrix),
        "precise": sharp,
        "coverage": 1.0 if baseline.exact else coverage(len(baseline.matrix)),
        "sentence": main["sentence"],
        "baseline": main,
        "scenarios": scenarios,
        "answers": told,
        "error": None,
    }


def provenance(question: Question) -> dict[str, Any]:
    """What the saved state itself says of where a forecast comes from."""
    snapshot = question.snapshot
    blueprint = snapshot["twin"]["blueprint"]
    return {
        "twin": blueprint["twin"],
        "as_of_sim_time": question.start,
        "as_of_event_time": question.instant(question.start),
        "as_of_seq": snapshot["earlier"] + snapshot["twin"]["seq"],
        "time_unit": blueprint.get("time", {}).get("unit", "seconds"),
        "horizon": question.horizon,
        "seed": blueprint.get("seed", 0),
        "blueprint_hash": hashlib.sha256(orjson.dumps(blueprint)).hexdigest()[:32],
    }
