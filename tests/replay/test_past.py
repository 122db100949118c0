"""A stretch of the past is told as it was, from whatever the logs still hold; what is gone is never made up."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from models.errors import TwinError
from tests.dst.broker import Broker
from tests.dst.clients import SimulatedConsumer
from tests.dst.loop import SimulatedLoop
from tests.dst.network import Network, Weather
from tests.partition.world import Committed, Log, PlainOutbox, cycle, line, new_host, read
from topics.specs import topic_specs
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.partition.cycle import CHECKPOINT_TABLE
from twin_app.replay.past import Past, Told
from twin_app.replay.stretch import Bound, Stretch
from twin_app.streaming.replay import clock_offset_row

SPECS = topic_specs(app="twin", partitions=1)
CLOCK, CONFIG, CHECKPOINT = (TopicPartition(spec.name, 0) for spec in (SPECS.clock, SPECS.config, SPECS.checkpoint_changelog))


class Teller:
    """Opens hosts with plain contracts."""

    def open(self, partition: int, rows: Any) -> PartitionHost:
        return PartitionHost.open(partition, rows, PlainOutbox(), read, HostSettings())

    async def resolve(self, records: Sequence[ConfigRecord]) -> None:
        return


class Application:
    """The logs of one partition, and what its consumers have read, tick by tick."""

    def __init__(self) -> None:
        self.loop = SimulatedLoop()
        self.network = Network(self.loop, random.Random(1), Weather())
        self.broker = Broker(lambda call: call(), self.loop.time)
        self.told: dict[int, list[bytes]] = {}
        self._live()

    def _live(self) -> None:
        log = Log()
        log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
        log.write("Line_A", {"path": "resources.b.capacity", "value": 99}, 5.0)
        log.write("Line_A", {"path": "resources.b.capacity", "value": 1}, 9.0)
        host, committed = new_host(HostSettings(checkpoint_ticks=8, vitals_interval_us=1 << 60)), Committed()
        for record in log.records:
            self.broker.write(CONFIG, record.timestamp_ms, record.key, record.value)
        done = 0
        for second in range(1, 31):
            ready = [r for r in log.records[done:] if r.timestamp_ms <= log.records[0].timestamp_ms + second * 1000]
            made = cycle(host, committed, ready, float(second))
            done += len(ready)
            assert made is not None
            if any(row.table == CHECKPOINT_TABLE for row in made.rows):
                made.rows.append(clock_offset_row(max(made.tick.seq - 2, 0)))
            self.broker.write(CLOCK, made.tick.wall_us // 1000, None, made.tick.to_bytes())
            for row in made.rows:
                if row.table == CHECKPOINT_TABLE:
                    self.broker.write(CHECKPOINT, 0, row.key, row.value)
            self.told[made.tick.seq] = [output.value for output in made.outputs if output.topic != "sim-vitals"]

    def tell(self, start: str | None = None, end: str | None = None) -> dict[int, list[bytes]]:
        stretch = Stretch(None if start is None else Bound.parse(start), None if end is None else Bound.parse(end))

        async def tell() -> list[Told]:
            consumer: Any = SimulatedConsumer(self.broker, self.network)
            await consumer.start()
            return [told async for told in Past(0, SPECS, Teller(), consumer).tell(stretch)]

        told = self.loop.run_until_complete(tell())
        return {t.tick.seq: [output.value for output in t.outputs] for t in told if t.outputs is not None}

    def between(self, first: int, last: int) -> dict[int, list[bytes]]:
        return {seq: values for seq, values in self.told.items() if first <= seq <= last}


@pytest.fixture
def application() -> Any:
    made = Application()
    yield made
    made.network.closed = True
    made.loop.wind_up()


def test_the_whole_past_is_told_as_it_was(application: Application) -> None:
    assert application.tell() == application.told


@pytest.mark.parametrize(("first", "last"), [(1, 1), (7, 19), (25, 30)])
def test_no_stretch_is_told_differently(application: Application, first: int, last: int) -> None:
    assert application.tell(str(first), str(last)) == application.between(first, last)
    assert application.tell(f"2026-11-18T11:06:{40 + first}Z" if first < 20 else str(first), str(last)) == application.between(
        first, last
    )


def test_an_empty_log_tells_nothing(application: Application) -> None:
    application.broker.logs.clear()
    assert application.tell() == {}


def test_what_the_logs_still_reach_is_told_from_the_checkpoint(application: Application) -> None:
    application.broker.log(CLOCK).trim(20)
    application.broker.log(CONFIG).trim(2)
    assert application.tell("26") == application.between(26, 30)


@pytest.mark.parametrize("start", [None, "1", "24", "2026-11-18T11:06:45Z"])
def test_a_past_that_is_gone_is_not_made_up(application: Application, start: str | None) -> None:
    application.broker.log(CLOCK).trim(20)
    application.broker.log(CONFIG).trim(2)
    with pytest.raises(TwinError) as gone:
        application.tell(start)
    assert gone.value.code == "past-is-gone"
    assert "tick 26" in str(gone.value)


def test_a_hole_in_the_logs_is_not_passed_over(application: Application) -> None:
    application.broker.log(CLOCK).gone.add(12)
    with pytest.raises(TwinError, match="clock-log-gap"):
        application.tell()


def test_a_changed_command_is_not_taken_for_the_past(application: Application) -> None:
    application.broker.log(CONFIG).entries[2].value = b'{"path": "resources.b.capacity", "value": 3}'
    with pytest.raises(TwinError, match="replay-diverged"):
        application.tell()
