"""One worker process: start-up, signals, end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any

import structlog
from aiokafka.errors import KafkaConnectionError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from twin_app.settings import Settings
from twin_app.streaming.app import TwinApp, create_app
from twin_app.streaming.dialling import pace_dialling
from twin_app.streaming.errors import EXIT_CRASHED
from twin_app.streaming.failpoints import Failpoints
from twin_app.streaming.hosting import Followers, Hosting
from twin_app.streaming.standing import Standing
from twin_app.streaming.surroundings import Surroundings

STOP_TIMEOUT_S = 30.0
"""A graceful stop that takes longer is cut off; the broker then notices after the session time-out."""
START_WAIT_S_MAX = 10.0
"""Longest pause between two attempts to start."""

MEMBERSHIP_LOOK_S = 1.0
"""How often it is looked whether the client still takes part in the group."""

log = structlog.get_logger(__name__)

Prepare = Callable[[Settings], Awaitable[tuple[Settings, Hosting]]]
"""Brings up what the hosts need (topics, schemas), waiting for broker and registry. Gives back the settings as they are in
force (the number of partitions is that of an existing config topic) and what opens hosts."""


Beside = Callable[[Standing], AbstractAsyncContextManager[Any]]
"""Something that runs from before the start until after the end and shows what the worker says of itself."""


async def run_worker(settings: Settings, prepare: Prepare, beside: Beside | None = None) -> None:
    """Run until SIGTERM or SIGINT. Returns after a graceful stop; any failure ends the process with a code of `errors`.

    `beside` is entered first and left last; see `Standing` for what it can ask.
    """
    standing = Standing(settings)
    telling = asyncio.create_task(standing.tell(), name="standing")
    try:
        async with AsyncExitStack() as stack:
            if beside is not None:
                await stack.enter_async_context(beside(standing))
            await _run(settings, prepare, standing)
    finally:
        telling.cancel()


async def _run(settings: Settings, prepare: Prepare, standing: Standing) -> None:
    pace_dialling()
    failpoints = Failpoints(settings.failpoints)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if failpoints:
        log.warning("failpoints-active", failpoints=settings.failpoints)
    preparing = asyncio.ensure_future(prepare(settings))
    if not await _first(preparing, stop):
        return
    settings, hosting = preparing.result()
    standing.hosting, standing.forecasting = hosting, hosting.follower
    followers = [*standing.followers, *getattr(hosting, "followers", ())]
    if followers:
        hosting.follower = Followers([*([hosting.follower] if hosting.follower is not None else []), *followers])
    _banner(settings)
    async for attempt in _until_connected(settings, stop):
        with attempt:
            app = create_app(settings, hosting, standing.url)
            standing.has(app)
            await _serve(app, stop, standing)
    if hosting.follower is not None:
        await hosting.follower.close()
    log.info("worker-stopped")


def _until_connected(settings: Settings, stop: asyncio.Event) -> AsyncRetrying:
    """Start again while no broker can be reached. Once the app runs, its clients wait for brokers by themselves."""

    def tell(call: RetryCallState) -> None:
        log.warning("broker not reachable, waiting", bootstrap=settings.bootstrap_servers, attempt=call.attempt_number)

    async def pause(seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

    retry = retry_if_exception_type(KafkaConnectionError)
    return AsyncRetrying(retry=retry, wait=wait_exponential(multiplier=0.5, max=START_WAIT_S_MAX), before_sleep=tell, sleep=pause)


async def _first(task: asyncio.Future[Any], stop: asyncio.Event) -> bool:
    """Wait for a task or the order to stop; False when it was the latter."""
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        return True
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return False


async def _serve(app: TwinApp, stop: asyncio.Event, standing: Standing) -> None:
    """Run the app until the order to stop. Raises KafkaConnectionError if it could not connect in the first place."""
    app.finalize()
    running = asyncio.ensure_future(_run_app(app))
    stopped = asyncio.ensure_future(stop.wait())
    outside = asyncio.ensure_future(_out_of_the_group(app))
    await asyncio.wait([running, stopped, outside], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    outside.cancel()
    if outside.done() and not outside.cancelled():
        Surroundings(app.settings).end_process(EXIT_CRASHED, "membership-failed", outside.result())
    if not stop.is_set():
        error = running.exception() or app.crash_reason or RuntimeError("the stream processor ended by itself")
        if not isinstance(error, KafkaConnectionError) or app.partitions.drivers:
            Surroundings(app.settings).end_process(EXIT_CRASHED, "worker-crashed", error)
        await _stop(app)
        raise error
    standing.phase = "stopping"
    log.info("worker-stopping")
    await _stop(app)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _out_of_the_group(app: TwinApp) -> BaseException:
    """Waits for what nobody else notices: the client takes part in the group no more."""
    while True:
        await asyncio.sleep(MEMBERSHIP_LOOK_S)
        fault = app.consumer.fault() if app.consumer is not None else None
        if fault is not None:
            return fault


async def _stop(app: TwinApp) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await app.stop()
    except TimeoutError:
        log.warning("worker-stop-cut-off", after_s=STOP_TIMEOUT_S)


async def _run_app(app: TwinApp) -> None:
    await app.start()
    await app.wait_until_stopped()


def _banner(settings: Settings) -> None:
    log.info(
        "worker-starting",
        app=settings.app_id,
        brokers=settings.bootstrap_servers,
        registry=settings.registry_shown,
        security=settings.security_protocol,
        config_topic=settings.config_topic,
        topics=[spec.name for spec in settings.topics.all()],
        partitions=settings.partitions,
        guarantee="exactly once: one transaction per cycle, read committed",
        session_timeout_s=settings.session_timeout_s,
        state=str(settings.data_dir.absolute()),
        local_copies=local_copies(settings),
        recovery="fence the former owner, read the changelogs (local copies shorten that), replay since the checkpoint, go live",
        standbys=settings.standby_replicas,
        forecast_processes=settings.forecast_workers,
    )


def local_copies(settings: Settings) -> int:
    """Databases of table partitions that an earlier run left in the state folder."""
    return sum(1 for _ in settings.data_dir.glob("**/CURRENT"))
