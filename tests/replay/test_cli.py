"""`twin replay` and `twin diff` on a broker: what the logs give is what consumers have read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_past_is_told_as_consumers_have_read_it(past: Any, tmp_path: Path) -> None:
    watched = past("watch", "--from-beginning", "--no-follow", "--json")
    told = past("replay", "--json", "--verify")
    assert told.returncode == 0, told.stderr
    assert "byte for byte" in told.stderr
    assert sorted(told.stdout.splitlines()) == sorted(watched.stdout.splitlines())
    assert len(lines(told.stdout)) >= 3

    refused = [line for line in lines(past("replay", "--json", "--dead-letters").stdout) if "dead_letter" in line]
    assert [line["dead_letter"]["code"] for line in refused] == ["out-of-bounds"]
    assert "set from 1 to 0" in past("replay", "--twin", "Line_A").stdout
    assert past("replay", "--json", "--twin", "Nobody").stdout == ""

    file = tmp_path / "past.jsonl"
    written = past("replay", "-o", file)
    assert written.returncode == 0, written.stderr
    assert written.stdout == ""
    same = past("diff", file, "@events")
    assert same.returncode == 0, same.stdout + same.stderr
    assert "no difference" in same.stdout
    assert past("diff", "-", "@replay", input=watched.stdout).returncode == 0

    events = lines(file.read_text())
    tampered = [event | {"sim_time": event["sim_time"] + 1} if event["seq"] == 2 else event for event in events]
    (tmp_path / "tampered.jsonl").write_text("\n".join(map(json.dumps, tampered)))
    other = past("diff", file, tmp_path / "tampered.jsonl")
    assert other.returncode == 1
    assert "Line_A:2" in other.stdout
    assert "sim_time" in other.stdout

    instant = next(event["event_time"] for event in events if event["payload"].get("new") == 2)
    late = lines(past("replay", "--json", "--from", instant).stdout)
    assert 0 < len(late) < len(events)
    assert late == events[-len(late) :]
    assert past("replay", "--json", "--from", instant, "--verify").returncode == 0


def test_the_past_is_not_written_into_the_present(past: Any) -> None:
    own = past("replay", "--to-topic", f"{past.environment['TWIN_TOPIC_PREFIX']}sim-events")
    assert own.returncode == 2
    assert "own-topic" in own.stderr
    nowhere = past("replay", "--to-topic", "nowhere-at-all")
    assert nowhere.returncode == 3
    assert "unknown-topic" in nowhere.stderr
    # another application's events topic takes the records as they were; it reads them as its own
    other = dict(past.environment, TWIN_TOPIC_PREFIX=past.environment["TWIN_TOPIC_PREFIX"] + "copy-")
    assert past("topics", "--create", env=other).returncode == 0
    copied = past("replay", "--to-topic", f"{other['TWIN_TOPIC_PREFIX']}sim-events")
    assert copied.returncode == 0, copied.stderr
    read = past("watch", "--from-beginning", "--no-follow", "--json", env=other)
    assert sorted(read.stdout.splitlines()) == sorted(past("replay", "--json").stdout.splitlines())
    assert read.stdout


def test_a_wrong_question_is_refused(cli: Any) -> None:
    assert "bad-bound" in cli("replay", "--from", "yesterday").stderr
    assert cli("topics", "--create").returncode == 0
    assert "unknown-partition" in cli("replay", "-p", "7").stderr
    empty = cli("replay", "--json", "--verify")
    assert (empty.returncode, empty.stdout) == (0, "")
    missing = cli("diff", "nowhere.jsonl", "@events")
    assert missing.returncode == 2
    assert "unreadable-file" in missing.stderr
