"""`twin check`: all that is wrong with blueprints and command files, without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from models.blueprint import Blueprint
from models.errors import TwinError
from models.load import load_blueprint
from twin_app.cli import output
from twin_app.cli.command_file import holds_commands, read_commands
from twin_app.cli.output import ExitCode
from twin_app.cli.reading import files_beside, read_text, source_name
from twin_app.kernel.own_steps import offered


def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Blueprints or command files; - reads stdin.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per file.")] = False,
) -> None:
    """Check blueprints and command files: all errors at once, each with file, line and column. Ends with 2 if there are any."""
    sound = True
    for path in files:
        found: list[TwinError] = []
        what: dict[str, Any] = {}
        try:
            what = _look(path)
        except TwinError as error:
            found = output.faults(error)
        sound = sound and not found
        if as_json:
            output.put_json(
                {"file": source_name(path), "ok": not found, **what, "errors": [output.as_fields(fault) for fault in found]}
            )
        elif found:
            for fault in found:
                output.tell(fault)
        else:
            output.say(f"{source_name(path)}: ok, {what['about']}", style="green")
    if not sound:
        raise typer.Exit(ExitCode.WRONG_INPUT)


def _look(path: Path) -> dict[str, Any]:
    text, source = read_text(path), source_name(path)
    if holds_commands(text):
        commands = read_commands(text, source=source)
        return {"about": f"{len(commands)} commands", "commands": len(commands)}
    blueprint = load_blueprint(text, source=source, read=files_beside(source), own_steps=offered())
    return {"about": _about(blueprint), "twin": blueprint.twin}


def _about(blueprint: Blueprint) -> str:
    parts = [
        f"{len(names)} {what if len(names) != 1 else what[:-1]}"
        for what in ("resources", "services", "arrivals", "flows")
        if (names := getattr(blueprint, what))
    ]
    return f"twin {blueprint.twin}" + (f" with {', '.join(parts)}" if parts else "")
