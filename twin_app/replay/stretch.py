"""Which part of the past is meant: from a tick or an instant up to another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from models.clock import Tick
from models.errors import TwinError


@dataclass(frozen=True, slots=True)
class Bound:
    """A tick's number, or a wall time in microseconds since 1970 UTC; exactly one of them."""

    tick: int | None = None
    wall_us: int | None = None

    @classmethod
    def parse(cls, text: str) -> Bound:
        """`1042` is a tick, `2026-11-22T09:05:00Z` an instant. Raises TwinError `bad-bound`."""
        if text.isascii() and text.isdigit() and len(text) < 19:
            return cls(tick=int(text))
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is None:
                instant = instant.replace(tzinfo=UTC)
            return cls(wall_us=round(instant.timestamp() * 1_000_000))
        except (ValueError, OverflowError) as error:
            raise TwinError(
                "bad-bound",
                f"{text[:80]!r} is neither the number of a tick nor an instant",
                remedy="for instance 2026-11-22T09:05:00Z",
            ) from error

    def before(self, other: Bound) -> bool:
        """Whether it is certain to lie before another: a tick and an instant cannot be compared without the log."""
        if self.tick is not None and other.tick is not None:
            return self.tick < other.tick
        return self.wall_us is not None and other.wall_us is not None and self.wall_us < other.wall_us

    def passed(self, tick: Tick) -> bool:
        """Whether this tick lies at or after the bound."""
        return tick.seq >= self.tick if self.tick is not None else tick.wall_us >= (self.wall_us or 0)

    def __str__(self) -> str:
        if self.tick is not None:
            return f"tick {self.tick}"
        return datetime.fromtimestamp((self.wall_us or 0) / 1e6, UTC).isoformat()


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `start` (without: the beginning) to `end`, which belongs to it (without: now)."""

    start: Bound | None = None
    end: Bound | None = None

    def __post_init__(self) -> None:
        """Raises TwinError `bad-bound` where it would end before it begins."""
        if self.start is not None and self.end is not None and self.end.before(self.start):
            raise TwinError(
                "bad-bound", f"{self.end} is before {self.start}", remedy="let the stretch end where it begins, or later"
            )

    def begun(self, tick: Tick) -> bool:
        """Whether this tick belongs to the stretch, if it is not over."""
        return self.start is None or self.start.passed(tick)

    def over(self, tick: Tick) -> bool:
        """Whether this tick, and so every later one, is past the stretch."""
        if self.end is None:
            return False
        if self.end.tick is not None:
            return tick.seq > self.end.tick
        return tick.wall_us > (self.end.wall_us or 0)
