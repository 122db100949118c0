"""Logging of a worker: our own lines, structured; of Faust and the Kafka client only what an operator can act on."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from typing import Any

import structlog
from aiokafka.errors import KafkaError

from twin_app.settings import Settings

REPEAT_S = 10.0
"""The same trouble with a broker is reported at most once in this time."""

_LOOSE = ("faust", "mode", "aiokafka", "asyncio", "kafka")
_ROUTINE = ("got error produce response", "because it is rebalancing")
"""Part of normal work: sends that the client repeats until they succeed (the commit that waits reports one that does not),
and members that come and go."""
_LEFT_BEHIND = ("never retrieved", "was destroyed but it is pending", "messageaccumulator", "unclosed aiokafka")
"""What Python says of the futures and tasks of a client that was given up; why it was, has been told by whoever did that.
A connection that opens while its client is being closed is left to the collector by the library."""
_ALREADY_AWAITED = "cannot reuse already awaited coroutine"
"""What becomes of the reader of such a connection."""
_OUT_OF_REACH = ("unable", "connect", "coordinator", "heartbeat", "not ready", "cannot send", "could not send", "metadata")

log = structlog.get_logger("twin_app.streaming.broker")


class BrokerTrouble(logging.Handler):
    """Turns the libraries' many lines about an unreachable broker into one, with the address, now and then."""

    def __init__(self, addresses: str) -> None:
        super().__init__(logging.WARNING)
        self._addresses = addresses
        self._told = -REPEAT_S
        self._unsaid = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if any(word in text.lower() for word in _ROUTINE) or _left_behind(record, text):
            return
        if record.name.startswith("aiokafka") and any(word in text.lower() for word in _OUT_OF_REACH):
            if time.monotonic() - self._told < REPEAT_S:
                self._unsaid += 1
                return
            self._told = time.monotonic()
            log.warning(
                "broker-trouble",
                brokers=self._addresses,
                said=text[:200],
                more_like_it=self._unsaid,
                goes_on="it tries again",
                **_cause(record),
            )
            self._unsaid = 0
            return
        structlog.get_logger(record.name).log(record.levelno, "library", said=text[:2000], **_cause(record))


def _cause(record: logging.LogRecord) -> dict[str, Any]:
    """The error of a record; with its traceback unless it came from the network, of which a traceback tells nothing."""
    error = _error(record)
    if error is None:
        return {}
    named = {"error": repr(error)[:500]}
    return named if isinstance(error, KafkaError | OSError | asyncio.TimeoutError) else {**named, "exc_info": record.exc_info}


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


def _left_behind(record: logging.LogRecord, text: str) -> bool:
    error, text = _error(record), text.lower()
    if record.name.startswith("aiokafka"):
        return isinstance(error, RuntimeError) and str(error) == _ALREADY_AWAITED
    of_a_client = isinstance(error, KafkaError) or "aiokafka" in text
    return record.name == "asyncio" and of_a_client and any(word in text for word in _LEFT_BEHIND)


def configure(settings: Settings) -> None:
    """Set up logging for the process, to standard error."""
    level = getattr(logging, settings.log_level.upper())
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    renderer = structlog.processors.JSONRenderer() if settings.log_json else console
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if settings.log_json else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.root.handlers[:] = [BrokerTrouble(settings.bootstrap_servers)]
    logging.root.setLevel(logging.WARNING)
    for name in _LOOSE:
        logging.getLogger(name).setLevel(logging.DEBUG if settings.log_level == "debug" else logging.WARNING)


def _as_it_is(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
