"""`twin forecast` and `twin whatif` on a blueprint file: no broker, the same answers."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from typer.testing import Result

from models.forecasts import ForecastRecord
from twin_app.cli.forecast_view import sparkline

LINE = Path(__file__).parents[2] / "examples" / "line.yaml"

Twin = Callable[..., Result]


def test_a_forecast_as_json_is_its_record_one_revision_a_line(twin: Twin) -> None:
    result = twin("forecast", LINE, "--from", 300, "--horizon", "30min", "--json")
    assert result.exit_code == 0, result.stderr
    records = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert [record["revision"] for record in records] == list(range(1, len(records) + 1))
    assert [record["final"] for record in records] == [False] * (len(records) - 1) + [True]
    for record in records:
        assert ForecastRecord.model_validate(record).horizon == 30.0


def test_a_what_if_never_hides_which_figures_are_whose(twin: Twin) -> None:
    result = twin(
        "whatif", LINE, "--from", 300, "--set", "resources.b.capacity=0", "--at", 310, "--horizon", 60, "--name", "b down"
    )
    assert result.exit_code == 0, result.stderr
    head = next(line for line in result.stdout.splitlines() if line.startswith("over the horizon"))
    assert head.split("  ")[-1].strip() == "difference"
    assert "b down" in head
    assert "First difference at" in result.stdout


def test_a_forecast_for_a_person_hides_neither_its_input_nor_the_levels_that_are_reached(twin: Twin) -> None:
    result = twin("forecast", LINE, "--from", 300, "--horizon", 240, "--seed", 7)
    assert result.exit_code == 0, result.stderr
    _, origin, basis, *figures = result.stdout.splitlines()
    assert "240 minutes ahead" in origin
    assert ", seed 7, blueprint " in basis
    assert basis.startswith("event ")
    assert "still being sharpened" not in result.stdout, "only the last revision is printed, which is final"
    assert any(line.startswith("b.queue at 10 (watch.bottleneck)") for line in figures)


def test_who_watches_sees_that_an_answer_is_not_the_last_word() -> None:
    script = "from twin_app.cli.main import main; main()"
    screen, terminal = pty.openpty()
    command = [sys.executable, "-c", script, "forecast", str(LINE), "--from", "300", "--horizon", "240"]
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal, env={**os.environ, "COLUMNS": "120", "TERM": "xterm"})
    os.close(terminal)
    shown = b""
    with suppress(OSError):  # how Linux tells the end of a terminal
        while some := os.read(screen, 1 << 16):
            shown += some
    os.close(screen)
    assert process.wait(60) == 0, shown.decode(errors="replace")
    first, _, rest = shown.partition(b": it is still being sharpened")
    assert b"the first answer comes" in first
    assert b"240 minutes ahead" in rest
    assert b"still being sharpened" not in rest.rpartition(b"240 minutes ahead")[2]


def test_a_rare_bottleneck_is_told_without_brackets_in_brackets(twin: Twin) -> None:
    result = twin("whatif", LINE, "--from", 300, "--set", "resources.b.capacity=0", "--at", 310, "--horizon", 60)
    assert result.exit_code == 0, result.stderr
    told = next(line for line in result.stdout.splitlines() if line.startswith("what if: "))
    assert "(likeliest at b: 0 to 2 %)" in told


def test_a_picture_is_one(twin: Twin, tmp_path: Path) -> None:
    picture = tmp_path / "ahead.png"
    result = twin("forecast", LINE, "--from", 300, "--horizon", "30min", "--png", picture)
    assert result.exit_code == 0, result.stderr
    raw = picture.read_bytes()
    assert raw.startswith(b"\x89PNG\r\n")
    width, height = (int.from_bytes(raw[place : place + 4], "big") for place in (16, 20))
    assert width > 400
    assert height > 200


@pytest.mark.parametrize("verb", [("forecast",), ("whatif", "--set", "variables.mode=x")])
def test_a_picture_that_cannot_be_written_is_never_told_after_the_computing(
    twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: tuple[str, ...]
) -> None:
    def computed(*_: object) -> None:
        raise AssertionError("the blueprint was run")

    monkeypatch.setattr("twin_app.local.start", computed)
    for path, why in ((tmp_path / "no folder" / "x.png", "no such file or directory"), (tmp_path, "is a directory")):
        result = twin(*verb, LINE, "--png", path)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr == (f"error: {path}: cannot be written: {why} [unwritable-file] (name another with --png)\n")


def test_no_empty_picture_is_left_of_what_failed(twin: Twin, tmp_path: Path) -> None:
    picture = tmp_path / "ahead.png"
    assert twin("forecast", LINE, "--from", "noon", "--png", picture).exit_code == 2
    assert not picture.exists()


def test_a_picture_of_another_name_is_a_picture_still(twin: Twin, tmp_path: Path) -> None:
    result = twin("forecast", LINE, "--horizon", "30min", "--png", tmp_path / "ahead.of.time")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "ahead.of.time").read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--set", "resources.b.capacity=99"), "out-of-bounds"),
        (("--set", "resources.nowhere.capacity=1"), "unknown-path"),
        (("--set", "nonsense"), "bad-option"),
        (("--set", "variables.mode=x", "--at", "noon"), "invalid-command"),
        (("--set", "variables.mode=x", "--horizon", "soon"), "invalid-command"),
        (("--set", "variables.mode=x", "--horizon", "0"), "above 0, or a duration such as 8h [invalid-command"),
        (("--set", "variables.mode=x", "--from", "2026-11-22"), "bad-option"),
        (("--set", "variables.mode=x", "--from", "-5"), "bad-option"),
        (("--set", "variables.mode=x", "--from", "nan"), "bad-option"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_code(twin: Twin, arguments: tuple[str, ...], code: str) -> None:
    result = twin("whatif", LINE, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"{code}]" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_options_of_a_file_are_refused_for_a_live_twin(twin: Twin) -> None:
    result = twin("forecast", "Line_A", "--seed", 5)
    assert result.exit_code == 2
    assert "[bad-option]" in result.stderr


def test_a_past_that_is_no_instant_is_refused_before_a_broker_is_asked(twin: Twin) -> None:
    result = twin("forecast", "Line_A", "--from", "noon", "--bootstrap", "127.0.0.1:1", "--timeout", 1)
    assert result.exit_code == 2
    assert "[bad-bound]" in result.stderr


def test_a_line_of_bars_never_fails_on_odd_figures() -> None:
    assert sparkline([0.0, 4.0, 8.0, 99.0, -1.0, float("nan")], 8.0) == " ▄██ ?"
