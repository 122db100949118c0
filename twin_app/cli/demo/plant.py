"""The lines of the demo: blueprints small enough to be followed by eye, with every time fixed."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka.partitioner import murmur2

from models.blueprint import Blueprint
from models.errors import TwinError
from models.load import load_blueprint

BROKEN_LINE = "Line_A"
"""The line whose machine B breaks."""
NEIGHBOURS = tuple(f"Line_{letter}" for letter in "BCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Names for the line beside it: the first that lives on the other worker is taken."""

ORDERS = 30
NEIGHBOUR_ORDERS = 24
"""Fewer, so that both lines are done at about the same time."""
SECONDS_PER_MINUTE = 0.15
"""Wall seconds that one simulated minute takes: the story is told in half a minute."""

_BLUEPRINT = """
twin: {twin}
description: Line of three machines with a slow one in the middle
time: {{unit: minutes, factor: {factor!r}}}
seed: 42
resources:
  a: {{capacity: 1, max_capacity: 3}}
  b: {{capacity: 1, max_capacity: 3}}
  c: {{capacity: 1, max_capacity: 3}}
services:
  turning: {{constant: 3.0}}
  milling: {{constant: 5.0}}
  packing: {{constant: 2.0}}
arrivals:
  orders: {{interarrival: {{constant: {interarrival}}}, flow: make, limit: {orders}}}
flows:
  make:
    - process: {{resource: a, service: turning}}
    - process: {{resource: b, service: milling}}
    - process: {{resource: c, service: packing}}
    - emit: {{kind: order-packed, payload: {{cycle_time: now - entity.created}}}}
watch:
  bottleneck: {{queue: 5, for: 2}}
  growing: {{by: 2}}
  starving: {{for: 5}}
"""

WORKSHOP_NAME = "Workshop"
WORKSHOP = f"""
twin: {WORKSHOP_NAME}
description: A workshop with rework, a paint tank and a shelf; a minute takes a second
time: {{unit: minutes, factor: 0.0166667}}
seed: 2026
resources:
  cut: {{capacity: 1, max_capacity: 3}}
  weld:
    capacity: 2
    max_capacity: 4
    breakdown: {{time_to_failure: {{exponential: {{mean: 240}}}}, repair: {{lognormal: {{mean: 15, sd: 5}}}}}}
  paint: {{capacity: 1, max_capacity: 3}}
  pack: {{capacity: 1, max_capacity: 3}}
containers:
  colour: {{capacity: 60, level: 45}}
stores:
  shelf: {{capacity: 30}}
services:
  cutting: {{normal: {{mean: 3.2, sd: 0.6, min: 0.5}}}}
  welding: {{lognormal: {{mean: 6.5, sd: 2}}}}
  painting: {{triangular: {{low: 2, mode: 3, high: 5}}}}
  packing: {{exponential: {{mean: 2.4}}}}
arrivals:
  orders: {{interarrival: {{exponential: {{mean: 4.0}}}}, flow: make}}
  refill: {{interarrival: {{constant: 20}}, flow: fill}}
  trucks: {{interarrival: {{exponential: {{mean: 4.0}}}}, flow: ship}}
flows:
  make:
    - process: {{resource: cut, service: cutting}}
    - again: {{process: {{resource: weld, service: welding}}}}
    - branch: [{{weight: 0.1, go: again}}, {{weight: 0.9, go: next}}]
    - get: {{container: colour, amount: 2}}
    - process: {{resource: paint, service: painting}}
    - process: {{resource: pack, service: packing}}
    - put: {{store: shelf}}
  fill:
    - put: {{container: colour, amount: 10, patience: 5}}
  ship:
    - get: {{store: shelf, patience: 60}}
    - emit: order-shipped
watch:
  bottleneck: {{queue: 6, for: 5}}
  growing: {{by: 3}}
  starving: {{for: 10}}
"""


def line(twin: str, *, interarrival: float = 4.0, factor: float = SECONDS_PER_MINUTE / 60, orders: int = ORDERS) -> Blueprint:
    """The blueprint of one line; `interarrival` in minutes, `factor` in wall time over simulated time."""
    return load_blueprint(line_text(twin, interarrival=interarrival, factor=factor, orders=orders), source=f"the demo's {twin}")


def line_text(twin: str, *, interarrival: float = 4.0, factor: float = SECONDS_PER_MINUTE / 60, orders: int = ORDERS) -> str:
    """The same as YAML."""
    return _BLUEPRINT.format(twin=twin, interarrival=interarrival, factor=factor, orders=orders)


def partition_of(twin: str, partitions: int) -> int:
    """The partition that the Kafka clients' default partitioner gives a key."""
    return (murmur2(twin.encode()) & 0x7FFFFFFF) % partitions


def neighbour_on(wanted: Iterable[int], partitions: int) -> str:
    """The name of a line that lives on one of the partitions `wanted`."""
    chosen = frozenset(wanted)
    for name in NEIGHBOURS:
        if partition_of(name, partitions) in chosen:
            return name
    raise TwinError("no-neighbour", f"no name of a line falls on the partitions {sorted(chosen)} of {partitions}")
