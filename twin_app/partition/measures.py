"""What is measured of a twin for the vitals: its work in progress, and its statistics since the warm-up.

Bounded: at most MEASURES_MAX of one twin. What is there now comes first, figures over time after it, so that a plant too large
for all of it loses the averages before the queues; how many were left out is a measure too.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from twin_app.kernel import Twin

MEASURES_MAX = 1_000

Measure = tuple[str, float, str]
"""Name, value, unit."""


def measures(twin: Twin) -> list[Measure]:
    """Of one twin, now. Times are in the blueprint's unit."""
    found = list(islice(_all(twin), MEASURES_MAX))
    if len(found) == MEASURES_MAX:
        total = sum(1 for _ in _all(twin))
        if total > MEASURES_MAX:
            found[-1] = ("vitals.left_out", float(total - MEASURES_MAX + 1), "1")
    return found


def _all(twin: Twin) -> Iterator[Measure]:
    yield "entities.wip", float(twin.wip), "1"
    for name, resource in twin.resources.items():
        yield f"resources.{name}.queue", float(len(resource.queue)), "1"
        yield f"resources.{name}.busy", float(resource.busy), "1"
        yield f"resources.{name}.capacity", float(resource.capacity), "1"
    for name, container in twin.containers.items():
        yield f"containers.{name}.level", float(container.level), "1"
    for name, store in twin.stores.items():
        yield f"stores.{name}.level", float(store.level), "1"
    yield from _over_time(twin.statistics(), twin.blueprint.time.unit)


def _over_time(figures: dict[str, Any], unit: str) -> Iterator[Measure]:
    """Since statistics began (`statistics.since`, a simulation time: 0, or the end of the warm-up)."""
    yield "statistics.since", figures["since"], unit
    for name in ("created", "refused", "finished", "reneged", "balked", "failed"):
        yield f"entities.{name}", float(figures[name]), "1"
    for name, flow in figures["flows"].items():
        if not flow["finished"]:
            continue
        yield f"flows.{name}.finished", float(flow["finished"]), "1"
        for field, value in flow.items():
            if field != "finished":
                yield f"flows.{name}.{field}", value, unit
    for name, resource in figures["resources"].items():
        yield f"resources.{name}.utilisation", resource["utilisation"], "1"
        yield f"resources.{name}.queue_mean", resource["queue_mean"], "1"
        yield f"resources.{name}.wait_mean", resource["wait_mean"], unit
        yield f"resources.{name}.down", resource["down"], unit
    for section in ("containers", "stores"):
        for name, stock in figures[section].items():
            yield f"{section}.{name}.level_mean", stock["level_mean"], "1"
