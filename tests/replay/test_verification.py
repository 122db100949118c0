"""Retold events are compared with what was written, byte for byte; nothing missing, added or changed gets through."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

import orjson
import pytest

from twin_app.partition import Output
from twin_app.replay.verification import Read, Verification, identify_in


def value(seq: int, twin: str = "Line_A", mark: str = "") -> bytes:
    return orjson.dumps({"twin": twin, "seq": seq, "mark": mark})


ALL = [value(seq, twin) for seq in range(1, 8) for twin in ("Line_A", "Line_B")]


async def verify(retold: Sequence[bytes], written: Sequence[bytes], *, now: bool = True) -> Verification:
    async def read() -> AsyncIterator[Read]:
        for i, raw in enumerate(written):
            yield Read(i * 3, b"key", raw, 1000)

    checked = Verification("sim-events", 0, read(), lambda raw: identify_in(orjson.loads(raw or b"")))
    for raw in retold:
        await checked.compare(Output("sim-events", b"key", raw))
    await checked.finish(1000 if now else None)
    return checked


async def test_the_same_events_are_the_same() -> None:
    checked = await verify(ALL, ALL)
    assert (checked.difference, checked.compared, checked.gone) == (None, 14, 0)


async def test_a_stretch_from_the_middle_is_found_in_the_topic() -> None:
    checked = await verify(ALL[5:9], ALL, now=False)
    assert (checked.difference, checked.compared) == (None, 4)


async def test_events_that_the_topic_no_longer_keeps_are_no_difference() -> None:
    checked = await verify(ALL, ALL[5:])
    assert (checked.difference, checked.compared, checked.gone) == (None, 9, 5)


@pytest.mark.parametrize("at", [0, 1, 6, 13])
async def test_a_changed_event_is_named(at: int) -> None:
    changed = [*ALL[:at], orjson.dumps(orjson.loads(ALL[at]) | {"mark": "x"}), *ALL[at + 1 :]]
    checked = await verify(ALL, changed)
    assert checked.difference is not None
    assert f"@{at * 3}" in checked.difference


@pytest.mark.parametrize("at", [2, 6, 12, 13])
async def test_a_missing_event_is_named(at: int) -> None:
    assert (await verify(ALL, ALL[:at] + ALL[at + 1 :])).difference


async def test_an_event_too_many_is_named() -> None:
    assert (await verify(ALL[:-1], ALL)).difference
    assert (await verify(ALL, [*ALL[:4], ALL[3], *ALL[4:]])).difference
    assert (await verify(ALL, [])).difference


async def test_another_order_is_named() -> None:
    chance = random.Random(1)
    for _ in range(20):
        shuffled = list(ALL)
        chance.shuffle(shuffled)
        if shuffled != ALL:
            assert (await verify(ALL, shuffled)).difference
