"""`twin explain`: what follows from a blueprint alone, without running it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from twin_app.analysis import Explanation
from twin_app.analysis import explain as explained
from twin_app.cli import output
from twin_app.cli.options import Json
from twin_app.cli.reading import read_blueprint


def explain(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The blueprint; - reads stdin.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Say from the blueprint alone, by queueing theory, how busy each resource will be, who will wait, and what the limit is."""
    found = explained(read_blueprint(file, to_run=False))
    if as_json:
        output.put_json(found.as_fields())
        return
    output.say(found.sentence(), style="bold")
    _resources(found)
    _flows(found)
    if found.notes:
        output.say()
        output.say("Not, or only roughly, taken into account:", style="bold")
        for note in found.notes:
            output.say(f"  {note.place}: {note.what}")


def _resources(found: Explanation) -> None:
    rows = [
        {
            "resource": station.resource,
            "come/h": f"{station.rate * found.per_hour:.4g}",
            f"service ({found.unit})": f"{station.service_mean:.4g}",
            "load": f"{station.load:.3f}",
            "of": station.capacity,
            "available": f"{station.availability:.1%}",
            "utilisation": "–" if station.utilisation is None else f"{station.utilisation:.1%}",
            "must wait": _percent(station.waiting_probability),
            f"mean wait ({found.unit})": _number(station.wait_mean),
            "mean queue": _number(station.queue_mean),
            "state": station.state + (f", +{station.growth * found.per_hour:.3g}/h" if station.growth else ""),
        }
        for station in found.stations
    ]
    if rows:
        output.say()
        output.table(rows, rows[0])


def _flows(found: Explanation) -> None:
    rows = [
        {
            "flow": flow.flow,
            "come/h": f"{flow.rate * found.per_hour:.4g}",
            f"time in system ({found.unit})": _number(flow.time_mean),
            "visits": "they never end"
            if flow.visits is None
            else ", ".join(f"{name} {count:.3g}" for name, count in flow.visits.items()),
        }
        for flow in found.flows
    ]
    if rows:
        output.say()
        output.table(rows, rows[0])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
