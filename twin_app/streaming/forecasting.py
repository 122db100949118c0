"""Forecasts beside the cycles: what is committed asks for them, a pool of processes makes them, their own producer sends them.

A forecast is derived data. It is not part of a cycle's transaction, may be lost with its worker, and may come twice; its id tells
so. The producer is idempotent, so that no single sending doubles a record. A partition is never held up: its state is saved
between two cycles, all else is done elsewhere.

When a worker dies, the next owner of a partition answers the requests of the last minute again as far as its replay goes over
them: a `forecast` command under its own trigger, a change under `takeover`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from models.blueprint import Blueprint
from models.commands import Advance, Forecast, Patch, Register, Remove, duration_s
from models.errors import TwinError
from models.forecasts import ForecastRecord
from topics.confluent import ConfluentAvro
from topics.registry import SchemaRegistry
from twin_app.forecast import (
    Desk,
    DeskLimits,
    Effort,
    Feed,
    ForkPool,
    PoolLimits,
    Published,
    Reason,
    Request,
    Revised,
    State,
)
from twin_app.forecast.standing import reach
from twin_app.partition import Accepted, Cycle, PartitionHost
from twin_app.partition.cell import Cell
from twin_app.settings import Settings
from twin_app.streaming import driver as drivers
from twin_app.streaming.alerting import Alerting
from twin_app.streaming.connections import connection, largest_message, side_consumer
from twin_app.streaming.driver import PartitionDriver
from twin_app.streaming.enquiries import Enquiries, Found
from twin_app.streaming.scoring import Scoring
from twin_app.switchboard.timescale import UNIT_S

FRESH_S = 60.0
"""Changes older than this ask for no forecast: the twin is catching up, and what follows is in the log already."""
CHANGES_UNDONE_MAX = 100
"""Paths beyond which a change is not compared with how it would have been without it."""
WITHOUT = "without the change"
"""The scenario of a change's forecast that undoes it: the difference is the change's effect, with its sign turned."""
LOOK_S = 1.0
"""Between two looks at how far the twins' simulation times have come."""
TWINS_A_TURN = 500
"""Twins looked at on a schedule before the event loop has its turn."""

log = structlog.get_logger(__name__)


