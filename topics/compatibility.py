"""What a change of an Avro schema breaks, in words.

A registry only says yes or no (and each product in its own way); an operator needs the name of the field. The rules are
those of the Avro specification, "Schema Resolution", as the ``avro`` package implements them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException
from avro.schema import parse

Level = Literal["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"]

REASONS_MAX = 20
"""How many reasons are named."""


def breaks(new: Mapping[str, Any], older: Sequence[Mapping[str, Any]], level: Level) -> list[str]:
    """Why ``new`` may not follow ``older`` (oldest first) under ``level``; empty when it may."""
    if level == "NONE" or not older:
        return []
    compared = older if level.endswith("_TRANSITIVE") else older[-1:]
    reasons: list[str] = []
    for old in reversed(compared):
        if level.startswith(("BACKWARD", "FULL")):
            reasons += [f"today's consumers could not read older records: {why}" for why in unreadable(reader=new, writer=old)]
        if level.startswith(("FORWARD", "FULL")):
            reasons += [f"existing consumers could not read new records: {why}" for why in unreadable(reader=old, writer=new)]
    return list(dict.fromkeys(reasons))[:REASONS_MAX]


def unreadable(*, reader: Mapping[str, Any], writer: Mapping[str, Any]) -> list[str]:
    """Why a consumer with the schema ``reader`` cannot read records of the schema ``writer``; empty when it can."""
    try:
        result = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(reader)), parse(json.dumps(writer)))
    except (AvroException, RecursionError) as error:
        return [f"a schema cannot be parsed: {error}"]
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    fields = sorted({name for name in (_field(reader, location) for location in result.locations) if name})
    where = f" (in {', '.join(fields)})" if fields else ""
    # For a missing field the package's message is its bare name.
    reasons = [
        message + where if " " in message else f"the field {message!r} is missing and has no default"
        for message in sorted(str(message) for message in result.messages)
    ]
    return reasons or [f"the schemas do not match{where}"]


def _field(schema: Any, location: str) -> str:
    """The dotted field name at a location such as ``/fields/7/type/1/fields/0/type``."""
    names, within = [], ""
    for step in location.split("/")[1:]:
        try:
            schema = schema[int(step) if isinstance(schema, list) else step]
        except (KeyError, IndexError, ValueError, TypeError):
            break
        if within == "fields":
            names.append(str(schema["name"]))
        within = step
    return ".".join(names)
