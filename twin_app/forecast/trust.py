"""The trust light: from many judged forecasts to green, amber or red.

Each forecast counts once for each kind of estimate: as the mean over its estimates of that kind, since those are not
independent. With the gap (held less expected) and its 90 % interval over n forecasts:

- none: fewer than 10 forecasts.
- intervals: their lack is how much less they held than they said. Those that are too wide cost no trust, they only say little.
- probabilities: their lack is the gap, whatever its sign.
- red: a lack above 15 points of which the interval leaves more than 5; or a bias that is surely beyond 0.5.
- amber: a lack above 5 points; or a bias that is surely beyond 0.25. "Surely": the whole 90 % interval is.
- green: anything else.

The bias of intervals is the share of outcomes above the median less that below it: 0 is right, ±1 is always on one side.
"""

from __future__ import annotations

from math import sqrt

from models.scorecard import KindScore, Light
from twin_app.forecast.estimates import student_95

FORECASTS_MIN = 10
LACK_AMBER, LACK_RED = 0.05, 0.15
BIAS_AMBER, BIAS_RED = 0.25, 0.50
PROBABILITIES = frozenset({"late", "bottleneck"})


class Spread:
    """Mean and 90 % interval of numbers that come one at a time (Welford 1962)."""

    __slots__ = ("_square", "mean", "n")

    def __init__(self) -> None:
        self.n, self.mean, self._square = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        self.n += 1
        change = value - self.mean
        self.mean += change / self.n
        self._square += change * (value - self.mean)

    def interval(self) -> tuple[float, float] | None:
        """Student's; None with fewer than two."""
        if self.n < 2:
            return None
        half = student_95(self.n - 1) * sqrt(self._square / (self.n - 1) / self.n)
        return self.mean - half, self.mean + half


def light_of(kind: str, gap: Spread, bias: Spread) -> Light:
    """By the rule above."""
    ends, sides = gap.interval(), bias.interval()
    if gap.n < FORECASTS_MIN or ends is None or sides is None:
        return "none"
    lack, least = -gap.mean, -ends[1]
    if kind in PROBABILITIES:
        lack, least = abs(gap.mean), max(ends[0], -ends[1], 0.0)
        lean = 0.0
    else:
        lean = max(sides[0], -sides[1], 0.0)
    if (lack > LACK_RED and least > LACK_AMBER) or lean > BIAS_RED:
        return "red"
    return "amber" if lack > LACK_AMBER or lean > BIAS_AMBER else "green"


class Tally:
    """What came of one kind of estimate of one twin: a few sums, however many forecasts."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.estimates = 0
        self._expected, self._held, self._gap, self._bias, self._error, self._brier = (Spread() for _ in range(6))

    def add(self, verdicts: list[tuple[float, float, float, float]]) -> None:
        """One forecast's verdicts of this kind: (expected, held, side, error) each."""
        n = len(verdicts)
        self.estimates += n
        expected, held, side, error = (sum(column) / n for column in zip(*verdicts, strict=True))
        self._expected.add(expected)
        self._held.add(held)
        self._gap.add(held - expected)
        self._bias.add(side)
        self._error.add(error)
        self._brier.add(sum((held - expected) ** 2 for expected, held, _, _ in verdicts) / n)

    def score(self) -> KindScore:
        ends = self._gap.interval()
        return KindScore(
            kind=self.kind,
            forecasts=self._gap.n,
            estimates=self.estimates,
            expected=self._expected.mean,
            held=self._held.mean,
            gap=self._gap.mean,
            gap_low=None if ends is None else ends[0],
            gap_high=None if ends is None else ends[1],
            bias=self._bias.mean,
            error=self._error.mean,
            brier=self._brier.mean if self.kind in PROBABILITIES else None,
            light=light_of(self.kind, self._gap, self._bias),
        )
