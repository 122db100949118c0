"""The Avro binary of an event, written straight from the kernel's tuple.

A writer that interprets the schema looks up, for each field, what it is; for each value of the payload, which branch of the
union fits. The envelope is one record that never breaks, so its layout is written out here once: the same bytes in about a
quarter of the time. `tests/topics/test_event_writer.py` compares every kind of value with fastavro's, and the layout with
:class:`models.events.TwinEvent`.

Layout: https://avro.apache.org/docs/1.11.1/specification/#binary-encoding (integers zigzag, base 128, low group first; strings
and maps with their length in front; a union's value after the number of its branch).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any

from models.events import EventRecord

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

TEXTS_KEPT = 4_096
"""Names of twins, kinds and payload entries whose bytes are kept: the same few come again and again."""

_double = Struct("<d").pack
_LAST = tuple(bytes((i,)) if i < 0x80 else bytes((i & 0x7F | 0x80, i >> 7)) for i in range(0x4000))
"""The end of an integer: its last one or two groups of seven bits."""
_MORE = tuple(bytes((i & 0x7F | 0x80, i >> 7 | 0x80)) for i in range(0x4000))
"""Two groups that others follow."""
_NULL = b"\x00"
_NO_SOURCE = b"\x02\x00\x00\x00\x02"
"""Of the union null or Cause the second branch; topic, partition and offset null; the event's id is there."""


def long(number: int) -> bytes:
    """An Avro int or long. Raises OverflowError beyond 64 bits."""
    zigzag = (number << 1) ^ (number >> 63)
    if zigzag < 0x4000:
        return _LAST[zigzag]
    if zigzag < 0x10000000:
        return _MORE[zigzag & 0x3FFF] + _LAST[zigzag >> 14]
    if not LONG_MIN <= number <= LONG_MAX:
        raise OverflowError(number)
    groups = b""
    while zigzag >= 0x4000:
        groups += _MORE[zigzag & 0x3FFF]
        zigzag >>= 14
    return groups + _LAST[zigzag]


def text(value: str) -> bytes:
    """An Avro string. Raises UnicodeEncodeError for half of a surrogate pair."""
    raw = value.encode()
    return long(len(raw)) + raw


_known_text = lru_cache(TEXTS_KEPT)(text)


def _string_value(value: str) -> bytes:
    raw = value.encode()
    return b"\x08" + long(len(raw)) + raw


def _double_value(value: float) -> bytes:
    return b"\x06" + _double(value)


def _long_value(value: int) -> bytes:
    return b"\x04" + long(value)


def _boolean_value(value: bool) -> bytes:
    return b"\x02\x01" if value else b"\x02\x00"


def _null_value(value: None) -> bytes:
    return _NULL


_VALUES: dict[type, Callable[[Any], bytes]] = {
    str: _string_value,
    float: _double_value,
    int: _long_value,
    bool: _boolean_value,
    type(None): _null_value,
}
"""By type, the value with the number of its branch in the payload's union: null, boolean, long, double, string."""


def event_bytes(event: EventRecord, header: bytes = b"") -> bytes:
    """`header` followed by the event in Avro binary.

    Raises KeyError for a payload value that is not exactly a str, float, int, bool or None; OverflowError for an integer beyond
    64 bits; UnicodeEncodeError for half of a surrogate pair; TypeError for a field of another type.
    """
    twin, seq, sim_time, event_time_us, kind, entity, cause, payload = event
    parts = [
        header,
        text(f"{twin}:{seq}"),
        _known_text(twin),
        long(seq),
        _double(sim_time),
        long(event_time_us),
        _known_text(kind),
        _NULL if entity is None else b"\x02" + long(entity),
    ]
    add = parts.append
    if cause is None:
        add(_NULL)
    elif isinstance(cause, int):
        add(_NO_SOURCE)
        add(text(f"{twin}:{cause}"))
    else:
        add(b"\x02\x02" + _known_text(cause[0]) + b"\x02" + long(cause[1]) + b"\x02" + long(cause[2]) + _NULL)
    if payload:
        add(long(len(payload)))
        for name, value in payload.items():
            add(_known_text(name))
            add(_VALUES[type(value)](value))
    add(_NULL)
    return b"".join(parts)
