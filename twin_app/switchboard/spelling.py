"""From the accepted spellings of a command to its canonical form.

- `path_id` means `path`; a record without `kind` that has a path and a value is a `set`.
- A path may begin with the twin's name. The twin is named by `twin`, by a path, or by the record's key; all that are given
  must agree, because the key decides which partition, and so which worker, the twin lives on.
- `current_cap` and `max_cap` mean `capacity` and `max_capacity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from models.commands import KINDS, PATH_CHARS_MAX, Command
from models.errors import Rejected
from models.nearest import did_you_mean, nearest

SECTIONS = ("resources", "containers", "stores", "services", "arrivals", "variables", "machines")
"""The first part of a path that is relative to its twin."""

SYNONYMS = {"current_cap": "capacity", "max_cap": "max_capacity"}

PATHS_KEPT = 8_192
"""Spellings of paths whose meaning is kept: producers name the same paths again and again."""

_SHOWN_ERRORS_MAX = 3

_VALIDATE = {kind: model.__pydantic_validator__.validate_python for kind, model in KINDS.items()}
"""By kind, what `model_validate` ends in."""


def read_command(document: Mapping[str, Any], key: str | None = None) -> Command:
    """The command that `document` means, for the twin that it names or else for `key`.

    Raises Rejected: `unknown-kind`, `invalid-command`, `no-twin`, `key-mismatch`.
    """
    fields = dict(document)
    if "path_id" in fields:
        if "path" in fields:
            raise Rejected("invalid-command", "both `path` and `path_id` are given", remedy="give one of them")
        fields["path"] = fields.pop("path_id")
    kind = _kind(fields)
    twin = _twin(fields, key)
    path = fields.get("path")
    if type(path) is str:
        fields["path"] = relative_path(path, twin)
    for name in ("changes", "if_version"):
        if name in fields:
            fields[name] = _relative(name, fields[name], twin)
    if kind == "forecast":
        fields["scenarios"] = _scenarios(fields.get("scenarios", {}), twin)
    fields["kind"], fields["twin"] = kind, twin
    try:
        return _VALIDATE[kind](fields)
    except ValidationError as error:
        raise _invalid(kind, error, fields) from None
    except RecursionError:
        raise Rejected("too-deep", "the command is nested too deeply", remedy="flatten the value") from None


@lru_cache(PATHS_KEPT)
def relative_path(path: str, twin: str) -> str:
    """`path` without the twin's name in front, and in the blueprint's words. Raises Rejected: `key-mismatch`."""
    if len(path) > PATH_CHARS_MAX:
        raise Rejected(
            "invalid-command", f"a path has {len(path):,} characters; the limit is {PATH_CHARS_MAX}", path=path[:100] + "..."
        )
    first, _, rest = path.partition(".")
    inner = rest.partition(".")[0]
    if first == twin and rest and (inner in SECTIONS or first not in SECTIONS):
        path = rest
    elif inner in SECTIONS and first not in SECTIONS:
        raise _mismatch(first, twin, path)
    head, _, last = path.rpartition(".")
    return f"{head}.{SYNONYMS[last]}" if last in SYNONYMS and not head.startswith("variables") else path


def _twin_of(path: str) -> str | None:
    """The twin that an absolute path names; None if the path is relative."""
    first, _, rest = path.partition(".")
    return first if rest.partition(".")[0] in SECTIONS or (rest and first not in SECTIONS) else None


def _kind(fields: Mapping[str, Any]) -> str:
    if "kind" not in fields:
        if "path" in fields and "value" in fields:
            return "set"
        raise Rejected("unknown-kind", "the command has no `kind`", remedy=f"add a kind: {', '.join(KINDS)}")
    kind = fields["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        shown = repr(kind[:60]) if isinstance(kind, str) else f"a {type(kind).__name__}"
        remedy = did_you_mean(kind, KINDS) if isinstance(kind, str) else f"use one of {', '.join(KINDS)}"
        raise Rejected("unknown-kind", f"{shown} is not a kind of command", remedy=remedy)
    return kind


def _twin(fields: Mapping[str, Any], key: str | None) -> str:
    """The twin's name. What names it first decides; the rest must agree."""
    named = fields.get("twin")
    if named is None and "blueprint" in fields:
        blueprint = fields["blueprint"]
        named = blueprint.get("twin") if isinstance(blueprint, Mapping) else None
    if named is not None:
        if not isinstance(named, str):
            raise Rejected("invalid-command", "`twin` is not a string", remedy="give the twin's name")
        if key is not None and named != key:
            raise _mismatch(named, key)
        return named
    if key is not None:
        return key
    paths = fields.get("changes") if isinstance(fields.get("changes"), Mapping) else [fields.get("path")]
    for path in paths or ():
        if isinstance(path, str) and (found := _twin_of(path[:PATH_CHARS_MAX])) is not None:
            return found
    raise Rejected(
        "no-twin", "nothing says which twin is meant", remedy="add `twin`, begin the path with it, or make it the record's key"
    )


def _mismatch(named: str, twin: str, path: str | None = None) -> Rejected:
    return Rejected(
        "key-mismatch",
        f"the command names the twin {named[:100]!r} but belongs to {twin[:100]!r}",
        path=path,
        remedy="send each command with its twin's name as the record's key: the key chooses the partition",
    )


def _relative(name: str, value: Any, twin: str) -> Any:
    """The field with its paths made relative; what is no path is left for the command's own checks."""
    if not isinstance(value, Mapping):
        return value
    found: dict[Any, Any] = {}
    for path, member in value.items():
        short = relative_path(path, twin) if isinstance(path, str) else path
        if short in found:
            raise Rejected("duplicate-member", f"`{name}` names {short!r} twice", path=short, remedy="give each path once")
        found[short] = member
    return found


def _scenarios(scenarios: Any, twin: str) -> Any:
    """The scenarios with each of their commands in canonical form."""
    if not isinstance(scenarios, Mapping):
        return scenarios
    return {
        name: [_scenario_command(item, twin) for item in items] if isinstance(items, list) else items
        for name, items in scenarios.items()
    }


def _scenario_command(item: Any, twin: str) -> Any:
    if not isinstance(item, Mapping):
        return item
    if item.get("kind") not in (None, "set", "patch", "spawn", "signal"):
        raise Rejected("invalid-command", "a scenario holds commands of the kinds set, patch, spawn and signal only")
    return read_command(item, twin)


def _invalid(kind: str, error: ValidationError, fields: Mapping[str, Any]) -> Rejected:
    """All that is wrong with the command's fields, the first few in words."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    shown, remedy = [], None
    for problem in problems[:_SHOWN_ERRORS_MAX]:
        place = ".".join(str(part)[:60] for part in problem["loc"])
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
            match = nearest(place, KINDS[kind].model_fields)
            remedy = remedy or (f"did you mean {match!r}?" if match else f"it has {', '.join(KINDS[kind].model_fields)}")
            shown.append(f"a {kind} command has no field {place!r}")
        else:
            shown.append(f"{place}: {problem['msg'].removeprefix('Value error, ')[:200]}")
    more = f"; and {len(problems) - _SHOWN_ERRORS_MAX} more" if len(problems) > _SHOWN_ERRORS_MAX else ""
    path = fields.get("path")
    return Rejected("invalid-command", "; ".join(shown) + more, path=path if isinstance(path, str) else None, remedy=remedy)
