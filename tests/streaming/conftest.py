"""Plants on the broker at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.brokers.plugin import Broker
from tests.streaming.plant import Plant


@pytest.fixture
async def plant(broker: Broker, tmp_path: Path) -> AsyncIterator[Callable[..., Plant]]:
    """Makes plants; their workers are ended with the test."""
    plants: list[Plant] = []

    async def make(**settings) -> Plant:
        made = Plant(broker.bootstrap, tmp_path / f"plant-{len(plants)}", **settings)
        made.folder.mkdir()
        plants.append(made)
        await made.create()
        return made

    yield make
    for made in plants:
        made.close()
