"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ("tests.brokers.plugin", "tests.warm.plugin")


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """A verb that a test calls sets up the log for the process, on a stream that ends with the test."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
