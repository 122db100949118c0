"""What fetching does to the commands must not reach a cycle: repetitions, gaps, floods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

from twin_app.partition.cycle import ConfigRecord
from twin_app.streaming.intake import Intake


def record(offset: int, size: int = 1) -> ConfigRecord:
    return ConfigRecord(offset, 0, b"k", b"x" * size)


def records(*offsets: int) -> list[ConfigRecord]:
    return [record(offset) for offset in offsets]


class FakeLog:
    """The log as a side consumer sees it: the offsets that hold a record."""

    tp = SimpleNamespace(topic="twin-config", partition=0)

    def __init__(self, *offsets: int) -> None:
        self.offsets = offsets
        self.asked: list[tuple[int, int]] = []

    async def between(self, start: int, end: int) -> AsyncIterator[ConfigRecord]:
        self.asked.append((start, end))
        for offset in self.offsets:
            if start <= offset < end:
                yield record(offset)


def intake(expected: int = 0, backlog_end: int = 0, records_max: int = 10, bytes_max: int = 1000) -> tuple[Intake, list[bool]]:
    paused: list[bool] = []
    return Intake(expected, backlog_end, records_max, bytes_max, paused.append), paused


def offsets(queue: Intake) -> list[int]:
    return [r.offset for r in queue.take(1000, 10**9)]


def test_a_repeated_record_is_not_taken_twice():
    queue, _ = intake(expected=5)
    assert not queue.offer(records(3, 4, 5, 6, 5, 6))
    assert not queue.offer(records(6, 7))
    assert offsets(queue) == [5, 6, 7]


async def test_records_lost_between_fetch_and_delivery_are_read_from_the_log():
    queue, _ = intake()
    assert queue.offer(records(0, 4, 5)) == records(4, 5)
    await queue.fill(record(4), FakeLog(0, 1, 2, 3, 4))
    assert not queue.offer(records(5, 2)), "one of them delivered late is known by now"
    assert offsets(queue) == [0, 1, 2, 3, 4, 5]


async def test_a_gap_that_holds_no_record_does_not_stop_the_partition():
    queue, _ = intake()
    log = FakeLog(0, 4)
    assert queue.offer(records(4)) == records(4)
    await queue.fill(record(4), log)
    assert log.asked == [(0, 4)]
    assert offsets(queue) == [0, 4]


async def test_a_flood_is_held_back_and_a_fill_waits_for_room():
    queue, paused = intake(records_max=4)
    filling = asyncio.create_task(queue.fill(record(9), FakeLog(*range(10))))
    await asyncio.sleep(0.01)
    assert len(queue) == 4
    assert paused == [True]
    taken = offsets(queue)
    while len(taken) < 10:
        await asyncio.sleep(0.001)
        assert len(queue) <= 5
        taken += offsets(queue)
    await filling
    assert taken == list(range(10))
    assert paused[-1] is False


def test_bytes_hold_back_as_records_do():
    queue, paused = intake(bytes_max=100)
    queue.offer([record(0, size=200)])
    assert paused == [True]
    assert [r.offset for r in queue.take(10, 50)] == [0], "a record larger than a batch goes alone"
    assert paused == [True, False]


def test_a_batch_keeps_within_its_limits():
    queue, _ = intake()
    for offset in range(6):
        queue.offer([record(offset, size=9)])
    assert [r.offset for r in queue.take(10, 30)] == [0, 1, 2]
    assert [r.offset for r in queue.take(2, 1000)] == [3, 4]


def test_commands_known_to_wait_are_a_backlog_until_they_are_here():
    queue, _ = intake(expected=3, backlog_end=5)
    assert queue.backlog
    queue.offer(records(3))
    assert queue.backlog
    queue.offer(records(4))
    assert not queue.backlog
