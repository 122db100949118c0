"""The local copies of tables are a convenience: without them, or with old ones, nothing is lost and nothing is slower than a
reading of the changelog."""

from __future__ import annotations

import asyncio
import re
import shutil

import pytest

from tests.streaming.cramped import CrampedDisk

pytestmark = [pytest.mark.broker, pytest.mark.slow]


async def test_a_full_disk_stops_no_partition_and_loses_nothing(plant):
    p = await plant(partitions=2, TWIN_MEMBER_ID="one")
    disk = CrampedDisk(p.data(0))
    try:
        p.start(piped=not disk.mounted)
        await p.produce(300, rate_per_s=300)
        await p.settled()
        disk.fill(p.workers[0].pid)
        await p.produce(600, rate_per_s=200, value=b"x" * 2000)
        await p.settled()
        assert p.alive(0), p.tail(0)
        assert "local-state-unwritable" in p.logs()
        p.kill9(0)
        p.start(piped=not disk.mounted)  # the rows that are read back find no room either
        if not disk.mounted:
            disk.fill(p.workers[0].pid)
        await p.produce(300, rate_per_s=200)
        await p.settled()
        assert p.alive(0), p.tail(0)
        disk.free()
        p.kill9(0)
        unwritable = p.logs().count("local-state-unwritable")
        p.start()
        await p.produce(300, rate_per_s=200)
        await p.check_exact()
        assert p.logs().count("local-state-unwritable") == unwritable, "with room again, there is local state again"
    finally:
        p.close()
        disk.close()


async def test_a_state_folder_that_vanishes_under_a_running_worker_loses_nothing(plant):
    p = await plant(partitions=2, TWIN_MEMBER_ID="one")
    p.start()
    await p.produce(300, rate_per_s=300)
    await p.settled()
    shutil.rmtree(p.data(0))
    await p.produce(300, rate_per_s=200)
    await p.settled()
    p.kill9(0)
    p.start()
    await p.produce(300, rate_per_s=200)
    await p.check_exact()


async def test_a_standby_leaves_a_takeover_little_to_read(plant):
    """Half the partitions of each worker are the other's standbys; each row of the tables is checked by the counting hosts."""
    p = await plant(TWIN_STANDBY_REPLICAS="1")
    p.start(0)
    await p.wait_for_line(0, "partition-ready", within_s=60)
    p.start(1)
    for number in (0, 1):
        await p.wait_for_line(number, "standbys-follow", within_s=60)
    await p.produce(4000, rate_per_s=400)
    await p.settled()
    await asyncio.sleep(2.0)  # a standby waits for records, not for us
    before = len(rows_read(p, 1))
    p.kill9(0)
    await p.produce(400, rate_per_s=100)
    await p.wait_for_line(1, "partition-ready", within_s=60, count=2 + p.partitions)
    await p.settled()
    taken_over = rows_read(p, 1)[before:]
    assert sum(taken_over) <= 60, f"{taken_over} rows were read at the takeover, of over a thousand that a bare worker reads"
    p.start(0)
    await p.wait_for_line(0, "standbys-follow", within_s=60, count=2)
    await p.produce(400, rate_per_s=200)
    await p.check_exact()


def rows_read(p, number: int) -> list[int]:
    return [int(rows) for rows in re.findall(r"changelogs-read.*? rows=(\d+)", p.log(number).read_text(errors="replace"))]
