"""A factory floor for forecasts: topics of its own, one worker process or more, commands in, forecast records out."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.warm.plugin import Process, make_process

ROOT = Path(__file__).parents[2]


class Floor:
    """One application on a broker and a registry."""

    def __init__(self, bootstrap: str, registry_url: str, folder: Path, **settings: str) -> None:
        self.bootstrap, self.registry_url, self.folder = bootstrap, registry_url, folder
        self.name = f"f{uuid.uuid4().hex[:8]}"
        self.settings = settings
        self.records: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.alerts: list[dict[str, Any]] = []
        self._workers: list[Process] = []
        self._schemas: dict[int, Any] = {}
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._reading: asyncio.Task[None] | None = None

    def topic(self, name: str) -> str:
        return f"{self.name}-{name}"

    # -- life
    async def open(self, *, until: str = "forecasts-ready") -> None:
        """Start a worker, and listen; returns when the worker's log says `until`."""
        self.start_worker()
        await self.wait_for_line(until)
        await self.wait_for_line("partition-ready")
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            self.topic("sim-forecasts"),
            self.topic("sim-events"),
            self.topic("sim-alerts"),
            bootstrap_servers=self.bootstrap,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=20,
        )
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    def environment(self) -> dict[str, str]:
        """For processes of this application."""
        return {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")} | {
            "TWIN_BOOTSTRAP_SERVERS": self.bootstrap,
            "TWIN_REGISTRY_URL": self.registry_url,
            "TWIN_APP_ID": self.name,
            "TWIN_TOPIC_PREFIX": f"{self.name}-",
            "TWIN_PARTITIONS": "1",
            "TWIN_DATA_DIR": str(self.folder / f"state-{len(self._workers)}"),
            "TWIN_SESSION_TIMEOUT_S": "6",
            "TWIN_FORECAST_INTERVAL_S": "0",
            "PYTHONPATH": str(ROOT),
            **self.settings,
        }

    def start_worker(self) -> None:
        """One more worker process."""
        with self.log.open("ab") as log:
            worker = make_process("twin_app.cli", ["worker"], environment=self.environment(), log=log)
        self._workers.append(worker)

    @property
    def worker_pid(self) -> int:
        """Of the first worker."""
        return self._workers[0].pid

    def fork_pids(self) -> list[int]:
        """The first worker's processes for forks."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) if folder.name.isdigit() else 0
                if parent == self.worker_pid and b"spawn_main" in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue  # it has ended meanwhile
        return found

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        for client in (self._producer, self._consumer):
            if client is not None:
                await client.stop()
        for worker in self._workers:
            worker.kill()
            worker.wait()

    @property
    def log(self) -> Path:
        return self.folder / "worker.log"

    async def wait_for_line(self, text: str, count: int = 1, within_s: float = 90.0) -> None:
        end = time.monotonic() + within_s
        while self.log.read_text(errors="replace").count(text) < count:
            assert time.monotonic() < end, f"no {text!r} in {within_s} s:\n{self.log.read_text(errors='replace')[-3000:]}"
            assert any(worker.poll() is None for worker in self._workers), self.log.read_text(errors="replace")[-3000:]
            await asyncio.sleep(0.05)

    # -- commands and answers
    async def send(self, **command: Any) -> tuple[int, float]:
        """Write a command; its offset, and the monotonic time before it was written."""
        assert self._producer is not None
        written = time.monotonic()
        metadata = await self._producer.send_and_wait(
            self.topic("twin-config"), orjson.dumps(command), command["twin"].encode(), partition=0
        )
        return metadata.offset, written

    async def forecast(self, wanted: Callable[[dict[str, Any]], bool], within_s: float = 30.0) -> dict[str, Any]:
        """The first forecast record that is wanted; `arrived` is when it was read."""
        return await self._wait(self.records, wanted, within_s)

    async def event(self, wanted: Callable[[dict[str, Any]], bool], within_s: float = 30.0) -> dict[str, Any]:
        return await self._wait(self.events, wanted, within_s)

    async def alert(self, wanted: Callable[[dict[str, Any]], bool], within_s: float = 30.0) -> dict[str, Any]:
        """The first alert, or key that is over, that is wanted."""
        return await self._wait(self.alerts, wanted, within_s)

    async def _wait(
        self, found: list[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool], within_s: float
    ) -> dict[str, Any]:
        end, seen = time.monotonic() + within_s, 0
        while True:
            for record in found[seen:]:
                if wanted(record):
                    return record
            seen = len(found)
            assert time.monotonic() < end, f"not among {len(found)} records:\n{self.log.read_text(errors='replace')[-3000:]}"
            await asyncio.sleep(0.005)

    async def _read(self) -> None:
        assert self._consumer is not None
        async with httpx.AsyncClient() as http:
            async for message in self._consumer:
                if message.value is None:
                    self.alerts.append({"over": message.key.decode()})
                    continue
                arrived = time.monotonic()
                schema_id = int.from_bytes(message.value[1:5], "big")
                if schema_id not in self._schemas:
                    answer = await http.get(f"{self.registry_url}/schemas/ids/{schema_id}")
                    self._schemas[schema_id] = fastavro.parse_schema(orjson.loads(answer.json()["schema"]))
                import io

                record: Any = fastavro.schemaless_reader(io.BytesIO(message.value[5:]), self._schemas[schema_id])
                record["arrived"] = arrived
                into = {"sim-forecasts": self.records, "sim-alerts": self.alerts}
                next((into[name] for name in into if message.topic.endswith(name)), self.events).append(record)
