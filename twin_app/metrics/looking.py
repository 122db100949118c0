"""What is looked up at the moment of a scrape: how the worker and its partitions stand. Asks nobody outside of the process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

from prometheus_client.core import Metric as Family

from twin_app.metrics import catalogue as c
from twin_app.metrics.catalogue import Metric
from twin_app.metrics.instruments import family
from twin_app.streaming.forecasting import Forecasting
from twin_app.streaming.hosting import Followers
from twin_app.streaming.standing import Standing
from twin_app.streaming.status import PartitionStatus, State, WorkerStatus
from twin_app.streaming.store import PartitionStore


class Families:
    """Families by metric, made when the first sample comes; all that are declared for a collector are shown, empty ones too."""

    def __init__(self, *declared: Metric) -> None:
        self._by_name = {metric.name: family(metric) for metric in declared}

    def add(self, metric: Metric, value: float, *labels: object) -> None:
        self._by_name[metric.name].add_metric([str(label) for label in labels], float(value))

    def __iter__(self) -> Iterator[Family]:
        return iter(self._by_name.values())


PARTITION_METRICS = (
    c.PARTITION_STATE,
    c.PARTITION_WAITING,
    c.LAG_SECONDS,
    c.LAG_RECORDS,
    c.NEXT_OFFSET,
    c.LOG_END,
    c.TWINS,
    c.INTAKE_RECORDS,
    c.INTAKE_BYTES,
    c.INTAKE_RECORDS_LIMIT,
    c.INTAKE_PAUSED,
    c.RECOVERY_REMAINING,
    c.STORE_IN_STEP,
)
WORKER_METRICS = (
    c.INFO,
    c.PARTITIONS_CONFIGURED,
    c.READY,
    c.UPTIME,
    c.TRANSACTIONS_LOST,
    c.STANDBY_LAG,
    c.STORE_BYTES,
    c.STORE_MEMORY,
    c.FORECASTS_WAITING,
    c.FORECASTS_DROPPED,
    c.FORECAST_PROCESSES,
    c.ALERTS_RAISED,
    c.ALERTS,
)


def standing_families(standing: Standing) -> Families:
    """Everything but the twins'. Call it in the worker's event loop."""
    families = Families(*WORKER_METRICS, *PARTITION_METRICS)
    status = standing.status()
    _worker(families, standing, status)
    for partition in status.partitions:
        _partition(families, partition)
    for standby in status.standbys:
        families.add(c.STANDBY_LAG, standby.progress.remaining, standby.table, standby.partition)
    _stores(families, standing.stores())
    forecasting = forecasting_of(standing)
    if forecasting is not None:
        families.add(c.FORECASTS_WAITING, forecasting.waiting)
        families.add(c.FORECASTS_DROPPED, forecasting.dropped)
        families.add(c.FORECAST_PROCESSES, forecasting.processes)
        families.add(c.ALERTS_RAISED, forecasting.alerting.raised)
        families.add(c.ALERTS, forecasting.alerting.sent)
    return families


def forecasting_of(standing: Standing) -> Forecasting | None:
    """The worker's forecasts, if it makes any and is that far."""
    follower: Any = None if standing.hosting is None else standing.hosting.follower
    each = follower.each if isinstance(follower, Followers) else (follower,)
    return next((one for one in each if isinstance(one, Forecasting)), None)


def _worker(families: Families, standing: Standing, status: WorkerStatus) -> None:
    settings = standing.settings
    families.add(c.INFO, 1, _version(), settings.app_id, settings.security_protocol)
    families.add(c.PARTITIONS_CONFIGURED, settings.partitions)
    families.add(c.READY, status.ready)
    families.add(c.UPTIME, status.up_s)
    families.add(c.TRANSACTIONS_LOST, standing.transactions_lost)


def _partition(families: Families, status: PartitionStatus) -> None:
    p = status.partition
    for state in State:
        families.add(c.PARTITION_STATE, status.state is state, p, state)
    if status.why is not None:
        families.add(c.PARTITION_WAITING, 1, p, status.why.reason)
    families.add(c.LAG_SECONDS, status.lag_s, p)
    families.add(c.LAG_RECORDS, status.lag_records, p)
    families.add(c.NEXT_OFFSET, status.next_offset, p)
    families.add(c.LOG_END, status.log_end, p)
    families.add(c.TWINS, status.twins, p)
    families.add(c.INTAKE_RECORDS, status.intake.records, p)
    families.add(c.INTAKE_BYTES, status.intake.bytes, p)
    families.add(c.INTAKE_RECORDS_LIMIT, status.intake.records_max, p)
    families.add(c.INTAKE_PAUSED, status.intake.paused, p)
    families.add(c.STORE_IN_STEP, status.local_state == "in-step", p)
    if status.progress is not None:
        families.add(c.RECOVERY_REMAINING, status.progress.remaining, p, status.progress.what)


def _stores(families: Families, stores: Mapping[str, PartitionStore]) -> None:
    for table, store in stores.items():
        on_disk, in_memory = store.sizes()
        families.add(c.STORE_BYTES, on_disk, table)
        families.add(c.STORE_MEMORY, in_memory, table)


def _version() -> str:
    try:
        return metadata.version("twin-app")
    except metadata.PackageNotFoundError:
        return "unknown"
