"""Events to bytes: Avro in the layout of :class:`models.events.TwinEvent`, or the same fields as JSON.

Encoding never fails for an event that the kernel can make: an integer beyond 64 bits is written as its decimal text, a list
or an object as JSON text, half of a surrogate pair as a question mark.
"""

import io
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import fastavro
import orjson

from models.errors import TwinError
from models.events import EVENT_TIME_US_MAX, EVENT_TIME_US_MIN, EventRecord, Scalar, SourceOffset, TwinEvent, utc_from_us
from topics.binary import WORDS_KEPT, double, long, string, word

DEPTH_MAX = 200
"""Deepest nesting of a list or an object that is carried as JSON text; orjson stops at 254."""

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
_SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())

_BRANCH_0, _BRANCH_1, _END = long(0), long(1), long(0)
_BY_A_RECORD = _BRANCH_1 + _BRANCH_1
"""The cause is there, and names a topic."""
_BY_AN_EVENT = _BRANCH_1 + 3 * _BRANCH_0 + _BRANCH_1
"""The cause is there, and names only an event."""
_BRANCHES: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    type(None): (0, lambda _: b""),
    bool: (1, lambda value: b"\1" if value else b"\0"),
    int: (2, long),
    float: (3, double),
    str: (4, string),
}
"""By type, the branch of the payload's union, and what writes the value."""


def scalar(value: Any) -> Scalar:
    """``value`` as the payload carries it: unchanged when it is a scalar of at most 64 bits, otherwise as text."""
    kind = type(value)
    if kind is str or kind is float or kind is bool or value is None:
        return value
    if isinstance(value, int):
        number = int(value)
        return number if LONG_MIN <= number <= LONG_MAX else _digits(number)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    return json_text(value)


def _digits(number: int) -> str:
    # Python refuses to write very long integers in decimal, since that takes quadratic time.
    return str(number) if number.bit_length() < 10_000 else hex(number)


def json_text(value: Any) -> str:
    """The JSON text of a list or an object, with keys in their given order.

    Raises TwinError ``unencodable-value`` for what is no JSON value.
    """
    try:
        return orjson.dumps(value, option=_JSON_OPTIONS).decode()
    except TypeError:  # beyond what orjson takes: see _orderly; rare, so that the common way is not slowed down
        return orjson.dumps(_orderly(value), option=_JSON_OPTIONS).decode()


def _orderly(value: Any, depth: int = 0) -> Any:
    """``value`` with huge integers as text, halves of surrogate pairs replaced, and nesting cut at DEPTH_MAX."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if value is None or isinstance(value, bool | int | float):
        return scalar(value)
    if depth >= DEPTH_MAX:
        return "(nested too deeply)"
    if isinstance(value, Mapping):
        return {_orderly(str(name)): _orderly(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_orderly(inner, depth + 1) for inner in value]
    raise TwinError(
        "unencodable-value",
        f"a payload value of type {type(value).__name__} is no JSON value",
        remedy="emit null, true, false, numbers, strings, lists and objects only",
    )


def encode_avro(event: EventRecord, header: bytes = b"") -> bytes:
    """``header`` followed by the event in Avro binary.

    ``header`` is what a registry's wire format puts in front, for example the magic byte and the schema id.
    """
    try:
        return _written(event, header)
    except (KeyError, ValueError, OverflowError, TypeError, AttributeError, struct.error):
        pass  # a list, an integer beyond 64 bits, half of a surrogate pair: rare, so that the common way does not look for them
    out = io.BytesIO()
    out.write(header)
    fastavro.schemaless_writer(out, _SCHEMA, _orderly(as_dict(event)))
    return out.getvalue()


def _written(event: EventRecord, header: bytes) -> bytes:
    """The fields in the order of the schema, each union as the number of its branch and the value. Raises many kinds.

    fastavro writes the same bytes in three times the time; tests hold the two against each other (docs/decisions/0105).
    """
    twin, seq, sim_time, event_time_us, kind, entity, cause, payload = event
    if not EVENT_TIME_US_MIN <= event_time_us <= EVENT_TIME_US_MAX:
        raise ValueError("the time is to be clamped")
    parts = [header, string(f"{twin}:{seq}"), word(twin), long(seq), double(sim_time), long(event_time_us), word(kind)]
    add = parts.append
    if entity is None:
        add(_BRANCH_0)
    else:
        add(_BRANCH_1)
        add(long(entity))
    if cause is None:
        add(_BRANCH_0)
    elif isinstance(cause, tuple):
        topic, partition, offset = cause
        parts += (_BY_A_RECORD, word(topic), _BRANCH_1, long(partition), _BRANCH_1, long(offset), _BRANCH_0)
    else:
        parts += (_BY_AN_EVENT, string(f"{twin}:{cause}"))
    if payload:
        add(long(len(payload)))
        for name, value in payload.items():
            before, write = _entry(name, type(value))  # type: ignore[arg-type]
            add(before)
            add(write(value))
    add(_END)
    return b"".join(parts)


@lru_cache(WORDS_KEPT)
def _entry(name: str, of: type) -> tuple[bytes, Callable[[Any], bytes]]:
    """What comes before a payload's value of this name and type, and what writes the value. Raises KeyError for other types."""
    branch, write = _BRANCHES[of]
    return string(name) + long(branch), write


def _because(twin: str, cause: SourceOffset | int | None) -> dict[str, Any] | None:
    if cause is None:
        return None
    if isinstance(cause, int):
        return {"topic": None, "partition": None, "offset": None, "event": f"{twin}:{cause}"}
    return {"topic": cause[0], "partition": cause[1], "offset": cause[2], "event": None}


def as_dict(event: EventRecord) -> dict[str, Any]:
    """The event as the fields of :class:`TwinEvent`, ``event_time`` as microseconds since 1970."""
    twin, seq, sim_time, event_time_us, kind, entity, cause, payload = event
    return {
        "id": f"{twin}:{seq}",
        "twin": twin,
        "seq": seq,
        "sim_time": sim_time,
        "event_time": min(max(event_time_us, EVENT_TIME_US_MIN), EVENT_TIME_US_MAX),
        "kind": kind,
        "entity": entity,
        "cause": _because(twin, cause),
        "payload": {name: scalar(value) for name, value in payload.items()},
    }


def encode_json(event: EventRecord) -> bytes:
    """The event as JSON with the same fields; ``event_time`` is ISO 8601 with Z. NaN and infinity become null."""
    fields = as_dict(event)
    fields["event_time"] = utc_from_us(event.event_time_us)
    try:
        return orjson.dumps(fields, option=_JSON_OPTIONS)
    except TypeError:
        fields["event_time"] = orjson.loads(orjson.dumps(fields["event_time"], option=_JSON_OPTIONS))
        return orjson.dumps(_orderly(fields), option=_JSON_OPTIONS)


def to_model(event: EventRecord) -> TwinEvent:
    """The event as its validated class. Slow: for local runs and consumers, not for the way out."""
    return TwinEvent.model_validate({**as_dict(event), "event_time": utc_from_us(event.event_time_us)})
