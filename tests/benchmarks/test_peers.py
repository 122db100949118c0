"""A peer that is missing must be told at once and clearly; one that was left half-made must not be taken for whole."""

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as bench
from benchmarks.peers import desflow_python
from models.errors import TwinError

UNKNOWN = "./no-such-package"
"""A path: pip refuses it without asking a package index."""


def left_half_made(home) -> None:
    (home / "bin").mkdir(parents=True)
    python = home / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)


def test_a_peer_that_was_left_half_made_and_cannot_be_installed_is_not_measured(tmp_path):
    home = tmp_path / "peer"
    left_half_made(home)
    with pytest.raises(TwinError) as told:
        desflow_python(home, UNKNOWN)
    assert told.value.code == "missing-peer"
    assert UNKNOWN in told.value.message
    assert told.value.place == str(home)


def test_a_missing_peer_does_not_end_a_run_half_way(monkeypatch):
    def missing() -> str:
        raise TwinError("missing-peer", "no index answers", remedy="try again")

    def never() -> None:
        raise AssertionError("a broker was started")

    monkeypatch.setattr(bench, "desflow_python", missing)
    monkeypatch.setattr(bench, "stage", never)
    app = bench.typer.Typer()
    app.command()(bench.main)
    done = CliRunner().invoke(app, ["ingest"])
    assert done.exit_code == 1
    assert "no index answers" in done.output
