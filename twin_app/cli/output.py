"""What the verbs print, and how they end: results on stdout, everything else on stderr, colours only on a terminal."""

from __future__ import annotations

import enum
import logging
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import structlog
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.errors import TwinError


class ExitCode(enum.IntEnum):
    """How a verb ended. A script may rely on these."""

    OK = 0
    FAILED = 1
    """What was to be found true is not: the demo's own check failed."""
    WRONG_INPUT = 2
    """A file, an option, a setting or a command is wrong."""
    NO_ANSWER = 3
    """Broker, registry or worker did not answer within the time given."""
    DEFECT = 70
    """An error that was not foreseen."""
    INTERRUPTED = 130


PIPE_COLUMNS = 250
"""Width of a table that nobody looks at: nothing is folded."""

NO_ANSWER_CODES = frozenset({"broker-unreachable", "registry-unreachable", "no-answer", "unknown-topic"})
"""Error codes that mean: the input may be right, but something else is not there."""


def quiet_libraries(debug: bool) -> None:
    """What libraries and our own rooms log is no result: only errors, on stderr, and of the Kafka client nothing at all.

    It reports each failed attempt to connect; the verbs report the end of their patience, once. With `debug`, everything.
    """
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, stream=sys.stderr, force=True)
    for name in ("aiokafka", "asyncio", "kafka", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.DEBUG if debug else logging.CRITICAL)
    level = logging.DEBUG if debug else logging.ERROR
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )


def stdout() -> Console:
    """The console of results, wide where nobody looks. Made anew each time, since tests and pipes exchange the stream."""
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    return Console(file=sys.stdout, highlight=False, soft_wrap=True, width=width)


def stderr() -> Console:
    """The console of everything that is not a result."""
    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def say(line: str = "", *, style: str = "") -> None:
    """One line of a result, for a person. `line` is shown as it is: square brackets are no markup."""
    stdout().print(Text(line, style=style))


def note(line: str, *, style: str = "dim") -> None:
    """One line beside the result."""
    stderr().print(Text(line, style=style))


def put_json(record: Any) -> None:
    """One JSON line of a result, out at once."""
    sys.stdout.write(orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z).decode() + "\n")
    sys.stdout.flush()


def table(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """A table for a person; on a pipe, the same columns without lines."""
    columns = list(columns)
    console = stdout() if sys.stdout.isatty() else Console(file=sys.stdout, highlight=False, width=PIPE_COLUMNS)
    shown = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold", no_wrap=column != columns[-1])
    for row in rows:
        shown.add_row(*[Text("" if row[column] is None else str(row[column])) for column in columns])
    console.print(shown)


def faults(error: TwinError) -> list[TwinError]:
    """The error, or all those that it stands for."""
    return getattr(error, "errors", None) or [error]


def tell(error: TwinError) -> None:
    """The error on stderr, one line for each fault: place, message, code, remedy."""
    console = stderr()
    for fault in faults(error):
        line = Text.assemble(("error: ", "bold red"))
        if fault.place:
            line.append(f"{fault.place}: ", style="cyan")
        line.append(fault.message)
        line.append(f" [{fault.code}]", style="dim")
        if fault.remedy:
            line.append(f" ({fault.remedy})", style="green")
        console.print(line)


def exit_code(error: TwinError) -> ExitCode:
    """How a verb ends that failed with this error."""
    return ExitCode.NO_ANSWER if error.code in NO_ANSWER_CODES else ExitCode.WRONG_INPUT


def as_fields(error: TwinError) -> dict[str, Any]:
    """The error for a program."""
    return {"code": error.code, "message": error.message, "place": error.place, "remedy": error.remedy}
