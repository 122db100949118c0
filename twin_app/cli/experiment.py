"""`twin experiment`: a blueprint run many times, at each point of a design, compared with intervals."""

from __future__ import annotations

import csv
import enum
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.blueprint import Blueprint
from models.errors import TwinError
from twin_app.analysis import trial
from twin_app.analysis.experiment import (
    POINTS_MAX,
    REPLICATIONS_MAX,
    Estimate,
    Figures,
    Point,
    Result,
    full_factorial,
    main_effects,
    one_at_a_time,
    results,
)
from twin_app.cli import output
from twin_app.cli.options import Json, check_writable, unwritable
from twin_app.cli.pictures import check_picture, picture
from twin_app.cli.reading import read_blueprint

PROCESSES_MAX = 64
NAMED_MAX = 12
"""More points than this are numbered in a picture."""
POINTS = 20
SEEDS_MAX = 2**32

Factors = dict[str, list[Any]]


class Design(enum.StrEnum):
    """Which points are run."""

    FULL = "full"
    ONE_AT_A_TIME = "one-at-a-time"
    PLACKETT_BURMAN = "plackett-burman"
    FOLDED = "folded-plackett-burman"
    LATIN_HYPERCUBE = "latin-hypercube"


def experiment(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The blueprint; - reads stdin.", show_default=False)],
    until: Annotated[float, typer.Option("--until", metavar="TIME", help="Simulation time at which each run ends.")],
    replications: Annotated[
        int, typer.Option("--replications", "-n", min=1, max=REPLICATIONS_MAX, help="Runs of each design point.")
    ] = 10,
    warm_up: Annotated[
        float | None,
        typer.Option("--warm-up", metavar="TIME", help="Figures count from then on.", show_default="the blueprint's"),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="PATH=V1,V2,...",
            help="A factor (repeatable) with its values; for latin-hypercube its range: PATH=LOW..HIGH.",
            show_default=False,
        ),
    ] = None,
    design: Annotated[
        Design, typer.Option("--design", help="Which combinations are run; the last three need twin-app[designs].")
    ] = Design.FULL,
    points: Annotated[
        int | None,
        typer.Option("--points", min=2, max=POINTS_MAX, help="Of a latin-hypercube.", show_default=str(POINTS)),
    ] = None,
    design_seed: Annotated[
        int | None, typer.Option("--design-seed", min=0, max=SEEDS_MAX, help="Of a latin-hypercube.", show_default="1")
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option("--processes", min=1, max=PROCESSES_MAX, help="At the same time.", show_default="one for each core"),
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Also write every run.", show_default=False)
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Also draw it (needs twin-app[plots]).", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a blueprint again and again, with other values if asked: means and differences with 95 % intervals."""
    blueprint = read_blueprint(file)
    warm = warm_up if warm_up is not None else blueprint.statistics.warm_up
    if not (isfinite(until) and 0 <= warm < until):
        raise TwinError(
            "bad-until", f"figures from {warm:g} to {until:g} are no stretch of time", remedy="--until after --warm-up"
        )
    factors, all_points = _design(design, vary or [], replications, points, design_seed)
    for point in all_points:
        trial.begin(blueprint, point)  # a value that is refused is told before anything is run
    if csv_file is not None:
        check_writable(csv_file, "--csv")
    if png is not None:
        check_picture(png)
    tasks = [(point, number) for point in all_points for number in range(replications)]
    runs = _all_runs(blueprint, tasks, until, warm, min(processes or os.cpu_count() or 1, PROCESSES_MAX, len(tasks)))
    grouped = [runs[start : start + replications] for start in range(0, len(runs), replications)]
    found = results(all_points, grouped)
    if csv_file is not None:
        _write_csv(csv_file, all_points, grouped)
    if png is not None:
        write_png(png, found)
    _show(blueprint, found, replications, as_json)
    two_levels = all(len(values) == 2 and values[0] != values[1] for values in factors.values())
    if design is not Design.ONE_AT_A_TIME and len(factors) > 1 and two_levels:
        _show_effects(blueprint, factors, main_effects(factors, all_points, grouped), as_json)


# -- the design
def _design(
    design: Design, given: list[str], replications: int, points: int | None, seed: int | None
) -> tuple[Factors, list[Point]]:
    """The factors that have listed values, and the points. Raises TwinError."""
    if design is Design.LATIN_HYPERCUBE:
        room = _room()
        ranges = {path: room.Range(*_range(path, text)) for path, text in _texts(given).items()}
        if not ranges:
            remedy = "--vary services.milling.mean=3.0..5.0"
            raise TwinError("bad-option", f"a {design} needs a range", place="--vary", remedy=remedy)
        return {}, room.latin_hypercube(ranges, points or POINTS, replications, 1 if seed is None else seed)
    if points is not None or seed is not None:
        option = "--points" if points is not None else "--design-seed"
        raise TwinError("bad-option", f"means nothing for the design {design}", place=option, remedy="--design latin-hypercube")
    factors = _factors(given)
    match design:
        case Design.FULL:
            return factors, full_factorial(factors, replications)
        case Design.ONE_AT_A_TIME:
            return factors, one_at_a_time(factors, replications)
    return factors, _room().plackett_burman(factors, replications, folded=design is Design.FOLDED)


def _room() -> ModuleType:
    """What makes the other designs. Raises TwinError `no-designs` where its libraries are not installed."""
    try:
        from twin_app.analysis import designs
    except ImportError:
        raise TwinError("no-designs", "this design needs pydoe and scipy", remedy="install twin-app[designs]") from None
    return designs


def _texts(given: list[str]) -> dict[str, str]:
    """What was written for each path."""
    found: dict[str, str] = {}
    for text in given:
        path, equals, values = text.partition("=")
        if not equals or not path.strip() or not values or path.strip() in found:
            raise TwinError(
                "bad-option",
                f"{text[:80]!r} is no factor",
                place="--vary",
                remedy="write each path once: --vary resources.b.capacity=1,2",
            )
        found[path.strip()] = values
    return found


def _factors(given: list[str]) -> Factors:
    return {path: [_value(value) for value in text.split(",")] for path, text in _texts(given).items()}


def _range(path: str, text: str) -> tuple[float, float]:
    low, _, high = text.partition("..")
    ends = [_value(low), _value(high)]
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends) or not ends[0] < ends[1]:
        raise TwinError(
            "bad-option",
            f"{path[:80]}={text[:80]} is no range",
            place="--vary",
            remedy="write the lower end first: --vary services.milling.mean=3.0..5.0 (whole numbers: 1..4)",
        )
    return ends[0], ends[1]


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


