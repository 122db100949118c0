"""A consumer in Java, on the Avro and Kafka projects' own libraries, reads sim-events."""

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from models.events import EventRecord, SourceOffset, TwinEvent
from tests.brokers.maven import FETCH_TIMEOUT_S, Unavailable, missing
from topics.admin import ensure_topics
from topics.confluent import ConfluentAvro
from topics.envelope import as_dict
from topics.registry import SchemaRegistry
from topics.specs import topic_specs

ROOT = Path(__file__).resolve().parents[2]
PEER = ROOT / "tests" / "peers" / "java"
SCHEMA = ROOT / "schemas" / "twin.events.TwinEvent.avsc"
READ_TIMEOUT_S = 60

EVENTS = [
    EventRecord("Line_A", 1, 0.0, 1_795_338_000_000_000, "entity-created", 1, None, {"flow": "make", "priority": 5}),
    EventRecord("Line_A", 2, 0.1, 1_795_338_000_100_000, "entity-queued", 1, 1, {"resource": "b", "queue": 2**53, "vip": False}),
    EventRecord(
        "Line_A",
        3,
        1e9,
        253_402_300_799_999_999,
        "parameter-changed",
        None,
        SourceOffset("twin-config", 3, 2**40),
        {"old": 1, "new": 0.5},
    ),
    EventRecord(
        "Linie_Ä", 1, -1.5, -1, "a-kind-of-its-own", None, None, {"note": None, "text": "„ü€𝄞“", "list": [1, {"a": None}]}
    ),
]


def built() -> Path:
    """The compiled peer and its libraries, made once for each state of its sources."""
    if lack := missing():
        raise Unavailable(lack)
    sources = [PEER / "pom.xml", PEER / "src/main/java/peer/ReadEvents.java"]
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    home = ROOT / ".run" / f"java-peer-{state}"
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / ".complete").exists():
            command = ["mvn", "-B", "-q", "-f", str(PEER / "pom.xml"), f"-Dout={home}", "compile"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
            if done.returncode:
                raise Unavailable(f"Maven could not build the Java peer: {(done.stdout + done.stderr).strip()[-800:]}")
            (home / ".complete").touch()
    return home


@pytest.fixture(scope="module")
def peer() -> Path:
    try:
        return built()
    except Unavailable as error:
        if os.environ.get("TWIN_REQUIRE_REAL") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))


async def test_a_consumer_in_java_never_reads_another_event_than_was_written(broker, registry, peer):
    specs = topic_specs(app=uuid.uuid4().hex, prefix=f"{uuid.uuid4().hex[:8]}.", partitions=1)
    await ensure_topics(broker.bootstrap, specs)
    serializer = ConfluentAvro(TwinEvent, SchemaRegistry(registry.url), topic=specs.events.name)
    await serializer.prepare()
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=uuid.uuid4().hex)
    await producer.start()
    try:
        for committed in (False, True):
            await producer.begin_transaction()
            for event in EVENTS:
                await producer.send(specs.events.name, serializer.encode(event), key=event.twin.encode())
            await (producer.commit_transaction() if committed else producer.abort_transaction())
    finally:
        await producer.stop()
    command = ["java", "-Xmx128m", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "-cp", f"{peer}/classes:{peer}/lib/*"]
    command += ["peer.ReadEvents", broker.bootstrap, registry.url, specs.events.name, str(len(EVENTS)), str(SCHEMA)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=READ_TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()[-800:] + done.stdout.decode()[-300:]
    read = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert read == [{"key": event.twin, **as_dict(event)} for event in EVENTS]
