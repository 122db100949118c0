"""The layout of events of one shape: the schema that writes the same bytes with less to find out for each.

In Avro's binary form a union is a number and a value, a map is a count, then names and values: whatever is the same for all
events of one shape (kind, names and types of the payload, kind of cause) is the same bytes in each. A layout is a record schema
with just those bytes as constants and the values between them as plain fields. fastavro writes it as it writes any record, and
has no branch of a union to look for; the constants are fastavro's own, too. That it is right, tests show byte for byte
(docs/decisions/0102).
"""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import fastavro

LAYOUTS_MAX = 2_000
"""Shapes that are laid out; events of any others are written as their schema has it."""
SEEN_BEFORE = 2
"""A shape is laid out when it comes again after so many times: it costs as much as some twenty events."""
CANDIDATES_MAX = 1_000

BRANCHES: dict[type, tuple[int, str]] = {
    type(None): (0, "null"),
    bool: (1, "boolean"),
    int: (2, "long"),
    float: (3, "double"),
    str: (4, "string"),
}
"""By type, the branch of the payload's union: its number, and how the value is written."""

Shape = tuple[str, bool, object, tuple[str, ...], tuple[type, ...]]
"""Kind; whether no entity is named; None, `int` or the topic of the cause; names and types of the payload."""


class Layout(NamedTuple):
    """`constants` by field; `values`: the fields of the payload's values, in their order."""

    schema: Any
    constants: dict[str, Any]
    values: tuple[str, ...]


class Layouts:
    """The layouts of the shapes that come often, made when they do. Bounded."""

    def __init__(self) -> None:
        self.known: dict[Shape, Layout] = {}
        self._candidates: dict[Shape, int] = {}

    def learn(self, shape: Shape) -> Layout | None:
        """The layout of a shape that is not known; None if it has not come often enough. Raises what fastavro raises."""
        if not all(of in BRANCHES for of in shape[4]):
            return None
        seen = self._candidates.pop(shape, 0)
        if seen < SEEN_BEFORE:
            if len(self._candidates) >= CANDIDATES_MAX:
                self._candidates.clear()
            self._candidates[shape] = seen + 1
            return None
        if len(self.known) >= LAYOUTS_MAX:
            return None
        layout = self.known[shape] = layout_of(shape)
        return layout


def layout_of(shape: Shape) -> Layout:
    """The layout. Raises KeyError, TypeError or ValueError where Avro does not take a name or a type."""
    kind, anonymous, cause, names, types = shape
    out = _Fields()
    for name, written in (("id", "string"), ("twin", "string"), ("seq", "long"), ("sim_time", "double"), ("event_time", "long")):
        out.value(name, written)
    out.constant(("string", kind), ("long", 0 if anonymous else 1))
    if not anonymous:
        out.value("entity", "long")
    if cause is None:
        out.constant(("long", 0))
    elif cause is int:
        out.constant(("long", 1), ("long", 0), ("long", 0), ("long", 0), ("long", 1))
        out.value("event", "string")
    else:
        out.constant(("long", 1), ("long", 1), ("string", cause), ("long", 1))
        out.value("partition", "int")
        out.constant(("long", 1))
        out.value("offset", "long")
        out.constant(("long", 0))
    if names:
        out.constant(("long", len(names)))
    for i, (name, of) in enumerate(zip(names, types, strict=True)):
        branch, written = BRANCHES[of]
        out.constant(("string", name), ("long", branch))
        if of is not type(None):
            out.value(f"value{i}", written)
    out.constant(("long", 0))
    return Layout(out.schema(), out.constants, tuple(f"value{i}" for i in range(len(names))))


class _Fields:
    """The fields of a layout in the making; constants next to each other become one."""

    def __init__(self) -> None:
        self.constants: dict[str, Any] = {}
        self._fields: list[tuple[str, str | None]] = []

    def value(self, name: str, written: str) -> None:
        self._fields.append((name, written))

    def constant(self, *parts: tuple[str, Any]) -> None:
        if not self._fields or self._fields[-1][1] is not None:
            self._fields.append((f"constant{len(self._fields)}", None))
        name = self._fields[-1][0]
        self.constants[name] = self.constants.get(name, b"") + b"".join(_written(*part) for part in parts)

    def schema(self) -> Any:
        fields = [{"name": name, "type": written or self._fixed(name)} for name, written in self._fields]
        return fastavro.parse_schema({"type": "record", "name": "Layout", "fields": fields})

    def _fixed(self, name: str) -> dict[str, Any]:
        return {"type": "fixed", "name": f"of_{name}", "size": len(self.constants[name])}


def _written(schema: str, value: Any) -> bytes:
    if schema == "string" and type(value) is not str:
        raise TypeError("a name is a string")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()
