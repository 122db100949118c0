"""A broker that is missing must be told at once: figures of another one must never stand in its place."""

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as bench
from benchmarks import stage
from models.errors import TwinError
from tests.brokers.maven import Unavailable


@pytest.fixture
def no_kafka(monkeypatch) -> None:
    def nowhere(*_: object) -> None:
        raise Unavailable("no java on the PATH")

    monkeypatch.setattr(stage, "RealKafka", nowhere)


@pytest.fixture
def kept(monkeypatch) -> list[object]:
    """What a run would have written; its suites measure nothing."""
    written: list[object] = []

    async def nothing(place: object, rounds: int, quick: bool) -> list[object]:
        return []

    for name in ("latency", "growth"):
        monkeypatch.setitem(bench.SUITES, name, nothing)
    monkeypatch.setattr(bench, "save", lambda figures, conditions: written.append(conditions))
    monkeypatch.setattr(bench.report, "write", lambda rows: None)
    return written


def run(*arguments: str):
    app = bench.typer.Typer()
    app.command()(bench.main)
    return CliRunner().invoke(app, list(arguments))


def test_without_kafka_nothing_is_measured_on_another_broker(no_kafka, kept):
    with pytest.raises(TwinError) as told, stage.stage():
        raise AssertionError("there is a stage")
    assert told.value.code == "missing-broker"
    done = run("growth", "latency")
    assert done.exit_code == 1
    assert "no java on the PATH" in done.output
    assert "--embedded" in done.output
    assert kept == []


def test_suites_that_need_no_broker_do_not_ask_for_one(no_kafka, kept):
    assert run("growth").exit_code == 0
    assert len(kept) == 1


def test_the_embedded_broker_is_asked_for_and_its_figures_are_not_kept(no_kafka, kept):
    assert run("--embedded", "latency").exit_code == 0
    assert kept == []
