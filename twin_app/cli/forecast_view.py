"""How a forecast is shown: the sentence first, then futures side by side, then quantities over time."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.errors import TwinError
from twin_app.cli.pictures import picture
from twin_app.forecast.chart import curves

BARS = " ▁▂▃▄▅▆▇█"
BARS_MAX = 48
"""Of a line; less beside those of other futures, so that they go side by side."""
TITLE_CHARS = 120
LINES_MAX = 12
ENTITIES_MAX = 10
BOTTLENECKS_MAX = 5
THRESHOLDS_MAX = 8

Record = Mapping[str, Any]


def view(record: Record) -> RenderableType:
    """A revision for a person."""
    parts: list[RenderableType] = [Text(record["sentence"], style="bold")]
    parts += [Text(line, style="dim") for line in (_origin(record), _basis(record))]
    if not record["final"]:
        parts.append(Text(f"revision {record['revision']}: it is still being sharpened", style="yellow"))
    for scenario in record["scenarios"]:
        parts.append(_headline(scenario))
    if record["baseline"] is not None:
        parts += [Text(), _figures(record), Text(), _over_time(record)]
        late = _late(record["baseline"])
        if late is not None:
            parts += [Text(), late]
    return Group(*parts)


def _origin(record: Record) -> str:
    unit = record["time_unit"]
    sure = "exact" if record["deterministic"] else f"{record['replications']} replications, intervals of 90 %"
    shortened = f" (asked: {record['horizon_asked']:g})" if record["horizon_asked"] > record["horizon"] else ""
    return (
        f"{record['twin']} as of {_clock(record['as_of_event_time'])} ({record['as_of_sim_time']:g} {unit}), "
        f"{record['horizon']:g} {unit} ahead{shortened}; {sure}; {record['compute_s']:.2f} s"
    )


def _basis(record: Record) -> str:
    """What it rests on: whoever doubts an answer finds its input, and can have it computed again.

    A forecast made here of a file has no offset, age or lag.
    """
    offset, age_s, lag_s = (record.get(name) for name in ("as_of_offset", "input_age_s", "lag_s"))
    parts = [f"event {record['as_of_seq']}"]
    parts += [f"after offset {offset}"] if offset is not None else []
    parts += [f"input {age_s:.1f} s old"] if age_s is not None else []
    parts += [f"lag {lag_s:.1f} s"] if lag_s is not None else []
    return ", ".join((*parts, f"seed {record['seed']}", f"blueprint {record['blueprint_hash'][:8]}"))


def _headline(scenario: Record) -> Text:
    line = Text(f"{scenario['name']}: ", style="cyan")
    if scenario["outlook"] is None:
        return line.append("refused: " + "; ".join(scenario["refused"]), style="red")
    line.append(scenario["outlook"]["sentence"], style="default")
    first = scenario["first_difference"]
    if first is not None:
        happens = first["scenario_event"] or "nothing"
        instead = first["baseline_event"] or "nothing"
        line.append(f" First difference at {_clock(first['event_time'])}: {happens}, instead of {instead}.", style="dim")
    return line


def _figures(record: Record) -> Table:
    """Totals of every future, and each scenario's paired difference from the baseline."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    shown.add_column("over the horizon")
    shown.add_column("baseline", justify="right")
    scenarios = [scenario for scenario in record["scenarios"] if scenario["outlook"] is not None]
    for scenario in scenarios:
        shown.add_column(scenario["name"], justify="right")
        shown.add_column("difference", justify="right")
    for total in record["baseline"]["totals"]:
        row = [_short(total["quantity"]), _interval(total["mean"], total["mean_low"], total["mean_high"])]
        for scenario in scenarios:
            difference = next(found for found in scenario["differences"] if found["quantity"] == total["quantity"])
            row += [f"{difference['scenario']:.4g}", _interval(difference["mean"], difference["low"], difference["high"], "+")]
        shown.add_row(*row)
    for number in range(BOTTLENECKS_MAX):
        found = [_bottleneck(outlook, number) for outlook in (record["baseline"], *(s["outlook"] for s in scenarios))]
        if not any(found):
            break
        cells = [found[0]]
        for cell in found[1:]:
            cells += [cell, ""]
        shown.add_row("bottleneck" if number == 0 else "", *cells)
    outlooks = [record["baseline"], *(scenario["outlook"] for scenario in scenarios)]
    for key in list(dict.fromkeys(_level(found) for outlook in outlooks for found in outlook["thresholds"]))[:THRESHOLDS_MAX]:
        reached = [next((_reached(t, record) for t in outlook["thresholds"] if _level(t) == key), "-") for outlook in outlooks]
        cells = [reached[0]]
        for cell in reached[1:]:
            cells += [cell, ""]
        quantity, level, why = key
        shown.add_row(f"{_short(quantity)} at {level:g} ({why})", *cells)
    return shown


def _level(threshold: Record) -> tuple[str, float, str]:
    return threshold["quantity"], threshold["level"], threshold["why"]


def _reached(threshold: Record, record: Record) -> str:
    """When half of all futures have come to the level, and how sure it is that one does within the horizon."""
    low, high = threshold["probability_low"], threshold["probability_high"]
    sure = "" if low == high == 1.0 else f" ({100 * low:.0f}-{100 * high:.0f} %)"
    when = threshold["sim_time"]
    return (f"in {when - record['as_of_sim_time']:.4g} {record['time_unit']}" if when is not None else "perhaps") + sure


