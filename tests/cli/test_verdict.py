"""The check of a history can fail: each way to lose, double or change something is caught."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from topics.registry import SchemaRegistry
from topics.router import Router
from topics.specs import topic_specs
from twin_app.cli.demo.plant import line
from twin_app.cli.golden import Golden, retell
from twin_app.cli.history import PartitionHistory, Written
from twin_app.cli.verdict import Finding, judge
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.partition.contracts import Contracts

SPECS = topic_specs()
SETTINGS = HostSettings(config_topic=SPECS.config.name)
T0_MS = 1_800_000_000_000
END_S = 20.0


def contracts() -> Contracts:
    """Events as JSON: no registry is asked."""
    return Contracts(SPECS, SchemaRegistry("http://127.0.0.1:1"), Router(SPECS.events.name))


def commands(**more: object) -> list[ConfigRecord]:
    blueprint = line("Line_A", orders=8).model_dump(mode="json", by_alias=True, exclude_defaults=True) | more
    spoken = [
        (0.0, {"kind": "register", "blueprint": blueprint}),
        (2.0, {"path": "resources.b.capacity", "value": 0}),
        (3.0, {"path": "resources.b.capacity", "value": 99}),
        (5.0, {"path": "resources.b.capacity", "value": 2}),
    ]
    return [
        ConfigRecord(offset, T0_MS + round(at_s * 1000), b"Line_A", orjson.dumps(command))
        for offset, (at_s, command) in enumerate(spoken)
    ]


def lived(**more: object) -> PartitionHistory:
    """What the topics hold after a worker has lived through the commands, in small cycles. `more` of the blueprint."""
    history = PartitionHistory(0, commands=commands(**more))
    wire = contracts()
    host = PartitionHost.open(0, {}, wire, wire.parse, SETTINGS)
    done = 0
    for step in range(round(END_S * 10) + 1):
        wall_ms = T0_MS + step * 100
        ready = [record for record in history.commands[done:] if record.timestamp_ms <= wall_ms]
        done += len(ready)
        for _ in host.begin(ready, wall_ms * 1000):
            pass
        cycle = host.take()
        if cycle is None:
            continue
        history.ticks.append(cycle.tick)
        for output in cycle.outputs:
            written = Written(output.key, output.value, output.timestamp_ms or 0)
            if output.topic == SPECS.events.name:
                history.events.append(written)
            elif output.topic == SPECS.dead_letters.name:
                history.dead_letters.append(written)
    return history


@pytest.fixture(scope="module")
def told() -> tuple[PartitionHistory, Golden]:
    history = lived()
    return history, retell(history, contracts(), SETTINGS)


def failed(history: PartitionHistory, golden: Golden) -> list[str]:
    """The first word that matters of every claim that does not hold."""
    names = ("no event is lost", "byte for byte", "every command", "every job")
    findings = judge([history], [golden], orjson.loads)
    return [name for name, finding in zip(names, findings, strict=True) if not finding.holds]


def with_events(history: PartitionHistory, events: list[Written]) -> PartitionHistory:
    return PartitionHistory(0, history.commands, history.ticks, events, history.dead_letters)


def test_a_whole_history_passes(told) -> None:
    history, golden = told
    assert failed(history, golden) == []
    assert len(history.events) > 80
    assert len(history.dead_letters) == 1
    assert golden.jobs["Line_A"]["created"] == golden.jobs["Line_A"]["finished"] == 8


def test_a_state_machine_is_never_taken_for_a_job_that_is_missing() -> None:
    history = lived(machines={"lamp": {"initial": "on", "states": {"on": {}}}})
    golden = retell(history, contracts(), SETTINGS)
    assert failed(history, golden) == []
    assert golden.jobs["Line_A"]["created"] == 8


def test_an_unfinished_history_passes_with_its_jobs_in_progress() -> None:
    history = lived()
    half = len(history.ticks) // 3
    history.ticks = history.ticks[:half]
    history.commands = [record for record in history.commands if record.offset < history.ticks[-1].next_offset]
    history.events = history.events[: history.ticks[-1].events]
    history.dead_letters = []
    golden = retell(history, contracts(), SETTINGS)
    assert failed(history, golden) == []
    assert golden.jobs["Line_A"]["in_progress"] > 0


def lost(events: list[Written]) -> list[Written]:
    return events[:40] + events[41:]


def doubled(events: list[Written]) -> list[Written]:
    return [*events[:41], *events[40:]]


def swapped(events: list[Written]) -> list[Written]:
    return [*events[:40], events[41], events[40], *events[42:]]


def cut_off(events: list[Written]) -> list[Written]:
    return events[:-5]


def changed(events: list[Written]) -> list[Written]:
    value = events[40].value or b""
    return [*events[:40], events[40]._replace(value=value.replace(b'"sim_time":', b'"sim_time":1')), *events[41:]]


def moved(events: list[Written]) -> list[Written]:
    return [*events[:40], events[40]._replace(timestamp_ms=events[40].timestamp_ms + 1), *events[41:]]


@pytest.mark.parametrize(
    ("tamper", "claims"),
    [
        (lost, {"no event is lost", "byte for byte"}),
        (doubled, {"no event is lost", "byte for byte"}),
        (swapped, {"no event is lost", "byte for byte"}),
        (cut_off, {"byte for byte"}),
        (changed, {"byte for byte"}),
        (moved, {"byte for byte"}),
    ],
)
def test_a_tampered_event_list_is_caught(told, tamper: Callable[[list[Written]], list[Written]], claims: set[str]) -> None:
    history, golden = told
    assert claims <= set(failed(with_events(history, tamper(history.events)), golden))


def test_a_lost_job_is_caught_even_when_the_golden_run_lost_it_too(told) -> None:
    history, golden = told
    events = [record for record in history.events if orjson.loads(record.value)["kind"] != "entity-left"]
    assert "every job" in failed(with_events(history, events), Golden(0, events, golden.dead_letters, golden.jobs))


def test_a_command_that_nobody_answered_is_caught(told) -> None:
    history, golden = told
    unheard = [*history.commands, ConfigRecord(4, T0_MS, b"Line_A", b"{}")]
    spoiled = PartitionHistory(0, unheard, history.ticks, history.events, history.dead_letters)
    assert failed(spoiled, golden) == ["every command"]


def test_a_missing_tick_cannot_be_retold(told) -> None:
    history, _ = told
    gap = PartitionHistory(0, history.commands, history.ticks[:3] + history.ticks[4:], history.events)
    with pytest.raises(Exception, match="tick 5 follows tick 3"):
        retell(gap, contracts(), SETTINGS)


def test_an_empty_history_is_no_success() -> None:
    empty = PartitionHistory(0)
    assert "no event is lost" in failed(empty, Golden(0))


def test_a_failed_check_fails_the_demo(twin, monkeypatch: pytest.MonkeyPatch) -> None:
    async def perform(*_: object) -> list[Finding]:
        return [Finding("no event is lost", True, ""), Finding("byte for byte", False, "record 7 differs in its value")]

    monkeypatch.setattr("twin_app.cli.demo.performance.perform", perform)
    result = twin("demo")
    assert result.exit_code == 1
    assert "record 7 differs" in result.stdout
    assert "THE CHECK FAILED" in result.stdout
    verdict = orjson.loads(twin("demo", "--json").stdout.splitlines()[-1])["verdict"]
    assert verdict["ok"] is False
