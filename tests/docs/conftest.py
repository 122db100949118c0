"""One warm process for all pages of a run. `TWIN_TEST_DOCS=plain` does without, and starts a real Python for each command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


@pytest.fixture(scope="session")
def warm() -> Iterator[Path | None]:
    if os.environ.get("TWIN_TEST_DOCS") == "plain" or not hasattr(os, "pidfd_open"):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="twin-warm-") as folder:  # short: the address of a socket has 107 bytes at most
        path = Path(folder) / "socket"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TWIN_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.warm", str(path)],
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
