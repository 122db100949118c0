"""A worker whose wall clock can be set: `python -m tests.chaos.skewed_worker FILE`; FILE says how many seconds it is ahead."""

from __future__ import annotations

import sys
from pathlib import Path

from twin_app.streaming import __main__ as worker
from twin_app.streaming.surroundings import Surroundings

_true_us = Surroundings.wall_us


def _skewed_us(self: Surroundings) -> int:
    try:
        ahead_s = float(Path(sys.argv[1]).read_text())
    except (OSError, ValueError):  # it is being written
        ahead_s = 0.0
    return _true_us(self) + round(ahead_s * 1e6)


if __name__ == "__main__":
    Surroundings.wall_us = _skewed_us  # type: ignore[method-assign]
    sys.exit(worker.main())
