"""An application with a past on the broker at hand: a worker has lived through some commands, and is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.plugin import Broker, Registry
from tests.warm.plugin import make_process

ROOT = Path(__file__).parents[2]
LINE = ROOT / "examples" / "line"

Twin = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(broker: Broker, registry: Registry, tmp_path: Path, twin_command: tuple[list[str], dict[str, str]]) -> Twin:
    """The command `twin` as a process of its own, for an application of its own."""
    name = f"past-{uuid.uuid4().hex[:8]}"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TWIN_")} | {
        "TWIN_BOOTSTRAP_SERVERS": broker.bootstrap,
        "TWIN_REGISTRY_URL": registry.url,
        "TWIN_APP_ID": name,
        "TWIN_TOPIC_PREFIX": f"{name}-",
        "TWIN_PARTITIONS": "2",
        "TWIN_SESSION_TIMEOUT_S": "6",
        "TWIN_DATA_DIR": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT),
    }
    twin, more = twin_command

    def call(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [*twin, *(str(argument) for argument in arguments)]
        settings = {"env": environment | more, "cwd": ROOT, "capture_output": True, "text": True, "timeout": 120, "check": False}
        settings |= options
        settings["env"] = {**settings["env"], **more}
        return subprocess.run(command, **settings)

    call.environment = environment  # type: ignore[attr-defined]
    return call


@pytest.fixture
def past(cli: Any, tmp_path: Path) -> Twin:
    """The command, once the worker has gone."""
    with (tmp_path / "worker.log").open("wb") as log:
        worker = make_process("twin_app.cli", ["worker"], environment=cli.environment, log=log)
        try:
            assert cli("topics", "--create").returncode == 0
            register = cli("send", LINE / "blueprint.yaml", "--wait", "--timeout", "90")
            assert register.returncode == 0, register.stderr + (tmp_path / "worker.log").read_text()
            for value in (0, 99, 2):
                cli("send", "--json", f'{{"path": "Line_A.resources.b.capacity", "value": {value}}}', "--wait")
        finally:
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(30)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
    return cli
