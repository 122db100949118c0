"""Speed of the kernel: a tandem line of three stations, 100,000 jobs, against idiomatic SimPy and desflow's builder.

The jobs of a round are done in short turns, each contender one after the other, several rounds; the figures are medians of
jobs per CPU-second, and the ratios are medians of each turn's own ratio (the machine's mood changes from turn to turn). With
events, ours hands out eleven a job: the nine of the stations (queued, started, finished at each of three), created and left.
Further: snapshot and restore with 10,000 entities in progress, and the cost of an event with 100 and with a million entities
in the system, beside what SimPy's bare timeouts cost in the same condition.

Before each contender the garbage collector's long-lived objects are frozen, as the worker does after its start.

Usage: python -m benchmarks.kernel [--jobs N] [--rounds N] [--without-desflow]
"""

import argparse
import gc
import json
import math
import random
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import simpy

from benchmarks.peers import desflow_python
from models.blueprint import Blueprint
from twin_app.kernel import Twin

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
MEANS = {"a": 0.8, "b": 0.7, "c": 0.9}
SLICE = 200
JOBS_A_TURN = 10_000


def line(jobs: int) -> Blueprint:
    return Blueprint.model_validate(
        {
            "twin": "Line",
            "seed": 1,
            "resources": {name: {} for name in MEANS},
            "services": {name: {"exponential": {"mean": mean}} for name, mean in MEANS.items()},
            "arrivals": {"jobs": {"interarrival": {"exponential": {"mean": 1.0}}, "flow": "job", "limit": jobs}},
            "flows": {"job": [{"process": {"resource": name, "service": name}} for name in MEANS]},
        }
    )


def plain_simpy(jobs: int) -> float:
    """As the SimPy documentation teaches it: one generator process a job."""
    draws = random.Random(1)
    environment = simpy.Environment()
    stations = [(simpy.Resource(environment, 1), mean) for mean in MEANS.values()]

    def job() -> Iterator[Any]:
        for resource, mean in stations:
            with resource.request() as request:
                yield request
                yield environment.timeout(draws.expovariate(1 / mean))

    def arrivals() -> Iterator[Any]:
        for _ in range(jobs):
            yield environment.timeout(draws.expovariate(1.0))
            environment.process(job())

    environment.process(arrivals())
    began = time.process_time()
    environment.run()
    return jobs / (time.process_time() - began)


def ours(jobs: int, *, events: bool) -> float:
    """With events: eleven a job (created, three times queued, started and finished, left), handed out in slices."""
    twin = Twin(line(jobs), events=events)
    handed_out = 0
    began = time.process_time()
    while not twin.advance(math.inf, budget=SLICE):
        handed_out += len(twin.drain())
    handed_out += len(twin.drain())
    spent = time.process_time() - began
    assert handed_out == (11 * jobs if events else 0)
    return jobs / spent


class Desflow:
    """desflow's builder, in its own interpreter. Raises TwinError `missing-peer`."""

    def __init__(self) -> None:
        self._python = desflow_python()

    def __call__(self, jobs: int) -> float:
        script = ROOT / "benchmarks" / "kernel_desflow.py"
        done = subprocess.run([self._python, script, str(jobs)], check=True, capture_output=True, text=True)
        return float(done.stdout.splitlines()[-1])


def frozen(contender: Callable[[], float]) -> float:
    gc.collect()
    gc.freeze()
    try:
        return contender()
    finally:
        gc.unfreeze()


def result(name: str, ours: list[float], peer: list[float], peer_name: str, goal: float | None) -> dict[str, Any]:
    ratios = [a / b for a, b in zip(ours, peer, strict=True)]
    return {
        "name": name,
        "ours": round(statistics.median(ours), 1),
        "peer": round(statistics.median(peer), 1),
        "peer_name": peer_name,
        "ratio": round(statistics.median(ratios), 2),
        "goal": goal,
        "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        "better": "lower" if "lower is better" in peer_name else "higher",
        "rounds": len(ratios),
    }


