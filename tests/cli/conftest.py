"""The command as a test calls it, in an environment without settings."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from twin_app.cli.main import app


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TWIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def twin() -> Callable[..., Result]:
    """`twin("check", path)`: the result has exit_code, stdout and stderr."""
    runner = CliRunner()

    def invoke(*arguments: object, **options: object) -> Result:
        return runner.invoke(app, [str(argument) for argument in arguments], prog_name="twin", **options)  # type: ignore[arg-type]

    return invoke
