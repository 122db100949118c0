"""Twins to look ahead from, and a short way to an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from models.blueprint import Blueprint
from models.commands import Command, Set
from twin_app.forecast import Crew, Effort, InlineCrew, Question, Revised, answers, question
from twin_app.switchboard import LiveTwin

LINE: dict[str, Any] = {
    "twin": "Line_A",
    "time": {"unit": "minutes", "start": "2026-11-22T09:00:00Z"},
    "seed": 42,
    "variables": {"route": "b"},
    "resources": {"a": {}, "b": {}, "c": {}, "d": {}},
    "services": {"turning": {"constant": 4}, "milling": {"constant": 5}, "packing": {"constant": 3}},
    "arrivals": {"orders": {"interarrival": {"constant": 5}, "flow": "make", "attributes": {"due": "now + 30"}}},
    "flows": {
        "make": [
            {"process": {"resource": "a", "service": "turning"}},
            {"branch": [{"when": "variables.route == 'd'", "go": "other"}]},
            {"process": {"resource": "b", "service": "milling"}},
            {"go": "pack"},
            {"other": {"process": {"resource": "d", "service": "milling"}}},
            {"pack": {"process": {"resource": "c", "service": "packing"}}},
        ]
    },
    "watch": {"bottleneck": {"queue": 10, "for": 5}, "growing": {"by": 3}, "starving": {"for": 5}},
}
"""Three machines in a row, b with a stand-in d; nothing is left to chance."""

SHOP: dict[str, Any] = {
    "twin": "Shop",
    "time": {"unit": "minutes"},
    "seed": 7,
    "variables": {"stock": 5},
    "resources": {"a": {}, "b": {"capacity": 2, "max_capacity": 4}},
    "services": {"turning": {"exponential": {"mean": 4.4}}, "milling": {"lognormal": {"mean": 9, "sd": 4}}},
    "arrivals": {"orders": {"interarrival": {"exponential": {"mean": 5}}, "flow": "make", "attributes": {"due": "now + 40"}}},
    "flows": {
        "make": [{"process": {"resource": "a", "service": "turning"}}, {"process": {"resource": "b", "service": "milling"}}]
    },
    "watch": {"bottleneck": {"queue": 8, "for": 5}},
}
"""Two machines, busy, all by chance."""

LOOP: dict[str, Any] = {
    "twin": "Loop",
    "variables": {"go": 0},
    "resources": {"a": {}},
    "arrivals": {"x": {"interarrival": {"constant": 10}, "flow": "f"}},
    "flows": {"f": [{"again": {"branch": [{"when": "variables.go == 1", "go": "again"}]}}]},
    "limits": {"steps_per_instant": 1000},
}
"""Fails as soon as somebody sets `go`."""


def live(document: Mapping[str, Any], until: float = 0.0, **changes: Any) -> LiveTwin:
    """A live twin that has come to `until`, with its events taken."""
    twin = LiveTwin.register(Blueprint.model_validate({**document, **changes}))
    twin.advance(until)
    twin.drain()
    return twin


def set_(twin: LiveTwin, path: str, value: Any, **fields: Any) -> Set:
    return Set(twin=twin.twin.blueprint.twin, path=path, value=value, **fields)


def apply(twin: LiveTwin, command: Command) -> None:
    """As a record of the config topic would, now."""
    twin.apply(command, effective=twin.now)
    twin.drain()


def asking(revision: int, compute_s: float) -> dict[str, Any]:
    return {
        "id": f"test:{revision}",
        "trigger": "local",
        "revision": revision,
        "horizon_asked": 0.0,
        "compute_s": compute_s,
        "created_at_us": time.time_ns() // 1000,
    }


async def revisions(asked: Question, *, rounds: Sequence[int] = (1, 4), crew: Crew | None = None) -> list[Revised]:
    """All revisions of an answer, in JSON."""
    return [made async for made in answers(asked, crew or InlineCrew(), asking, effort=Effort(rounds, 60.0))]


def ahead(
    twin: LiveTwin, horizon: float, scenarios: Mapping[str, list[Command]] | None = None, rounds: Sequence[int] = (1, 4)
) -> dict[str, Any]:
    """The last revision of a forecast, as JSON gives it."""
    return orjson.loads(asyncio.run(revisions(question(twin, horizon, scenarios), rounds=rounds))[-1].body)


def scenario(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(found for found in record["scenarios"] if found["name"] == name)
