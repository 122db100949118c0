"""A partition that does not go on must say why, and one that does must not complain."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from tests.partition.world import T0_US
from tests.streaming.counting import CountingHosting
from twin_app.partition.cycle import ConfigRecord
from twin_app.settings import Settings
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.intake import Intake
from twin_app.streaming.partitions import Partitions
from twin_app.streaming.standing import Standing
from twin_app.streaming.status import Progress, Reason, State
from twin_app.streaming.surroundings import Surroundings


class AtNoon(Surroundings):
    """No broker is needed to ask a driver how it stands."""

    def wall_us(self) -> int:
        return T0_US


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, intake_records_max=4)


async def driver_with_host(settings: Settings, *, beat_us: int = T0_US) -> PartitionDriver:
    driver = PartitionDriver(0, settings, CountingHosting("out"), {}, lambda p, paused: None, AtNoon(settings))
    driver.host = CountingHosting("out").open(0, {"checkpoint": {}, "registry": {}})
    driver.host.beat_us = beat_us
    driver.intake = Intake(0, 0, settings.intake_records_max, settings.intake_bytes_max, lambda paused: None)
    driver.state = State.LIVE
    return driver


def record(offset: int) -> ConfigRecord:
    return ConfigRecord(offset, 0, b"k", b"x")


async def test_a_live_partition_gives_no_reason(settings):
    stands = (await driver_with_host(settings)).status(log_end=0)
    assert (stands.state, stands.why, stands.lag_s, stands.lag_records) == (State.LIVE, None, 0.0, 0)


async def test_a_flood_is_told_with_the_sizes_of_the_queue(settings):
    driver = await driver_with_host(settings)
    for offset in range(4):
        driver.intake.offer([record(offset)])
    stands = driver.status(log_end=900)
    assert stands.why.reason is Reason.INTAKE_FULL
    assert stands.intake.paused
    assert (stands.intake.records, stands.intake.records_max, stands.lag_records) == (4, 4, 900)


async def test_a_simulation_that_is_late_says_by_how_much(settings):
    stands = (await driver_with_host(settings, beat_us=T0_US - 10_000_000)).status()
    assert stands.why.reason is Reason.BEHIND
    assert 9.0 < stands.lag_s < 10.0


async def test_what_is_waited_for_outside_is_told_only_when_it_lasts(settings):
    driver = await driver_with_host(settings, beat_us=T0_US - 10_000_000)
    with driver.waiting.on(Reason.COMMIT, "tick 7"):
        assert driver.status().why.reason is Reason.BEHIND
        why = driver.waiting.why(after_s=0.0)
        assert (why.reason, why.detail) == (Reason.COMMIT, "tick 7")
    assert driver.waiting.why(after_s=0.0) is None


async def test_a_broker_that_cannot_be_reached_while_fencing_is_the_reason(settings, monkeypatch):
    partitions = Partitions(settings, CountingHosting("out"), dict, lambda p, paused: None, lambda: None, AtNoon(settings))
    tries = 0

    async def fence(self: PartitionDriver) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise KafkaConnectionError("nobody there")

    monkeypatch.setattr(PartitionDriver, "fence", fence)
    fencing = asyncio.create_task(partitions.fence([3]))
    await asyncio.sleep(0.2)
    why = partitions.drivers[3].waiting.why(after_s=0.0)
    assert why.reason is Reason.BROKER
    assert "nobody there" in why.detail
    await fencing
    assert partitions.drivers[3].waiting.why(after_s=0.0) is None


def test_progress_says_how_much_is_left_and_nothing_it_does_not_know():
    half = Progress.of("replay", 100, 200, 300, elapsed_s=2.0)
    assert (half.rate_per_s, half.remaining, half.eta_s) == (50.0, 100, 2.0)
    assert Progress.of("replay", 100, 100, 300, elapsed_s=0.0).eta_s is None
    assert Progress.of("replay", 0, 310, 300, elapsed_s=1.0).remaining == 0


async def test_a_worker_that_has_not_joined_says_what_it_waits_for_and_is_not_ready(settings):
    stands = Standing(settings).status()
    assert not stands.ready
    assert stands.why.reason is Reason.START
    assert json.loads(json.dumps(stands.as_json()))["why"]["reason"] == "starting"
