"""How long a partition is away: `python -m benchmarks.takeover`. Real Kafka, 10,000 entities of work in progress.

1. `kill -9` of the owner while another worker is there: from the kill to the first new event that a read-committed consumer gets,
   reassignment by the session time-out included; without and with standby replicas.
2. The same of a static member that is started again at once.
3. The speed of replay: how much of the past a start runs through per second, when the last checkpoint lies that far back.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.brokers.real_kafka import RealKafka
from tests.brokers.real_registry import RealRegistry
from tests.chaos.factory import Factory

WIP = 10_000
FILL_PER_S = 2_000
READ_S = 120.0
REPLAYED_S = 45.0


def crowd(twin: str, seed: int) -> dict[str, Any]:
    """Ten thousand who wait a long time, and one line that tells something many times a second."""
    return {
        "twin": twin,
        "seed": seed,
        "resources": {"a": {"capacity": 2}},
        "arrivals": {
            "guests": {"interarrival": {"constant": 1 / FILL_PER_S}, "flow": "stay", "limit": WIP},
            "orders": {"interarrival": {"exponential": {"mean": 0.1}}, "flow": "make"},
        },
        "services": {"turning": {"exponential": {"mean": 0.15}}},
        "flows": {"stay": [{"delay": {"for": 100_000}}], "make": [{"process": {"resource": "a", "service": "turning"}}]},
    }


class Crowd(Factory):
    """One partition, one large twin."""

    twins = ("Crowd",)
    blueprint = staticmethod(crowd)


class Events:
    """When events can be read."""

    def __init__(self, factory: Factory) -> None:
        self.tp = TopicPartition(factory.application.topics.events.name, 0)
        where = factory.bootstrap
        self.consumer = AIOKafkaConsumer(bootstrap_servers=where, isolation_level="read_committed", fetch_max_wait_ms=20)

    async def start(self) -> None:
        await self.consumer.start()
        self.consumer.assign([self.tp])

    async def first_after(self, offset: int) -> float:
        """When (monotonic) the first event at or after `offset` could be read."""
        self.consumer.seek(self.tp, offset)
        end = time.monotonic() + READ_S
        while time.monotonic() < end:
            if await self.consumer.getmany(self.tp, timeout_ms=20):
                return time.monotonic()
        raise TimeoutError(f"no event within {READ_S} s")

    async def until(self, count: int) -> None:
        """Until so many can be read."""
        deadline = time.monotonic() + READ_S
        while await self.end() < count and time.monotonic() < deadline:  # noqa: ASYNC110 (another process is asked)
            await asyncio.sleep(0.5)

    async def end(self) -> int:
        return int((await self.consumer.end_offsets([self.tp]))[self.tp])


async def away_s(kafka: RealKafka, registry: RealRegistry, folder: Path, session_s: float, standbys: int, *, static: bool) -> str:
    """One kill; how long until the next event."""
    settings = {"TWIN_MEMBER_ID": "one"} if static else {}
    f = Crowd(
        kafka.bootstrap,
        registry.url,
        folder,
        partitions=1,
        TWIN_FORECAST_WORKERS="0",
        TWIN_STANDBY_REPLICAS=str(standbys),
        **settings,
    )
    f.settings |= {"TWIN_SESSION_TIMEOUT_S": str(session_s), "TWIN_CHECKPOINT_TICKS": "200", "TWIN_CHECKPOINT_INTERVAL_S": "10"}
    await f.create()
    events = Events(f)
    try:
        f.start(0)
        await f.wait_for_line(0, "partition-ready", within_s=120)
        if not static:
            f.start(1)
            await f.wait_for_line(1, "standbys-follow" if standbys else "worker-starting", within_s=120)
        await events.start()
        await events.until(WIP)
        await asyncio.sleep(12.0)  # a checkpoint with all of them
        before = f.logs().count("partition-ready")
        f.kill9(0)
        killed = time.monotonic()
        await asyncio.sleep(0.5)  # what was committed before the kill is readable by now
        mark = await events.end()
        if static:
            f.start(0)
        took = await events.first_after(mark) - killed
        ready = [line for line in f.logs().splitlines() if "partition-ready" in line][before:]
        opening = re.findall(r"took_ms=(\d+)", ready[0]) if ready else []
        read = re.findall(r"changelogs-read.*?rows=(\d+).*?took_ms=(\d+)", f.logs())
        how = "static member started again" if static else f"takeover, {standbys} standby replica(s)"
        return f"{how}, session {session_s} s: {took:.2f} s (opening {opening} ms, changelog rows and ms {read[-1:]})"
    finally:
        await events.consumer.stop()
        await f.aclose()


async def replay_speed(kafka: RealKafka, registry: RealRegistry, folder: Path) -> str:
    """A start whose last checkpoint lies far back."""
    f = Crowd(kafka.bootstrap, registry.url, folder, partitions=1, TWIN_FORECAST_WORKERS="0", TWIN_MEMBER_ID="one")
    f.settings |= {"TWIN_CHECKPOINT_TICKS": "1000000", "TWIN_CHECKPOINT_INTERVAL_S": "100000"}
    await f.create()
    try:
        f.start(0)
        await f.wait_for_line(0, "partition-ready", within_s=120)
        await asyncio.sleep(REPLAYED_S)
        f.kill9(0)
        (history,) = await f.applied()
        past_s = (history.ticks[-1].wall_us - history.ticks[0].wall_us) / 1e6
        f.start(0)
        await f.wait_for_line(0, "partition-ready", within_s=120, count=2)
        line = [line for line in f.logs().splitlines() if "partition-ready" in line][-1]
        ticks, took_ms = (int(re.findall(rf"{name}=(\d+)", line)[0]) for name in ("replayed_ticks", "took_ms"))
        what = f"{past_s:.0f} s of the past, {ticks} ticks and {len(history.events)} events, in {took_ms} ms"
        return f"replay: {what}: {past_s / (took_ms / 1000):.0f} times real time"
    finally:
        await f.aclose()


async def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    arguments.add_argument("--session", type=float, action="append", help="session time-outs to try, in seconds")
    sessions = arguments.parse_args().session or [3.0, 6.0]
    with tempfile.TemporaryDirectory(prefix="twin-recovery-", ignore_cleanup_errors=True) as scratch:
        kafka, registry = RealKafka(Path(scratch) / "kafka"), RealRegistry(Path(scratch) / "registry")
        try:
            await asyncio.to_thread(kafka.start)
            await asyncio.to_thread(registry.start)
            print(kafka.name, flush=True)
            for n, session_s in enumerate(sessions):
                for standbys in (0, 1):
                    folder = Path(scratch) / f"takeover-{n}-{standbys}"
                    print(await away_s(kafka, registry, folder, session_s, standbys, static=False), flush=True)
            print(await away_s(kafka, registry, Path(scratch) / "static", 10.0, 0, static=True), flush=True)
            print(await replay_speed(kafka, registry, Path(scratch) / "replay"), flush=True)
        finally:
            registry.stop()
            kafka.stop()


if __name__ == "__main__":
    asyncio.run(main())
