"""One warm process for all the commands and workers of a run, started when it is first needed.

`TWIN_TEST_WARM=no` does without: a real Python for each. `make_process` starts a module as `python -m` would.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.warm.popen import WarmPopen

ROOT = Path(__file__).parents[2]
SHIM = Path(__file__).with_name("shim.py")

Process = subprocess.Popen[bytes] | WarmPopen

_started: tuple[Path, subprocess.Popen[bytes], tempfile.TemporaryDirectory[str]] | None = None


def warm_socket() -> Path | None:
    """Where the warm process listens; nothing where there is to be none."""
    global _started
    if os.environ.get("TWIN_TEST_WARM") == "no" or not hasattr(os, "pidfd_open"):
        return None
    if _started is None:
        folder = tempfile.TemporaryDirectory(prefix="twin-warm-")  # short: the address of a socket has 107 bytes at most
        path = Path(folder.name) / "socket"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm.process", str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | {"OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        _started = path, process, folder
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", "the warm process did not come up"
    return _started[0]


def pytest_unconfigure() -> None:
    global _started
    if _started is not None:
        _, process, folder = _started
        _started = None
        process.terminate()
        process.wait()
        folder.cleanup()


def make_process(
    module: str, arguments: Sequence[str] = (), *, environment: Mapping[str, str], log: IO[bytes], fork: bool = True
) -> Process:
    """`python -m module` in the root folder, both streams into `log`. A process of its own, whose id is that of the module.

    `fork`: of the warm process, if there is to be one.
    """
    warm = warm_socket() if fork else None
    if warm is not None:
        return WarmPopen(warm, "module", [module, *arguments], folder=ROOT, environment=environment, log=log)
    return subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=ROOT, env=dict(environment), stdout=log, stderr=log)


@pytest.fixture(scope="session")
def warm() -> Path | None:
    return warm_socket()


@pytest.fixture(scope="session")
def twin_command(warm: Path | None) -> tuple[list[str], dict[str, str]]:
    """What to call for `twin`, and what to add to its environment."""
    if warm is None:
        return [sys.executable, "-m", "twin_app.cli"], {}
    return [sys.executable, "-IS", str(SHIM), "twin"], {"TWIN_TEST_WARM": str(warm)}
