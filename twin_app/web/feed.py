"""What partitions commit, for those who follow it over HTTP. No partition is held up: who is slow is dropped, with a word."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import TwinError
from twin_app.partition import Cycle, PartitionHost
from twin_app.partition.cycle import Output
from twin_app.streaming.driver import PartitionDriver

FOLLOWERS_MAX = 200
"""Streams at once on one worker."""
WAITING_MAX = 2_000
"""Events that wait for one follower; one that falls further behind is dropped."""
CAPTURED_OUTPUTS_MAX = 50_000
"""Records that are kept for one command whose answer is waited for."""


class Follower:
    """One stream's end of the feed: events of a twin that wait to be written, and whether its state has changed."""

    def __init__(self, twin: str) -> None:
        self.twin = twin
        self.events: deque[Output] = deque()
        self.changed = True
        self.end: str | None = None
        """Why nothing more comes, in words; None while it goes on."""
        self.arrived = asyncio.Event()

    def take(self, outputs: list[Output]) -> None:
        if self.end is not None:
            return
        self.changed = True
        if len(self.events) + len(outputs) > WAITING_MAX:
            self.events.clear()
            self.stop(f"dropped: more than {WAITING_MAX:,} events waited to be read; ask for the state and follow again")
            return
        self.events.extend(outputs)
        self.arrived.set()

    def stop(self, why: str) -> None:
        self.end = why
        self.arrived.set()


class Capture:
    """Cycles of one partition while somebody waits for the answer to a command in it."""

    def __init__(self) -> None:
        self.cycles: deque[Cycle] = deque()
        self.arrived = asyncio.Event()
        self.over = False
        self._outputs = 0

    def take(self, cycle: Cycle) -> None:
        self.cycles.append(cycle)
        self._outputs += len(cycle.outputs)
        while self._outputs > CAPTURED_OUTPUTS_MAX and len(self.cycles) > 1:
            self._outputs -= len(self.cycles.popleft().outputs)
        self.arrived.set()


class Feed:
    """A follower of the worker's partitions (see streaming.hosting)."""

    def __init__(self, events_topic: str) -> None:
        self._events_topic = events_topic
        self._followers: dict[str, list[Follower]] = {}
        self._captures: dict[int, list[Capture]] = {}
        self.count = 0

    # -- what the partitions tell

    def opened(self, driver: PartitionDriver) -> None:
        """Nothing is owed to anybody yet."""

    def committed(self, driver: PartitionDriver, cycle: Cycle) -> None:
        for capture in self._captures.get(driver.partition, ()):
            capture.take(cycle)
        if not self._followers:
            return
        by_twin: dict[str, list[Output]] = {}
        for output in cycle.outputs:
            if output.topic == self._events_topic and output.key is not None:
                twin = output.key.decode("utf-8", "replace")
                if twin in self._followers:
                    by_twin.setdefault(twin, []).append(output)
        for twin, outputs in by_twin.items():
            for follower in self._followers[twin]:
                follower.take(outputs)

    def closed(self, driver: PartitionDriver) -> None:
        for capture in self._captures.get(driver.partition, ()):
            capture.over = True
            capture.arrived.set()
        if isinstance(driver.host, PartitionHost):
            for twin in list(self._followers):
                if twin in driver.host.cells:
                    for follower in self._followers[twin]:
                        follower.stop("moved: the partition is given to another worker; follow again")

    async def close(self) -> None:
        for followers in self._followers.values():
            for follower in followers:
                follower.stop("the worker ends; follow again")

    # -- those who follow

    @contextmanager
    def follow(self, twin: str) -> Iterator[Follower]:
        """Events of a twin from now on. Raises TwinError `too-many-clients`."""
        if self.count >= FOLLOWERS_MAX:
            raise TwinError(
                "too-many-clients", f"{FOLLOWERS_MAX} streams are open on this worker", remedy="close some, or ask again later"
            )
        follower = Follower(twin)
        self.count += 1
        self._followers.setdefault(twin, []).append(follower)
        try:
            yield follower
        finally:
            self.count -= 1
            self._followers[twin].remove(follower)
            if not self._followers[twin]:
                del self._followers[twin]

    @contextmanager
    def capture(self, partition: int) -> Iterator[Capture]:
        """The cycles of a partition from now on."""
        capture = Capture()
        self._captures.setdefault(partition, []).append(capture)
        try:
            yield capture
        finally:
            self._captures[partition].remove(capture)
            if not self._captures[partition]:
                del self._captures[partition]
