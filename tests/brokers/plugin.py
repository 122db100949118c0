"""Fixtures `broker` and `registry`: every test that takes one runs once on each that was chosen.

`TWIN_TEST_BROKERS` chooses: `embedded`, `kafka`, or `all` (the default). The real ones need Java and Maven; where these are
missing their tests are skipped and say so, unless `TWIN_REQUIRE_REAL=1`, which makes it a failure, and leaves the slow tests
to the real ones. The last lines of the run say which brokers and registries were used.
"""

import os
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

from tests.brokers.embedded_process import EmbeddedProcess
from tests.brokers.java_process import ServerDied
from tests.brokers.maven import Unavailable
from tests.brokers.real_kafka import RealKafka
from tests.brokers.real_registry import RealRegistry

CHOICES = {"embedded": ("embedded",), "kafka": ("real",), "all": ("embedded", "real")}
CHOICE = os.environ.get("TWIN_TEST_BROKERS", "all")
if CHOICE not in CHOICES:
    raise pytest.UsageError(f"TWIN_TEST_BROKERS={CHOICE}: must be one of {', '.join(CHOICES)}")
REQUIRED = os.environ.get("TWIN_REQUIRE_REAL") == "1"
if REQUIRED and "real" not in CHOICES[CHOICE]:
    raise pytest.UsageError(f"TWIN_REQUIRE_REAL=1 needs the real broker, but TWIN_TEST_BROKERS={CHOICE} leaves it out")

used: dict[str, dict[str, int]] = {"brokers": {}, "registries": {}}
unavailable: dict[str, str] = {}


class Broker(Protocol):
    """What a test may do with a broker."""

    kind: str  # embedded or kafka
    name: str  # for a person, with its version

    @property
    def bootstrap(self) -> str: ...
    def kill9(self) -> None: ...
    def restart(self) -> None: ...


class Registry(Protocol):
    """What a test may do with a schema registry. `url` is the root of the Confluent-compatible API."""

    kind: str  # embedded or apicurio
    name: str

    @property
    def url(self) -> str: ...
    def kill9(self) -> None: ...
    def restart(self) -> None: ...


def _lacking(what: str, error: Exception) -> None:
    unavailable[what] = str(error)
    if REQUIRED:
        pytest.fail(f"TWIN_REQUIRE_REAL=1, but the {what} is not to be had: {error}", pytrace=False)
    pytest.skip(f"the {what} is not to be had here: {error}")


@pytest.fixture(scope="session", params=CHOICES[CHOICE])
def _broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    folder = tmp_path_factory.mktemp(f"broker-{request.param}")
    if request.param == "embedded":
        server: EmbeddedProcess | RealKafka = EmbeddedProcess(folder)
    else:
        if "real Kafka" in unavailable:
            _lacking("real Kafka", Unavailable(unavailable["real Kafka"]))
        try:
            server = RealKafka(folder)
        except Unavailable as error:
            _lacking("real Kafka", error)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def broker(_broker: Broker) -> Iterator[Broker]:
    """A running broker, shared by all tests of the run: use topic, group and transactional names of your own."""
    used["brokers"][_broker.name] = used["brokers"].get(_broker.name, 0) + 1
    yield _broker
    process = _broker.servers[0].process if isinstance(_broker, RealKafka) else getattr(_broker, "process", None)
    if process is not None and process.poll() is not None:
        _broker.restart()  # a test that failed between its kill and its restart does not take the others along


@pytest.fixture(scope="session", params=CHOICES[CHOICE])
def _registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder = tmp_path_factory.mktemp(f"registry-{request.param}")
    if request.param == "embedded":
        server: EmbeddedProcess | RealRegistry = EmbeddedProcess(folder)
    else:
        try:
            server = RealRegistry(folder)
        except Unavailable as error:
            _lacking("real schema registry", error)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def registry(_registry: Registry) -> Registry:
    """A running registry, shared by all tests of the run: use subjects of your own."""
    used["registries"][_registry.name] = used["registries"].get(_registry.name, 0) + 1
    return _registry


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that takes both a broker and a registry runs on matching pairs. Where the real ones are required, such tests and
    slow ones run on these alone: the conformance tests show that the embedded ones answer alike, and CI's time is bounded.
    Slow ones come first: a parallel run that ends with one of them ends with idle processes."""
    left_out = []
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "_broker" not in params:
            continue
        pair = "_registry" in params
        unlike = pair and params["_broker"] != params["_registry"]
        whole = pair or item.get_closest_marker("slow") is not None
        if unlike or (REQUIRED and whole and params["_broker"] == "embedded"):
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A process of a parallel run hands its counts to the one that writes the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput |= {"used": used, "unavailable": unavailable}


@pytest.hookimpl(optionalhook=True)  # known to pytest only where pytest-xdist is in use
def pytest_testnodedown(node: Any) -> None:
    """Takes the counts of a process of a parallel run."""
    told = getattr(node, "workeroutput", {})
    for what, names in told.get("used", {}).items():
        for name, count in names.items():
            used[what][name] = used[what].get(name, 0) + count
    unavailable.update(told.get("unavailable", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, names in used.items():
        shown = ", ".join(f"{name} ({count} tests)" for name, count in sorted(names.items())) or "none"
        terminalreporter.write_line(f"{what} used: {shown}")
    for what, why in unavailable.items():
        terminalreporter.write_line(f"not used: the {what} ({why})", yellow=True)


__all__ = ["Broker", "Registry", "ServerDied"]
