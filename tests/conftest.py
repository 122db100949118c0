"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

pytest_plugins = ("tests.brokers.plugin", "tests.warm.plugin")

# How long an example takes says how busy the machine is, not whether the product is right.
settings.register_profile("twin", deadline=None)
settings.load_profile("twin")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A verb that a test calls sets up the log for the process, on a stream that ends with the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
