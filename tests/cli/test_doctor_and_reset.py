"""The verbs for operators: a fault is named with its remedy, and nothing is thrown away by accident."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from rocksdict import Options, Rdict

from models.clock import Tick
from models.errors import TwinError
from tests.brokers.plugin import Broker
from topics.admin import ensure_topics
from twin_app.cli import examination
from twin_app.cli.group import read_group
from twin_app.cli.output import ExitCode
from twin_app.cli.reset import reset_offsets
from twin_app.metrics.catalogue import METRICS
from twin_app.settings import load_settings

NOBODY = "127.0.0.1:1"


def test_doctor_names_each_fault_and_what_to_do(twin, tmp_path: Path) -> None:
    result = twin("doctor", "--json", "--bootstrap", NOBODY, "--registry", f"http://{NOBODY}", "--timeout", "0.5")
    assert result.exit_code == ExitCode.FAILED
    found = [orjson.loads(line) for line in result.stdout.splitlines()]
    failed = {finding["check"] for finding in found if finding["status"] == "failed"}
    assert failed == {"brokers", "registry"}
    assert {finding["check"] for finding in found if finding["status"] == "skipped"} == {"topics", "group"}
    assert all(finding["remedy"] for finding in found if finding["status"] in ("failed", "warning"))


def test_doctor_finds_a_certificate_that_is_not_there(twin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TWIN_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("TWIN_SSL_CA_FILE", str(tmp_path / "none.pem"))
    result = twin("doctor", "--bootstrap", NOBODY, "--registry", f"http://{NOBODY}", "--timeout", "0.5")
    assert result.exit_code == ExitCode.FAILED
    assert "none.pem" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_kernel_that_is_not_compiled_is_told(monkeypatch):
    monkeypatch.setattr(examination, "FORM", "compiled")
    assert [(f.status, f.said) for f in examination._kernel()] == [("ok", "compiled")]
    monkeypatch.setattr(examination, "FORM", "pure Python (not compiled)")
    assert [f.status for f in examination._kernel()] == ["warning"]


def test_a_package_in_another_version_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    real = examination.metadata.version
    monkeypatch.setattr(examination.metadata, "version", lambda name: "0.0.1" if name == "aiokafka" else real(name))
    assert [(f.status, f.said) for f in examination._versions()] == [("failed", "aiokafka 0.0.1 instead of 0.14.0")]


def test_clocks_that_are_apart_are_told() -> None:
    finding = examination._clock({"date": "Wed, 25 Nov 2020 00:00:00 GMT"})
    assert finding is not None
    assert finding.status == "warning"


def test_reset_shows_first_and_removes_only_databases(twin, tmp_path: Path) -> None:
    database = tmp_path / "v1" / "tables" / "checkpoint-0.db"
    database.parent.mkdir(parents=True)
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    Rdict(str(database), Options(raw_mode=True)).close()

    shown = twin("reset", "--local", "--data-dir", tmp_path)
    assert shown.exit_code == 0
    assert str(database) in shown.stdout
    assert "--yes" in shown.stderr
    assert database.exists()
    assert twin("reset", "--local", "--yes", "--data-dir", tmp_path).exit_code == 0
    assert not database.exists()
    assert other.read_text() == "mine"


def test_reset_is_told_what_to_reset(twin) -> None:
    assert twin("reset").exit_code == ExitCode.WRONG_INPUT
    assert twin("reset", "--local", "--group-offsets").exit_code == ExitCode.WRONG_INPUT


@pytest.mark.broker
async def test_group_offsets_are_put_where_the_last_tick_stands(broker: Broker) -> None:
    name = f"r{uuid.uuid4().hex[:8]}"
    settings = load_settings({}, bootstrap_servers=broker.bootstrap, app_id=name, topic_prefix=f"{name}-", partitions=2)
    await ensure_topics(settings.bootstrap_servers, settings.topics)
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap)
    await producer.start()
    for _ in range(7):
        await producer.send_and_wait(settings.config_topic, b"x", partition=1)
    for seq, offset in ((1, 3), (2, 5)):
        await producer.send_and_wait(settings.clock_topic, Tick(seq, 10, offset, 0, ()).to_bytes(), partition=1)
    await producer.stop()
    shown = await reset_offsets(settings, 20, yes=False)
    assert shown == [{"partition": 1, "from": None, "to": 5}]
    assert (await read_group(settings, 20)).committed == {}
    await reset_offsets(settings, 20, yes=True)
    assert (await read_group(settings, 20)).committed == {1: 5}
    assert await reset_offsets(settings, 20, yes=True) == []


@pytest.mark.broker
async def test_a_group_of_which_the_broker_will_know_later_is_asked_for_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"r{uuid.uuid4().hex[:8]}"
    settings = load_settings({}, bootstrap_servers=broker.bootstrap, app_id=name, topic_prefix=f"{name}-", partitions=2)
    await ensure_topics(settings.bootstrap_servers, settings.topics)
    find, calls = AIOKafkaAdminClient.find_coordinator, 0

    async def not_yet(self: AIOKafkaAdminClient, *arguments: object) -> int:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise GroupCoordinatorNotAvailableError
        return await find(self, *arguments)

    monkeypatch.setattr(AIOKafkaAdminClient, "find_coordinator", not_yet)
    group = await read_group(settings, 20)
    assert (group.members, group.committed, set(group.ends)) == ((), {}, {0, 1})
    assert calls > 2
    calls = -(10**6)
    with pytest.raises(TwinError, match="within 1 s"):
        await read_group(settings, 1)


async def test_status_of_an_application_that_is_not_there_is_no_traceback(twin, tmp_path: Path) -> None:
    with pytest.raises(TwinError, match="broker"):
        await read_group(load_settings({}, bootstrap_servers=NOBODY), 0.5)


def test_metrics_lists_the_catalogue_and_asks_nobody(twin) -> None:
    result = twin("metrics", "--json")
    assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == [metric.name for metric in METRICS]
    assert all(metric.help in twin("metrics").stdout for metric in METRICS)
