"""Vitals: measurements of the system itself, and of twins, at a wall-clock instant.

Vitals are not part of a twin's history: they depend on the machine, are not replayed, and may be lost.
"""

from typing import NamedTuple

from dataclasses_avroschema import types
from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import Field

LAG_SECONDS = "system.simulation.lag_seconds"
"""Distance between the time that a twin should have reached and the one it has, in wall seconds; 0 when on schedule."""


class VitalRecord(NamedTuple):
    """One measurement on its way out; the fields of :class:`Vital` with ``wall_time_us`` in microseconds since 1970."""

    twin: str | None
    name: str
    value: float
    unit: str
    wall_time_us: int
    partition: int


class Vital(AvroBaseModel):
    """One measurement."""

    twin: str | None = Field(description="The twin that was measured; null for the partition as a whole")
    name: str = Field(description="What was measured, dot separated, for example system.simulation.lag_seconds")
    value: float = Field(description="The measurement")
    unit: str = Field(description="Unit of the value, for example s, 1 or 1/s")
    wall_time: types.DateTimeMicro = Field(description="When it was measured, by the worker's clock, UTC")
    partition: types.Int32 = Field(description="Partition of the config topic that hosts the twin")

    class Meta:
        namespace = "twin.vitals"
