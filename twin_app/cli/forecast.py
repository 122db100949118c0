"""`twin forecast`: what will happen in a live twin, or in one that is run from its blueprint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from models.blueprint import SEED_MAX
from models.errors import TwinError
from twin_app.cli import connect
from twin_app.cli.asking import ahead_of_blueprint, ahead_of_past, ahead_of_twin, command_for, is_blueprint, show
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from
from twin_app.cli.pictures import check_picture

Target = Annotated[
    str, typer.Argument(metavar="TWIN|FILE", help="A live twin, or a blueprint to run here without a broker.", show_default=False)
]
Horizon = Annotated[str, typer.Option("--horizon", metavar="8h|90", help="How far ahead: a duration, or a number of its units.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="Look ahead from there: a simulation time of a FILE; a past instant or tick of a TWIN, told again from the logs.",
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=SEED_MAX, help="With a FILE: takes the place of its seed.", show_default=False),
]
Png = Annotated[
    Path | None, typer.Option("--png", metavar="FILE", help="Also draw it (needs twin-app[plots]).", show_default=False)
]


def forecast(
    target: Target,
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
    """Say what will happen: the next bottleneck, queues over time, who will be late. It sharpens while you watch."""
    ask(target, horizon, {}, begin, seed, png, (bootstrap, registry, app_id), timeout, as_json)


def ask(
    target: str,
    horizon: str,
    scenarios: Mapping[str, Any],
    begin: str | None,
    seed: int | None,
    png: Path | None,
    connection: tuple[str | None, str | None, str | None],
    timeout_s: float,
    as_json: bool,
) -> None:
    """Ask a live twin, or a blueprint, and show the answer. Raises TwinError."""
    if is_blueprint(target):
        revisions = ahead_of_blueprint(Path(target), begin, horizon, scenarios, seed)
    else:
        if seed is not None:
            raise TwinError("bad-option", "--seed is for a blueprint file", remedy="leave it out for a live twin")
        settings, command = settings_from(*connection), command_for(target, horizon, scenarios)
        if begin is None:
            revisions = ahead_of_twin(settings, command, timeout_s)
        else:
            revisions = ahead_of_past(settings, command, begin, timeout_s)
    if png is not None:
        check_picture(png)
    connect.run_async(show(revisions, as_json, png))
