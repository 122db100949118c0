"""A record becomes one command or one refusal with the right code; nothing else ever escapes."""

import json
import struct
import time
from io import BytesIO

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.command_record import CommandRecord, record_of
from models.commands import Advance, Forecast, Observe, Patch, Register, Remove, Set, Signal, Spawn
from models.errors import Rejected
from tests.switchboard.plants import line
from twin_app.switchboard import Limits, flatten, parse
from twin_app.switchboard.spelling import SECTIONS

SCHEMA = fastavro.parse_schema(json.loads(CommandRecord.avro_schema()))


def read_avro(value: bytes) -> dict:
    if struct.unpack(">I", value[1:5])[0] != 7:
        raise Rejected("unknown-schema", "no such schema")
    return fastavro.schemaless_reader(BytesIO(value[5:]), SCHEMA, None)


def avro(record: dict) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, SCHEMA, record)
    return b"\x00" + struct.pack(">I", 7) + body.getvalue()


def refused(value: bytes | None, key: bytes | None = b"Line_A", **kwargs) -> Rejected:
    with pytest.raises(Rejected) as caught:
        parse(value, key, **kwargs)
    return caught.value


def test_the_short_form_is_not_refused():
    expected = Set(twin="Line_A", path="resources.lathe.capacity", value=3)
    for record in (
        {"path_id": "Line_A.resources.lathe.current_cap", "value": 3},
        {"path": "Line_A.resources.lathe.capacity", "value": 3},
        {"path": "resources.lathe.current_cap", "value": 3},
        {"kind": "set", "twin": "Line_A", "path_id": "resources.lathe.capacity", "value": 3},
    ):
        assert parse(json.dumps(record).encode(), b"Line_A") == expected


def test_the_twin_is_not_lost_without_a_key():
    assert parse(b'{"path": "Line_A.resources.b.max_cap", "value": 3}').twin == "Line_A"
    assert parse(b'{"kind": "patch", "changes": {"Line_A.variables.x": 1}}') == Patch(twin="Line_A", changes={"variables.x": 1})
    assert parse(b'{"kind": "register", "blueprint": {"twin": "Line_A"}}').twin == "Line_A"
    assert refused(b'{"path": "resources.b.capacity", "value": 3}', None).code == "no-twin"


def test_a_twin_named_like_a_section_is_not_mistaken_for_it():
    command = parse(b'{"path": "variables.variables.x", "value": 1}')
    assert (command.twin, command.path) == ("variables", "variables.x")


def test_a_variable_named_like_a_synonym_is_not_renamed():
    assert parse(b'{"path": "Line_A.variables.max_cap", "value": 1}').path == "variables.max_cap"


