"""`python -m tests.dst --runs N --seed S`: simulations by the thousand; each failure is one line with what repeats it."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.dst.simulate import Outcome, campaign, simulate

PART_RUNS = 25
"""Seeds that a process is given at once."""


def main() -> int:
    """Exit code 1 if a promise was broken."""
    arguments = argparse.ArgumentParser(prog="python -m tests.dst", description=__doc__)
    arguments.add_argument("--runs", type=int, default=2000, help="how many seeds")
    arguments.add_argument("--seed", type=int, default=1, help="the first one")
    arguments.add_argument("--failures", type=int, default=5, help="stop after so many")
    arguments.add_argument("--seconds", type=float, default=1e9, help="begin no further run after so long")
    arguments.add_argument("--processes", type=int, default=1, help="simulate in so many processes")
    arguments.add_argument("--trace", action="store_true", help="print what the workers log, and the plan")
    given = arguments.parse_args()
    if given.trace:
        outcome = simulate(given.seed, lambda plan: print(plan), trace=True)
        print(outcome if outcome.failure else f"seed {given.seed}: well, {outcome.ticks} ticks, {outcome.events} events")
        print(dict(sorted(outcome.hits.items())))
        return outcome.failure is not None
    started = time.monotonic()
    failed, hits, done, cpu_s = 0, Counter[str](), 0, 0.0
    for part in _parts(given.seed, given.runs, given.processes, started + given.seconds):
        for outcome in part.failures:
            print(outcome, flush=True)
        failed, hits, done, cpu_s = failed + len(part.failures), hits + part.hits, done + part.runs, cpu_s + part.cpu_s
        if failed >= given.failures:
            break
    took_s = time.monotonic() - started
    per_minute = f"{done / took_s * 60:.0f} in a minute ({done / cpu_s * 60:.0f} in a minute of one core)"
    print(f"{done} runs in {took_s:.1f} s, {per_minute}, {failed} failed")
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(hits.items())))
    return bool(failed)


class Part(NamedTuple):
    """What came of some seeds in a row."""

    failures: list[Outcome]
    hits: Counter[str]
    runs: int
    cpu_s: float


def _part(first: int, runs: int) -> Part:
    cpu_started = time.process_time()
    failures, hits, done = campaign(first, runs, stop_after=runs)
    return Part(failures, hits, done, time.process_time() - cpu_started)


def _parts(first: int, runs: int, processes: int, until: float) -> Iterator[Part]:
    """All seeds, some at a time; no more after `until` (monotonic seconds). In the order of the seeds."""
    starts = range(first, first + runs, PART_RUNS)
    sizes = [min(PART_RUNS, first + runs - start) for start in starts]
    if processes <= 1:
        for start, size in zip(starts, sizes, strict=True):
            if time.monotonic() > until:
                return
            yield _part(start, size)
        return
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(_part, start, size) for start, size in zip(starts, sizes, strict=True)]
        try:
            for future in futures:
                if time.monotonic() > until:
                    return
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    sys.exit(main())
