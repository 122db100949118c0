"""Where the demo takes place: broker and registry (its own, or given ones), the workers, and who hosts what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from models.errors import TwinError
from topics.admin import ensure_topics
from twin_app.cli.demo.processes import POLL_S, Process, Processes, wait_for_line
from twin_app.settings import Settings, load_settings

BROKER_START_S = 20.0
WORKERS_START_S = 45.0
PARTITIONS = 4
OWN_SESSION_S = 3.0
FOREIGN_SESSION_S = 6.0
"""A Kafka broker by default accepts no shorter session than that (group.min.session.timeout.ms)."""


class Stage:
    """The processes of the demo and what their logs tell about them."""

    def __init__(self, folder: Path, bootstrap: str | None, registry: str | None, tell: Callable[[str], None]) -> None:
        self.folder = folder
        self.tell = tell
        self.owners: dict[int, Process] = {}
        """Partition -> the worker that hosts it, as far as the workers' logs say."""
        self.replayed: dict[int, dict[str, Any]] = {}
        """Partition -> what its last owner said when it was ready."""
        self.workers: list[Process] = []
        self.pages: dict[Process, str] = {}
        """Worker -> address of its live page."""
        self.settings: Settings
        self._given = (bootstrap, registry)
        self.processes = Processes(folder, {})

    async def open(self) -> None:
        """Broker, registry and topics. Raises TwinError."""
        bootstrap, registry = self._given
        name = f"demo-{time.time_ns() // 1_000_000:x}"
        if bootstrap is None or registry is None:
            broker = self.processes.start(
                "broker",
                "-m",
                "twin_app.embedded",
                "--broker-port",
                "0",
                "--registry-port",
                "0",
                "--data",
                str(self.folder / "broker"),
            )
            ready = await wait_for_line(broker, BROKER_START_S)
            bootstrap, registry = str(ready["bootstrap"]), str(ready["registry"])
            self.tell(f"a development broker and a schema registry of its own: {bootstrap}, {registry}")
            own = True
        else:
            self.tell(f"your broker and schema registry: {bootstrap}, {registry}; topics begin with {name}-")
            own = False
        self.settings = load_settings(
            bootstrap_servers=bootstrap,
            registry_url=registry,
            app_id=name,
            topic_prefix=f"{name}-",
            partitions=PARTITIONS,
            session_timeout_s=OWN_SESSION_S if own else FOREIGN_SESSION_S,
            log_json=True,
        )
        await ensure_topics(bootstrap, self.settings.topics, patience_s=BROKER_START_S)

    def start_worker(self) -> Process:
        """One more worker, with a state folder of its own."""
        number = len(self.workers) + 1
        settings = self.settings
        environment = {
            f"TWIN_{name.upper()}": str(getattr(settings, name))
            for name in (
                "bootstrap_servers",
                "registry_url",
                "app_id",
                "topic_prefix",
                "partitions",
                "session_timeout_s",
                "log_json",
            )
        }
        environment["TWIN_DATA_DIR"] = str(self.folder / f"state-{number}")
        worker = self.processes.start(f"worker {number}", "-m", "twin_app.cli", "worker", **environment)
        self.workers.append(worker)
        return worker

    async def dismiss_workers(self) -> None:
        """Stop all workers and wait for it: then nothing more is written."""
        for worker in self.workers:
            await asyncio.to_thread(worker.end)
            self.processes.started.remove(worker)
        self.workers.clear()
        self.owners.clear()
        self.pages.clear()

    def listen(self) -> None:
        """Read the workers' logs: who hosts what by now. Raises TwinError when one ended that was not killed."""
        for worker in self.workers:
            for record in worker.new_records():
                if record.get("event") == "partition-ready":
                    self.owners[record["partition"]] = worker
                    self.replayed[record["partition"]] = record
                elif record.get("event") == "web-listening":
                    self.pages[worker] = str(record["url"])
                elif record.get("event") == "partitions-released":
                    for partition in record["partitions"]:
                        if self.owners.get(partition) is worker:
                            del self.owners[partition]

    async def until(self, holds: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait until something holds of the workers. Raises TwinError `demo-stalled`, `process-died`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self.listen()
            if holds():
                return
            for process in self.processes.started:
                if not process.alive and process.popen.returncode >= 0:
                    raise process.died()
            if time.monotonic() > deadline:
                raise TwinError(
                    "demo-stalled",
                    f"{what} did not happen within {timeout_s:g} s",
                    place=str(self.folder),
                    remedy="see the logs: `twin demo --keep DIR`",
                )
            await asyncio.sleep(POLL_S)

    def all_hosted_by(self, *workers: Process) -> bool:
        """Whether these workers share all partitions, each with one at least."""
        owners = [self.owners.get(partition) for partition in range(PARTITIONS)]
        return all(owner in workers for owner in owners) and all(worker in owners for worker in workers)

    def partitions_of(self, worker: Process) -> list[int]:
        """The partitions that a worker hosts."""
        return [partition for partition, owner in sorted(self.owners.items()) if owner is worker]
