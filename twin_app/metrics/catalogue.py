"""Every metric of a worker: name, kind, help, labels. Base units (seconds, bytes); names end in the unit, counters in `_total`.

The number of series is bounded: labels are partitions, topics of the application, fixed sets of words, and, for the metrics of
single twins, at most as many twins and resources as `twins` allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets for what usually takes milliseconds."""
SLOW_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Buckets for what may take minutes."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of series."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus stores it."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)


PARTITION = ("partition",)

INFO = Metric("twin_worker_info", "gauge", "1; its labels say what runs here.", ("version", "app", "security"))
PARTITIONS_CONFIGURED = Metric("twin_partitions_configured", "gauge", "Partitions of the config topic, over all workers.")
READY = Metric("twin_worker_ready", "gauge", "1 when every partition that the worker was given is recovered.")
UPTIME = Metric("twin_worker_uptime_seconds", "gauge", "Time since the worker was started.")
LOOP_DELAY = Metric(
    "twin_event_loop_delay_seconds", "histogram", "How late a timer of the event loop fires: what blocks it.", (), FAST_S
)

PARTITION_STATE = Metric("twin_partition_state", "gauge", "1 for the state that the partition is in.", ("partition", "state"))
PARTITION_WAITING = Metric(
    "twin_partition_waiting", "gauge", "1 for the reason why the partition is not simply live.", ("partition", "reason")
)
LAG_SECONDS = Metric(
    "twin_simulation_lag_seconds",
    "gauge",
    "By how many wall seconds the next due moment of the partition's twins is overdue (system.simulation.lag_seconds).",
    PARTITION,
)
LAG_RECORDS = Metric(
    "twin_config_lag_records", "gauge", "Commands in the config log that are not applied and committed yet.", PARTITION
)
NEXT_OFFSET = Metric("twin_config_next_offset", "gauge", "Commands below this offset are applied and committed.", PARTITION)
LOG_END = Metric("twin_config_log_end_offset", "gauge", "Commands below this offset are known to be in the log.", PARTITION)
TWINS = Metric("twin_twins", "gauge", "Twins that the partition hosts, removed ones whose numbers go on among them.", PARTITION)
INTAKE_RECORDS = Metric("twin_intake_records", "gauge", "Fetched commands that wait for a cycle.", PARTITION)
INTAKE_BYTES = Metric("twin_intake_bytes", "gauge", "Size of the fetched commands that wait for a cycle.", PARTITION)
INTAKE_RECORDS_LIMIT = Metric("twin_intake_limit_records", "gauge", "Waiting commands beyond which fetching pauses.", PARTITION)
INTAKE_PAUSED = Metric("twin_intake_paused", "gauge", "1 while fetching is held back since the intake is full.", PARTITION)

CYCLES = Metric("twin_cycles_total", "counter", "Cycles committed.", PARTITION)
COMMANDS = Metric("twin_commands_total", "counter", "Commands taken in by committed cycles, refused ones too.", PARTITION)
COMMANDS_ACCEPTED = Metric("twin_commands_accepted_total", "counter", "Commands that took effect, by kind.", ("kind",))
DEAD_LETTERS = Metric("twin_dead_letters_total", "counter", "Commands refused, by the reason's code.", ("code",))
EVENTS = Metric("twin_events_total", "counter", "Events committed.", PARTITION)
OUTPUT_RECORDS = Metric("twin_output_records_total", "counter", "Records committed to a topic.", ("topic",))
OUTPUT_BYTES = Metric("twin_output_bytes_total", "counter", "Size of the values committed to a topic, uncompressed.", ("topic",))
COMMIT_SECONDS = Metric(
    "twin_commit_duration_seconds", "histogram", "From the first record of a transaction to the answer to its commit.", (), FAST_S
)
TRANSACTIONS_LOST = Metric(
    "twin_transactions_lost_total", "counter", "Transactions that could not be finished: fenced, timed out, answer lost."
)
CHECKPOINTS = Metric("twin_checkpoints_total", "counter", "Cycles that wrote a checkpoint.", PARTITION)
CHECKPOINT_BYTES = Metric("twin_checkpoint_bytes_total", "counter", "Size of the checkpoint rows written.", PARTITION)

