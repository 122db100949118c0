"""The records of the clock topic: how far simulation time went, and what had been applied by then.

A tick is written in the transaction of the cycle that it describes. The config log, the clock log and the seed together
give the same events for ever; a replay compares its own event count with each tick's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgpack

from models.errors import TwinError

TICK_FORMAT = 1
"""Number of the layout below. A reader refuses any other."""

TICK_BYTES_MAX = 64 * 1024
"""A longer value is not a tick. Leaves room for REFUSED_MAX offsets."""

REFUSED_MAX = 5_000
"""How many refused offsets one tick can name; the batch of a cycle must not be larger."""


@dataclass(frozen=True, slots=True)
class Tick:
    """One advance of the partition's clock.

    ``seq`` counts the partition's ticks from 1. ``wall_us`` is the target of the advance, in microseconds since 1970.
    ``next_offset`` is the config offset below which all commands had been applied before it. ``events`` is how many events
    the partition has emitted since its beginning. ``refused`` are the offsets of commands of this cycle that were rejected
    for a reason that lies outside the logs (a schema id which the registry did not know *at that time*): a replay must
    reject the same ones, whatever the registry says by then.
    """

    seq: int
    wall_us: int
    next_offset: int
    events: int
    refused: tuple[int, ...] = ()

    def to_bytes(self) -> bytes:
        """The record's value: a msgpack array that starts with the format number.

        Raises TwinError ``bad-tick`` when ``refused`` is longer than REFUSED_MAX.
        """
        if len(self.refused) > REFUSED_MAX:
            raise TwinError(
                "bad-tick",
                f"a tick can name at most {REFUSED_MAX} refused commands, not {len(self.refused)}",
                remedy="take smaller batches of commands",
            )
        return msgpack.packb([TICK_FORMAT, self.seq, self.wall_us, self.next_offset, self.events, self.refused])

    @classmethod
    def from_bytes(cls, raw: bytes, *, place: str | None = None) -> "Tick":
        """Read a tick; ``place`` (topic-partition-offset) is named in errors.

        Raises TwinError ``unknown-tick-format`` for a layout of another version, ``bad-tick`` for anything else.
        """
        written_in = _format(raw, place)
        if written_in != TICK_FORMAT:
            raise TwinError(
                "unknown-tick-format",
                f"the clock record has format {written_in}, this version reads {TICK_FORMAT}",
                place=place,
                remedy="run the version of the worker that wrote it, or a newer one",
            )
        fields = _unpack(raw, place)
        if len(fields) != 6:
            raise _bad(f"it has {len(fields)} fields instead of 6", place)
        _, seq, wall_us, next_offset, events, refused = fields
        if any(type(number) is not int for number in (seq, wall_us, next_offset, events)):
            raise _bad("a field is not a whole number", place)
        if seq < 1 or next_offset < 0 or events < 0:
            raise _bad("a count is negative", place)
        if not isinstance(refused, list) or any(type(offset) is not int or offset < 0 for offset in refused):
            raise _bad("the refused offsets are not a list of offsets", place)
        return cls(seq, wall_us, next_offset, events, tuple(refused))


def _format(raw: bytes, place: str | None) -> int:
    """The format number, which is the first element of the array in every version."""
    if not isinstance(raw, bytes) or not 0 < len(raw) <= TICK_BYTES_MAX:
        raise _bad("it is empty or too long", place)
    start = msgpack.Unpacker(max_buffer_size=TICK_BYTES_MAX, max_array_len=REFUSED_MAX, max_map_len=0, max_str_len=0)
    try:
        start.feed(raw)
        start.read_array_header()
        number = start.unpack()
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise _bad(f"it is no msgpack array ({type(error).__name__})", place) from error
    if type(number) is not int:
        raise _bad("it does not start with a format number", place)
    return number


def _unpack(raw: bytes, place: str | None) -> Sequence:
    try:
        fields = msgpack.unpackb(raw, max_array_len=REFUSED_MAX, max_map_len=0, max_str_len=0, max_bin_len=0, max_ext_len=0)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise _bad(f"it is not msgpack ({type(error).__name__})", place) from error
    if not isinstance(fields, list):
        raise _bad("it is not an array", place)
    return fields


def _bad(what: str, place: str | None) -> TwinError:
    return TwinError(
        "bad-tick",
        f"the clock record cannot be read: {what}",
        place=place,
        remedy="check that nothing else writes to the clock topic",
    )
