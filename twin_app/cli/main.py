"""The command `twin`: what all verbs share, and how an error becomes one line and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.metadata
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from models.errors import TwinError
from models.nearest import suggestion
from twin_app.cli import output
from twin_app.cli.abstracts import abstract
from twin_app.cli.output import ExitCode

VERBS = {
    name: f"twin_app.cli.{name}"
    for name in (
        "check",
        "run",
        "explain",
        "experiment",
        "fit",
        "forecast",
        "whatif",
        "scorecard",
        "alerts",
        "topics",
        "broker",
        "worker",
        "send",
        "migrate",
        "feed",
        "watch",
        "paths",
        "schema",
        "replay",
        "diff",
        "status",
        "doctor",
        "config",
        "metrics",
        "reset",
    )
} | {"dead-letters": "twin_app.cli.dead_letters", "demo": "twin_app.cli.demo.verb"}
"""Each verb is the function, or the group of verbs, of its name in this module, imported when it is called: `twin check` needs no
Kafka."""

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a full disk, a quota or a limit of a file's size ends with, wherever it was written to."""

HELP = {"help_option_names": ["-h", "--help"]}


class TwinGroup(TyperGroup):
    """Knows the verbs, and ends every one that raises with one line and a documented code; with `--debug`, with the traceback."""

    _listing = False

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with self._only_listed():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        with self._only_listed():
            return super().shell_complete(ctx, incomplete)

    @contextlib.contextmanager
    def _only_listed(self) -> Iterator[None]:
        """While verbs are only listed, none of them is imported."""
        self._listing = True
        try:
            yield
        finally:
            self._listing = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self._listing and (about := abstract(VERBS[cmd_name], cmd_name.replace("-", "_"))) is not None:
            return TyperCommand(cmd_name, help=about)
        if cmd_name not in VERBS:
            near = suggestion(cmd_name, VERBS)
            if near is None:
                return None  # typer says so
            raise TwinError("unknown-verb", f"there is no `twin {cmd_name[:40]}`", remedy=near)
        verb = getattr(importlib.import_module(VERBS[cmd_name]), cmd_name.replace("-", "_"))
        if isinstance(verb, typer.Typer):  # a verb with verbs of its own
            group = typer.main.get_command(verb)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, context_settings=HELP)
        single.command(cmd_name)(verb)
        return typer.main.get_command(single)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except TwinError as error:
            if ctx.params.get("debug"):
                raise
            output.tell(error)
            raise typer.Exit(output.exit_code(error)) from error
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise  # typer has its own way to end for each of these
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                remedy = "make room where the output, the state folder or the file goes to"
                output.tell(TwinError("no-room", f"it cannot be written: {error.strerror}".lower(), remedy=remedy))
                raise typer.Exit(ExitCode.WRONG_INPUT) from error
            kind = type(error).__name__
            remedy = "this is a defect: please report it with what `twin --debug ...` prints"
            output.tell(TwinError("unforeseen", f"{kind}: {error}", remedy=remedy))
            raise typer.Exit(ExitCode.DEFECT) from error


app = typer.Typer(
    name="twin",
    cls=TwinGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP,
    epilog="Exit codes: 0 done; 1 the check failed; 2 wrong input; 3 broker, registry or worker did not answer in time; "
    "70 a defect; 130 interrupted.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"twin {version()}")
        raise typer.Exit


def version() -> str:
    """The installed version; `unknown` for a source tree that is not installed."""
    try:
        return importlib.metadata.version("twin-app")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@app.callback()
def _twin(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Live digital twins: simulations that run along with reality, driven by commands on Kafka."""
    output.quiet_libraries(debug)


def main() -> None:
    """Entry point of the script `twin`."""
    app(prog_name="twin")
