"""The form in which work in progress is kept: a checked, versioned, chunked blob.

A checkpoint is a plain structure of dictionaries, lists, strings, numbers and booleans. On disk and in the changelog it
is msgpack (floats keep their eight bytes), compressed, split into chunks below the size limit of a Kafka record, and
led by a header that says which format and which logic wrote it.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from models.errors import CheckpointError

FORMAT_VERSION = 1
"""The layout of the blob itself."""
LOGIC_VERSION = 1
"""The meaning of the state inside: raised when the same state would run on to other events."""
CHUNK_BYTES = 512 * 1024
CHUNKS_MAX = 4096
"""2 GiB of compressed state in one twin: beyond it the twin is refused, not truncated."""

BODY_BYTES_MAX = 4 << 30
"""Of one state before compression: a header that claims more is not believed."""

State = dict[str, Any]
UPCASTS: dict[int, Callable[[State], State]] = {}
"""Logic version N -> how a state of N becomes one of N + 1. A version that is not listed, and is not this one, is refused.

Raise LOGIC_VERSION together with an entry here, and record new histories (tests/histories): the old ones then show that what
the former version wrote can still be read.
"""

_MAGIC = b"TWCP"
_HEADER = struct.Struct(">4sHHIQ16s")  # magic, format, logic, chunks, bytes before compression, digest
_COMPRESSION_LEVEL = 1


def encode(state: dict[str, Any]) -> list[bytes]:
    """Chunks that hold `state`; the first one carries the header. Raises CheckpointError if it is too large."""
    body = msgpack.packb(state, use_bin_type=True)
    packed = zlib.compress(body, _COMPRESSION_LEVEL)
    pieces = [packed[i : i + CHUNK_BYTES] for i in range(0, len(packed), CHUNK_BYTES)]
    if len(pieces) > CHUNKS_MAX or len(body) > BODY_BYTES_MAX:
        raise CheckpointError(
            "checkpoint-too-large",
            f"the state takes {len(packed)} bytes compressed; the limit is {CHUNKS_MAX * CHUNK_BYTES}",
            remedy="lower limits.entities of the twin or split it into several twins",
        )
    header = _HEADER.pack(_MAGIC, FORMAT_VERSION, LOGIC_VERSION, len(pieces), len(body), _digest(packed))
    return [header + pieces[0], *pieces[1:]]


def chunk_count(first: bytes) -> int:
    """How many chunks belong to the checkpoint whose first chunk this is. Raises CheckpointError as `decode` does."""
    return _header(first)[1]


def decode(chunks: Sequence[bytes]) -> dict[str, Any]:
    """The state inside. Raises CheckpointError: not a checkpoint, incomplete, damaged, or of an unknown version."""
    if not chunks:
        raise CheckpointError("checkpoint-missing", "there is no chunk to read", remedy=REBUILD)
    logic, count, size, digest = _header(chunks[0])
    packed = b"".join([chunks[0][_HEADER.size :], *chunks[1:]])
    if len(chunks) != count or _digest(packed) != digest:
        raise CheckpointError(
            "checkpoint-damaged", f"{len(chunks)} of {count} chunks, or their checksum, do not fit", remedy=REBUILD
        )
    try:
        body = zlib.decompressobj().decompress(packed, size)
        if len(body) != size:
            raise CheckpointError("checkpoint-damaged", f"{len(body)} of {size} bytes after decompression", remedy=REBUILD)
        state = msgpack.unpackb(body, raw=False, strict_map_key=False)
    except (zlib.error, msgpack.UnpackException, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise CheckpointError("checkpoint-damaged", f"{type(error).__name__}: {str(error)[:200]}", remedy=REBUILD) from error
    if not isinstance(state, dict):
        raise CheckpointError("checkpoint-damaged", "the state is not a map", remedy=REBUILD)
    return upcast(state, logic)


def upcast(state: State, logic: int) -> State:
    """A state of an older logic version as one of this version. Raises CheckpointError `checkpoint-version` for any other."""
    while logic < LOGIC_VERSION and logic in UPCASTS:
        state, logic = UPCASTS[logic](state), logic + 1
    if logic != LOGIC_VERSION:
        raise _unknown(FORMAT_VERSION, logic)
    return state


REBUILD = "delete the worker's state folder: it is rebuilt from the changelog topic"


def _digest(packed: bytes) -> bytes:
    return hashlib.blake2b(packed, digest_size=16).digest()


def _header(first: bytes) -> tuple[int, int, int, bytes]:
    """Logic version, number of chunks, bytes before compression, digest."""
    if len(first) < _HEADER.size or first[:4] != _MAGIC:
        raise CheckpointError("checkpoint-damaged", "this is not the start of a checkpoint", remedy=REBUILD)
    _, form, logic, count, size, digest = _HEADER.unpack_from(first)
    if form != FORMAT_VERSION:
        raise _unknown(form, logic)
    # The digest is not of the header: what it claims is looked at before it is acted on.
    if not 1 <= count <= CHUNKS_MAX or not 1 <= size <= BODY_BYTES_MAX:
        raise CheckpointError("checkpoint-damaged", f"it claims {count:,} chunks of {size:,} bytes", remedy=REBUILD)
    return logic, count, size, digest


def _unknown(form: int, logic: int) -> CheckpointError:
    readable = ", ".join(str(version) for version in [*sorted(UPCASTS), LOGIC_VERSION])
    return CheckpointError(
        "checkpoint-version",
        f"written as format {form}, logic {logic}; this version reads format {FORMAT_VERSION}, logic {readable}",
        remedy="run the version that wrote it, or one that lists it as readable in CHANGELOG.md",
    )
