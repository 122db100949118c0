"""Each promise of the commit and the recovery, broken on purpose: the simulation must notice within a bounded number of runs."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from tests.dst.clients import SimulatedConsumer, SimulatedProducer
from tests.dst.disk import SimulatedStore
from tests.dst.plan import Blow, Plan
from tests.dst.simulate import campaign
from tests.dst.worker import SimulatedSurroundings
from twin_app.kernel import snapshot as kernel_snapshot
from twin_app.partition import PartitionHost
from twin_app.partition.cycle import Cycle
from twin_app.streaming import recovery as streaming_recovery
from twin_app.streaming.batches import Message, build_batches
from twin_app.streaming.changelogs import Copy
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.intake import Intake
from twin_app.streaming.replay import Replay
from twin_app.streaming.transaction import PartitionTransactions

RUNS = 300
SEED = 70_000


def must_be_caught(change: Callable[[Plan], None] | None = None) -> str:
    failures, _, done = campaign(SEED, RUNS, change=change)
    assert failures, f"{done} simulations, and nobody noticed"
    assert failures[0].failure
    assert not re.search("(Name|Attribute|Type|Key)Error", failures[0].failure), "the planted bug does not even run"
    return failures[0].failure


def test_not_waiting_for_the_acknowledgements_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def commit(self: PartitionTransactions, producer: SimulatedProducer, cycle: Cycle) -> dict[str, int]:
        batches = build_batches(producer, await self._messages(producer, cycle), self.settings.record_bytes_max)  # type: ignore[arg-type]
        await producer.begin_transaction()
        futures = [await producer.send_batch(batch, tp.topic, partition=tp.partition) for tp, batch in batches]  # type: ignore[arg-type]
        source = TopicPartition(self.settings.config_topic, self.partition)
        await producer.send_offsets_to_transaction({source: OffsetAndMetadata(cycle.next_offset, "")}, self.settings.app_id)
        await producer.commit_transaction()
        last: dict[str, int] = {}
        for (tp, batch), future in zip(batches, futures, strict=True):
            if tp.partition == self.partition and future.exception() is None and future.result().offset >= 0:
                last[tp.topic] = future.result().offset + batch.record_count() - 1
        return last

    monkeypatch.setattr(PartitionTransactions, "_commit", commit)
    must_be_caught()


def test_a_dropped_changelog_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, count = PartitionTransactions._messages, itertools.count()

    async def messages(self: PartitionTransactions, producer: Any, cycle: Cycle) -> list[Message]:
        if cycle.rows and next(count) % 20 == 19:
            cycle.rows.pop(0)
        return await whole(self, producer, cycle)

    monkeypatch.setattr(PartitionTransactions, "_messages", messages)
    must_be_caught()


def test_ticks_in_another_order_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tenth tick is held back and goes out together with the next."""
    whole = PartitionTransactions._messages
    held: dict[tuple[int, int], Message] = {}

    async def messages(self: PartitionTransactions, producer: Any, cycle: Cycle) -> list[Message]:
        found = await whole(self, producer, cycle)
        place = (id(self), self.partition)
        if cycle.tick.seq % 10 == 9:
            held[place] = found.pop(0)
        elif place in held:
            found.insert(1, held.pop(place))
        return found

    monkeypatch.setattr(PartitionTransactions, "_messages", messages)
    must_be_caught()


def test_a_forgotten_position_of_a_random_stream_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = kernel_snapshot.take
    monkeypatch.setattr(kernel_snapshot, "take", lambda twin: whole(twin) | {"streams": {}})
    must_be_caught()


def test_a_store_that_is_written_before_the_commit_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The offsets are those that the log will give, if the transaction gets through."""
    whole = PartitionDriver._commit

    async def commit(self: PartitionDriver, cycle: Cycle) -> dict[str, int]:
        ends = {}
        for table, (store, topic) in self._stores.items():
            rows = [row for row in cycle.rows if row.table == table]
            if rows:
                assert isinstance(store, SimulatedStore)
                log = self._surroundings._worker.world.broker.log(TopicPartition(topic, self.partition))  # type: ignore[attr-defined]
                ends[topic] = log.end + len(rows) - 1
        self._apply(cycle, ends)
        return await whole(self, cycle)

    monkeypatch.setattr(PartitionDriver, "_commit", commit)
    must_be_caught()


def test_owners_that_are_not_fenced_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, count = SimulatedSurroundings.producer, itertools.count()
    monkeypatch.setattr(SimulatedSurroundings, "producer", lambda self, name: whole(self, f"{name}-{next(count)}"))
    must_be_caught()


def test_trust_in_the_groups_offset_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a partition goes on is what the last tick says; the group's offset may be lost or set by hand."""
    whole = PartitionDriver.open

    async def open_(self: PartitionDriver) -> None:
        await whole(self)
        world = self._surroundings._worker.world  # type: ignore[attr-defined]
        assert self.intake is not None
        place = (self.settings.app_id, TopicPartition(self.settings.config_topic, self.partition))
        self.intake.expected = world.broker.group_offsets.get(place, 0)

    monkeypatch.setattr(PartitionDriver, "open", open_)
    must_be_caught()


