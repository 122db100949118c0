"""Whole fetches through Faust: what one fetch brings for a partition of the config topic is one event, not one per record.

Faust's way from consumer to agent costs over a hundred microseconds an event, whatever the event holds. So the records of a
fetch stay together: the consumer's scheduler hands out one list per partition, the list becomes one message, and the agent
gets one event with all of it. Everything else of Faust's (assignment, flow, recovery gate, rebalance) acts on these events as
it does on single records. Records of other topics, the changelogs above all, come one by one as ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiokafka import ConsumerRecord
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from twin_app.partition.cycle import ConfigRecord

_new = tuple.__new__


class FetchScheduler(DefaultSchedulingStrategy):
    """Hands out the config topic's records as one list per partition, then everything else in Faust's order."""

    def __init__(self, config_topic: str) -> None:
        self._config_topic = config_topic

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        others: dict[TP, list[Any]] = {}
        for tp, fetched in records.items():
            if tp.topic != self._config_topic:
                others[tp] = fetched
            elif fetched:
                yield tp, fetched
        yield from super().iterate(others)


class FetchMessage(ConsumerMessage):
    """A message that stands for a fetch. Its offset is that of the last record, so Faust's read position is past all of them."""

    __slots__ = ("records",)

    records: Sequence[ConfigRecord]


def fetch_message(tp: TP, fetched: Sequence[ConsumerRecord], generation_id: int) -> FetchMessage:
    """The message for the records of one fetch, in the order of their offsets; at least one."""
    last = fetched[-1]
    message = FetchMessage(
        tp.topic,
        tp.partition,
        last.offset,
        last.timestamp / 1000.0,
        last.timestamp_type,
        headers=None,
        key=None,
        value=None,
        checksum=None,
        tp=tp,
        generation_id=generation_id,
    )
    message.records = [
        _new(ConfigRecord, (record.offset, record.timestamp, record.key, record.value, record.headers)) for record in fetched
    ]
    return message
