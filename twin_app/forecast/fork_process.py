"""The process in which forks are run: a bench behind a pipe, with a limit on its memory, below the live loop in priority.

It is started afresh (spawn), never as a copy of the process that holds the broker's threads. It ends when the pipe does.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import msgpack

from models.blueprint import Blueprint
from twin_app.forecast.answering import Topic
from twin_app.forecast.bench import Bench
from twin_app.forecast.crews import value_of
from twin_app.forecast.question import question
from twin_app.switchboard import LiveTwin

READY = b"ready"
NICENESS = 5
"""The live twins come first when there are not enough processors."""
MIB = 1 << 20


def serve(pipe: Connection, cancelled: Any, memory_mb: int) -> None:
    """Perform tasks until the pipe is closed. `cancelled` (shared) holds the number of the last task that is not wanted."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    number = 0
    bench = Bench(wanted=lambda: cancelled.value != number)
    _warm_up(bench)
    gc.collect()
    gc.freeze()
    _limit(memory_mb)
    with suppress(EOFError, OSError):
        pipe.send_bytes(READY)
        while True:
            number, task = msgpack.unpackb(pipe.recv_bytes())
            pipe.send_bytes(bench.perform(task))


def _limit(memory_mb: int) -> None:
    """Data of this process: an allocation beyond it fails. Where the system has no such limit, only the time is limited."""
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_mb * MIB
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def _warm_up(bench: Bench) -> None:
    """Answer a small question: what is loaded and compiled at its first use is there when the first real one comes."""
    document = {
        "twin": "warm-up",
        "resources": {"a": {}},
        "arrivals": {"x": {"interarrival": {"exponential": {"mean": 1}}, "flow": "f"}},
        "flows": {"f": [{"process": {"resource": "a", "for": {"normal": {"mean": 0.5, "sd": 0.1}}}}]},
        "watch": {"bottleneck": {"queue": 2}},
    }
    topic = Topic(question(LiveTwin.register(Blueprint.model_validate(document)), 20.0, {"same": []}))

    def perform(*task: Any) -> Any:
        return value_of(bench.perform(msgpack.packb(task)))

    perform("take", topic.plain)
    sheaves = [[perform("replicate", future, [1, 2], False)[0]] for future in (0, 1)]
    asking = {"id": "", "trigger": "", "revision": 1, "horizon_asked": 20.0, "created_at_us": 0}
    perform("revise", sheaves, {}, {1: perform("contrast", 1)}, asking, True, False, None, 0)