def test_a_gap_that_is_not_read_from_the_log_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fill(self: Intake, record: Any, config: Any) -> None:
        self._append(record)

    monkeypatch.setattr(Intake, "fill", fill)
    must_be_caught()


def test_commands_that_are_taken_twice_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def offer(self: Intake, records: Any) -> Any:
        for i, record in enumerate(records):
            if record.offset > self.expected:
                return records[i:]
            self._append(record)
        return ()

    monkeypatch.setattr(Intake, "offer", offer)
    must_be_caught()


def test_one_consumer_for_two_readers_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at the end of the log, in the middle of a gap that is being filled, moves the position: commands are passed over."""
    whole = PartitionDriver.__init__

    def init(self: PartitionDriver, *args: Any) -> None:
        whole(self, *args)
        self._tail = self.config

    monkeypatch.setattr(PartitionDriver, "__init__", init)
    must_be_caught(outages_and_gaps)


def outages_and_gaps(plan: Plan) -> None:
    plan.blows = [Blow(at_s, "broker-down", 0, 2.0) for at_s in (2.0, 4.5)]
    plan.lose_delivery = 0.4
    plan.rough_s = 8.0


def test_a_replay_that_is_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    async def replay(self: Replay, *_: Any) -> None:
        return

    monkeypatch.setattr(Replay, "_replay", replay)
    must_be_caught()


def test_reading_what_is_not_committed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recovery's own consumer, with the default isolation level."""

    def consumer(self: SimulatedSurroundings) -> SimulatedConsumer:
        world = self._worker.world
        return SimulatedConsumer(_Uncommitted(world.broker), world.network)  # type: ignore[arg-type]

    monkeypatch.setattr(SimulatedSurroundings, "consumer", consumer)
    must_be_caught()


class _Uncommitted:
    """A broker as a read-uncommitted reader sees it."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.watchers: Mapping[Any, Any] = broker.watchers

    def log(self, tp: TopicPartition) -> Any:
        log = self._broker.log(tp)
        return type("View", (), {"start": log.start, "stable_end": log.end})

    def fetch(self, tp: TopicPartition, position: int, most: int) -> Any:
        log = self._broker.log(tp)
        end = min(log.end, position + most)
        return [e for e in log.entries[position:end] if not e.marker and e.offset not in log.gone], max(position, end)


def test_offsets_read_before_the_former_owner_is_fenced_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The highwaters of the changelogs first, the fence after."""
    whole = streaming_recovery.PartitionRecovery._build_highwaters

    async def build(self: Any, consumer: Any, tps: Any, destination: Any, title: str) -> None:
        fence = self.app.partitions.fence
        self.app.partitions.fence = lambda partitions: asyncio.sleep(0)
        try:
            await whole(self, consumer, tps, destination, title)
        finally:
            self.app.partitions.fence = fence
        await fence(self._assigned_partitions())

    from tests.dst.worker import Highwaters

    monkeypatch.setattr(Highwaters, "_build_highwaters", build)
    must_be_caught()


def test_a_changelog_that_is_read_with_a_hole_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetch that arrives after the reader was moved elsewhere: what lies between is passed over."""
    whole, count = Copy.take, itertools.count()

    def take(self: Copy, records: Any) -> None:
        whole(self, records[1:] if len(records) > 1 and next(count) % 20 == 19 else records)

    monkeypatch.setattr(Copy, "take", take)
    must_be_caught()


def test_time_that_passes_waiting_commands_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an outage, a partition that is not told of the backlog runs past the moments of commands it has not seen."""
    monkeypatch.setattr(Intake, "backlog", property(lambda self: False))
    must_be_caught(change=long_outage)


def long_outage(plan: Plan) -> None:
    """Scripted commands come while nobody is there to take them; fetching the first one afterwards takes its time."""
    if not plan.scripted:
        plan.sends.clear()
    plan.blows = [Blow(1.6, "kill", worker, 9.0) for worker in range(plan.workers)]
    plan.rough_s = 12.0


def test_events_that_depend_on_how_a_cycle_is_sliced_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = PartitionHost._advance_due

    def advance(self: PartitionHost, wall_us: int) -> Any:
        slices = 0
        ran = whole(self, wall_us)
        try:
            while True:
                next(ran)
                slices += 1
                if slices == 1:
                    self.meta = replace(self.meta, events=self.meta.events + 1)
                yield
        except StopIteration as end:
            return end.value

    monkeypatch.setattr(PartitionHost, "_advance_due", advance)
    must_be_caught()
