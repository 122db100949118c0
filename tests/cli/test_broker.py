"""`twin broker`: it is where the others look for it, or says why not. That it serves is shown by the documents' tests."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from twin_app.cli.output import ExitCode


def test_a_cluster_of_others_is_never_played_here(twin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TWIN_BOOTSTRAP_SERVERS", "kafka.internal:9092")
    result = twin("broker")
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert "not-local" in result.stderr
    assert "TWIN_BOOTSTRAP_SERVERS" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_named(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("TWIN_BOOTSTRAP_SERVERS", address)
        result = twin("broker", "--registry-port", "0", "--temporary")
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert address in result.stderr
    assert "port-taken" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("verb", ["broker", "worker"])
def test_a_folder_that_cannot_be_made_is_named(twin, tmp_path: Path, verb: str) -> None:
    (tmp_path / "file").touch()
    option = "--data" if verb == "broker" else "--data-dir"
    result = twin(verb, option, tmp_path / "file" / "inner")
    assert result.exit_code == ExitCode.WRONG_INPUT
    assert "unwritable-folder" in result.stderr
