"""One Java server as a child process: start, wait until it answers, stop, kill -9, start again."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05
# C1 only and a serial collector: a broker for tests starts in half the time and keeps its hands off the second core.
JAVA_OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Xshare:auto", "-Djava.awt.headless=true")


class ServerDied(Exception):
    """The server ended, or did not answer in time; the message carries the tail of its log."""


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago on 127.0.0.1, all different."""
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            ports.append(listener.getsockname()[1])
        return ports


class JavaServer:
    """`ready` is asked until it returns True; it must ask for an answer, since an open port is not yet a ready server."""

    def __init__(self, arguments: Sequence[str], *, log: Path, cwd: Path, ready: Callable[[], bool]) -> None:
        self.arguments = list(arguments)
        self.log = log
        self.cwd = cwd
        self.ready = ready
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["java", *JAVA_OPTIONS, *self.arguments],
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "JAVA_TOOL_OPTIONS": ""},
            )

    def wait_ready(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise ServerDied(f"it ended with {self.process.returncode} before it was ready:\n{self.tail()}")
            if self.ready():
                return
            time.sleep(POLL_S)
        raise ServerDied(f"no answer within {START_TIMEOUT_S:.0f} s:\n{self.tail()}")

    def kill9(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill9()

    def tail(self, lines: int = 25) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else "(no log)"
