"""A fork: a twin restored from the state of a live one, listened to lightly, and run ahead. The live twin knows nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

from models.blueprint import Blueprint, Watch
from models.commands import Patch, Set
from models.questions import StandingQuestion
from twin_app.forecast.gauges import gauge
from twin_app.kernel import Twin
from twin_app.kernel.entity import Entity
from twin_app.kernel.resource import Resource
from twin_app.kernel.stock import Stock
from twin_app.switchboard import LiveTwin

EMPTY, FULL = "empty", "full"


def because(question: str) -> str:
    """Where the level of a standing question comes from."""
    return f"questions.{question}"


class Crossing:
    """The first time at which a quantity is at or beyond a level; infinity until then. `why`: where the level comes from."""

    __slots__ = ("_beyond", "_measure", "_twin", "at", "level", "quantity", "why")

    def __init__(
        self,
        twin: Twin,
        quantity: str,
        measure: Callable[[], float],
        level: float,
        why: str,
        observed: Resource | Stock | None = None,
        *,
        falling: bool = False,
    ) -> None:
        """`observed`: whose changes call `look`; without it somebody else does. `falling`: the level is reached from above."""
        self._twin, self._measure = twin, measure
        self._beyond = float.__le__ if falling else float.__ge__
        self.quantity, self.level, self.why = quantity, float(level), why
        self.at = inf
        if observed is not None:
            twin.observe(observed, self.look)

    def look(self) -> None:
        if self.at == inf and self._beyond(float(self._measure()), self.level):
            self.at = self._twin.now


class Fork(Twin):
    """A twin that notes when bottlenecks form, when queues reach their levels, and when the entities of its beginning leave.

    `formed`: resource -> when it next became a bottleneck. `left`: entity -> (when, outcome), for those up to `newest`.
    """

    def _build(self, blueprint: Blueprint, events: bool) -> None:
        self.crossings: list[Crossing] = []
        self.looks: dict[float, list[Crossing]] = {}
        """Whose `look` is to be called at which simulation times, since nobody reports a change."""
        self._forming: dict[str, Crossing] = {}
        super()._build(blueprint, events)
        self.newest = 0
        self.formed: dict[str, float] = {}
        self.left: dict[int, tuple[float, str]] = {}

    def listen(self) -> None:
        """From here on."""
        self.newest = self.last_entity
        watch = self.blueprint.watch.bottleneck
        for resource in self.resources.values():
            quantity, measure = f"resources.{resource.name}.queue", resource.queue.__len__
            if watch is not None:
                crossing = Crossing(self, quantity, measure, watch.queue, "watch.bottleneck")
                self._forming[resource.name] = crossing
                self.crossings.append(crossing)
            if resource.queue_limit:
                self.crossings.append(Crossing(self, quantity, measure, resource.queue_limit, "queue_limit", resource))
        for quantity, stock in self.stocks().items():
            measure = partial(getattr, stock, "level")
            self.crossings.append(Crossing(self, quantity, measure, 0.0, EMPTY, stock, falling=True))
            self.crossings.append(Crossing(self, quantity, measure, stock.capacity, FULL, stock))
        for crossing in self.crossings:
            crossing.look()
        for name, question in self.blueprint.questions.items():
            if question.quantity is not None:
                self._ask(name, question, question.quantity)

    def _ask(self, name: str, question: StandingQuestion, quantity: str) -> None:
        """Note when a quantity first comes to the level of a standing question."""
        falling = question.at_most is not None
        level = self.parameter_board.read(f"questions.{name}.{'at_most' if falling else 'at_least'}")
        observed: Resource | Stock | None = self.stocks().get(quantity)
        gauged = None
        if quantity.endswith(".queue"):
            observed = self.resources[quantity.split(".")[1]]
            measure: Callable[[], float] = observed.queue.__len__
        elif observed is not None:
            measure = partial(getattr, observed, "level")
        else:
            gauged = gauge(self, quantity, question.within or 0.0)
            measure = gauged.measure
        crossing = Crossing(self, quantity, measure, level, because(name), observed, falling=falling)
        self.crossings.append(crossing)
        for time in gauged.looks if gauged is not None else ():
            self.looks.setdefault(time, []).append(crossing)
        if gauged is None or gauged.at_once:
            crossing.look()

    def stocks(self) -> dict[str, Stock]:
        """Containers and stores by the path of their level."""
        return {
            **{f"containers.{name}.level": container for name, container in self.containers.items()},
            **{f"stores.{name}.level": store for name, store in self.stores.items()},
        }

    def present_bottlenecks(self) -> list[str]:
        """Resources that are bottlenecks now."""
        return [watch.resource for watch in self.watches if watch.formed]

    def watching(self) -> Watch:
        """Without events, only what is noted here: nobody would hear of the rest."""
        watch = self.blueprint.watch
        return watch if self.events else watch.model_copy(update={"growing": None, "starving": None})

    def forming(self, resource: str) -> None:
        if resource in self._forming:
            self._forming[resource].look()

    def report(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "bottleneck-formed":
            self.formed.setdefault(payload["resource"], self.now)
        super().report(kind, payload)

    def leave(self, entity: Entity, outcome: str) -> Any:
        if entity.id <= self.newest:
            self.left[entity.id] = (self.now, outcome)
        return super().leave(entity, outcome)


def fork(snapshot: Mapping[str, Any], salt: int, *, events: bool = False) -> LiveTwin:
    """The live twin of a snapshot as a fork, with the random future that `salt` chooses. Raises CheckpointError.

    Events are on where they matter to the run itself: a command that waits for its time may ask for the version of a path,
    and versions of what the model sets are counted by its events.
    """
    live = LiveTwin.restore(snapshot, kind=Fork, events=events or _guarded(snapshot["schedule"]["pending"]))
    live.twin.reseed(salt)
    return live


def guarded(commands: Sequence[Any]) -> bool:
    """Whether one of the commands asks for the version of a path."""
    return any(isinstance(command, Set | Patch) and command.if_version is not None for command in commands)


def _guarded(pending: Sequence[Any]) -> bool:
    return any(plain.get("if_version") is not None for _, _, plain, _ in pending)
