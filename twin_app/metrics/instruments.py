"""From the catalogue to the Prometheus client's objects."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from twin_app.metrics.catalogue import Metric

disable_created_metrics()  # one more series for each, which nobody asks for


def counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    """Counts up where things happen."""
    assert metric.kind == "counter", metric
    return Counter(metric.name, metric.help, metric.labels, registry=registry)


def histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    """Sorts durations into buckets."""
    assert metric.kind == "histogram", metric
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)


def family(metric: Metric) -> GaugeMetricFamily | CounterMetricFamily:
    """An empty family, to be filled with what is known at the moment of a scrape."""
    if metric.kind == "gauge":
        return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    assert metric.kind == "counter", metric
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
