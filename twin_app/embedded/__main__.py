"""`python -m twin_app.embedded`: the development broker and schema registry for another program (a person uses `twin broker`).

The first line of output says that this is a development tool; the second is one line of JSON with the addresses, printed
when both answer. Everything else (warnings) goes to standard error.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path

from models.errors import TwinError
from twin_app.embedded.serving import WARNING, serve


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

    def ready(bootstrap: str, registry: str) -> None:
        found = {"ready": True, "bootstrap": bootstrap, "registry": registry, "data": str(chosen.data) if chosen.data else None}
        print(json.dumps({**found, "pid": os.getpid()}), flush=True)

    options = {"fsync": chosen.fsync, "auto_create_topics": chosen.auto_create_topics}
    try:
        asyncio.run(serve(chosen.broker_port, chosen.registry_port, chosen.data, ready, **options))
    except TwinError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