def test_a_command_for_another_twin_than_its_key_is_not_applied_to_either():
    for record in (
        b'{"path": "Line_B.resources.b.capacity", "value": 3}',
        b'{"kind": "remove", "twin": "Line_B"}',
        b'{"kind": "register", "blueprint": {"twin": "Line_B"}}',
        b'{"kind": "patch", "changes": {"variables.x": 1, "Line_B.variables.y": 1}}',
        b'{"kind": "forecast", "horizon": 1, "scenarios": {"s": [{"path": "Line_B.variables.x", "value": 1}]}}',
    ):
        assert refused(record).code == "key-mismatch"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (None, "tombstone"),
        (b"", "bad-json"),
        (b"{", "bad-json"),
        (b"hello", "bad-json"),
        (b"\xff\xfe{}", "bad-json"),
        (b'\xef\xbb\xbf{"path": "a", "value": 1}', "bad-json"),
        (b"[1]", "not-an-object"),
        (b"3", "not-an-object"),
        (b"null", "not-an-object"),
        (b"{}", "unknown-kind"),
        (b'{"kind": "ste", "path": "a", "value": 1}', "unknown-kind"),
        (b'{"kind": 3}', "unknown-kind"),
        (b'{"kind": null, "path": "a", "value": 1}', "unknown-kind"),
        (b'{"path": "a", "value": NaN}', "bad-json"),
        (b'{"path": "a", "value": Infinity}', "bad-json"),
        (b'{"path": "a", "value": 1e999}', "bad-json"),
        (b'{"path": "a", "value": 9223372036854775808}', "number-too-large"),
        (b'{"path": "a", "value": ' + b"9" * 100 + b"}", "number-too-large"),
        (b'{"path": "a", "value": ' + b"9" * 100_000 + b"}", "bad-json"),
        (b'{"path": "a", "value": -9223372036854775809}', "number-too-large"),
        (b'{"path": "a", "value": [' + b"[" * 100 + b"]" * 100 + b"]}", "too-deep"),
        (b'{"path": "a", "value": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "too-deep"),
        (b'{"path": "a", "value": 1, "value": 2}', "duplicate-member"),
        (b'{"kind": "patch", "changes": {"variables.x": 1, "variables.x": 2}}', "duplicate-member"),
        (b'{"kind": "patch", "changes": {"variables.x": 1, "Line_A.variables.x": 2}}', "duplicate-member"),
        (b'{"kind": "patch", "changes": {"resources.b.capacity": 1, "resources.b.current_cap": 2}}', "duplicate-member"),
        (b'{"kind": "patch", "changes": {}}', "invalid-command"),
        (b'{"kind": "patch", "changes": []}', "invalid-command"),
        (b'{"kind": "set", "path": 3, "value": 1}', "invalid-command"),
        (b'{"kind": "set", "path": "", "value": 1}', "invalid-command"),
        (b'{"kind": "set", "path": "variables.x"}', "invalid-command"),
        (b'{"path": "variables.x", "path_id": "variables.x", "value": 1}', "invalid-command"),
        (b'{"path": "' + b"a" * 600 + b'", "value": 1}', "invalid-command"),
        (b'{"path": "variables.x", "value": 1, "at": "soon"}', "invalid-command"),
        (b'{"path": "variables.x", "value": 1, "at": "2026-11-22T09:05:00"}', "invalid-command"),
        (b'{"path": "variables.x", "value": 1, "at": true}', "invalid-command"),
        (b'{"path": "variables.x", "value": 1, "if_version": "1"}', "invalid-command"),
        (b'{"path": "variables.x", "value": 1, "if_version": -1}', "invalid-command"),
        (b'{"kind": "patch", "changes": {"variables.x": 1}, "if_version": {"variables.y": 1}}', "invalid-command"),
        (b'{"kind": "spawn", "flow": "make", "if_version": 1}', "invalid-command"),
        (b'{"kind": "forecast", "horizon": "8 parsecs"}', "invalid-command"),
        (b'{"kind": "forecast", "horizon": 0}', "invalid-command"),
        (b'{"kind": "forecast", "horizon": 1, "scenarios": {"s": [{"kind": "remove"}]}}', "invalid-command"),
        (b'{"kind": "remove", "twin": 3}', "invalid-command"),
        (b'{"kind": "remove", "twin": "a.b"}', "key-mismatch"),
        (b'{"path": "a", "value": "' + b"x" * 2_000_000 + b'"}', "too-large"),
        (b"\x00\x00\x00\x00\x08abc", "unknown-schema"),
        (b"\x00\x00\x00\x00\x07\xff\xff", "bad-avro"),
        (b"\x00\x00\x00\x00\x07", "bad-avro"),
        (b"\x00", "bad-avro"),
    ],
    ids=lambda value: repr(value[:60]) if isinstance(value, bytes | None.__class__) and value else repr(value),
)
def test_a_bad_record_is_not_accepted_nor_a_crash(value, code):
    started = time.process_time()
    assert refused(value, avro=read_avro).code == code
    assert time.process_time() - started < 1.0


def test_an_unknown_field_is_not_ignored():
    rejected = refused(b'{"path": "variables.x", "value": 1, "if_versoin": 3}')
    assert rejected.code == "invalid-command"
    assert rejected.remedy == "did you mean 'if_version'?"


def test_a_key_that_is_no_name_is_not_guessed_at():
    assert refused(b'{"path": "variables.x", "value": 1}', b"\xff\xfe").code == "bad-key"
    assert refused(b'{"path": "variables.x", "value": 1}', b"x" * 1000).code == "bad-key"


def test_avro_is_not_read_without_a_registry():
    assert refused(avro({"path": "variables.x", "value": 1})).code == "bad-avro"


def test_a_record_at_the_limits_is_not_refused():
    text = json.dumps({"path": "variables.x", "value": "x"}).encode()
    assert parse(text, b"a", limits=Limits(value_bytes=len(text))).value == "x"
    assert refused(text, limits=Limits(value_bytes=len(text) - 1)).code == "too-large"
    nested = b'{"path": "variables.x", "value": [[]]}'  # the record, the list, the list in it
    assert parse(nested, b"a", limits=Limits(depth=3)).value == [[]]
    assert refused(nested, limits=Limits(depth=2)).code == "too-deep"
    assert parse(nested, b"a", limits=Limits(members=3)).value == [[]]
    assert refused(nested, limits=Limits(members=2)).code == "too-many-members"


def test_a_colon_or_long_digits_in_a_text_are_not_taken_for_a_fault():
    command = parse(b'{"path": "variables.x", "value": "a:b:c 123456789012345678901234567890"}', b"a")
    assert command.value == "a:b:c 123456789012345678901234567890"
    assert parse(b'{"path": "variables.x", "value": 9223372036854775807}', b"a").value == 2**63 - 1


