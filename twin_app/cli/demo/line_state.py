"""What the events say about a line: who waits where, who is served, what is finished. And the sentences worth telling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from twin_app.cli.words import shown

MACHINES = ("a", "b", "c")
ORDERS_PER_SENTENCE = 5
"""Finished orders are told five at a time: one sentence each would hide the story."""


class LineState:
    """One line as an observer sees it who has nothing but the events."""

    def __init__(self, twin: str) -> None:
        self.twin = twin
        self.sim_time = 0.0
        self.seq = 0
        self.created = self.left = 0
        self.waiting: Counter[str] = Counter()
        self.busy: Counter[str] = Counter()
        self.capacity = dict.fromkeys(MACHINES, 1)
        self.starving: set[str] = set()
        self._told_queue = 0

    def hear(self, event: Mapping[str, Any]) -> str | None:
        """Take in one event; a sentence if it is worth one."""
        kind, payload, entity = event["kind"], event["payload"], event["entity"]
        self.sim_time, self.seq = event["sim_time"], event["seq"]
        machine = payload.get("resource")
        match kind:
            case "twin-registered":
                return "the line begins to live"
            case "entity-created":
                self.created += 1
                return "the first order comes in" if self.created == 1 else None
            case "entity-queued":
                self.waiting[machine] += 1
            case "entity-started":
                self.waiting[machine] -= 1
                self.busy[machine] += 1
            case "entity-finished":
                self.busy[machine] -= 1
                if not self.capacity[machine] and not self.busy[machine]:
                    return f"job {entity}, which was in service at {machine.upper()}, is done there; nothing new starts"
            case "entity-left":
                self.left += 1
                if self.left % ORDERS_PER_SENTENCE == 0:
                    return f"{self.left} orders are packed"
            case "parameter-changed":
                return self._changed(payload)
            case _:
                return self._watched(kind, machine, payload)
        return None

    def _changed(self, payload: Mapping[str, Any]) -> str:
        path, new = payload["path"], payload["new"]
        if path.startswith("resources.") and path.endswith(".capacity"):
            machine = path.split(".")[1]
            self.capacity[machine] = int(new)
            busy, waiting = self.busy[machine], self.waiting[machine]
            return f"machine {machine.upper()}: capacity {payload['old']} -> {new}, with {busy} in service and {waiting} waiting"
        return f"{path}: {shown(payload['old'])} -> {shown(new)}"

    def _watched(self, kind: str, machine: str | None, payload: Mapping[str, Any]) -> str | None:
        name = (machine or "").upper()
        if kind == "queue-growing":
            return f"the queue before {name} grows: {payload['queue']} waiting"
        if kind == "bottleneck-formed":
            return f"{name} is a bottleneck: {payload['queue']} waiting"
        if kind == "bottleneck-cleared":
            return f"{name} is no bottleneck any more"
        if kind == "resource-starving" and machine is not None:
            self.starving.add(machine)
            return f"{name} starves: nothing to work on"
        if kind == "resource-fed" and machine is not None:
            self.starving.discard(machine)
            return f"{name} has work again"
        return None

    def picture(self) -> str:
        """The line in one row: `A [1]  ....> B [x]  > C [ ]`; dots wait, a number is in service, x is closed."""
        parts = []
        for machine in MACHINES:
            queue = "." * min(self.waiting[machine], 25)
            inside = "x" if not self.capacity[machine] and not self.busy[machine] else str(self.busy[machine] or " ")
            parts.append(f"{queue}{machine.upper()}[{inside}]")
        return f"{self.twin}  minute {self.sim_time:5.1f}  {' -> '.join(parts)}  {self.left} packed"
