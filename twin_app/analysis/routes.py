"""The ways of entities through the flows, as a Markov chain: a node for each step, with the probabilities of what follows.

What the blueprint alone does not say (a condition on the state, a time by an expression) is replaced by the plainest assumption,
and each such replacement is noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from models.errors import TwinError
from models.flow import Step
from twin_app.analysis.moments import Moments, moments_of
from twin_app.analysis.opening import NotKnown, OpeningScope

if TYPE_CHECKING:
    from models.blueprint import Blueprint

NODES_MAX = 1_000
"""Steps of a blueprint that can be explained: the work grows with the cube of them."""
END = -1
NO_TIME = Moments(0.0, 0.0)

OTHER_WAITS = {
    "wait_for": "how long it waits for its condition or signal is not known: taken as 0",
    "put": "waiting for room in a container or store is not taken into account",
    "get": "waiting for a container or store is not taken into account",
    "batch": "the wait until a batch is full is not taken into account",
    "assemble": "the wait for what is assembled is not taken into account",
    "join": "the wait for the other parts is not taken into account",
    "interrupt": "interruptions are not taken into account",
    "call": "an own Python step: its effects are not taken into account",
}


@dataclass
class Node:
    """One step. `routes`: where it leads, with probabilities; `factor`: how many go on for each that comes; `births`: new
    entities for each that comes. `time`: of its service or delay; None if it is not known."""

    place: str
    verb: str
    body: Any
    time: Moments | None = NO_TIME
    resource: str | None = None
    units: float | None = 1.0
    factor: float = 1.0
    routes: list[tuple[int, float]] = field(default_factory=list)
    births: list[tuple[int, float]] = field(default_factory=list)

    def leads(self) -> dict[int, float]:
        """Expected number of those who arrive at each node for one who comes here."""
        found: dict[int, float] = {}
        for target, share in [*((t, p * self.factor) for t, p in self.routes), *self.births]:
            if target != END:
                found[target] = found.get(target, 0.0) + share
        return found


@dataclass
class _Row:
    node: int
    blocks: list[list[_Row]]


class Routes:
    """All nodes of a blueprint; `first` leads into each flow. Raises TwinError `too-large`."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self.scope = OpeningScope(blueprint)
        self.nodes: list[Node] = []
        self.notes: dict[tuple[str, str], None] = {}
        self.first: dict[str, int] = {}
        self._labels: dict[tuple[str, str], int] = {}
        self._retries = 0
        self._sizes: dict[str, set[float | None]] = {"batch": set(), "split": set()}
        rows = {name: self._lay(name, steps, f"flows.{name}") for name, steps in blueprint.flows.items()}
        self.first = {name: flow[0].node if flow else END for name, flow in rows.items()}
        for name, flow in rows.items():
            self._link(name, flow, END)

    def note(self, place: str, what: str) -> None:
        """Something that is not, or only roughly, taken into account."""
        self.notes[place, what] = None

    def moments(self, distribution: Any, place: str) -> Moments | None:
        found = moments_of(distribution)
        if found is None:
            self.note(place, "a distribution without a finite mean and variance: not taken into account")
        return found

    # -- nodes
    def _lay(self, flow: str, steps: list[Step], prefix: str) -> list[_Row]:
        rows = []
        for number, step in enumerate(steps):
            place = f"{prefix}.{step.label or number}"
            if len(self.nodes) >= NODES_MAX:
                raise TwinError(
                    "too-large", f"more than {NODES_MAX:,} steps cannot be explained", place=place, remedy="run it: `twin run`"
                )
            index = len(self.nodes)
            self.nodes.append(Node(place, step.verb, step.body))
            if step.label is not None:
                self._labels[flow, step.label] = index
            self._describe(self.nodes[index])
            blocks = []
            if step.verb in ("loop", "retry"):
                blocks = [self._lay(flow, step.body.do, place)]
            elif step.verb == "branch":
                blocks = [self._lay(flow, arm.do or [], f"{place}.{arm_number}") for arm_number, arm in enumerate(step.body)]
            rows.append(_Row(index, blocks))
        return rows

    def _describe(self, node: Node) -> None:
        """What it takes: time, and units of a resource."""
        body = node.body
        if node.verb in OTHER_WAITS:
            self.note(node.place, OTHER_WAITS[node.verb])
        if node.verb in ("process", "delay"):
            node.time = self._time(node)
        if node.verb in ("process", "seize"):
            node.resource, node.units = body.resource, self._number(body.units)
            if node.units is None:
                self.note(node.place, "how many units it takes is not known: taken as 1")
                node.units = 1.0
            if body.patience is not None:
                self.note(node.place, "that some lose patience and leave is not taken into account: waits are upper bounds")
        if node.verb == "batch":
            self._sizes["batch"].add(self._number(body.size))
        if node.verb == "split" and body.into is not None:
            self._sizes["split"].add(self._number(body.into))

    def _time(self, node: Node) -> Moments | None:
        body = node.body
        if body.service is not None:
            return self.moments(self._blueprint.services[body.service], f"services.{body.service}")
        if isinstance(body.for_, int | float | str):
            lasting = self._number(body.for_)
            if lasting is None:
                self.note(node.place, f"the time `{body.for_}` is not known from the blueprint alone: not taken into account")
                return None
            return Moments(lasting, 0.0)
        return self.moments(body.for_, node.place)

    def _number(self, value: Any) -> float | None:
        """A number, or an expression that gives one; None if that depends on more than the blueprint."""
        try:
            found = self.scope.value(value) if isinstance(value, str) else value
        except NotKnown:
            return None
        return float(found) if isinstance(found, int | float) and not isinstance(found, bool) and found >= 0 else None

    # -- what follows what
    def _link(self, flow: str, rows: list[_Row], after: int) -> None:
        for number, row in enumerate(rows):
            following = rows[number + 1].node if number + 1 < len(rows) else after
            self._follow(flow, self.nodes[row.node], row, following)

    def _target(self, flow: str, name: str, following: int) -> int:
        if name == "next":
            return following
        if name == "end":
            return END
        return self._labels.get((flow, name), self.first.get(name, END))

    def _follow(self, flow: str, node: Node, row: _Row, following: int) -> None:
        body = node.body
        node.routes = [(following, 1.0)]
        if node.verb == "go":
            node.routes = [(self._target(flow, body, following), 1.0)]
        elif node.verb == "branch":
            for block in row.blocks:
                self._link(flow, block, following)
            ways = [self._target(flow, arm.go, following) if arm.go is not None else block[0].node if block else following
                    for arm, block in zip(body, row.blocks, strict=True)]  # fmt: skip
            shares = self._weights(body) or self._conditions(node, body)
            node.routes = [(way, share) for way, share in zip([*ways, following], shares, strict=True) if share > 0]
        elif node.verb == "loop":
            self._loop(flow, node, row, following)
        elif node.verb == "retry":
            self._retries += 1
            self._link(flow, row.blocks[0], following)
            self._retries -= 1
            node.routes = [(row.blocks[0][0].node, 1.0)]
            self.note(node.place, "how often it is tried again is not known: taken as once")
        elif node.verb == "fail":
            self._fail(node, following)
        elif node.verb == "wait_any":
            node.routes = [(self._target(flow, arm.go, following), 1.0 / len(body)) for arm in body]
            self.note(
                node.place,
                f"what ends this wait, and when, is not known: an equal share for each of {len(body)} ways, in no time",
            )
        elif node.verb == "spawn":
            count = self._number(body.count)
            if count is None:
                self.note(node.place, "how many are spawned is not known: taken as 1")
            node.births = [(self.first[body.flow], 1.0 if count is None else count)]
        else:
            self._gather(node)

    def _weights(self, arms: list[Any]) -> list[float]:
        """The shares of the arms by weight, and of the way past them all (none). Empty for a branch by conditions."""
        if all(arm.weight is None for arm in arms):
            return []
        total = sum(arm.weight or 0.0 for arm in arms)
        if arms[-1].weight is None:
            return [*(arm.weight for arm in arms[:-1]), 1.0 - total, 0.0]
        return [*(arm.weight / total for arm in arms), 0.0]

    def _conditions(self, node: Node, arms: list[Any]) -> list[float]:
        """Those that the blueprint decides are decided; what then is open has equal shares, and is noted."""
        open_ways, texts = [], []
        for number, arm in enumerate(arms):
            known = True if arm.when is None else self._holds(arm.when)
            if known is not False:
                open_ways.append(number)
            if known is None:
                texts.append(arm.when)
            elif arm.when is not None:
                self.note(node.place, f"`{arm.when}` is taken as {str(known).lower()}, by the blueprint's own values")
            if known:
                break
        else:
            open_ways.append(len(arms))
        if texts:
            shown = ", ".join(f"`{text}`" for text in texts[:3]) + (", …" if len(texts) > 3 else "")
            self.note(node.place, f"how often {shown} holds is not known: an equal share for each of {len(open_ways)} ways")
        return [1.0 / len(open_ways) if number in open_ways else 0.0 for number in range(len(arms) + 1)]

    def _holds(self, condition: str) -> bool | None:
        try:
            return bool(self.scope.value(condition))
        except NotKnown:
            return None

    def _fail(self, node: Node, following: int) -> None:
        """Those who fail leave. Inside a retry they try again, which is noted there."""
        if self._retries:
            return
        body = node.body
        share = 1.0 if body.probability is None else self._number(body.probability)
        holds = True if body.when is None else self._holds(body.when)
        if share is None or share > 1 or holds is None:
            self.note(node.place, "how often it fails is not known: taken as never")
            share = 0.0
        elif not holds:
            share = 0.0
        node.routes = [(way, p) for way, p in ((END, share), (following, 1.0 - share)) if p > 0]

    def _loop(self, flow: str, node: Node, row: _Row, following: int) -> None:
        times = self._number(node.body.times) if node.body.times is not None else None
        if times is None or node.body.while_ is not None:
            guess = 1.0 if times is None else times
            self.note(node.place, f"how often the loop goes round is not known: taken as {guess:g} times")
            times = guess
        self._link(flow, row.blocks[0], row.node)
        node.routes = [(row.blocks[0][0].node, times / (times + 1.0)), (following, 1.0 / (times + 1.0))]

    def _gather(self, node: Node) -> None:
        """How many go on for each that comes."""
        unknown = "how many go on for each that comes is not known: taken as one"
        if node.verb == "assemble":
            node.factor = 1.0 / sum(node.body.needs.values())
        elif node.verb == "batch" or (node.verb == "split" and node.body.into is not None):
            size = self._number(node.body.size if node.verb == "batch" else node.body.into)
            if not size:
                self.note(node.place, unknown)
            else:
                node.factor = 1.0 / size if node.verb == "batch" else size
        elif node.verb in ("split", "join"):
            sizes = self._sizes["batch" if node.verb == "split" else "split"]
            size = next(iter(sizes)) if len(sizes) == 1 else None
            if not size:
                self.note(node.place, unknown)
            else:
                node.factor = size if node.verb == "split" else 1.0 / size
