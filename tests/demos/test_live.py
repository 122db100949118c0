"""A story that is played on a broker is the one that is simulated, and a demo that only looks good fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from models.errors import TwinError
from tests.demos.story import EXAMPLES
from twin_app.cli.demo.scenario import as_simulated, claims, read_scenario, sentence, worth_telling

MILL = EXAMPLES / "rolling-mill"


@pytest.mark.broker
@pytest.mark.slow
def test_a_story_on_a_broker_never_differs_from_the_simulated_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "twin_app.cli", "demo", str(MILL), "--seconds", "5", "--json", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    lines = [orjson.loads(line) for line in done.stdout.splitlines()]
    verdict = lines[-1]["verdict"]
    assert verdict["ok"], (verdict, done.stderr)
    assert done.returncode == 0
    assert len(verdict["checks"]) == 5 + 4
    said = [line["said"] for line in lines if "said" in line]
    assert "the mill runs faster: variables.exit_speed set from 9 to 13" in said
    assert not [words for words in said if "variables.coils" in words]


def _told(events: list[Any]) -> list[dict[str, Any]]:
    return [event._asdict() for event in events]


@pytest.mark.parametrize(
    ("tamper", "holds"),
    [
        (lambda told: told, True),
        (lambda told: [*told, told[-1]], True),  # the twin goes on after the story
        (lambda told: told[:-1], False),
        (lambda told: told[1:], False),
        (lambda told: [*told[:50], {**told[50], "sim_time": told[50]["sim_time"] + 1e-9}, *told[51:]], False),
        (lambda told: [*told[:50], {**told[50], "entity": -1}, *told[51:]], False),
    ],
)
def test_a_story_that_went_otherwise_never_passes(tamper: Callable[[list[Any]], list[Any]], holds: bool) -> None:
    expected = read_scenario(MILL, 20).expected()
    assert as_simulated(expected, tamper(_told(expected))).holds is holds


def test_a_claim_that_does_not_hold_or_is_not_made_never_passes() -> None:
    expected = read_scenario(MILL, 20).expected()
    told = _told(expected)
    assert [finding.holds for finding in claims(told, 720)] == [True] * 4
    claim = next(event for event in told if event["kind"] == "claim-checked")
    denied = {**claim, "payload": {**claim["payload"], "holds": False}}
    assert [finding.holds for finding in claims([denied], 720)] == [False]
    assert sentence(denied).endswith(": NO")
    assert [finding.holds for finding in claims([], 720)] == [False]


def test_what_entities_do_is_not_told() -> None:
    scenario = read_scenario(MILL, 20)
    assert scenario.blueprint.time.factor == pytest.approx(20 / (720 * 60))
    told = [event for event in _told(scenario.expected()) if _worth(event)]
    assert 20 < len(told) < 60


def _worth(event: dict[str, Any]) -> bool:
    """As it is read from the topic, where the cause is an object."""
    cause = event["cause"]
    return worth_telling({**event, "cause": {"event": cause if isinstance(cause, int) else None}})


@pytest.mark.parametrize("commands", ["[]", "- {kind: set, path: variables.exit_speed, value: 9.0}"])
def test_a_story_without_times_is_refused(tmp_path: Path, commands: str) -> None:
    (tmp_path / "blueprint.yaml").write_text((MILL / "blueprint.yaml").read_text())
    (tmp_path / "commands.yaml").write_text(commands)
    with pytest.raises(TwinError, match="does not say when"):
        read_scenario(tmp_path, 20)
