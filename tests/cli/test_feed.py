"""A topic as a source of arrivals: each record once, what is no arrival as a dead letter, nothing before its time."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from models.errors import Rejected
from tests.cli.test_talk import ANSWER_S, LINE, Twin, cli, environment, lines, worker
from tests.warm.plugin import Process
from twin_app.cli.arrival import Arriving, Recipe, Source
from twin_app.cli.feeding import Waiting

__all__ = ["cli", "environment", "worker"]

NOON_MS = 1_795_000_000_000


def record(value: bytes | None, offset: int = 7) -> Source:
    return Source("orders", 2, offset, NOON_MS, b"k", value)


def test_no_field_of_a_record_is_lost_on_its_way_to_an_entity() -> None:
    recipe = Recipe("make", twin_field="line", at_field="when")
    made = recipe.command(record(b'{"line": "Line_A", "when": "2026-11-18T08:00:00+01:00", "size": 2, "parts": ["a", null]}'))
    assert made.key == b"Line_A"
    assert orjson.loads(made.value) == {
        "kind": "spawn",
        "twin": "Line_A",
        "flow": "make",
        "attributes": {"size": 2, "parts": ["a", None]},
        "at": "2026-11-18T07:00:00.000+00:00",
        "id": "orders-2@7",
    }
    few = Recipe("make", twin="Line_A", attributes=frozenset({"size"}), shift_ms=500.0).command(record(b'{"size": 2, "x": 1}'))
    document = orjson.loads(few.value)
    assert (document["attributes"], document["at"], few.at_ms) == ({"size": 2}, "2026-11-18T11:06:40.500+00:00", NOON_MS + 500)
    assert orjson.loads(Recipe("f", twin="T", at_field="t").command(record(b'{"t": 3}')).value)["at"] == 3.0


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "bad-json"),
        (b"\xff\x00", "bad-json"),
        (b"[" * 100_000, "bad-json"),
        (b"[1]", "not-an-object"),
        (b'{"t": 1}', "no-twin"),
        (b'{"twin": 5, "t": 1}', "no-twin"),
        (b'{"twin": "a.b", "t": 1}', "invalid-command"),
        (b'{"twin": "T"}', "bad-at"),
        (b'{"twin": "T", "t": true}', "bad-at"),
        (b'{"twin": "T", "t": "2026-13-01"}', "bad-at"),
        (b'{"twin": "T", "t": 1e400}', "bad-json"),
        (b'{"twin": "T", "t": 1, "many": "' + b"x" * 2_000_000 + b'"}', "too-large"),
    ],
)
def test_a_record_that_is_no_arrival_is_refused_and_nothing_else(value: bytes, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        Recipe("make", twin_field="twin", at_field="t").command(record(value))
    assert caught.value.code == code
    assert caught.value.message


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("make", twin="Line_A"),
        Recipe("make", twin_field="line", at_field="when", shift_ms=-0.5, attributes=frozenset({"size", "größe"})),
    ],
)
def test_a_recipe_is_never_another_on_its_way_through_a_header(recipe: Recipe) -> None:
    assert Recipe.from_bytes(recipe.to_bytes()) == recipe


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"{}", b'{"flow": 5}', b'{"flow": "f", "shift_ms": "soon"}'])
def test_a_header_that_is_no_recipe_is_none(raw: bytes) -> None:
    assert Recipe.from_bytes(raw) is None


def test_nothing_is_sent_long_before_its_time_nor_out_of_order() -> None:
    line = Waiting(0)
    for number, at_ms in enumerate([10.0, 50.0, 20.0, None]):
        line.records.append((record(b"", number), Arriving(b"", b"", at_ms)))
    assert [source.offset for source, _ in line.due(30.0, 9)] == [0]
    assert line.due(49.0, 9) == []
    assert [source.offset for source, _ in line.due(50.0, 2)] == [1, 2]
    assert [source.offset for source, _ in line.due(50.0, 2)] == [3]


def produce(environment: dict[str, str], topic: str, values: list[bytes | None], partitions: int = 2) -> None:
    async def send() -> None:
        bootstrap = environment["TWIN_BOOTSTRAP_SERVERS"]
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, partitions, 1)])
        await admin.close()
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for number, value in enumerate(values):
                await producer.send(topic, value, key=b"x", partition=number % partitions)

    asyncio.run(send())


def commands(environment: dict[str, str]) -> list[dict[str, Any]]:
    """All committed commands."""

    async def read() -> list[dict[str, Any]]:
        topic, found = f"{environment['TWIN_TOPIC_PREFIX']}twin-config", []
        async with AIOKafkaConsumer(
            bootstrap_servers=environment["TWIN_BOOTSTRAP_SERVERS"], isolation_level="read_committed"
        ) as consumer:
            tps = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
            consumer.assign(tps)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(tps)
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [orjson.loads(item.value) for item in records]
        return found

    return asyncio.run(read())


@pytest.mark.broker
def test_every_record_becomes_one_entity_or_one_dead_letter(cli: Twin, environment: dict[str, str], worker: Process) -> None:
    assert cli("send", LINE / "blueprint.yaml", "--wait", "--timeout", ANSWER_S).returncode == 0
    topic = f"{environment['TWIN_APP_ID']}-orders"
    good = [b'{"priority": %d}' % number for number in range(4)]
    produce(environment, topic, [*good, b"nonsense", None])
    feed = ("feed", topic, "--twin", "Line_A", "--flow", "make", "--no-follow", "--json")
    first = cli(*feed, "--from-beginning")
    assert first.returncode == 0, first.stderr
    assert lines(first.stdout) == [{"fed": 4, "refused": 1, "empty": 1}]
    assert f"{topic}-0@2" in first.stderr
    assert "the topic must hold JSON objects" in first.stderr
    assert lines(cli(*feed, "--from-beginning").stdout) == [{"fed": 0, "refused": 0, "empty": 0}]  # it knows where it was

    watched = cli("watch", "--from-beginning", "--kind", "entity-created", "--json", "--count", "4", "--timeout", ANSWER_S)
    created = [event for event in lines(watched.stdout) if event["payload"]["source"] is None]
    assert {event["payload"]["command"] for event in created} == {f"{topic}-{number % 2}@{number // 2}" for number in range(4)}
    [letter] = lines(cli("dead-letters", "list", "--json").stdout)
    assert (letter["code"], letter["value"]) == ("bad-json", "nonsense")


@pytest.mark.broker
def test_a_record_that_a_feed_refused_is_sent_again_once_as_the_command_it_should_have_been(
    cli: Twin, environment: dict[str, str], worker: Process
) -> None:
    assert cli("send", LINE / "blueprint.yaml", "--wait", "--timeout", ANSWER_S).returncode == 0
    topic = f"{environment['TWIN_APP_ID']}-orders"
    produce(environment, topic, [b'{"priority": 5, "when": "soon"}', b"nonsense"])
    feed = ("feed", topic, "--twin", "Line_A", "--flow", "make", "--at-field", "when", "--no-follow", "--from-beginning")
    assert cli(*feed).returncode == 0
    before = len(commands(environment))

    again = cli("dead-letters", "replay", "--all", "--yes")
    assert again.returncode == 2
    assert again.stderr.count("by the recipe of its feed it is refused again") == 2
    assert [error in again.stderr for error in ("[bad-at]", "[bad-json]", "2 left out")] == [True] * 3
    assert len(commands(environment)) == before  # what would be refused again is not sent

    replay = ("dead-letters", "replay", "--code", "bad-at", "--set", 'when="2026-11-27T08:00:00Z"', "--json")
    [planned] = lines(cli(*replay).stdout)
    assert orjson.loads(planned["planned"]["value"])["attributes"] == {"priority": 5}
    done = cli(*replay, "--yes")
    assert done.returncode == 0, done.stderr
    assert "nothing to send" in cli(*replay, "--yes").stderr
    [command] = commands(environment)[before:]
    assert (command["id"], command["flow"], command["at"]) == (f"{topic}-0@0", "make", "2026-11-27T08:00:00.000+00:00")
    later = cli("send", "--json", '{"path": "Line_A.resources.b.capacity", "value": 1}', "--wait", "--timeout", ANSWER_S)
    assert later.returncode == 0, later.stderr
    created = lines(cli("watch", "--from-beginning", "--no-follow", "--kind", "entity-created", "--json").stdout)
    assert [event["payload"]["command"] for event in created].count(command["id"]) == 1
    assert [letter["code"] for letter in lines(cli("dead-letters", "list", "--open", "--json").stdout)] == ["bad-json"]


@pytest.mark.broker
def test_a_feed_that_is_killed_loses_and_doubles_nothing(
    cli: Twin, environment: dict[str, str], twin_command: tuple[list[str], dict[str, str]]
) -> None:
    """The kill comes mid-way for certain: in the first half, or at its end, since the second is held until tomorrow."""
    assert cli("topics", "--create").returncode == 0
    topic = f"{environment['TWIN_APP_ID']}-orders"
    now, tomorrow = datetime.now(UTC), datetime.now(UTC) + timedelta(days=1)
    days = [now] * 5_000 + [tomorrow] * 5_000
    produce(environment, topic, [orjson.dumps({"n": number, "day": day}) for number, day in enumerate(days)])
    feed = ("feed", topic, "--twin", "Line_A", "--flow", "make", "--at-field", "day")
    process = subprocess.Popen(
        [*twin_command[0], *feed, "--from-beginning"],
        env=environment | twin_command[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not commands(environment):
            assert time.monotonic() < deadline, "nothing was fed"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = len(commands(environment))
    assert 0 < before <= 5_000
    done = cli(*feed, "--no-follow", "--json", "--shift", -86_400)
    assert done.returncode == 0, done.stderr
    assert lines(done.stdout) == [{"fed": 10_000 - before, "refused": 0, "empty": 0}]
    ids = [command["id"] for command in commands(environment)]
    assert sorted(ids) == sorted(f"{topic}-{number % 2}@{number // 2}" for number in range(10_000))


def test_a_feed_is_told_what_it_lacks(twin) -> None:
    assert "--twin or by --twin-field" in twin("feed", "orders", "--flow", "make").stderr
    assert "own-topic" in twin("feed", "twin-config", "--flow", "make", "--twin", "T").stderr
