"""Traces from command to event, with OpenTelemetry: optional, and outside of the core.

A command whose record carries a W3C `traceparent` header is followed by one span, from the cycle that reads it to the commit. The
events that it causes in that cycle, directly or through other events, and its dead letter, carry the span's `traceparent` in
their own headers, so that whoever consumes them goes on in the same trace. Headers are no part of what is replayed or compared:
nothing in a trace can change an event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from models.commands import Command
from models.errors import Rejected, TwinError
from models.events import EventRecord, SourceOffset
from models.vitals import VitalRecord
from twin_app.partition.contracts import Contracts
from twin_app.partition.cycle import ConfigRecord, Cycle, Output
from twin_app.settings import Settings
from twin_app.streaming.driver import PartitionDriver

TRACE_HEADERS = ("traceparent", "tracestate")
HEADER_BYTES_MAX = 512
"""A longer header is no trace context."""
TRACED_MAX = 1_000
"""Commands followed at a time in one partition; further ones are applied all the same, unfollowed."""
EVENTS_MAX = 10_000
"""Events of a cycle through which a trace is followed."""
SHUTDOWN_S = 5.0


class Tracing:
    """The traces of one worker: a follower that ends the spans of what was committed."""

    def __init__(self, provider: Any, app_id: str = "twin", group_topic: str = "twin-config") -> None:
        """`provider`: an OpenTelemetry TracerProvider."""
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self.tracer = provider.get_tracer("twin_app")
        self.propagator = TraceContextTextMapPropagator()
        self.trace = trace
        self.app_id, self.topic = app_id, group_topic
        self._partitions: dict[int, TracedContracts] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> Tracing | None:
        """As OpenTelemetry's own variables say (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER, ...); None if it is off.

        Raises TwinError `missing-extra`.
        """
        if not settings.traces:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            remedy = 'pip install "twin-app[otel]", or unset TWIN_TRACES'
            raise TwinError("missing-extra", f"traces need OpenTelemetry: {error}", place="TWIN_TRACES", remedy=remedy) from error
        provider = TracerProvider(resource=Resource.create({"service.name": "twin", "service.instance.id": settings.app_id}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))  # its queue is bounded, and drops
        return cls(provider, settings.app_id, settings.config_topic)

    def contracts(self, contracts: Contracts, partition: int) -> TracedContracts:
        """The contracts of one partition, traced."""
        traced = self._partitions[partition] = TracedContracts(self, contracts, partition)
        return traced

    # -- follower

    def opened(self, driver: PartitionDriver) -> None:
        self._forget(driver.partition, None)  # what the replay went over was traced by its first owner

    def committed(self, driver: PartitionDriver, cycle: Cycle) -> None:
        traced = self._partitions.get(driver.partition)
        if traced is not None:
            traced.end(cycle.next_offset, None)

    def closed(self, driver: PartitionDriver) -> None:
        self._forget(driver.partition, "the partition was given up before the commit")

    async def close(self) -> None:
        try:
            async with asyncio.timeout(SHUTDOWN_S):
                await asyncio.to_thread(self._provider.shutdown)
        except TimeoutError:
            pass  # traces are told on a best-effort basis

    def _forget(self, partition: int, why: str | None) -> None:
        traced = self._partitions.get(partition)
        if traced is not None:
            traced.end(None, why)


class TracedContracts:
    """A partition's contracts that also carry trace contexts from commands to what comes of them."""

    def __init__(self, tracing: Tracing, contracts: Contracts, partition: int) -> None:
        self._tracing, self._contracts, self._partition = tracing, contracts, partition
        self._heard: dict[int, tuple[dict[str, str], int]] = {}
        """Offset of a command -> its trace headers, and when it was read, in nanoseconds since 1970."""
        self._spans: dict[int, Any] = {}
        self._carried: dict[int, tuple[tuple[str, bytes], ...]] = {}
        """Offset -> headers for what comes of it."""
        self._chain: dict[tuple[str, int], int] = {}
        """Twin and number of an event of this cycle -> offset of the command behind it."""

    # -- the contracts

    def parse(self, record: ConfigRecord) -> Command:
        carrier = trace_headers(record)
        if carrier and len(self._heard) < TRACED_MAX:
            self._heard[record.offset] = carrier, time.time_ns()
        return self._contracts.parse(record)

    def event(self, event: EventRecord, partition: int, timestamp_ms: int) -> Iterator[Output]:
        headers = self._headers_of(event) if self._heard else ()
        for output in self._contracts.event(event, partition, timestamp_ms):
            yield output._replace(headers=headers) if headers else output

    def dead_letter(self, record: ConfigRecord, reason: Rejected, partition: int, timestamp_ms: int) -> Output:
        output = self._contracts.dead_letter(record, reason, partition, timestamp_ms)
        headers = self._follow(record.offset, record.key)
        if headers:
            span = self._spans[record.offset]
            span.set_attribute("twin.rejected", reason.code)
            span.set_status(self._tracing.trace.StatusCode.ERROR, reason.message[:500])
        return output._replace(headers=headers) if headers else output

    def vital(self, vital: VitalRecord) -> Output:
        return self._contracts.vital(vital)

    # -- the spans

    def end(self, next_offset: int | None, why: str | None) -> None:
        """End the spans of commands below `next_offset`, or all; `why` they were not committed, if they were not."""
        for offset in [offset for offset in self._heard if next_offset is None or offset < next_offset]:
            del self._heard[offset]
            self._carried.pop(offset, None)
            span = self._spans.pop(offset, None)
            if span is not None:
                if why is not None:
                    span.set_status(self._tracing.trace.StatusCode.ERROR, why)
                span.end()
        self._chain.clear()

    def _headers_of(self, event: EventRecord) -> tuple[tuple[str, bytes], ...]:
        cause = event.cause
        if isinstance(cause, SourceOffset):
            offset = cause.offset
        elif cause is not None and (event.twin, cause) in self._chain:
            offset = self._chain[event.twin, cause]
        else:
            return ()
        headers = self._follow(offset, event.twin.encode())
        if headers:
            if len(self._chain) < EVENTS_MAX:
                self._chain[event.twin, event.seq] = offset
            span = self._spans[offset]
            span.add_event(event.kind, {"twin.event": f"{event.twin}:{event.seq}", "twin.sim_time": event.sim_time})
        return headers

    def _follow(self, offset: int, key: bytes | None) -> tuple[tuple[str, bytes], ...]:
        """The headers for what comes of a command; its span is begun with the first."""
        if offset in self._carried:
            return self._carried[offset]
        heard = self._heard.get(offset)
        if heard is None:
            return ()
        tracing = self._tracing
        carrier, read_ns = heard
        context = tracing.propagator.extract(carrier)
        if not tracing.trace.get_current_span(context).get_span_context().is_valid:
            self._carried[offset] = ()
            return ()
        span = tracing.tracer.start_span(
            f"process {tracing.topic}",
            context=context,
            kind=tracing.trace.SpanKind.CONSUMER,
            start_time=read_ns,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": tracing.topic,
                "messaging.destination.partition.id": str(self._partition),
                "messaging.kafka.offset": offset,
                "messaging.consumer.group.name": tracing.app_id,
                "messaging.kafka.message.key": (key or b"").decode("utf-8", "replace")[:200],
            },
        )
        onward: dict[str, str] = {}
        tracing.propagator.inject(onward, context=tracing.trace.set_span_in_context(span))
        self._spans[offset] = span
        self._carried[offset] = tuple((name, value.encode()) for name, value in onward.items())
        return self._carried[offset]


def trace_headers(record: ConfigRecord) -> dict[str, str]:
    """The trace context in a record's headers, as text; empty if there is none that could be one."""
    found: dict[str, str] = {}
    for name, value in record.headers or ():
        if name in TRACE_HEADERS and value is not None and len(value) <= HEADER_BYTES_MAX:
            found[name] = value.decode("ascii", "replace")
    return found if "traceparent" in found else {}