class Forecasting:
    """The forecasts of one worker. `enquiries`: asking and reading here, in the worker's own process."""

    def __init__(self, settings: Settings, registry: SchemaRegistry) -> None:
        self._settings = settings
        self._topic = settings.topics.forecasts.name
        self._avro = ConfluentAvro(ForecastRecord, registry, topic=self._topic)
        self._pool = ForkPool(settings.forecast_workers, PoolLimits(settings.forecast_memory_mb, settings.forecast_task_limit_s))
        self._producer: AIOKafkaProducer | None = None
        self._desk: Desk | None = None
        self._drivers: dict[int, PartitionDriver] = {}
        self._early: list[Request] = []
        self._seen: dict[str, int] = {}
        self._input_ms: dict[str, int] = {}
        """Timestamp of the last command of each twin since it is here."""
        self._tasks: list[asyncio.Task[None]] = []
        self.observe: Callable[[Request, Revised], None] | None = None
        """Told of every revision before it is sent."""
        self._feed = Feed()
        self.alerting = Alerting(settings, registry, lambda partition: bool(self._asking.get(partition)))
        self._asking: dict[int, dict[str, _Look]] = {}
        """By partition, the twins that have standing questions."""
        self._scoring = Scoring(settings, registry, lambda: list(self._drivers))
        self.enquiries = Enquiries(self._feed, self._avro, self._find, lambda: self._desk, self._on_enquiry, self._scoring.card)

    # -- figures
    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        return len(self._early) if self._desk is None else self._desk.waiting

    @property
    def dropped(self) -> int:
        """Requests dropped since too many waited."""
        return 0 if self._desk is None else self._desk.dropped

    @property
    def processes(self) -> int:
        """Processes for forks, once they are started."""
        return 0 if self._desk is None else self._pool.size

    # -- life
    async def prepare(self) -> None:
        """Register the schema; then start the processes beside everything else. Raises TwinError `incompatible-schema`."""
        await self._avro.prepare()
        await self.alerting.prepare()
        self._tasks.append(asyncio.create_task(self._start(), name="forecasts-start"))

    async def _start(self) -> None:
        started = time.monotonic()
        producer = AIOKafkaProducer(
            **connection(self._settings),
            enable_idempotence=True,
            acks="all",
            linger_ms=0,
            max_request_size=largest_message(self._settings),
            compression_type=self._settings.compression_type,
        )
        await _until_it_works(producer.start, self._settings.bootstrap_servers)
        self._producer = producer
        await _until_it_works(self._pool.start, "processes for forks")
        limits = DeskLimits(
            debounce_s=self._settings.forecast_debounce_ms / 1000, effort=Effort(budget_s=self._settings.forecast_budget_s)
        )
        self._desk = Desk(self._pool, self._publish, self._avro.schema_id, self._avro.encode, limits)
        self._desk.start()
        for request in self._early:
            self._desk.ask(request)
        self._early.clear()
        log.info("forecasts-ready", processes=self._pool.size, took_ms=round((time.monotonic() - started) * 1000))
        if self._settings.forecast_interval_s:
            self._tasks.append(asyncio.create_task(self._on_schedule(), name="forecasts-on-schedule"))
        if self._settings.forecast_every:
            every_s = duration_s(self._settings.forecast_every)
            self._tasks.append(asyncio.create_task(self._as_time_passes(every_s), name="forecasts-as-time-passes"))
        self._tasks.append(asyncio.create_task(self._alert(producer), name="alerts"))
        if self._settings.question_interval_s:
            self._tasks.append(asyncio.create_task(self._on_questions(), name="standing-questions"))
        if self._settings.scorecard_interval_s:
            self._tasks.append(asyncio.create_task(self._score(producer), name="scorecards"))

    async def _score(self, producer: AIOKafkaProducer) -> None:
        client = side_consumer(self._settings)
        try:
            await _until_it_works(client.start, self._settings.bootstrap_servers)
            await self._scoring.run(client, producer)
        finally:
            await client.stop()

    async def _alert(self, producer: AIOKafkaProducer) -> None:
        client = side_consumer(self._settings)
        try:
            await _until_it_works(client.start, self._settings.bootstrap_servers)
            await self.alerting.run(client, producer)
        finally:
            await client.stop()

    async def close(self) -> None:
        """End the processes; forecasts under way are not finished."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._desk is not None:
            await self._desk.close()
        await self._pool.close()
        if self._producer is not None:
            await self._producer.stop()

    # -- what the partitions tell
    def opened(self, driver: PartitionDriver) -> None:
        self._drivers[driver.partition] = driver
        self.alerting.opened(driver)
        if isinstance(driver.host, PartitionHost):
            self._note_questions(driver, driver.host.cells)
            self._note_inputs(driver.host.unanswered)
            recent = [accepted for accepted in driver.host.unanswered if _age_s(accepted.timestamp_ms) < FRESH_S]
            driver.host.unanswered.clear()
            self._ask_all(driver, recent, "takeover")

    def committed(self, driver: PartitionDriver, cycle: Cycle) -> None:
        if cycle.accepted:
            self._note_inputs(cycle.accepted)
            self._note_questions(driver, [one.twin for one in cycle.accepted if isinstance(one.command, Register | Remove)])
            self._ask_all(driver, cycle.accepted, "change")

    def closed(self, driver: PartitionDriver) -> None:
        self._drivers.pop(driver.partition, None)
        self._asking.pop(driver.partition, None)
        self.alerting.closed(driver.partition)
        if isinstance(driver.host, PartitionHost):
            for twin in driver.host.cells:
                self._feed.forget(twin)
                self._input_ms.pop(twin, None)
        self._early = [request for request in self._early if request.partition != driver.partition]
        if self._desk is not None:
            self._desk.forget(driver.partition)

    def _note_inputs(self, accepted: Iterable[Accepted]) -> None:
        for one in accepted:
            if isinstance(one.command, Remove):
                self._input_ms.pop(one.twin, None)
            else:
                self._input_ms[one.twin] = one.timestamp_ms

    def _note_questions(self, driver: PartitionDriver, twins: Iterable[str]) -> None:
        """Which of these twins have standing questions now."""
        assert isinstance(driver.host, PartitionHost)
        asking = self._asking.setdefault(driver.partition, {})
        for twin in twins:
            cell = driver.host.cells.get(twin)
            if cell is None or cell.live is None or not cell.live.twin.blueprint.questions:
                asking.pop(twin, None)
            else:
                asking[twin] = _Look()

    # -- asking
    def _ask_all(self, driver: PartitionDriver, accepted: Iterable[Accepted], reason: Reason) -> None:
        changed: dict[str, list[Accepted]] = {}
        for one in accepted:
            if isinstance(one.command, Forecast):
                self._ask(self._on_command(driver, one, one.command))
            elif not isinstance(one.command, Advance | Remove) and _age_s(one.timestamp_ms) < FRESH_S:
                changed.setdefault(one.twin, []).append(one)
        for changes in changed.values():
            self._ask(self._on_change(driver, changes, reason))

    def _ask(self, request: Request) -> None:
        if self._desk is not None:
            self._desk.ask(request)
        elif len(self._early) < DeskLimits().waiting_max:
            self._early.append(request)

    def _on_command(self, driver: PartitionDriver, accepted: Accepted, command: Forecast) -> Request:
        request = self._request(driver, accepted.twin, "command", accepted.offset, command.horizon_units)
        request.scenarios = command.scenarios
        return _caused(request, self._settings.config_topic, accepted)

    def _on_enquiry(self, driver: PartitionDriver, command: Forecast, mark: int) -> Request:
        request = self._request(driver, command.twin, "api", mark, command.horizon_units)
        request.scenarios = command.scenarios
        return request

    def _find(self, twin: str) -> Found:
        """Where a twin lives that can be asked. Raises TwinError."""
        for driver in self._drivers.values():
            cell = driver.host.cells.get(twin) if isinstance(driver.host, PartitionHost) else None
            if cell is not None and cell.live is not None:
                if not cell.running:
                    raise TwinError("twin-stands-still", "the twin is quarantined", place=twin, remedy="see its last events")
                return driver, cell.live
        raise TwinError(
            "not-hosted-here",
            f"this worker does not host a twin {twin!r}",
            place=twin,
            remedy="ask the worker that does, or send a forecast command to the config topic",
        )

    def _on_change(self, driver: PartitionDriver, changes: list[Accepted], reason: Reason) -> Request:
        last = changes[-1]
        request = self._request(driver, last.twin, reason, last.offset, self._own_horizon())
        before = {path: value for one in reversed(changes) for path, value in one.before.items()}
        if before and len(before) <= CHANGES_UNDONE_MAX and reason == "change":
            request.scenarios = {WITHOUT: [Patch(twin=last.twin, changes=before)]}
        return _caused(request, self._settings.config_topic, last)

    def _request(
        self, driver: PartitionDriver, twin: str, reason: Reason, mark: int, horizon: Callable[[float], float]
    ) -> Request:
        async def take() -> State | None:
            return await self._state(driver, twin)

        return Request(twin, driver.partition, reason, mark, take, horizon)

    def _own_horizon(self) -> Callable[[float], float]:
        seconds = duration_s(self._settings.forecast_horizon)
        return lambda unit_s: seconds / unit_s

    async def _state(self, driver: PartitionDriver, twin: str) -> State | None:
        """The twin as it is committed; None if it is not here (any more)."""
        async with driver.settled:
            host = driver.host
            gone = self._drivers.get(driver.partition) is not driver or driver.state is drivers.State.LOST
            if gone or not isinstance(host, PartitionHost):
                return None
            snapshot = host.state_of(twin)
            if snapshot is None:
                return None
            now_us = time.time_ns() // 1000
            due_us = host.next_due_us()
            lag_s = 0.0 if due_us is None else max(0.0, (now_us - due_us) / 1e6)
            self._seen[twin] = host.cells[twin].seq
            offset = host.position.next_offset - 1 if host.position.next_offset else None
            return State(snapshot, offset, lag_s, self._input_ms.get(twin), now_us)

    # -- on a schedule
    async def _on_schedule(self) -> None:
        """Every interval, each twin in which something happened since its last forecast: an idle twin costs nothing."""
        while True:
            await asyncio.sleep(self._settings.forecast_interval_s)
            self._seen = {twin: seq for twin, seq in self._seen.items() if self._hosted(twin)}
            mark = time.time_ns() // 1_000_000
            async for driver, twin, cell in self._running():
                if self._seen.get(twin) != cell.seq:
                    self._ask(self._request(driver, twin, "schedule", mark, self._own_horizon()))

    async def _as_time_passes(self, every_s: float) -> None:
        """Each twin whose simulation time has come past the next multiple of `every_s`, looked at once in `LOOK_S`."""
        reached: dict[str, int] = {}
        while True:
            await asyncio.sleep(LOOK_S)
            reached = {twin: number for twin, number in reached.items() if self._hosted(twin)}
            mark = time.time_ns() // 1_000_000
            async for driver, twin, cell in self._running():
                if cell.live is None:
                    continue
                number = int(cell.live.now * UNIT_S[cell.live.twin.blueprint.time.unit] // every_s)
                if number > reached.setdefault(twin, number):
                    self._ask(self._request(driver, twin, "schedule", mark, self._own_horizon()))
                reached[twin] = number

    async def _on_questions(self) -> None:
        """Twins with standing questions, each so often, unless nothing has happened in them since these were answered."""
        while True:
            await asyncio.sleep(min(LOOK_S, self._settings.question_interval_s))
            mark, now = time.time_ns() // 1_000_000, time.monotonic()
            for driver in list(self._drivers.values()):
                if not isinstance(driver.host, PartitionHost) or driver.state is not drivers.State.LIVE:
                    continue
                for twin, look in list(self._asking.get(driver.partition, {}).items()):
                    cell = driver.host.cells.get(twin)
                    if now < look.next_s or cell is None or cell.live is None or not cell.running or look.answered == cell.seq:
                        continue
                    look.next_s = now + self._settings.question_interval_s
                    horizon = self._questions_horizon(cell.live.twin.blueprint)
                    self._ask(self._request(driver, twin, "question", mark, horizon))

    def _questions_horizon(self, blueprint: Blueprint) -> Callable[[float], float]:
        own = self._own_horizon()
        return lambda unit_s: reach(blueprint, own(unit_s))

    async def _running(self) -> AsyncIterator[tuple[PartitionDriver, str, Cell]]:
        """All twins that are live here, with a turn for the event loop in between."""
        looked = 0
        for driver in list(self._drivers.values()):
            if not isinstance(driver.host, PartitionHost) or driver.state is not drivers.State.LIVE:
                continue
            for twin, cell in list(driver.host.cells.items()):
                looked += 1
                if looked % TWINS_A_TURN == 0:
                    await asyncio.sleep(0)
                if cell.running:
                    yield driver, twin, cell

    def _hosted(self, twin: str) -> bool:
        hosts = (driver.host for driver in self._drivers.values())
        return any(isinstance(host, PartitionHost) and twin in host.cells for host in hosts)

    # -- sending
    async def _publish(self, request: Request, revised: Revised) -> None:
        """Send one revision. What cannot be sent is lost, with a word: a newer one comes."""
        assert self._producer is not None
        if self.observe is not None:
            self.observe(request, revised)
        request.answered = True
        self._feed.put(Published(request.twin, request.trigger, revised))
        body = revised.body
        try:
            await self._producer.send_and_wait(self._topic, body, key=request.twin.encode(), partition=request.partition)
        except KafkaError as error:
            log.warning("forecast-not-sent", twin=request.twin, trigger=request.trigger, error=str(error))
            return
        if revised.told is not None and (revised.final or revised.deterministic):
            await self._judge(request, revised.told)

    async def _judge(self, request: Request, told: dict[str, Any]) -> None:
        """Tell what the answers to standing questions change; what cannot be told is asked again."""
        look = self._asking.get(request.partition, {}).get(request.twin)
        if await self.alerting.judge(request.partition, request.twin, told) and look is not None:
            look.answered = told["as_of_seq"]


@dataclass
class _Look:
    """When a twin's standing questions are asked next (monotonic), and the event of the state that answered them last."""

    next_s: float = 0.0
    answered: int = -1


def _caused(request: Request, topic: str, accepted: Accepted) -> Request:
    request.source = (topic, request.partition, accepted.offset)
    request.command, request.timestamp_ms = accepted.command.id, accepted.timestamp_ms
    return request


def _age_s(timestamp_ms: int) -> float:
    return time.time() - timestamp_ms / 1000


async def _until_it_works(start: Callable[[], Any], what: str) -> None:
    """Try again until it does, with a pause in between; the worker goes on without forecasts meanwhile."""
    pause_s = 1.0
    while True:
        try:
            await start()
            return
        except Exception as error:
            log.warning("forecasts-wait", on=what, error=str(error), goes_on="without forecasts; it is tried again")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 30.0)
