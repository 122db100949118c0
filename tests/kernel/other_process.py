"""The other process of the exactness test: takes a snapshot and what is still to come, gives what the twin then tells.

It runs the kernel's sources, also where they are compiled in the test's own process: each saves what the other goes on with.
Run as `python -m tests.kernel.other_process`; the first line out says which form of the kernel runs, then one JSON document a
line, in and out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.kernel.three_ways import Play
from twin_app.kernel import FORM, Twin
from twin_app.kernel.compiled import PURE

ROOT = Path(__file__).parents[2]


def go_on(task: dict[str, Any]) -> dict[str, Any]:
    play = Play(Twin.restore(task["snapshot"]), [tuple(command) for command in task["script"]], task["until"])
    play.finish()
    return {"told": play.told, "rejected": play.rejected, "state": play.twin.state_hash()}


class OtherProcess:
    """A worker process, kept for many tasks."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.kernel.other_process"]
        environment = {**os.environ, PURE: "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        assert self._process.stdout is not None
        self.form = self._process.stdout.readline().rstrip("\n")

    def go_on(self, task: dict[str, Any]) -> str:
        """The answer's text, as the other process wrote it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip("\n")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


if __name__ == "__main__":
    print(FORM, flush=True)
    for line in sys.stdin:
        print(json.dumps(go_on(json.loads(line))), flush=True)
