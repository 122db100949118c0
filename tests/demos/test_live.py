"""A story that is played on a broker is the one that is simulated, and a demo that only looks good fails."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from models.errors import TwinError
from tests.demos.story import EXAMPLES
from twin_app.cli.demo.scenario import as_simulated, claims, read_scenario, sentence, worth_telling

MILL = EXAMPLES / "rolling-mill"


@pytest.mark.broker
@pytest.mark.slow
def test_a_story_on_a_broker_never_differs_from_the_simulated_one(tmp_path: Path) -> None:
    # With --stay, which is the same and then goes on: the twin is on the page until Ctrl-C.
    options = ["--seconds", "5", "--stay", "--json", "--keep", str(tmp_path)]
    command = [sys.executable, "-m", "twin_app.cli", "demo", str(MILL), *options]
    with (tmp_path / "stderr").open("wb") as stderr:
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert demo.stdout is not None
        lines: list[dict[str, Any]] = []
        for line in demo.stdout:
            lines.append(orjson.loads(line))
            if "the twin goes on" in lines[-1].get("said", ""):
                break
        page = re.search(r"http://[^#]+", lines[-1].get("said", ""))
        assert page is not None, (lines[-1:], (tmp_path / "stderr").read_text())
        twins = httpx.get(f"{page[0].rstrip('/')}/api/twins").json()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
        demo.stdout.close()
    assert "HotStrip" in str(twins)
    verdict = next(line["verdict"] for line in lines if "verdict" in line)
    assert verdict["ok"], verdict
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
