"""The figures as a table on the terminal, and as a section of docs/PERFORMANCE.md between two marks.

Everything outside the marks is written by hand and left alone.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import met
from twin_app.kernel import FORM

PAGE = Path(__file__).parents[1] / "docs" / "PERFORMANCE.md"
BEGIN, END = "<!-- figures: written by `make bench` -->", "<!-- end of the figures -->"


def machine() -> str:
    """What the figures were measured on, in one line."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.processor()
    )
    memory = next((int(line.split()[1]) >> 20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    system = f"Linux {platform.release()}, Python {platform.python_version()}, kernel {FORM}"
    return f"{os.cpu_count()} cores ({model}), {memory} GiB, {system}"


def conditions(broker: str | None) -> str:
    """The day, the broker where one took part, and the load of the last minute and the last five."""
    one, five, _ = os.getloadavg()
    return f"{datetime.now(UTC):%Y-%m-%d}, {broker or 'no broker'}, load {one:.0f}/{five:.0f}"


def show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("figure", "ours", "peer", "", "ratio", "spread", "goal", "met")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['ours']:,g}",
            f"{row['peer']:,g}",
            f"{row.get('unit', '')} of {row['peer_name']}",
            f"{row['ratio']:g}",
            _spread(row),
            _goal(row),
            met(row),
        )
    Console(width=None if os.isatty(1) else 170).print(table)


def write(rows: Sequence[dict[str, Any]]) -> None:
    """Replace what is between the marks. Raises ValueError when the page has lost them."""
    text = PAGE.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has lost the marks {BEGIN!r} and {END!r}")
    lines = [
        "",
        f"Machine of the last run: {machine()}. Rows without conditions were written by `make bench-kernel`.",
        "",
        "| figure | ours | peer | ratio (spread) | goal | met | conditions |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        unit = f" {row['unit']}" if row.get("unit") else ""
        ours, peer = f"{row['ours']:,g}{unit}", f"{row['peer']:,g} ({row['peer_name']})"
        ratio = f"{row['ratio']:g} ({_spread(row)})"
        lines.append(f"| {row['name']} | {ours} | {peer} | {ratio} | {_goal(row)} | {met(row)} | {row.get('conditions', '')} |")
    PAGE.write_text(before + begin + "\n".join(lines) + "\n\n" + end + after)


def _spread(row: dict[str, Any]) -> str:
    return f"{row['spread'][0]:g}–{row['spread'][1]:g}"


def _goal(row: dict[str, Any]) -> str:
    if row.get("goal") is None:
        return ""
    side = {"higher": "≥ ", "lower": "≤ "}.get(row.get("better", ""), "")
    return f"{side}{row['goal']:g}"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []
