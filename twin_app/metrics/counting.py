"""What is counted when it happens: every committed cycle, every recovery, every forecast."""

from __future__ import annotations

import time

import orjson
from prometheus_client import CollectorRegistry, Counter

from twin_app.forecast import Request, Revised
from twin_app.metrics import catalogue as c
from twin_app.metrics.instruments import counter, histogram
from twin_app.partition.cycle import CHECKPOINT_TABLE, Cycle
from twin_app.settings import Settings
from twin_app.streaming.driver import PartitionDriver

WORDS_MAX = 100
"""Values that a label made of codes or kinds may take; what comes after them is counted as `other`."""


class Counting:
    """A follower of the partitions. It holds up no cycle: per cycle it adds a few numbers, and reads its dead letters' codes."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._dead_letters_topic = settings.topics.dead_letters.name
        self._cycles = counter(c.CYCLES, registry)
        self._commands = counter(c.COMMANDS, registry)
        self._accepted = counter(c.COMMANDS_ACCEPTED, registry)
        self._dead_letters = counter(c.DEAD_LETTERS, registry)
        self._events = counter(c.EVENTS, registry)
        self._records = counter(c.OUTPUT_RECORDS, registry)
        self._bytes = counter(c.OUTPUT_BYTES, registry)
        self._commit_s = histogram(c.COMMIT_SECONDS, registry)
        self._checkpoints = counter(c.CHECKPOINTS, registry)
        self._checkpoint_bytes = counter(c.CHECKPOINT_BYTES, registry)
        self._recoveries = counter(c.RECOVERIES, registry)
        self._recovery_s = histogram(c.RECOVERY_SECONDS, registry)
        self._replayed_ticks = counter(c.REPLAYED_TICKS, registry)
        self._forecasts = counter(c.FORECASTS, registry)
        self._first_answer_s = histogram(c.FORECAST_FIRST_SECONDS, registry)
        self._revisions = counter(c.FORECAST_REVISIONS, registry)
        self._words: dict[str, set[str]] = {}
        self._children: dict[tuple[Counter, str], Counter] = {}
        self._told: dict[int, tuple[int, int]] = {}
        """Partition -> its events and commands, as they were counted last."""

    # -- partitions

    def opened(self, driver: PartitionDriver) -> None:
        self._recoveries.inc()
        self._recovery_s.observe(driver.recovery_s)
        self._replayed_ticks.inc(driver.replayed_ticks)
        self._told[driver.partition] = (getattr(getattr(driver.host, "meta", None), "events", 0), driver.commands)

    def committed(self, driver: PartitionDriver, cycle: Cycle) -> None:
        partition = str(driver.partition)
        events, commands = self._told.get(driver.partition, (cycle.tick.events, driver.commands))
        self._told[driver.partition] = (cycle.tick.events, driver.commands)
        self._add(self._cycles, partition, 1)
        self._add(self._events, partition, max(0, cycle.tick.events - events))
        self._add(self._commands, partition, max(0, driver.commands - commands))
        self._commit_s.observe(driver.commit_s)
        for accepted in cycle.accepted:
            self._add(self._accepted, self._word("kind", accepted.command.kind), 1)
        written: dict[str, tuple[int, int]] = {}
        for output in cycle.outputs:  # summed up first: a counter is dearer than an addition, and there may be thousands
            count, size = written.get(output.topic, (0, 0))
            written[output.topic] = count + 1, size + len(output.value)
            if output.topic == self._dead_letters_topic:
                self._add(self._dead_letters, self._word("code", _code_of(output.value)), 1)
        for topic, (count, size) in written.items():
            word = self._word("topic", topic)
            self._add(self._records, word, count)
            self._add(self._bytes, word, size)
        saved = [len(row.value or b"") for row in cycle.rows if row.table == CHECKPOINT_TABLE]
        if saved:
            self._add(self._checkpoints, partition, 1)
            self._add(self._checkpoint_bytes, partition, sum(saved))

    def closed(self, driver: PartitionDriver) -> None:
        self._told.pop(driver.partition, None)

    async def close(self) -> None:
        """There is nothing to end."""

    # -- forecasts

    def forecast(self, request: Request, revised: Revised) -> None:
        """A revision is about to be sent; the last one says how the forecast ended."""
        if revised.error is None:
            self._revisions.inc()
            if not request.answered:
                self._forecasts.labels(request.reason, "answered").inc()
                if request.timestamp_ms is not None:
                    self._first_answer_s.observe(max(0.0, time.time() - request.timestamp_ms / 1000))
        if revised.final:
            outcome = "complete" if revised.error is None else self._word("outcome", revised.error)
            self._forecasts.labels(request.reason, outcome).inc()

    # -- inside

    def _add(self, counter: Counter, label: str, amount: int) -> None:
        """Add to a counter with one label. Looking a label up in the client is dearer than all else here: it is done once."""
        child = self._children.get((counter, label))
        if child is None:
            child = self._children[counter, label] = counter.labels(label)
        child.inc(amount)

    def _word(self, label: str, word: str) -> str:
        known = self._words.setdefault(label, set())
        if word in known:
            return word
        if len(known) >= WORDS_MAX:
            return "other"
        known.add(word)
        return word


def _code_of(value: bytes) -> str:
    """The reason's code in a dead letter; they are JSON unless a route says otherwise."""
    try:
        return str(orjson.loads(value)["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "unknown"
