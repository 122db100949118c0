"""Scorecards: how far a twin's forecasts came true. Derived from what was foretold and what then happened."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Light = Literal["green", "amber", "red", "none"]
"""How far an estimate is to be trusted; the rule is in :mod:`twin_app.forecast.trust`. `none`: too few to tell."""

LIGHT_VALUES: dict[Light, float] = {"none": -1.0, "red": 0.0, "amber": 1.0, "green": 2.0}
"""A light as the value of a vital."""


class KindScore(BaseModel):
    """One kind of estimate of one twin. Shares and biases are means over forecasts: a large one counts no more than another."""

    model_config = ConfigDict(frozen=True)

    kind: str = Field(description="queue, level, wip, throughput, total, leaving-time, bottleneck-time, late or bottleneck")
    forecasts: int = Field(description="Forecasts of which at least one estimate of this kind was judged")
    estimates: int = Field(description="Estimates that were judged")
    expected: float = Field(description="Intervals: the share that was said to hold; probabilities: their mean")
    held: float = Field(description="Intervals: the share that held; probabilities: how often it happened")
    gap: float = Field(description="held less expected")
    gap_low: float | None = Field(description="Lower end of the 90 % interval of the gap; null with one forecast")
    gap_high: float | None = Field(description="Upper end of it")
    bias: float = Field(
        description="Intervals: share above the median less share below it, -1 to 1, positive when forecasts are too low; "
        "probabilities: the gap"
    )
    error: float = Field(description="Mean of what happened less the median foretold, in the estimate's own unit; or the gap")
    brier: float | None = Field(description="Probabilities: mean squared error, 0 is perfect; null for intervals")
    light: Light


class Scorecard(BaseModel):
    """All that is known of how far one twin's forecasts came true."""

    model_config = ConfigDict(frozen=True)

    twin: str
    light: Light = Field(description="The worst of its kinds that have one")
    forecasts: int = Field(description="Forecasts that were judged, wholly or in part")
    open: int = Field(description="Forecasts whose horizon is not over yet")
    voided: int = Field(description="Of those judged: cut short by a later change of the twin, and judged up to it only")
    skipped: int = Field(description="Not judged: too many at a time, or what happened is not in the events topic any more")
    kinds: list[KindScore]
