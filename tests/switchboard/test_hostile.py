"""Whatever is sent: no exception but a refusal, no change by what is refused, no long work."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.command_record import record_of
from models.errors import Rejected
from tests.switchboard.plants import line
from tests.switchboard.test_parse import FIELD_NAMES, FIELD_VALUES, avro, read_avro
from twin_app.switchboard import LiveTwin, Source, blueprint_of, flatten, parse

MEGABYTE = 1_048_576
SECONDS_MAX = 6.0
"""Of CPU: five times what the slowest of these takes, and less than what grows with the square of its size."""


def outcome(live: LiveTwin, value: bytes | None, key: bytes | None = b"Line_A") -> str:
    """What becomes of a record: `accepted`, or the code of its refusal; a refusal must not have changed anything."""
    before = live.state_hash()
    refusal = None
    try:
        command = parse(value, key, avro=read_avro)
        if command.twin != "Line_A":
            return "unknown-twin"
        effective = live.effective_time(command, 0)
        live.apply(command, effective=live.now, source=Source("t", 0, 1), timestamp=effective)
    except Rejected as rejected:
        refusal = rejected
    assert (live.state_hash() == before) == (refusal is not None)
    assert LiveTwin.restore(live.snapshot()).state_hash() == live.state_hash()
    if refusal is None:
        return "accepted"
    assert refusal.code
    assert len(str(refusal)) < 10_000
    return refusal.code


def busy() -> LiveTwin:
    live = LiveTwin.register(line())
    live.advance(20.0)
    live.drain()
    return live


PATHS = st.sampled_from(
    [*flatten(line()), "Line_A.resources.b.current_cap", "resources.b.max_cap", "nope", "", "variables.mode.x"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["true", "4", "1e3"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
COMMANDS = st.one_of(
    st.fixed_dictionaries({"path": PATHS, "value": VALUES}, optional={"at": VALUES, "if_version": VALUES, "id": VALUES}),
    st.fixed_dictionaries(
        {"kind": st.just("patch"), "changes": st.dictionaries(PATHS, VALUES, max_size=4)}, optional={"at": VALUES}
    ),
    st.fixed_dictionaries(
        {"kind": st.just("spawn"), "flow": st.sampled_from(["make", "gate", "x"])}, optional={"attributes": VALUES}
    ),
    st.fixed_dictionaries({"kind": st.just("signal"), "name": st.sampled_from(["go", "x"])}, optional={"payload": VALUES}),
    st.fixed_dictionaries(
        {"kind": st.just("register"), "blueprint": VALUES}, optional={"replace": VALUES, "discard_work": VALUES}
    ),
    st.fixed_dictionaries({"kind": st.sampled_from(["remove", "advance"])}, optional={"at": VALUES, "discard_work": VALUES}),
    st.fixed_dictionaries({"kind": st.just("forecast"), "horizon": VALUES}, optional={"scenarios": VALUES}),
    st.dictionaries(FIELD_NAMES, FIELD_VALUES, max_size=6),
)


def as_json(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except (TypeError, orjson.JSONEncodeError):  # integers beyond 64 bits
        import json

        return json.dumps(document).encode()


@given(
    st.lists(
        COMMANDS.map(as_json) | st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode()), min_size=1, max_size=5
    )
)
@settings(max_examples=300, deadline=None)
def test_no_record_whatever_breaks_a_twin_or_changes_it_by_being_refused(values):
    live = busy()
    for value in values:
        outcome(live, value)
        if live.removed:
            break
    live.advance(live.now + 5.0)
    events = live.drain()
    assert [event.seq for event in events] == list(range(events[0].seq, events[0].seq + len(events))) if events else True
    orjson.dumps([event.payload for event in events])


@given(st.lists(COMMANDS.map(as_json), min_size=1, max_size=3), st.data())
@settings(max_examples=150, deadline=None)
def test_no_damaged_avro_breaks_a_twin(values, data):
    live = busy()
    for value in values:
        try:
            body = bytearray(avro(record_of(parse(value, b"Line_A"))))
        except Rejected:
            continue
        for _ in range(data.draw(st.integers(0, 3))):
            body[data.draw(st.integers(5, len(body) - 1))] = data.draw(st.integers(0, 255))
        outcome(live, bytes(body[: data.draw(st.integers(5, len(body)))]))
        if live.removed:
            break


def register(**blueprint: Any) -> bytes:
    return orjson.dumps({"kind": "register", "blueprint": {"twin": "Line_A", **blueprint}, "replace": True})


def _nested(count: int) -> Any:
    value: Any = 1
    for _ in range(count):
        value = [value]
    return value


HOSTILE = {
    "deep lists": b'{"path":"variables.anything","value":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "deep objects": b'{"path":"variables.anything","value":' + b'{"a":' * 150_000 + b"1" + b"}" * 150_000 + b"}",
    "unclosed": b"[" * MEGABYTE,
    "many small lists": b'{"path":"variables.anything","value":[' + b"[]," * 300_000 + b"[]]}",
    "many digits": b'{"path":"variables.count","value":' + b"9" * 1_000_000 + b"}",
    "many long digits": b'{"path":"variables.anything","value":[' + b"1234567890123456789," * 50_000 + b"1]}",
    "a fraction of many digits": b'{"path":"variables.ratio","value":0.' + b"9" * 1_000_000 + b"}",
    "digits in a text": b'{"path":"variables.count","value":"' + b"9" * 1_000_000 + b'"}',
    "colons in a text": b'{"path":"variables.mode","value":"' + b":" * 1_000_000 + b'"}',
    "one member again and again": b'{"path":"variables.count"' + b',"value":1' * 100_000 + b"}",
    "many unknown fields": b'{"kind":"set"' + b"".join(b',"f%d":1' % i for i in range(80_000)) + b"}",
    "many unknown paths": orjson.dumps({"kind": "patch", "changes": {f"resources.b{i}.capacty": 1 for i in range(20_000)}}),
    "many unknown paths within the limit": orjson.dumps(
        {"kind": "patch", "changes": {f"resources.b{i}.capacty": 1 for i in range(1_000)}}
    ),
    "a long path": orjson.dumps({"path": "a" * 1_000_000, "value": 1}),
    "a path of many parts": orjson.dumps({"path": "variables" + ".a" * 250, "value": 1}),
    "a long kind": orjson.dumps({"kind": "s" * 1_000_000}),
    "a long field": b'{"' + b"x" * 1_000_000 + b'": 1, "kind": "set"}',
    "a long flow": orjson.dumps({"kind": "spawn", "flow": "m" * 1_000_000}),
    "a long at": orjson.dumps({"path": "variables.count", "value": 1, "at": "2" * 1_000_000}),
    "a long id": orjson.dumps({"path": "variables.count", "value": 1, "id": "2" * 1_000_000}),
    "many scenarios": orjson.dumps({"kind": "forecast", "horizon": 1, "scenarios": {f"s{i}": [] for i in range(50_000)}}),
    "a long scenario": orjson.dumps(
        {"kind": "forecast", "horizon": 1, "scenarios": {"s": [{"path": "variables.count", "value": 1}] * 20_000}}
    ),
    "wide scenarios": orjson.dumps(
        {
            "kind": "forecast",
            "horizon": 1,
            "scenarios": {
                f"s{j}": [{"kind": "patch", "changes": {"services.sawing.low": 3, "services.sawing.high": 1}}] * 200
                for j in range(45)
            },
        }
    ),
    "every parameter unknown": register(
        variables={f"v{i}": 0 for i in range(4_000)}, flows={"f": [{"set": {f"variables.w{i}": "1"}} for i in range(1_000)]}
    ),
    "every resource unknown": register(
        resources={f"resource{i}": {} for i in range(4_000)}, flows={"f": [{"seize": f"resorce{i}"} for i in range(1_000)]}
    ),
    "every target unknown": register(flows={f"f{i}": [{"go": f"g{i}"}] for i in range(9_000)}),
    "many targets": register(flows={f"f{i}": [{"delay": 1}, {"go": f"f{i + 1}"}] for i in range(9_000)} | {"f9000": []}),
    "many settings": register(
        variables={f"v{i}": 0 for i in range(4_000)},
        flows={f"f{j}": [{"set": {f"variables.v{i}": "1"}} for i in range(1_000)] for j in range(10)},
    ),
    "many faults": register(services={f"s{i}": {"constnt": 1} for i in range(9_000)}),
    "many unknown sections": register(**{f"resorces{i}": {} for i in range(20_000)}),
    "long expressions": register(flows={"f": [{"emit": {"kind": "x", "payload": {"a": "1+" * 400 + "1"}}}] * 1_000}),
    "deep expressions": register(flows={"f": [{"emit": {"kind": "x", "payload": {"a": "(" * 90 + "1" + ")" * 90}}}] * 1_000}),
    "a deep variable": register(variables={"v": _nested(50)}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_record_takes_long_or_breaks_anything(name):
    live = busy()
    value = HOSTILE[name]
    assert len(value) <= MEGABYTE
    started = time.process_time()
    outcome(live, value)
    assert time.process_time() - started < SECONDS_MAX


def test_a_patch_of_a_thousand_groups_does_not_take_long():
    services = {f"s{i}": {"uniform": {"low": 1, "high": 2}} for i in range(4_000)}
    live = LiveTwin.register(blueprint_of(parse(register(services=services))))
    changes = {f"services.s{i}.{side}": 3 + (side == "high") for i in range(500) for side in ("low", "high")}
    started = time.process_time()
    assert outcome(live, orjson.dumps({"kind": "patch", "changes": changes})) == "accepted"
    assert outcome(live, orjson.dumps({"kind": "patch", "changes": changes | {"services.s3999.low": 3}})) != "accepted"
    assert time.process_time() - started < SECONDS_MAX


def test_a_flood_of_unknown_paths_does_not_slow_a_large_twin():
    live = LiveTwin.register(blueprint_of(parse(register(variables={f"v{i}": 0 for i in range(9_999)}))))
    started = time.process_time()
    for i in range(100):
        with pytest.raises(Rejected, match="unknown-path"):
            live.apply(parse(b'{"path":"variables.w%d","value":1}' % i, b"Line_A"), effective=0.0)
    assert time.process_time() - started < SECONDS_MAX
