"""The story that the demo plays: a machine breaks, a worker is killed, and the line goes on as if nothing had happened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from models.commands import Register
from twin_app.cli.demo.line_state import LineState
from twin_app.cli.demo.plant import BROKEN_LINE, NEIGHBOUR_ORDERS, ORDERS, SECONDS_PER_MINUTE, line, neighbour_on, partition_of
from twin_app.cli.demo.processes import Process
from twin_app.cli.demo.stage import PARTITIONS, WORKERS_START_S, Stage
from twin_app.cli.demo.tale import Tale, Tell

STEP_S = 25.0
"""Longest wait for the next turn of the story."""
END_S = 45.0
OUTAGE_BEFORE_KILL_QUEUE = 4
"""The worker is killed when so many wait before the broken machine: everybody has seen it by then."""


class Story(Tale):
    """Plays on a stage that is open. `lines` is what the events have said so far."""

    def __init__(self, stage: Stage, tell: Tell, heard: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(stage, tell, heard, workers=2)
        self.lines: dict[str, LineState] = {}

    def pictures(self) -> list[str]:
        return [state.picture() for state in self.lines.values()]

    async def _scenes(self, writer: AIOKafkaProducer, listening: asyncio.Future[None]) -> None:
        stage = self.stage
        partition = partition_of(BROKEN_LINE, PARTITIONS)
        victim = stage.owners[partition]
        survivor = next(worker for worker in stage.workers if worker is not victim)
        neighbour = neighbour_on(stage.partitions_of(survivor), PARTITIONS)
        self.lines = {name: LineState(name) for name in (BROKEN_LINE, neighbour)}
        orders = {BROKEN_LINE: ORDERS, neighbour: NEIGHBOUR_ORDERS}
        broken = self.lines[BROKEN_LINE]

        async def until(holds: Callable[[], bool], what: str, timeout_s: float = STEP_S) -> None:
            await self._until(holds, timeout_s, what, listening)

        if survivor in stage.pages:
            self.tell(
                "demo", f"to watch it in a browser: {stage.pages[survivor]}#{BROKEN_LINE} (`twin demo --stay` keeps it running)"
            )
        self.tell("you", f"register {BROKEN_LINE}, to live on {victim.name}, and {neighbour}, on {survivor.name}")
        self.tell("you", f"a minute there takes {SECONDS_PER_MINUTE:g} s here")
        for name, interarrival in ((BROKEN_LINE, 4.0), (neighbour, 5.0)):
            blueprint = line(name, interarrival=interarrival, orders=orders[name]).model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            )
            register = Register(twin=name, blueprint=blueprint).model_dump(exclude_defaults=True)
            await self._send(writer, name, orjson.dumps({"kind": "register", **register}))
        await until(lambda: broken.waiting["b"] >= 2 and broken.busy["b"] == 1, "a queue before machine B")

        self.tell("you", "MACHINE B BREAKS: its capacity is set to 0 by a command on the config topic")
        await self._send(writer, BROKEN_LINE, orjson.dumps({"path": f"{BROKEN_LINE}.resources.b.capacity", "value": 0}))
        await until(lambda: not broken.capacity["b"], "the change of B's capacity")
        await until(
            lambda: broken.waiting["b"] >= OUTAGE_BEFORE_KILL_QUEUE and "c" in broken.starving,
            "the queue at B growing and C starving",
        )

        await self._kill(victim, survivor, partition, broken, until)
        self.tell("you", "MACHINE B IS BACK, with a second one beside it: capacity 2")
        await self._send(writer, BROKEN_LINE, orjson.dumps({"path": f"{BROKEN_LINE}.resources.b.capacity", "value": 2}))
        replacement = stage.start_worker()
        self.tell("you", f"start a worker in place of the dead one (pid {replacement.pid})")
        await until(lambda: stage.all_hosted_by(survivor, replacement), "the new worker taking its share", WORKERS_START_S)
        self.tell(
            "plant", f"{replacement.name} hosts partitions {stage.partitions_of(replacement)} now, {survivor.name} the rest"
        )
        await until(lambda: all(state.left >= orders[name] for name, state in self.lines.items()), "the last order packed", END_S)
        self.tell("plant", "all orders are packed, on both lines")

    async def _kill(self, victim: Process, survivor: Process, partition: int, broken: LineState, until: Any) -> None:
        killed_at, seq = time.monotonic(), broken.seq
        victim.kill()
        self.stage.owners = {p: owner for p, owner in self.stage.owners.items() if owner is not victim}
        self.tell(
            "you",
            f"kill -9 {victim.pid}: {victim.name} is dead, with {broken.created - broken.left} jobs in progress on {BROKEN_LINE}",
        )
        await until(lambda: self.stage.owners.get(partition) is survivor, f"{survivor.name} taking over")
        ready = self.stage.replayed[partition]
        self.tell(
            "plant",
            f"{survivor.name} took {BROKEN_LINE} over {time.monotonic() - killed_at:.1f} s after the kill: "
            f"last checkpoint, then {ready.get('replayed_ticks')} ticks of the clock replayed in {ready.get('took_ms')} ms",
        )
        self.tell("plant", "what happened meanwhile is told now, each event at its own minute")
        await until(lambda: broken.seq > seq, f"events of {BROKEN_LINE} after the takeover")

    def _take_in(self, event: dict[str, Any]) -> None:
        state = self.lines.get(event["twin"])
        sentence = state.hear(event) if state is not None else None
        if state is not None and sentence is not None and state.twin == BROKEN_LINE:
            self.tell(f"{state.twin} {state.sim_time:6.1f}", sentence)
