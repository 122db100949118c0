"""An entity in a large calendar does not know itself when it is due; who asks for the work in progress is told all the same."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.kernel.three_ways import blueprint
from twin_app.kernel import Twin
from twin_app.kernel import calendar as calendars
from twin_app.web.reading import work


def crowd(near_max: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(calendars, "NEAR_MAX", near_max)
    flow = [{"process": {"resource": "m", "for": {"exponential": {"mean": 10.0}}}}]
    twin = Twin(blueprint(resources={"m": {"capacity": 1_000}}, flows={"stay": flow}))
    for _ in range(400):
        twin.spawn("stay")
    twin.advance(1.0)
    return SimpleNamespace(twin=twin, seq=twin.seq, now=twin.now, wip=twin.wip)


def test_the_end_of_service_is_told_from_a_heap_and_from_lots(monkeypatch: pytest.MonkeyPatch):
    heap, lots = crowd(10**9, monkeypatch), crowd(16, monkeypatch)
    told = work(lots, "x", 100, 50)
    assert told == work(heap, "x", 100, 50)
    assert all(item.until is not None for item in told.work)
    assert sum(entity.order == calendars.HIDDEN for entity in lots.twin.entities.values()) > 100
