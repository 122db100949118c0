"""From event to topic: where each event goes, as what record, in which encoding.

Routing is pure: it depends on the event alone. In order of precedence: the own function, the mapping by kind, the rules by
pattern, the default topic.
An event goes nowhere only on purpose (DROP). A route that fails does not lose the event: it goes to the default topic, and
the fault is kept for the status display.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from pydantic import BaseModel

from models.errors import TwinError
from models.events import EventRecord
from topics.serdes import Json, Serializer, plain

FAULTS_KEPT = 100
"""How many of the latest faults of routes are kept."""

KINDS_KEPT = 10_000
"""For how many kinds it is remembered where they go."""

ROUTES_PER_EVENT_MAX = 16
"""To how many topics one event can go."""


@dataclass(frozen=True, slots=True)
class To:
    """One destination: a topic, and what is written there.

    The event itself, unless ``record`` gives another record, or ``model`` a class that is filled from the event: each field
    from the payload entry of its name, else from the envelope field of its name, else with its default. ``key`` replaces the
    twin's name as the key.
    """

    topic: str
    model: type[BaseModel] | None = None
    record: Any = None
    key: str | None = None


Route = str | To | Sequence[str | To] | None
"""A topic, a destination, or several. None: no opinion, the next rule decides."""

DROP: tuple[str, ...] = ()
"""To no topic, on purpose."""


class Routed(NamedTuple):
    """A record ready for the producer."""

    topic: str
    key: bytes
    value: bytes


_new = tuple.__new__


class Fault(NamedTuple):
    """A route that failed; the event went to the default topic."""

    event: str
    kind: str
    error: str


class Router:
    """Routes events.

    ``default`` is the topic of every event that no rule names. ``kinds`` maps a kind to its route; ``rules`` are patterns of
    kinds (``*`` and ``?``) with theirs, of which the first that fits counts. ``function`` gives the route of an event (None for
    no opinion). ``serializers`` maps a topic to its serializer; a topic that is not named there
    gets JSON.
    """

    def __init__(
        self,
        default: str,
        *,
        kinds: Mapping[str, Route] | None = None,
        rules: Sequence[tuple[str, Route]] = (),
        function: Callable[[EventRecord], Route] | None = None,
        serializers: Mapping[str, Serializer] | None = None,
    ) -> None:
        self.default = default
        self.faults: deque[Fault] = deque(maxlen=FAULTS_KEPT)
        self.fault_count = 0
        self._function = function
        self._kinds = {kind: _destinations(route) for kind, route in (kinds or {}).items() if route is not None}
        self._rules = [(pattern, _destinations(route)) for pattern, route in rules if route is not None]
        self._by_kind: dict[str, Sequence[To]] = dict(self._kinds)
        self._serializers = dict(serializers or {})
        self._json = Json()
        self._default_route = (To(default),)
        self._encode_plain = self.serializer(default).encode
        """Of the events that no rule sends elsewhere: nearly all."""
        self._twin, self._key = "", b""
        """The twin of the last of them, and its key: events come many in a row from each."""

    def __repr__(self) -> str:
        return (
            f"Router(default={self.default!r}, topics={self.topics}, serializers={self._serializers}, faults={self.fault_count})"
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are known beforehand; the own function may name others."""
        routes = [*self._kinds.values(), *(route for _, route in self._rules)]
        named = [to.topic for route in routes for to in route]
        return tuple(dict.fromkeys([self.default, *named, *self._serializers]))

    def serializer(self, topic: str) -> Serializer:
        """The topic's serializer, JSON when it has none."""
        return self._serializers.get(topic, self._json)

    async def prepare(self) -> None:
        """Prepare every serializer, one after the other."""
        for serializer in self._serializers.values():
            await serializer.prepare()

    def route(self, event: EventRecord) -> list[Routed]:
        """The records to write for this event; empty when it is dropped on purpose.

        Raises TwinError when not even the default topic's serializer can encode it.
        """
        try:
            chosen = self._by_kind.get(event.kind) if self._function is None else None
            if chosen is None:
                chosen = self._choose(event)
            if chosen is self._default_route:
                twin = event.twin
                if twin != self._twin:
                    self._twin, self._key = twin, twin.encode("utf-8", "replace")
                return [_new(Routed, (self.default, self._key, self._encode_plain(event)))]
            return [self._write(to, event) for to in chosen]
        except Exception as error:  # an own function, record class or serializer may raise anything
            self.fault_count += 1
            self.faults.append(Fault(f"{event.twin}:{event.seq}", event.kind, f"{type(error).__name__}: {error}"[:500]))
            return [self._write(self._default_route[0], event)]

    def route_all(self, events: Iterable[EventRecord]) -> list[Routed]:
        """The records for several events, in their order."""
        return [routed for event in events for routed in self.route(event)]

    def _choose(self, event: EventRecord) -> Sequence[To]:
        if self._function is not None:
            route = self._function(event)
            if route is not None:
                return _destinations(route)
        found = self._by_kind.get(event.kind)
        if found is None:
            found = next((route for pattern, route in self._rules if fnmatchcase(event.kind, pattern)), self._default_route)
            if len(self._by_kind) < KINDS_KEPT:
                self._by_kind[event.kind] = found
        return found

    def _write(self, to: To, event: EventRecord) -> Routed:
        record = event if to.model is None and to.record is None else to.record if to.model is None else fill(to.model, event)
        key = event.twin if to.key is None else to.key
        return Routed(to.topic, key.encode("utf-8", "replace"), self.serializer(to.topic).encode(record))


def fill(model: type[BaseModel], event: EventRecord) -> BaseModel:
    """An own record from an event: each field from the payload, else from the envelope, else its default.

    Raises TwinError ``record-mismatch`` when a field is missing or does not fit.
    """
    fields: dict[str, Any] | None = None
    values = {}
    for name in model.model_fields:
        if name in event.payload:
            values[name] = event.payload[name]
        else:
            fields = fields if fields is not None else plain(event)
            if name in fields:
                values[name] = fields[name]
    try:
        return model.model_validate(values)
    except ValueError as error:
        raise TwinError(
            "record-mismatch",
            f"the event {event.twin}:{event.seq} of kind {event.kind} does not fill {model.__name__}: {error}",
            remedy="give the class a default for the field, or emit a payload entry of its name",
        ) from error


def _destinations(route: Route) -> tuple[To, ...]:
    listed = [route] if isinstance(route, str | To) else list(route or ())
    if len(listed) > ROUTES_PER_EVENT_MAX:
        raise TwinError(
            "bad-route",
            f"an event would go to {len(listed)} topics, at most {ROUTES_PER_EVENT_MAX} are possible",
            remedy="send it to one topic and let consumers pick",
        )
    for to in listed:
        if not isinstance(to, str | To):
            raise TwinError(
                "bad-route", f"a route gave {type(to).__name__}", remedy="give a topic, a To, several of them, DROP or None"
            )
    return tuple(To(to) if isinstance(to, str) else to for to in listed)
