"""`python -m twin_app.streaming`: one worker, settings from the environment."""

from __future__ import annotations

import asyncio
import sys

from models.errors import TwinError
from twin_app.settings import load_settings
from twin_app.streaming import logs
from twin_app.streaming.assembly import prepare
from twin_app.streaming.errors import EXIT_BAD_SETTING, EXIT_CRASHED
from twin_app.streaming.worker import run_worker


def main() -> int:
    """Run a worker; returns the exit code."""
    try:
        settings = load_settings()
    except TwinError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_SETTING
    logs.configure(settings)
    try:
        asyncio.run(run_worker(settings, prepare))
    except TwinError as error:
        print(error, file=sys.stderr)
        return EXIT_CRASHED
    return 0


if __name__ == "__main__":
    sys.exit(main())
