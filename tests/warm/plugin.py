"""One warm process for the short commands of a run. `TWIN_TEST_WARM=no` does without: a real Python for each command.

Workers that are killed are always processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIM = Path(__file__).with_name("shim.py")


@pytest.fixture(scope="session")
def warm() -> Iterator[Path | None]:
    if os.environ.get("TWIN_TEST_WARM") == "no" or not hasattr(os, "pidfd_open"):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="twin-warm-") as folder:  # short: the address of a socket has 107 bytes at most
        path = Path(folder) / "socket"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm.process", str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env=environment | {"OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", "the warm process did not come up"
            yield path
        finally:
            process.terminate()
            process.wait()


@pytest.fixture(scope="session")
def twin_command(warm: Path | None) -> tuple[list[str], dict[str, str]]:
    """What to call for `twin`, and what to add to its environment."""
    if warm is None:
        return [sys.executable, "-m", "twin_app.cli"], {}
    return [sys.executable, "-IS", str(SHIM), "twin"], {"TWIN_TEST_WARM": str(warm)}
