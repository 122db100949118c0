"""Which foreign Avro schemas are safe to decode with.

A writer's schema comes from the registry, which others write to, and a few bytes of a record can mean any number of values:
an array of 2**60 nulls takes ten bytes, a recursive type exhausts the stack of a compiled decoder (and with it the process).
Decoding is bounded here by refusing such schemas beforehand; what remains takes at most VALUES_PER_BYTE values for each byte of
the record, plus VALUES_MAX.
"""

from typing import Any

SCHEMA_CHARS_MAX = 64 * 1024
"""Longest text of a writer's schema that is looked at."""

NESTING_MAX = 32
"""Deepest nesting of types."""

VALUES_MAX = 2_000
"""Most values that a record without arrays and maps may have, all named types expanded."""

VALUES_PER_BYTE = 8
"""Most values that one encoded byte of an array's or a map's items may stand for."""

_PRIMITIVE_BYTES_MIN = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


class SchemaRefused(ValueError):
    """The schema is not decoded with; the text says why."""


def check_schema(parsed: Any) -> None:
    """Raise SchemaRefused when decoding with ``parsed`` (from ``json.loads``, valid Avro) could take unbounded time or memory."""
    values, _ = _Measure().of(parsed, "", 0)
    if values > VALUES_MAX:
        raise SchemaRefused(f"the schema has more than {VALUES_MAX} values")


class _Measure:
    """(values, bytes) of the smallest encoding of a type, found by walking the schema once per use of a named type."""

    def __init__(self) -> None:
        self._named: dict[str, tuple[int, int] | None] = {}

    def of(self, schema: Any, namespace: str, depth: int) -> tuple[int, int]:
        if depth > NESTING_MAX:
            raise SchemaRefused(f"types are nested more than {NESTING_MAX} deep")
        if isinstance(schema, str):
            return (1, _PRIMITIVE_BYTES_MIN[schema]) if schema in _PRIMITIVE_BYTES_MIN else self._reference(schema, namespace)
        if isinstance(schema, list):
            branches = [self.of(branch, namespace, depth + 1) for branch in schema]
            return max((values for values, _ in branches), default=0), 1 + min((size for _, size in branches), default=0)
        if not isinstance(schema, dict) or "type" not in schema:
            raise SchemaRefused("a type is neither a name, a union nor an object")
        kind = schema["type"]
        if kind == "array":
            return self._many(schema["items"], 0, namespace, depth)
        if kind == "map":
            return self._many(schema["values"], 1, namespace, depth)
        if kind in ("record", "error", "enum", "fixed"):
            return self._define(schema, kind, namespace, depth)
        return self.of(kind, namespace, depth + 1)

    def _many(self, items: Any, key_bytes: int, namespace: str, depth: int) -> tuple[int, int]:
        values, size = self.of(items, namespace, depth + 1)
        if values + 1 > VALUES_PER_BYTE * (size + key_bytes):
            raise SchemaRefused("the items of an array or a map can take (almost) no bytes")
        return 1, 1

    def _define(self, schema: dict, kind: str, namespace: str, depth: int) -> tuple[int, int]:
        name = str(schema.get("name", ""))
        namespace = name.rpartition(".")[0] if "." in name else str(schema.get("namespace", namespace) or "")
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        self._named[full] = None  # being defined: a reference to it from inside is a recursion
        if kind == "enum":
            measured = (1, 1)
        elif kind == "fixed":
            measured = (1, int(schema["size"]))
        else:
            fields = [self.of(field["type"], namespace, depth + 1) for field in schema["fields"]]
            measured = (1 + sum(values for values, _ in fields), sum(size for _, size in fields))
            if measured[0] > VALUES_MAX:
                raise SchemaRefused(f"the schema has more than {VALUES_MAX} values")
        self._named[full] = measured
        return measured

    def _reference(self, name: str, namespace: str) -> tuple[int, int]:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        full = full if full in self._named else name
        if full not in self._named:
            raise SchemaRefused(f"the type {name!r} is not defined")
        measured = self._named[full]
        if measured is None:
            raise SchemaRefused(f"the type {name!r} contains itself")
        return measured
