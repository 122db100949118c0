"""Designs for more factors, or wider ranges, than every combination can be run of. Needs pydoe and scipy (extra `designs`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from typing import Any, NamedTuple

import pydoe
from scipy.stats import qmc

from models.errors import TwinError
from twin_app.analysis.experiment import Point, check_size

FACTORS_MAX = 23
"""Of a screening design: further ones are not made by pydoe without gaps."""


class Range(NamedTuple):
    """All from `low` to `high`; whole numbers only where both are."""

    low: float
    high: float

    def at(self, share: float) -> float:
        """`share` from 0 up to 1. Whole numbers get equal parts of it."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self.low + min(floor(share * (self.high - self.low + 1)), self.high - self.low)
        return self.low + share * (self.high - self.low)


def plackett_burman(factors: Mapping[str, Sequence[Any]], replications: int, *, folded: bool = False) -> list[Point]:
    """Two values of each factor in as few points as there can be: each value in half of them, and each pair of values of two
    factors in a quarter (Plackett and Burman, "The design of optimum multifactorial experiments", 1946). The first point has all
    first values.

    `folded`: the opposite of each point as well, so that no main effect is mixed with what two factors do together (Box and
    Wilson, 1951). Raises TwinError `bad-option`, `too-large`.
    """
    if not 1 <= len(factors) <= FACTORS_MAX or any(len(values) != 2 or values[0] == values[1] for values in factors.values()):
        raise TwinError(
            "bad-option",
            "a screening design takes two values of each factor, and they differ",
            place="--vary",
            remedy=f"name 1 to {FACTORS_MAX} factors: --vary resources.b.capacity=1,2",
        )
    signs = pydoe.pbdesign(len(factors))
    signs = signs * -signs[0]  # to turn a column round changes neither balance nor orthogonality
    if folded:
        signs = pydoe.fold(signs)
    check_size(len(signs), replications)
    return [{path: values[int(sign > 0)] for (path, values), sign in zip(factors.items(), row, strict=True)} for row in signs]


def latin_hypercube(factors: Mapping[str, Range], size: int, replications: int, seed: int) -> list[Point]:
    """The blueprint as it is, then `size` points spread over all ranges.

    Each factor has one value in each of `size` equal parts of its range (McKay, Beckman and Conover, 1979); they are paired for
    a low discrepancy. Raises TwinError `too-large`.
    """
    check_size(size + 1, replications)
    rows = qmc.LatinHypercube(len(factors), optimization="random-cd", rng=seed).random(size).tolist()
    return [{}, *({path: part.at(share) for (path, part), share in zip(factors.items(), row, strict=True)} for row in rows)]
