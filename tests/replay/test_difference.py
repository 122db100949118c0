"""Of two tellings the first difference is named; nothing that differs is passed over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TwinError
from twin_app.replay.difference import compare


def event(seq: int, twin: str = "Line_A", **changes: Any) -> dict[str, Any]:
    fields = {"twin": twin, "seq": seq, "sim_time": float(seq), "kind": "entity-created", "entity": seq, "payload": {"n": seq}}
    return fields | changes


STORY = [event(seq) for seq in range(1, 6)]


def test_equal_stretches_have_no_difference_in_whatever_order_the_twins_come() -> None:
    other = [event(seq, "Line_B") for seq in range(1, 4)]
    mixed = [*other[:1], *STORY[:2], *other[1:], *STORY[2:]]
    found = compare([*STORY, *other], mixed)
    assert (found.differences, found.a, found.b) == ([], 8, 8)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"sim_time": 3.0000000001}, "sim_time"),
        ({"kind": "entity-left"}, "kind"),
        ({"entity": 3.0}, "entity"),
        ({"entity": None}, "entity"),
        ({"payload": {"n": True}}, "payload.n"),
        ({"payload": {"n": 3, "more": None}}, "payload.more"),
        ({"payload": {}}, "payload.n"),
        ({"new": 1}, "new"),
    ],
)
def test_no_changed_field_is_passed_over(changed: dict[str, Any], field: str) -> None:
    [difference] = compare(STORY, [*STORY[:2], STORY[2] | changed, *STORY[3:]]).differences
    assert (difference.twin, difference.seq, difference.field) == ("Line_A", 3, field)
    assert field.split(".")[-1] in str(difference)


@given(st.integers(0, 4))
def test_no_missing_event_is_passed_over(gone: int) -> None:
    less = STORY[:gone] + STORY[gone + 1 :]
    [difference] = compare(STORY, less).differences
    assert difference.seq == gone + 1
    assert "only A has it" in str(difference)
    assert "only B has it" in str(compare(less, STORY).differences[0])


def test_the_earliest_difference_comes_first() -> None:
    late = [*STORY[:4], event(5, kind="entity-left")]
    early = [event(1, "Line_B", kind="entity-left")]
    assert [d.twin for d in compare([*STORY, event(1, "Line_B")], [*late, *early]).differences] == ["Line_B", "Line_A"]


@pytest.mark.parametrize("bad", [{"kind": "x"}, {"twin": "Line_A", "seq": "1"}, STORY[0]])
def test_what_is_no_stretch_of_events_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(TwinError) as refused:
        compare(STORY, [*STORY, bad])
    assert refused.value.code == "bad-event"
