"""Who wants to see forecasts in the worker itself: the newest of each twin is kept, and readers follow them as they sharpen.

Revisions replace each other, so a reader that is slow misses those in between and never the newest; nothing queues up for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from models.errors import TwinError
from twin_app.forecast.answering import Revised

BYTES_MAX = 64 << 20
"""Of kept records, encoded; the twins that were forecast the longest ago are forgotten first."""
FOLLOWERS_MAX = 1_000


class Published(NamedTuple):
    """A revision that went out. `trigger` tells one forecast of a twin from another."""

    twin: str
    trigger: str
    revised: Revised


class _Follower:
    def __init__(self, wanted: Callable[[Published], bool]) -> None:
        self.wanted = wanted
        self.newest: Published | None = None
        self.arrived = asyncio.Event()


class Following:
    """One reader's view: an asynchronous iterator without an end but `aclose`."""

    def __init__(self, follower: _Follower, all_of_them: list[_Follower]) -> None:
        self._follower, self._all = follower, all_of_them

    def __aiter__(self) -> Following:
        return self

    async def __anext__(self) -> Published:
        follower = self._follower
        while (newest := follower.newest) is None:
            if follower not in self._all:
                raise StopAsyncIteration
            follower.arrived.clear()
            await follower.arrived.wait()
        follower.newest = None
        return newest

    async def aclose(self) -> None:
        """Stop listening."""
        if self._follower in self._all:
            self._all.remove(self._follower)
        self._follower.arrived.set()


class Feed:
    """The newest answers, and those who follow them. Lives in one event loop; `put` never blocks."""

    def __init__(self, bytes_max: int = BYTES_MAX, followers_max: int = FOLLOWERS_MAX) -> None:
        self._bytes_max, self._followers_max = bytes_max, followers_max
        self._newest: OrderedDict[str, Published] = OrderedDict()
        self._bytes = 0
        self._followers: list[_Follower] = []

    def put(self, published: Published) -> None:
        """A revision has been made. One with an error is shown to followers, and takes no answer's place."""
        for follower in self._followers:
            if follower.wanted(published):
                follower.newest = published
                follower.arrived.set()
        if published.revised.error is not None:
            return
        self.forget(published.twin)
        self._newest[published.twin] = published
        self._bytes += len(published.revised.body)
        while self._bytes > self._bytes_max:
            _, oldest = self._newest.popitem(last=False)
            self._bytes -= len(oldest.revised.body)

    def forget(self, twin: str) -> None:
        """The twin is gone, or somebody else's."""
        gone = self._newest.pop(twin, None)
        if gone is not None:
            self._bytes -= len(gone.revised.body)

    def latest(self, twin: str) -> Published | None:
        """The newest answer about a twin."""
        return self._newest.get(twin)

    def follow(self, wanted: Callable[[Published], bool]) -> Following:
        """Revisions from now on that are `wanted`: it listens from this call on. Raises TwinError `too-many-followers`."""
        if len(self._followers) >= self._followers_max:
            raise TwinError(
                "too-many-followers", f"{self._followers_max:,} readers follow forecasts already", remedy="close some of them"
            )
        follower = _Follower(wanted)
        self._followers.append(follower)
        return Following(follower, self._followers)
