"""Avro schemas: parsing, a canonical form, and compatibility in the modes of a schema registry."""

import json
from typing import Any

import avro.compatibility
import avro.errors
import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

SCHEMA_CHARACTERS_MAX = 1_000_000
NESTING_MAX = 100
LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")


class BadSchema(Exception):
    """The text is no Avro schema; the message says why."""


def canonical(text: str) -> str:
    """The schema with one spelling: no spaces, attributes in a fixed order. Same meaning, same text; raises BadSchema.

    Documentation, aliases, defaults and logical types stay: they are part of what was registered.
    """
    if len(text) > SCHEMA_CHARACTERS_MAX:
        raise BadSchema(f"longer than {SCHEMA_CHARACTERS_MAX} characters")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text.strip()  # a bare name of a primitive type is allowed
    if _too_deep(value):
        raise BadSchema(f"nested deeper than {NESTING_MAX} levels")
    ordered = json.dumps(_ordered(value), separators=(",", ":"))
    parse(ordered)
    return ordered


def parse(text: str) -> Any:
    try:
        return avro.schema.parse(text)
    except (avro.errors.AvroException, RecursionError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise BadSchema(str(error) or type(error).__name__) from error


def breaks(new: str, former: list[str], level: str) -> list[str]:
    """Why `new` may not follow the canonical schemas `former` (oldest first) at this level; empty if it may."""
    if level == "NONE" or not former:
        return []
    against = former if level.endswith("_TRANSITIVE") else former[-1:]
    messages: list[str] = []
    for old in reversed(against):
        if level.startswith(("BACKWARD", "FULL")):
            messages += _unreadable(reader=new, writer=old, what="the new schema cannot read data of an older one")
        if level.startswith(("FORWARD", "FULL")):
            messages += _unreadable(reader=old, writer=new, what="an older schema cannot read data of the new one")
    return messages


def _unreadable(*, reader: str, writer: str, what: str) -> list[str]:
    try:
        result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader), parse(writer))
    except (BadSchema, RecursionError, avro.errors.AvroException) as error:
        return [f"{what}: {error}"]
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    places = getattr(result, "locations", None) or set()
    reasons = getattr(result, "messages", None) or {"incompatible"}
    return [f"{what}: {'; '.join(sorted(reasons))} (at {', '.join(sorted(places)) or '/'})"]


# The order in which the Avro specification lists attributes; what it does not know follows by name.
_FIRST = ("type", "name", "namespace", "doc", "aliases", "fields", "symbols", "items", "values", "size", "default", "order")


def _ordered(value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    if not isinstance(value, dict):
        return value
    known = [name for name in _FIRST if name in value]
    others = sorted(name for name in value if name not in _FIRST)
    return {name: value[name] if name == "default" else _ordered(value[name]) for name in (*known, *others)}


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(NESTING_MAX):
        level = [
            item
            for parent in level
            for item in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
        ]
        if not level:
            return False
    return True
