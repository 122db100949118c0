"""`twin experiment`: the same results however many processes; every wrong input is one line."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import orjson
import pytest

LINE = Path(__file__).parents[2] / "examples" / "line.yaml"
VARY = ("--vary", "resources.b.capacity=1,2", "--until", 600, "--warm-up", 60, "-n", 4)


def test_the_number_of_processes_never_shows(twin, tmp_path: Path) -> None:
    alone = twin("experiment", LINE, *VARY, "--processes", 1, "--json", "--csv", tmp_path / "runs.csv")
    assert alone.exit_code == 0, alone.stderr
    assert twin("experiment", LINE, *VARY, "--processes", 2, "--json").stdout == alone.stdout
    first, second = [orjson.loads(line) for line in alone.stdout.splitlines()]
    assert first["differences"] == {}
    assert second["changes"] == {"resources.b.capacity": 2}
    assert second["differences"]["queue b"]["high"] < 0
    assert first["figures"]["utilisation b"]["replications"] == 4
    rows = list(csv.DictReader((tmp_path / "runs.csv").open()))
    assert [(row["resources.b.capacity"], row["replication"]) for row in rows] == [(c, str(n)) for c in "12" for n in range(4)]
    mean = sum(float(row["queue b"]) for row in rows[:4]) / 4
    assert mean == pytest.approx(first["figures"]["queue b"]["mean"])


def test_a_person_sees_intervals_and_differences(twin) -> None:
    result = twin("experiment", LINE, *VARY, "--processes", 1)
    assert "2 design points, 4 replications each; times in minutes" in result.stdout
    assert "resources.b.capacity=2" in result.stdout
    assert "difference to the first" in result.stdout
    assert "±" in result.stdout


def test_a_picture_is_one(twin, tmp_path: Path) -> None:
    result = twin("experiment", LINE, *VARY, "--processes", 1, "--png", tmp_path / "runs.png")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--until", "inf"), "bad-until"),
        (("--until", 10, "--warm-up", 10), "bad-until"),
        (("--until", 10, "--warm-up", -1), "bad-until"),
        (("--until", 10, "--vary", "nonsense"), "bad-option"),
        (("--until", 10, "--vary", "a=1", "--vary", "a=2"), "bad-option"),
        (("--until", 10, "--vary", "resources.b.capacity=99"), "out-of-bounds"),
        (("--until", 10, "--vary", "resources.nowhere.capacity=1"), "unknown-path"),
        (("--until", 10, "--vary", "services.milling.constant=" + ",".join(map(str, range(1, 400)))), "too-large"),
        (("--until", 10, "--csv", "/nowhere/runs.csv"), "unwritable-file"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_code(twin, arguments: tuple, code: str) -> None:
    result = twin("experiment", LINE, *arguments, "--processes", 1)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"[{code}]" in result.stderr


def test_an_error_inside_a_process_keeps_its_code(twin, tmp_path: Path) -> None:
    path = tmp_path / "round.yaml"
    path.write_text(
        "twin: R\nlimits: {steps_per_instant: 100}\narrivals: {one: {interarrival: {constant: 1}, flow: go}}\n"
        "flows: {go: [{again: {emit: ring}}, {go: again}]}\n"
    )
    result = twin("experiment", path, "--until", 20, "-n", 2, "--processes", 2)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert "[unforeseen]" not in result.stderr
    assert "error: " in result.stderr


SCREEN = (
    "--vary",
    "resources.b.capacity=1,2",
    "--vary",
    "services.milling.constant=5,4.5",
    "--until",
    300,
    "-n",
    2,
    "--processes",
    1,
)


def test_a_screening_design_tells_main_effects(twin, tmp_path: Path) -> None:
    result = twin("experiment", LINE, *SCREEN, "--design", "plackett-burman", "--json")
    assert result.exit_code == 0, result.stderr
    *points, last = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert list(points[0]["changes"].values()) == [1, 5]
    assert len(points) == 4
    effect = last["main_effects"]["resources.b.capacity"]["utilisation b"]
    assert effect["mean"] < 0
    assert effect["low"] < effect["mean"] < effect["high"]
    shown = twin("experiment", LINE, *SCREEN, "--design", "plackett-burman")
    assert "main effect of services.milling.constant, 5 to 4.5" in shown.stdout
    assert "main effect" not in twin("experiment", LINE, *SCREEN, "--design", "one-at-a-time").stdout


def test_a_latin_hypercube_is_held_against_the_blueprint_as_it_is(twin, tmp_path: Path) -> None:
    arguments = ("--vary", "resources.b.capacity=1..2", "--vary", "services.milling.constant=4.0..5.0", "--points", 13)
    paths = (tmp_path / "runs.csv", tmp_path / "runs.png")
    rest = ("--until", 100, "-n", 1, "--processes", 1, "--csv", paths[0], "--png", paths[1])
    result = twin("experiment", LINE, *arguments, *rest, "--design", "latin-hypercube", "--json")
    assert result.exit_code == 0, result.stderr
    first, *others = [orjson.loads(line)["changes"] for line in result.stdout.splitlines()]
    assert first == {}
    assert {change["resources.b.capacity"] for change in others} == {1, 2}
    rows = list(csv.DictReader(paths[0].open()))
    assert rows[0]["services.milling.constant"] == ""
    assert [float(row["services.milling.constant"]) for row in rows[1:]] == [c["services.milling.constant"] for c in others]
    assert paths[1].read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--points", 5), "--points: means nothing for the design full"),
        (("--design-seed", 5), "--design-seed: means nothing"),
        (("--design", "latin-hypercube"), "needs a range"),
        (("--design", "latin-hypercube", "--vary", "services.milling.constant=4"), "is no range"),
        (("--design", "latin-hypercube", "--vary", "services.milling.constant=5..4"), "is no range"),
        (("--design", "latin-hypercube", "--vary", "services.milling.constant=a..b"), "is no range"),
        (("--design", "latin-hypercube", "--vary", "services.milling.constant=-NaN..b"), "is no range"),
        (("--design", "plackett-burman"), "two values of each factor"),
        (("--design", "plackett-burman", "--vary", "services.milling.constant=1,2,3"), "two values of each factor"),
    ],
)
def test_a_design_that_is_not_one_is_one_line(twin, arguments: tuple, words: str) -> None:
    result = twin("experiment", LINE, "--until", 10, *arguments, "--processes", 1)
    assert result.exit_code == 2
    assert "[bad-option]" in result.stderr
    assert words in result.stderr


def test_without_the_library_of_designs_it_is_said_which_extra_is_missing(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydoe", None)
    monkeypatch.delitem(sys.modules, "twin_app.analysis.designs", raising=False)
    monkeypatch.delattr("twin_app.analysis.designs", raising=False)
    result = twin("experiment", LINE, "--until", 10, "--design", "plackett-burman", "--vary", "resources.b.capacity=1,2")
    assert result.exit_code == 2
    assert "[no-designs] (install twin-app[designs])" in result.stderr
