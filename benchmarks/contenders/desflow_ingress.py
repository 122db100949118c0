"""desflow's Kafka ingress, in its own environment: python desflow_ingress.py BOOTSTRAP TOPIC VARIABLES RECORDS

Reads a backlog of changes from the beginning and applies them to the variables of a running simulation. Nothing is durable. The
last change of every variable makes it -1.0: when all are, all changes were applied.
"""

import json
import sys
import time
from typing import Any

from desflow import SimulationContext
from desflow.connectors.ingress.kafka import KafkaIngress

bootstrap, topic, variables, records = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
NAMES = [f"v{i:02}" for i in range(variables)]
context = SimulationContext(sim_id="Line", factor=1.0, random_seed=1)
context.add_resource("m", current_cap=1, max_cap=1)
for name in NAMES:
    context.add_variable(name, 0.0)
context.add_ingress(KafkaIngress(topic, bootstrap, auto_offset_reset="earliest"))
began: list[float] = []


def watch(context: Any) -> Any:
    while True:
        values = [context.env.registry.get(f"Line.variables.{name}").value for name in NAMES]
        if not began and any(values):
            began.extend((time.perf_counter(), time.process_time()))
        if all(value == -1.0 for value in values):
            seconds, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
            print(json.dumps({"per_s": records / seconds, "cpu_us": cpu_s / records * 1e6}), flush=True)
            import os

            os._exit(0)
        yield context.env.timeout(0.01)


context.add_process(watch)
context.run(until=600)
