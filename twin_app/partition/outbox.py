"""From what happened to the records that tell it: the partition's side of the contracts in topics/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from models.errors import Rejected
from models.events import EventRecord
from models.vitals import VitalRecord
from twin_app.partition.cycle import ConfigRecord, Output


class Outbox(Protocol):
    """Encodes and routes. Pure: schemas are registered before the worker takes traffic.

    `partition` is the partition of the config topic; `timestamp_ms` the tick's wall time.
    """

    def event(self, event: EventRecord, partition: int, timestamp_ms: int) -> Iterable[Output]:
        """The records that tell one event: none if it is dropped on purpose, several if it is routed to several topics."""

    def dead_letter(self, record: ConfigRecord, reason: Rejected, partition: int, timestamp_ms: int) -> Output:
        """The record that says why a command was refused."""

    def vital(self, vital: VitalRecord) -> Output:
        """One measurement of the system or of a twin."""
