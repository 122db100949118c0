"""`twin demo`: a person sees the story, the check is the demo's own, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson
import pytest

from tests.brokers.plugin import Broker, Registry

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def _play(folder: Path, *options: str) -> tuple[int, list[dict], str]:
    command = [sys.executable, "-m", "twin_app.cli", "demo", "--json", "--keep", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    return done.returncode, [orjson.loads(line) for line in done.stdout.splitlines()], done.stderr


def _is_whole(lines: list[dict], stderr: str) -> None:
    verdict = lines[-1]["verdict"]
    assert verdict["ok"], (verdict, stderr)
    assert len(verdict["checks"]) == 4
    events = [line["event"] for line in lines if "event" in line]
    story = [event for event in events if event["twin"] == "Line_A"]
    assert [event["seq"] for event in story] == [*range(1, len(story) + 1)]
    kinds = [event["kind"] for event in story]
    assert {"parameter-changed", "queue-growing", "bottleneck-formed", "resource-starving"} <= set(kinds)
    changes = [event["payload"]["new"] for event in story if event["kind"] == "parameter-changed"]
    assert changes == [0, 2]
    assert kinds.count("entity-created") == kinds.count("entity-left") == 30
    assert len({event["twin"] for event in events}) == 2
    said = " ".join(line["said"] for line in lines if "said" in line)
    assert "kill -9" in said
    assert "took Line_A over" in said


def _left_behind(folder: Path) -> list[str]:
    """Command lines of processes that still name the demo's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(folder).encode() in words and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_a_killed_worker_loses_and_doubles_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWIN_MEMBER_ID", "the-users-own")  # must not reach the demo's workers
    monkeypatch.setenv("TWIN_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    # With --stay, which is the same and then goes on: the page is there until Ctrl-C, and then nothing is.
    command = [sys.executable, "-m", "twin_app.cli", "demo", "--json", "--stay", "--keep", str(tmp_path)]
    with (tmp_path / "stderr").open("wb") as stderr:
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert demo.stdout is not None
        lines: list[dict] = []
        for line in demo.stdout:
            lines.append(orjson.loads(line))
            if "the plant goes on" in lines[-1].get("said", ""):
                break
        page = re.search(r"http://\S+", lines[-1]["said"])
        assert page is not None, lines[-1]
        assert "<title>Live twins</title>" in httpx.get(page[0].partition("#")[0]).text
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
        demo.stdout.close()
    _is_whole([line for line in lines if "the plant goes on" not in line.get("said", "")], (tmp_path / "stderr").read_text())
    assert _left_behind(tmp_path) == []


def test_the_demo_plays_on_a_given_broker_too(broker: Broker, registry: Registry, tmp_path: Path) -> None:
    code, lines, stderr = _play(tmp_path, "--bootstrap", broker.bootstrap, "--registry", registry.url)
    _is_whole(lines, stderr)
    assert code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "twin_app.cli", "demo", "--json", "--keep", str(tmp_path)]
    with (tmp_path / "stderr").open("wb") as stderr:
        demo = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert demo.stdout is not None
        for line in demo.stdout:
            if "start two workers" in line:
                break
        time.sleep(1)
        assert len(_left_behind(tmp_path)) >= 3
        demo.send_signal(number)
        assert demo.wait(30) == 130
        demo.stdout.close()
    assert _left_behind(tmp_path) == []
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_a_broker_that_is_away_ends_the_demo_in_one_line(tmp_path: Path) -> None:
    code, _, stderr = _play(tmp_path, "--bootstrap", "127.0.0.1:1", "--registry", "http://127.0.0.1:1", "--timeout", "3")
    assert code in (2, 3)
    assert len(stderr.splitlines()) == 1
