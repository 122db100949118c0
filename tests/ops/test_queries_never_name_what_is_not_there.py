"""Dashboards and alerts ask only for metrics and labels that a worker has; each alert has a page that says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from twin_app.metrics.catalogue import LIBRARY, METRICS, series_names
from twin_app.settings import PREFIX, Settings, secret_of_file

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())["groups"]
ALERTS = [rule for group in RULES for rule in group["rules"]]
RUNBOOKS = ROOT / "docs" / "runbooks"
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""
OF_PROMETHEUS = {"up"}
LABELS = {name: {*metric.labels, *({"le"} if metric.kind == "histogram" else ())} for metric in METRICS for name in metric.series}


def queries() -> Iterator[Any]:
    for alert in ALERTS:
        yield pytest.param(alert["expr"], id=alert["alert"])
    for board in DASHBOARDS:
        document = json.loads(board.read_text())
        for panel in document["panels"]:
            for target in panel.get("targets", ()):
                yield pytest.param(target["expr"], id=f"{board.stem}: {panel['title']}: {target['refId']}")
        for note in document["annotations"]["list"]:
            yield pytest.param(note["expr"], id=f"{board.stem}: {note['name']}")
        for variable in document["templating"]["list"]:
            if variable["type"] == "query":
                inside = variable["definition"].removeprefix("label_values(").removesuffix(")")
                selector, _, label = inside.rpartition(", ")
                yield pytest.param(f"sum by ({label}) ({selector})", id=f"{board.stem}: ${variable['name']}")


def selectors(node: Any) -> Iterator[tuple[str, set[str]]]:
    """Every metric that a query selects, with the labels that it matches."""
    if isinstance(node, promql.VectorSelector):
        yield node.name, {matcher.name for matcher in node.matchers.matchers}
    for name in ("lhs", "rhs", "expr", "args", "param", "vector_selector"):
        below = getattr(node, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None and not isinstance(one, str | int | float):
                yield from selectors(one)


def groupings(node: Any) -> Iterator[tuple[set[str], set[str]]]:
    """For each aggregation: the labels that it keeps, and the metrics below it."""
    if isinstance(node, promql.AggregateExpr) and node.modifier is not None and "By" in str(node.modifier.type):
        yield set(node.modifier.labels), {name for name, _ in selectors(node.expr)}
    for name in ("lhs", "rhs", "expr", "args"):
        below = getattr(node, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None and not isinstance(one, str | int | float):
                yield from groupings(one)


def parsed(query: str) -> Any:
    return promql.parse(query.replace("$__rate_interval", "5m"))


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_names_metrics_and_labels_that_exist(query: str) -> None:
    tree = parsed(query)
    found = list(selectors(tree))
    assert found, query
    for name, labels in found:
        assert name in series_names() | OF_PROMETHEUS, name
        assert labels <= LABELS.get(name, set()) | SCRAPED, (name, labels)
    for kept, names in groupings(tree):
        for name in names:
            assert kept <= LABELS.get(name, set()) | SCRAPED, (name, kept)


def test_the_check_itself_notices_a_wrong_name_and_a_wrong_label() -> None:
    for query in ("twin_cycle_total", 'twin_cycles_total{partiton="1"}', "sum by (code) (twin_cycles_total)"):
        with pytest.raises(AssertionError):
            test_a_query_names_metrics_and_labels_that_exist(query)


@pytest.mark.parametrize("alert", [pytest.param(alert, id=alert["alert"]) for alert in ALERTS])
def test_an_alert_says_what_it_means_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    page = ROOT / alert["annotations"]["runbook_url"]
    assert page == RUNBOOKS / f"{alert['alert']}.md"
    text = page.read_text()
    assert text.startswith(f"# {alert['alert']}\n")
    for heading in ("## What it means", "## Look at", "## Do"):
        assert heading in text


def test_no_runbook_is_left_over_and_none_names_a_setting_that_is_not_there() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == {alert["alert"] for alert in ALERTS}
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for page in RUNBOOKS.glob("*.md"):
        text = page.read_text()
        for word in re.findall(r"\bTWIN_[A-Z0-9_]+", text):
            assert word in known or secret_of_file(word), f"{page.name}: {word}"
        for word in re.findall(r"\btwin_[a-z0-9_]+", text):
            assert word in series_names() | {metric.name for metric in METRICS}, f"{page.name}: {word}"


def test_names_follow_the_rules_of_prometheus() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("twin_"), metric
        assert metric.help.endswith("."), metric
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric
        assert not any(unit in metric.name for unit in ("_ms", "milli", "_minutes", "_kb", "_mb")), metric
        assert (metric.kind == "histogram") == bool(metric.buckets), metric
    assert not {metric.name for metric in METRICS} & set(LIBRARY)


def test_every_metric_is_looked_at_by_somebody() -> None:
    """A metric that no dashboard and no alert uses is a series paid for nothing; those listed are for people's own queries."""
    asked = {name for one in queries() for name, _ in selectors(parsed(one.values[0]))}
    spare = {"twin_worker_info", "twin_worker_uptime_seconds", "twin_config_next_offset", "twin_config_log_end_offset"}
    spare |= {"twin_intake_bytes", "twin_intake_paused", "twin_output_records_total", "twin_checkpoints_total"}
    spare |= {"twin_checkpoint_bytes_total"}
    unused = {metric.name for metric in METRICS if not asked & set(metric.series)}
    assert unused == spare


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.stem)
def test_a_dashboard_stands_by_itself(board: Path) -> None:
    document = json.loads(board.read_text())
    assert document["uid"] == f"twin-{board.stem}"
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    taken = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
