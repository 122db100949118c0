"""Where a page is run: a folder of its own, as empty as a reader's, and broker and registry on ports of its own.

A page names the usual ports (127.0.0.1:9092 ...). So that pages can run at once, these are exchanged for the page's own in what
is run, and exchanged back in what is printed. No other setting of the environment reaches a page.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.docs.pages import OUTPUT, PYTHON, ROOT, Block, Kill, Page
from tests.warm.plugin import SHIM

BLOCK_TIMEOUT_S = 60.0
"""A block that takes longer is cut off."""
OUTPUT_TIMEOUT_S = 40.0
"""How long the output of something in the background is waited for."""
STOP_TIMEOUT_S = 15.0
POLL_S = 0.05

BROKER, REGISTRY, WEB = "127.0.0.1:9092", "127.0.0.1:8081", "127.0.0.1:6066"
SHIMMED = ("twin", "python", "pytest")


class BlockFailed(AssertionError):
    """A block did not do what the page says."""


class Started:
    """A block that runs, or ran."""

    def __init__(self, text: str, block: Block | None, stage: Stage) -> None:
        self.text, self.block = text, block
        self.log = stage.scratch / f"{len(stage.started)}.log"
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", stage.own(text)],
            cwd=stage.folder,
            env=stage.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()


class Stage:
    """Runs the steps of one page in their order. `warm`: the socket of a warm process; None starts real processes."""

    def __init__(self, page: Page, folder: Path, warm: Path | None) -> None:
        self.page, self.folder = page, folder
        self.scratch = Path(tempfile.mkdtemp(prefix="twin-docs-"))
        self.started: list[Started] = []
        self.ports = dict(zip((BROKER, REGISTRY, WEB), (f"127.0.0.1:{port}" for port in free_ports(3)), strict=True))
        self.environment = self._environment(warm)
        for name in ("examples", "schemas"):
            shutil.copytree(ROOT / name, folder / name)

    def _environment(self, warm: Path | None) -> dict[str, str]:
        shims = self.scratch / "bin"
        shims.mkdir()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TWIN_", "PYTEST_", "COV_"))}
        if warm is not None:
            for name in SHIMMED:
                (shims / name).write_text(f'#!/bin/sh\nexec {sys.executable} -IS {SHIM} {name} "$@"\n')
                (shims / name).chmod(0o755)
            environment["TWIN_TEST_WARM"] = str(warm)
        path = os.pathsep.join((str(shims), str(Path(sys.executable).parent), environment.get("PATH", "")))
        return environment | {
            "PATH": path,
            "PYTHONPATH": os.pathsep.join((str(ROOT), "site")),
            "COLUMNS": "130",
            "TWIN_BOOTSTRAP_SERVERS": self.ports[BROKER],
            "TWIN_REGISTRY_URL": f"http://{self.ports[REGISTRY]}",
            # A port that is set must be free, so only the pages that speak of it, with one worker, set it.
            "TWIN_WEB_PORT": self.ports[WEB].rpartition(":")[2] if self._speaks_of(WEB) else "0",
            "TWIN_SESSION_TIMEOUT_S": "3",
            "TWIN_FORECAST_BUDGET_S": "1",
            "TWIN_FORECAST_WORKERS": "1" if "forecasts" in self.page.runs_with else "0",
            # `pip install .` of a page lands in its folder and asks no package index.
            "PIP_TARGET": "site",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def _speaks_of(self, address: str) -> bool:
        return any(address in block.text for block in self.page.blocks)

    def own(self, text: str) -> str:
        """The page's usual addresses as those of this stage."""
        for usual, here in self.ports.items():
            text = text.replace(usual, here).replace(usual.replace("127.0.0.1", "localhost"), here)
        return text

    def usual(self, text: str) -> str:
        """What was printed, with the addresses that a reader sees."""
        for usual, here in self.ports.items():
            text = text.replace(here, usual)
        return text

    def run(self) -> None:
        """Raises BlockFailed, naming the page and the line."""
        if self.page.runs_with & {"broker", "worker"}:
            self._await(self._start("twin broker --temporary", None), ["export TWIN_REGISTRY_URL=…"], "the broker")
        if "worker" in self.page.runs_with:
            ready = "… forecasts-ready …" if "forecasts" in self.page.runs_with else "… partition-ready …"
            self._await(self._start("twin worker", None), [ready], "the worker")
        for step in self.page.steps:
            self._kill(step) if isinstance(step, Kill) else self._block(step)

    def _block(self, block: Block) -> None:
        where = f"{self.page.name}:{block.line}"
        if block.file is not None:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.own(block.text), encoding="utf-8")
        elif "not-run" in block.attributes or block.language == "":
            return
        elif block.language == OUTPUT:
            self._await(self.started[-1], block.text.splitlines(), where)
        else:
            text = block.text
            if block.language == PYTHON:
                script = self.scratch / f"{len(self.started)}.py"
                script.write_text(self.own(text), encoding="utf-8")
                text = f"PYTHONPATH=.:$PYTHONPATH python {script}"
            started = self._start(text, block)
            if "background" not in block.attributes:
                self._finish(started, where)

    def _start(self, text: str, block: Block | None) -> Started:
        self.started.append(Started(text, block, self))
        return self.started[-1]

    def _finish(self, started: Started, where: str) -> None:
        assert started.block is not None
        try:
            code = started.process.wait(BLOCK_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            started.signal(signal.SIGKILL)
            raise BlockFailed(f"{where}: not done within {BLOCK_TIMEOUT_S:g} s; {self.told(started)}") from None
        if code != started.block.exit_code:
            raise BlockFailed(f"{where}: ended with {code}, not {started.block.exit_code}; {self.told(started)}")

    def _await(self, started: Started, expected: list[str], where: str) -> None:
        """The expected lines are there; what is still running gets time to print them."""
        deadline = time.monotonic() + OUTPUT_TIMEOUT_S
        while True:
            ended = started.process.poll() is not None  # looked at first: what it printed at its end counts
            missing = first_missing(expected, self._output(started))
            if missing is None:
                return
            if ended or time.monotonic() > deadline:
                raise BlockFailed(f"{where}: this was not printed: {missing!r}; {self.told(started)}")
            time.sleep(POLL_S)

    def _kill(self, kill: Kill) -> None:
        for started in reversed(self.started):
            if started.text.startswith(kill.command) and started.process.poll() is None:
                started.signal(signal.SIGKILL)
                started.process.wait()
                return
        raise BlockFailed(f"{self.page.name}:{kill.line}: nothing in the background begins with {kill.command!r}")

    def _output(self, started: Started) -> list[str]:
        return self.usual(started.log.read_text(encoding="utf-8", errors="replace")).splitlines()

    def told(self, started: Started) -> str:
        return f"`{started.text.strip()[:200]}` printed:\n" + "\n".join(self._output(started)[-40:])

    def end(self) -> None:
        """End what still runs, the last started first, and remove what is not the page's."""
        for started in reversed(self.started):
            started.end()
        shutil.rmtree(self.scratch, ignore_errors=True)


def first_missing(expected: list[str], printed: list[str]) -> str | None:
    """The first expected line that is not among the printed ones after those found before; None if all are. Runs of blanks are
    one; … stands for anything within a line; a line of … alone for any lines."""
    rest = iter(" ".join(line.split()) for line in printed)
    for line in expected:
        words = " ".join(line.split())
        if words in ("", "…"):
            continue
        pattern = re.compile(".*".join(re.escape(part.strip()) + (r"\s*" if part else "") for part in words.split("…")))
        if not any(pattern.fullmatch(found) for found in rest):
            return line
    return None


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now, below those that the system gives away by itself."""
    found: list[int] = []
    start = 20_000 + os.getpid() % 97 * 100
    for port in range(start, 32_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError("no free ports")
