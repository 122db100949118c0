"""desflow's JSON egress to Kafka, in its own environment: python desflow_egress.py BOOTSTRAP TOPIC JOBS

The three-station line with the lifecycle events that desflow sends by itself, as fast as it runs. Prints the seconds of the whole
run, the last batch sent.
"""

import json
import sys
import time
from typing import Any

from desflow import SimulationContext
from desflow.connectors.egress.kafka import KafkaEgress

bootstrap, topic, jobs = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = SimulationContext(sim_id="Line", factor=0.0, random_seed=1)
for name, mean in (("a", 0.8), ("b", 0.7), ("c", 0.9)):
    context.add_resource(name, current_cap=1, max_cap=1).add_service(name, dist="exponential", rate=1 / mean)
context.add_arrival("jobs", dist="exponential", rate=1.0)
context.add_egress(KafkaEgress(bootstrap, telemetry_topic=topic, event_topic=topic))


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


began, cpu = time.perf_counter(), time.process_time()
context.run(until=jobs * 1.05 + 100)
print(json.dumps({"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}))
