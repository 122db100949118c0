"""Forecasts: what is going to happen in a twin, how sure that is, and from what it was computed.

Simulation times are in the twin's time unit, from its start; event times are the same instants in UTC. Every interval is
meant to hold 90 % (`INTERVAL`) of the futures, or of the estimates, that it speaks of.

A forecast comes in revisions, each better than the one before and complete in itself; the last has `final`. `id` is the same
for a revision that is sent again. A revision with an `error` says why there is nothing better; earlier revisions stand.
Fields are only ever added, with a default.
"""

from dataclasses_avroschema import types
from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import Field

INTERVAL = 0.90
"""What every interval in a forecast is meant to hold."""

QUANTILES = (0.05, 0.25, 0.50, 0.75, 0.95)
"""The quantiles of a band."""

DUE = "due"
"""The attribute of an entity that holds its due time, as simulation time. Late is who has not finished by then."""

BASELINE = "baseline"
"""The name of the future without any scenario's commands."""


class Bottleneck(AvroBaseModel):
    """A resource that may become a bottleneck, as the blueprint's `watch.bottleneck` defines one."""

    resource: str = Field(description="Name of the resource")
    present: bool = Field(False, description="Whether it is a bottleneck already")
    probability: float = Field(description="Share of the replications in which one forms within the horizon (1 or 0 if exact)")
    probability_low: float = Field(description="Lower end of the Wilson interval of the probability")
    probability_high: float = Field(description="Upper end of it")
    first: float = Field(0.0, description="Share of the replications in which it is the next one of all to form")
    sim_time: float | None = Field(None, description="When: the median over the replications in which it forms")
    sim_time_low: float | None = Field(None, description="5 % of them are earlier")
    sim_time_high: float | None = Field(None, description="5 % of them are later")
    event_time: types.DateTimeMicro | None = Field(None, description="The median as a UTC date and time")

    class Meta:
        namespace = "twin.forecasts"


class Threshold(AvroBaseModel):
    """When a measured quantity first reaches a level. Null times: not within the horizon in so many replications."""

    quantity: str = Field(description="Path, for example resources.b.queue or containers.tank.level")
    level: float = Field(description="The level that is reached, from below or, for empty, from above")
    why: str = Field(description="Where the level comes from: watch.bottleneck, queue_limit, empty, full or a question")
    probability: float = Field(description="Share of the replications that reach it within the horizon")
    probability_low: float = Field(description="Lower end of the Wilson interval of the probability")
    probability_high: float = Field(description="Upper end of it")
    sim_time_low: float | None = Field(None, description="5 % of all replications reach it earlier")
    sim_time: float | None = Field(None, description="Half of all replications reach it by then")
    sim_time_high: float | None = Field(None, description="95 % of all replications reach it by then")

    class Meta:
        namespace = "twin.forecasts"


class Band(AvroBaseModel):
    """A quantity over time: quantiles over the replications at each time of the outlook's grid."""

    quantity: str = Field(description="Path, for example resources.b.queue, resources.b.utilisation, wip, throughput")
    now: float | None = Field(None, description="Its value now; null for what is measured over an interval")
    q05: list[float] = Field(description="5 % quantile at each time of the grid")
    q25: list[float] = Field(description="25 % quantile")
    q50: list[float] = Field(description="Median")
    q75: list[float] = Field(description="75 % quantile")
    q95: list[float] = Field(description="95 % quantile")

    class Meta:
        namespace = "twin.forecasts"


class EntityOutlook(AvroBaseModel):
    """An entity that is in progress now: when it leaves. Null times lie beyond the horizon."""

    entity: int = Field(description="Number of the entity")
    flow: str = Field(description="Flow that it began in")
    leaves_low: float | None = Field(None, description="5 % of the replications see it leave earlier")
    leaves: float | None = Field(None, description="Median of the time at which it leaves")
    leaves_high: float | None = Field(None, description="5 % of the replications see it leave later")
    finished: float = Field(description="Share of the replications in which it finishes within the horizon")
    due: float | None = Field(None, description="Its attribute `due`")
    late: float | None = Field(None, description="Probability of not having finished by `due`, over the replications that tell")
    late_low: float | None = Field(None, description="Lower end of its Wilson interval; those that do not tell count as in time")
    late_high: float | None = Field(None, description="Upper end of it; those that do not tell count as late")
    shift: float | None = Field(None, description="In a scenario: mean change of its leaving time, where it leaves in both")

    class Meta:
        namespace = "twin.forecasts"


