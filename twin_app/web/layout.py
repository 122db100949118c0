"""A layered drawing of a directed graph: which box goes in which column and row. Pure, and always the same for the same graph.

The method of Sugiyama, Tagawa and Toda (1981), in its simple form: turn the edges of cycles round, give each node the layer of
its longest way from a source, then order each layer by the mean place of its neighbours, a few times in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

SWEEPS = 8
STRAIGHTENINGS = 40
NEARLY = 0.4
"""Of a row: less than this is made level."""
NODES_MAX = 400
EDGES_MAX = 2_000


def back_edges(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that close a cycle when the graph is walked in the order of `nodes`."""
    following: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        following[source].append(target)
    state: dict[str, int] = {}
    found: set[tuple[str, str]] = set()
    for root in nodes:
        if root in state:
            continue
        stack = [(root, iter(following[root]))]
        state[root] = 1
        while stack:
            node, rest = stack[-1]
            target = next(rest, "")
            if not target:
                state[node] = 2
                stack.pop()
            elif state.get(target) == 1:
                found.add((node, target))
            elif target not in state:
                state[target] = 1
                stack.append((target, iter(following[target])))
    return found


def layers_of(nodes: Sequence[str], edges: Sequence[tuple[str, str]], back: set[tuple[str, str]]) -> dict[str, int]:
    """The layer of each node: one more than that of the last before it. A source stands right before what it leads to."""
    forward = [edge for edge in edges if edge not in back and edge[0] != edge[1]]
    before: dict[str, list[str]] = {node: [] for node in nodes}
    after: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in forward:
        before[target].append(source)
        after[source].append(target)
    waiting = {node: len(before[node]) for node in nodes}
    ready = [node for node in nodes if not waiting[node]]
    layer = dict.fromkeys(nodes, 0)
    order: list[str] = []
    while ready:
        node = ready.pop(0)
        order.append(node)
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for node in order:
        if not before[node] and after[node]:
            layer[node] = min(layer[target] for target in after[node]) - 1
    return layer


def rows_of(
    nodes: Sequence[str], edges: Sequence[tuple[str, str]], layer: Mapping[str, int], weight: Mapping[str, float]
) -> dict[str, float]:
    """The row of each node: the order that crosses least, then as straight as the room allows.

    `weight` of a node: the way between two heavy ones is made straight at the cost of the light ones.
    """
    columns: dict[int, list[str]] = {}
    for node in nodes:
        columns.setdefault(layer[node], []).append(node)
    neighbours: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        neighbours[source].append(target)
        neighbours[target].append(source)
    row = {node: float(place) for column in columns.values() for place, node in enumerate(column)}
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        for number in sorted(columns, reverse=not forwards):
            column = columns[number]
            wanted = {}
            for node in column:
                seen = [
                    row[other] for other in neighbours[node] if (layer[other] < number) == forwards and layer[other] != number
                ]
                wanted[node] = sum(seen) / len(seen) if seen else row[node]
            column.sort(key=lambda node: wanted[node])
            for place, node in enumerate(column):
                row[node] = float(place)
    for sweep in range(STRAIGHTENINGS):
        for number in sorted(columns, reverse=sweep % 2 == 1):
            column = columns[number]
            pulled: list[float] = []
            for node in column:
                pulls = [(row[other], weight[other] * weight[node]) for other in neighbours[node] if other != node]
                pulls.append((row[node], 1.0))
                pulled.append(sum(place * pull for place, pull in pulls) / sum(pull for _, pull in pulls))
            for node, height in zip(column, spaced(pulled, [weight[node] for node in column]), strict=True):
                row[node] = height
    _straighten(columns, edges, layer, row, weight)
    top = min(row.values(), default=0.0)
    return {node: round(place - top, 3) for node, place in row.items()}


def _straighten(
    columns: Mapping[int, Sequence[str]],
    edges: Sequence[tuple[str, str]],
    layer: Mapping[str, int],
    row: dict[str, float],
    weight: Mapping[str, float],
) -> None:
    """Heavy nodes that are nearly level with the one before them become so, where there is room."""
    heavy = max(weight.values(), default=1.0)
    for source, target in sorted(edges, key=lambda edge: layer[edge[1]]):
        if weight[source] == weight[target] == heavy and layer[source] < layer[target]:
            others = [row[node] for node in columns[layer[target]] if node != target]
            if abs(row[source] - row[target]) < NEARLY and all(abs(row[source] - place) >= 1 for place in others):
                row[target] = row[source]


def spaced(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Places in the same order, at least 1 apart, as near to the wanted ones as that allows (weighted least squares).

    Less its number, each place must not fall: isotonic regression by pooling neighbours that are out of order.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, size
    for number, (place, weight) in enumerate(zip(wanted, weights, strict=True)):
        mean, size = place - number, 1
        while pools and pools[-1][0] > mean:
            before, heft, count = pools.pop()
            mean = (before * heft + mean * weight) / (heft + weight)
            weight, size = heft + weight, size + count
        pools.append((mean, weight, size))
    flat = [mean for mean, _, size in pools for _ in range(size)]
    return [mean + number for number, mean in enumerate(flat)]
