"""Thousands in progress, many scenarios: the first answer is brief, the last is whole, and what fits no record is said."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from models.errors import TwinError
from tests.forecast.plants import asking, live, revisions
from twin_app.forecast import Effort, InlineCrew, answers, bench, question
from twin_app.forecast.answering import BRIEF_ENTITIES

CROWD: dict[str, Any] = {
    "twin": "Crowd",
    "resources": {"a": {}, "b": {"capacity": 0}},
    "arrivals": {"x": {"interarrival": {"constant": 1}, "flow": "f", "attributes": {"due": "now + 5000"}}},
    "flows": {"f": [{"process": {"resource": "a", "for": 0.5}}, {"process": {"resource": "b", "for": 1}}]},
}
"""All pile up in front of b."""


def test_the_first_answer_of_a_crowd_is_brief_and_the_last_names_everybody() -> None:
    made = asyncio.run(revisions(question(live(CROWD, 1_500.5), 10.0, {"same": []}), rounds=(1,)))
    first, last = (orjson.loads(revised.body) for revised in (made[0], made[-1]))
    assert [revised.final for revised in made] == [False, True]
    assert len(first["baseline"]["entities"]) == len(first["scenarios"][0]["outlook"]["entities"]) == BRIEF_ENTITIES
    assert len(last["baseline"]["entities"]) == len(last["scenarios"][0]["outlook"]["entities"]) == 1_500
    assert first["baseline"]["entities_total"] == 1_500
    assert first["baseline"]["entities"] == last["baseline"]["entities"][:BRIEF_ENTITIES]


def test_a_small_twins_exact_answer_is_still_one_revision() -> None:
    made = asyncio.run(revisions(question(live(CROWD, 50.5), 10.0), rounds=(1,)))
    assert [revised.final for revised in made] == [True]


def avro(asked: Any) -> list[bytes]:
    async def bodies() -> list[bytes]:
        return [r.body async for r in answers(asked, InlineCrew(), asking, schema_id=1, effort=Effort((1,), 60.0))]

    return asyncio.run(bodies())


def test_a_record_that_would_be_too_large_lists_fewer_before_it_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = question(live(CROWD, 900.5), 10.0)
    whole = len(avro(asked)[-1])
    monkeypatch.setattr(bench, "BODY_BYTES_MAX", whole - 1)
    assert len(avro(asked)[-1]) < whole / 3
    monkeypatch.setattr(bench, "BODY_BYTES_MAX", 1_000)
    with pytest.raises(TwinError, match="forecast-too-large"):
        avro(asked)
