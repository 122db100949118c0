"""A checkpoint is read back as it was written, or refused with a reason; it is never half read."""

import random

import pytest

from models import checkpoint
from models.errors import CheckpointError
from twin_app.partition.checkpoints import Meta, twin_rows, twin_states
from twin_app.partition.cycle import Row

STATE = {"now": 0.1 + 0.2, "wip": [[1, None, True, "näh", 2**40]], "big": -1.5e300}


def table(rows: list[Row], into: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
    kept = {} if into is None else into
    for row in rows:
        if row.value is None:
            del kept[row.key]
        else:
            kept[row.key] = row.value
    return kept


def large_state() -> dict[str, object]:
    noise = random.Random(1)
    return {"noise": [noise.random() for _ in range(300_000)]}


def test_no_number_or_letter_is_changed() -> None:
    rows, chunks = twin_rows("Line_A", STATE, 0)
    assert [*twin_states(table(rows))] == [("Line_A", STATE, chunks)]


def test_a_state_of_several_chunks_is_whole_again() -> None:
    state = large_state()
    rows, chunks = twin_rows("Line_A", state, 0)
    assert chunks > 2
    assert all(len(r.value or b"") <= checkpoint.CHUNK_BYTES + 64 for r in rows)
    assert [*twin_states(table(rows))] == [("Line_A", state, chunks)]


def test_a_smaller_state_leaves_no_old_chunk_behind() -> None:
    rows, chunks = twin_rows("Line_A", large_state(), 0)
    kept = table(rows)
    rows, now = twin_rows("Line_A", STATE, chunks)
    assert [*twin_states(table(rows, kept))] == [("Line_A", STATE, 1)]
    assert len(kept) == now == 1


def test_a_deleted_twin_leaves_no_row() -> None:
    rows, chunks = twin_rows("Line_A", large_state(), 0)
    kept = table(rows)
    table(twin_rows("Line_A", None, chunks)[0], kept)
    assert kept == {}


@pytest.mark.parametrize("position", [0, 5, 7, 12, 30, 60, -1])
def test_one_flipped_bit_is_not_accepted(position: int) -> None:
    chunk = bytearray(checkpoint.encode(STATE)[0])
    chunk[position] ^= 0x10
    with pytest.raises(CheckpointError) as refused:
        checkpoint.decode([bytes(chunk)])
    assert refused.value.remedy


def test_a_missing_chunk_is_not_accepted() -> None:
    kept = table(twin_rows("Line_A", large_state(), 0)[0])
    del kept[b"twin/Line_A/0001"]
    with pytest.raises(CheckpointError, match="chunks"):
        [*twin_states(kept)]


def test_an_unknown_version_is_refused_with_what_to_do() -> None:
    chunk = bytearray(checkpoint.encode(STATE)[0])
    chunk[7] = 99  # the low byte of the logic version
    with pytest.raises(CheckpointError) as refused:
        checkpoint.decode([bytes(chunk)])
    assert refused.value.code == "checkpoint-version"
    assert "version" in str(refused.value.remedy)


def test_an_older_version_is_not_refused_when_there_is_a_way_up(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = checkpoint.encode(STATE)
    monkeypatch.setattr(checkpoint, "LOGIC_VERSION", checkpoint.LOGIC_VERSION + 2)
    first = checkpoint.LOGIC_VERSION - 2
    monkeypatch.setitem(checkpoint.UPCASTS, first, lambda state: {**state, "colour": "red"})
    with pytest.raises(CheckpointError) as refused:  # one step is missing
        checkpoint.decode(chunks)
    assert refused.value.code == "checkpoint-version"
    monkeypatch.setitem(checkpoint.UPCASTS, first + 1, lambda state: {**state, "colour": state["colour"] + "dish"})
    assert checkpoint.decode(chunks) == {**STATE, "colour": "reddish"}


def test_a_newer_version_is_never_taken_for_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = checkpoint.encode(STATE)
    monkeypatch.setattr(checkpoint, "LOGIC_VERSION", checkpoint.LOGIC_VERSION - 1)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.decode(chunks)
    assert refused.value.code == "checkpoint-version"
    assert "run the version that wrote it" in str(refused.value)


def test_the_meta_row_is_not_lost() -> None:
    meta = Meta(tick_seq=7, next_offset=99, wall_us=1_795_000_000_000_001, events=12345)
    row = meta.to_row()
    assert Meta.from_rows({row.key: row.value or b""}) == meta
    assert Meta.from_rows({}) == Meta()
