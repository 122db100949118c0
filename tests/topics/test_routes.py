"""Routes as a setting: what a file says is what happens, and what is wrong with it is told at the start, with its place."""

from pathlib import Path

import orjson
import pytest
from dataclasses_avroschema.pydantic import AvroBaseModel

from models.events import EventRecord
from topics.confluent import ConfluentAvro
from topics.registry import SchemaRegistry
from topics.routes import RoutesError, default_router, router_from, topics_beside
from topics.serdes import Json
from topics.specs import topic_specs

SPECS = topic_specs(prefix="p.")
NOBODY = SchemaRegistry("http://127.0.0.1:9")


class Packed(AvroBaseModel):
    twin: str
    order: int


class Reversed(Json):
    content_type = "text/odd"

    def encode(self, record) -> bytes:
        return super().encode(record)[::-1]


def night_shift(event: EventRecord):
    """Gives None where it has no opinion."""
    return "night" if event.payload.get("shift") == "night" else None


def event(kind: str, **payload) -> EventRecord:
    return EventRecord("Line_A", 7, 1.5, 1_795_338_000_000_000, kind, 3, 6, payload)


def router(tmp_path: Path, text: str):
    file = tmp_path / "routes.yaml"
    file.write_text(text)
    made = router_from(file, SPECS, NOBODY)
    for number, topic in enumerate(made.topics, 1):
        if isinstance(made.serializer(topic), ConfluentAvro):
            made.serializer(topic).use_schema_id(number)
    return made


def went(made, *events: EventRecord) -> list[str]:
    return [routed.topic for routed in made.route_all(events)]


def test_without_a_file_only_divergences_go_to_a_second_topic():
    made = default_router(SPECS, NOBODY)
    for topic in made.topics:
        made.serializer(topic).use_schema_id(1)
    assert went(made, event("entity-left"), event("divergence-measured")) == ["p.sim-events", "p.sim-events", "p.sim-divergence"]
    assert topics_beside(made, SPECS) == []


def test_the_first_rule_that_fits_decides_and_the_function_before_it(tmp_path):
    made = router(
        tmp_path,
        """
routes:
  - {kinds: "resource-*", to: [events, alarms]}
  - {kinds: order-packed, to: [events, {topic: packed, record: "tests.topics.test_routes:Packed"}]}
  - {kinds: [entity-queued, "entity-st?rted"], drop: true}
  - {kinds: "resource-up", to: never}
function: "tests.topics.test_routes:night_shift"
serializers:
  packed: {avro: "tests.topics.test_routes:Packed"}
  alarms: {own: "tests.topics.test_routes:Reversed"}
""",
    )
    assert went(made, event("resource-up")) == ["p.sim-events", "alarms"]
    assert went(made, event("entity-queued"), event("entity-started")) == []
    assert went(made, event("entity-left"), event("resource-up", shift="night")) == ["p.sim-events", "night"]
    assert went(made, event("divergence-measured")) == ["p.sim-events", "p.sim-divergence"]
    whole, own = made.route(event("order-packed", order=5))
    assert whole.value[0] == own.value[0] == 0
    assert own.value[5:] == b"\x0cLine_A\x0a"
    assert orjson.loads(made.route(event("resource-up"))[1].value[::-1])["kind"] == "resource-up"
    assert made.fault_count == 0
    beside = topics_beside(made, SPECS)
    assert [spec.name for spec in beside] == ["alarms", "packed", "never"]
    assert not any(spec.co_partitioned for spec in beside)


WRONG = {
    "an unknown field": ("routes:\n  - {kind: x, to: y}\n", "2:6: there is no field `kind` here", "kinds"),
    "neither to nor drop": ("routes:\n  - kinds: x\n", "2:5: `0`: give either `to` or `drop: true`", None),
    "both": ("routes:\n  - {kinds: x, to: y, drop: true}\n", "2:5: `0`: give either", None),
    "a pattern that no kind can have": ("routes:\n  - {kinds: Order Packed, to: y}\n", "routes.yaml:2:6: ", None),
    "a loop": ("routes:\n  - {kinds: x, to: config}\n", "2:16: the topic 'config' is the application's own", "events"),
    "a loop by name": ("routes:\n  - {kinds: x, to: [events, p.twin-config]}\n", "is the application's own", None),
    "no topic": ("routes:\n  - {kinds: x, to: 'a b'}\n", "'a b' is not a topic name", "letters"),
    "a topic twice": ("routes:\n  - {kinds: x, to: [events, p.sim-events]}\n", "a topic is named twice", None),
    "a class that is not there": (
        "routes:\n  - kinds: x\n    to: {topic: t, record: 'tests.topics.test_routes:Nobody'}\n",
        "3:5: 'tests.topics.test_routes:Nobody' cannot be loaded: AttributeError",
        None,
    ),
    "an entry point that is not there": ("function: nobody_offers\n", "1:1: there is no 'nobody_offers'", "module:name"),
    "no record class": (
        "serializers: {t: {avro: 'tests.topics.test_routes:night_shift'}}\n",
        "is no record class",
        "AvroBaseModel",
    ),
    "no serializer": ("serializers: {t: {own: 'tests.topics.test_routes:WRONG'}}\n", "is no serializer", "encode"),
    "another class than the topic's": (
        "routes:\n  - {kinds: x, to: packed}\nserializers: {packed: {avro: 'tests.topics.test_routes:Packed'}}\n",
        "2:16: 'packed' is written as Avro of Packed, and this route gives the event itself",
        "record",
    ),
    "another class in the events topic": (
        "serializers: {events: {avro: 'tests.topics.test_routes:Packed'}}\n",
        "carries events",
        None,
    ),
    "an unknown encoding": ("serializers: {t: protobuf}\n", "1:15: ", None),
    "no YAML": ("routes: [\n", "bad-yaml", None),
    "an alias": ("routes: &a []\nfunction: *a\n", "no aliases", None),
    "a list": ("- routes\n", "1:1", None),
    "too much": ("#" * 70_000, "more than 65,536 bytes", None),
    "too many rules": ("routes: [" + "{kinds: x, to: y}," * 201 + "]", "1:1", None),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_routes_are_never_taken_and_say_where_and_what(tmp_path, name):
    text, message, remedy = WRONG[name]
    with pytest.raises(RoutesError) as caught:
        router(tmp_path, text)
    told = "\n".join(str(error) for error in caught.value.errors)
    assert message in told
    assert remedy is None or remedy in told
    assert "routes.yaml" in told


def test_everything_that_is_wrong_is_told_at_once(tmp_path):
    with pytest.raises(RoutesError) as caught:
        router(tmp_path, "routes:\n  - {kinds: x, to: clock}\n  - {kinds: y, to: 'a b'}\nfunction: nobody_offers\n")
    assert len(caught.value.errors) == 3


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(RoutesError) as caught:
        router_from(Path("/nowhere/routes.yaml"), SPECS, NOBODY)
    assert caught.value.errors[0].code == "unreadable-file"


def test_a_glue_registry_is_a_choice_like_any_other(tmp_path):
    pytest.importorskip("aws_schema_registry")
    made = router(tmp_path, "serializers: {events: {glue: {registry: plant, region: eu-central-1}}}\n")
    assert repr(made.serializer("p.sim-events")).startswith("GlueAvro(TwinEvent")