# -- runs
_ready: Callable[[Point, int], dict[str, float]]


def _prepare(document: str, until: float, warm: float) -> None:
    """In each process, once."""
    global _ready
    blueprint = Blueprint.model_validate_json(document)
    _ready = lambda point, number: trial.run(blueprint, point, number, until, warm)  # noqa: E731


def _one(task: tuple[Point, int]) -> dict[str, float] | tuple[str, str, str | None, str | None]:
    """An error comes back as its parts: as itself it does not pass from one process to another."""
    try:
        return _ready(*task)
    except TwinError as error:
        return error.code, error.message, error.place, error.remedy


def _all_runs(blueprint: Blueprint, tasks: list[tuple[Point, int]], until: float, warm: float, processes: int) -> list[Figures]:
    """In the order of the tasks, however many processes there are. Raises TwinError."""
    found: list[Figures] = []
    with _progress(len(tasks)) as advance:
        if processes == 1:
            for point, number in tasks:
                found.append(trial.run(blueprint, point, number, until, warm))
                advance()
            return found
        document = blueprint.model_dump_json(by_alias=True, exclude_unset=True)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, _prepare, (document, until, warm)) as pool:
            for outcome in pool.map(_one, tasks):
                if isinstance(outcome, tuple):
                    pool.shutdown(cancel_futures=True)
                    code, message, place, remedy = outcome
                    raise TwinError(code, message, place=place, remedy=remedy)
                found.append(outcome)
                advance()
    return found


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on stderr; none on a pipe."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    columns = (TextColumn("running"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.stderr(), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)


