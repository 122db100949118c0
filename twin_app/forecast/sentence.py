"""The main point of an outlook in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from twin_app.forecast.outlook import Rows

GROWTH_MIN = 3
"""A queue is said to grow when its median rises by at least so many entities."""
LIKELY = 0.5
"""A bottleneck that is less likely is not announced, only mentioned."""
LATE_CERTAIN = 0.5
"""An entity counts as late in the sentence when that is likelier than not."""
SECONDS_BELOW = timedelta(hours=1)
"""Within a horizon shorter than this, times are given to the second."""
SURE = 0.995
"""A probability that is written as a certainty would round to 100 %."""


def sentence(rows: Rows, outlook: dict[str, Any]) -> str:
    """For a person: what grows, the next bottleneck, where and when, and how many will be late."""
    parts = [part for part in (_growth(rows, outlook), _bottleneck(rows, outlook), _late(outlook)) if part]
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else "Nothing remarkable happens."


def _growth(rows: Rows, outlook: dict[str, Any]) -> str:
    best: tuple[float, str] | None = None
    for band in outlook["bands"]:
        if band["now"] is None or not band["quantity"].endswith(".queue"):
            continue
        growth = max(band["q50"]) - band["now"]
        if growth >= GROWTH_MIN and (best is None or growth > best[0]):
            name = band["quantity"].split(".")[1]
            best = (growth, f"{name}'s queue is growing ({band['now']:g} now, {max(band['q50']):g} at its height)")
    return best[1] if best else ""


def _bottleneck(rows: Rows, outlook: dict[str, Any]) -> str:
    if not rows.question.snapshot["twin"]["blueprint"].get("watch", {}).get("bottleneck"):
        return _busiest(outlook)
    present = [b["resource"] for b in outlook["bottlenecks"] if b["present"]]
    now = f"{' and '.join(present)} {'is a bottleneck' if len(present) == 1 else 'are bottlenecks'} already" if present else ""
    found = next((b for b in outlook["bottlenecks"] if b["resource"] == outlook["bottleneck"]), None)
    if found is None:
        none = f"no {'other ' if present else ''}bottleneck forms until {clock(rows, rows.question.end)}"
        return f"{now}; {none}" if now else none
    text = _when(rows, found)
    if found["probability"] < LIKELY:
        likely = f"no {'other ' if present else ''}bottleneck is likely until {clock(rows, rows.question.end)}"
        low, high = found["probability_low"], found["probability_high"]
        text = f"{likely} (likeliest at {found['resource']}: {100 * low:.0f} to {100 * high:.0f} %)"
    return f"{now}; {text}" if now else text


def _when(rows: Rows, found: dict[str, Any]) -> str:
    when = clock(rows, found["sim_time"])
    text = f"a bottleneck forms at {found['resource']}"
    if rows.exact:
        return f"{text} at {when} (in {span(rows, found['sim_time'])})"
    low, high = clock(rows, found["sim_time_low"]), clock(rows, found["sim_time_high"])
    between = f", between {low} and {high}" if low != high else ""
    return f"{text} around {when} (in {span(rows, found['sim_time'])}{between}) with probability {_share(found)}"


def _share(found: dict[str, Any]) -> str:
    low, high = found["probability_low"], found["probability_high"]
    share = found["probability"]
    shown = "nearly 100 %" if share >= SURE else f"{100 * share:.0f} %"
    return f"{shown} ({100 * low:.0f} to {100 * high:.0f} %)"


def _busiest(outlook: dict[str, Any]) -> str:
    found = [total for total in outlook["totals"] if total["quantity"].endswith(".utilisation")]
    if not found:
        return ""
    busiest = max(found, key=lambda total: total["mean"])
    return f"{busiest['quantity'].split('.')[1]} is the busiest, at {100 * busiest['mean']:.0f} % of its capacity"


def _late(outlook: dict[str, Any]) -> str:
    told = [entity for entity in outlook["entities"] if entity["late"] is not None]
    if not told:
        return ""
    late = sum(entity["late"] > LATE_CERTAIN for entity in told)
    return (
        f"{late} of {len(told)} with a due time will probably be late"
        if late
        else f"none of {len(told)} with a due time is likely late"
    )


def clock(rows: Rows, sim_time: float) -> str:
    """The time of day; with the date where it is not the day of the fork, with seconds where the horizon is short."""
    start, then, end = rows.instant(rows.question.start), rows.instant(sim_time), rows.instant(rows.question.end)
    shown = "%H:%M:%S" if end - start < SECONDS_BELOW else "%H:%M"
    return then.strftime(shown if then.date() == start.date() else f"%Y-%m-%d {shown}")


def span(rows: Rows, sim_time: float) -> str:
    """How long from the fork to then, on the twin's clock, in two units at most."""
    unit_s = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
    unit = rows.question.snapshot["twin"]["blueprint"].get("time", {}).get("unit", "seconds")
    seconds = round((sim_time - rows.question.start) * unit_s[unit])
    for name, size, below, below_size in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            part = rest // below_size
            return f"{whole} {name}" + (f" {part} {below}" if part else "")
    return f"{seconds} s"
