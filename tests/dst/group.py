"""The consumer group: who is a member, and which partitions are whose. Its picture of the world can be wrong: that is the point.

A member that is not heard of for the session time-out is no member any more, also when it is alive: cut off from the
coordinator or frozen, it goes on as an owner until somebody tells it, or until it is fenced.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.dst.worker import Worker

if TYPE_CHECKING:
    from tests.dst.world import World

REVOKE_MAX_S = 20.0
"""Rebalance time-out: a member that has not let go by then is left out."""


class Group:
    """The coordinator. Runs outside of every process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.members: dict[str, Worker] = {}
        self.cut: set[str] = set()
        """Workers whose heartbeats do not arrive."""
        self.assignment: dict[int, str] = {}
        self.rebalances = 0
        self.closed = False
        """The run is over: nobody joins any more."""
        self._pending = self._running = False

    @property
    def stable(self) -> bool:
        return not self._pending and not self._running

    def join(self, worker: Worker) -> None:
        """Asks for a new assignment, as a new member or one that is known."""
        if worker.running:
            delay_s = self.world.chance.uniform(0.01, 0.3)
            self.world.loop.later(delay_s, self._joined, worker, worker.process)

    def leave(self, worker: Worker) -> None:
        if self.members.pop(worker.name, None) is not None:
            self._trigger()

    def unheard(self, worker: Worker) -> None:
        """From now on nothing is heard of this worker."""
        process = worker.process
        self.world.loop.later(self.world.settings.session_timeout_s, self._expire, worker, process)

    def heard_again(self, worker: Worker) -> None:
        """Tell a worker that was thrown out meanwhile; it gives everything up and joins anew."""
        if self.members.get(worker.name) is not worker and worker.running:
            self.world.loop.later(self.world.chance.uniform(0.01, 0.5), self._tell, worker, worker.process)

    # -- inside

    def _joined(self, worker: Worker, process: object) -> None:
        if worker.process is process and worker.running and not self.closed:
            self.members[worker.name] = worker
            self._trigger()

    def _expire(self, worker: Worker, process: object) -> None:
        if worker.process is process and not worker.reachable:
            self.leave(worker)

    def _tell(self, worker: Worker, process: object) -> None:
        if worker.process is not process or self.closed:
            return
        if not worker.reachable:
            self.heard_again(worker)
        elif self.members.get(worker.name) is not worker:
            self.world.zombies += 1

            async def give_up() -> None:
                await worker.revoked()
                self.join(worker)

            worker.process.spawn(give_up(), "evicted")

    def _trigger(self) -> None:
        if not self._pending and not self.closed:
            self._pending = True
            self.world.loop.later(self.world.chance.uniform(0.01, 0.3), self._begin)

    def _begin(self) -> None:
        if self._running:
            self.world.loop.later(0.05, self._begin)
            return
        self._pending, self._running = False, True
        self.world.outside(self._rebalance())

    async def _rebalance(self) -> None:
        self.rebalances += 1
        self.members = {name: worker for name, worker in self.members.items() if worker.reachable}
        asked = {name: worker.process for name, worker in self.members.items()}
        tasks = {name: asked[name].spawn(worker.revoked(), "revoked") for name, worker in self.members.items()}
        if tasks:
            _, late = await asyncio.wait(tasks.values(), timeout=REVOKE_MAX_S)
            for name, task in tasks.items():
                if task in late and name in self.members and self.members[name].process is asked[name]:
                    self.heard_again(self.members.pop(name))
        members = {n: w for n, w in self.members.items() if n in tasks and w.process is asked[n] and w.reachable}
        for name in sorted(set(asked) - set(members)):
            if name in self.members and self.members[name].process is asked[name]:
                self.heard_again(self.members.pop(name))
        names = sorted(members)
        self.world.chance.shuffle(names)
        self.assignment = {p: names[p % len(names)] for p in range(self.world.settings.partitions)} if names else {}
        for name in names:
            mine = [p for p, owner in self.assignment.items() if owner == name]
            members[name].process.spawn(members[name].assigned(mine), "assigned")
        self._running = False
