"""A factory of live twins on real worker processes, a stream of commands for it, and the golden run as the oracle."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from models.errors import TwinError
from tests.streaming.workers import Workers
from topics.registry import SchemaRegistry
from twin_app.cli.decoding import EventReader
from twin_app.cli.golden import retell
from twin_app.cli.history import PartitionHistory, read_history
from twin_app.cli.verdict import Finding, judge
from twin_app.partition import HostSettings
from twin_app.partition.contracts import Contracts
from twin_app.settings import load_settings
from twin_app.streaming.assembly import prepare

READ_S = 60.0
TWINS = [f"Line_{letter}" for letter in "ABCDEFGH"]


def line(twin: str, seed: int) -> dict[str, Any]:
    """A stochastic line of two machines with priorities and a detour, in seconds."""
    return {
        "twin": twin,
        "seed": seed,
        "variables": {"mode": "auto", "seen": 0},
        "resources": {"a": {"capacity": 1, "max_capacity": 4}, "b": {"capacity": 2, "max_capacity": 4}},
        "services": {"turning": {"exponential": {"mean": 0.2}}, "milling": {"normal": {"mean": 0.5, "sd": 0.1, "min": 0}}},
        "arrivals": {
            "orders": {
                "interarrival": {"exponential": {"mean": 0.25}},
                "flow": "make",
                "attributes": {"priority": {"choice": {"values": [1, 5], "weights": [0.2, 0.8]}}},
            }
        },
        "flows": {
            "make": [
                {"process": {"resource": "a", "service": "turning", "priority": "entity.priority"}},
                {"branch": [{"when": "variables.mode == 'bypass'", "go": "out"}, {"go": "next"}]},
                {"process": {"resource": "b", "service": "milling"}},
                {"out": {"set": {"variables.seen": "variables.seen + 1"}}},
                {"emit": {"kind": "order-packed", "payload": {"age": "now - entity.created"}}},
            ]
        },
        "watch": {"bottleneck": {"queue": 4, "for": 1}},
    }


def command(rng: random.Random, twin: str) -> bytes | None:
    """Any of what producers send, good and bad."""
    choices: list[Any] = [
        {"path": f"{twin}.resources.a.capacity", "value": rng.randint(0, 4)},
        {"path_id": f"{twin}.resources.b.current_cap", "value": rng.randint(0, 4)},
        {
            "kind": "patch",
            "changes": {"variables.mode": rng.choice(["auto", "bypass"]), "resources.a.capacity": rng.randint(1, 4)},
        },
        {"kind": "set", "path": "arrivals.orders.mean", "value": rng.uniform(0.15, 0.5)},
        {"kind": "set", "path": "services.turning.mean", "value": rng.uniform(0.1, 0.3), "at": rng.uniform(0, 300)},
        {"kind": "spawn", "flow": "make", "attributes": {"priority": 0}},
        {"path": f"{twin}.resources.a.capacity", "value": 99},
        {"path": f"{twin}.resources.nowhere.capacity", "value": 1},
        {"path": f"{twin}.resources.a.capacity", "value": True},
        b"{not json",
        None,
    ]
    chosen = rng.choices(choices, weights=[6, 6, 4, 4, 4, 4, 1, 1, 1, 1, 1])[0]
    return orjson.dumps(chosen) if isinstance(chosen, dict) else chosen


class Factory(Workers):
    """Workers with live twins."""

    twins: Sequence[str] = TWINS
    blueprint = staticmethod(line)
    """The blueprint of a twin, from its name and seed."""

    def __init__(self, bootstrap: str, registry: str, folder: Path, *, partitions: int = 4, **settings: str) -> None:
        super().__init__(
            bootstrap,
            folder,
            partitions=partitions,
            TWIN_REGISTRY_URL=registry,
            TWIN_CHECKPOINT_TICKS="25",
            TWIN_CHECKPOINT_INTERVAL_S="2",
            **settings,
        )
        self._producer: AIOKafkaProducer | None = None
        folder.mkdir(parents=True, exist_ok=True)

    async def create(self) -> None:
        """Topics, schemas, and the twins."""
        await prepare(self.application)
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=2)
        await self._producer.start()
        for seed, twin in enumerate(self.twins):
            await self.send(twin, {"kind": "register", "blueprint": self.blueprint(twin, seed)})

    @property
    def application(self) -> Any:
        return load_settings(self.settings)

    async def send(self, twin: str, value: bytes | dict[str, Any] | None) -> None:
        assert self._producer is not None
        raw = orjson.dumps(value) if isinstance(value, dict) else value
        await self._producer.send_and_wait(self.application.config_topic, raw, twin.encode())

    async def load(self, duration_s: float, rate_per_s: float, seed: int) -> None:
        """Commands of all sorts to random twins for a while; some of them wrong on purpose."""
        rng = random.Random(seed)
        loop = asyncio.get_running_loop()
        end = loop.time() + duration_s
        while loop.time() < end:
            twin = rng.choice(TWINS)
            await self.send(twin, command(rng, twin))
            await asyncio.sleep(rng.expovariate(rate_per_s))

    async def applied(self, within_s: float = 60.0) -> list[PartitionHistory]:
        """The history, once every command sent is covered by a tick."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while True:
            histories = await read_history(self.application, READ_S)
            behind = [h.partition for h in histories if h.commands and _applied(h) <= h.commands[-1].offset]
            if not behind:
                return histories
            assert loop.time() < end, f"partitions {behind} have commands that nobody applies:\n{self.logs()[-5000:]}"
            await asyncio.sleep(1.0)

    async def findings(self) -> list[Finding]:
        """What is to hold of the history. Stop the workers first: the oracle compares with what is there to the last record."""
        histories = await read_history(self.application, READ_S)
        settings = self.application
        contracts = Contracts(settings.topics, SchemaRegistry(settings.registry_url, patience_s=READ_S))
        await contracts.prepare()
        reader = EventReader(settings, READ_S)
        golden = []
        for history in histories:
            await contracts.resolve(history.commands)
            await reader.resolve([record.value for record in history.events])
            try:
                golden.append(retell(history, contracts, HostSettings(config_topic=settings.config_topic)))
            except TwinError as error:
                return [Finding("the commands and the clock can be replayed", False, str(error))]
        return judge(histories, golden, lambda value: reader.decode(value, "events"))

    async def events(self) -> list[dict[str, Any]]:
        """Every event that a consumer reads."""
        reader = EventReader(self.application, READ_S)
        values = [record.value for history in await read_history(self.application, READ_S) for record in history.events]
        await reader.resolve(values)
        return [reader.decode(value, "events") for value in values]

    async def check(self) -> None:
        """Everything applied, the workers stopped, and the history is the golden one."""
        await self.applied(within_s=180.0)
        for number in self.workers:
            if self.alive(number):
                code = await self.terminate(number, within_s=60.0)
                early = code == -signal.SIGTERM and not self.has_spoken(number)
                assert code == 0 or early, f"worker {number} ended with {code}:\n{self.tail(number)}"
        findings = await self.findings()
        for finding in findings:
            print(f"{'ok ' if finding.holds else 'BAD'} {finding.claim}: {finding.detail}")
        assert all(finding.holds for finding in findings), f"{findings}\n{self.logs()[-5000:]}"

    async def aclose(self) -> None:
        self.close()
        if self._producer is not None:
            await self._producer.stop()


def _applied(history: PartitionHistory) -> int:
    return history.ticks[-1].next_offset if history.ticks else 0