class Total(AvroBaseModel):
    """One figure for the whole horizon: the interval of its mean, and quantiles over the replications."""

    quantity: str = Field(description="For example finished, left, late, resources.b.queue_mean, resources.b.utilisation")
    mean: float = Field(description="Mean over the replications")
    mean_low: float | None = Field(None, description="Lower end of the interval of the mean; null with one replication of many")
    mean_high: float | None = Field(None, description="Upper end of it")
    q05: float = Field(description="5 % quantile over the replications")
    q50: float = Field(description="Median")
    q95: float = Field(description="95 % quantile")

    class Meta:
        namespace = "twin.forecasts"


class Outlook(AvroBaseModel):
    """One future, with or without a scenario's commands."""

    sentence: str = Field(description="The main point in words")
    bottleneck: str | None = Field(None, description="Resource that is most often the next to become a bottleneck")
    bottlenecks: list[Bottleneck] = Field(default_factory=list, description="Every resource that becomes one, likeliest first")
    thresholds: list[Threshold] = Field(default_factory=list, description="Levels that are reached in some replication")
    grid: list[float] = Field(default_factory=list, description="Simulation times of the bands' values")
    bands: list[Band] = Field(default_factory=list, description="Quantities over time; the resources that have most to do")
    totals: list[Total] = Field(default_factory=list, description="Figures for the whole horizon")
    entities: list[EntityOutlook] = Field(default_factory=list, description="Entities in progress; those with a due time first")
    entities_total: int = Field(0, description="Entities in progress, also those that are not listed")

    class Meta:
        namespace = "twin.forecasts"


class Difference(AvroBaseModel):
    """A figure in a scenario less the same figure in the baseline, replication by replication under common random numbers."""

    quantity: str = Field(description="As in the totals")
    baseline: float = Field(description="Mean in the baseline")
    scenario: float = Field(description="Mean in the scenario")
    mean: float = Field(description="Mean of the paired differences: scenario less baseline")
    low: float | None = Field(
        None, description="Lower end of the interval of the mean difference; null with one replication of many"
    )
    high: float | None = Field(None, description="Upper end of it")

    class Meta:
        namespace = "twin.forecasts"


class FirstDifference(AvroBaseModel):
    """The first event in which a scenario departs from the baseline, apart from the scenario's own commands."""

    sim_time: float = Field(description="When")
    event_time: types.DateTimeMicro = Field(description="When, as a UTC date and time")
    scenario_event: str | None = Field(None, description="What happens there in the scenario, in words; null: nothing does")
    baseline_event: str | None = Field(None, description="What happens at that point in the baseline")

    class Meta:
        namespace = "twin.forecasts"


class Scenario(AvroBaseModel):
    """What happens if: one future with a scenario's commands, beside the baseline."""

    name: str = Field(description="Name of the scenario")
    outlook: Outlook | None = Field(None, description="Null when its commands were refused")
    differences: list[Difference] = Field(default_factory=list, description="Against the baseline")
    first_difference: FirstDifference | None = Field(None, description="Null when the two are the same")
    refused: list[str] = Field(default_factory=list, description="Commands of the scenario that were refused, and why")

    class Meta:
        namespace = "twin.forecasts"


class Failure(AvroBaseModel):
    """Why there is no better answer."""

    code: str = Field(description="Stable name of the kind of failure, for example fork-crashed or superseded")
    message: str = Field(description="What happened")
    remedy: str | None = Field(None, description="What the reader can do")

    class Meta:
        namespace = "twin.forecasts"


