"""Named points of a cycle at which a test can have the process die, as a power cut would: no handler, no flush.

Off unless `TWIN_FAILPOINTS` names them, for instance `sent:0.02,committed:0.02` (name:probability).
"""

from __future__ import annotations

import os
import random
import signal

from models.errors import TwinError

CYCLE = ("begin", "offsets", "handed", "sent", "committed", "applied")
"""In the order of a transaction: opened, source offset sent, records handed to the producer, acknowledged, committed, rows in the
local store."""
RECOVERY = ("fenced", "replayed")
"""While a partition is opened: the former owner fenced, and the last checkpoint brought up to the last tick."""
NAMES = (*RECOVERY, *CYCLE)


class Failpoints:
    """Kills the process with the probability set for a point; does nothing for a point that is not set."""

    __slots__ = ("_chances",)

    def __init__(self, text: str = "") -> None:
        """Raises TwinError `bad-failpoint` for an unknown name or a probability outside 0..1."""
        self._chances: dict[str, float] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            name, _, chance = item.partition(":")
            try:
                self._chances[name] = float(chance)
            except ValueError:
                self._chances[name] = -1.0
            if name not in NAMES or not 0.0 <= self._chances[name] <= 1.0:
                raise TwinError("bad-failpoint", f"{item!r} is not name:probability", remedy=f"names are {', '.join(NAMES)}")

    def __bool__(self) -> bool:
        return bool(self._chances)

    def hit(self, name: str) -> None:
        """Die here, perhaps."""
        chance = self._chances.get(name)
        if chance and random.random() < chance:
            os.write(2, f"FAILPOINT {name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
