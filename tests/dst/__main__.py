"""`python -m tests.dst --runs N --seed S`: simulations by the thousand; each failure is one line with what repeats it."""

from __future__ import annotations

import argparse
import sys
import time

from tests.dst.simulate import campaign, simulate


def main() -> int:
    """Exit code 1 if a promise was broken."""
    arguments = argparse.ArgumentParser(prog="python -m tests.dst", description=__doc__)
    arguments.add_argument("--runs", type=int, default=2000, help="how many seeds")
    arguments.add_argument("--seed", type=int, default=1, help="the first one")
    arguments.add_argument("--failures", type=int, default=5, help="stop after so many")
    arguments.add_argument("--seconds", type=float, default=1e9, help="begin no further run after so long")
    arguments.add_argument("--trace", action="store_true", help="print what the workers log, and the plan")
    given = arguments.parse_args()
    if given.trace:
        outcome = simulate(given.seed, lambda plan: print(plan), trace=True)
        print(outcome if outcome.failure else f"seed {given.seed}: well, {outcome.ticks} ticks, {outcome.events} events")
        print(dict(sorted(outcome.hits.items())))
        return outcome.failure is not None
    started, cpu_started = time.monotonic(), time.process_time()
    failures, hits, done = campaign(
        given.seed, given.runs, seconds=given.seconds, stop_after=given.failures, tell=lambda outcome: print(outcome, flush=True)
    )
    took_s, cpu_s = time.monotonic() - started, time.process_time() - cpu_started
    print(f"{done} runs in {took_s:.1f} s, {done / cpu_s * 60:.0f} in a minute of one core, {len(failures)} failed")
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(hits.items())))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