# -- results
def _name(point: Point) -> str:
    return ", ".join(f"{path}={value}" for path, value in point.items()) or "as it is"


def _show(blueprint: Blueprint, found: list[Result], replications: int, as_json: bool) -> None:
    unit = blueprint.time.unit
    if as_json:
        for result in found:
            output.put_json(
                {
                    "twin": blueprint.twin,
                    "unit": unit,
                    "changes": result.changes,
                    "figures": {name: _fields(value) for name, value in result.figures.items()},
                    "differences": {name: _fields(value) for name, value in result.differences.items()},
                }
            )
        return
    output.say(f"{blueprint.twin}: {len(found)} design points, {replications} replications each; times in {unit}", style="bold")
    for result in found:
        output.say()
        output.say(_name(result.changes), style="bold")
        rows = [
            {
                "figure": f"{name} (per {unit[:-1]})" if name == "throughput" else name,
                "mean": f"{value.mean:.4f}",
                "95 % interval": _interval(value),
                **({"difference to the first": _difference(result.differences.get(name))} if result is not found[0] else {}),
            }
            for name, value in result.figures.items()
        ]
        output.table(rows, rows[0])


def _show_effects(blueprint: Blueprint, factors: Factors, effects: dict[str, dict[str, Estimate]], as_json: bool) -> None:
    if as_json:
        told = {path: {name: _fields(value) for name, value in figures.items()} for path, figures in effects.items()}
        output.put_json({"twin": blueprint.twin, "unit": blueprint.time.unit, "factors": factors, "main_effects": told})
        return
    for path, (first, second) in factors.items():
        output.say()
        output.say(f"main effect of {path}, {first} to {second}", style="bold")
        rows = [
            {"figure": name, "effect": f"{value.mean:+.4f}", "95 % interval": _interval(value)}
            for name, value in effects[path].items()
        ]
        output.table(rows, ("figure", "effect", "95 % interval"))


def _fields(value: Estimate) -> dict[str, Any]:
    half = value.half
    low, high = (None, None) if half is None else (value.mean - half, value.mean + half)
    return {"mean": value.mean, "low": low, "high": high, "replications": value.replications}


def _interval(value: Estimate) -> str:
    return "–" if value.half is None else f"{value.mean - value.half:.4f} … {value.mean + value.half:.4f}"


def _difference(value: Estimate | None) -> str:
    return "–" if value is None else f"{value.mean:+.4f}" + (f" ± {value.half:.4f}" if value.half is not None else "")


def _write_csv(path: Path, points: list[Point], grouped: list[list[Figures]]) -> None:
    names = list(dict.fromkeys(name for runs in grouped for figures in runs for name in figures))
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            paths = list(dict.fromkeys(path for point in points for path in point))
            writer.writerow([*paths, "replication", *names])
            for point, runs in zip(points, grouped, strict=True):
                for number, figures in enumerate(runs):
                    writer.writerow(
                        [*(point.get(path, "") for path in paths), number, *(figures.get(name, "") for name in names)]
                    )
    except OSError as error:
        raise unwritable(path, error, "make room, or name another with --csv") from error


def write_png(path: Path, found: list[Result]) -> None:
    """Each figure over the design points, with its intervals. Raises TwinError as `picture` does."""
    names = list(found[0].figures)
    with picture(path, len(names)) as axes:
        for axis, name in zip(axes, names, strict=True):
            told = [(number, result.figures[name]) for number, result in enumerate(found) if name in result.figures]
            bars = [value.half or 0.0 for _, value in told]
            axis.errorbar([number for number, _ in told], [value.mean for _, value in told], yerr=bars, fmt="o", capsize=4)
            axis.set_ylabel(name, fontsize=8)
        if len(found) <= NAMED_MAX:
            axes[-1].set_xticks(range(len(found)), [_name(result.changes) for result in found], rotation=20, fontsize=7)
        else:
            axes[-1].set_xlabel("design point, the first is 0", fontsize=8)
