"""What can still be said about a blueprint that has not the right shape: are the names used in the rest of it there?

Whatever is misshapen is replaced by something harmless of the same name, and the rest is checked as usual. Only faults that
stay faults however the misshapen parts are mended are told: nothing is said about names that such a part may have meant.
"""

from collections.abc import Collection, Iterable
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from models.blueprint import Blueprint
from models.flow import STEPS

ROUNDS_MAX = 4
"""A part is replaced whole where replacing the step inside it was not enough; then nothing deeper is left."""

_HARMLESS: dict[str, Any] = {
    "resources": {},
    "containers": {"capacity": 1.0},
    "stores": {},
    "services": {"constant": 0.0},
    "flows": [],
    "variables": None,
}
_STEP: dict[str, Any] = {"delay": 0.0}

Loc = tuple[str | int, ...]


def problems_in_the_rest(document: dict[str, Any], error: ValidationError, own_steps: Collection[str] | None = None) -> list[Any]:
    """The faults (location, code, message, remedy) of the well-formed rest of a plain document that `error` was about."""
    try:
        return _problems_in_the_rest(document, error, own_steps)
    except RecursionError:
        return []  # nested too deeply to say more about it


def _problems_in_the_rest(document: dict[str, Any], error: ValidationError, own_steps: Collection[str] | None) -> list[Any]:
    rest = deepcopy(document)
    lost: set[str] = set()
    for _ in range(ROUNDS_MAX):
        for item in error.errors(include_url=False, include_input=False, include_context=False):
            _mend(rest, item["loc"], lost)
        try:
            Blueprint.model_validate(rest, context={"lost": frozenset(lost), "own_steps": own_steps})
        except ValidationError as following:
            error = following
        else:
            return []
        found = error.errors(include_url=False, include_input=False)
        if [item["type"] for item in found] == ["blueprint"]:
            return list(found[0]["ctx"]["problems"])
    return []


def _mend(rest: dict[str, Any], loc: Loc, lost: set[str]) -> None:
    if not loc or not isinstance(loc[0], str):
        return
    steps = _steps_around(rest, loc)
    for block, number in reversed(steps):
        if block[number] not in (_STEP, _labelled(block[number])):
            _lose(block[number], lost)
            block[number] = _labelled(block[number]) or dict(_STEP)
            return
    section = rest.get(loc[0])
    if loc[0] == "twin":
        rest["twin"] = "T"
    elif (
        len(loc) > 1
        and isinstance(section, dict)
        and loc[1] in section
        and loc[0] not in ("time", "watch", "limits", "statistics")
    ):
        _mend_member(loc[0], section, str(loc[1]), lost)
    else:
        _lose(rest.pop(loc[0], None), lost)


def _mend_member(kind: str, section: dict[str, Any], name: str, lost: set[str]) -> None:
    """A member of a section becomes a harmless one; where that does not help (it has a bad name), it goes."""
    before = section[name]
    _lose(before, lost)
    lost.add(name)  # what it has, and whether it has it, is not known
    after = deepcopy(_HARMLESS.get(kind))
    if kind == "arrivals" and isinstance(before, dict) and isinstance(before.get("flow"), str):
        after = {"interarrival": {"constant": 1.0}, "flow": before["flow"]}
    if kind in ("machines", "schedules") or (after is None and kind != "variables") or before == after:
        del section[name]
    else:
        section[name] = after


def _steps_around(rest: Any, loc: Loc) -> list[tuple[list[Any], int]]:
    """The steps that a location leads through, outermost first, each as a block and its number in it."""
    found: list[tuple[list[Any], int]] = []
    node, key = rest, ""
    for depth, part in enumerate(loc):
        if isinstance(node, dict) and part not in node and len(node) == 1:
            inner = next(iter(node.values()))
            node = inner if isinstance(inner, dict) and part in inner else node
        if isinstance(node, dict) and part in node:
            node, key = node[part], "flow" if depth == 1 and loc[0] == "flows" else str(part)
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            if key in ("flow", "do", "entry", "exit"):
                found.append((node, part))
            node, key = node[part], ""
    return found


def _labelled(step: Any) -> dict[str, Any] | None:
    """A harmless step with the label of this one."""
    if isinstance(step, dict) and len(step) == 1:
        [(label, inner)] = step.items()
        if label not in STEPS and isinstance(inner, dict) and len(inner) == 1:
            return {label: dict(_STEP)}
    return None


def _lose(part: Any, lost: set[str]) -> None:
    """All names inside a part that is given up."""
    parts: list[Any] = [part]
    while parts:
        inner = parts.pop()
        if isinstance(inner, dict):
            lost.update(map(str, inner))
            parts += inner.values()
        elif isinstance(inner, Iterable) and not isinstance(inner, str | bytes):
            parts += inner
