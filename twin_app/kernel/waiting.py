"""Who waits for what: subscriptions of waiting entities to topics.

A topic is the path of a live parameter (`variables.mode`, `resources.b.capacity`), a resource's state (`resources.b`) or a signal
(`signal:go`). When it is touched, all who wait for it are asked, in the order in which they came. Conditions on parameters
are asked right after the change; on a resource's state when the entity that is moving has come to rest.
"""

from collections import OrderedDict
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from models.errors import EntityFault
from models.expressions import RESOURCE_FIELDS
from twin_app.kernel.entity import Entity
from twin_app.kernel.expressions import Expression

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin


def topics_of(condition: Expression) -> tuple[str, ...]:
    """The topics that can make a condition change, without repetition, in the order of its text."""
    topics: dict[str, None] = {}
    for root, *rest in condition.references:
        if root == "variables":
            topics[f"variables.{rest[0]}"] = None
        elif root == "resources" and rest[1] in RESOURCE_FIELDS:
            if rest[1] in ("capacity", "max_capacity", "free"):
                topics[f"resources.{rest[0]}.{'max_capacity' if rest[1] == 'max_capacity' else 'capacity'}"] = None
            if rest[1] in ("busy", "queue", "free", "down"):
                topics[f"resources.{rest[0]}"] = None
        elif root in ("containers", "stores"):
            if rest[1] == "capacity":
                topics[f"{root}.{rest[0]}.capacity"] = None
            else:
                topics[f"{root}.{rest[0]}"] = None
        elif root in ("services", "arrivals", "machines"):
            topics[f"{root}.{rest[0]}.{rest[1]}"] = None
    return tuple(topics)


class Waiting:
    """Waiting entities by topic."""

    def __init__(self, twin: "Twin") -> None:
        self._twin = twin
        self._by_topic: dict[str, OrderedDict[int, Entity]] = {}
        self._dirty: dict[str, None] = twin.dirty

    def expect(self, topics: Iterable[str]) -> None:
        """Some step of the blueprint may wait for these: make the resources among them tell of their changes."""
        for topic in topics:
            if topic not in self._by_topic:
                self._by_topic[topic] = OrderedDict()
                section, _, name = topic.partition(".")
                observed = {"resources": self._twin.resources, "containers": self._twin.containers, "stores": self._twin.stores}
                owner: Any = observed.get(section, {}).get(name)  # type: ignore[attr-defined]
                if owner is not None:
                    self._twin.observe(owner, partial(self.touch, topic))

    def join(self, entity: Entity, topics: Iterable[str]) -> None:
        for topic in topics:
            self._by_topic[topic][entity.id] = entity

    def quit(self, entity: Entity, topics: Iterable[str]) -> None:
        for topic in topics:
            self._by_topic[topic].pop(entity.id, None)

    def signals(self) -> list[str]:
        """The signals that some step may wait for."""
        return [topic.removeprefix("signal:") for topic in self._by_topic if topic.startswith("signal:")]

    def touch(self, topic: str) -> None:
        """To be asked about when the moving entity has come to rest."""
        if self._by_topic[topic]:
            self._dirty[topic] = None

    def notify(self, topic: str, cause: int | None) -> list[Entity]:
        """Ask all who wait for the topic; those whose wait is over are ready to go on. Gives them."""
        waiting = self._by_topic.get(topic)
        woken: list[Entity] = []
        if not waiting:
            return woken
        twin = self._twin
        for entity in list(waiting.values()):
            step: Any = entity.step
            try:
                if not step.satisfied(entity, topic):
                    continue
            except EntityFault as fault:
                twin.fail(entity, fault)
                continue
            woken.append(entity)
        for entity in woken:
            entity.step = entity.step.begin(entity, cause)
            twin.ready.append(entity)
        return woken

    # -- as data
    def snapshot(self) -> dict[str, list[int]]:
        return {topic: list(waiting) for topic, waiting in self._by_topic.items() if waiting}

    def restore(self, data: dict[str, list[int]], entities: dict[int, Entity]) -> None:
        for topic, numbers in data.items():
            for number in numbers:
                self._by_topic[topic][number] = entities[number]
