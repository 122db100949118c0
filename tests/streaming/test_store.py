"""The local copy of a table is at some committed point or it is thrown away; a disk without room takes nothing down."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faust.types import TP

from tests.streaming.counting import CountingHosting
from twin_app.partition.cycle import CHECKPOINT_TABLE, Row
from twin_app.settings import Settings
from twin_app.streaming.app import create_app
from twin_app.streaming.store import PartitionStore

CHANGELOG = TP("twin-checkpoint-changelog", 0)


def store_in(folder: Path) -> PartitionStore:
    """The store of a table as a worker opens it; no broker is asked."""
    app = create_app(Settings(data_dir=folder), CountingHosting("out"))
    return app.tables[CHECKPOINT_TABLE].store


def rows(first: int, count: int, size: int = 100) -> list[tuple[bytes, bytes | None]]:
    return [(b"%d" % n, b"x" * size) for n in range(first, first + count)]


@contextmanager
def no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """As a full disk would have it, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_rows_that_find_no_room_in_a_recovery_are_not_lost(tmp_path):
    store = store_in(tmp_path)
    store.recover(0, rows(0, 10), 9)
    with no_file_may_grow_beyond(2_000):
        store.recover(0, rows(10, 50), 59)
        store.recover(0, [(b"3", None), *rows(60, 50)], 110)
        assert sorted(store.rows(0)) == sorted(b"%d" % n for n in range(110) if n != 3)
        assert store.persisted_offset(CHANGELOG) == 110
        with pytest.raises(OSError, match="could not be written"):
            store.apply(0, [Row(CHECKPOINT_TABLE, b"new", b"x")], 111)
        store.revoke_partitions(store.table, {CHANGELOG})
    again = store_in(tmp_path)
    assert again.persisted_offset(CHANGELOG) == 9, "the copy on the disk stays where it was, without a hole"
    assert len(again.rows(0)) == 10


def test_a_folder_that_cannot_be_made_stops_nobody(tmp_path):
    (tmp_path / "a file").write_text("in the way")
    store = store_in(tmp_path / "a file")
    assert store.persisted_offset(CHANGELOG) is None
    store.recover(0, rows(0, 10), 9)
    assert len(store.rows(0)) == 10


def test_a_write_that_failed_does_not_spoil_the_closing_of_the_store(tmp_path):
    store = store_in(tmp_path)
    store.recover(0, rows(0, 10), 9)
    with no_file_may_grow_beyond(2_000):
        with pytest.raises(Exception, match="IO error"):
            store.apply(0, [Row(CHECKPOINT_TABLE, key, value) for key, value in rows(10, 100)], 99)
        store.revoke_partitions(store.table, {CHANGELOG})
    assert store.persisted_offset(CHANGELOG) == 9, "opened again in the same process"


@pytest.mark.parametrize("how", ["truncated", "flipped", "empty"])
def test_a_damaged_copy_is_not_read_by_half(tmp_path, how):
    store = store_in(tmp_path)
    store.recover(0, rows(0, 2_000, size=1_000), 1_999)
    store.revoke_partitions(store.table, {CHANGELOG})
    files = sorted(f for f in Path(store.partition_path(0)).iterdir() if f.stat().st_size > 10_000)
    assert files
    for file in files:
        raw = bytearray(file.read_bytes())
        raw[len(raw) // 2] ^= 0xFF
        file.write_bytes({"truncated": raw[: len(raw) // 2], "flipped": raw, "empty": b""}[how])
    again = store_in(tmp_path)
    offset = again.persisted_offset(CHANGELOG)
    assert (offset, len(again.rows(0))) in ((None, 0), (1_999, 2_000))


def test_nobody_but_the_transaction_and_the_changelog_writes(tmp_path):
    store = store_in(tmp_path)
    with pytest.raises(RuntimeError, match="transaction only"):
        store["a"] = b"b"
    with pytest.raises(RuntimeError, match="changelogs"):
        store.apply_changelog_batch([], None, None)


def test_a_copy_that_another_process_has_is_not_thrown_away(tmp_path):
    holder, other = store_in(tmp_path), store_in(tmp_path)
    holder.recover(0, rows(0, 10), 9)
    with pytest.raises(Exception, match="lock"):
        other.persisted_offset(CHANGELOG)
    assert len(holder.rows(0)) == 10
