"""The answers to a twin's standing questions, over the replications of the baseline.

A question's window is its own, counted from the forecast's state. Where the forecast reaches less far, what lies beyond may still
bring it about: the probability is then known from below only.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from typing import Any

import numpy as np

from models.questions import ANYWHERE
from twin_app.forecast.estimates import Array, Interval, finite
from twin_app.forecast.fork import because
from twin_app.forecast.outlook import Rows, lateness
from twin_app.forecast.sentence import SURE, clock, span
from twin_app.forecast.standing import Asked

CASES_MAX = 100
"""Entities that an answer lists: the likeliest to be late."""


def answers(rows: Rows) -> list[dict[str, Any]]:
    """The fields of an `Answer` for each question."""
    return [_answer(rows, asked) for asked in rows.layout.asked]


def decided(answer: Mapping[str, Any]) -> bool:
    """Whether every case is surely above what was asked for, or surely not; what more replications cannot tell counts, too."""
    above = answer["above"]
    return all(case["low"] > above or case["high"] < above or case["beyond"] for case in answer["cases"])


def _answer(rows: Rows, asked: Asked) -> dict[str, Any]:
    question = asked.question
    unlisted = 0
    if question.kind == "late":
        cases, unlisted = _late(rows, asked)
    elif question.kind == "bottleneck":
        cases = [_bottleneck(rows, asked)]
    else:
        columns = [n for n, crossing in enumerate(rows.layout.crossings) if crossing[2] == because(asked.name)]
        direction = "or more" if question.at_least is not None else "or less"
        verb, window = ("comes to", "within") if _is_instant(str(question.quantity)) else ("is", "over")
        claim = f"{question.quantity} {verb} {asked.level:g} {direction} {window} {span(rows, _end(rows, asked))}"
        cases = [_first(rows, asked, rows.part("crossed")[:, columns], claim)]
    return {"question": asked.name, "kind": question.kind, "above": asked.above, "cases": cases, "unlisted": unlisted}


def _is_instant(quantity: str) -> bool:
    """Whether it has a value at each instant, and is not a mean over the window."""
    return quantity != "throughput" and not quantity.endswith(".utilisation")


def _bottleneck(rows: Rows, asked: Asked) -> dict[str, Any]:
    wanted = asked.question.bottleneck
    assert wanted is not None
    names = rows.layout.resources if wanted == ANYWHERE else [wanted]
    present = [name for name in names if name in rows.layout.present]
    if present:
        claim = f"{' and '.join(present)} {'is a bottleneck' if len(present) == 1 else 'are bottlenecks'} already"
        return _case(rows, claim, Interval(1.0, 1.0, 1.0), rows.question.start)
    columns = [rows.layout.resources.index(name) for name in names]
    formed = rows.part("formed")[:, columns]
    place = f"at {wanted}"
    if wanted == ANYWHERE:
        often = np.isfinite(formed).sum(axis=0)
        place = f"somewhere, likeliest at {names[int(often.argmax())]}," if often.any() else "somewhere"
    return _first(rows, asked, formed, f"a bottleneck forms {place} within {span(rows, _end(rows, asked))}")


def _first(rows: Rows, asked: Asked, times: Array, claim: str) -> dict[str, Any]:
    """The first of several things to come about, within the window."""
    first = times.min(axis=1)
    until = _end(rows, asked)
    hit = first <= until
    hits, n = int(hit.sum()), len(first)
    share = rows.proportion(hits, n)
    beyond = until > rows.question.end and hits < n
    if beyond:
        share = share._replace(high=1.0)
    return _case(rows, claim, share, finite(float(np.median(first[hit]))) if hits else None, beyond=beyond)


def _late(rows: Rows, asked: Asked) -> tuple[list[dict[str, Any]], int]:
    """The likeliest cases, and how many there are that are not listed and not clearly below."""
    if not asked.columns:
        return [], 0
    found = lateness(rows)
    n = len(rows.matrix)
    ranked = []
    for column in asked.columns:
        late, untold = found.late[column], found.untold[column]
        low, high = rows.proportion(late, n).low, rows.proportion(late + untold, n).high
        assert low is not None
        assert high is not None
        estimate = late / (n - untold) if n > untold else 0.0
        ranked.append((high, low, estimate, column, untold))
    ranked.sort(key=lambda case: (-case[0], -case[1], case[3]))
    cases = []
    for high, low, estimate, column, untold in ranked[:CASES_MAX]:
        due = rows.layout.dues[column]
        assert due is not None
        number = rows.layout.entities[column]
        claim = f"entity {number} of {rows.layout.flows[column]} is late, due at {clock(rows, due)}"
        leaves = float(np.sort(rows.part("left_at")[:, column])[n // 2])
        case = _case(rows, claim, Interval(estimate, low, high), leaves if isfinite(leaves) else None, beyond=untold > 0)
        cases.append(case | {"entity": number})
    return cases, sum(case[0] >= asked.above for case in ranked[CASES_MAX:])


def capital(claim: str) -> str:
    """As the beginning of a sentence; a path stays as it is."""
    first = claim.split(" ", 1)[0]
    return claim if "." in first or first in ("wip", "throughput") else claim[:1].upper() + claim[1:]


def _case(rows: Rows, claim: str, share: Interval, at: float | None, *, beyond: bool = False) -> dict[str, Any]:
    low, high = share.low, share.high
    assert low is not None
    assert high is not None
    if low == high:
        chance = "certain" if low == 1.0 else "out of the question"
    else:
        shown = "nearly 100 %" if share.estimate >= SURE else f"{100 * share.estimate:.0f} %"
        chance = f"probability {shown} ({100 * low:.0f} to {100 * high:.0f} %)"
    when = "" if at is None else f", around {clock(rows, at)}" if low < high else f", at {clock(rows, at)}"
    return {
        "claim": claim,
        "chance": chance,
        "entity": None,
        "probability": share.estimate,
        "low": low,
        "high": high,
        "beyond": beyond,
        "sim_time": at,
        "sentence": f"{capital(claim)}: {chance}{when}.",
    }


def _end(rows: Rows, asked: Asked) -> float:
    return inf if asked.question.within is None else rows.question.start + asked.question.within
