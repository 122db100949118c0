"""A bound is a tick or an instant; anything else is refused."""

from __future__ import annotations

import pytest

from models.clock import Tick
from models.errors import TwinError
from twin_app.replay.stretch import Bound, Stretch

T0_US = 1_795_000_000_000_000
TICKS = [Tick(seq, T0_US + seq * 1_000_000, seq, seq) for seq in range(1, 8)]


def within(start: str | None, end: str | None) -> list[int]:
    stretch = Stretch(None if start is None else Bound.parse(start), None if end is None else Bound.parse(end))
    return [tick.seq for tick in TICKS if stretch.begun(tick) and not stretch.over(tick)]


def test_both_ends_belong_to_the_stretch() -> None:
    assert within(None, None) == [1, 2, 3, 4, 5, 6, 7]
    assert within("3", "5") == [3, 4, 5]
    assert within("2026-11-18T11:06:43Z", "2026-11-18T13:06:45+02:00") == [3, 4, 5]
    assert within("2026-11-18T11:06:42.5", "5") == [3, 4, 5]
    assert within("9", None) == []


@pytest.mark.parametrize("text", ["", "yesterday", "-1", "1.5", "²", "9" * 40, "9999999-01-01"])
def test_what_is_no_bound_is_refused(text: str) -> None:
    with pytest.raises(TwinError) as refused:
        Bound.parse(text)
    assert refused.value.code == "bad-bound"
