"""Routes as a setting: a YAML file that says which events go to which topics, in which encoding.

    routes:                                   # the first that fits decides; an event that none fits goes to the events topic
      - {kinds: "resource-*", to: [events, plant-alarms]}
      - {kinds: order-packed, to: [events, {topic: packed, record: "my_plant.records:OrderPacked"}]}
      - {kinds: [entity-queued, entity-started], drop: true}
    function: my_plant.routes:route           # asked before the routes; gives None where it has no opinion
    serializers:
      plant-alarms: json                      # JSON is the default of every topic of yours
      packed: {avro: "my_plant.records:OrderPacked"}
      events: avro                            # the application's own by their role: events, divergence
      aws-events: {glue: {registry: plant, region: eu-central-1}}
      odd: {own: "my_plant.serializers:make"}

A reference is `module:name`, or the name of an entry point (`twin_app.routes`, `twin_app.records`, `twin_app.serializers`).
Everything that is wrong is told at the start, with its line and what to do; nothing of it is found out by the first event.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import entry_points
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal

from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from models.base import Model
from models.errors import TwinError
from models.event_kinds import DivergenceMeasured
from models.events import TwinEvent
from models.load import YAML_REMEDY, locate
from models.nearest import suggestion
from topics.confluent import ConfluentAvro
from topics.registry import SchemaRegistry
from topics.router import Route, Router, To
from topics.serdes import Json, Serializer
from topics.specs import TopicSpec, TopicSpecs, check_name

FILE_BYTES_MAX = 64 * 1024
RULES_MAX = 200
FAULTS_MAX = 50
TOPICS_MAX = 16

ROUTABLE = ("events", "divergence")
"""Roles of the application's topics that events may go to, and whose encoding can be chosen. Vitals and dead letters are JSON."""

Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.-]*(:[A-Za-z_][\w.]*)?$", max_length=300)]
Pattern = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?\[\]!-]+$", max_length=100)]
TopicName = Annotated[str, StringConstraints(min_length=1, max_length=249)]


class Destination(Model):
    """A topic, and the class of what is written there, where that is not the event itself."""

    topic: TopicName
    record: Reference | None = None


Target = TopicName | Destination


class Rule(Model):
    """Where events of these kinds go (`*` and `?` stand for anything, for one character); `drop`: nowhere, on purpose."""

    kinds: Pattern | Annotated[list[Pattern], Field(min_length=1, max_length=100)]
    to: Target | Annotated[list[Target], Field(min_length=1, max_length=TOPICS_MAX)] | None = None
    drop: bool = False

    @model_validator(mode="after")
    def _says_where(self) -> Rule:
        if (self.to is None) is not self.drop:
            raise ValueError("give either `to` or `drop: true`")
        return self


class AvroOf(Model):
    """Confluent Avro of an own record class."""

    avro: Reference


class GlueRegistry(Model):
    """A registry of AWS Glue. Credentials are found as boto3 finds them."""

    registry: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    region: str | None = None
    endpoint: str | None = None
    record: Reference | None = None


class GlueOf(Model):
    """AWS Glue Avro."""

    glue: GlueRegistry


class OwnOf(Model):
    """An own serializer, or what makes one when called without arguments."""

    own: Reference


class Routes(Model):
    """The whole file."""

    routes: list[Rule] = Field(default_factory=list, max_length=RULES_MAX)
    function: Reference | None = None
    serializers: dict[TopicName, Literal["json", "avro"] | AvroOf | GlueOf | OwnOf] = Field(
        default_factory=dict, max_length=RULES_MAX
    )


class RoutesError(TwinError):
    """The routes are wrong. `errors` holds all that is wrong with them."""

    def __init__(self, errors: Sequence[TwinError], source: str) -> None:
        self.errors = list(errors)
        super().__init__(
            "bad-routes",
            f"{len(self.errors)} error(s): {'; '.join(str(error) for error in self.errors[:3])}",
            place=source,
            remedy="correct the file that TWIN_ROUTES names",
        )


