"""The demo's own processes: started with a log each, found by their pid, ended in every case."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from models.errors import TwinError

STOP_TIMEOUT_S = 8.0
"""A process that takes longer to stop is killed."""
POLL_S = 0.05
LINE_BYTES_MAX = 1 << 20
TAIL_LINES = 5


class Process:
    """One child process. Its output goes to a file, which is read along."""

    def __init__(self, name: str, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log_path = folder / f"{name.replace(' ', '-')}.log"
        self._log: IO[bytes] = self.log_path.open("ab")
        # A session of its own: Ctrl-C at the terminal goes to the demo, which ends its children in order.
        self.popen = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        self._reader: IO[bytes] = self.log_path.open("rb")
        self._rest = b""

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def new_lines(self) -> Iterator[bytes]:
        """What the process wrote since the last call, line by line."""
        text = self._rest + self._reader.read(LINE_BYTES_MAX)
        *lines, self._rest = text.split(b"\n")
        yield from lines

    def new_records(self) -> Iterator[dict[str, Any]]:
        """Its new lines that are JSON objects; the others are passed over."""
        for line in self.new_lines():
            with contextlib.suppress(orjson.JSONDecodeError):
                found = orjson.loads(line)
                if isinstance(found, dict):
                    yield found

    def kill(self) -> None:
        """kill -9: no chance to say goodbye."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        if self.alive:
            self.popen.send_signal(signal.SIGTERM)

    def end(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop it; kill it if it does not stop in time."""
        self.ask_to_stop()
        try:
            self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._log.close()
        self._reader.close()

    def last_words(self) -> str:
        """The end of its log, for an error message."""
        with contextlib.suppress(OSError):
            lines = self.log_path.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
            return " | ".join(line for line in lines[-TAIL_LINES:] if line)
        return ""

    def died(self) -> TwinError:
        """The error that says that it ended by itself."""
        return TwinError(
            "process-died",
            f"{self.name} ended with code {self.popen.returncode}: {self.last_words()}"[:2_000],
            place=str(self.log_path),
            remedy="see its log (keep it with `twin demo --keep DIR`)",
        )


class Processes:
    """All children of one demo; `end` ends those that still live, the last started first."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            **environment,
        }
        self.started: list[Process] = []

    def start(self, name: str, *arguments: str, **environment: str) -> Process:
        process = Process(name, arguments, self.folder, {**self.environment, **environment})
        self.started.append(process)
        return process

    def end(self) -> None:
        """End every child. The workers first, so that they find their broker while they stop."""
        for process in self.started[::-1]:
            process.ask_to_stop() if process is not self.started[0] else None
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in self.started[::-1]:
            process.end(max(0.5, deadline - time.monotonic()))


async def wait_for_line(process: Process, timeout_s: float) -> dict[str, Any]:
    """The process's next line of JSON. Raises TwinError `process-died` or `process-silent`."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for record in process.new_records():
            return record
        if not process.alive:
            raise process.died()
        await asyncio.sleep(POLL_S)
    raise TwinError("process-silent", f"{process.name} said nothing within {timeout_s:g} s", place=str(process.log_path))
