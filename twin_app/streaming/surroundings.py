"""What a partition meets outside of it: brokers, the wall clock, the process it lives in. The one place to replace them all."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import NoReturn

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from twin_app.settings import Settings
from twin_app.streaming.connections import partition_producer, side_consumer

log = structlog.get_logger(__name__)


class Surroundings:
    """The real ones. A simulation brings its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def consumer(self) -> AIOKafkaConsumer:
        """A read-committed consumer outside the group, not yet started."""
        return side_consumer(self._settings)

    def producer(self, transactional_id: str) -> AIOKafkaProducer:
        """A transactional producer, not yet started; its `start` fences every earlier one of the same id."""
        return partition_producer(self._settings, transactional_id)

    def wall_us(self) -> int:
        """What the clock on the wall says, in microseconds since 1970 UTC. It may be set at any time."""
        return time.time_ns() // 1000

    def end_process(self, code: int, event: str, error: BaseException, **context: object) -> NoReturn:
        """End at once, without clean-up: whatever was not committed never happened. The restart recovers."""
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        goes_on = "no: the process ends, a restart recovers"
        log.critical(event, error=str(error), exit_code=code, goes_on=goes_on, **context, exc_info=error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def loop_s() -> float:
    """The running event loop's clock, in seconds: it never goes back, and means nothing outside the process."""
    return asyncio.get_running_loop().time()
