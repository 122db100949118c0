"""`python -m twin_app.embedded`: the development broker and schema registry in one process, until interrupted.

The first line of output says that this is a development tool; the second is one line of JSON with the addresses, printed
when both answer. Everything else (warnings) goes to standard error.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

from models.errors import TwinError
from twin_app.embedded import EmbeddedBroker, EmbeddedRegistry

WARNING = "development broker and schema registry: not for production; one copy, no security, 127.0.0.1 only"


async def serve(chosen: argparse.Namespace) -> None:
    data: Path | None = chosen.data
    broker = EmbeddedBroker(
        chosen.broker_port,
        data / "broker" if data else None,
        fsync=chosen.fsync,
        auto_create_topics=chosen.auto_create_topics,
    )
    registry = EmbeddedRegistry(chosen.registry_port, data / "registry" if data else None)
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with broker, registry:
        ready = {"ready": True, "bootstrap": broker.bootstrap, "registry": registry.url, "data": str(data) if data else None}
        print(json.dumps({**ready, "pid": os.getpid()}), flush=True)
        await stopped.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="twin_app.embedded", description=WARNING)
    parser.add_argument("--broker-port", type=int, default=9092, help="0 takes a free one (default 9092)")
    parser.add_argument("--registry-port", type=int, default=8081, help="0 takes a free one (default 8081)")
    parser.add_argument("--data", type=Path, default=None, help="folder to keep topics and schemas in; else they are temporary")
    parser.add_argument("--fsync", action="store_true", help="survive a power cut too: every acknowledged record is synced")
    parser.add_argument("--auto-create-topics", action="store_true", help="make a topic when a client asks for it")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    print(WARNING, flush=True)
    try:
        asyncio.run(serve(chosen))
    except TwinError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
