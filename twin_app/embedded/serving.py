"""Both servers in one process, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from twin_app.embedded.broker import EmbeddedBroker
from twin_app.embedded.registry import EmbeddedRegistry

WARNING = "development broker and schema registry: not for production; one copy, no security, 127.0.0.1 only"


async def serve(
    broker_port: int,
    registry_port: int,
    data: Path | None,
    ready: Callable[[str, str], None],
    *,
    fsync: bool = False,
    auto_create_topics: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT. `ready` gets the broker's and the registry's address once both answer.

    Port 0 takes a free one. Without `data` topics and schemas are temporary. Raises TwinError `port-taken`.
    """
    broker = EmbeddedBroker(broker_port, data / "broker" if data else None, fsync=fsync, auto_create_topics=auto_create_topics)
    registry = EmbeddedRegistry(registry_port, data / "registry" if data else None)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with broker, registry:
        ready(broker.bootstrap, registry.url)
        await stopped.wait()
