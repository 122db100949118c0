"""A trace goes from the command to all that comes of it, and changes nothing but headers."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from models.errors import TwinError
from tests.partition.world import Committed, Log, PlainOutbox, cycle, line, new_host, read, settle
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.settings import load_settings
from twin_app.streaming.tracing import HEADER_BYTES_MAX, TRACED_MAX, TracedContracts, Tracing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()


class Plain(PlainOutbox):
    """Plain-text contracts that also parse."""

    def parse(self, record: ConfigRecord) -> Any:
        return read(record)


class Followed:
    """A traced partition without a broker."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(provider)
        contracts = self.tracing.contracts(Plain(), 0)  # type: ignore[arg-type]
        self.contracts: TracedContracts = contracts
        self.host = PartitionHost.open(0, {}, contracts, contracts.parse, HostSettings())
        self.committed = Committed()

    def cycle(self, records: Sequence[ConfigRecord], at_s: float, *, lost: bool = False) -> None:
        """Cycles until all is done that is due by then; the last one's commit may be lost."""
        driver: Any = SimpleNamespace(partition=0)
        taken: Sequence[ConfigRecord] = records
        while True:
            done = cycle(self.host, self.committed, taken, at_s)
            taken = ()
            if done is None:
                return
            if lost:
                self.tracing.closed(driver)
                return
            self.tracing.committed(driver, done)


def traced(record: ConfigRecord, header: bytes = PARENT) -> ConfigRecord:
    return record._replace(headers=(("traceparent", header), ("other", b"x")))


def trace_of(headers: Sequence[tuple[str, bytes]]) -> str | None:
    found = dict(headers).get("traceparent")
    return None if found is None else found.decode().split("-")[1]


def commands() -> Log:
    log = Log()
    log.write("Line_A", {"kind": "register", "blueprint": line()})
    log.write("Line_A", {"kind": "set", "path": "Line_A.resources.a.capacity", "value": 3}, 5.2)
    log.write("Line_A", {"kind": "set", "path": "Line_A.resources.nothing.capacity", "value": 3}, 5.4)
    return log


def test_events_dead_letters_and_the_span_belong_to_the_trace_of_their_command() -> None:
    world, log = Followed(), commands()
    world.cycle(log.records[:1], 5.0)
    assert not [o for o in world.committed.outputs if o.headers], "an untraced command traces nothing"
    before = len(world.committed.outputs)
    world.cycle([traced(record) for record in log.records[1:]], 6.0)
    spans = {span.attributes["messaging.kafka.offset"]: span for span in world.exporter.get_finished_spans()}
    assert set(spans) == {1, 2}
    for offset, span in spans.items():
        assert f"{span.context.trace_id:032x}" == TRACE_ID
        assert f"{span.parent.span_id:016x}" == PARENT.decode().split("-")[2]
        assert span.end_time >= span.start_time
        assert (span.status.status_code is StatusCode.ERROR) == (offset == 2)
    told = world.committed.outputs[before:]
    by_topic = {topic: [o for o in told if o.topic == topic] for topic in ("sim-events", "twin-dead-letters")}
    assert [trace_of(o.headers) for o in by_topic["twin-dead-letters"]] == [TRACE_ID]
    for output in by_topic["sim-events"]:
        event = Committed(outputs=[output]).events[0]
        caused = (event["cause"] or {}).get("offset") == 1
        assert not caused or trace_of(output.headers) == TRACE_ID
        if trace_of(output.headers):
            assert dict(output.headers)["traceparent"].decode().split("-")[2] == f"{spans[1].context.span_id:016x}"
    assert any(trace_of(output.headers) for output in by_topic["sim-events"])


def test_the_events_are_the_same_with_and_without_traces() -> None:
    world, plain, log = Followed(), Committed(), commands()
    host = new_host()
    for records, at_s in ((log.records[:1], 5.0), (log.records[1:], 6.0), ([], 20.0)):
        world.cycle([traced(record) for record in records], at_s)
        settle(host, plain, records, at_s)
    for topic in ("sim-events", "twin-dead-letters"):
        assert world.committed.raw(topic) == plain.raw(topic)
    assert world.committed.ticks == plain.ticks
    assert world.committed.tables == plain.tables


def test_a_replay_makes_no_spans() -> None:
    world, log = Followed(), commands()
    records = [traced(record) for record in log.records]
    world.cycle(records, 6.0)
    again = Followed()
    for tick in world.committed.ticks:
        again.host.replay(tick, records[again.host.position.next_offset : tick.next_offset])
    again.tracing.opened(SimpleNamespace(partition=0))  # type: ignore[arg-type]
    assert again.exporter.get_finished_spans() == ()
    assert again.contracts._heard == {}


def test_what_was_not_committed_says_so() -> None:
    world, log = Followed(), commands()
    world.cycle(log.records[:1], 5.0)
    world.cycle([], 5.3)
    world.cycle([traced(log.records[1])], 5.3, lost=True)
    (span,) = world.exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize(
    "header",
    [b"", b"nonsense", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"\xff\xfe", b"x" * (HEADER_BYTES_MAX + 1)],
)
def test_a_hostile_header_traces_nothing_and_stops_nothing(header: bytes) -> None:
    world, log = Followed(), commands()
    world.cycle([traced(record, header) for record in log.records], 6.0)
    assert world.exporter.get_finished_spans() == ()
    assert not [o for o in world.committed.outputs if o.headers]
    assert len(world.committed.values("twin-dead-letters")) == 1


def test_the_number_of_commands_followed_is_bounded() -> None:
    world = Followed()
    for offset in range(TRACED_MAX + 10):
        with pytest.raises(Exception):  # noqa: B017, PT011 - not a command; what matters is what is remembered
            world.contracts.parse(ConfigRecord(offset, 0, b"k", b"?", (("traceparent", PARENT),)))
    assert len(world.contracts._heard) == TRACED_MAX


def test_traces_without_the_package_are_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    assert Tracing.from_settings(load_settings({})) is None
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TwinError, match="otel") as caught:
        Tracing.from_settings(load_settings({"TWIN_TRACES": "true"}))
    assert caught.value.code == "missing-extra"
