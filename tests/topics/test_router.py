import fastavro
import orjson
import pytest
from dataclasses_avroschema.pydantic import AvroBaseModel
from pydantic import Field

from models.errors import TwinError
from models.events import EventRecord, TwinEvent
from models.vitals import LAG_SECONDS, Vital, VitalRecord
from topics.confluent import ConfluentAvro, subject_name
from topics.registry import SchemaRegistry
from topics.router import DROP, FAULTS_KEPT, ROUTES_PER_EVENT_MAX, Router, To
from topics.serdes import Json, Serializer

NOBODY = SchemaRegistry("http://127.0.0.1:9")


class OrderPacked(AvroBaseModel):
    """An own record: what a warehouse wants to know."""

    twin: str
    order: int
    cycle_time: float
    lines: list[str] = Field(default_factory=list)
    carrier: str = "post"

    class Meta:
        namespace = "plant"


def event(kind: str = "order-packed", **payload) -> EventRecord:
    return EventRecord("Line_A", 7, 1.5, 1_795_338_000_000_000, kind, 3, 6, payload)


def test_an_unmapped_topic_is_not_left_without_a_serializer():
    (routed,) = Router("sim-events").route(event(order=1))
    assert (routed.topic, routed.key) == ("sim-events", b"Line_A")
    assert orjson.loads(routed.value)["payload"] == {"order": 1}
    assert TwinEvent.model_validate_json(routed.value).cause.event == "Line_A:6"


def test_rules_never_answer_in_another_order_than_function_kind_default():
    router = Router(
        "rest",
        kinds={"a": "by-kind", "b": "by-kind", "quiet": DROP, "undecided": None},
        function=lambda event: "by-function" if event.kind == "b" else None,
    )
    assert [routed.topic for kind in ("a", "b", "c", "undecided") for routed in router.route(event(kind))] == [
        "by-kind",
        "by-function",
        "rest",
        "rest",
    ]
    assert router.route(event("quiet")) == []
    assert router.topics == ("rest", "by-kind")


def test_several_topics_each_get_their_own_record_and_encoding():
    avro = ConfluentAvro(OrderPacked, NOBODY, topic="packed")
    avro.use_schema_id(12)
    route = ["sim-events", To("packed", model=OrderPacked, key="orders"), To("raw", record={"b": 1, "a": 2})]
    router = Router("sim-events", kinds={"order-packed": route}, serializers={"packed": avro})
    whole, packed, raw = router.route(event(order=5, cycle_time=2, lines=["x", "y"]))
    assert orjson.loads(whole.value)["payload"]["lines"] == '["x","y"]'
    assert packed.key == b"orders"
    assert packed.value[:5] == b"\x00\x00\x00\x00\x0c"
    assert OrderPacked.deserialize(packed.value[5:]) == OrderPacked(twin="Line_A", order=5, cycle_time=2.0, lines=["x", "y"])
    assert raw.value == b'{"b":1,"a":2}'
    assert router.fault_count == 0


@pytest.mark.parametrize(
    "route",
    [
        lambda event: 1 / 0,
        lambda event: 7,
        lambda event: [b"bytes"],
        lambda event: ["t"] * (ROUTES_PER_EVENT_MAX + 1),
        lambda event: To("packed", model=OrderPacked),
        lambda event: To("packed", record={"x": object()}),
        lambda event: To("packed", key=5),
    ],
)
def test_a_failing_route_loses_no_event(route):
    router = Router("sim-events", function=route)
    for _ in range(FAULTS_KEPT + 1):
        (routed,) = router.route(event(order=5))
        assert routed.topic == "sim-events"
    assert router.fault_count == FAULTS_KEPT + 1
    assert len(router.faults) == FAULTS_KEPT
    assert router.faults[0].event == "Line_A:7"


def test_an_event_that_nobody_can_encode_is_not_dropped_silently():
    with pytest.raises(TwinError):
        Router("sim-events").route(event(x=object()))


def test_the_same_event_never_gives_other_bytes():
    router = Router("sim-events")
    assert len({router.route(event(b=1, a=[1.5, None]))[0].value for _ in range(50)}) == 1


def test_a_vital_is_not_written_without_its_time_zone():
    vital = VitalRecord("Line_A", LAG_SECONDS, 0.25, "s", 1_795_338_000_000_001, 3)
    assert Json().encode(vital) == (
        b'{"twin":"Line_A","name":"system.simulation.lag_seconds","value":0.25,"unit":"s",'
        b'"wall_time":"2026-11-22T09:00:00.000001Z","partition":3}'
    )
    assert Vital.model_validate_json(Json().encode(vital)).value == 0.25
    avro = ConfluentAvro(Vital, NOBODY, topic="sim-vitals")
    avro.use_schema_id(1)
    assert Vital.deserialize(avro.encode(vital)[5:]).wall_time.tzinfo is not None


def test_an_avro_serializer_never_writes_what_its_schema_does_not_say():
    avro = ConfluentAvro(OrderPacked, NOBODY, topic="packed")
    with pytest.raises(TwinError) as caught:
        avro.encode({"twin": "a", "order": 1, "cycle_time": 1.0})
    assert caught.value.code == "serializer-not-prepared"
    avro.use_schema_id(1)
    for wrong in (
        {},
        {"twin": "a", "order": "one", "cycle_time": 1.0},
        None,
        5,
        {"twin": "a", "order": 2**70, "cycle_time": 1.0},
    ):
        with pytest.raises(TwinError) as caught:
            avro.encode(wrong)
        assert caught.value.code == "unencodable-record"
    assert fastavro.schema.fullname(avro.schema) == "plant.OrderPacked"
    assert avro.subject == subject_name("packed", OrderPacked) == "packed-plant.OrderPacked"


def test_every_serializer_keeps_the_interface():
    assert isinstance(Json(), Serializer)
    assert isinstance(ConfluentAvro(TwinEvent, NOBODY, subject="s"), Serializer)
    with pytest.raises(TwinError):
        ConfluentAvro(TwinEvent, NOBODY)