def _bottleneck(outlook: Record, number: int) -> str:
    if number >= len(outlook["bottlenecks"]):
        return ""
    found = outlook["bottlenecks"][number]
    if found["event_time"] is None:
        return f"{found['resource']} now"
    low, high = found["probability_low"], found["probability_high"]
    sure = "" if low == high == 1.0 else f" ({100 * low:.0f}-{100 * high:.0f} %)"
    return f"{found['resource']} {_clock(found['event_time'])}{sure}"


def _interval(mean: float, low: float | None, high: float | None, sign: str = "") -> str:
    value = f"{mean:{sign}.4g}"
    if low is None or high is None or low == high:
        return value
    return f"{value} [{low:{sign}.3g}, {high:{sign}.3g}]"


def _over_time(record: Record) -> Table:
    """The medians of what moves most, as a line each; a scenario's beside the baseline's."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    futures = [("baseline", record["baseline"])]
    futures += [(scenario["name"], scenario["outlook"]) for scenario in record["scenarios"] if scenario["outlook"] is not None]
    shown.add_column("median over time")
    for name, _ in futures:
        shown.add_column(name)
        shown.add_column("", justify="right")
    bands = [{band["quantity"]: band for band in outlook["bands"]} for _, outlook in futures]
    names = [name for name, band in bands[0].items() if band["now"] is not None]
    names.sort(key=lambda name: -max(_swing(band[name]) for band in bands))
    width = max(12, BARS_MAX // len(futures))
    for name in names[:LINES_MAX]:
        top = max(1.0, max(max(band[name]["q50"]) for band in bands))
        cells: list[str] = []
        for band in bands:
            values = band[name]["q50"]
            cells += [
                sparkline(values[:: -(-len(values) // width)], top),
                f"{band[name]['now']:g} to {values[-1]:g} ({band[name]['q05'][-1]:g}-{band[name]['q95'][-1]:g})",
            ]
        shown.add_row(_short(name), *cells)
    return shown


def _short(quantity: str) -> str:
    """Without the section that nearly all begin with: the columns beside it need the width of a usual terminal."""
    return quantity.removeprefix("resources.")


def _swing(band: Record) -> float:
    values = [value for value in (band["now"], *band["q50"]) if value is not None and value == value]
    return float(max(values) - min(values)) if values else 0.0


def sparkline(values: list[float], top: float) -> str:
    """The values as a line of bars; `top` fills a cell."""
    steps = len(BARS) - 1
    return "".join(BARS[min(steps, max(0, round(value / top * steps)))] if value == value else "?" for value in values)


def _late(outlook: Record) -> Table | None:
    found = [entity for entity in outlook["entities"] if entity["late"] is not None]
    if not found:
        return None
    found.sort(key=lambda entity: (-entity["late"], entity["due"]))
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("in progress", "leaves at", "due", "late"):
        shown.add_column(column, justify="left" if column == "in progress" else "right")
    for entity in found[:ENTITIES_MAX]:
        leaves = "beyond the horizon" if entity["leaves"] is None else _times(entity)
        low, high = entity["late_low"], entity["late_high"]
        late = f"{100 * entity['late']:.0f} %" + (f" [{100 * low:.0f}, {100 * high:.0f}]" if low != high else "")
        shown.add_row(f"{entity['flow']} {entity['entity']}", leaves, f"{entity['due']:g}", late)
    if len(found) > ENTITIES_MAX:
        shown.add_row(f"and {len(found) - ENTITIES_MAX:,} more", "", "", "")
    return shown


def _times(entity: Record) -> str:
    if entity["leaves_low"] == entity["leaves_high"]:
        return f"{entity['leaves']:.4g}"
    high = "later" if entity["leaves_high"] is None else f"{entity['leaves_high']:.4g}"
    return f"{entity['leaves']:.4g} [{entity['leaves_low']:.4g}, {high}]"


def _clock(instant: Any) -> str:
    """Date and time in UTC, to the second. From Avro it is a datetime, from JSON a text."""
    return str(instant).replace("T", " ")[:19]


def write_png(record: Record, path: Path) -> None:
    """Queues and levels over time as a picture. Raises TwinError `nothing-to-draw`, and as `picture` does."""
    groups = curves(record, LINES_MAX, measured_now=True)
    if not groups:
        raise TwinError("nothing-to-draw", "the twin has no queues or levels", place=record["twin"])
    with picture(path, len(groups)) as axes:
        for axis, group in zip(axes, groups, strict=True):
            for curve in group:
                (line,) = axis.plot(curve.times, curve.median, label=curve.future)
                axis.fill_between(curve.times, curve.low, curve.high, alpha=0.2, color=line.get_color())
            axis.set_ylabel(group[0].quantity.replace("resources.", ""), rotation=0, ha="right", fontsize=8)
            axis.set_ylim(min(0.0, axis.get_ylim()[0]), max(1.0, axis.get_ylim()[1]))
        axes[0].legend(fontsize=8, title="median, 5 to 95 %", title_fontsize=7)
        told = [
            f"{scenario['name']}: {scenario['outlook']['sentence']}" for scenario in record["scenarios"] if scenario["outlook"]
        ]
        title = [textwrap.fill(sentence, TITLE_CHARS) for sentence in (record["sentence"], *told)]
        axes[0].set_title("\n".join(title), fontsize=9, loc="left")
        axes[-1].set_xlabel(f"simulation time ({record['time_unit']})")
