"""How often a broker that is away is dialled: seldom, by one client at a time, and at once again by all when it is back.

The Kafka client has no pause of its own before it connects again (Java's has `reconnect.backoff.ms` and `.max.ms`): every
producer of a partition would dial as fast as it repeats requests. See docs/decisions/0110.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import client
from aiokafka.errors import KafkaError

PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 1.0
"""Between two attempts at an address: twice as long after each that fails."""
LOOK_S = 0.05
"""How often those who wait look whether somebody else got through."""
WAIT_S_MAX = 1.0
"""Who has waited so long is told that the last attempt failed, and may ask again: nobody's own time-out is kept from ending."""

Dial = Callable[..., Awaitable[Any]]
Address = tuple[str, int]


@dataclass(slots=True)
class _Silence:
    """An address that does not answer: the last error and when it came, the pause after it, when to try next (s, monotonic)."""

    error: Exception
    failed_s: float
    pause_s: float
    next_s: float


class Dialling:
    """Stands in for the client's function that opens a connection. Any event loop and thread of the process may call it."""

    def __init__(
        self, dial: Dial, *, now: Callable[[], float] = time.monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._dial, self._now, self._sleep = dial, now, sleep
        self._silent: dict[Address, _Silence] = {}

    async def __call__(self, host: str, port: int, **options: Any) -> Any:
        """A connection. Raises what the attempt raised, or what the last one did, after a pause."""
        address = (host, port)
        give_up_s = self._now() + WAIT_S_MAX
        while (silence := self._silent.get(address)) is not None:
            left_s = silence.next_s - self._now()
            if left_s <= 0:
                silence.next_s = self._now() + silence.pause_s  # it is our turn; the others wait for what comes of it
                break
            if self._now() >= give_up_s:
                raise silence.error.with_traceback(None)
            await self._sleep(min(left_s, LOOK_S))
        began_s = self._now()
        try:
            connection = await self._dial(host, port, **options)
        except (OSError, TimeoutError, KafkaError) as error:
            self._failed(address, error, began_s)
            raise
        self._silent.pop(address, None)
        return connection

    def _failed(self, address: Address, error: Exception, began_s: float) -> None:
        last = self._silent.get(address)
        if last is not None and last.failed_s >= began_s:
            return  # several dialled at once: one failure, not several
        pause_s = PAUSE_S_MIN if last is None else min(2 * last.pause_s, PAUSE_S_MAX)
        pause_s *= random.uniform(0.8, 1.0)  # workers that lost the same broker do not come back in step
        self._silent[address] = _Silence(error, self._now(), pause_s, self._now() + pause_s)


def pace_dialling() -> None:
    """From now on all clients of this process dial in this way. Doing it again changes nothing."""
    if not isinstance(client.create_conn, Dialling):
        client.create_conn = Dialling(client.create_conn)
