"""On a real Kafka that lets nobody in unproven: each way in works, a wrong proof stays out, and a worker lives on it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka.errors import KafkaError

from models.errors import TwinError
from tests.brokers.secured import KEY_PASSWORD, PASSWORD, SCRAM_PASSWORD, USER, Secured
from tests.security.conftest import CLIENT_SECRET, REGISTRY_PASSWORD
from tests.streaming.workers import ROOT, Workers
from topics.admin import ensure_topics
from twin_app.cli import connect
from twin_app.security.kafka import client_security
from twin_app.security.registry import registry_of
from twin_app.settings import Settings, load_settings
from twin_app.streaming.connections import admin

pytestmark = pytest.mark.timeout(180)

WAYS = ("mtls", "plain", "scram-256", "scram-512", "oauth")


def way_in(way: str, secured: Secured, token_url: str) -> dict[str, str]:
    """The settings for one way into the broker."""
    if way == "mtls":
        return {
            "TWIN_BOOTSTRAP_SERVERS": secured.tls,
            "TWIN_SECURITY_PROTOCOL": "SSL",
            "TWIN_SSL_CA_FILE": str(secured.ca),
            "TWIN_SSL_CERT_FILE": str(secured.certificate),
            "TWIN_SSL_KEY_FILE": str(secured.key),
            "TWIN_SSL_KEY_PASSWORD": KEY_PASSWORD,
        }
    sasl = {
        "TWIN_BOOTSTRAP_SERVERS": secured.sasl,
        "TWIN_SECURITY_PROTOCOL": "SASL_SSL",
        "TWIN_SSL_CA_FILE": str(secured.ca),
    }
    if way == "oauth":
        return sasl | {
            "TWIN_SASL_MECHANISM": "OAUTHBEARER",
            "TWIN_OAUTH_TOKEN_URL": token_url,
            "TWIN_OAUTH_CLIENT_ID": USER,
            "TWIN_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
        }
    mechanism = {"plain": "PLAIN", "scram-256": "SCRAM-SHA-256", "scram-512": "SCRAM-SHA-512"}[way]
    password = PASSWORD if way == "plain" else SCRAM_PASSWORD
    return sasl | {"TWIN_SASL_MECHANISM": mechanism, "TWIN_SASL_USERNAME": USER, "TWIN_SASL_PASSWORD": password}


async def topics_seen(settings: Settings) -> list[str]:
    client = admin(settings)
    try:
        await client.start()
        return await client.list_topics()
    finally:
        await client.close()


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_in_works_for_every_kind_of_client(way: str, secured: Secured, token_server: str) -> None:
    settings = load_settings(way_in(way, secured, token_server), app_id=way, topic_prefix=f"{way}-", partitions=1)
    await ensure_topics(settings.bootstrap_servers, settings.topics, client_settings=client_security(settings))
    assert settings.config_topic in await topics_seen(settings)
    async with connect.producer(settings, 20) as writer, connect.consumer(settings, 20) as reader:
        sent = await writer.send_and_wait(settings.config_topic, b"{}", b"k")
        tps = await connect.partitions_of(settings, 20, settings.config_topic)
        reader.assign(tps)
        record = await reader.getone(*tps)
        assert (record.offset, record.value) == (sent.offset, b"{}")


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        ("mtls", {"TWIN_SSL_CA_FILE": "foreign_ca"}),
        ("mtls", {"TWIN_SSL_CERT_FILE": "foreign_certificate", "TWIN_SSL_KEY_FILE": None, "TWIN_SSL_KEY_PASSWORD": None}),
        ("plain", {"TWIN_SASL_PASSWORD": "wrong-hush"}),
        ("scram-512", {"TWIN_SASL_PASSWORD": "wrong-hush"}),
        ("oauth", {"TWIN_OAUTH_CLIENT_SECRET": "wrong-hush"}),
    ],
)
async def test_a_wrong_proof_stays_out_and_no_secret_is_told(
    way: str, wrong: dict[str, Any], secured: Secured, token_server: str
) -> None:
    environ: dict[str, Any] = way_in(way, secured, token_server) | wrong
    for name, value in wrong.items():
        if value is not None and hasattr(secured, value):
            environ[name] = str(getattr(secured, value))
    settings = load_settings({name: value for name, value in environ.items() if value is not None})
    with pytest.raises(KafkaError) as caught:
        await topics_seen(settings)
    assert "hush" not in str(caught.value)


async def test_a_registry_behind_tls_and_a_password(secured: Secured, secured_registry: str) -> None:
    schema = {"type": "record", "name": "A", "fields": []}
    right = {
        "TWIN_REGISTRY_URL": secured_registry,
        "TWIN_REGISTRY_CA_FILE": str(secured.ca),
        "TWIN_REGISTRY_USERNAME": USER,
        "TWIN_REGISTRY_PASSWORD": REGISTRY_PASSWORD,
    }
    assert await registry_of(load_settings(right), patience_s=5).register("a", schema, "NONE") == 1
    for wrong, code in (
        ({"TWIN_REGISTRY_PASSWORD": "wrong-hush"}, "registry-refused"),
        ({"TWIN_REGISTRY_CA_FILE": str(secured.foreign_ca)}, "registry-unreachable"),
    ):
        with pytest.raises(TwinError) as caught:
            await registry_of(load_settings(right | wrong), patience_s=0.5).register("a", schema, "NONE")
        assert caught.value.code == code
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("way", ["mtls", "scram-512"])
async def test_a_worker_lives_on_a_secured_broker(
    way: str, secured: Secured, secured_registry: str, token_server: str, tmp_path: Path
) -> None:
    settings = way_in(way, secured, token_server) | {
        "TWIN_REGISTRY_URL": secured_registry,
        "TWIN_REGISTRY_CA_FILE": str(secured.ca),
        "TWIN_REGISTRY_USERNAME": USER,
        "TWIN_REGISTRY_PASSWORD": REGISTRY_PASSWORD,
        "TWIN_FORECAST_WORKERS": "1",
    }
    workers = Workers(settings.pop("TWIN_BOOTSTRAP_SERVERS"), tmp_path, partitions=1, **settings)
    try:
        workers.start()
        await workers.wait_for_line(0, "partition-ready", 60)
        blueprint = ROOT / "examples" / "line" / "blueprint.yaml"
        sent = await twin(workers, "send", str(blueprint), "--wait", "--timeout", "40")
        assert b"hush" not in sent
        seen = await twin(workers, "watch", "--from-beginning", "--json", "--count", "1", "--timeout", "40")
        assert orjson.loads(seen.splitlines()[0])["kind"] == "twin-registered"
        assert b"hush" not in await twin(workers, "doctor", "--json", "--timeout", "30")
        assert await workers.terminate(0) == 0
        # Once more, with local state lost: Faust's recovery reads the changelogs over the same connection.
        workers.start(1)
        await workers.wait_for_line(1, "partition-ready", 60)
        assert "hush" not in workers.logs()
    finally:
        workers.close()


async def twin(workers: Workers, *arguments: str) -> bytes:
    """What the verb printed."""

    environ = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")} | workers.settings
    command = [sys.executable, "-m", "twin_app.cli", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environ, capture_output=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout + done.stderr
