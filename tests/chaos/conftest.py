"""Factories on the broker and the registry at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.brokers.plugin import Broker, Registry
from tests.chaos.factory import Factory


@pytest.fixture
async def factory(broker: Broker, registry: Registry, tmp_path: Path) -> AsyncIterator[Callable[..., Factory]]:
    """Makes factories; their workers are ended with the test."""
    made: list[Factory] = []

    async def make(**settings) -> Factory:
        one = Factory(broker.bootstrap, registry.url, tmp_path / f"factory-{len(made)}", **settings)
        made.append(one)
        await one.create()
        return one

    yield make
    for one in made:
        await one.aclose()
