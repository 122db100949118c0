"""When Python's garbage collector looks, and at what: not at what is known to live (docs/decisions/0072, 0101)."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

YOUNG_OBJECTS_MAX = 50_000
"""New objects after which the collector looks for cycles among them. A cycle of a partition makes tens of thousands that live
until its commit; looked at every 700 objects, as Python does by itself, most are looked at in vain, and again and again."""


def await_many_objects() -> None:
    """A recovery makes a state of any size, none of it garbage: the usual looks at it would take as long as the recovery."""
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 20)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """While inside, nothing is looked at. For a stretch that makes a state and no garbage, and does not wait for anything."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settle_memory() -> None:
    """What is here now stays: the collector need not go through libraries, blueprints and recovered twins again and again."""
    gc.unfreeze()  # what an earlier assignment left behind goes
    gc.collect()
    gc.freeze()
