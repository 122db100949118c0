"""The reference page of topics and records: ``python -m topics.reference > docs/reference/records.md``."""

import json
from collections.abc import Iterator
from typing import Any

from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import BaseModel

from models.event_kinds import EVENT_KINDS, OWNERS_KINDS
from topics.confluent import full_name, subject_name
from topics.contracts import CONTRACTS, Message
from topics.specs import DAY_MS, TopicSpec, topic_specs

HEAD = """# Topics and records

This page is generated (`python -m topics.reference`) from the classes in `models/` and the table in `topics/contracts.py`.
The same as an AsyncAPI 3 document: [asyncapi.json](../asyncapi.json). The Avro and JSON Schema files: [schemas/](../../schemas).

All topics but the application's own may be renamed by settings. Topics have as many partitions as the config topic has; the key
is the name of the twin, so that the records of one twin are in order.
"""

ENCODINGS = """## Encodings

- **JSON**: UTF-8, dates as ISO 8601 with Z. A number that is not finite is null.
- **Avro**: the Confluent wire format, a zero byte and the schema id in four bytes (big endian), then the record in Avro binary.
  The subject is `<topic>-<record name>`, its compatibility level FULL_TRANSITIVE: a consumer with any version of the schema
  reads records of any other. A consumer must ignore kinds and payload entries that it does not know.
- **AWS Glue Avro** can be chosen per topic instead (extra `glue`).
- A topic for which no serializer is chosen carries JSON.

## Routes

`TWIN_ROUTES` names a YAML file that sends kinds of events to further topics, drops them, or chooses encodings. The first rule
that fits decides; topics that are missing are created; what is wrong is refused at the start with its line.

```yaml
routes:
  - {kinds: "resource-*", to: [events, plant-alarms]}
  - {kinds: order-packed, to: [events, {topic: packed, record: "my_plant.records:OrderPacked"}]}
  - {kinds: [entity-queued, entity-started], drop: true}
function: "my_plant.routes:route"   # asked first; gives a topic, several, or None where it has no opinion
serializers:
  packed: {avro: "my_plant.records:OrderPacked"}   # a subclass of AvroBaseModel
  events: avro                                     # json, avro, {glue: {registry: plant}}, {own: "module:name"}
```

A name is `module:name` or an entry point (`twin_app.routes`, `twin_app.records`, `twin_app.serializers`).
"""


KINDS = """A blueprint's `emit` steps add kinds of their own; a consumer passes over those that it does not know. Times are in the
blueprint's unit; the entity is in the envelope. The event that answers a command has `command` (the producer's id) and, if the
command came after its time, `late`; a change has its path's `version`."""


def page() -> str:
    """The whole page as Markdown."""
    specs = topic_specs()
    by_role = {spec.role: spec for spec in specs.all()}
    parts = [HEAD, "## Topics\n\n" + _topics_table(specs.all()), ENCODINGS]
    for contract in CONTRACTS:
        parts += [_record(message, by_role[contract.role]) for message in contract.messages]
    parts.append(_kinds())
    return "\n".join(part.rstrip() + "\n" for part in parts)


def _kinds() -> str:
    """Every kind of event that comes without the author of a blueprint asking for it."""
    lines = ["## Event kinds", "", KINDS, ""]
    for title, kinds in (("What twins tell", EVENT_KINDS), ("What is told about twins", OWNERS_KINDS)):
        lines += [f"### {title}", "", "| Kind | Payload | Meaning |", "|---|---|---|"]
        for kind, model in kinds.items():
            schema = model.model_json_schema()
            fields = ", ".join(f"`{name}` ({_type(field)})" for name, field in schema.get("properties", {}).items())
            lines.append(f"| `{kind}` | {fields} | {_cell(schema.get('description', ''))} |")
        lines.append("")
    return "\n".join(lines)


def _topics_table(specs: tuple[TopicSpec, ...]) -> str:
    rows = ["| Topic | Key | Kept | Carries |", "|---|---|---|---|"]
    rows += [f"| `{spec.name}` | {spec.key} | {_kept(spec)} | {spec.description} |" for spec in specs]
    return "\n".join(rows) + "\n"


def _kept(spec: TopicSpec) -> str:
    if spec.cleanup == "compact":
        return "the latest record per key"
    return "for ever" if spec.retention_ms < 0 else f"{spec.retention_ms // DAY_MS} days"


def _record(message: Message, spec: TopicSpec) -> str:
    lines = [f"## {message.title}: `{spec.name}`", "", message.summary, ""]
    if message.avro is not None:
        default = "the default here" if message.default == "avro" else "on request"
        name = full_name(message.avro.avro_schema_to_python())
        subject = subject_name(spec.name, message.avro)
        lines += [f"Avro ({default}): record `{name}`, subject `{subject}`, file `schemas/{name}.avsc`.", ""]
    for model in message.models:
        lines += [*_class(model, alone=len(message.models) == 1), ""]
    if message.avro is not None and message.avro not in message.models:
        lines += ["### The Avro form", "", *_class(message.avro, alone=True), ""]
    if message.schema is not None:
        lines += ["| Position | Field | Meaning |", "|---|---|---|"]
        lines += [
            f"| {place} | `{item['title']}` | {item.get('description', '')} |"
            for place, item in enumerate(message.schema["items"])
        ]
        lines += [""]
    for name, example in message.examples.items():
        lines += [f"For example ({name}):", "", "```json", json.dumps(example, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _class(model: type[BaseModel], *, alone: bool) -> Iterator[str]:
    schema = model.model_json_schema()
    if not alone:
        yield f"### {model.__name__}"
        yield ""
        yield from (schema.get("description") or "").split("\n")
        yield ""
    yield "| Field | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    definitions = schema.get("$defs", {})
    for name, field in schema["properties"].items():
        default = "" if name in schema.get("required", ()) or "default" not in field else f"`{json.dumps(field['default'])}`"
        yield f"| `{name}` | {_type(field)} | {default} | {_cell(field.get('description', ''))} |"
    if alone and issubclass(model, AvroBaseModel):
        for name, inner in definitions.items():
            yield ""
            yield f"`{name}`: {_cell(inner.get('description', ''))}"
            yield ""
            yield "| Field | Type | Meaning |"
            yield "|---|---|---|"
            for field_name, field in inner["properties"].items():
                yield f"| `{field_name}` | {_type(field)} | {_cell(field.get('description', ''))} |"


def _type(field: dict[str, Any]) -> str:
    """A type in a few words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return "any JSON value" if name == "JsonValue" else f"`{name}`"
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    for word in ("anyOf", "oneOf"):
        if word in field:
            return " or ".join(dict.fromkeys(_type(branch) for branch in field[word]))
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if field.get("type") == "object":
        values = field.get("additionalProperties")
        inner = _type(values) if isinstance(values, dict) and values else "any JSON value"
        return f"map to ({inner})" if " or " in inner else f"map to {inner}"
    return {"date-time": "date and time"}.get(field.get("format", ""), field.get("type", "any JSON value"))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    print(page(), end="")