def read_routes(path: Path) -> tuple[Routes, Callable[..., str]]:
    """The routes of a file, and what gives the place (`file:line:column`) of a part of them. Raises RoutesError."""
    source = str(path)
    try:
        raw = path.read_bytes()[: FILE_BYTES_MAX + 1]
        if len(raw) > FILE_BYTES_MAX:
            raise TwinError("bad-routes", f"the file has more than {FILE_BYTES_MAX:,} bytes", place=source)
        text = raw.decode()
        if any(isinstance(event, AliasEvent) for event in YAML(typ="rt").parse(StringIO(text))):
            raise TwinError("yaml-alias", "a file of routes has no aliases", place=source, remedy="write the value out")
        document = YAML(typ="rt").load(StringIO(text)) or {}
        plain = YAML(typ="safe").load(StringIO(text)) or {}
    except OSError as error:
        reason = f"cannot be read: {(error.strerror or str(error)).lower()}"
        fault = TwinError("unreadable-file", reason, place=source, remedy="correct TWIN_ROUTES, or the rights of the file")
        raise RoutesError([fault], source) from None
    except TwinError as error:
        raise RoutesError([error], source) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark is not None else source
        raise RoutesError([TwinError("bad-yaml", str(error.problem), place=place, remedy=YAML_REMEDY)], source) from None
    except (YAMLError, ValueError, RecursionError, AssertionError, AttributeError, TypeError) as error:
        raise RoutesError(
            [TwinError("bad-yaml", f"not readable as YAML: {str(error)[:200]}", place=source, remedy=YAML_REMEDY)], source
        ) from None

    def place_of(*loc: str | int) -> str:
        return locate(document, loc, source) if hasattr(document, "lc") else source

    try:
        return Routes.model_validate(plain), place_of
    except ValidationError as error:
        raise RoutesError([_fault(item, place_of) for item in error.errors(include_url=False)[:FAULTS_MAX]], source) from None


def _fault(item: Any, place_of: Callable[..., str]) -> TwinError:
    name = str(item["loc"][-1]) if item["loc"] else ""
    if item["type"] == "extra_forbidden":
        known = [*Rule.model_fields, *Routes.model_fields, *Destination.model_fields, *GlueRegistry.model_fields]
        return TwinError(
            "unknown-field", f"there is no field `{name[:60]}` here", place=place_of(*item["loc"]), remedy=suggestion(name, known)
        )
    message = item["msg"].removeprefix("Value error, ")
    return TwinError(
        "bad-routes", f"`{name[:60]}`: {message[:1].lower()}{message[1:]}" if name else message, place=place_of(*item["loc"])
    )


def default_router(specs: TopicSpecs, registry: SchemaRegistry) -> Router:
    """Every event to the events topic, divergences once more to a topic of their own; both in Avro."""
    return _Building(Routes(), lambda *loc: "routes", specs, registry).router()


def router_from(path: Path, specs: TopicSpecs, registry: SchemaRegistry) -> Router:
    """The router that the file describes. Raises RoutesError with everything that is wrong."""
    routes, place_of = read_routes(path)
    building = _Building(routes, place_of, specs, registry)
    router = building.router()
    if building.errors:
        raise RoutesError(building.errors, str(path))
    return router


def topics_beside(router: Router, specs: TopicSpecs) -> list[TopicSpec]:
    """The topics of the router that are not the application's own, as they are created where they are missing."""
    own = {spec.name for spec in specs.all()}
    return [
        replace(specs.events, role="routed", name=name, description="Events, by a route.", co_partitioned=False)
        for name in router.topics
        if name not in own
    ]


