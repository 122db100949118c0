"""Files of commands, as a person or a program writes them: a YAML or JSON list, one command, or JSON lines.

Each command is checked as the config topic's records are, by the same reader, and keeps its line and column.
"""

from __future__ import annotations

import re
from datetime import date
from io import StringIO
from math import isfinite
from typing import Any, NamedTuple

import orjson
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from models.commands import Command
from models.errors import Rejected, TwinError
from models.load import YAML_REMEDY

YAML_CHARS_MAX = 4_000_000
COMMANDS_MAX = 100_000
DEPTH_MAX = 64

_COMMAND_FIELD = re.compile(r"^[\"']?(kind|path|path_id)[\"']?\s*:", re.MULTILINE)
_FIRST_WORDS = re.compile(r"^\s*(?:(?:#[^\n]*|---|)\s*\n)*\s*(\[|-\s|\{|)")


class CommandFileError(TwinError):
    """A file of commands is wrong. `errors` holds all that is wrong with it, in the order of the file."""

    def __init__(self, errors: list[TwinError], *, source: str) -> None:
        self.errors = errors
        super().__init__("bad-commands", f"{len(errors)} error(s): {errors[0]}", place=source)


class Written(NamedTuple):
    """One command of a file: as it was written (`value`, its JSON), what it means, and where it stands."""

    value: bytes
    command: Command
    place: str


def holds_commands(text: str) -> bool:
    """Whether a text is a list of commands or a command, and not a blueprint."""
    match = _FIRST_WORDS.match(text)
    first = match[1] if match else ""
    if first in ("[", "- ", "-\n", "-\t"):
        return True
    if first == "{":
        line = text.strip().partition("\n")[0]
        try:
            document = orjson.loads(line if line.endswith("}") else text)
        except orjson.JSONDecodeError:
            return "\n{" in text
        return isinstance(document, dict) and not document.keys().isdisjoint(("kind", "path", "path_id"))
    return _COMMAND_FIELD.search(text) is not None


def read_commands(text: str, *, source: str = "<string>", twin: str | None = None) -> list[Written]:
    """The commands of a file, each checked; `twin` is meant where a command names none.

    Raises CommandFileError with everything that is wrong.
    """
    from twin_app.switchboard import parse  # brings the kernel and numpy along: not needed to check a blueprint

    key = None if twin is None else twin.encode()
    found: list[Written] = []
    errors: list[TwinError] = []
    for item, place in _items(text, source):
        if len(found) + len(errors) >= COMMANDS_MAX:
            errors.append(
                TwinError("too-many-commands", f"a file has at most {COMMANDS_MAX:,} commands", place=place, remedy="split it")
            )
            break
        try:
            value = item if isinstance(item, bytes) else orjson.dumps(_plain(item, place))
            found.append(Written(value, parse(value, key), place))
        except Rejected as error:
            errors.append(TwinError(error.code, error.message, place=_with_path(place, error.path), remedy=error.remedy))
        except TwinError as error:
            errors.append(error)
    if errors:
        raise CommandFileError(errors, source=source)
    return found


def _with_path(place: str, path: str | None) -> str:
    return f"{place}: {path}" if path else place


def _items(text: str, source: str) -> list[tuple[Any, str]]:
    """What stands for one command each, with its place: JSON text as bytes, or a YAML node."""
    lines = text.splitlines()
    if _is_json_lines(lines):
        return [(line.strip().encode(), f"{source}:{number}:1") for number, line in enumerate(lines, 1) if line.strip()]
    document = _read_yaml(text, source)
    if isinstance(document, CommentedMap):
        return [(document, f"{source}:{document.lc.line + 1}:{document.lc.col + 1}")]
    if isinstance(document, CommentedSeq):
        places = [document.lc.item(index) for index in range(len(document))]
        return [(item, f"{source}:{line + 1}:{column + 1}") for item, (line, column) in zip(document, places, strict=True)]
    error = TwinError(
        "not-a-list", "this is neither a command nor a list of commands", place=source, remedy="begin each with `- kind: ...`"
    )
    raise CommandFileError([error], source=source)


def _is_json_lines(lines: list[str]) -> bool:
    """Every line that says something is an object by itself; a single one is YAML as well, and read as such if it is not JSON."""
    spoken = [line.strip() for line in lines if line.strip()]
    return bool(spoken) and all(line.startswith("{") for line in spoken) and (len(spoken) > 1 or spoken[0].startswith('{"'))


def _read_yaml(text: str, source: str) -> Any:
    if len(text) > YAML_CHARS_MAX:
        remedy = "split it, or write one JSON object on each line"
        raise TwinError(
            "too-long", f"a YAML file of commands has at most {YAML_CHARS_MAX:,} characters", place=source, remedy=remedy
        )
    try:
        for event in YAML(typ="rt").parse(StringIO(text)):
            if isinstance(event, AliasEvent):
                mark = event.start_mark
                place = f"{source}:{mark.line + 1}:{mark.column + 1}"
                raise TwinError(
                    "yaml-alias", "a file of commands has no anchors and aliases", place=place, remedy="write the value out"
                )
        return YAML(typ="rt").load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
        message = str(error.problem or error.context).splitlines()[0]
        raise TwinError("bad-yaml", f"not readable as YAML or JSON: {message}", place=place, remedy=YAML_REMEDY) from error
    except (YAMLError, ValueError, RecursionError, AssertionError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TwinError("bad-yaml", f"not readable as YAML or JSON: {reason}", place=source, remedy=YAML_REMEDY) from error


def _plain(node: Any, place: str, depth: int = 0) -> Any:
    """A YAML node as JSON values. Raises TwinError for what JSON cannot carry."""
    if depth > DEPTH_MAX:
        raise TwinError(
            "too-deep", f"the command is nested deeper than {DEPTH_MAX} levels", place=place, remedy="flatten the value"
        )
    if isinstance(node, dict):
        return {str(name): _plain(inner, place, depth + 1) for name, inner in node.items()}
    if isinstance(node, list | tuple | set):
        return [_plain(inner, place, depth + 1) for inner in node]
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, int):
        if node.bit_length() > 63:
            raise TwinError("number-too-large", "an integer does not fit 64 bits", place=place)
        return int(node)
    if isinstance(node, float):
        if not isfinite(node):
            raise TwinError("not-finite", f"{float(node)} is not a finite number", place=place)
        return float(node)
    return node.isoformat() if isinstance(node, date) else str(node)
