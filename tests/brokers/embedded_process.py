"""The embedded broker and registry as a child process, so that a test can kill it with -9 and start it again."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.brokers.java_process import ServerDied
from tests.brokers.maven import ROOT

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class EmbeddedProcess:
    """Both servers on free ports, kept over a restart, with their data under `data`."""

    kind = "embedded"
    name = "embedded"

    def __init__(self, data: Path, *, broker_port: int = 0, registry_port: int = 0) -> None:
        self.data = data
        self.broker_port = broker_port
        self.registry_port = registry_port
        self.process: subprocess.Popen[bytes] | None = None
        data.mkdir(parents=True, exist_ok=True)

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.broker_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.registry_port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "twin_app.embedded", "--data", str(self.data)]
        command += ["--broker-port", str(self.broker_port), "--registry-port", str(self.registry_port)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}
        with (self.data / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
                bufsize=0,  # a buffered second line would be invisible to select
            )
        ready = self._ready_line()
        self.broker_port = int(ready["bootstrap"].rsplit(":", 1)[1])
        self.registry_port = int(ready["registry"].rsplit(":", 1)[1])

    def _ready_line(self) -> dict[str, str]:
        assert self.process is not None
        assert self.process.stdout is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                line = self.process.stdout.readline()
                if line.startswith(b"{"):
                    ready: dict[str, str] = json.loads(line)
                    return ready
                if not line:
                    break
        self.kill9()
        raise ServerDied(f"the embedded broker did not come up:\n{(self.data / 'log').read_text()[-2000:]}")

    def kill9(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill9()
