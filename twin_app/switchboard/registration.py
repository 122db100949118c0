"""Reading and recognising the blueprint that a `register` command carries."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Any

import orjson
from pydantic import ValidationError

from models.blueprint import Blueprint
from models.commands import Register
from models.errors import BlueprintError, Rejected
from models.load import explain
from models.sharing import blueprint_from
from twin_app.kernel.own_steps import find_all
from twin_app.switchboard.timescale import TimeScale, to_epoch_ms

ERRORS_SHOWN_MAX = 20
MESSAGE_CHARS_MAX = 4_000


def blueprint_of(command: Register) -> Blueprint:
    """The blueprint that a `register` command carries. Raises Rejected (`bad-blueprint`, `key-mismatch`)."""
    document = {"twin": command.twin, **command.blueprint}
    try:
        blueprint = blueprint_from(document)
    except ValidationError as error:
        faults = explain(error, document)
        shown = "; ".join(str(fault) for fault in faults[:ERRORS_SHOWN_MAX])
        number = error.error_count() if faults[-1].code == "more-faults" else len(faults)
        raise Rejected(
            "bad-blueprint", f"{number} fault(s): {shown}"[:MESSAGE_CHARS_MAX], remedy="try it with `twin check`"
        ) from None
    except RecursionError:
        raise Rejected("bad-blueprint", "the blueprint is nested too deeply") from None
    if blueprint.twin != command.twin:
        raise Rejected("key-mismatch", f"the blueprint is of {blueprint.twin!r}, the command of {command.twin!r}")
    return blueprint


def calls_own_steps(command: Register) -> bool:
    """Whether the blueprint of a `register` command seems to call an own Python step somewhere."""
    parts: list[Any] = [command.blueprint]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "call" in part:
                return True
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return False


def require_own_steps(command: Register) -> None:
    """Raises Rejected (`unknown-own-step`) where the blueprint calls what is not installed here; for no other fault."""
    if not calls_own_steps(command):
        return
    try:
        blueprint = blueprint_of(command)
    except Rejected:
        return
    try:
        find_all(blueprint)
    except BlueprintError as error:
        shown = "; ".join(f"{fault.message} ({fault.remedy})" for fault in error.errors[:ERRORS_SHOWN_MAX])
        raise Rejected("unknown-own-step", shown[:MESSAGE_CHARS_MAX], path="flows") from error


def blueprint_hash(blueprint: Blueprint, *, questions: bool = True) -> str:
    """Hex digest of a blueprint's meaning: its order of names counts, its layout and spelled-out defaults do not.

    Without its `questions`: of all that the model itself depends on.
    """
    exclude = None if questions else {"questions"}
    plain = blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=exclude)
    return hashlib.sha256(orjson.dumps(plain)).hexdigest()[:32]


def scale_of(blueprint: Blueprint, epoch_ms: int) -> TimeScale:
    """The line between the twin's simulation time and the calendar; simulation time 0 is `time.start`, or else `epoch_ms`."""
    clock = blueprint.time
    start = clock.start
    if start is not None:
        epoch_ms = to_epoch_ms(start if start.tzinfo is not None else start.replace(tzinfo=UTC))
    return TimeScale.of(clock.unit, 1.0 if clock.mode == "event" else clock.factor, epoch_ms)