def tandem(jobs: int, rounds: int, desflow: Callable[[int], float] | None) -> list[dict[str, Any]]:
    """`rounds` times `jobs`, in turns of JOBS_A_TURN."""
    figures: dict[str, list[float]] = {"simpy": [], "silent": [], "told": [], "desflow": []}
    turn = min(jobs, JOBS_A_TURN)
    for _ in range(rounds * max(1, jobs // turn)):
        figures["simpy"].append(frozen(lambda: plain_simpy(turn)))
        figures["silent"].append(frozen(lambda: ours(turn, events=False)))
        figures["told"].append(frozen(lambda: ours(turn, events=True)))
        if desflow is not None and len(figures["desflow"]) < rounds:
            figures["desflow"].append(desflow(max(1_000, turn)))
    found = [
        result("kernel: jobs/CPU-s, no events", figures["silent"], figures["simpy"], "SimPy, generator style", 3.0),
        result(
            "kernel: jobs/CPU-s, 11 events a job", figures["told"], figures["simpy"], "SimPy, generator style, no events", 2.0
        ),
    ]
    if desflow is not None:
        found.append(
            result("kernel: jobs/CPU-s, no events", figures["silent"][:rounds], figures["desflow"], "desflow builder", 10.0)
        )
    return found


def crowd(entities: int) -> Twin:
    """A twin with so many entities at a station of unlimited servers, each replaced when it leaves."""
    model = {
        "twin": "Crowd",
        "resources": {"m": {"capacity": 1_000_000}},
        "flows": {"stay": [{"again": {"process": {"resource": "m", "for": {"exponential": {"mean": 1000.0}}}}}, {"go": "again"}]},
        "limits": {"entities": 10_000_000},
    }
    twin = Twin(Blueprint.model_validate(model), events=False)
    for _ in range(entities):
        twin.spawn("stay")
    return twin


def in_progress(rounds: int) -> list[dict[str, Any]]:
    """CPU milliseconds to save and to restore 10,000 entities in progress, half in service, half in line."""
    twin = Twin(line(20_000), events=False)
    twin.set([("resources.a.capacity", 5_000), ("services.a.mean", 1e9)])
    twin.advance(math.inf, budget=10_000)
    assert twin.wip == 10_000
    saving, restoring = [], []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        snapshot = twin.snapshot()
        saved = time.process_time()
        again = Twin.restore(snapshot)
        restored = time.process_time()
        assert again.snapshot() == snapshot
        saving.append((saved - began) * 1e3)
        restoring.append((restored - saved) * 1e3)
    return [
        result("kernel: ms to save 10k in progress", [20.0] * rounds, saving, "goal/ours; higher is better", 1.0),
        result("kernel: ms to restore 10k in progress", [50.0] * rounds, restoring, "goal/ours; higher is better", 1.0),
    ]


def simpy_crowd(timeouts: int) -> simpy.Environment:
    """As many timeouts, each followed by another: the least that SimPy can do with them (no processes)."""
    draws = random.Random(1)
    environment = simpy.Environment()

    def again(_: Any) -> None:
        environment.timeout(draws.expovariate(0.001)).callbacks.append(again)

    for _ in range(timeouts):
        again(None)
    return environment


def flatness(rounds: int) -> list[dict[str, Any]]:
    """Microseconds of CPU an event with 100 entities in the system, and with a million; and of SimPy's timeouts.

    The second row counts every turn, those too in which all that is far off is distributed anew (once in about two million
    events): that is one turn of forty, and a median does not show it.
    """
    few, many = crowd(100), crowd(1_000_000)
    few_timeouts, many_timeouts = simpy_crowd(100), simpy_crowd(1_000_000)
    events = 20_000

    def cost(twin: Twin) -> float:
        began = time.process_time()
        twin.advance(math.inf, budget=events)
        return (time.process_time() - began) / events * 1e6

    def simpy_cost(environment: simpy.Environment) -> float:
        began = time.process_time()
        for _ in range(events):
            environment.step()
        return (time.process_time() - began) / events * 1e6

    small, large, small_timeouts, large_timeouts = [], [], [], []
    for _ in range(rounds * 10):
        small.append(frozen(lambda: cost(few)))
        large.append(frozen(lambda: cost(many)))
        small_timeouts.append(frozen(lambda: simpy_cost(few_timeouts)))
        large_timeouts.append(frozen(lambda: simpy_cost(many_timeouts)))
    lower = "the same with 100 (lower is better)"
    means = [statistics.mean(large)], [statistics.mean(small)]
    return [
        result("kernel: us an event, a million in the system", large, small, lower, 1.5),
        result("kernel: the same, mean of every turn", *means, lower, None),
        result("kernel: us an event of SimPy's, a million timeouts", large_timeouts, small_timeouts, lower, None),
    ]


def write(found: list[dict[str, Any]]) -> None:
    """Replace this benchmark's rows in results.json."""
    others = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    kept = [row for row in others if not row["name"].startswith("kernel:")]
    RESULTS.write_text(json.dumps(kept + found, indent=1) + "\n")


def rows(jobs: int = 100_000, rounds: int = 5, *, desflow: bool = True) -> list[dict[str, Any]]:
    """All rows of this benchmark, as in results.json."""
    found = tandem(jobs, rounds, Desflow() if desflow else None)
    found += in_progress(rounds)
    found += flatness(min(3, rounds))
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--jobs", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--without-desflow", action="store_true")
    chosen = arguments.parse_args()
    found = rows(chosen.jobs, chosen.rounds, desflow=not chosen.without_desflow)
    for row in found:
        ours_and_peer = f"ours {row['ours']:>12,} peer {row['peer']:>12,} ({row['peer_name']})"
        print(f"{row['name']:45} {ours_and_peer}  ratio {row['ratio']} goal {row['goal']} spread {row['spread']}")
    write(found)


if __name__ == "__main__":
    main()
