"""Casting: what a value on the wire becomes for a path of a given type. Strict and predictable: exact or refused.

| type   | accepted                                                                    |
|--------|-----------------------------------------------------------------------------|
| int    | a number without a fraction, or a string that is one; never a boolean        |
| float  | a finite number, or a string that is one; never a boolean                    |
| bool   | true, false, or the strings "true" and "false" in any case; never a number   |
| str    | a string                                                                    |
| list   | a list                                                                      |
| object | an object                                                                   |
| json   | anything (a variable that began as null)                                    |
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Any, Literal

import orjson

from models.errors import Rejected

ParameterType = Literal["int", "float", "bool", "str", "list", "object", "json"]

INTEGER_EXACT_MAX = 2**53
NUMBER_CHARS_MAX = 40
VALUE_BYTES_MAX = 16_384

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def type_of(value: object) -> ParameterType:
    """The type that a path has for ever when it begins with `value`."""
    if value is None:
        return "json"
    if isinstance(value, bool):
        return "bool"
    names: dict[type, ParameterType] = {int: "int", float: "float", str: "str", list: "list", dict: "object"}
    return names[type(value)]


def cast(path: str, kind: ParameterType, value: Any) -> Any:
    """`value` as the type `kind`. Raises Rejected: `wrong-type`, `not-finite`, `number-too-large`, `value-too-large`."""
    if kind == "float" or kind == "int":
        if kind == "float" and type(value) is float and isfinite(value):
            return value + 0.0  # as in _finite
        number = _number(path, kind, value)
        return _integral(path, number, value) if kind == "int" else _finite(path, number, value)
    if kind == "bool":
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if isinstance(value, bool):
            return value
        raise _wrong_type(path, kind, value)
    shapes: dict[str, type] = {"str": str, "list": list, "object": dict}
    if kind != "json" and not isinstance(value, shapes[kind]):
        raise _wrong_type(path, kind, value)
    return bounded(path, value)


def bounded(path: str, value: Any, limit_bytes: int = VALUE_BYTES_MAX) -> Any:
    """`value` if its JSON is within the limit and holds finite numbers only. Raises Rejected.

    Events carry the old and the new value, so that a value without a limit would be an event that no broker takes.
    """
    try:
        size = len(orjson.dumps(value))
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise Rejected("wrong-type", f"not a JSON value: {str(error)[:100]}", path=path) from None
    if size > limit_bytes:
        raise Rejected("value-too-large", f"the value has {size:,} bytes as JSON; the limit is {limit_bytes:,}", path=path)
    if isinstance(value, float | dict | list):
        _all_finite(path, value)
    return value


def _number(path: str, kind: ParameterType, value: Any) -> int | float:
    if isinstance(value, bool):
        raise _wrong_type(path, kind, value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and len(value) <= NUMBER_CHARS_MAX and _NUMBER.fullmatch(value):
        return float(value) if any(mark in value for mark in ".eE") else int(value)
    raise _wrong_type(path, kind, value)


def _integral(path: str, number: int | float, value: Any) -> int:
    if isinstance(number, float):
        _finite(path, number, value)
    if abs(number) > INTEGER_EXACT_MAX:
        raise Rejected("number-too-large", "an integer is at most 2**53 in size", path=path, value=_shown(value))
    if number != int(number):
        raise Rejected("wrong-type", f"{_shown(value)} has a fraction; the path is an int", path=path, value=value)
    return int(number)


def _finite(path: str, number: int | float, value: Any) -> float:
    if isinstance(number, int) and number.bit_length() > 1_000:
        raise Rejected("number-too-large", "the number is too large", path=path, value=_shown(value))
    if not isfinite(number):
        raise Rejected("not-finite", f"{number} is not a finite number", path=path, value=str(number))
    return float(number) + 0.0  # -0.0 becomes 0.0: equal values must have equal bytes


def _all_finite(path: str, value: Any) -> None:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, float) and not isfinite(node):
            raise Rejected("not-finite", f"{node} is not a finite number", path=path)


def _wrong_type(path: str, kind: ParameterType, value: Any) -> Rejected:
    spoken = {"int": "an int", "object": "an object"}.get(kind, f"a {kind}")
    return Rejected(
        "wrong-type",
        f"{_shown(value)} is not {spoken}",
        path=path,
        value=value,
        remedy=f"send {spoken}; a path's type never changes",
    )


def _shown(value: Any) -> str:
    """The value for a message, cut to a readable length."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"an integer of {value.bit_length()} bits"
    try:
        text = orjson.dumps(value).decode() if not isinstance(value, float) else repr(value)
    except (orjson.JSONEncodeError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."