RECOVERIES = Metric("twin_recoveries_total", "counter", "Partitions brought up after an assignment.")
RECOVERY_SECONDS = Metric(
    "twin_recovery_duration_seconds", "histogram", "From fencing the former owner to the partition's first cycle.", (), SLOW_S
)
REPLAYED_TICKS = Metric("twin_replayed_ticks_total", "counter", "Cycles run again during recovery, with the output off.")
RECOVERY_REMAINING = Metric(
    "twin_recovery_remaining_records", "gauge", "Offsets still to be read by the recovery.", ("partition", "what")
)
STANDBY_LAG = Metric(
    "twin_standby_lag_records", "gauge", "Offsets by which a standby copy trails its changelog.", ("table", "partition")
)
STORE_IN_STEP = Metric(
    "twin_store_in_step", "gauge", "0 when the local state could not be written: the next start reads the changelog.", PARTITION
)
STORE_BYTES = Metric("twin_store_size_bytes", "gauge", "Local state on disk (RocksDB tables).", ("table",))
STORE_MEMORY = Metric("twin_store_memory_bytes", "gauge", "Block caches and write buffers of the local state.", ("table",))

FORECASTS = Metric(
    "twin_forecasts_total",
    "counter",
    "Forecasts by what asked for them and how they ended: answered (first revision), complete, superseded, or an error's code.",
    ("reason", "outcome"),
)
FORECAST_FIRST_SECONDS = Metric(
    "twin_forecast_first_answer_seconds",
    "histogram",
    "From the timestamp of a command to the first revision of the forecast that it asked for or caused.",
    (),
    FAST_S,
)
FORECAST_REVISIONS = Metric("twin_forecast_revisions_total", "counter", "Revisions sent.")
FORECASTS_WAITING = Metric("twin_forecasts_waiting", "gauge", "Requests for forecasts whose turn has not come.")
FORECASTS_DROPPED = Metric("twin_forecasts_dropped_total", "counter", "Requests dropped since too many waited.")
FORECAST_PROCESSES = Metric("twin_forecast_processes", "gauge", "Processes that run forks of the twins.")

ALERTS_RAISED = Metric("twin_alerts_raised", "gauge", "Standing questions that are true now, of the twins that are here.")
ALERTS = Metric("twin_alerts_total", "counter", "Standing questions that became true, or were not true any more.")

TWIN_LAG_SECONDS = Metric(
    "twin_lag_seconds", "gauge", "As twin_simulation_lag_seconds, for one twin. Only of as many twins as are shown.", ("twin",)
)
TWIN_WIP = Metric("twin_wip_entities", "gauge", "Entities in progress.", ("twin",))
TWIN_RUNNING = Metric("twin_running", "gauge", "0 while the twin is quarantined since its model failed.", ("twin",))
TWIN_EVENTS = Metric("twin_event_sequence", "gauge", "Sequence number of the twin's last event.", ("twin",))
RESOURCE_QUEUE = Metric("twin_resource_queue_entities", "gauge", "Entities that wait for the resource.", ("twin", "resource"))
RESOURCE_BUSY = Metric("twin_resource_busy_units", "gauge", "Units of the resource in use.", ("twin", "resource"))
RESOURCE_CAPACITY = Metric("twin_resource_capacity_units", "gauge", "Units that the resource has now.", ("twin", "resource"))
RESOURCE_DOWN = Metric("twin_resource_down", "gauge", "1 while the resource is broken or in maintenance.", ("twin", "resource"))
STOCK_LEVEL = Metric("twin_stock_level", "gauge", "What a container or store holds now.", ("twin", "stock"))
STOCK_CAPACITY = Metric("twin_stock_capacity", "gauge", "What a container or store can hold.", ("twin", "stock"))
TWINS_NOT_SHOWN = Metric(
    "twin_twins_not_shown",
    "gauge",
    "Twins hosted here without metrics of their own, since there are more than TWIN_METRICS_TWINS.",
)

METRICS: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))

LIBRARY = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "python_gc_collections_total",
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_info",
)
"""What the Prometheus client tells of the process by itself."""


def series_names() -> frozenset[str]:
    """Every name that a query may use."""
    return frozenset(name for metric in METRICS for name in metric.series) | frozenset(LIBRARY)
