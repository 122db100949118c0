"""The diagram: every machine and stock is in it, no two boxes lie on one another, and a blueprint has one picture."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from models.load import load_blueprint
from tests.web.plant import SHOP
from twin_app.cli.demo.plant import WORKSHOP
from twin_app.web.diagram import diagram
from twin_app.web.layout import spaced
from twin_app.web.shapes import Diagram

ROOT = Path(__file__).parents[2]
NESTED = """
twin: Nested
resources: {a: {}, b: {}, c: {}, idle: {}}
arrivals: {orders: {interarrival: {constant: 1}, flow: make}}
flows:
  make:
    - branch:
        - {when: "entity.id > 5", do: [{process: {resource: a, for: 1}}]}
    - loop: {times: 2, do: [{process: {resource: b, for: 1}}]}
    - spawn: other
    - process: {resource: c, for: 1, patience: 3, on_renege: other}
  other:
    - delay: 1
  by_command:
    - process: {resource: a, for: 1}
"""
TEXTS = [
    SHOP,
    WORKSHOP,
    NESTED,
    *(path.read_text() for path in sorted((ROOT / "examples").rglob("*.yaml")) if path.name != "commands.yaml"),
]


def drawn(text: str) -> Diagram:
    return diagram(load_blueprint(text))


@pytest.mark.parametrize("text", TEXTS)
def test_every_part_is_drawn_and_none_on_another(text: str) -> None:
    blueprint, picture = load_blueprint(text), drawn(text)
    found = {node.id for node in picture.nodes}
    for section in ("resources", "containers", "stores", "arrivals"):
        assert {f"{section}.{name}" for name in getattr(blueprint, section)} <= found
    for layer in range(picture.layers):
        rows = sorted(node.row for node in picture.nodes if node.layer == layer)
        assert rows, "an empty layer"
        assert all(after - before >= 0.99 for before, after in pairwise(rows))
    layers = {node.id: node.layer for node in picture.nodes}
    for edge in picture.edges:
        assert edge.back or layers[edge.source] < layers[edge.target]
    assert picture == drawn(text)


def test_ways_are_those_of_the_flows() -> None:
    ways = {(edge.source, edge.target) for edge in drawn(NESTED).edges}
    assert ways == {
        ("arrivals.orders", "resources.a"),
        ("arrivals.orders", "resources.b"),
        ("resources.a", "resources.b"),
        ("resources.b", "resources.b"),
        ("resources.b", "resources.c"),
        ("resources.b", "end.other"),
        ("resources.c", "end.make"),
        ("resources.c", "end.other"),
        ("flows.by_command", "resources.a"),
        ("resources.a", "end.by_command"),
    }


def test_rework_is_drawn_backwards() -> None:
    back = {(edge.source, edge.target, edge.label) for edge in drawn(WORKSHOP).edges if edge.back}
    assert back == {("resources.weld", "resources.weld", "0.1")}


def test_places_are_apart_and_in_order() -> None:
    assert spaced([0.0, 5.0, 5.0, 5.0], [1, 1, 1, 1]) == [0.0, 4.0, 5.0, 6.0]
    assert spaced([1.0, 1.0], [9, 1]) == pytest.approx([0.9, 1.9])
