"""`twin run`: the same events as everywhere, and no run without an end."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from models.load import load_blueprint
from twin_app import local
from twin_app.cli.demo.plant import BROKEN_LINE, line_text
from twin_app.cli.run import event_fields

LINE = Path(__file__).parents[2] / "examples" / "line"


def lines(text: str) -> list[dict]:
    return [orjson.loads(line) for line in text.splitlines()]


def test_the_events_are_those_of_the_python_api(twin) -> None:
    result = twin("run", LINE / "blueprint.yaml", "--commands", LINE / "commands.yaml", "--until", 120, "--json")
    assert result.exit_code == 0, result.stderr
    *events, last = lines(result.stdout)
    path = "Line_A.resources.b.capacity"
    commands = [local.At(60, local.set_(path, 0)), local.At(95, local.set_(path, 2))]
    expected = local.simulate(LINE / "blueprint.yaml", commands, until=120)
    assert events == [orjson.loads(orjson.dumps({"twin": "Line_A", **event_fields(event)})) for event in expected.events]
    assert last["summary"]["events"] == len(events) > 200


def test_the_story_of_the_broken_machine(twin) -> None:
    """Worked out by hand: B closed from 60 to 95 with one in service, nothing starts, nothing is lost."""
    result = twin("run", LINE / "blueprint.yaml", "--commands", LINE / "commands.yaml", "--json")
    assert result.exit_code == 0, result.stderr
    *events, last = lines(result.stdout)
    starts = [event["sim_time"] for event in events if event["kind"] == "entity-started" and event["payload"]["resource"] == "b"]
    assert [at for at in starts if 60 <= at < 95] == []
    assert 57.0 in starts
    assert starts.count(95.0) == 2
    ends = [event["sim_time"] for event in events if event["kind"] == "entity-finished" and event["payload"]["resource"] == "b"]
    assert 62.0 in ends
    assert last["summary"]["jobs"]["created"] == last["summary"]["jobs"]["finished"] == 30
    assert last["summary"]["jobs"]["in_progress"] == 0
    assert 0 < last["summary"]["resources"]["b"]["utilisation"] < 1


def test_words_for_a_person_and_a_summary(twin) -> None:
    result = twin("run", LINE / "blueprint.yaml", "--commands", LINE / "commands.yaml")
    assert "resources.b.capacity set from 1 to 0" in result.stdout
    assert "c has nothing to do" in result.stdout
    assert "30 created, 30 finished, 0 in progress" in result.stdout
    assert "\x1b[" not in result.stdout  # no colours on a pipe


def test_quiet_leaves_the_summary_only(twin) -> None:
    result = twin("run", LINE / "blueprint.yaml", "--quiet")
    assert result.stdout.startswith("Line_A at ")
    assert len(result.stdout.splitlines()) == 6


def test_a_run_that_would_not_end_is_refused(twin, tmp_path: Path) -> None:
    path = tmp_path / "endless.yaml"
    path.write_text((LINE / "blueprint.yaml").read_text().replace(", limit: 30", ""))
    result = twin("run", path)
    assert result.exit_code == 2
    assert "endless-run" in result.stderr
    assert "--until" in result.stderr
    assert twin("run", path, "--until", 20).exit_code == 0


def test_a_model_that_goes_round_for_ever_is_stopped(twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twin_app.cli.run.ENTRIES_WITHOUT_END_MAX", 1_000)
    path = tmp_path / "round.yaml"
    arrivals = "{one: {interarrival: {constant: 1}, flow: go, limit: 1}}"
    path.write_text(f"twin: R\narrivals: {arrivals}\nflows:\n  go:\n    - again: {{delay: 1}}\n    - go: again\n")
    result = twin("run", path)
    assert result.exit_code == 2
    assert "endless-run" in result.stderr


@pytest.mark.parametrize("until", ["inf", "nan", "-1", "soon"])
def test_an_end_that_is_no_time_is_refused(twin, until: str) -> None:
    result = twin("run", LINE / "blueprint.yaml", "--until", until)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_a_refused_command_ends_the_run_with_its_reason(twin, tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    path.write_text('{"path": "resources.b.capacity", "value": 9, "at": 10}\n')
    result = twin("run", LINE / "blueprint.yaml", "--commands", path)
    assert result.exit_code == 2
    assert "out-of-bounds" in result.stderr


def test_a_seed_changes_what_is_random_and_nothing_else(twin) -> None:
    random_line = LINE.parent / "line.yaml"
    one, same, other = (twin("run", random_line, "--until", 100, "--json", "--seed", seed).stdout for seed in (1, 1, 2))
    assert one == same != other


def test_the_example_is_the_line_of_the_demo() -> None:
    assert load_blueprint((LINE / "blueprint.yaml").read_text()) == load_blueprint(line_text(BROKEN_LINE, factor=1.0))
