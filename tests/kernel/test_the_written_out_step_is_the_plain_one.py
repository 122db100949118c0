"""`PlainProcess` is `Process` written out for speed: no event, figure or draw may differ."""

from __future__ import annotations

from typing import Any

import pytest

from models.blueprint import Blueprint
from twin_app.kernel import Twin
from twin_app.kernel.program import VERBS
from twin_app.kernel.steps.plain import PlainProcess
from twin_app.kernel.steps.serve import Process

LINE: dict[str, Any] = {
    "twin": "Line",
    "seed": 5,
    "resources": {"a": {"capacity": 1, "max_capacity": 4}, "b": {"capacity": 2, "max_capacity": 4}},
    "services": {"turning": {"exponential": {"mean": 0.8}}, "milling": {"uniform": {"low": 1.0, "high": 2.0}}},
    "arrivals": {"orders": {"interarrival": {"exponential": {"mean": 1.0}}, "flow": "make"}},
    "flows": {
        "make": [{"process": {"resource": "a", "service": "turning"}}, {"process": {"resource": "b", "service": "milling"}}]
    },
    "watch": {"bottleneck": {"queue": 3, "for": 1}, "growing": {"by": 2}, "starving": {"for": 1}},
}
CHANGES = [(20.0, 0), (35.0, 3), (60.0, 1), (90.0, 2)]


def run() -> tuple[list[Any], dict[str, Any], bool]:
    twin = Twin(Blueprint.model_validate(LINE))
    written_out = any(isinstance(step, PlainProcess) for step in twin.program.steps)
    for at, capacity in CHANGES:
        twin.advance(at)
        twin.set([("resources.b.capacity", capacity)])
    twin.advance(150.0)
    return twin.drain(), twin.statistics(), written_out


def test_it_never_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    events, figures, written_out = run()
    assert written_out, "the line does not use the step that is to be compared"
    monkeypatch.setitem(VERBS, "process", Process)
    plain_events, plain_figures, written_out = run()
    assert not written_out
    assert len(events) > 300
    assert events == plain_events
    assert figures == plain_figures
