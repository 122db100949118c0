"""Record batches (format version 2): header, checks, control records, and rewriting for compaction."""

import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")
PREFIX_BYTES = 12  # base offset and length, which the length does not count
CRC_OFFSET = 17
CRC_FROM = 21  # the checksum covers everything from the attributes on
MAGIC = 2
COMPRESSION_MASK = 0x07
LOG_APPEND_TIME = 0x08
TRANSACTIONAL = 0x10
CONTROL = 0x20
RECORD_OVERHEAD = 32  # bytes of a record beside key, value and headers, at most


class BadBatch(Exception):
    """Bytes that are no intact batch of format version 2."""


class Batch(NamedTuple):
    """The header of a batch and its place in the bytes it was read from."""

    base: int
    size: int  # bytes, with the prefix
    attributes: int
    last_delta: int
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def last(self) -> int:
        return self.base + self.last_delta

    @property
    def transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL)

    @property
    def control(self) -> bool:
        return bool(self.attributes & CONTROL)


def read(data: bytes | memoryview, at: int = 0) -> Batch:
    """The batch at `at`, its checksum verified. Raises BadBatch, also when it is cut short."""
    if at + HEADER.size > len(data):
        raise BadBatch("cut short")
    base, length, _, magic, crc, attributes, last_delta, first, latest, pid, epoch, sequence, count = HEADER.unpack_from(data, at)
    size = length + PREFIX_BYTES
    if magic != MAGIC:
        raise BadBatch(f"format version {magic}")
    if size < HEADER.size or at + size > len(data):
        raise BadBatch(f"a length of {length} bytes")
    if count < 0 or last_delta < 0:
        raise BadBatch(f"{count} records, last offset delta {last_delta}")
    if calc_crc32c(bytes(data[at + CRC_FROM : at + size])) != crc:
        raise BadBatch("wrong checksum")
    return Batch(base, size, attributes, last_delta, first, latest, pid, epoch, sequence, count)


def split(data: bytes) -> Iterator[tuple[Batch, bytes]]:
    """All batches of a produce request's record set. Raises BadBatch."""
    at = 0
    while at < len(data):
        batch = read(data, at)
        yield batch, data[at : at + batch.size]
        at += batch.size


def placed(data: bytes, base: int) -> bytes:
    """The same batch at offset `base`; base offset and leader epoch are outside the checksum."""
    return struct.pack(">q", base) + data[8:12] + struct.pack(">i", 0) + data[16:]


def records(data: bytes) -> Iterator[Any]:
    """The records of one batch, decompressed. Raises BadBatch when they cannot be read."""
    try:
        yield from DefaultRecordBatch(data)
    except Exception as error:  # the codec library and the compressors raise many kinds
        raise BadBatch(f"unreadable records: {error}") from error


def control(producer_id: int, epoch: int, *, commit: bool) -> bytes:
    """A batch with one end-of-transaction marker."""
    key = struct.pack(">hh", 0, 1 if commit else 0)
    value = struct.pack(">hi", 0, 0)
    # attributes, timestamp delta, offset delta, key, value, headers; every length is below 64, so its varint is 2n
    body = bytes((0, 0, 0, 2 * len(key))) + key + bytes((2 * len(value),)) + value + b"\x00"
    now = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", TRANSACTIONAL | CONTROL, 0, now, now, producer_id, epoch, -1, 1)
    tail += bytes((2 * len(body),)) + body
    return struct.pack(">qiibI", 0, len(tail) + CRC_FROM - PREFIX_BYTES, 0, MAGIC, calc_crc32c(tail)) + tail


def is_commit(data: bytes) -> bool:
    """Whether a control batch is a commit marker."""
    at = HEADER.size + 5  # length, attributes, timestamp delta, offset delta, key length: one byte each
    return len(data) >= at + 4 and struct.unpack_from(">h", data, at + 2)[0] == 1


def rewritten(batch: Batch, data: bytes, keep: Callable[[Any], bool]) -> bytes | None:
    """The batch with only the records that `keep` wants, at their offsets and no longer transactional; None if none stay.

    Only decided batches are rewritten, and the markers that decided them go as well: so the bit has to go with them.
    """
    kept = [record for record in records(data) if keep(record)]
    if not kept:
        return None
    compression = batch.attributes & COMPRESSION_MASK
    room = HEADER.size + sum(DefaultRecordBatchBuilder.size_of(r.key, r.value, r.headers) + RECORD_OVERHEAD for r in kept)
    builder = DefaultRecordBatchBuilder(MAGIC, compression, 0, batch.producer_id, batch.producer_epoch, batch.base_sequence, room)
    for record in kept:
        builder.append(record.offset - batch.base, record.timestamp, record.key, record.value, record.headers)
    built = bytearray(builder.build())
    struct.pack_into(">i", built, 23, batch.last_delta)  # the offsets and sequences that the batch covered stay covered
    struct.pack_into(">I", built, CRC_OFFSET, calc_crc32c(bytes(built[CRC_FROM:])))
    return placed(bytes(built), batch.base)
