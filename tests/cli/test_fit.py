"""`twin fit`: what it prints goes into a blueprint as it is; a wrong file is one line that names the place and the remedy."""

from __future__ import annotations

import builtins
from pathlib import Path

import orjson
import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from models.distributions import Distribution
from twin_app.cli import measured
from twin_app.cli.fit import flow_style, service_names
from twin_app.kernel.sampling import sampler


def _draws(seed: int, distribution: dict, number: int = 80) -> list[float]:
    source = sampler(seed, "x", TypeAdapter(Distribution).validate_python(distribution))
    return [source.draw() for _ in range(number)]


@pytest.fixture
def times(tmp_path: Path) -> Path:
    columns = [_draws(1, {"exponential": {"mean": 6}}), _draws(2, {"uniform": {"low": 1e-7, "high": 2e-7}})]
    columns.append([value + 9.0 * (number % 2) for number, value in enumerate(_draws(3, {"normal": {"mean": 3, "sd": 0.5}}))])
    path = tmp_path / "times.csv"
    rows = [f"worker {number},{a!r},{b!r},{c!r}" for number, (a, b, c) in enumerate(zip(*columns, strict=True))]
    path.write_text("\n".join(["who,turning at A,no,2nd step", *rows, ""]))
    return path


def test_what_is_printed_passes_the_check(twin, times: Path, tmp_path: Path) -> None:
    result = twin("fit", times)
    assert result.exit_code == 0, result.stderr
    _, _, yaml = result.stdout.partition("services:\n")
    services = YAML(typ="safe").load(yaml)
    assert {name: next(iter(body)) for name, body in services.items()} == {
        "turning_at_A": "exponential", "_no": "uniform", "_2nd_step": "empirical"
    }  # fmt: skip
    blueprint = tmp_path / "line.yaml"
    steps = "".join(f"    - process: {{resource: r, service: {name}}}\n" for name in services)
    blueprint.write_text(f"twin: T\nresources: {{r: {{}}}}\nservices:\n{yaml}flows:\n  make:\n{steps}")
    checked = twin("check", blueprint)
    assert checked.exit_code == 0, checked.stderr
    assert "mind: each time is unlike the one before it" in result.stdout
    assert "several peaks" in result.stdout


def test_a_program_gets_all_of_it_and_the_same_again(twin, times: Path, tmp_path: Path) -> None:
    first = twin("fit", times, "--column", "turning at A", "--json", "--png", tmp_path / "fit.png")
    assert first.exit_code == 0, first.stderr
    report = orjson.loads(first.stdout)
    assert report["times"] == 80
    assert report["distribution"] in [one["distribution"] for one in report["fits"]]
    assert report["fits"] == sorted(report["fits"], key=lambda one: one["bic"])
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert twin("fit", times, "--column", "turning at A", "--json").stdout == first.stdout


def test_cells_may_be_empty_and_separated_as_spreadsheets_do(twin, tmp_path: Path) -> None:
    path = tmp_path / "times.csv"
    path.write_bytes("﻿a;b\r\n1.5;x\r\n;y\r\n2.5\r\n1.0;z\r\n2.0;\r\n3.0;\r\n".encode())
    report = orjson.loads(twin("fit", path, "--json").stdout)
    assert (report["column"], report["times"], report["blank"]) == ("a", 5, 1)


FIVE = "\n1\n2\n3\n4\n5\n"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "bad-csv", "times.csv:1: is empty"),
        ("\n\n", "bad-csv", "is empty"),
        ("1,2\n3,4\n", "bad-csv", "the first line holds numbers"),
        ("a,a\n1,2\n", "bad-csv", "more than once"),
        ("a,\n1,2\n", "bad-csv", "has no name"),
        ("a,b\n1,2\n2,5,1\n", "bad-csv", "times.csv:3: 3 cells under 2 names"),
        ('a\n"1\n2\n', "bad-csv", "is not CSV"),
        ("a\nx\ny\n", "no-times", "no column holds numbers"),
        ("a\n", "no-times", "no column holds numbers"),
        ("a\n1\n2\n", "too-few-times", "holds 2 times"),
        (f"a{FIVE}nan\n", "bad-time", "times.csv:7: 'nan' in column 'a' is no time"),
        (f"a{FIVE}-0.5\n", "bad-time", "times.csv:7: '-0.5' in column 'a' is below 0"),
        (f"a{FIVE}1e400\n", "bad-time", "is no time"),
        (f"a{FIVE}1790000000000\n", "bad-time", "an instant is no duration"),
        (f"a{FIVE}\n\n12:30\n", "bad-time", "times.csv:9: '12:30' in column 'a' is no number"),
        (f"a{FIVE}1,5\n", "bad-time", "write it as 12.5"),
        ("a" + ",b" * 60, "too-large", "61 columns"),
        ("a\x00\n1\x00\n", "no-times", "no column"),
        ("a\n" + "9" * 200_000 + "\n", "bad-csv", "field larger than"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_with_its_place(twin, tmp_path: Path, text: str, code: str, words: str) -> None:
    path = tmp_path / "times.csv"
    path.write_bytes(text.encode())
    result = twin("fit", path)
    assert result.exit_code == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert f"[{code}]" in result.stderr
    assert words in result.stderr
    assert result.stderr.rstrip().endswith(")")  # what to do


def test_a_column_that_is_not_there_names_the_nearest(twin, times: Path) -> None:
    result = twin("fit", times, "--column", "turning at B")
    assert result.exit_code == 2
    assert "[unknown-column]" in result.stderr
    assert "turning at A" in result.stderr


def test_no_file_is_read_without_end(twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "VALUES_MAX", 4)
    path = tmp_path / "times.csv"
    path.write_text(f"a{FIVE}")
    result = twin("fit", path)
    assert "[too-large]" in result.stderr
    assert "times.csv:6: more than 4 rows" in result.stderr


def test_without_the_library_it_is_said_which_extra_is_missing(twin, times: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: object, **options: object) -> object:
        if name == "twin_app.analysis":
            raise ModuleNotFoundError("No module named 'scipy'", name="scipy")
        return real(name, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    result = twin("fit", times)
    assert result.exit_code == 2
    assert "[no-fit] (install twin-app[fit])" in result.stderr


def test_names_and_numbers_are_never_taken_for_something_else() -> None:
    assert service_names(["a b", "a_b", "Größe (s)", "", "no", "---"]) == ["a_b", "a_b_1", "Gr_e_s", "times", "_no", "times_5"]
    for value in (1e-7, 2.5e-300, 1e22, 3.0, 0.1):
        assert YAML(typ="safe").load(flow_style({"x": value})) == {"x": value}
