"""An event loop whose clock is simulated: waiting costs nothing, and the same seed gives the same order of everything.

Code runs on behalf of a `Process`, which can die and freeze as `kill -9` and SIGSTOP would have it: not one line of a dead
process runs any more, no clean-up either; a frozen one runs on later, as if nothing had been.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from typing import Any

STEPS_MAX = 2_000_000
"""Callbacks in one simulation: more than that is a loop without end."""


class Died(BaseException):
    """Ends what a process is doing at this very moment. No `except Exception` of the product sees it."""


class Stuck(Exception):
    """Nothing is left to happen, or things happen without end."""


class Process:
    """A worker process: alive, frozen or dead."""

    def __init__(self, name: str, loop: SimulatedLoop) -> None:
        self.name, self.loop = name, loop
        self.dead = self.frozen = False
        self.tasks: list[asyncio.Task[Any]] = []
        self._parked: list[asyncio.Handle] = []

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run something in this process; so does everything that it starts."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, self)
        task = self.loop.create_task(work, name=f"{self.name}/{name}", context=context)
        self.tasks.append(task)
        return task

    def kill(self) -> None:
        self.dead, self.frozen = True, False
        self.loop.dropped += self._parked

    def die(self) -> None:
        """To be called from inside: not a single line of it runs any more."""
        self.kill()
        raise Died(self.name)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False
        parked, self._parked = self._parked, []
        self.loop._ready.extend(parked)

    def park(self, handle: asyncio.Handle) -> None:
        (self._parked if self.frozen else self.loop.dropped).append(handle)


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("PROCESS", default=None)


class SimulatedLoop(asyncio.BaseEventLoop):
    """asyncio's own loop but for its clock, its selector (there is none) and the processes."""

    _ready: Any
    _scheduled: Any

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.steps = 0
        self.outside = contextvars.Context()
        """For what happens at no process: network, broker, disk."""
        self.faults: list[dict[str, Any]] = []
        """What asyncio's exception handler was told: a failure nobody took notice of."""
        self.set_exception_handler(lambda _, fault: self._note(fault))
        self.everything: list[tuple[asyncio.Task[Any], contextvars.Context]] = []
        self.dropped: list[asyncio.Handle] = []
        """What dead processes would have done next. Kept until the end, when it is unwound."""
        self.set_task_factory(_remember)

    def time(self) -> float:
        return self.now

    def later(self, delay_s: float, call: Callable[..., Any], *args: Any) -> asyncio.TimerHandle:
        """Call something at no process."""
        return self.call_later(delay_s, call, *args, context=self.outside)

    def wind_up(self) -> None:
        """Unwind every task, those of dead processes too, so that nothing is left to the garbage collector."""
        self.set_exception_handler(lambda _, __: None)
        self._scheduled.clear()
        for _ in range(3):
            pending = [(task, context) for task, context in self.everything if not task.done()]
            if not pending:
                break
            for task, context in pending:
                context.run(PROCESS.set, None)
                task.cancel()
            self._ready.extend(self.dropped)
            self.dropped.clear()
            self.run_until_complete(asyncio.wait([task for task, _ in pending], timeout=1.0))
        for task, _ in self.everything:
            if task.done() and not task.cancelled():
                task.exception()
        self.close()

    def _note(self, fault: dict[str, Any]) -> None:
        if not isinstance(fault.get("exception"), Died):
            self.faults.append(fault)

    def _process_events(self, event_list: Any) -> None:
        raise NotImplementedError("there is no selector")

    def _write_to_self(self) -> None:
        """Nobody has to be woken."""

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                if self._stopping:
                    return
                raise Stuck("nothing is left to happen")
            self.now = max(self.now, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self.now:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle._cancelled:
                ready.append(handle)
        self.steps += len(ready)
        if self.steps > STEPS_MAX:
            raise Stuck(f"more than {STEPS_MAX} steps")
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or not (process.dead or process.frozen):
                handle._run()
            else:
                process.park(handle)


def _remember(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: contextvars.Context | None = None, **kwargs: Any
) -> asyncio.Task[Any]:
    context = contextvars.copy_context() if context is None else context
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context, **kwargs)
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    assert isinstance(loop, SimulatedLoop)
    loop.everything.append((task, context))
    return task
