"""From what the kernel emits to the events of a twin: names, calendar times, causes; and the answers to commands.

Every event passes through here, so the common way is kept short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from models.events import EventRecord
from twin_app.kernel import Emission
from twin_app.switchboard.board import Board, Change, Source
from twin_app.switchboard.timescale import TimeScale

PARAMETER_CHANGED = "parameter-changed"

_new = tuple.__new__


class Answer(NamedTuple):
    """What the events that answer a command say besides their own: the versions of its changes, and `extra`."""

    source: Source | None
    extra: Mapping[str, Any]
    changes: Sequence[Change] = ()


def acknowledgement(late: bool, command_id: str | None) -> dict[str, Any]:
    """What every acknowledging event says besides its own."""
    extra: dict[str, Any] = {"late": True} if late else {}
    return extra | ({"command": command_id} if command_id is not None else {})


def events_of(
    emissions: Sequence[Emission], twin: str, scale: TimeScale, earlier: int, board: Board, answer: Answer | None
) -> list[EventRecord]:
    """The events, in order. `earlier`: sequence numbers that were used before the kernel's first.

    Those without a cause have the answer's source. A change that is not the answer's was made by the model; the board is told.
    """
    if len(emissions) == 1 and answer is not None and len(answer.changes) == 1:
        seq, sim_time, kind, entity, cause, payload = emissions[0]
        change = answer.changes[0]
        if kind == PARAMETER_CHANGED and cause is None and payload["path"] == change.path:  # what nearly every command comes to
            payload = {**payload, "version": change.version, **answer.extra}
            us = scale.event_time_us(sim_time)
            return [_new(EventRecord, (twin, seq + earlier, sim_time, us, kind, entity, answer.source, payload))]
    events: list[EventRecord] = []
    add, event_time_us = events.append, scale.event_time_us
    source = answer.source if answer is not None else None
    waiting = list(answer.changes)[::-1] if answer is not None else []
    extra = answer.extra if answer is not None and not waiting else None
    last_time, last_us = -1.0, 0
    for seq, sim_time, kind, entity, cause, payload in emissions:
        if kind == PARAMETER_CHANGED:
            if waiting and cause is None and payload["path"] == waiting[-1].path and answer is not None:
                payload = {**payload, "version": waiting.pop().version, **answer.extra}
            else:
                payload = {**payload, "version": board.changed(payload["path"], sim_time)}
        elif extra and cause is None:
            payload, extra = {**payload, **extra}, None
        if sim_time != last_time:
            last_time, last_us = sim_time, event_time_us(sim_time)
        because = source if cause is None else cause + earlier
        add(_new(EventRecord, (twin, seq + earlier, sim_time, last_us, kind, entity, because, payload)))
    return events