class _Building:
    """A router in the making: finds everything that is wrong with the routes, not only the first."""

    def __init__(self, routes: Routes, place_of: Callable[..., str], specs: TopicSpecs, registry: SchemaRegistry) -> None:
        self.errors: list[TwinError] = []
        self._routes, self._place_of, self._specs, self._registry = routes, place_of, specs, registry
        self._roles = {spec.role: spec.name for spec in specs.all()}
        self._own = {spec.name: spec.role for spec in specs.all()}
        self._classes: dict[str, type[BaseModel] | None] = {}
        """What each topic with an Avro serializer carries."""

    def router(self) -> Router:
        events, divergence = self._specs.events.name, self._specs.divergence.name
        serializers = self._serializers()
        rules: list[tuple[str, Route]] = []
        for number, rule in enumerate(self._routes.routes):
            to: Route = [] if rule.drop else self._destinations(number, rule)
            rules += [(pattern, to) for pattern in ([rule.kinds] if isinstance(rule.kinds, str) else rule.kinds)]
        rules.append((DivergenceMeasured.kind, (events, divergence)))
        return Router(events, rules=rules, function=self._function(), serializers=serializers)

    def _wrong(self, message: str, *loc: str | int, remedy: str | None = None) -> None:
        self.errors.append(TwinError("bad-routes", message, place=self._place_of(*loc), remedy=remedy))

    def _topic(self, name: str, *loc: str | int, roles: Sequence[str]) -> str:
        """The topic that a role or a name means."""
        role = name if name in self._roles else self._own.get(name)
        if role is not None:
            if role not in roles:
                self._wrong(f"the topic {name!r} is the application's own", *loc, remedy=f"of its own topics: {', '.join(roles)}")
            return self._roles[role]
        try:
            check_name(name, "routes")
        except TwinError as error:
            self._wrong(error.message, *loc, remedy=error.remedy)
        return name

    def _destinations(self, number: int, rule: Rule) -> list[To]:
        listed = rule.to if isinstance(rule.to, list) else [rule.to]
        found = []
        for place, target in enumerate(listed):
            loc: tuple[str | int, ...] = ("routes", number, "to", *([place] if isinstance(rule.to, list) else []))
            target = Destination(topic=target) if isinstance(target, str) else target
            assert target is not None
            topic = self._topic(target.topic, *loc, roles=ROUTABLE)
            model: Any = self._record(target.record, *loc) if target.record is not None else None
            carried = self._classes.get(topic)
            if carried is not None and carried is not (model or TwinEvent):
                given = model.__name__ if model is not None else "the event itself"
                remedy = f"route it with `record`, or give {topic!r} another serializer"
                self._wrong(
                    f"{topic!r} is written as Avro of {carried.__name__}, and this route gives {given}", *loc, remedy=remedy
                )
            found.append(To(topic, model))
        names = [to.topic for to in found]
        if len(set(names)) < len(names):
            self._wrong("a topic is named twice", "routes", number, "to", remedy="name it once")
        return found

    def _serializers(self) -> dict[str, Serializer]:
        made: dict[str, Serializer] = {}
        for name, encoding in self._routes.serializers.items():
            loc = ("serializers", name)
            topic = self._topic(name, *loc, roles=ROUTABLE)
            serializer = self._serializer(topic, encoding, loc)
            if serializer is not None:
                made[topic] = serializer
        for role in ROUTABLE:
            topic = self._roles[role]
            if topic not in made:
                made[topic] = ConfluentAvro(TwinEvent, self._registry, topic=topic)
                self._classes[topic] = TwinEvent
        return made

    def _serializer(self, topic: str, encoding: Any, loc: tuple[str, ...]) -> Serializer | None:
        if encoding == "json":
            return Json()
        if isinstance(encoding, OwnOf):
            own = self._resolved(encoding.own, "twin_app.serializers", *loc)
            own = own() if callable(own) and not (isinstance(own, Serializer) and not isinstance(own, type)) else own
            if own is not None and not isinstance(own, Serializer):
                self._wrong(f"{encoding.own!r} is no serializer", *loc, remedy="give it content_type, prepare() and encode()")
                return None
            return own
        reference = (
            encoding.avro if isinstance(encoding, AvroOf) else encoding.glue.record if isinstance(encoding, GlueOf) else None
        )
        model = self._record(reference, *loc, avro=True) if reference is not None else TwinEvent
        if model is None:
            return None
        if topic in self._own and model is not TwinEvent:
            self._wrong(f"{topic!r} carries events, not {model.__name__}", *loc, remedy="use a topic of your own")
        self._classes[topic] = model
        if isinstance(encoding, GlueOf):
            return self._glue(model, topic, encoding.glue, loc)
        return ConfluentAvro(model, self._registry, topic=topic)

    def _glue(self, model: type[AvroBaseModel], topic: str, glue: GlueRegistry, loc: tuple[str, ...]) -> Serializer | None:
        try:
            import boto3
            from aws_schema_registry import SchemaRegistryClient

            from topics.glue import GlueAvro
        except ImportError as error:
            self._wrong(f"AWS Glue needs a package that is not installed: {error.name}", *loc, remedy="install twin-app[glue]")
            return None
        try:
            client = boto3.client("glue", region_name=glue.region, endpoint_url=glue.endpoint)
        except Exception as error:  # boto3 has many ways to say that the region is missing or the endpoint none
            self._wrong(f"AWS Glue: {error}", *loc, remedy="give `region`, or set AWS_REGION")
            return None
        return GlueAvro(model, SchemaRegistryClient(client, registry_name=glue.registry), topic=topic)

    def _function(self) -> Any:
        if self._routes.function is None:
            return None
        function = self._resolved(self._routes.function, "twin_app.routes", "function")
        if function is not None and not callable(function):
            self._wrong(f"{self._routes.function!r} is not a function", "function")
        return function

    def _record(self, reference: str, *loc: str | int, avro: bool = False) -> Any:
        model = self._resolved(reference, "twin_app.records", *loc)
        wanted: type = AvroBaseModel if avro else BaseModel
        if model is not None and not (isinstance(model, type) and issubclass(model, wanted)):
            self._wrong(f"{reference!r} is no record class", *loc, remedy=f"make it a subclass of {wanted.__name__}")
            return None
        return model

    def _resolved(self, reference: str, group: str, *loc: str | int) -> Any:
        """What a reference names; None, and a fault, if it names nothing."""
        module, _, name = reference.partition(":")
        try:
            if name:
                found: Any = importlib.import_module(module)
                for part in name.split("."):
                    found = getattr(found, part)
                return found
            [point] = entry_points(group=group, name=reference)
            return point.load()
        except ValueError:
            offered = ", ".join(sorted(entry_points(group=group).names)) or "none is installed"
            remedy = f"write module:name, or the name of an entry point of {group} ({offered})"
            self._wrong(f"there is no {reference!r}", *loc, remedy=remedy)
        except Exception as error:  # a module of the user's may raise anything when it is imported
            remedy = "install the package for this Python, or correct the name"
            self._wrong(f"{reference!r} cannot be loaded: {type(error).__name__}: {str(error)[:200]}", *loc, remedy=remedy)
        return None
