"""Writes docs/reference/cli.md from the verbs' own help: `python -m twin_app.cli.reference`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
import typer.cli

from twin_app.cli.main import app
from twin_app.cli.output import ExitCode

HEAD = """<!-- Made by `python -m twin_app.cli.reference`. Change the verbs' help instead. -->

Results go to standard output, everything else to standard error; colours only to a terminal. `--json` gives one JSON object a
line. An error is one line: place, message, `[code]`, and what to do; `twin --debug VERB ...` shows the traceback as well.
Settings come from options, then from `TWIN_` environment variables, then from defaults; `twin config` shows which.

## Exit codes
"""

MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "a check failed: the demo found that something was lost, doubled or changed",
    ExitCode.WRONG_INPUT: "wrong input: a file, an option, a setting; or a command that was refused (`send --wait`)",
    ExitCode.NO_ANSWER: "broker, registry or worker did not answer within `--timeout`, or a topic is not there",
    ExitCode.DEFECT: "an error that was not foreseen: a defect",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
}


def text() -> str:
    """The page."""
    command = typer.main.get_command(app)
    with command.make_context("twin", [], resilient_parsing=True) as context:
        verbs = typer.cli.get_docs_for_click(obj=command, ctx=context, name="twin")  # type: ignore[arg-type]
    codes = "".join(f"- {int(code)}: {meaning}\n" for code, meaning in MEANINGS.items())
    title, _, body = verbs.partition("\n")
    lines = [line.rstrip() for line in f"{title}\n\n{HEAD}\n{codes}\n## Usage\n{body}".splitlines()]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Write the page into the folder of the sources."""
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/reference/cli.md")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
