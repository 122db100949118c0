"""A line of three machines; the second is taken out while it has a job in service and two waiting."""

from __future__ import annotations

from typing import Any

from tests.forecast.plants import LINE, ahead, live, set_
from twin_app.switchboard import LiveTwin

BUSY: dict[str, Any] = {**LINE, "services": {**LINE["services"], "turning": {"constant": 3}, "milling": {"constant": 7}}}
"""b takes longer than jobs are apart: a queue forms before it."""


def _broken() -> LiveTwin:
    line = live(BUSY)
    b = line.twin.resources["b"]
    while len(b.queue) < 2:
        line.advance(line.now + 1)
    line.drain()
    assert (b.busy, len(b.queue)) == (1, 2)
    line.apply(set_(line, "resources.b.capacity", 0), effective=line.now)
    return line


def test_the_job_in_service_ends_and_no_other_begins() -> None:
    line = _broken()
    in_progress = {entity.id for entity in line.twin.entities.values()}
    in_service = next(entity.id for entity in line.twin.entities.values() if entity.id not in _waiting(line) and _at_b(entity))
    line.advance(line.now + 120)
    events = line.drain()
    at_b = [(event.kind, event.entity) for event in events if event.payload.get("resource") == "b" and event.entity is not None]
    assert [entity for kind, entity in at_b if kind == "entity-finished"] == [in_service]
    assert [entity for kind, entity in at_b if kind == "entity-started"] == []
    left = {event.entity for event in events if event.kind == "entity-left"}
    assert in_progress <= left | set(line.twin.entities)
    assert in_progress - left == set(line.twin.entities) & in_progress


def test_it_is_told_as_it_happens_and_was_foretold_to_the_minute() -> None:
    line = _broken()
    record = ahead(line, 240)
    line.advance(line.now + 240)
    told: dict[tuple[str, str], float] = {}
    for event in line.drain():
        told.setdefault((event.kind, str(event.payload.get("resource") or event.payload.get("path"))), event.sim_time)
    changed, growing = told["parameter-changed", "resources.b.capacity"], told["queue-growing", "b"]
    assert changed < growing < told["bottleneck-formed", "b"]
    assert changed < told["resource-starving", "c"]
    first = record["baseline"]["bottlenecks"][0]
    assert (first["resource"], first["sim_time"]) == ("b", told["bottleneck-formed", "b"])


def _waiting(line: LiveTwin) -> set[int]:
    return {entity.id for entity in line.twin.resources["b"].queue}


def _at_b(entity: Any) -> bool:
    return getattr(getattr(entity.step, "resource", None), "name", None) == "b"
