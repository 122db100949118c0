"""Two tellings of the same twins, compared event by event. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import TwinError

EVENTS_MAX = 2_000_000
"""Of each side: both are held in memory, since they may name the twins in another order."""

Event = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first event of one twin that is not the same on both sides. `field`: the first that differs; None if one has no event.

    `a` and `b` are the events (None: there is none).
    """

    twin: str
    seq: int
    field: str | None
    a: Event | None
    b: Event | None

    @property
    def sim_time(self) -> float:
        """When it happened, in the twin's units; the earlier one of both."""
        return min(float(event.get("sim_time", 0.0)) for event in (self.a, self.b) if event is not None)

    def __str__(self) -> str:
        place = f"{self.twin}:{self.seq} at {self.sim_time:g}"
        if self.a is None or self.b is None:
            only, event = ("B", self.b) if self.a is None else ("A", self.a)
            assert event is not None
            return f"{place}: only {only} has it ({event.get('kind')})"
        return f"{place}: {self.field} is {_at(self.a, self.field)!r} in A and {_at(self.b, self.field)!r} in B"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it: the first difference of each twin, the earliest first, and how many events each side had."""

    differences: list[Difference]
    a: int
    b: int


def compare(a: Iterable[Event], b: Iterable[Event]) -> Comparison:
    """Raises TwinError `too-many-events`; `bad-event` for one without twin or sequence number, or one that repeats another."""
    one, other = _by_twin(a, "A"), _by_twin(b, "B")
    found = []
    for twin in sorted(one.keys() | other.keys()):
        difference = _first(twin, one.get(twin, {}), other.get(twin, {}))
        if difference is not None:
            found.append(difference)
    found.sort(key=lambda difference: (difference.sim_time, difference.twin))
    return Comparison(found, sum(map(len, one.values())), sum(map(len, other.values())))


def _by_twin(events: Iterable[Event], side: str) -> dict[str, dict[int, Event]]:
    twins: dict[str, dict[int, Event]] = {}
    for count, event in enumerate(events, 1):
        if count > EVENTS_MAX:
            raise TwinError("too-many-events", f"more than {EVENTS_MAX:,} events", place=side, remedy="compare shorter stretches")
        twin, seq = event.get("twin"), event.get("seq")
        if not isinstance(twin, str) or not isinstance(seq, int):
            raise TwinError("bad-event", "an event needs `twin` and `seq`", place=f"{side}, event {count}")
        seen = twins.setdefault(twin, {})
        if seq in seen:
            raise TwinError("bad-event", f"{twin}:{seq} is there twice", place=f"{side}, event {count}")
        seen[seq] = event
    return twins


def _first(twin: str, one: dict[int, Event], other: dict[int, Event]) -> Difference | None:
    for seq in sorted(one.keys() | other.keys()):
        a, b = one.get(seq), other.get(seq)
        if a is None or b is None:
            return Difference(twin, seq, None, a, b)
        field = _field(a, b)
        if field is not None:
            return Difference(twin, seq, field, a, b)
    return None


def _field(a: Event, b: Event) -> str | None:
    """The first field that differs; one of the payload or of the cause by its own name."""
    for name in [*a, *(name for name in b if name not in a)]:
        one, other = a.get(name), b.get(name)
        if _same(one, other):
            continue
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            inner = [key for key in [*one, *other] if not _same(one.get(key), other.get(key)) or (key in one) != (key in other)]
            return f"{name}.{inner[0]}" if inner else name
        return name
    return None


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1 is not 1.0 and not true."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)


def _at(event: Event, field: str | None) -> Any:
    name, _, inner = (field or "").partition(".")
    value = event.get(name)
    return value.get(inner) if inner and isinstance(value, Mapping) else value
