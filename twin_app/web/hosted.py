"""The twins of this worker, as the API reads them: found by name, taken between two cycles."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from models.errors import TwinError
from twin_app.partition import PartitionHost
from twin_app.partition.cell import Cell
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.standing import Standing
from twin_app.switchboard import LiveTwin
from twin_app.web import reading
from twin_app.web.shapes import TwinState, TwinSummary

READ_S = 10.0
"""How long a read waits for a cycle that is under way (its commit may wait for the broker)."""

T = TypeVar("T")


class Hosted:
    """Answers about the twins that live here. Everything else is for the router to find."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing

    @property
    def url(self) -> str:
        return self.standing.url or ""

    def driver_of(self, twin: str) -> PartitionDriver | None:
        """The partition that hosts the twin here; None if none does."""
        for driver in self.standing.drivers().values():
            if isinstance(driver.host, PartitionHost):
                cell = driver.host.cells.get(twin)
                if cell is not None and cell.live is not None:
                    return driver
        return None

    def is_settling(self) -> bool:
        """Whether a partition of this worker is still to be opened: a twin that is not found may be in it."""
        return not self.standing.status().ready

    def names(self) -> list[str]:
        """All twins here, sorted."""
        return sorted(cell.key for _, _, cell in self._cells())

    def _cells(self) -> Iterator[tuple[PartitionDriver, PartitionHost, Cell]]:
        for driver in self.standing.drivers().values():
            if isinstance(driver.host, PartitionHost):
                for cell in driver.host.cells.values():
                    if cell.live is not None:
                        yield driver, driver.host, cell

    def summaries(self, after: str, limit: int) -> list[TwinSummary]:
        """Twins by name, above `after`. A list, not a snapshot: a figure may be of a cycle that is under way."""
        found = sorted((c for c in self._cells() if c[2].key > after), key=lambda c: c[2].key)[:limit]
        return [
            reading.summary(cell, cell.live, driver.partition, self.url) for driver, _, cell in found if cell.live is not None
        ]

    async def read(self, twin: str, look: Callable[[PartitionDriver, PartitionHost, Cell, LiveTwin], T]) -> T:
        """Look at a twin as it was committed last. Raises TwinError `unknown-twin`, `no-answer`."""
        driver = self.driver_of(twin)
        if driver is None:
            raise unknown_twin(twin)
        try:
            async with asyncio.timeout(READ_S):
                await driver.settled.acquire()
        except TimeoutError as error:
            raise TwinError(
                "no-answer",
                f"a cycle has been under way for more than {READ_S:g} s",
                place=f"{twin} on partition {driver.partition}",
                remedy="see /ready for what the partition waits for",
            ) from error
        try:
            host = driver.host
            cell = host.cells.get(twin) if isinstance(host, PartitionHost) else None
            if not isinstance(host, PartitionHost) or cell is None or cell.live is None:
                raise unknown_twin(twin)
            return look(driver, host, cell, cell.live)
        finally:
            driver.settled.release()

    async def state(self, twin: str) -> TwinState:
        """The whole picture of a twin. Raises TwinError."""
        return await self.read(twin, self._state)

    def _state(self, driver: PartitionDriver, host: PartitionHost, cell: Cell, live: LiveTwin) -> TwinState:
        due_us, now_us = cell.due_us(), time.time_ns() // 1000
        return reading.state(
            cell,
            live,
            partition=driver.partition,
            worker=self.url,
            phase=str(driver.state),
            lag_s=max(0, now_us - due_us) / 1e6,
            next_offset=host.position.next_offset,
        )


def unknown_twin(twin: str) -> TwinError:
    return TwinError(
        "unknown-twin", f"no worker hosts a twin {twin!r}", place=twin[:100], remedy="see /api/twins for those there are"
    )
