"""The feed: what is committed goes to those who follow; who does not read is dropped with a word, at a bounded cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from models.clock import Tick
from models.errors import TwinError
from twin_app.partition.cycle import Cycle, Output
from twin_app.web.feed import CAPTURED_OUTPUTS_MAX, FOLLOWERS_MAX, WAITING_MAX, Feed

EVENTS = "sim-events"
DRIVER: Any = SimpleNamespace(partition=0, host=None)


def cycle(count: int, twin: str = "Line_A", topic: str = EVENTS) -> Cycle:
    return Cycle(Tick(1, 0, 1, count, ()), [Output(topic, twin.encode(), b"x") for _ in range(count)])


def test_a_slow_client_is_dropped_with_a_word_and_the_others_go_on() -> None:
    feed = Feed(EVENTS)
    with feed.follow("Line_A") as slow, feed.follow("Line_A") as quick, feed.follow("Line_B") as other:
        feed.committed(DRIVER, cycle(WAITING_MAX))
        quick.events.clear()
        feed.committed(DRIVER, cycle(1))
        assert slow.end is not None
        assert slow.end.startswith("dropped")
        assert len(slow.events) == 0
        assert quick.end is None
        assert len(quick.events) == 1
        assert len(other.events) == 0
    assert feed.count == 0


def test_only_events_of_the_twin_are_handed_on() -> None:
    feed = Feed(EVENTS)
    with feed.follow("Line_A") as follower:
        feed.committed(DRIVER, cycle(3, topic="sim-vitals"))
        feed.committed(DRIVER, cycle(3, twin="Line_B"))
        assert len(follower.events) == 0
        feed.committed(DRIVER, cycle(3))
        assert len(follower.events) == 3


def test_there_is_a_limit_to_those_who_follow() -> None:
    feed = Feed(EVENTS)
    open_ones = [feed.follow("Line_A") for _ in range(FOLLOWERS_MAX)]
    for one in open_ones:
        one.__enter__()
    with pytest.raises(TwinError, match="too-many-clients"), feed.follow("Line_A"):
        pass
    for one in open_ones:
        one.__exit__(None, None, None)
    assert feed.count == 0


def test_waiting_for_an_answer_keeps_a_bounded_number_of_records() -> None:
    feed = Feed(EVENTS)
    with feed.capture(0) as capture:
        for _ in range(10):
            feed.committed(DRIVER, cycle(CAPTURED_OUTPUTS_MAX // 4))
        assert sum(len(one.outputs) for one in capture.cycles) <= CAPTURED_OUTPUTS_MAX
        feed.closed(DRIVER)
        assert capture.over
    feed.committed(DRIVER, cycle(1))
    assert len(capture.cycles) <= 4


async def test_the_end_of_the_worker_ends_every_stream_with_a_word() -> None:
    feed = Feed(EVENTS)
    with feed.follow("Line_A") as follower:
        await feed.close()
        assert follower.end is not None
        assert follower.arrived.is_set()
