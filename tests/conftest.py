"""Fixtures for all tests."""

pytest_plugins = ("tests.brokers.plugin", "tests.warm.plugin")
