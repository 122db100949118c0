"""The committed schema files, Avro and JSON Schema: ``python -m topics.schemas write|check [--directory schemas]``.

They are generated from the classes, and committed so that a change of a contract is seen in review and so that consumers
in other languages can take them. ``check`` fails when a file and its class differ, and when a class may not follow the file
of the previous version (given by ``--against DIRECTORY``) under its compatibility level.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from dataclasses_avroschema.pydantic import AvroBaseModel

from models.alerts import Alert
from models.blueprint import Blueprint
from models.command_record import CommandRecord
from models.commands import command_json_schema
from models.deadletters import DeadLetter
from models.errors import TwinError
from models.events import TwinEvent
from models.forecasts import ForecastRecord
from models.vitals import Vital
from topics.compatibility import Level, breaks
from topics.confluent import full_name

RECORDS: tuple[type[AvroBaseModel], ...] = (TwinEvent, CommandRecord, DeadLetter, Vital, ForecastRecord, Alert)
"""The record classes whose schemas are contracts."""

LEVEL: Level = "FULL_TRANSITIVE"

DIRECTORY = Path("schemas")

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Write or check the committed schema files.")


def file_name(model: type[AvroBaseModel]) -> str:
    """For example ``twin.events.TwinEvent.avsc``."""
    return f"{full_name(model.avro_schema_to_python())}.avsc"


def schema_text(model: type[AvroBaseModel]) -> str:
    """The schema as it stands in its file."""
    return json.dumps(model.avro_schema_to_python(), indent=2, ensure_ascii=False) + "\n"


def schema_files(records: Iterable[type[AvroBaseModel]] = RECORDS) -> dict[str, str]:
    """Every file's name and text: Avro for the records, JSON Schema for what people write by hand."""
    blueprint = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Blueprint.model_json_schema(by_alias=True)}
    by_hand = {"blueprint.schema.json": blueprint, "command.schema.json": command_json_schema()}
    files = {file_name(model): schema_text(model) for model in records}
    return files | {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in by_hand.items()}


def write_schemas(directory: Path, records: Iterable[type[AvroBaseModel]] = RECORDS) -> list[Path]:
    """Write every schema file; returns the files that changed."""
    directory.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, text in schema_files(records).items():
        path = directory / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def check_schemas(
    directory: Path, records: Iterable[type[AvroBaseModel]] = RECORDS, *, against: Path | None = None
) -> list[TwinError]:
    """All that is wrong with the committed files: drift from the classes, strays, and breaks against an older directory."""
    wrong: list[TwinError] = []
    records = tuple(records)
    remedy = "run python -m topics.schemas write, and commit what it changes"
    files = schema_files(records)
    for name, text in files.items():
        path = directory / name
        if not path.exists():
            wrong.append(TwinError("schema-drift", "the file is missing", place=str(path), remedy=remedy))
        elif path.read_text(encoding="utf-8") != text:
            wrong.append(TwinError("schema-drift", "the file differs from its class", place=str(path), remedy=remedy))
    for path in sorted(directory.iterdir() if directory.is_dir() else ()):
        if path.name not in files:
            wrong.append(TwinError("schema-drift", "no class belongs to this file", place=str(path), remedy="delete it"))
    for model in records:
        older = against / file_name(model) if against else None
        if older and older.exists():
            for why in breaks(model.avro_schema_to_python(), [json.loads(older.read_text(encoding="utf-8"))], LEVEL):
                undo = "undo the change, or add fields with a default only"
                wrong.append(TwinError("incompatible-schema", f"{model.__name__}: {why}", place=str(older), remedy=undo))
    return wrong


@app.command()
def write(directory: Annotated[Path, typer.Option(help="Where the files are.")] = DIRECTORY) -> None:
    """Write the schema files from the classes."""
    changed = write_schemas(directory)
    print("\n".join(f"wrote {path}" for path in changed) or f"{directory}: nothing to change")


@app.command()
def check(
    directory: Annotated[Path, typer.Option(help="Where the files are.")] = DIRECTORY,
    against: Annotated[Path | None, typer.Option(help="Schema files of an older version, to be compatible with.")] = None,
) -> None:
    """Fail when a file and its class differ, or when a class breaks an older schema."""
    wrong = check_schemas(directory, against=against)
    for error in wrong:
        print(error, file=sys.stderr)
    if wrong:
        raise typer.Exit(1)
    print(f"{directory}: {len(schema_files())} schema files are up to date")


if __name__ == "__main__":
    app()
