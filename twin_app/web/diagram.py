"""The line as a diagram: what its flows lead through, from the blueprint alone. Pure.

Boxes are arrivals, resources, containers, stores, and the ends of flows. An edge joins two boxes that an entity can go to one
after the other. A flow that nothing leads into (its entities come by command) begins with a box of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.blueprint import Blueprint
from models.flow import Step
from twin_app.switchboard import blueprint_hash
from twin_app.web.layout import EDGES_MAX, NODES_MAX, back_edges, layers_of, rows_of
from twin_app.web.shapes import Diagram, Edge, Node

LABEL_CHARS_MAX = 40
HEAVY = 8.0
"""A machine or stock against an arrival or an end: the ways between machines are drawn straight."""
BLOCKS = ("loop", "retry")


class _Walk:
    """Collects boxes and edges on the way through the flows."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.nodes: dict[str, tuple[Any, str]] = {}
        self.edges: dict[tuple[str, str], str | None] = {}
        self._blocks = 0

    def all(self) -> None:
        model = self.blueprint
        for name, arrival in model.arrivals.items():
            self._node("arrival", f"arrivals.{name}", name)
            self._join([(f"arrivals.{name}", None)], self._flow_start(arrival.flow))
        led_into = {arrival.flow for arrival in model.arrivals.values()}
        for name in model.flows:
            self._flow(name)
        for name in model.flows:
            targeted = any(target == self._flow_start(name) for _, target in self.edges)
            if name not in led_into and not targeted:
                self._node("entry", f"flows.{name}", name)
                self._join([(f"flows.{name}", None)], self._flow_start(name))
        for section, kind in (("resources", "resource"), ("containers", "container"), ("stores", "store")):
            for name in getattr(model, section):
                self._node(kind, f"{section}.{name}", name)

    # -- inside: a `mark` is a place between boxes, named (flow, label); it is replaced by what is found there

    def _node(self, kind: str, node: str, name: str) -> str:
        self.nodes.setdefault(node, (kind, name))
        return node

    def _flow_start(self, flow: str) -> str:
        return f"@{flow}"

    def _join(self, sources: Iterable[tuple[str, str | None]], target: str) -> None:
        for source, label in sources:
            if (source, target) not in self.edges:
                self.edges[source, target] = label

    def _flow(self, name: str) -> None:
        rest = self._steps(name, self.blueprint.flows[name], [(self._flow_start(name), None)])
        if rest:
            self._join(rest, self._node("end", f"end.{name}", name))

    def _steps(self, flow: str, steps: Iterable[Step], sources: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        """Walk steps in a row; what leads on behind them."""
        for step in steps:
            if step.label is not None:
                mark = f"@{flow}#{step.label}"
                self._join(sources, mark)
                sources = [(mark, None)]
            sources = self._step(flow, step, sources)
        return sources

    def _step(self, flow: str, step: Step, sources: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        verb, body = step.verb, step.body
        box = self._box(verb, body)
        if box is not None:
            self._join(sources, box)
            sources = [(box, None)]
        if verb == "go":
            self._go(flow, body, sources)
            return []
        if verb == "branch":
            return self._branch(flow, body, sources)
        if verb == "wait_any":
            for arm in body:
                if arm.go not in ("next",):
                    self._go(flow, arm.go, sources)
        if verb in BLOCKS:
            self._blocks += 1
            mark = f"@{flow}~{self._blocks}"
            self._join(sources, mark)
            inner = self._steps(flow, body.do, [(mark, None)])
            self._join(inner, mark)  # and once more
            whole = isinstance(getattr(body, "times", None), int) and body.times > 0
            return inner if whole and getattr(body, "while_", None) is None else _merged(sources, inner)
        if verb == "spawn":
            self._join([(source, "spawns") for source, _ in sources], self._flow_start(body.flow))
        for field in ("on_renege", "on_balk", "on_abandon", "on_timeout", "on_interrupt", "on_give_up"):
            target = getattr(body, field, None)
            if isinstance(target, str) and target not in ("next", "resume", "restart", "abandon"):
                self._go(flow, target, [(source, field.removeprefix("on_").replace("_", " ")) for source, _ in sources])
        return sources

    def _box(self, verb: str, body: Any) -> str | None:
        if verb in ("seize", "process"):
            return self._node("resource", f"resources.{body.resource}", body.resource)
        if verb in ("put", "get"):
            if body.container is not None:
                return self._node("container", f"containers.{body.container}", body.container)
            return self._node("store", f"stores.{body.store}", body.store)
        return None

    def _branch(self, flow: str, arms: Any, sources: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
        leading_on: list[tuple[str, str | None]] = []
        for arm in arms:
            label = _arm_label(arm)
            here = [(source, label) for source, _ in sources]
            if arm.do is not None:
                here = self._steps(flow, arm.do, here)
            if arm.go is not None and arm.go != "next":
                self._go(flow, arm.go, here)
            else:
                leading_on += here
        covered = any(arm.when is None and arm.weight is None for arm in arms) or all(arm.weight is not None for arm in arms)
        return _merged(leading_on, [] if covered else sources)

    def _go(self, flow: str, target: str, sources: list[tuple[str, str | None]]) -> None:
        if target == "end":
            self._join(sources, self._node("end", f"end.{flow}", flow))
        elif target in self.blueprint.flows and not self._has_label(flow, target):
            self._join(sources, self._flow_start(target))
        else:
            self._join(sources, f"@{flow}#{target}")

    def _has_label(self, flow: str, label: str) -> bool:
        return label in _labels(self.blueprint.flows[flow])


def _labels(steps: Iterable[Step]) -> set[str]:
    found: set[str] = set()
    for step in steps:
        if step.label is not None:
            found.add(step.label)
        for inner in [step.body] if step.verb in BLOCKS else step.body if step.verb == "branch" else []:
            found |= _labels(inner.do or [])
    return found


def _merged(first: list[tuple[str, str | None]], second: list[tuple[str, str | None]]) -> list[tuple[str, str | None]]:
    return list(dict.fromkeys([*first, *second]))


def _arm_label(arm: Any) -> str | None:
    if arm.when is not None:
        text = str(arm.when)
        return text if len(text) <= LABEL_CHARS_MAX else text[: LABEL_CHARS_MAX - 1] + "…"
    return None if arm.weight is None else f"{arm.weight:g}"


def _without_marks(edges: dict[tuple[str, str], str | None]) -> dict[tuple[str, str], str | None]:
    """Marks taken out: whatever leads to one leads to what it leads to."""
    after: dict[str, list[tuple[str, str | None]]] = {}
    for (source, target), label in edges.items():
        after.setdefault(source, []).append((target, label))
    found: dict[tuple[str, str], str | None] = {}
    for (source, target), label in edges.items():
        if source.startswith("@"):
            continue
        waiting, seen = [(target, label)], {target}
        while waiting:
            node, words = waiting.pop(0)
            if not node.startswith("@"):
                found.setdefault((source, node), words)
                continue
            for further, inner in after.get(node, ()):
                if further not in seen:
                    seen.add(further)
                    waiting.append((further, words or inner))
    return found


def diagram(blueprint: Blueprint) -> Diagram:
    """The diagram of a blueprint, with at most NODES_MAX boxes and EDGES_MAX edges."""
    walk = _Walk(blueprint)
    walk.all()
    edges = _without_marks(walk.edges)
    names = list(walk.nodes)[:NODES_MAX]
    kept = frozenset(names)
    drawn = {edge: label for edge, label in list(edges.items())[:EDGES_MAX] if edge[0] in kept and edge[1] in kept}
    touched = {node for edge in drawn for node in edge}
    names = [node for node in names if node in touched or walk.nodes[node][0] not in ("end", "entry")]
    plain = list(drawn)
    back = back_edges(names, plain)
    layer = layers_of(names, plain, back)
    low = min(layer.values(), default=0)
    weight = {node: HEAVY if walk.nodes[node][0] in ("resource", "container", "store") else 1.0 for node in names}
    row = rows_of(names, plain, layer, weight)
    return Diagram(
        twin=blueprint.twin,
        blueprint_hash=blueprint_hash(blueprint),
        layers=max((layer[node] - low + 1 for node in names), default=0),
        rows=max((row[node] + 1 for node in names), default=0),
        nodes=[
            Node(id=node, kind=walk.nodes[node][0], name=walk.nodes[node][1], layer=layer[node] - low, row=row[node])
            for node in names
        ],
        edges=[
            Edge(source=source, target=target, back=(source, target) in back or source == target, label=label)
            for (source, target), label in drawn.items()
        ],
        more=len(walk.nodes) - len(names) if len(walk.nodes) > NODES_MAX else 0,
    )
