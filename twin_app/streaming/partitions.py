"""All partitions of this worker: opened and given up together, as the consumer group decides."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial

import structlog
from aiokafka.errors import KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from twin_app.partition.cycle import ConfigRecord
from twin_app.settings import Settings
from twin_app.streaming.driver import CLOSE_TIMEOUT_S, PartitionDriver
from twin_app.streaming.errors import EXIT_CYCLE_FAILED, EXIT_TRANSACTIONS_FAIL, TransactionLost
from twin_app.streaming.hosting import Hosting
from twin_app.streaming.memory import await_many_objects, settle_memory
from twin_app.streaming.status import PartitionStatus, Progress, Reason
from twin_app.streaming.store import PartitionStore
from twin_app.streaming.surroundings import Surroundings, loop_s

OPENING_MAX = 8
"""Partitions fenced or replayed at the same time."""
LOST_IN_A_ROW_MAX = 10
"""Transactions lost without one commit in between, after which the process ends."""
REJOIN_DELAY_S = 1.0
"""Pause before the group is joined anew, so that a lasting fault does not become a storm of rebalances."""

log = structlog.get_logger(__name__)


class Partitions:
    """The drivers of the assigned partitions. Lives in the event loop of the Faust app."""

    def __init__(
        self,
        settings: Settings,
        hosting: Hosting,
        stores: Callable[[], Mapping[str, tuple[PartitionStore, str]]],
        pause: Callable[[int, bool], None],
        rejoin: Callable[[], None],
        surroundings: Surroundings | None = None,
    ) -> None:
        self.surroundings = surroundings or Surroundings(settings)
        self.drivers: dict[int, PartitionDriver] = {}
        self._settings, self._hosting = settings, hosting
        self._stores, self._pause, self._rejoin = stores, pause, rejoin
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self.transactions_lost = 0
        self._lost_in_a_row = 0
        self._rejoining: asyncio.TimerHandle | None = None

    # -- the steps of a rebalance, in order

    def release(self) -> None:
        """The partitions are to be given up: begin no further cycle. As early as possible, hence not async."""
        for driver in self.drivers.values():
            driver.release()

    async def close(self) -> None:
        """Give all partitions up: cycles under way finish first, so that a graceful hand-over leaves nothing to abort."""
        self.release()
        drivers, self.drivers = self.drivers, {}
        tasks, self._tasks = self._tasks, {}
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        await asyncio.gather(*(driver.close() for driver in drivers.values()), return_exceptions=True)
        if drivers:
            cycles = sum(driver.cycles for driver in drivers.values())
            commit_ms = 1000 * sum(driver.commits_s for driver in drivers.values()) / max(cycles, 1)
            log.info("partitions-released", partitions=sorted(drivers), cycles=cycles, mean_commit_ms=round(commit_ms, 1))

    async def fence(self, partitions: Iterable[int]) -> None:
        """Become the only owner of each. Waits for the broker if need be."""
        await self.close()
        partitions = sorted(partitions)
        started = loop_s()
        stores = self._stores()
        for p in partitions:
            self.drivers[p] = PartitionDriver(p, self._settings, self._hosting, stores, self._pause, self.surroundings)
        await self._each(partial(self._patiently, PartitionDriver.fence, "fencing-waits"))
        log.info("partitions-fenced", partitions=partitions, took_ms=round((loop_s() - started) * 1000))

    async def open(self) -> None:
        """Open every host and replay it to its last committed cycle. Waits for the broker; any other failure ends the process."""
        await_many_objects()
        try:
            await self._each(partial(self._patiently, PartitionDriver.open, "opening-waits"))
        except Exception as error:
            self.surroundings.end_process(EXIT_CYCLE_FAILED, "recovery-failed", error)

    def go_live(self) -> None:
        """Start the cycles."""
        settle_memory()
        for p, driver in self.drivers.items():
            task = self._tasks[p] = asyncio.create_task(driver.run(), name=f"partition-{p}")
            task.add_done_callback(partial(self._ended, driver))

    # -- records

    async def deliver(self, partition: int, records: Sequence[ConfigRecord]) -> None:
        """Hand fetched commands to their partition; one not held here any more drops them, its new owner reads them."""
        driver = self.drivers.get(partition)
        if driver is not None:
            await driver.deliver(records)

    def expected_offsets(self) -> dict[int, int]:
        """The next config offset that each open partition waits for."""
        return {p: driver.intake.expected for p, driver in self.drivers.items() if driver.intake is not None}

    def status(
        self, log_end: Callable[[int], int | None], changelog: Callable[[int], Progress | None]
    ) -> tuple[PartitionStatus, ...]:
        """Every partition that is held, in their order. Both functions take a partition: see `PartitionDriver.status`."""
        return tuple(driver.status(log_end(p), changelog(p)) for p, driver in sorted(self.drivers.items()))

    # -- inside

    async def _patiently(self, step: Callable[[PartitionDriver], Awaitable[None]], event: str, driver: PartitionDriver) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(KafkaError), wait=wait_exponential(max=10), before_sleep=self._report(driver, event)
        ):
            with attempt:
                await step(driver)
        driver.waiting.over()

    def _report(self, driver: PartitionDriver, event: str) -> Callable[[RetryCallState], None]:
        def report(call: RetryCallState) -> None:
            error = call.outcome.exception() if call.outcome else None
            brokers = self._settings.bootstrap_servers
            driver.waiting.begin(Reason.BROKER, f"{brokers}: {error}")
            log.warning(event, partition=driver.partition, brokers=brokers, error=str(error), attempt=call.attempt_number)

        return report

    async def _each(self, step: Callable[[PartitionDriver], Awaitable[None]]) -> None:
        gate = asyncio.Semaphore(OPENING_MAX)

        async def one(driver: PartitionDriver) -> None:
            async with gate:
                await step(driver)

        async with asyncio.TaskGroup() as group:
            for driver in self.drivers.values():
                group.create_task(one(driver))

    def _ended(self, driver: PartitionDriver, task: asyncio.Task[None]) -> None:
        if task.cancelled() or task.exception() is None:
            return
        error = task.exception()
        if not isinstance(error, TransactionLost):
            assert error is not None
            self.surroundings.end_process(
                EXIT_CYCLE_FAILED, "cycle-failed", error, partition=driver.partition, position=_position(driver)
            )
        self.transactions_lost += 1
        self._lost_in_a_row = 1 if driver.cycles else self._lost_in_a_row + 1
        log.warning("transaction-lost", partition=driver.partition, error=str(error), goes_on="the group is joined anew")
        if self._lost_in_a_row > LOST_IN_A_ROW_MAX:
            self.surroundings.end_process(EXIT_TRANSACTIONS_FAIL, "transactions-fail", error, partition=driver.partition)
        if self._rejoining is None and driver is self.drivers.get(driver.partition):
            self._rejoining = asyncio.get_running_loop().call_later(REJOIN_DELAY_S, self._rejoin_now)

    def _rejoin_now(self) -> None:
        self._rejoining = None
        self._rejoin()


def _position(driver: PartitionDriver) -> str:
    return str(driver.host.position) if driver.host else "not open"
