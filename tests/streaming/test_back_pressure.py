"""A sink or a registry that is slow or away must pause intake, in bounded memory; nothing is dropped, and the status says why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.streaming.counting import CountingHosting
from twin_app.partition.cycle import ConfigRecord, Cycle
from twin_app.settings import Settings
from twin_app.streaming import status
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.intake import Intake
from twin_app.streaming.status import Reason, State
from twin_app.streaming.surroundings import Surroundings

RECORDS_MAX = 50
COMMANDS = 2_000
WITHIN_S = 60.0


class Partition:
    """One driver with a fetch that does what it is told, a sink that can be shut, and a registry that can be away."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(data_dir=folder, intake_records_max=RECORDS_MAX, batch_records_max=20, min_cycle_ms=1)
        self.hosting = CountingHosting("out")
        self.sink, self.registry, self.flow = asyncio.Event(), asyncio.Event(), asyncio.Event()
        for open_ in (self.sink, self.registry, self.flow):
            open_.set()
        self.told: list[str] = []
        self.most = 0
        self.driver = PartitionDriver(0, self.settings, self.hosting, {}, self._pause, Surroundings(self.settings))
        self.driver.host = self.hosting.open(0, {"checkpoint": {}, "registry": {}})
        self.driver.host.heartbeat = False
        self.driver.intake = Intake(0, 0, RECORDS_MAX, self.settings.intake_bytes_max, lambda paused: self._pause(0, paused))
        self.driver.state = State.LIVE
        self.driver._transactions.commit = self._commit  # type: ignore[method-assign]
        self.hosting.resolve = self._resolve  # type: ignore[method-assign]
        self.running = asyncio.create_task(self.driver.run())
        self.fetching = asyncio.create_task(self._fetch())

    async def close(self) -> None:
        self.driver.release()
        for open_ in (self.sink, self.registry):
            open_.set()
        self.fetching.cancel()
        await asyncio.wait_for(self.running, 10)
        with suppress(asyncio.CancelledError):
            await self.fetching

    async def reason(self, wanted: Reason) -> status.PartitionStatus:
        """The status, once it gives this reason."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                stands = self.driver.status(log_end=COMMANDS)
                if stands.why is not None and stands.why.reason is wanted:
                    return stands
                await asyncio.sleep(0.05)

    async def full(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.flow.is_set():  # noqa: ASYNC110 (it is cleared where nobody can wait)
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # what might still slip in

    async def all_applied(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while len(self.told) < COMMANDS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert self.told == [f"k:{n}:0:{n - 1}" for n in range(1, COMMANDS + 1)]

    # -- what surrounds it

    def _pause(self, _: int, paused: bool) -> None:
        (self.flow.clear if paused else self.flow.set)()

    async def _fetch(self) -> None:
        for offset in range(COMMANDS):
            await self.flow.wait()
            await self.driver.deliver([ConfigRecord(offset, 0, b"k", b"x")])
            assert self.driver.intake is not None
            self.most = max(self.most, len(self.driver.intake))
            if offset % 7 == 0:
                await asyncio.sleep(0)

    async def _commit(self, cycle: Cycle) -> dict[str, int]:
        await self.sink.wait()
        self.told += [output.value.decode() for output in cycle.outputs]
        return {}

    async def _resolve(self, records: Sequence[ConfigRecord]) -> None:
        await self.registry.wait()


@pytest.fixture
async def partition(tmp_path: Path) -> Any:
    made = Partition(tmp_path)
    yield made
    await made.close()


@pytest.mark.parametrize(("what", "wanted"), [("sink", Reason.COMMIT), ("registry", Reason.REGISTRY)])
async def test_what_is_away_pauses_intake_and_drops_nothing(partition, what, wanted):
    getattr(partition, what).clear()
    await partition.full()
    stands = await partition.reason(wanted)
    assert stands.intake.paused
    assert stands.intake.records <= RECORDS_MAX
    assert stands.lag_records > COMMANDS - 2 * RECORDS_MAX
    getattr(partition, what).set()
    await partition.all_applied()
    assert partition.most <= RECORDS_MAX, "the queue never grew beyond its limit"
    assert partition.driver.status(log_end=COMMANDS).why is None


async def test_a_partition_that_waits_for_the_registry_can_be_given_up_at_once(partition):
    partition.registry.clear()
    await partition.full()
    partition.driver.release()
    await asyncio.wait_for(asyncio.shield(partition.running), 5)
    assert not partition.told, "nothing was applied without its schema"
