"""`twin explain`: one sentence, a table, and all that was left out; the same for a program."""

from __future__ import annotations

from pathlib import Path

import orjson

LINE = Path(__file__).parents[2] / "examples" / "line.yaml"


def test_a_person_reads_the_bottleneck_first_and_never_misses_what_is_left_out(twin) -> None:
    result = twin("explain", LINE)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("The bottleneck is b, in use 83% of the time")
    assert any(line.startswith("b ") and "83.3%" in line for line in lines)
    assert "`variables.mode == 'bypass'` is taken as false" in result.stdout
    assert "patience" in result.stdout


def test_a_program_gets_the_same_figures(twin) -> None:
    result = twin("explain", LINE, "--json")
    found = orjson.loads(result.stdout)
    assert found["bottleneck"] == "b"
    assert found["limit_rate"] == 0.2
    assert {station["resource"]: station["state"] for station in found["stations"]} == dict.fromkeys("abc", "stable")
    assert found["sentence"] in twin("explain", LINE).stdout
    assert all(set(note) == {"place", "what"} for note in found["notes"])


def test_a_blueprint_with_faults_is_not_explained(twin, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("twin: T\nflows: {go: [{process: {resource: nowhere, for: 1}}]}\n")
    result = twin("explain", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "nowhere" in result.stderr
