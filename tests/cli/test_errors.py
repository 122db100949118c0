"""An error is one line and a documented code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from twin_app.cli import main as cli_main
from twin_app.cli import reference
from twin_app.cli.output import ExitCode

LINE = Path(__file__).parents[2] / "examples" / "line"
NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("watch", "--bootstrap", NOBODY),
        ("topics", "--create", "--bootstrap", NOBODY),
        ("send", LINE / "commands.yaml", "--bootstrap", NOBODY),
    ],
)
def test_a_broker_that_is_away_does_not_keep_the_verb_waiting(twin, arguments: tuple) -> None:
    started = time.monotonic()
    result = twin(*arguments, "--timeout", "1")
    assert result.exit_code == ExitCode.NO_ANSWER
    assert NOBODY in result.stderr
    assert "broker-unreachable" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("chekc",),
        ("run",),
        ("send",),
        ("send", "file", "--json", "{}"),
        ("send", "--json", "{"),
        ("send", "--json", '{"path": "resources.b.capacity", "value": 1}'),
        ("watch", "--count", "0"),
        ("watch", "--bootstrap", "nowhere"),
        ("demo", "--bootstrap", NOBODY),
        ("worker", "--log-level", "loud"),
    ],
)
def test_wrong_input_ends_with_2(twin, arguments: tuple) -> None:
    result = twin(*arguments)
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("status", "--bootstrap", "nowhere"), "settings: --bootstrap: 'nowhere' is not host:port [bad-setting]"),
        (("config", "--bootstrap", "nowhere"), "settings: --bootstrap: 'nowhere' is not host:port [bad-setting]"),
        (("replay", "--from", "2026-11-22T10:00:00Z", "--to", "2026-11-22T09:00:00Z"), "is before 2026-11-22T10"),
        (("replay", "--from", "7", "--to", "6"), "tick 6 is before tick 7 [bad-bound]"),
        (("forecast", LINE / "blueprint.yaml", "--seed", 2**63), "'--seed'"),
        (("run", LINE / "blueprint.yaml", "--seed", 2**63, "--json"), "'--seed'"),
    ],
)
def test_what_is_wrong_is_told_in_the_users_words_and_before_anything_is_asked(twin, arguments: tuple, told: str) -> None:
    result = twin(*arguments)
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert told in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("verb", ["check", "send"])
def test_broken_yaml_is_told_with_its_place_and_what_to_look_for(twin, tmp_path: Path, verb: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("twin: [\n")
    result = twin(verb, path)
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert result.stderr.startswith(f"error: {path}:2:1: ")
    assert "[bad-yaml] (look there and just before: " in result.stderr


def test_routes_that_are_not_there_are_told_with_the_setting_that_names_them(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_ROUTES", "/nowhere/routes.yaml")
    result = twin("worker")
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert (
        "/nowhere/routes.yaml: cannot be read: no such file or directory [unreadable-file] (correct TWIN_ROUTES" in result.stderr
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_no_defect() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "twin_app.cli", "metrics"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == ExitCode.WRONG_INPUT
    assert "no space left on device [no-room] (make room" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_defect_is_one_line_too_and_says_how_to_see_more(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("twin_app.cli.check.read_text", broken)
    result = twin("check", "x.yaml")
    assert result.exit_code == ExitCode.DEFECT
    assert len(result.stderr.splitlines()) == 1
    assert "--debug" in result.stderr
    assert isinstance(twin("--debug", "check", "x.yaml").exception, ZeroDivisionError)


def test_a_mistyped_verb_is_told_its_neighbour(twin) -> None:
    assert "did you mean `check`?" in twin("chekc").stderr


def test_version_and_help(twin) -> None:
    assert twin("--version").stdout == f"twin {cli_main.version()}\n"
    assert "Exit codes" in twin("--help").stdout


def test_listing_the_verbs_neither_imports_nor_misquotes_one() -> None:
    script = (
        "import sys; from twin_app.cli.main import main, VERBS\n"
        "try: main()\n"
        "finally: print('imported:', *sorted(set(VERBS.values()) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "200"}
    )
    assert (done.returncode, done.stderr) == (0, "imported:\n")
    group = typer.main.get_command(cli_main.app)
    for name in cli_main.VERBS:
        verb = group.get_command(None, name)
        assert " ".join(verb.help.split("\n\n")[0].split()) in " ".join(done.stdout.replace("│", " ").split()), name


def test_the_reference_page_is_the_help(twin) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
    assert page.read_text() == reference.text(), "run `python -m twin_app.cli.reference`"


def test_every_exit_code_is_documented() -> None:
    assert set(reference.MEANINGS) == set(ExitCode)


def test_a_closed_pipe_is_no_error() -> None:
    twin = f"{sys.executable} -m twin_app.cli run {LINE / 'blueprint.yaml'}"
    done = subprocess.run(["bash", "-c", f"{twin} | head -1"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_the_shell_can_complete(twin) -> None:
    result = twin(env={"_TWIN_COMPLETE": "complete_bash", "COMP_WORDS": "twin ", "COMP_CWORD": "1"})
    assert {"check", "run", "worker", "demo"} <= set(result.stdout.split())
