"""The few of Avro's binary values that events are made of: long, double and string.

https://avro.apache.org/docs/1.12.0/specification/#binary-encoding . A long is zigzag-coded (0, -1, 1, -2 become 0, 1, 2, 3) and
written in groups of seven bits, the lowest first, each but the last with the bit 128. A string is its length in bytes as a long,
then its UTF-8. What comes again and again (names, kinds) is kept as it is written.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache

LONGEST = 2**64 - 1
"""The largest zigzag-coded number of 64 bits."""
WORDS_KEPT = 4_096

_BITS = 14
_BELOW = 1 << _BITS
_MASK = _BELOW - 1
_MORE = [bytes((n & 127 | 128, n >> 7 | 128)) for n in range(_BELOW)]
"""Two groups that others follow; by their fourteen bits, since a look here is cheaper than a turn of a loop for each seven."""
_LAST = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(_BELOW)]


def long(number: int) -> bytes:
    """Raises OverflowError beyond 64 bits."""
    left = number + number if number >= 0 else -1 - number - number
    if left < _BELOW:
        return _LAST[left]
    if left > LONGEST:
        raise OverflowError(f"a number of {number.bit_length()} bits is no long")
    written = _MORE[left & _MASK]
    left >>= _BITS
    while left >= _BELOW:
        written += _MORE[left & _MASK]
        left >>= _BITS
    return written + _LAST[left]


double: Callable[[float], bytes] = struct.Struct("<d").pack


def string(text: str) -> bytes:
    """Raises UnicodeEncodeError for half of a surrogate pair."""
    raw = text.encode()
    return long(len(raw)) + raw


word = lru_cache(WORDS_KEPT)(string)
"""A string that comes again and again."""
