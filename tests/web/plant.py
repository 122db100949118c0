"""Two workers with a web server each, on the embedded broker, and twins on both: what the tests of the API and the page call."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from models.blueprint import Blueprint
from models.load import load_blueprint
from tests.brokers.embedded_process import EmbeddedProcess
from tests.warm.plugin import Process, make_process
from twin_app.cli.demo.plant import line, neighbour_on, partition_of

ROOT = Path(__file__).parents[2]
PARTITIONS = 4
LINE = "Line_A"
FACTOR = 0.01
"""A minute of the lines takes 0.6 s: there is always something going on, and little of it."""
SHOP = """
twin: Shop
description: A shop with a tank, a shelf and a rework loop
time: {unit: minutes, factor: 0.02}
seed: 7
variables: {mode: auto}
resources:
  till: {capacity: 2, max_capacity: 4}
  oven: {capacity: 1, max_capacity: 2, breakdown: {time_to_failure: {exponential: {mean: 300}}, repair: {constant: 10}}}
containers: {tank: {capacity: 50, level: 40}}
stores: {shelf: {capacity: 20}}
services: {baking: {exponential: {mean: 3}}, paying: {constant: 1}}
arrivals:
  loaves: {interarrival: {exponential: {mean: 4}}, flow: bake}
  guests: {interarrival: {exponential: {mean: 5}}, flow: buy}
  water: {interarrival: {constant: 10}, flow: refill}
flows:
  bake:
    - again: {get: {container: tank, amount: 2}}
    - process: {resource: oven, service: baking}
    - branch: [{weight: 0.1, go: again}, {weight: 0.9, go: next}]
    - put: {store: shelf}
  buy:
    - get: {store: shelf, patience: 30}
    - process: {resource: till, service: paying}
  refill:
    - put: {container: tank, amount: 5, patience: 5}
watch: {bottleneck: {queue: 5, for: 2}}
questions:
  stock_out: {quantity: stores.shelf.level, at_most: 0, within: 60, above: 0.5}
  late: {late: {}, above: 0.3}
"""


def slow(holds: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
    """What `holds` gives, once it is true."""
    end = time.monotonic() + within_s
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < end, f"{what}: not within {within_s} s"
        time.sleep(0.1)


def document(blueprint: Blueprint) -> dict[str, Any]:
    """A blueprint as commands carry it."""
    return blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class Plant:
    """The application. `urls[0]` is the first worker's."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.name = f"w{uuid.uuid4().hex[:8]}"
        self.settings = settings
        self.broker = EmbeddedProcess(folder / "broker")
        self.workers: list[Process] = []
        self.urls: list[str] = []
        self.client = httpx.Client(timeout=30.0)
        self.neighbour = ""

    def open(self, workers: int) -> None:
        self.broker.start()
        for _ in range(workers):
            self.start_worker()
        for url in self.urls:
            slow(lambda url=url: self.client.get(f"{url}/ready").status_code == 200, f"{url} ready")
        slow(lambda: len(self.owned()) == PARTITIONS, "all partitions given out")

    def start_worker(self) -> None:
        number = len(self.workers)
        log = self.folder / f"worker-{number}.log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TWIN_")} | {
            "TWIN_BOOTSTRAP_SERVERS": self.broker.bootstrap,
            "TWIN_REGISTRY_URL": self.broker.url,
            "TWIN_APP_ID": self.name,
            "TWIN_TOPIC_PREFIX": f"{self.name}-",
            "TWIN_PARTITIONS": str(PARTITIONS),
            "TWIN_DATA_DIR": str(self.folder / f"state-{number}"),
            "TWIN_SESSION_TIMEOUT_S": "6",
            "TWIN_FORECAST_WORKERS": "1",
            "TWIN_FORECAST_INTERVAL_S": "20",
            "TWIN_FORECAST_BUDGET_S": "1",
            "TWIN_FORECAST_HORIZON": "4h",
            "TWIN_WEB_PORT": "0",
            "TWIN_LOG_JSON": "true",
            "PYTHONPATH": str(ROOT),
            **self.settings,
        }
        with log.open("wb") as out:
            self.workers.append(make_process("twin_app.cli", ["worker"], environment=environment, log=out))
        self.urls.append(slow(lambda: self._url(log, number), "the web server listens"))

    def _url(self, log: Path, number: int) -> str | None:
        assert self.workers[number].poll() is None, log.read_text(errors="replace")[-3000:]
        for text in log.read_text(errors="replace").splitlines():
            if '"web-listening"' in text:
                return str(json.loads(text)["url"]).rstrip("/")
        return None

    def owned(self) -> dict[int, str]:
        """Partition -> URL of its worker, as the first worker knows it."""
        workers = self.get("/api/twins")["workers"]
        return {partition: worker["url"] for worker in workers for partition in worker["partitions"]}

    def get(self, path: str, *, worker: int = 0, status: int = 200) -> Any:
        answer = self.client.get(f"{self.urls[worker]}{path}")
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json()

    def post(self, path: str, body: Any, *, worker: int = 0, status: int = 202, **options: Any) -> Any:
        answer = self.client.post(f"{self.urls[worker]}{path}", json=body, **options)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:1000]}"
        return answer.json()

    def command(self, twin: str, *, worker: int = 0, wait_s: float = 20, **command: Any) -> Any:
        """Send a command; what the API says to it."""
        return self.post(f"/api/twins/{twin}/commands?wait_s={wait_s}", command, worker=worker)

    def register(self, blueprint: dict[str, Any], worker: int = 0) -> None:
        sent = self.command(blueprint["twin"], kind="register", blueprint=blueprint, worker=worker)
        assert sent["answer"]["accepted"], sent

    def populate(self) -> str:
        """Line_A, a neighbour on another worker if there is one, and a shop; the neighbour's name."""
        owned = self.owned()
        home = owned[partition_of(LINE, PARTITIONS)]
        others = [partition for partition, url in owned.items() if url != home] or list(owned)
        neighbour = neighbour_on(others, PARTITIONS)
        for name in (LINE, neighbour):
            self.register(document(line(name, factor=FACTOR, orders=10**6)))
        self.register(document(load_blueprint(SHOP)))
        return neighbour

    def close(self) -> None:
        self.client.close()
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.broker.stop()
