"""A short fuzz by Hypothesis of what `make fuzz` does for longer; and the bombs that no generator finds by chance."""

import struct
import tracemalloc
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models import checkpoint as blob
from models.errors import CheckpointError
from tests.fuzz.targets import SCHEMA_ID, STATE, checkpoint, command, seeds
from twin_app.partition.checkpoints import twin_states

MEMORY_BYTES_MAX = 48 << 20


@st.composite
def damaged(draw: st.DrawFn, target: str) -> bytes:
    """Good bytes with a few of them changed, left out, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(seeds()[target])))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["change", "cut", "drop", "double"]))
        if what == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del data[at:]
        elif what == "drop":
            del data[at : at + draw(st.integers(1, 8))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    damaged("command")
    | st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda tail: struct.pack(">bI", 0, SCHEMA_ID) + tail)
)
def test_no_command_escapes_as_anything_but_a_refusal(data: bytes):
    command(data)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(damaged("checkpoint") | st.binary(max_size=200))
def test_no_checkpoint_escapes_as_anything_but_a_refusal(data: bytes):
    checkpoint(data)


def _peak_bytes(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            list(twin_states({b"twin/Line_A/0000": data}))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("claimed", [0, 1, 1_000_000, 5 << 30, 2**64 - 1])
def test_a_bomb_is_not_unpacked_beyond_what_its_header_claims_and_may_claim(claimed: int):
    packed = zlib.compress(bytes(256 << 20), 1)
    header = struct.pack(">4sHHIQ16s", b"TWCP", blob.FORMAT_VERSION, blob.LOGIC_VERSION, 1, claimed, blob._digest(packed))
    assert _peak_bytes(header + packed) < MEMORY_BYTES_MAX


@pytest.mark.parametrize("count", [0, 5_000, 2**32 - 1])
def test_a_header_that_claims_chunks_without_end_is_not_waited_for(count: int):
    first = bytearray(blob.encode(STATE)[0])
    struct.pack_into(">I", first, 8, count)
    assert _peak_bytes(bytes(first)) < MEMORY_BYTES_MAX
