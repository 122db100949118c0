"""The twins themselves, the first `TWIN_METRICS_TWINS` of a worker, so that the number of series is bounded.

Read between two slices of a cycle: what is seen may be a moment ahead of what is committed.
"""

from __future__ import annotations

import time
from itertools import islice

from twin_app.metrics import catalogue as c
from twin_app.metrics.looking import Families
from twin_app.partition.cell import Cell
from twin_app.partition.timeline import FAR_FUTURE_US
from twin_app.streaming.standing import Standing
from twin_app.switchboard import LiveTwin

PARTS_MAX = 50
"""Resources, and stocks, of one twin that are shown."""

TWIN_METRICS = (
    c.TWIN_LAG_SECONDS,
    c.TWIN_WIP,
    c.TWIN_RUNNING,
    c.TWIN_EVENTS,
    c.RESOURCE_QUEUE,
    c.RESOURCE_BUSY,
    c.RESOURCE_CAPACITY,
    c.RESOURCE_DOWN,
    c.STOCK_LEVEL,
    c.STOCK_CAPACITY,
    c.TWINS_NOT_SHOWN,
)


def twin_families(standing: Standing) -> Families:
    """Metrics of single twins. Call it in the worker's event loop."""
    families = Families(*TWIN_METRICS)
    room = standing.settings.metrics_twins
    watermark_us = standing.settings.watermark_delay_ms * 1000
    now_us = time.time_ns() // 1000 - watermark_us
    hosted = 0
    for _, driver in sorted(standing.drivers().items()):
        cells: dict[str, Cell] = getattr(driver.host, "cells", {})
        hosted += len(cells)
        for cell in list(islice(cells.values(), room)):
            room -= 1
            if cell.live is not None:
                _twin(families, cell, cell.live, now_us)
    families.add(c.TWINS_NOT_SHOWN, max(0, hosted - standing.settings.metrics_twins))
    return families


def _twin(families: Families, cell: Cell, live: LiveTwin, now_us: int) -> None:
    key, twin = cell.key, live.twin
    due_us = cell.due_us()
    families.add(c.TWIN_LAG_SECONDS, 0.0 if due_us >= FAR_FUTURE_US else max(0, now_us - due_us) / 1e6, key)
    families.add(c.TWIN_WIP, live.wip, key)
    families.add(c.TWIN_RUNNING, cell.running, key)
    families.add(c.TWIN_EVENTS, live.seq, key)
    for name, resource in islice(twin.resources.items(), PARTS_MAX):
        families.add(c.RESOURCE_QUEUE, len(resource.queue), key, name)
        families.add(c.RESOURCE_BUSY, resource.busy, key, name)
        families.add(c.RESOURCE_CAPACITY, resource.capacity, key, name)
        families.add(c.RESOURCE_DOWN, bool(resource.down), key, name)
    stocks = [*twin.containers.items(), *twin.stores.items()]
    for name, stock in stocks[:PARTS_MAX]:
        families.add(c.STOCK_LEVEL, stock.level, key, name)
        families.add(c.STOCK_CAPACITY, stock.capacity, key, name)
