"""Writing an event by the layout of its shape must not change a byte, nor let a value through that it cannot hold."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given

from models.events import EventRecord, SourceOffset, TwinEvent
from tests.topics.strategies import events
from topics import envelope
from topics.layouts import CANDIDATES_MAX, LAYOUTS_MAX, SEEN_BEFORE, Layouts, Shape, layout_of

SCHEMA = fastavro.parse_schema(TwinEvent.avro_schema_to_python())


@pytest.fixture(autouse=True)
def layouts(monkeypatch: pytest.MonkeyPatch) -> Layouts:
    fresh = Layouts()
    monkeypatch.setattr(envelope, "_LAYOUTS", fresh)
    return fresh


def by_the_schema(event: EventRecord) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, SCHEMA, envelope._orderly(envelope.as_dict(event)))
    return out.getvalue()


def shape(kind: str = "k", **payload: type) -> Shape:
    return kind, True, None, tuple(payload), tuple(payload.values())


@given(events())
def test_no_event_is_written_otherwise_than_by_the_schema(event: EventRecord):
    for _ in range(SEEN_BEFORE + 2):
        assert envelope.encode_avro(event) == by_the_schema(event)


@pytest.mark.parametrize("cause", [None, 7, SourceOffset("twin-config", 3, 2**40)])
@pytest.mark.parametrize("entity", [None, 0, 2**40])
@pytest.mark.parametrize("payload", [{}, {"a": 1.5}, {"a": None, "b": True, "c": -3, "d": "ü", "e": 2.0**-1074, "": ""}])
def test_every_kind_of_shape_is_laid_out(layouts: Layouts, entity: int | None, cause: Any, payload: dict[str, Any]):
    for seq in range(1, SEEN_BEFORE + 4):
        event = EventRecord("Line", seq, 0.1 * seq, 1_795_338_000_000_000 + seq, "some-kind", entity, cause, payload)
        assert envelope.encode_avro(event, b"\0head") == b"\0head" + by_the_schema(event)
    assert len(layouts.known) == 1


@pytest.mark.parametrize(("number", "name"), [(2**63, "x"), (-(2**63) - 1, "x"), (2**64, "x"), (10**30, "x")])
def test_an_integer_beyond_64_bits_is_never_cut(number: int, name: str):
    raws = {envelope.encode_avro(EventRecord("a", 1, 0.0, 0, "k", None, None, {name: number})) for _ in range(SEEN_BEFORE + 2)}
    assert [fastavro.schemaless_reader(io.BytesIO(raw), SCHEMA)["payload"] for raw in raws] == [{"x": str(number)}]


def test_values_of_a_known_shape_that_do_not_fit_are_still_written(layouts: Layouts):
    """The layout is known by then: half of a surrogate pair, a number too long, a time out of range."""
    good = EventRecord("a", 1, 0.0, 0, "k", 1, 1, {"text": "t", "number": 1})
    for _ in range(SEEN_BEFORE + 1):
        envelope.encode_avro(good)
    assert len(layouts.known) == 1
    for odd in (
        good._replace(payload={"text": "\ud800", "number": 1}),
        good._replace(payload={"text": "t", "number": 2**70}),
        good._replace(event_time_us=2**62),
        good._replace(twin="\udfff"),
    ):
        assert envelope.encode_avro(odd) == by_the_schema(odd)


def test_neither_many_shapes_nor_odd_ones_fill_the_memory():
    layouts = Layouts()
    for number in range(CANDIDATES_MAX * 2):
        assert layouts.learn(shape(f"kind-{number}")) is None
        assert layouts.learn(shape(f"kind-{number}", a=list)) is None
    assert len(layouts._candidates) <= CANDIDATES_MAX
    layouts.known.update({shape(f"kind-{number}", a=int): layout_of(shape()) for number in range(LAYOUTS_MAX)})
    for _ in range(SEEN_BEFORE + 2):
        assert layouts.learn(shape("late")) is None
    assert len(layouts.known) == LAYOUTS_MAX
