"""One scenario, three ways: uninterrupted; saved and restored at every instant; forked half-way, both going on.

A script is a list of (sim_time, verb, arguments...) commands in time order: ("set", path, value), ("patch", {path: value}),
("spawn", flow) or ("spawn", flow, attributes), ("signal", name) or ("signal", name, payload), ("observe", {fields}).
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from models.blueprint import Blueprint
from models.commands import Observe
from models.errors import Rejected
from models.event_kinds import EVENT_KINDS
from twin_app.kernel import Emission, Twin

Script = Sequence[tuple[Any, ...]]


def blueprint(**parts: Any) -> Blueprint:
    return Blueprint.model_validate({"twin": "T", "seed": 7, **parts})


def through_text(snapshot: dict[str, Any]) -> dict[str, Any]:
    """The snapshot as another process would read it."""
    return json.loads(json.dumps(snapshot, allow_nan=False))


def apply(twin: Twin, command: tuple[Any, ...]) -> str | None:
    """Do one command; gives the code of a rejection."""
    _, verb, *arguments = command
    try:
        if verb == "set":
            twin.set([tuple(arguments)])
        elif verb == "patch":
            twin.set(list(arguments[0].items()))
        elif verb == "spawn":
            twin.spawn(*arguments)
        elif verb == "observe":
            twin.align(Observe.model_validate({"twin": twin.blueprint.twin, **arguments[0]}))
        elif verb == "signal":
            twin.signal(*arguments)
        else:
            raise AssertionError(verb)
    except Rejected as rejected:
        return rejected.code
    return None


class Play:
    """A twin, what remains of its script, and what it has told so far."""

    def __init__(self, twin: Twin, script: Script, until: float) -> None:
        self.twin = twin
        self.script = list(script)
        self.until = until
        self.told: list[Emission] = []
        self.rejected: list[str | None] = []

    def step(self) -> bool:
        """One command, or one calendar entry. A command goes before entries at the same time."""
        twin = self.twin
        due = self.script[0][0] if self.script else math.inf
        if self.script and due <= min(twin.next_time, self.until):
            twin.advance(due, inclusive=False)
            self.rejected.append(apply(twin, self.script.pop(0)))
        elif twin.next_time <= self.until and twin.next_time < math.inf:
            twin.advance(twin.next_time, budget=1)
        else:
            return False
        self.told += twin.drain()
        return True

    def fork(self) -> "Play":
        other = Play(Twin.restore(through_text(self.twin.snapshot())), self.script, self.until)
        other.told = list(self.told)
        other.rejected = list(self.rejected)
        return other

    def finish(self) -> "Play":
        while self.step():
            pass
        if self.until < math.inf:
            self.twin.advance(self.until)
        return self


def three_ways(model: Blueprint, script: Script = (), until: float = math.inf) -> Play:
    """Run it all three ways, insist that they agree, and give the uninterrupted one."""
    straight = Play(Twin(model), script, until)
    steps = 0
    while straight.step():
        steps += 1
        assert steps < 200_000, "the scenario does not end"
    straight.finish()
    for event in straight.told:
        documented(event)
    final = straight.twin.state_hash()

    restored = Play(Twin(model), script, until).fork()
    while restored.step():
        restored = restored.fork()
    restored.finish()
    same(restored, straight, final)

    original = Play(Twin(model), script, until)
    for _ in range(steps // 2):
        original.step()
    before = original.twin.state_hash()
    branch = original.fork()
    assert original.twin.state_hash() == before, "taking a fork changed the twin"
    branch.finish()
    assert original.twin.state_hash() == before, "a fork's future changed the twin"
    same(branch, straight, final)
    same(original.finish(), straight, final)
    return straight


def same(play: Play, expected: Play, state: str) -> None:
    assert play.told == expected.told
    assert [event.seq for event in play.told] == list(range(1, len(play.told) + 1)), "sequence numbers have a gap"
    assert play.rejected == expected.rejected
    assert play.twin.state_hash() == state
    assert play.twin.statistics() == expected.twin.statistics()


def documented(event: Emission) -> None:
    """A kind of the kernel's own has exactly the payload that models/event_kinds.py says."""
    if event.kind in EVENT_KINDS:
        EVENT_KINDS[event.kind].model_validate(event.payload)
    assert event.cause is None or event.cause < event.seq


def times(play: Play, kind: str, **payload: Any) -> list[float]:
    """When events of a kind were told (with these things in the payload)."""
    return [e.sim_time for e in play.told if e.kind == kind and payload.items() <= e.payload.items()]


def timeline(play: Play, *kinds: str) -> list[tuple[float, str, int | None]]:
    """(time, kind, entity) of the events of these kinds."""
    return [(e.sim_time, e.kind, e.entity) for e in play.told if e.kind in kinds]
