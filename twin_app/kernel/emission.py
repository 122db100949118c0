"""What a twin tells: events, before the owner puts them into an envelope."""

from typing import Any, NamedTuple

Value = Any
"""A JSON value: None, bool, int, float, str, list or dict of them."""


class Emission(NamedTuple):
    """One event.

    `seq`: dense per twin, from 1. `sim_time`: in the blueprint's time unit, from the twin's start. `cause`: sequence number of
    the event that led to this one (mostly the entity's previous event); None when it came from the outside or by itself.
    `payload`: flat; read it, do not change it (events may share one).
    """

    seq: int
    sim_time: float
    kind: str
    entity: int | None
    cause: int | None
    payload: dict[str, Value]