COMMANDS = [
    Set(twin="Line_A", path="resources.b.capacity", value=0),
    Set(twin="Line_A", path="variables.anything", value=None),
    Set(twin="Line_A", path="variables.recipe", value={"speed": 2, "list": [1, None]}, at="2026-11-22T09:05:00Z", id="c-1"),
    Patch(twin="Line_A", changes={"services.milling.constant": 4.5, "variables.mode": "bypass"}, at=5, if_version=2),
    Patch(twin="Line_A", changes={"variables.table": [1], "variables.open": False}, if_version={"variables.table": 1}),
    Spawn(twin="Line_A", flow="make", attributes={"priority": 1, "parts": [1]}),
    Signal(twin="Line_A", name="go", payload={"x": True}),
    Observe(
        twin="Line_A", queues={"b": 7}, levels={"oil": 31.5}, steps={"17": "make.pack"}, finished=["12"], attributes={"x": 1}
    ),
    Observe(twin="Line_A", items={"shelf": ["a", {"b": 1}]}, queues={"b": 1}, queue_steps={"b": "make.1"}, by="order"),
    Forecast(twin="Line_A", horizon="8h", scenarios={"r": [Set(twin="Line_A", path="variables.mode", value="bypass", at=9)]}),
    Remove(twin="Line_A", discard_work=True),
    Register(twin="Line_A", blueprint={"twin": "Line_A", "variables": {"x": None}}, replace=True),
    Advance(twin="Line_A", at=12.5),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.kind)
def test_json_and_avro_do_not_mean_different_commands(command):
    text = json.dumps(command.model_dump(mode="json", exclude_unset=True) | {"kind": command.kind}).encode()
    assert parse(text, b"Line_A") == command
    assert parse(avro(record_of(command)), b"Line_A", avro=read_avro) == command
    without_twin = {name: value for name, value in record_of(command).items() if name != "twin"}
    assert parse(avro(without_twin), b"Line_A", avro=read_avro) == command


def test_json_text_inside_avro_is_not_read_more_leniently():
    assert refused(avro({"kind": "register", "blueprint": '{"a": 1, "a": 2}'}), avro=read_avro).code == "duplicate-member"
    assert refused(avro({"kind": "register", "blueprint": "{"}), avro=read_avro).code == "bad-json"
    assert refused(avro({"path": "variables.x", "value": float("nan")}), avro=read_avro).code == "not-finite"
    assert refused(avro({"kind": "remove", "more": '{"kind": "set"}'}), avro=read_avro).code == "duplicate-member"
    assert refused(avro({"kind": "remove", "more": "[]"}), avro=read_avro).code == "not-an-object"


def test_the_sections_of_paths_do_not_drift_from_the_blueprint():
    assert {path.partition(".")[0] for path in flatten(line())} == set(SECTIONS) - {"containers", "stores", "machines"}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELD_NAMES = st.sampled_from(
    [
        "kind",
        "twin",
        "path",
        "path_id",
        "value",
        "changes",
        "at",
        "if_version",
        "id",
        "flow",
        "attributes",
        "name",
        "payload",
        "blueprint",
        "replace",
        "discard_work",
        "horizon",
        "scenarios",
        "queues",
        "levels",
        "items",
        "steps",
        "finished",
        "by",
        "more",
        "vale",
    ]
)
FIELD_VALUES = (
    JSON_VALUES
    | st.sampled_from(
        [
            "set",
            "patch",
            "spawn",
            "signal",
            "register",
            "observe",
            "forecast",
            "remove",
            "advance",
            "Line_A",
            "8h",
            "2026-11-22T09:05:00Z",
        ]
    )
    | st.sampled_from(["Line_A.resources.b.capacity", {"resources.b.capacity": 1}, {"s": [{"path": "variables.x", "value": 1}]}])
)


@given(
    st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"\x00\x00\x00\x00\x07" + tail),
    st.none() | st.binary(max_size=20),
)
@settings(max_examples=400, deadline=None)
def test_no_bytes_whatever_escape_as_anything_but_a_refusal(value, key):
    try:
        parse(value, key, avro=read_avro)
    except Rejected as rejected:
        refusal = rejected
    else:
        return
    assert refusal.code
    assert refusal.message


@given(st.dictionaries(FIELD_NAMES, FIELD_VALUES, max_size=8), st.sampled_from([None, b"Line_A"]))
@settings(max_examples=600, deadline=None)
def test_no_document_whatever_escapes_as_anything_but_a_refusal(document, key):
    try:
        command = parse(json.dumps(document).encode(), key)
    except Rejected:
        return
    again = json.dumps(command.model_dump(mode="json") | {"kind": command.kind}).encode()
    assert parse(again, key) == command
