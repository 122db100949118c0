"""Whether consumers have read what the logs give: the retold events against the events topic, byte for byte, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from twin_app.partition import Output

LOOK_AHEAD_MAX = 100_000
"""Records of the topic that are read at most to find where the stretch begins in it."""


class Read(NamedTuple):
    """A record of the events topic."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    """The wall time of its tick."""


Identify = Callable[[bytes | None], tuple[str, int]]
"""Twin and sequence number of an event's record. Raises TwinError."""


class Verification:
    """Compares as both come. `compared` events were the same; `gone` were retold but are older than what the topic keeps."""

    def __init__(self, topic: str, partition: int, written: AsyncIterator[Read], identify: Identify) -> None:
        self.compared = self.gone = 0
        self.difference: str | None = None
        """The first one, in words."""
        self._place = f"{topic}-{partition}"
        self._written, self._identify = written, identify
        self._aligned = False
        self._ahead: deque[Read] = deque()
        self._known: set[tuple[str, int]] = set()
        self._first: dict[str, int] = {}
        """Lowest sequence number of each twin that was found in the topic."""

    async def compare(self, output: Output) -> bool:
        """Take one retold event. False once there is a difference."""
        if self.difference is not None:
            return False
        read = await self._following() if self._aligned else await self._align(output)
        if self._aligned and read is None:
            self.difference = f"{self._place}: {self._name(output.value)} was never written there"
        elif read is not None and (read.key, read.value) != (output.key, output.value):
            found, expected = self._name(read.value), self._name(output.value)
            what = "has other content" if found == expected else f"is there, {expected} should be"
            self.difference = f"{self._place}@{read.offset}: {found} {what}"
        elif read is not None:
            self.compared += 1
        return self.difference is None

    async def finish(self, last_tick_ms: int | None) -> None:
        """The stretch is over. What is left in the topic up to the wall time of the log's last tick was never to be told; give
        None if the stretch ends before the log does."""
        if self.difference is None and self.gone and not self.compared:
            self.difference = f"{self._place}: none of the {self.gone:,} retold events is there"
        if self.difference is None and self.compared and last_tick_ms is not None:
            read = await self._following()
            if read is not None and read.timestamp_ms <= last_tick_ms:
                self.difference = f"{self._place}@{read.offset}: {self._name(read.value)} is there, and the logs do not give it"

    # -- inside

    async def _align(self, output: Output) -> Read | None:
        """Find the first retold event in the topic, passing over what is older than the stretch; None if the topic begins later.

        Both tell the same events in the same order, but either may begin earlier than the other.
        """
        twin, seq = wanted = self._identify(output.value)
        while wanted not in self._known and self._first.get(twin, seq) <= seq and len(self._ahead) < LOOK_AHEAD_MAX:
            read = await anext(self._written, None)
            if read is None:
                break
            found = self._identify(read.value)
            self._ahead.append(read)
            self._known.add(found)
            self._first.setdefault(found[0], found[1])
        if wanted not in self._known:
            self.gone += 1
            return None
        self._aligned = True
        while self._identify(self._ahead[0].value) != wanted:
            self._ahead.popleft()
        return self._ahead.popleft()

    async def _following(self) -> Read | None:
        return self._ahead.popleft() if self._ahead else await anext(self._written, None)

    def _name(self, value: bytes | None) -> str:
        twin, seq = self._identify(value)
        return f"event {twin}:{seq}"


def identify_in(fields: Mapping[str, Any]) -> tuple[str, int]:
    """Twin and sequence number of an event's fields."""
    return str(fields.get("twin")), int(fields.get("seq") or 0)
