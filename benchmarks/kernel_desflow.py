"""The desflow contender of benchmarks/kernel.py. Runs in an environment of its own; prints jobs per CPU-second.

Usage: python kernel_desflow.py JOBS
"""

import sys
import time
from typing import Any

from desflow import SimulationContext

STATIONS = (("a", 0.8), ("b", 0.7), ("c", 0.9))


def jobs_per_cpu_second(jobs: int) -> float:
    context = SimulationContext(sim_id="Line", factor=0.0, random_seed=1)
    for name, mean in STATIONS:
        context.add_resource(name, current_cap=1, max_cap=1).add_service(name, dist="exponential", rate=1 / mean)
    context.add_arrival("jobs", dist="exponential", rate=1.0)

    def station(name: str, following: str | None) -> Any:
        @context.task(service_id=name, resource_id=name, name=name, next=following)
        def step(number: int, **_: Any) -> dict[str, Any]:
            return {}

        return step

    station("c", None)
    station("b", "c")
    first = station("a", "b")

    @context.arrival_loop("jobs")
    def arrive(running: Any) -> Any:
        for number in range(jobs):
            entity = yield running.wait_for_arrival("jobs")
            running.spawn(first(number, entity=entity))

    began = time.process_time()
    context.run(until=jobs * 1.05 + 100)
    return jobs / (time.process_time() - began)


if __name__ == "__main__":
    print(jobs_per_cpu_second(int(sys.argv[1])))
