"""`twin forecast` and `twin whatif` on a blueprint file: no broker, the same answers."""

from __future__ import annotations

from collections.abc import Callable
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


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--set", "resources.b.capacity=99"), "out-of-bounds"),
        (("--set", "resources.nowhere.capacity=1"), "unknown-path"),
        (("--set", "nonsense"), "bad-option"),
        (("--set", "variables.mode=x", "--at", "noon"), "invalid-command"),
        (("--set", "variables.mode=x", "--horizon", "soon"), "invalid-command"),
        (("--set", "variables.mode=x", "--from", "2026-11-22"), "bad-option"),
        (("--set", "variables.mode=x", "--from", "-5"), "bad-option"),
        (("--set", "variables.mode=x", "--from", "nan"), "bad-option"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_code(twin: Twin, arguments: tuple[str, ...], code: str) -> None:
    result = twin("whatif", LINE, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"[{code}]" in result.stderr
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
