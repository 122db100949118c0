"""`twin whatif`: what would happen if a twin were changed, beside what will happen."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from models.errors import TwinError
from twin_app.cli.forecast import From, Horizon, Png, Seed, Target, ask
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout


def whatif(
    target: Target,
    changes: Annotated[
        list[str], typer.Option("--set", metavar="PATH=VALUE", help="A change (repeatable; all at once).", show_default=False)
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When: a UTC instant, or a simulation time; else now.", show_default=False),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What to call it.")] = "what if",
    horizon: Horizon = "8h",
    begin: From = None,
    seed: Seed = None,
    png: Png = None,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Try changes on a copy of the twin: both futures side by side, with the same random numbers. The twin is not touched."""
    command: dict[str, Any] = {"kind": "patch", "changes": dict(_change(text) for text in changes)}
    if at is not None:
        command["at"] = _moment(at)
    ask(target, horizon, {name: [command]}, begin, seed, png, (bootstrap, registry, app_id), timeout, as_json)


def _change(text: str) -> tuple[str, Any]:
    """`path=value`; the value is JSON, or else the text itself."""
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise TwinError("bad-option", f"{text[:80]!r} is no change", place="--set", remedy="write --set resources.b.capacity=2")
    try:
        return path.strip(), orjson.loads(value)
    except orjson.JSONDecodeError:
        return path.strip(), value


def _moment(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
