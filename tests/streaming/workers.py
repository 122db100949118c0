"""Worker processes on a broker, started, killed and frozen by number; each keeps its log and its state in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

from tests.warm.plugin import Process, make_process

ROOT = Path(__file__).parents[2]


class Workers:
    """An application of its own on a broker, and its workers."""

    command: tuple[str, ...] = ("twin_app.streaming",)
    """Module to run, and its arguments."""
    forks = True
    """Started as forks of the warm process, where that is used."""

    def __init__(self, bootstrap: str, folder: Path, *, partitions: int = 4, **settings: str) -> None:
        self.bootstrap, self.folder, self.partitions = bootstrap, folder, partitions
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.settings = {
            "TWIN_BOOTSTRAP_SERVERS": bootstrap,
            "TWIN_APP_ID": self.name,
            "TWIN_TOPIC_PREFIX": f"{self.name}-",
            "TWIN_PARTITIONS": str(partitions),
            "TWIN_SESSION_TIMEOUT_S": "6",
            **settings,
        }
        self.workers: dict[int, Process] = {}
        self._started_at: dict[int, int] = {}

    def topic(self, name: str) -> str:
        return f"{self.name}-{name}"

    def start(self, number: int = 0, *, piped: bool = False, **settings: str) -> None:
        """`piped`: the log is written by us, for a worker that may be denied writing files."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")} | {
            "TWIN_DATA_DIR": str(self.data(number)),
            "PYTHONPATH": str(ROOT),
            **self.settings,
            **settings,
        }
        with self.log(number).open("ab") as log:
            self._started_at[number] = log.tell()
            if not piped:
                module, *arguments = self.command
                self.workers[number] = make_process(module, arguments, environment=environ, log=log, fork=self.forks)
                return
        command = [sys.executable, "-m", *self.command]
        worker = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.workers[number] = worker
        threading.Thread(target=self._copy_log, args=(worker, number), daemon=True).start()

    def _copy_log(self, worker: subprocess.Popen[bytes], number: int) -> None:
        assert worker.stdout is not None
        with self.log(number).open("ab", buffering=0) as log:
            for line in worker.stdout:
                log.write(line)

    def data(self, number: int) -> Path:
        return self.folder / f"state-{number}"

    def log(self, number: int) -> Path:
        return self.folder / f"worker-{number}.log"

    def tail(self, number: int) -> str:
        return self.log(number).read_text(errors="replace")[-5000:]

    def has_spoken(self, number: int) -> bool:
        """Whether the worker has logged anything since its last start: before that it may not know the signals yet."""
        return self.log(number).stat().st_size > self._started_at[number]

    def said_since_start(self, number: int) -> str:
        """What the worker has logged since its last start, and not what it logged before."""
        return self.log(number).read_bytes()[self._started_at[number] :].decode(errors="replace")

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("worker-*.log")))

    def signal(self, number: int, what: signal.Signals) -> None:
        self.workers[number].send_signal(what)

    def kill9(self, number: int) -> None:
        if self.workers[number].poll() is None:
            self.workers[number].kill()
        self.workers[number].wait()

    async def terminate(self, number: int, within_s: float = 20.0) -> int:
        """A graceful stop; returns the exit code."""
        self.workers[number].terminate()
        return await asyncio.wait_for(asyncio.to_thread(self.workers[number].wait), within_s)

    def alive(self, number: int) -> bool:
        return self.workers[number].poll() is None

    def close(self) -> None:
        for number in self.workers:
            with contextlib.suppress(ProcessLookupError):
                self.signal(number, signal.SIGCONT)
            self.kill9(number)

    async def wait_for_line(self, number: int, text: str, within_s: float = 30.0, count: int = 1) -> None:
        """Until the worker's log holds `text` at least `count` times."""
        end = time.monotonic() + within_s
        while self.log(number).read_text(errors="replace").count(text) < count:
            assert self.alive(number), f"worker {number} ended:\n{self.tail(number)}"
            assert time.monotonic() < end, f"no {text!r} in {within_s} s:\n{self.tail(number)}"
            await asyncio.sleep(0.1)

    def failpoints_hit(self) -> Counter[str]:
        return Counter(re.findall(r"FAILPOINT (\w+)", self.logs()))
