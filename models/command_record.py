"""The Avro form of a command: one record that every producer can fill, whatever the kind of command.

Scalars travel as Avro types. What Avro cannot type (a blueprint, a nested value, scenarios) travels as JSON text, in
`blueprint` or as members of `more`. A field left null is absent; `value` null of a `set` is JSON's null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import Field

from models.commands import Command, Set

AvroScalar = bool | int | float | str | None

_MAPS = ("changes", "attributes", "payload", "queues", "levels", "steps", "moves")


class CommandRecord(AvroBaseModel):
    """A command to a twin, as written to the config topic."""

    kind: str = Field(default="set", description="register, set, patch, spawn, signal, observe, forecast, remove or advance")
    twin: str | None = Field(default=None, description="the twin's name; else the path's first part, else the record key")
    id: str | None = Field(default=None, description="the producer's own id; the acknowledging event carries it")
    at: float | str | None = Field(default=None, description="simulation time units, or an ISO 8601 instant with offset")
    path: str | None = Field(default=None, description="set: the path to change")
    value: AvroScalar = Field(default=None, description="set: the new value")
    changes: dict[str, AvroScalar] | None = Field(default=None, description="patch: path to new value")
    if_version: int | None = Field(default=None, description="set, patch: refuse unless every path is at this version")
    flow: str | None = Field(default=None, description="spawn: the flow to enter")
    attributes: dict[str, AvroScalar] | None = Field(default=None, description="spawn, observe: the entity's attributes")
    name: str | None = Field(default=None, description="signal: its name")
    payload: dict[str, AvroScalar] | None = Field(default=None, description="signal: its payload")
    queues: dict[str, int] | None = Field(default=None, description="observe: resource to the number that waits there")
    levels: dict[str, float] | None = Field(default=None, description="observe: container or store to what is in it")
    steps: dict[str, str] | None = Field(default=None, description="observe: entity to the step where it is")
    finished: list[str] | None = Field(default=None, description="observe: entities that have left")
    by: str | None = Field(default=None, description="observe: the attribute that names the entities; else their numbers do")
    blueprint: str | None = Field(default=None, description="register: the blueprint as JSON text")
    replace: bool | None = Field(default=None, description="register: replace a different blueprint")
    discard_work: bool | None = Field(default=None, description="register, remove: give up the entities in progress")
    keep_work: bool | None = Field(default=None, description="register: go on with the entities in progress")
    moves: dict[str, str] | None = Field(default=None, description="register: where those go whose step is not there any more")
    more: str | None = Field(default=None, description="JSON text of an object with every field that has no place above")

    class Meta:
        namespace = "twin.commands"
        schema_name = "Command"
        schema_doc = "A command to a twin, as written to the config topic."


def record_of(command: Command) -> dict[str, Any]:
    """The Avro record (a dict for an Avro writer) that means `command`."""
    document = command.model_dump(mode="json", exclude_defaults=True) | {"kind": command.kind}
    if isinstance(command, Set):
        document["value"] = command.value
    record: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for name, value in document.items():
        if name == "blueprint":
            record[name] = orjson.dumps(value).decode()
        elif name in CommandRecord.model_fields and _fits(name, value):
            record[name] = value
        else:
            more[name] = value
    if more:
        record["more"] = orjson.dumps(more).decode()
    return record


def _fits(name: str, value: object) -> bool:
    """Whether the record's own field can hold the value."""
    if name == "finished":
        return True
    if name in _MAPS:
        return isinstance(value, Mapping) and all(_is_scalar(member) for member in value.values())
    return _is_scalar(value) and (name != "value" or value is not None)


def _is_scalar(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, bool | float | str)
