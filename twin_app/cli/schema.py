"""`twin schema`: the contracts' schemas; show them, check them against a registry, register them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from models.errors import TwinError
from models.nearest import did_you_mean
from topics.confluent import subject_name
from topics.contracts import CONTRACTS
from topics.registry import SchemaRegistry
from topics.schemas import LEVEL, schema_files
from twin_app.cli import connect, output
from twin_app.cli.options import AppId, Json, Registry, Timeout, settings_from
from twin_app.cli.output import ExitCode
from twin_app.security.registry import registry_of
from twin_app.settings import Settings

schema = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Schemas of commands, events and the rest: show them, check them against a registry, register them.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@schema.command("show")
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which; without it, what there is.", show_default=False)
    ] = None,
) -> None:
    """Print a schema: Avro of a record, or the JSON Schema of blueprints and commands."""
    files = schema_files()
    known = {file.removesuffix(".avsc").removesuffix(".json"): text for file, text in files.items()}
    if name is None:
        for each in known:
            output.say(each)
        return
    if name not in known:
        raise TwinError("unknown-schema", f"there is no schema {name[:80]!r}", remedy=did_you_mean(name, known))
    output.say(known[name].rstrip())


@schema.command("check")
def check(registry: Registry = None, app_id: AppId = None, timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """Compare this version's schemas with those that are registered. Ends with 1 if one would break a consumer."""
    settings = settings_from(None, registry, app_id)
    rows = connect.run_async(_compare(settings, timeout))
    _tell(rows, as_json)
    if any(row["state"] == "breaks" for row in rows):
        raise typer.Exit(ExitCode.FAILED)


@schema.command("register")
def register(registry: Registry = None, app_id: AppId = None, timeout: Timeout = 30.0, as_json: Json = False) -> None:
    """Register this version's schemas, that of commands included, and set their compatibility. A break is refused, by name."""
    settings = settings_from(None, registry, app_id)

    async def each() -> list[dict[str, Any]]:
        client = registry_of(settings, patience_s=timeout)
        rows = []
        for subject, plain in _subjects(settings).items():
            rows.append(
                {"subject": subject, "state": "registered", "id": await client.register(subject, plain, LEVEL), "why": None}
            )
        return rows

    _tell(connect.run_async(each()), as_json)


async def _compare(settings: Settings, timeout_s: float) -> list[dict[str, Any]]:
    client = registry_of(settings, patience_s=timeout_s)
    return [await _state(client, subject, plain) for subject, plain in _subjects(settings).items()]


async def _state(client: SchemaRegistry, subject: str, plain: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"subject": subject, "state": "registered", "id": await client.known(subject, plain), "why": None}
    if row["id"] is not None:
        return row
    try:
        await client.check(subject, plain, LEVEL)
    except TwinError as error:
        if error.code != "incompatible-schema":
            raise
        return row | {"state": "breaks", "why": error.message}
    return row | {"state": "not registered"}


def _subjects(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every subject of the application's topics with its schema."""
    names = {spec.role: spec.name for spec in settings.topics.all()}
    return {
        subject_name(names[contract.role], message.avro): json.loads(json.dumps(message.avro.avro_schema_to_python()))
        for contract in CONTRACTS
        for message in contract.messages
        if message.avro is not None
    }


def _tell(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for row in rows:
            output.put_json(row)
    else:
        output.table(rows, ("subject", "state", "id", "why"))
