"""Send, watch and worker on a broker: what was sent is answered, what is committed is seen."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tests.brokers.plugin import Broker, Registry
from tests.warm.plugin import Process, make_process

LINE = Path(__file__).parents[2] / "examples" / "line"
ANSWER_S = "60"

pytestmark = pytest.mark.broker

Twin = Callable[..., subprocess.CompletedProcess[str]]


def _environment(broker: Broker, registry: Registry, folder: Path) -> dict[str, str]:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    settings = {
        "TWIN_BOOTSTRAP_SERVERS": broker.bootstrap,
        "TWIN_REGISTRY_URL": registry.url,
        "TWIN_APP_ID": name,
        "TWIN_TOPIC_PREFIX": f"{name}-",
        "TWIN_PARTITIONS": "2",
        "TWIN_SESSION_TIMEOUT_S": "6",
        "TWIN_DATA_DIR": str(folder / "state"),
    }
    return {**os.environ, **settings}


@pytest.fixture
def environment(broker: Broker, registry: Registry, tmp_path: Path) -> dict[str, str]:
    return _environment(broker, registry, tmp_path)


@pytest.fixture
def cli(environment: dict[str, str], twin_command: tuple[list[str], dict[str, str]]) -> Twin:
    """The command as a process of its own."""
    twin, more = twin_command

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        command = [*twin, *(str(argument) for argument in arguments)]
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            command, env=environment | more, capture_output=True, text=True, timeout=120, check=False, **options
        )

    return call


@pytest.fixture
def worker(environment: dict[str, str], cli: Twin, tmp_path: Path) -> Iterator[Process]:
    with (tmp_path / "worker.log").open("wb") as log:
        process = make_process("twin_app.cli", ["worker"], environment=environment, log=log)
        try:
            assert cli("topics", "--create").returncode == 0
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def lines(text: str) -> list[dict]:
    return [orjson.loads(line) for line in text.splitlines()]


def test_topics_that_are_not_there_are_named(cli: Twin) -> None:
    for arguments in (("watch", "--no-follow"), ("send", LINE / "commands.yaml")):
        result = cli(*arguments)
        assert result.returncode == 3
        assert "unknown-topic" in result.stderr


def test_every_command_is_answered_and_every_event_seen(cli: Twin, worker: Process) -> None:
    register = cli("send", LINE / "blueprint.yaml", "--wait", "--timeout", ANSWER_S)
    assert register.returncode == 0, register.stderr
    assert "the twin begins to live" in register.stdout

    accepted = cli(
        "send", "--json", '{"path_id": "resources.b.current_cap", "value": 0}', "--key", "Line_A", "--wait", "--json-lines"
    )
    assert accepted.returncode == 0, accepted.stderr
    sent, answer = lines(accepted.stdout)
    assert answer["kind"] == "parameter-changed"
    assert answer["cause"]["offset"] == sent["sent"]["offset"]
    assert (answer["payload"]["old"], answer["payload"]["new"]) == (1, 0)

    refused = cli("send", "--json", '{"path": "Line_A.resources.b.capacity", "value": 99}', "--wait", "--json-lines")
    assert refused.returncode == 2
    assert lines(refused.stdout)[1]["dead_letter"]["code"] == "out-of-bounds"

    raw = cli("send", "--raw", "--key", "Line_A", "-", "--wait", input='{"path":')
    assert raw.returncode == 2
    assert "bad-json" in raw.stdout

    scheduled = cli("send", LINE / "commands.yaml", "--wait")
    assert scheduled.returncode == 0, scheduled.stderr
    assert scheduled.stdout.count("is kept until") == 2

    watched = cli("watch", "--from-beginning", "--no-follow", "--json", "--dead-letters")
    assert watched.returncode == 0, watched.stderr
    seen = lines(watched.stdout)
    events = [record for record in seen if "dead_letter" not in record]
    assert [event["seq"] for event in events] == [*range(1, len(events) + 1)]
    assert len(seen) - len(events) == 2

    one = cli("watch", "--from-beginning", "--count", "1", "--kind", "parameter-changed", "--twin", "Line_A")
    assert one.stdout.strip().endswith("resources.b.capacity set from 1 to 0")
    assert cli("watch", "--from-beginning", "--no-follow", "--twin", "Nobody", "--json").stdout == ""


def test_a_worker_that_is_told_to_stop_ends_with_0(cli: Twin, worker: Process) -> None:
    assert cli("send", LINE / "blueprint.yaml", "--wait", "--timeout", ANSWER_S).returncode == 0
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    silent = cli("send", LINE / "commands.yaml", "--wait", "--timeout", "2")
    assert silent.returncode == 3
    assert "no-answer" in silent.stderr
