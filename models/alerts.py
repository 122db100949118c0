"""Alerts: a standing question of a twin has become true, or is not true any more.

The key is the twin, the question and, for entities, the number: `Line_A/late_orders/17`. The latest record of a key says how it
stands. A key without a value is over for ever. `id` is the same where a change is told twice. Fields are only ever added, with a
default.
"""

from dataclasses_avroschema import types
from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import Field


class Alert(AvroBaseModel):
    """One change of one question, and the forecast that it rests on."""

    id: str = Field(description="Key, life of the twin and number of the change; the key for de-duplication")
    twin: str = Field(description="Name of the twin")
    question: str = Field(description="Name of the question in its blueprint")
    entity: int | None = Field(None, description="Number of the entity that it is about, if it is about one")
    raised: bool = Field(description="Whether it is true from now on; else it is not any more")
    reason: str = Field(description="forecast; left: the entity has; withdrawn: the question is not asked any more")
    sentence: str = Field(description="All of it in words")
    number: int = Field(description="Which change of this key in this life of the twin: odd when raised")
    life: int = Field(description="Events of earlier twins of this name; tells a twin from one that began anew")
    above: float | None = Field(None, description="Probability above which it is raised")
    probability: float | None = Field(None, description="Its probability; null: not told by the forecast")
    low: float | None = Field(None, description="Lower end of its 90 % interval: above `above` when it is raised")
    high: float | None = Field(None, description="Upper end of it: below `above` when it is not any more")
    expected_sim_time: float | None = Field(None, description="When it is expected, in the twin's time unit; null: not known")
    expected_event_time: types.DateTimeMicro | None = Field(None, description="The same as a UTC date and time")
    forecast: str | None = Field(None, description="Id of the forecast's revision; null for what was withdrawn")
    as_of_sim_time: float | None = Field(None, description="Simulation time of the state that it looked ahead from")
    as_of_event_time: types.DateTimeMicro | None = Field(None, description="The same as a UTC date and time")
    as_of_seq: int | None = Field(None, description="Sequence number of the last event in that state")
    replications: types.Int32 = Field(0, description="Of that forecast")
    deterministic: bool = Field(False, description="Nothing was left to chance: it is exact")
    created_at: types.DateTimeMicro = Field(description="When it was found, by the worker's clock, UTC")

    class Meta:
        namespace = "twin.alerts"
