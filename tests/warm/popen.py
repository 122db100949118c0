"""A worker as a fork of the warm process (process.py), held like a `subprocess.Popen`.

It is a process of its own with the module's own entry point, and the id is its own: signals go to it and not through anybody.
What it started outlives it, as it would without us. Only the second or two that the imports take are saved.
"""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

PID = struct.Struct("<q")


class WarmPopen:
    """One running module."""

    def __init__(
        self, warm: Path, name: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: IO[bytes]
    ) -> None:
        self.args = [name, *arguments]
        self.returncode: int | None = None
        request = {"name": name, "arguments": list(arguments), "folder": str(folder), "environment": dict(environment)}
        self._warm = socket.socket(socket.AF_UNIX)
        self._warm.connect(str(warm))
        with open(os.devnull, "rb") as nothing:
            streams = array.array("i", [nothing.fileno(), log.fileno(), log.fileno()])
            self._warm.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
            self._warm.sendall(json.dumps(request | {"alone": True}).encode() + b"\n")
            self.pid = int(PID.unpack(self._warm.recv(PID.size, socket.MSG_WAITALL))[0])

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._warm], [], [], 0)[0]:
            self._ended()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal; TimeoutExpired after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._warm], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            self._ended()
        assert self.returncode is not None
        return self.returncode

    def _ended(self) -> None:
        status = self._warm.recv(1)
        assert status, "the warm process is gone, and with it who could tell how this one ended"
        self.returncode = status[0] if status[0] < 128 else 128 - status[0]
        self._warm.close()

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
