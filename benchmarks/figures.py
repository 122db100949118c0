"""A figure: ours and a peer's, measured in turn within one run, several times; what counts is the ratio of each round.

Nothing here passes or fails on time. Whoever measures asserts the counts: a figure over lost events would be worth nothing.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results.json"


@dataclass(frozen=True)
class Figure:
    """One row. `ours` and `peer` hold one value per round, in `unit`; `goal` is what the ratio ours/peer is to reach.

    `better` says whether a high or a low ratio is good. Without a goal the row only informs.
    """

    name: str
    ours: Sequence[float]
    peer: Sequence[float]
    peer_name: str
    unit: str
    goal: float | None = None
    better: Literal["higher", "lower"] = "higher"

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.ours, self.peer, strict=True)]

    def row(self) -> dict[str, Any]:
        """The row as results.json keeps it: medians, the median of the rounds' ratios, and the smallest and largest of them."""
        return {
            "name": self.name,
            "ours": _round(statistics.median(self.ours)),
            "peer": _round(statistics.median(self.peer)),
            "peer_name": self.peer_name,
            "ratio": _round(statistics.median(self.ratios)),
            "goal": self.goal,
            "spread": [_round(min(self.ratios)), _round(max(self.ratios))],
            "unit": self.unit,
            "better": self.better,
            "rounds": len(self.ours),
        }


def met(row: dict[str, Any]) -> str:
    """`yes`, `no`, or nothing where there is no goal, or where the row does not say from which side."""
    if row.get("goal") is None or "better" not in row:
        return ""
    reached = row["ratio"] >= row["goal"] if row["better"] == "higher" else row["ratio"] <= row["goal"]
    return "yes" if reached else "no"


def load() -> list[dict[str, Any]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def row_of(found: Figure | dict[str, Any]) -> dict[str, Any]:
    """The row of a figure, or of what is one already."""
    return found if isinstance(found, dict) else found.row()


def save(found: Sequence[Figure | dict[str, Any]], conditions: str) -> list[dict[str, Any]]:
    """Put these rows in the place of earlier ones of their name and peer; all rows that results.json then has.

    `conditions`: when, on what broker and beside how much other work they were measured.
    """
    new = [row_of(one) | {"conditions": conditions} for one in found]
    measured = {(row["name"], row["peer_name"]) for row in new}
    rows = [row for row in load() if (row["name"], row["peer_name"]) not in measured] + new
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    return rows


def _round(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) < 10_000 else float(round(value))
