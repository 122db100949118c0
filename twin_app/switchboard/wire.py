"""From the bytes of a record to a plain JSON document, within bounds.

JSON is read by orjson; a second, slower reading by the standard library follows only where the first could hide something:
a member given twice (orjson keeps the last) or an integer too long to be exact (orjson makes it a float). Avro is read by a
function that the caller injects. Whatever the bytes are, the outcome is a document or a `Rejected`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

import orjson

from models.errors import Rejected

AvroReader = Callable[[bytes], Mapping[str, Any]]
"""Reads one record in the Confluent wire format (a 0 byte, the schema's id in four bytes, the Avro body).

Pure: it must know the schema already. Raises Rejected (`unknown-schema`, `bad-avro`).
"""

AVRO_MAGIC = 0
AVRO_HEADER_BYTES = 5
INTEGER_MAX = 2**63 - 1
FLAT_MEMBERS_MAX = 16
SHORT_NUMBER_MAX = 10**18
"""Any number that orjson reads as smaller than this was read exactly if it is whole: its text has less than 19 digits."""

_LONG_NUMBER = re.compile(rb"[0-9]{19}")


@dataclass(frozen=True)
class Limits:
    """Bounds of a record's value."""

    value_bytes: int = 1_048_576
    depth: int = 64
    members: int = 200_000


def read_document(value: bytes | None, limits: Limits, avro: AvroReader | None = None) -> dict[str, Any]:
    """The document that the record's value holds.

    Raises Rejected: `tombstone`, `too-large`, `bad-json`, `bad-avro`, `unknown-schema`, `not-an-object`, `duplicate-member`,
    `number-too-large`, `not-finite`, `too-deep`, `too-many-members`.
    """
    if value is None:
        raise Rejected(
            "tombstone",
            "a record without a value is not a command",
            remedy='to end a twin, send {"kind": "remove", "twin": ...}',
        )
    if len(value) > limits.value_bytes:
        raise Rejected(
            "too-large",
            f"the value has {len(value):,} bytes; the limit is {limits.value_bytes:,}",
            remedy="split the command, or raise the worker's limit on command bytes",
        )
    if value[:1] == b"\x00":
        return avro_document(value, limits, avro)
    return json_document(value, limits)


def json_document(text: bytes, limits: Limits) -> dict[str, Any]:
    """The object that the JSON text holds. Raises Rejected as `read_document` does."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        code = "too-deep" if "depth limit" in str(error) else "bad-json"
        raise Rejected(code, f"not readable as JSON: {error}", remedy="send one JSON object in UTF-8") from None
    if not isinstance(document, dict):
        raise Rejected("not-an-object", f"the JSON value is {_a(document)}, not an object", remedy="send one JSON object")
    if _is_flat(document):
        members, long = len(document), False
    else:
        members, long = check_values(document, limits), _LONG_NUMBER.search(text) is not None
    if long or text.count(b":") != members:
        json.loads(text, object_pairs_hook=_unique, parse_int=_exact)
    return document


def _is_flat(document: dict[str, Any]) -> bool:
    """Whether a document from JSON is as nearly all commands are: a few members, none with members of its own, no long number."""
    if len(document) > FLAT_MEMBERS_MAX:
        return False
    for child in document.values():
        kind = type(child)
        if kind is float or kind is int:
            if not -SHORT_NUMBER_MAX < child < SHORT_NUMBER_MAX:  # false for not-a-number, too
                return False
        elif kind is dict or kind is list:
            return False
    return True


def avro_document(value: bytes, limits: Limits, avro: AvroReader | None) -> dict[str, Any]:
    """The record that the Confluent-framed Avro holds, nulls left out, JSON text in it read. Raises Rejected."""
    if avro is None:
        raise Rejected("bad-avro", "this worker reads no Avro", remedy="configure a schema registry, or send JSON")
    if len(value) < AVRO_HEADER_BYTES:
        raise Rejected("bad-avro", f"{len(value)} bytes are too few for the Confluent wire format")
    try:
        record = avro(value)
    except Rejected:
        raise
    except (ArithmeticError, EOFError, IndexError, KeyError, TypeError, ValueError, RecursionError, AssertionError) as error:
        # What an Avro library raises on a damaged body is not one family of exceptions.
        raise Rejected("bad-avro", f"not readable as Avro: {type(error).__name__}: {str(error)[:200]}") from None
    if not isinstance(record, Mapping):
        raise Rejected("not-an-object", f"the Avro value is {_a(record)}, not a record", remedy="send an Avro record")
    document = {name: member for name, member in record.items() if member is not None}
    if isinstance(document.get("at"), datetime):  # the logical type timestamp-millis or -micros
        document["at"] = document["at"].isoformat()
    check_values(document, limits)
    if isinstance(document.get("blueprint"), str):
        document["blueprint"] = _json_text("blueprint", document["blueprint"], limits)
    if "more" in document:
        more = _json_text("more", document.pop("more"), limits)
        twice = next((name for name in more if name in document), None)
        if twice is not None:
            raise Rejected("duplicate-member", f"{twice!r} is given both as a field and in `more`")
        document |= more
    if document.get("kind", "set") == "set" and "path" in document:
        document.setdefault("value", None)
    return document


def check_values(document: object, limits: Limits) -> int:
    """Check nesting, number of members and every number; the number of object members. Raises Rejected."""
    members = seen = 0
    level: list[Any] = [document]
    for _ in range(limits.depth):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                members += len(node)
                children: Any = node.values()
                for name in node:
                    if not isinstance(name, str):
                        raise Rejected("bad-avro", f"a member's name is {_a(name)}, not a string")
            else:
                children = node
            seen += len(node)
            if seen > limits.members:
                raise Rejected(
                    "too-many-members", f"the value has more than {limits.members:,} members", remedy="split the command"
                )
            for child in children:
                if isinstance(child, dict | list):
                    below.append(child)
                elif child is not None and not isinstance(child, str | bool):
                    _check_number(child)
        if not below:
            return members
        level = below
    raise Rejected("too-deep", f"the value is nested deeper than {limits.depth} levels", remedy="flatten the value")


def _check_number(number: object) -> None:
    if isinstance(number, float):
        if not isfinite(number):
            raise Rejected("not-finite", f"{number} is not a finite number")
    elif isinstance(number, int):
        if not -INTEGER_MAX - 1 <= number <= INTEGER_MAX:
            raise Rejected("number-too-large", f"the integer {_short(number)} does not fit 64 bits")
    else:
        raise Rejected("bad-avro", f"{_a(number)} has no meaning in a command")


def _json_text(field: str, text: object, limits: Limits) -> dict[str, Any]:
    if not isinstance(text, str):
        raise Rejected("bad-json", f"`{field}` is {_a(text)}, not JSON text")
    try:
        return json_document(text.encode(), limits)
    except Rejected as rejected:
        raise Rejected(rejected.code, f"in `{field}`: {rejected.message}", remedy=rejected.remedy) from None
    except UnicodeEncodeError:
        raise Rejected("bad-json", f"`{field}` is not valid Unicode") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: dict[str, None] = {}
        for name, _ in pairs:
            if name in seen:
                raise Rejected("duplicate-member", f"the member {name[:100]!r} is given twice", remedy="give each member once")
            seen[name] = None
    return found


def _exact(digits: str) -> int:
    number = int(digits) if len(digits) <= 20 else INTEGER_MAX + 1
    if not -INTEGER_MAX - 1 <= number <= INTEGER_MAX:
        raise Rejected("number-too-large", f"the integer {digits[:24]}{'...' * (len(digits) > 24)} does not fit 64 bits")
    return number


def _short(number: int) -> str:
    return str(number) if number.bit_length() < 100 else f"of {number.bit_length()} bits"


def _a(thing: object) -> str:
    names: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a boolean",
        int: "a number",
        float: "a number",
    }
    return "null" if thing is None else names.get(type(thing), f"a {type(thing).__name__}")
