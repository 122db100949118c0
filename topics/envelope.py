"""Events to bytes: Avro by fastavro in the layout of :class:`models.events.TwinEvent`, or the same fields as JSON.

Encoding never fails for an event that the kernel can make: an integer beyond 64 bits is written as its decimal text, a list
or an object as JSON text, half of a surrogate pair as a question mark.
"""

import io
from collections.abc import Mapping
from typing import Any

import fastavro
import orjson

from models.errors import TwinError
from models.events import EVENT_TIME_US_MAX, EVENT_TIME_US_MIN, EventRecord, Scalar, SourceOffset, TwinEvent, utc_from_us
from topics.layouts import Layouts

DEPTH_MAX = 200
"""Deepest nesting of a list or an object that is carried as JSON text; orjson stops at 254."""

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
_LAYOUTS = Layouts()
_SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())


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
    twin, seq, sim_time, event_time_us, kind, entity, cause, payload = event
    of_cause = None if cause is None else int if isinstance(cause, int) else cause.topic
    shape = (kind, entity is None, of_cause, tuple(payload), tuple(map(type, payload.values())))
    try:
        layout = _LAYOUTS.known.get(shape) or _LAYOUTS.learn(shape)
        if layout is not None and EVENT_TIME_US_MIN <= event_time_us <= EVENT_TIME_US_MAX:
            schema, constants, values = layout
            fields = constants.copy()
            fields.update(zip(values, payload.values(), strict=True))
            fields["id"] = f"{twin}:{seq}"
            fields["twin"] = twin
            fields["seq"] = seq
            fields["sim_time"] = sim_time
            fields["event_time"] = event_time_us
            fields["entity"] = entity
            if isinstance(cause, tuple):
                _, fields["partition"], fields["offset"] = cause
            elif cause is not None:
                fields["event"] = f"{twin}:{cause}"
            out = io.BytesIO()
            out.write(header)
            fastavro.schemaless_writer(out, schema, fields)
            return out.getvalue()
    except (KeyError, ValueError, OverflowError, TypeError):
        pass  # a list, an integer beyond 64 bits, half of a surrogate pair: rare, so that the common way does not look for them
    out = io.BytesIO()
    out.write(header)
    fastavro.schemaless_writer(out, _SCHEMA, _orderly(as_dict(event)))
    return out.getvalue()


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
