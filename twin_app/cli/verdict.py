"""Whether a history is whole: nothing lost, nothing doubled, nothing changed. Pure; works on what a consumer has read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from twin_app.cli.golden import Golden
from twin_app.cli.history import PartitionHistory, Written
from twin_app.kernel.opening import MACHINE

Decode = Callable[[bytes | None], Mapping[str, Any]]
"""From the value of an event's record to its envelope's fields. Raises TwinError."""


class Finding(NamedTuple):
    """One thing that was looked at: what should hold, whether it does, and the figures or the first fault."""

    claim: str
    holds: bool
    detail: str


def judge(histories: Sequence[PartitionHistory], golden: Sequence[Golden], decode: Decode) -> list[Finding]:
    """Everything that is to hold of a history whose golden sequence is known. `golden` is in the order of `histories`."""
    events = {history.partition: [decode(record.value) for record in history.events] for history in histories}
    return [
        without_gap_or_duplicate(event for partition in sorted(events) for event in events[partition]),
        as_golden(histories, golden),
        every_command_answered(histories, events),
        every_job_accounted_for(events, golden),
    ]


def without_gap_or_duplicate(events: Iterable[Mapping[str, Any]]) -> Finding:
    """Per twin, the sequence numbers are 1, 2, 3, ... in the order in which a consumer gets the events."""
    claim = "no event is lost, doubled or out of order"
    last: dict[str, int] = {}
    for event in events:
        twin, seq = event["twin"], event["seq"]
        expected = last.get(twin, 0) + 1
        if seq != expected:
            what = "twice or out of order" if seq < expected else f"{seq - expected} missing before it"
            return Finding(claim, False, f"{twin}: event {seq} where {expected} should be ({what})")
        last[twin] = seq
    if not last:
        return Finding(claim, False, "there are no events at all")
    return Finding(claim, True, ", ".join(f"{twin}: 1 to {seq:,}" for twin, seq in sorted(last.items())))


def as_golden(histories: Sequence[PartitionHistory], golden: Sequence[Golden]) -> Finding:
    """The events are those of an undisturbed run of the same commands and ticks, byte for byte."""
    claim = "the events are those of an undisturbed run, byte for byte"
    compared = 0
    for history, undisturbed in zip(histories, golden, strict=True):
        for kind in ("events", "dead_letters"):
            fault = _first_difference(getattr(history, kind), getattr(undisturbed, kind))
            if fault is not None:
                return Finding(claim, False, f"partition {history.partition}, {kind.replace('_', ' ')}: {fault}")
        compared += len(history.events)
    ticks = sum(len(history.ticks) for history in histories)
    return Finding(claim, True, f"{compared:,} events compared, retold from {ticks:,} ticks of the clock topic")


def _first_difference(found: Sequence[Written], expected: Sequence[Written]) -> str | None:
    for number, (one, other) in enumerate(zip(found, expected, strict=False), 1):
        if one != other:
            parts = [name for name in Written._fields if getattr(one, name) != getattr(other, name)]
            return f"record {number} differs in its {' and '.join(parts)}"
    if len(found) != len(expected):
        return f"{len(found):,} records where {len(expected):,} should be"
    return None


def every_command_answered(histories: Sequence[PartitionHistory], events: Mapping[int, Sequence[Mapping[str, Any]]]) -> Finding:
    """accepted + refused = sent: each command is the cause of an event, or in a dead letter, or else was never applied."""
    claim = "every command is answered"
    accepted = refused = 0
    for history in histories:
        sent = {record.offset for record in history.commands}
        causes = {cause["offset"] for event in events[history.partition] if (cause := event["cause"])}
        letters = {orjson.loads(letter.value or b"{}").get("offset") for letter in history.dead_letters}
        unanswered = sorted(sent - causes - letters)
        if unanswered:
            detail = f"partition {history.partition}: nothing says what became of the command at offset {unanswered[0]}"
            return Finding(claim, False, detail)
        refused += len(sent & letters)
        accepted += len(sent - letters)
    return Finding(claim, True, f"{accepted + refused:,} sent, {accepted:,} applied, {refused:,} refused")


def every_job_accounted_for(events: Mapping[int, Sequence[Mapping[str, Any]]], golden: Sequence[Golden]) -> Finding:
    """created = left + in progress, by the events; and what is in progress by the events is in progress in the twin.

    Holds for twins that were not replaced on the way: a replaced one begins to count anew. What carries out a state machine is
    no job.
    """
    claim = "every job is accounted for: created = finished + in progress"
    told: dict[str, Counter[str]] = {}
    for listed in events.values():
        for event in listed:
            if not str(event["payload"].get("flow", "")).startswith(MACHINE):
                told.setdefault(event["twin"], Counter())[event["kind"]] += 1
    details = []
    for twin, jobs in sorted((twin, jobs) for one in golden for twin, jobs in one.jobs.items()):
        kinds = told.get(twin, Counter())
        created, left = kinds["entity-created"], kinds["entity-left"]
        if created != jobs["created"] or created - left != jobs["in_progress"]:
            present = f"the twin has {jobs['in_progress']} of {jobs['created']} in progress"
            detail = f"{twin}: by its events {created} created, {left} left; {present}"
            return Finding(claim, False, detail)
        details.append(f"{twin}: {created} = {left} + {jobs['in_progress']}")
    return Finding(claim, bool(details), ", ".join(details) or "there are no jobs at all")
