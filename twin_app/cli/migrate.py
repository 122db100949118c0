"""`twin migrate`: a new blueprint for a running twin, with the work in progress kept; tried out first, on the twin's own past."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from models.blueprint import Blueprint
from models.commands import Register
from models.errors import TwinError
from twin_app.cli import connect, output
from twin_app.cli.options import AppId, Bootstrap, Json, Registry, Timeout, settings_from
from twin_app.cli.output import ExitCode
from twin_app.cli.reading import read_blueprint

LISTED_MAX = 20


def migrate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new blueprint; - reads stdin.", show_default=False)],
    move: Annotated[
        list[str] | None,
        typer.Option(
            "--move",
            metavar="FROM=TO",
            help="Where those go whose step is gone: make.b=make.pack (repeatable); make=build for a flow of another name.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would happen. Ends with 1 if it does not fit.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="TIME", help="With --dry-run: the twin as it was at an instant or tick.", show_default=False
        ),
    ] = None,
    horizon: Annotated[
        str, typer.Option("--horizon", metavar="8h|90", help="With --dry-run: run both ahead so far; 0 leaves it.")
    ] = "8h",
    pairs: Annotated[int, typer.Option("--pairs", min=2, max=1000, help="So many pairs of futures.")] = 20,
    bootstrap: Bootstrap = None,
    registry: Registry = None,
    app_id: AppId = None,
    timeout: Timeout = 30.0,
    as_json: Json = False,
) -> None:
    """Give a running twin a new blueprint and keep its work in progress. --dry-run says what would be kept, moved and changed."""
    if at is not None and not dry_run:
        raise TwinError("bad-option", "the past is not changed", place="--at", remedy="add --dry-run")
    blueprint = read_blueprint(file)
    plain = blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    moves = dict(_move(text) for text in move or ())
    command = Register(twin=blueprint.twin, blueprint=plain, replace=True, keep_work=True, moves=moves)
    settings = settings_from(bootstrap, registry, app_id)
    if dry_run:
        report = connect.run_async(_tried(settings, blueprint, command, at, horizon, pairs, timeout))
        output.put_json(report) if as_json else _show(report)
        if not report["fits"]:
            raise typer.Exit(ExitCode.FAILED)
        return
    from twin_app.cli.send import Outgoing, deliver

    value = orjson.dumps({"kind": command.kind, **command.model_dump(mode="json", exclude_defaults=True)})
    outgoing = Outgoing(blueprint.twin.encode(), value, f"register {blueprint.twin}, keeping its work")
    if connect.run_async(deliver(settings, [outgoing], True, timeout, as_json)):
        raise typer.Exit(ExitCode.WRONG_INPUT)


def _move(text: str) -> tuple[str, str]:
    origin, equals, to = text.partition("=")
    if not equals or not origin.strip() or not to.strip():
        raise TwinError("bad-option", f"{text[:80]!r} is no move", place="--move", remedy="write --move make.b=make.pack")
    return origin.strip(), to.strip()


async def _tried(
    settings: Any, blueprint: Blueprint, command: Register, at: str | None, horizon: str, pairs: int, timeout_s: float
) -> dict[str, Any]:
    """The report of a migration of the twin as it was then, told again from the logs. Raises TwinError."""
    from twin_app.cli.asking import past_of
    from twin_app.forecast.side_by_side import side_by_side
    from twin_app.kernel.migration import Migration
    from twin_app.switchboard.timescale import UNIT_S

    live = await past_of(settings, blueprint.twin, at or datetime.now(UTC).isoformat(), timeout_s)
    before = live.snapshot()
    migration = Migration(live.twin, blueprint, command.moves)
    found = migration.report
    report: dict[str, Any] = {
        "twin": blueprint.twin,
        "as_of": datetime.fromtimestamp(live.scale.event_time_us(live.now) / 1e6, UTC).isoformat(),
        "sim_time": live.now,
        "in_progress": live.wip,
        "fits": migration.fits,
        **found.counts(),
        "moved": [{"from": origin, "to": to, "entities": count} for (origin, to), count in found.moved.items()],
        "taken": {path: {"old": old, "new": new} for path, (old, new) in found.taken.items()},
        "new": found.new,
        "gone": found.gone,
        "planned_anew": found.planned,
        "machines_gone": found.machines,
        "misfits": [{"place": m.place, "message": m.message, "remedy": m.remedy} for m in found.misfits],
        "unit": blueprint.time.unit,
        "ahead": 0.0,
        "pairs": pairs,
        "figures": [],
    }
    if not migration.fits:
        return report
    live.apply(command, effective=live.now)  # fails as the worker's would
    ahead = _ahead(blueprint, horizon, UNIT_S[blueprint.time.unit])
    if ahead > 0:
        report["ahead"] = ahead
        report["figures"] = [row._asdict() for row in side_by_side(before, live.snapshot(), ahead, pairs)]
    return report


def _ahead(blueprint: Blueprint, horizon: str, unit_s: float) -> float:
    """The horizon in time units; 0 for none."""
    from twin_app.cli.asking import command_for

    return 0.0 if horizon.strip() in ("0", "0h") else command_for(blueprint.twin, horizon, {}).horizon_units(unit_s)


def _show(report: dict[str, Any]) -> None:
    when = f"{report['as_of']} (simulation time {report['sim_time']:g})"
    output.say(f"{report['twin']} as of {when}: {report['in_progress']:,} in progress")
    for misfit in report["misfits"]:
        output.say(f"does not fit: {misfit['place']}: {misfit['message']} ({misfit['remedy']})")
    if not report["fits"]:
        return
    output.say(f"kept: {report['entities_kept']:,} in progress, {report['parameters_kept']:,} live values")
    _list("moved", [f"{m['from']} to {m['to']}: {m['entities']:,}" for m in report["moved"]])
    _list("value", [f"{path}: {v['old']!r} to {v['new']!r}" for path, v in report["taken"].items()])
    _list("new", report["new"])
    _list("gone", [*report["gone"], *(f"machines.{name}" for name in report["machines_gone"])])
    _list("begins anew", report["planned_anew"])
    output.say("it fits")
    if report["figures"]:
        output.say()
        unit = report["unit"]
        output.say(
            f"the next {report['ahead']:g} {unit} in {report['pairs']} pairs of futures with the same random numbers (± 90 %):"
        )
        rows = [
            {
                "figure": row["figure"],
                "as it is": f"{row['before']:.3g}",
                "migrated": f"{row['after']:.3g}",
                "difference": f"{row['difference']:+.3g} ± {row['half']:.2g}",
            }
            for row in report["figures"]
        ]
        output.table(rows, ["figure", "as it is", "migrated", "difference"])


def _list(word: str, items: list[str]) -> None:
    for item in items[:LISTED_MAX]:
        output.say(f"{word}: {item}")
    if len(items) > LISTED_MAX:
        output.say(f"{word}: and {len(items) - LISTED_MAX:,} more; --json lists all")
