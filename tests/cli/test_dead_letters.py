"""Dead letters: listed, looked at, and sent again once, as they were."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from models.deadletters import REPLAYED
from tests.cli.test_talk import ANSWER_S, LINE, Twin, cli, environment, lines, worker
from tests.warm.plugin import Process
from twin_app.cli.letters import REPLAY_HEADER

__all__ = ["cli", "environment", "worker"]

BROKEN = b"\x00\x00\x00\x00\x63 no such schema"


def write(environment: dict[str, str], value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=environment["TWIN_BOOTSTRAP_SERVERS"]) as producer:
            await producer.send_and_wait(f"{environment['TWIN_TOPIC_PREFIX']}twin-config", value, key=key, headers=headers)

    asyncio.run(send())


@pytest.mark.broker
def test_a_dead_letter_is_never_sent_again_twice_or_otherwise_than_it_was(
    cli: Twin, environment: dict[str, str], worker: Process
) -> None:
    assert cli("send", LINE / "blueprint.yaml", "--wait", "--timeout", ANSWER_S).returncode == 0
    write(environment, b'{"path": "resources.b.capacity", "value": 99}', b"Line_A", [("trace", b"\xff1")])
    write(environment, BROKEN, b"Line_A", [])
    refused = cli("send", "--json", '{"kind": "signal", "name": "nobody", "twin": "Line_A"}', "--wait")
    assert refused.returncode == 2

    first, second, third = lines(cli("dead-letters", "list", "--json").stdout)
    assert [item["code"] for item in (first, second, third)] == ["out-of-bounds", "unknown-schema", "unknown-signal"]
    shown = lines(cli("dead-letters", "show", first["place"], "--json").stdout)[0]
    assert shown["headers"] == [["trace", "\ufffd1"]]
    plan = cli("dead-letters", "replay", "--all")
    assert "nothing was sent" in plan.stderr
    assert cli("dead-letters", "replay", third["place"], "--set", "value=1").stderr.count("invalid-command") == 1
    done = cli("dead-letters", "replay", "--code", "out-of-bounds", "--set", "value=2", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    [sent] = [line["replayed"] for line in lines(done.stdout)]
    assert sent["place"] == first["place"]
    watched = cli("watch", "--from-beginning", "--kind", "parameter-changed", "--count", "1", "--json", "--timeout", ANSWER_S)
    [event] = lines(watched.stdout)
    assert f"{event['cause']['topic']}-{event['cause']['partition']}@{event['cause']['offset']}" == sent["as"]
    assert event["payload"]["new"] == 2

    assert "nothing to send" in cli("dead-letters", "replay", "--code", "out-of-bounds", "--yes").stderr  # it is marked
    assert [item["replayed"] for item in lines(cli("dead-letters", "list", "--json").stdout)] == [[sent["as"]], [], []]

    again = cli("dead-letters", "replay", second["place"], "--yes")
    assert again.returncode == 0, again.stderr
    answer = cli("send", "--json", '{"path": "Line_A.resources.b.capacity", "value": 1}', "--wait", "--timeout", ANSWER_S)
    assert answer.returncode == 0, answer.stderr
    letters = lines(cli("dead-letters", "list", "--json").stdout)
    twice = [item for item in letters if item["code"] == "unknown-schema"]
    assert len(twice) == 2
    assert twice[0]["value"] == twice[1]["value"]
    headers = dict(lines(cli("dead-letters", "show", twice[1]["place"], "--json").stdout)[0]["headers"])
    assert headers[REPLAY_HEADER].endswith(f"twin-dead-letters-{second['place']}")
    seen = lines(cli("watch", "--from-beginning", "--no-follow", "--json", "--dead-letters").stdout)
    marks = [line["dead_letter"] for line in seen if line.get("dead_letter", {}).get("code") == REPLAYED]
    assert {mark["replayed_as"] for mark in marks} >= {sent["as"]}
    assert orjson.loads(letters[0]["value"]) == {"path": "resources.b.capacity", "value": 99}

    rows = lines(cli("paths", "Line_A.resources.b", "--json").stdout)
    assert [row for row in rows if row["path"] == "Line_A.resources.b.capacity"] == [
        {
            "path": "Line_A.resources.b.capacity",
            "value": 1,
            "version": 2,
            "changed_at": rows[0]["changed_at"],
            "offset": rows[0]["offset"],
        }
    ]
    assert {row["path"].rpartition(".")[0] for row in rows} == {"Line_A.resources.b"}

    unknown = cli("paths", "Line_A.resources.nope")
    assert unknown.returncode == 2
    assert "Line_A.resources.nope: no live path begins so [unknown-path]" in unknown.stderr

    states = {row["subject"]: row["state"] for row in lines(cli("schema", "check", "--json").stdout)}
    prefix = environment["TWIN_TOPIC_PREFIX"]
    assert states[f"{prefix}sim-events-twin.events.TwinEvent"] == "registered"
    assert states[f"{prefix}twin-config-twin.commands.Command"] == "not registered"
    registered = lines(cli("schema", "register", "--json").stdout)
    assert all(row["state"] == "registered" and row["id"] for row in registered)


def test_schemas_are_shown_and_a_name_that_is_none_is_refused(twin) -> None:
    assert "twin.events.TwinEvent" in twin("schema", "show").stdout.split()
    assert orjson.loads(twin("schema", "show", "twin.commands.Command").stdout)["name"] == "Command"
    assert "did you mean" in twin("schema", "show", "twin.events.TwinEvnt").stderr


def test_nothing_is_sent_again_by_mistake(twin) -> None:
    result = twin("dead-letters", "replay", "--yes")
    assert result.exit_code == 2
    assert "nothing says which dead letters are meant" in result.stderr
    assert "is not FIELD=JSON" in twin("dead-letters", "replay", "--all", "--set", "value").stderr
