"""Property: "run" equals "run, snapshot, restore in another process, run", byte for byte, at every event index.

The other process runs the kernel's sources, this one their compiled form where there is one.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from models.blueprint import Blueprint
from tests.kernel.other_process import OtherProcess
from tests.kernel.random_blueprints import blueprints, scripts
from tests.kernel.three_ways import Play
from twin_app.kernel import FORM, Twin

UNTIL = 15.0


@pytest.fixture(scope="module")
def other() -> Iterator[OtherProcess]:
    process = OtherProcess()
    yield process
    process.close()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=blueprints(), script=scripts())
def test_a_restored_twin_never_differs(other: OtherProcess, document: dict[str, Any], script: list[tuple[Any, ...]]):
    model = Blueprint.model_validate(document)
    golden = Play(Twin(model), script, UNTIL).finish()
    expected = {"told": golden.told, "rejected": golden.rejected, "state": golden.twin.state_hash()}

    play = Play(Twin(model), script, UNTIL)
    while True:
        task = {"snapshot": play.twin.snapshot(), "script": play.script, "until": UNTIL}
        answer = other.go_on(task)
        rest = {**expected, "told": golden.told[len(play.told) :], "rejected": golden.rejected[len(play.rejected) :]}
        assert answer == json.dumps(rest)
        if not play.step():
            break


def test_the_two_forms_of_the_kernel_are_compared(other: OtherProcess):
    assert other.form.startswith("pure Python")
    if not FORM.startswith("compiled") and os.environ.get("CI") != "true":
        pytest.skip(f"here the kernel runs as {FORM}: there is nothing to compare")
    assert FORM == "compiled"


def test_the_comparison_can_fail(other: OtherProcess):
    """A snapshot that forgets one draw is told from the right one."""
    model = Blueprint.model_validate(
        {"twin": "T", "arrivals": {"a": {"interarrival": {"exponential": {"mean": 1}}, "flow": "f"}}, "flows": {"f": []}}
    )
    twin = Twin(model)
    twin.advance(5.0)
    twin.drain()
    snapshot = twin.snapshot()
    right = other.go_on({"snapshot": snapshot, "script": [], "until": UNTIL})
    snapshot["streams"]["arrivals.a"] += 1
    assert other.go_on({"snapshot": snapshot, "script": [], "until": UNTIL}) != right
