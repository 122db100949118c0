"""Where each figure of a replication stands: a replication's result is one row of numbers, so that many are one matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

from models.forecasts import DUE
from twin_app.forecast.fork import Fork
from twin_app.forecast.question import Question
from twin_app.forecast.standing import Asked, asked_of
from twin_app.kernel.entity import Entity
from twin_app.kernel.twin import OUTCOMES

GRID_POINTS = 48
RESOURCES_SHOWN_MAX = 100
"""Resources with figures over time: those that have most to do now. When a bottleneck forms is noted for all."""
LEVELS_MAX = 100
"""Containers, stores and numeric variables with figures over time."""
ENTITIES_MAX = 10_000
"""Entities in progress whose leaving is followed: those with a due time first, then the oldest."""
ENTITY_ROWS_MAX = 30_000
"""Of all futures together: more would not go into one record."""

OUTCOME_CODES = {outcome: float(code) for code, outcome in enumerate(OUTCOMES)}
STILL_HERE = -1.0


@dataclass(frozen=True)
class Layout:
    """Follows from the question alone: the same in every process and for every future.

    A row: the series, each over the grid; when each resource becomes a bottleneck; when each crossing happens; when each
    entity leaves; how; the totals; whether a random number was drawn. Times are infinite where it does not happen.
    """

    grid: list[float]
    shown: list[str]
    levels: list[str]
    resources: list[str]
    crossings: list[tuple[str, float, str]]
    entities: list[int]
    flows: list[str]
    dues: list[float | None]
    entities_total: int
    present: list[str]
    now: dict[str, float]
    asked: list[Asked]

    @classmethod
    def of(cls, question: Question, fork: Fork) -> Layout:
        """`fork`: restored from the question's snapshot, listening, not yet advanced."""
        load = {name: len(resource.queue) + resource.busy for name, resource in fork.resources.items()}
        ranked = sorted(load, key=lambda name: -load[name])[:RESOURCES_SHOWN_MAX]
        shown = [name for name in fork.resources if name in ranked]
        numbers = [f"variables.{name}" for name, value in fork.variables.items() if type(value) in (int, float)]
        levels = [*fork.stocks(), *numbers][:LEVELS_MAX]
        followed, dues = _followed(fork, min(ENTITIES_MAX, ENTITY_ROWS_MAX // len(question.names)))
        now: dict[str, float] = {"wip": fork.wip}
        for name in shown:
            now[f"resources.{name}.queue"] = len(fork.resources[name].queue)
        for name in levels:
            now[name] = level_of(fork, name)
        return cls(
            grid=[question.start + question.horizon * k / GRID_POINTS for k in range(1, GRID_POINTS)] + [question.end],
            shown=shown,
            levels=levels,
            resources=list(fork.resources),
            crossings=[(crossing.quantity, crossing.level, crossing.why) for crossing in fork.crossings],
            entities=[entity.id for entity in followed],
            flows=[entity.flow for entity in followed],
            dues=dues,
            entities_total=fork.wip,
            present=fork.present_bottlenecks(),
            now=now,
            asked=asked_of(fork, [entity.id for entity in followed], dues),
        )

    @property
    def series(self) -> list[str]:
        """Names of the quantities over time, in the order of the row."""
        names = ["wip", "throughput"]
        for name in self.shown:
            names += [f"resources.{name}.queue", f"resources.{name}.utilisation"]
        return names + self.levels

    @property
    def totals(self) -> list[str]:
        """Names of the figures for the whole horizon."""
        names = ["finished", "left", "wip_end"]
        if any(due is not None for due in self.dues):
            names.append("late")
        for name in self.shown:
            names += [f"resources.{name}.queue_mean", f"resources.{name}.utilisation"]
        return names

    def parts(self) -> dict[str, slice]:
        """Where each part of a row stands."""
        sizes = {
            "series": len(self.series) * len(self.grid),
            "formed": len(self.resources),
            "crossed": len(self.crossings),
            "left_at": len(self.entities),
            "outcome": len(self.entities),
            "totals": len(self.totals),
            "drew": 1,
        }
        found, start = {}, 0
        for name, size in sizes.items():
            found[name] = slice(start, start + size)
            start += size
        return found


def level_of(fork: Fork, path: str) -> float:
    """The present level of a container or store, or the value of a numeric variable; nan if it is no number any more."""
    section, name, *_ = path.split(".")
    if section == "containers":
        return fork.containers[name].level
    if section == "stores":
        return float(fork.stores[name].level)
    value = fork.variables[name]
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else nan


def _followed(fork: Fork, most: int) -> tuple[list[Entity], list[float | None]]:
    """Entities, and when they are due."""
    entities = list(fork.entities.values())
    dues = {entity.id: due for entity in entities if entity.attributes and (due := _due(entity.attributes)) is not None}
    if not dues:
        return entities[:most], [None] * min(len(entities), most)
    entities.sort(key=lambda entity: entity.id not in dues)  # which leaves the order of either part as it is
    followed = entities[:most]
    return followed, [dues.get(entity.id) for entity in followed]


def _due(attributes: Mapping[str, Any]) -> float | None:
    value = attributes.get(DUE)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