class Case(AvroBaseModel):
    """What a standing question asks about, and how likely it is: the one thing, or one of the entities."""

    claim: str = Field(description="What may come about, in words")
    entity: int | None = Field(None, description="Number of the entity that it is about, if it is about one")
    probability: float = Field(description="Share of the replications that tell in which it comes about")
    low: float = Field(description="Lower end of its Wilson interval")
    high: float = Field(description="Upper end of it; what is not told counts as coming about")
    beyond: bool = Field(False, description="Whether some of it lies beyond the horizon, and more replications would not tell")
    sim_time: float | None = Field(None, description="When: the median, of a late entity that of its leaving; null: not known")
    chance: str = Field(description="How likely, in words")
    sentence: str = Field(description="All of it in words")

    class Meta:
        namespace = "twin.forecasts"


class Answer(AvroBaseModel):
    """The answer to a standing question of the blueprint, for the future without any scenario's commands."""

    question: str = Field(description="Name of the question")
    kind: str = Field(description="late, bottleneck or quantity")
    above: float = Field(description="Probability above which somebody is to be told")
    cases: list[Case] = Field(default_factory=list, description="The likeliest first; of `late`, a hundred entities at most")
    unlisted: types.Int32 = Field(0, description="Further entities whose interval is not wholly below `above`")

    class Meta:
        namespace = "twin.forecasts"


class ForecastRecord(AvroBaseModel):
    """One revision of one forecast. Provenance first, the answer after it."""

    id: str = Field(description="Twin, sequence number, trigger and revision; the key for de-duplication")
    twin: str = Field(description="Name of the twin; also the key of the record")
    trigger: str = Field(
        description="What asked for it: change, command, api, schedule, question, takeover, local, past; offset or time"
    )
    revision: types.Int32 = Field(description="From 1; each revision replaces those before it")
    final: bool = Field(description="Whether this is the last revision")
    source_topic: str | None = Field(None, description="Topic of the command that triggered it, if one did")
    source_partition: types.Int32 | None = Field(None, description="Partition of that command")
    source_offset: int | None = Field(None, description="Offset of that command")
    command: str | None = Field(None, description="The producer's id of that command, if it gave one")
    as_of_sim_time: float = Field(description="Simulation time of the state that was forked")
    as_of_event_time: types.DateTimeMicro = Field(description="The same as a UTC date and time")
    as_of_seq: int = Field(description="Sequence number of the last event in that state")
    as_of_offset: int | None = Field(None, description="Last config offset that was applied in that state")
    input_age_s: float | None = Field(None, description="Seconds from the last command's timestamp to the fork; null if unknown")
    lag_s: float = Field(0.0, description="How far the twin was behind its clock at the fork, in wall seconds")
    time_unit: str = Field(description="seconds, minutes, hours or days: the unit of all simulation times")
    horizon: float = Field(description="How far ahead it looks, in that unit")
    horizon_asked: float = Field(description="How far it was asked to look; longer than `horizon` if that took too many events")
    seed: int = Field(description="Seed of the twin; replication r uses its random streams with salt r")
    blueprint_hash: str = Field(description="Digest of the twin's blueprint")
    deterministic: bool = Field(False, description="No random number is drawn within the horizon: one run, and it is exact")
    replications: types.Int32 = Field(0, description="Replications of each future so far")
    precise: bool = Field(False, description="Whether the intervals are as narrow as was asked for")
    coverage: float = Field(
        0.0, description="Share of futures that the outer quantiles hold: 0.9, less with under 19 replications"
    )
    compute_s: float = Field(0.0, description="Seconds from the fork to this revision")
    created_at: types.DateTimeMicro = Field(description="When this revision was made, by the worker's clock, UTC")
    sentence: str = Field(description="The answer in words")
    baseline: Outlook | None = Field(None, description="What happens if nobody does anything; null with an error")
    scenarios: list[Scenario] = Field(default_factory=list, description="What happens if, side by side")
    answers: list[Answer] = Field(default_factory=list, description="To the blueprint's standing questions")
    error: Failure | None = Field(None, description="Why there is no better answer; null if all went well")

    class Meta:
        namespace = "twin.forecasts"
