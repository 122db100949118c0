"""The API's OpenAPI 3.1 document, made from the table of operations and the classes of their answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from models.commands import TWIN_NAME, command_json_schema
from models.forecasts import ForecastRecord
from twin_app.web.problems import CONTENT_TYPE, Problem

REFERENCE = "#/components/schemas/{model}"
JSON = "application/json"
SSE = "text/event-stream"


@dataclass(frozen=True)
class Parameter:
    """One parameter of the query."""

    name: str
    schema: dict[str, Any]
    description: str


@dataclass(frozen=True)
class Operation:
    """One way to call the API. `answers`: (status, class of the answer or None for a stream, description)."""

    method: str
    path: str
    name: str
    summary: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    answer: type[BaseModel] | None
    parameters: Sequence[Parameter] = ()
    body: type[BaseModel] | str | None = None
    """A class, or `Command` for any command of the config topic."""
    stream: bool = False
    """Whether it answers with server-sent events (only, or where the caller accepts them)."""
    status: int = 200
    open: bool = False
    """Whether it is served without a token."""
    also: tuple[int, ...] = ()
    """Further statuses with the same class of answer."""


def document(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The whole document, as JSON-ready mappings."""
    classes: list[type[BaseModel]] = [Problem, ForecastRecord]
    for operation in operations:
        for used in (operation.answer, operation.body):
            if isinstance(used, type) and used not in classes:
                classes.append(used)
    _, made = models_json_schema([(used, "serialization") for used in classes], ref_template=REFERENCE)
    schemas = {**made["$defs"], **_command_schemas()}
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Live digital twins",
            "version": version,
            "description": "Reads of running twins, taken between two cycles; commands to them by way of the config topic; "
            "forecasts; measurements of the past. Any worker answers for all: a request is passed on to the twin's own.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "TWIN_WEB_TOKEN, where the workers have one"}
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if "{twin}" in operation.path:
        parameters.append(
            {
                "name": "twin",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": TWIN_NAME},
                "description": "The twin's name",
            }
        )
    parameters += [
        {"name": p.name, "in": "query", "required": False, "schema": p.schema, "description": p.description}
        for p in operation.parameters
    ]
    content: dict[str, Any] = {}
    if operation.answer is not None:
        content[JSON] = {"schema": {"$ref": REFERENCE.format(model=operation.answer.__name__)}}
    if operation.stream:
        content[SSE] = {"schema": {"type": "string"}}
    if operation.answer is None and not operation.stream:
        content[JSON] = {"schema": {"type": "object"}}
    responses: dict[str, Any] = {
        str(status): {"description": "As asked", "content": content} for status in (operation.status, *operation.also)
    }
    if not operation.open:
        problem = {CONTENT_TYPE: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
        responses["4XX"] = {"description": "Refused: the code says why", "content": problem}
        responses["5XX"] = {"description": "Not possible now: the code says why", "content": problem}
    found: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    }
    if operation.open:
        found["security"] = []
    if operation.body is not None:
        name = operation.body if isinstance(operation.body, str) else operation.body.__name__
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": {"$ref": REFERENCE.format(model=name)}}}}
    return found


def _command_schemas() -> dict[str, Any]:
    """Commands, under names of their own, with their references into this document."""
    schema = command_json_schema()
    inner = schema.pop("$defs")
    schema.pop("$schema")
    names = {name: f"{name}Command" for name in inner}
    return {
        "Command": _renamed(schema, names),
        **{names[name]: _renamed(inner[name], names) for name in inner},
    }


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, names) for inner in value]
    if isinstance(value, str) and value.startswith("#/$defs/"):
        return REFERENCE.format(model=names[value.removeprefix("#/$defs/")])
    return value
