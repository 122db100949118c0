"""Twins whose blueprints differ in name and seed only share them: whatever one of them does, the others never notice."""

from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from models import sharing
from models.blueprint import Blueprint
from models.sharing import blueprint_from, shared
from tests.kernel.random_blueprints import blueprints, scripts
from tests.kernel.three_ways import Play
from twin_app.kernel import Twin

UNTIL = 15.0
LINE: dict[str, Any] = {
    "twin": "A",
    "variables": {"orders": [1, 2], "mode": 0.0},
    "resources": {"m": {"capacity": 1}},
    "services": {"work": {"exponential": {"mean": 1.0}}},
    "flows": {"job": [{"process": {"resource": "m", "service": "work"}}]},
}


def packed(blueprint: Blueprint) -> bytes:
    return bytes(msgpack.packb(blueprint.model_dump(mode="json", by_alias=True)))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=blueprints(), script=scripts())
def test_what_runs_on_it_never_changes_it(document: dict[str, Any], script: list[tuple[Any, ...]]):
    alone, first = Blueprint.model_validate(document), blueprint_from(document)
    Play(Twin(first), script, UNTIL).finish()
    second = blueprint_from(document | {"twin": "Other"})
    assert second.flows is first.flows
    assert packed(first) == packed(alone)
    assert packed(second) == packed(alone.model_copy(update={"twin": "Other"}))
    expected = Play(Twin(Blueprint.model_validate(document | {"twin": "Other"})), script, UNTIL).finish()
    found = Play(Twin(second), script, UNTIL).finish()
    assert (found.told, found.rejected, found.twin.state_hash()) == (expected.told, expected.rejected, expected.twin.state_hash())


def test_a_blueprint_that_is_not_the_same_is_never_taken_for_it():
    known = blueprint_from(LINE)
    assert blueprint_from(LINE | {"twin": "B", "seed": 5}).seed == 5
    assert blueprint_from(LINE | {"twin": "B"}).seed == 0
    assert blueprint_from(LINE | {"variables": {"orders": [1, 2], "mode": 0}}).variables["mode"] == 0
    assert type(blueprint_from(LINE | {"variables": {"orders": [1, 2], "mode": 0}}).variables["mode"]) is int
    assert blueprint_from(LINE | {"variables": {"orders": [1, 3], "mode": 0.0}}).flows is not known.flows
    for wrong in ({"resources": {"m": {"capacity": 1.0}}}, {"resources": {"m": {"capacity": True}}}, {"limits": None}):
        with pytest.raises(ValidationError):
            blueprint_from(LINE | wrong)


@pytest.mark.parametrize("wrong", [{"twin": "no name"}, {"twin": None}, {"seed": -1}, {"seed": 1.0}, {"seed": 2**63}])
def test_name_and_seed_keep_their_rules(wrong: dict[str, Any]):
    blueprint_from(LINE)
    with pytest.raises(ValidationError) as found:
        blueprint_from(LINE | wrong)
    with pytest.raises(ValidationError) as expected:
        Blueprint.model_validate(LINE | wrong)
    assert found.value.errors(include_url=False) == expected.value.errors(include_url=False)
    with pytest.raises(ValidationError):
        blueprint_from({name: part for name, part in LINE.items() if name != "twin"})


def test_what_is_derived_is_never_another_blueprints():
    known = blueprint_from(LINE)
    changed = known.model_copy(update={"services": {}})
    assert shared(_services, known) == ["work"]
    assert shared(_services, known) is shared(_services, blueprint_from(LINE | {"twin": "B"}))
    assert shared(_services, changed) == []


def test_no_more_is_kept_than_is_said():
    for number in range(sharing.SHARED_MAX + 10):
        blueprint_from(LINE | {"description": f"number {number}"})
    assert len(sharing._kept) == len(sharing._by_flows) == sharing.SHARED_MAX
    large = LINE | {"description": "x" * 9_000, "variables": {f"v{n}": "x" * 100 for n in range(1_000)}}
    blueprint_from(large)
    assert blueprint_from(large).flows is not blueprint_from(large).flows


def _services(blueprint: Blueprint) -> list[str]:
    return list(blueprint.services)
