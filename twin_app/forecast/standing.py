"""The standing questions of a twin, as they stand in the state that is forked. Who answers them is in `replies`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from models.blueprint import Blueprint
from models.questions import StandingQuestion
from twin_app.forecast.fork import Fork


@dataclass(frozen=True)
class Asked:
    """One question of a state. `columns`: of a `late` one, which of the followed entities it is about."""

    name: str
    question: StandingQuestion
    above: float
    level: float
    columns: list[int] = field(default_factory=list)


def asked_of(fork: Fork, entities: list[int], dues: list[float | None]) -> list[Asked]:
    """The questions as they stand in the state that the fork begins with, of the entities that are followed."""
    read = fork.parameter_board.read
    found = []
    for name, question in fork.blueprint.questions.items():
        level = "at_least" if question.at_least is not None else "at_most" if question.at_most is not None else None
        columns: list[int] = []
        if question.late is not None:
            latest = inf if question.within is None else fork.now + question.within
            where = question.late.where
            columns = [
                column
                for column, (entity, due) in enumerate(zip(entities, dues, strict=True))
                if due is not None and due <= latest and _has(fork.entities[entity].attributes, where)
            ]
        above = read(f"questions.{name}.above")
        found.append(Asked(name, question, above, 0.0 if level is None else read(f"questions.{name}.{level}"), columns))
    return found


def reach(blueprint: Blueprint, own: float) -> float:
    """How far ahead all questions of a twin can be answered, in its time unit. `own`: where one says nothing about it."""
    return max(own if question.within is None else question.within for question in blueprint.questions.values())


def _has(attributes: Mapping[str, Any] | None, where: Mapping[str, Any]) -> bool:
    return all(name in (attributes or {}) and (attributes or {})[name] == value for name, value in where.items())
