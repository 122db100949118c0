"""Everything together: the workers, the broker, the network, and what befalls them; one run from a plan to its rest."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from functools import cache
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from models.clock import Tick
from tests.dst.broker import Broker, Entry
from tests.dst.group import Group
from tests.dst.loop import Process, SimulatedLoop, Stuck
from tests.dst.network import Network, Weather
from tests.dst.plan import Blow, Plan, Send
from tests.dst.worker import TABLES, Worker
from tests.partition.world import T0_MS, PlainOutbox, read
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost
from twin_app.settings import Settings, load_settings
from twin_app.streaming.hosting import Rows

APP = "twin"
REST_MAX_S = 180.0
"""Simulated time after the last blow within which all must be done."""
LOOK_S = 0.25
SCRIPT_END_S = 2.0
"""A scripted run goes on until its last command has acted: twins start a second or two after the world."""


class PlainHosting:
    """Opens real partition hosts that write JSON: their events can be read without a registry."""

    follower = None

    def __init__(self, plan: Plan) -> None:
        self.settings = HostSettings(**plan.host)

    def open(self, partition: int, rows: Rows) -> PartitionHost:
        return PartitionHost.open(partition, rows, PlainOutbox(), read, self.settings)

    async def resolve(self, records: Sequence[ConfigRecord]) -> None:
        return


class World:
    """One simulation."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.loop = SimulatedLoop()
        self.chance = random.Random(plan.seed * 2 + 1)
        self.network = Network(self.loop, self.chance, plan.weather)
        self.broker = Broker(lambda call: self.loop.later(self.chance.uniform(0.0, 0.05), call) and None, self.loop.time)
        self.settings = _settings(plan)
        self.hosting = PlainHosting(plan)
        self.group = Group(self)
        self.workers = [Worker(self, f"w{n}") for n in range(plan.workers)]
        self.rough = True
        self.zombies = 0
        self.ends: list[str] = []
        """Processes that ended themselves, and why."""
        self.exits: Counter[str] = Counter()
        self._known_dead: set[Process] = set()
        self._away_s: dict[str, float] = {}
        """How long a killed worker stays away."""

    # -- names

    def changelog(self, table: str) -> str:
        return f"{APP}-{table}-changelog"

    def config(self, partition: int) -> TopicPartition:
        return TopicPartition(self.settings.config_topic, partition)

    def topic(self, name: str, partition: int) -> TopicPartition:
        return TopicPartition(name, partition)

    # -- the run

    def run(self) -> None:
        """From the first process to rest. Raises Stuck."""
        try:
            self.loop.run_until_complete(self._run())
        finally:
            self.network.closed = True
            self.loop.wind_up()

    def outside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that belongs to no process. It must not fail."""
        task = self.loop.create_task(work, context=self.loop.outside.copy())
        task.add_done_callback(lambda task: None if task.cancelled() else task.result(), context=self.loop.outside)

    def ended(self, worker: Worker, code: int, event: str, error: BaseException) -> None:
        """A process says that it ends itself."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        _, others = BaseExceptionGroup("", [error]).split(KafkaError)
        self.exits[event if others is None else f"{event}-{type(error).__name__}"] += 1
        if others is not None:
            self.loop.faults.append({"message": f"{event} ({code})", "exception": error})
        self.ends.append(f"{self.loop.now:.3f} {worker.process.name} {event} ({code}): {type(error).__name__}: {error}")

    async def _run(self) -> None:
        plan, loop = self.plan, self.loop
        for p in range(plan.partitions):
            for topic in (self.settings.config_topic, self.settings.clock_topic, *map(self.changelog, TABLES)):
                self.broker.log(TopicPartition(topic, p))
        for worker in self.workers:
            loop.later(self.chance.uniform(0.0, 0.5), worker.start)
        for send in plan.sends:
            loop.later(send.at_s, self._send, send)
        for blow in plan.blows:
            loop.later(blow.at_s, self._strike, blow)
        end = plan.rough_s
        while loop.now < end and not self.loop.faults:
            await asyncio.sleep(LOOK_S)
            self._watch()
        self._repair()
        for _ in range(int(REST_MAX_S / LOOK_S)):
            await asyncio.sleep(LOOK_S)
            self._watch()
            if self.loop.faults:
                return
            if self._at_rest():
                break
        else:
            raise Stuck(f"not at rest {REST_MAX_S:.0f} s after the last blow: {self._where()}")
        await self._stop_all()

    def _watch(self) -> None:
        """Find processes that died, and transactions that were open for too long."""
        self.broker.expire()
        for worker in self.workers:
            if worker.process.dead and worker.starts and worker.process not in self._known_dead:
                self._known_dead.add(worker.process)
                worker.disk.after_a_crash(self.chance, self.network)
                self.group.unheard(worker)
                away_s = self._away_s.pop(worker.name, self.chance.uniform(0.05, 2.5))
                self.loop.later(away_s, self._restart, worker, worker.process)

    def _restart(self, worker: Worker, process: Process) -> None:
        if worker.process is process:
            self.group.cut.discard(worker.name)
            worker.start()

    def _send(self, send: Send) -> None:
        tp = self.config(send.partition)
        timestamp_ms = T0_MS + round(self.loop.now * 1000)
        if not send.aborted:
            self.broker.write(tp, timestamp_ms, send.key, send.value)
            return
        name = f"commander-{send.at_s}"
        epoch = self.broker.init_producer(name, 60.0)
        self.broker.add_partitions(name, epoch, [tp])
        self.broker.produce(name, epoch, tp, 0, [Entry(-1, timestamp_ms, send.key, send.value)])

        def abort() -> None:
            if self.broker.ids[name].epoch == epoch:
                self.broker.end_transaction(name, epoch, False)

        self.loop.later(self.chance.uniform(0.0, 1.0), abort)

    # -- blows

    def _strike(self, blow: Blow) -> None:
        worker = self.workers[blow.worker]
        self.network.hits[blow.kind] += 1
        match blow.kind:
            case "kill":
                worker.process.kill()
                self._away_s[worker.name] = blow.amount
            case "freeze":
                if worker.running:
                    worker.process.freeze()
                    self.group.unheard(worker)
                    self.loop.later(blow.amount, self._thaw, worker, worker.process)
            case "cut":
                self.group.cut.add(worker.name)
                self.group.unheard(worker)
                self.loop.later(blow.amount, self._mend, worker)
            case "stop":
                if worker.reachable:
                    self.outside(self._stop(worker))
            case "broker-down":
                self.network.down = True
                self.loop.later(blow.amount, self._broker_up)
            case "wall-step":
                worker.skew_s += blow.amount
            case "compact":
                for tp, log in self.broker.logs.items():
                    if tp.topic.endswith("-changelog"):
                        log.compact()
            case "group-offsets":
                self._spoil_group_offsets()
            case "rejoin":
                if worker.running:
                    self.group.join(worker)
            case "expire":
                for known in self.broker.ids.values():
                    known.opened_at -= known.timeout_s

    def _spoil_group_offsets(self) -> None:
        """They expire, or somebody sets them by hand."""
        for place in sorted(self.broker.group_offsets):
            if self.chance.random() < 0.5:
                del self.broker.group_offsets[place]
            else:
                self.broker.group_offsets[place] = self.chance.randint(0, self.broker.log(place[1]).end)

    def _thaw(self, worker: Worker, process: Process) -> None:
        if worker.process is process and process.frozen:
            process.thaw()
            self.group.heard_again(worker)

    def _mend(self, worker: Worker) -> None:
        if worker.name in self.group.cut:
            self.group.cut.discard(worker.name)
            self.group.heard_again(worker)

    def _broker_up(self) -> None:
        self.network.down = False

    async def _stop(self, worker: Worker) -> None:
        """A graceful end, and a start some time later."""
        process = worker.process
        await asyncio.wait([process.spawn(worker.stopped(), "stopped")], timeout=30.0)
        if worker.process is process and worker.running:
            process.kill()
            self._known_dead.add(process)
            self.group.leave(worker)
            self.loop.later(self.chance.uniform(0.05, 1.0), self._restart, worker, process)

    # -- rest

    def _repair(self) -> None:
        """The blows are over. One more command per partition shows a loss at the end of the log."""
        self.rough = False
        self.network.weather = Weather()
        self.network.down = False
        for worker in self.workers:
            worker.skew_s = 0.0
            self._thaw(worker, worker.process)
            self._mend(worker)
        for p in range(self.plan.partitions):
            value = b'{"kind": "set", "path": "variables.mode", "value": "rest"}'
            self._send(Send(self.loop.now, p, b"nobody", value))

    def _at_rest(self) -> bool:
        if not self.group.stable or not all(worker.reachable for worker in self.workers):
            return False
        for p in range(self.plan.partitions):
            ticks = [*self.broker.log(TopicPartition(self.settings.clock_topic, p)).committed()]
            config = self.broker.log(self.config(p))
            if config.stable_end != config.end or not ticks:
                return False
            last = max(entry.offset for entry in config.committed())
            if Tick.from_bytes(ticks[-1].value or b"").next_offset <= last:
                return False
        return self.loop.now >= self.plan.last_at + SCRIPT_END_S

    async def _stop_all(self) -> None:
        self.group.closed = True
        for _ in range(int(REST_MAX_S / LOOK_S)):
            if self.group.stable:
                break
            await asyncio.sleep(LOOK_S)
        tasks = [worker.process.spawn(worker.stopped(), "stopped") for worker in self.workers if worker.running]
        _, late = await asyncio.wait(tasks, timeout=60.0)
        if late or any(task.exception() for task in tasks):
            raise Stuck(f"a worker does not stop: {tasks}, {self._where()}")
        await asyncio.sleep(1.0)

    def _where(self) -> str:
        owners = {p: driver.state for w in self.workers if w.running for p, driver in w.partitions.drivers.items()}
        return f"owners {self.group.assignment}, drivers {owners}, ended: {self.ends[-3:]}"


def _settings(plan: Plan) -> Settings:
    return _usual_settings().model_copy(update={"partitions": plan.partitions, **plan.settings})


@cache
def _usual_settings() -> Settings:
    """Read once: it takes as long as a tenth of a simulation."""
    return load_settings({}, app_id=APP, session_timeout_s=1.5, request_timeout_s=5.0)
