"""`twin metrics`: what a worker tells Prometheus."""

from __future__ import annotations

from twin_app.cli import output
from twin_app.cli.options import Json
from twin_app.metrics.catalogue import METRICS


def metrics(as_json: Json = False) -> None:
    """List the metrics that each worker serves under /metrics: name, kind, labels, meaning. Asks nobody."""
    rows = [
        {"name": metric.name, "kind": metric.kind, "labels": ",".join(metric.labels), "meaning": metric.help}
        for metric in METRICS
    ]
    if as_json:
        for metric, row in zip(METRICS, rows, strict=True):
            output.put_json({**row, "labels": list(metric.labels), "series": list(metric.series)})
    else:
        output.table(rows, ("name", "kind", "labels", "meaning"))
