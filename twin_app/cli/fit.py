"""`twin fit`: the distribution of measured times, as a blueprint writes it."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import orjson
import typer

from models.errors import TwinError
from twin_app.cli import output
from twin_app.cli.measured import Column, read_columns
from twin_app.cli.options import Json
from twin_app.cli.pictures import check_picture, picture

if TYPE_CHECKING:
    from twin_app.analysis.fitting import Judged, Report

DRAWN = 3
"""So many of the best families are drawn."""
NAME_CHARS_MAX = 60
NO_NAMES = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
"""What YAML takes for something else."""


def fit(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="CSV with a header line, one time in a cell; - reads stdin.", show_default=False),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="Only this one (repeatable).", show_default="all that hold numbers"),
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Also draw it (needs twin-app[plots]).", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit distributions to measured times: ranked, tested, and the best as YAML for a blueprint."""
    room = _room()
    columns = read_columns(file, column or (), least=room.VALUES_MIN)
    if png is not None:
        check_picture(png)
    reports = [room.fit(one.times) for one in columns]
    if png is not None:
        write_png(png, columns, reports)
    for one, report in zip(columns, reports, strict=True):
        if as_json:
            output.put_json(_fields(one, report))
        else:
            _show(one, report)
    if not as_json:
        output.say("services:")
        for name, report in zip(service_names([one.name for one in columns]), reports, strict=True):
            output.say(f"  {name}: {flow_style(report.distribution)}")


def _room() -> ModuleType:
    """What fits. Raises TwinError `no-fit` where scipy is not installed."""
    try:
        from twin_app.analysis import fitting
    except ImportError:
        raise TwinError("no-fit", "fitting needs scipy", remedy="install twin-app[fit]") from None
    return fitting


def service_names(columns: list[str]) -> list[str]:
    """The columns' names with what a blueprint allows in a name, each once."""
    found: list[str] = []
    for column in columns:
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", column).strip("_-")[:NAME_CHARS_MAX] or "times"
        if name.lower() in NO_NAMES or not re.match(r"[A-Za-z]", name):
            name = f"_{name}"
        found.append(name if name not in found else f"{name}_{len(found)}")
    return found


def flow_style(value: Any) -> str:
    """YAML on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{name}: {flow_style(part)}" for name, part in value.items()) + "}"
        case list():
            return "[" + ", ".join(flow_style(part) for part in value) + "]"
    # YAML 1.1 takes 1e-07 for text: there has to be a point.
    text = orjson.dumps(value).decode()
    return re.sub(r"^(-?\d+)e", r"\1.0e", text)


def _show(column: Column, report: Report) -> None:
    values = report.values
    blank = f", {column.blank} empty cells left out" if column.blank else ""
    output.say(
        f"{column.name}: {values.size:,} times, mean {values.mean():.6g}, sd {values.std(ddof=1):.6g}{blank}", style="bold"
    )
    rows = [
        {
            "distribution": flow_style(one.fitted.distribution()),
            "AIC": f"{one.aic:.1f}",
            "BIC": f"{one.bic:.1f}",
            "p": "–" if one.p_value is None else f"{one.p_value:.3f}",
        }
        for one in report.judged
    ]
    if rows:
        output.table(rows, rows[0])
    for name, reason in report.left_out:
        output.say(f"not {name}: {reason}")
    for warning in report.warnings:
        output.say(f"mind: {warning}", style="yellow")
    output.say(f"chosen: {next(iter(report.distribution))} ({report.reason})")
    output.say()


def _fields(column: Column, report: Report) -> dict[str, Any]:
    return {
        "column": column.name,
        "times": report.values.size,
        "blank": column.blank,
        "mean": float(report.values.mean()),
        "sd": float(report.values.std(ddof=1)),
        "distribution": report.distribution,
        "reason": report.reason,
        "fits": [_fit_fields(one) for one in report.judged],
        "left_out": dict(report.left_out),
        "warnings": report.warnings,
    }


def _fit_fields(one: Judged) -> dict[str, Any]:
    return {
        "distribution": one.fitted.distribution(),
        "log_likelihood": one.log_likelihood,
        "aic": one.aic,
        "bic": one.bic,
        "p_value": one.p_value,
    }


def write_png(path: Path, columns: list[Column], reports: list[Report]) -> None:
    """For each column its histogram, and the densities of the best. Raises TwinError as `picture` does."""
    with picture(path, len(columns), shared=False) as axes:
        for axis, column, report in zip(axes, columns, reports, strict=True):
            values = report.values
            axis.hist(values, bins="sqrt", density=True, color="0.85")
            grid = np.linspace(values.min(), values.max(), 301)[1:]  # some densities have no end at 0
            for one in report.judged[:DRAWN]:
                axis.plot(grid, one.fitted.density(grid), label=one.fitted.family.name, linewidth=1.0)
            axis.set_ylabel(column.name, fontsize=8)
            if report.judged:
                axis.legend(fontsize=7)
