"""The AsyncAPI 3 document of the application: ``python -m topics.asyncapi > docs/asyncapi.json``.

Generated from the topics and the record classes, so it cannot say anything else than they do.
https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from topics.contracts import AVRO, CONTRACTS, JSON, MSGPACK, Contract, Message
from topics.specs import TopicSpec, TopicSpecs, topic_specs

VERSION = "3.0.0"
KAFKA_BINDING = "0.5.0"
AVRO_SCHEMA = "application/vnd.apache.avro;version=1.9.0"
JSON_SCHEMA = "application/schema+json;version=draft-07"


def document(specs: TopicSpecs | None = None, *, version: str = "0.1.0", bootstrap: str = "localhost:9092") -> dict[str, Any]:
    """The AsyncAPI document for these topics, as JSON-ready mappings."""
    specs = specs or topic_specs()
    by_role = {spec.role: spec for spec in specs.all()}
    channels, operations, messages = {}, {}, {}
    for contract in CONTRACTS:
        spec = by_role[contract.role]
        channels[contract.role] = _channel(contract, spec)
        operations[contract.operation] = _operation(contract)
        for message in contract.messages:
            messages.update(_messages(message))
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Live digital twins",
            "version": version,
            "description": "Commands in, events out: discrete-event simulations that run alongside the plant. "
            "Records are keyed by the twin's name, so that those of one twin are in order.",
        },
        "defaultContentType": JSON,
        "servers": {"kafka": {"host": bootstrap, "protocol": "kafka", "description": "The Kafka cluster."}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": _schemas()},
    }


def _channel(contract: Contract, spec: TopicSpec) -> dict[str, Any]:
    configuration: dict[str, Any] = {"cleanup.policy": [spec.cleanup], "retention.ms": spec.retention_ms}
    if spec.record_bytes_max is not None:
        configuration["max.message.bytes"] = spec.record_bytes_max
    names = [name for message in contract.messages for name in _messages(message)]
    return {
        "address": spec.name,
        "description": f"{spec.description} Key: {spec.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operation(contract: Contract) -> dict[str, Any]:
    return {
        "action": contract.action,
        "channel": {"$ref": f"#/channels/{contract.role}"},
        "summary": contract.summary,
        "messages": [
            {"$ref": f"#/channels/{contract.role}/messages/{name}"}
            for message in contract.messages
            for name in _messages(message)
        ],
    }


def _messages(message: Message) -> dict[str, dict[str, Any]]:
    """The message in each of its encodings, the default one first."""
    made: dict[str, dict[str, Any]] = {}
    if message.models or message.schema is not None:
        json_form = {
            **_common(message),
            "contentType": MSGPACK if message.default == "msgpack" else JSON,
            "payload": {"schemaFormat": JSON_SCHEMA, "schema": _payload(message)},
            "examples": [{"name": name, "payload": payload} for name, payload in message.examples.items()],
        }
        made[message.name] = json_form
    if message.avro is not None:
        avro_form = {
            **_common(message),
            "title": f"{message.title} (Avro)",
            "contentType": AVRO,
            "payload": {"schemaFormat": AVRO_SCHEMA, "schema": message.avro.avro_schema_to_python()},
        }
        made[f"{message.name}Avro"] = avro_form
    return dict(reversed(made.items())) if message.default == "avro" else made


def _common(message: Message) -> dict[str, Any]:
    key = {"type": "string", "description": "The record's key in UTF-8."}
    return {
        "name": message.name,
        "title": message.title,
        "summary": message.summary,
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING}},
    }


def _payload(message: Message) -> dict[str, Any]:
    if message.schema is not None:
        return dict(message.schema)
    references = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in message.models]
    return references[0] if len(references) == 1 else {"oneOf": references}


def _schemas() -> dict[str, Any]:
    models = dict.fromkeys(model for contract in CONTRACTS for message in contract.messages for model in message.models)
    classes = [(model, "validation") for model in models]
    _, definitions = models_json_schema(classes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return {name: _without_discriminators(schema) for name, schema in sorted(definitions["$defs"].items())}


def _without_discriminators(schema: Any) -> Any:
    """OpenAPI's discriminator objects are no JSON Schema, and AsyncAPI means something else by the word."""
    if isinstance(schema, dict):
        return {
            name: _without_discriminators(inner)
            for name, inner in schema.items()
            if not (name == "discriminator" and isinstance(inner, dict) and "propertyName" in inner)
        }
    if isinstance(schema, list):
        return [_without_discriminators(inner) for inner in schema]
    return schema


def text() -> str:
    """The document as it stands in docs/asyncapi.json."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
