"""Random streams: counter-based, so that the state of randomness is a name and a position.

Each stream is Philox-4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) keyed by a hash of the twin's
seed and the stream's name: adding a resource does not disturb the draws of another, and scenarios can share random numbers.
Only the generator's raw bits are used: numpy promises them for ever, and the arithmetic after them is exact.
"""

from hashlib import blake2b

import numpy as np

BLOCK_MIN = 16
BLOCK_MAX = 512

_SHIFT = np.uint64(12)


def stream_key(seed: int, name: str, salt: int = 0) -> int:
    """The stream's 128-bit key. The same on every machine and in every process. A `salt` other than 0 makes it another stream."""
    text = f"{seed}/{name}/{salt}" if salt else f"{seed}/{name}"
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")


class Stream:
    """Uniform numbers in the open interval (0, 1), 52 bits each. Drawn in blocks; the blocks' sizes never show."""

    __slots__ = ("_block", "_index", "_key", "_size", "_start", "name")

    def __init__(self, seed: int, name: str, position: int = 0) -> None:
        self.name = name
        self._key = stream_key(seed, name)
        self.seek(position)

    @property
    def position(self) -> int:
        """How many numbers have been drawn."""
        return self._start + self._index

    def seek(self, position: int) -> None:
        """Go to a position: the next number drawn is number `position` (from 0)."""
        self._start = position
        self._index = self._size = 0
        self._block: list[float] = []

    def rekey(self, seed: int, salt: int) -> None:
        """Go on, at the same position, in the stream of this name that `salt` chooses."""
        self._key = stream_key(seed, self.name, salt)
        self.seek(self.position)

    def uniform(self) -> float:
        index = self._index
        if index == self._size:
            self._refill()
            index = 0
        self._index = index + 1
        return self._block[index]

    def _refill(self) -> None:
        # Four numbers come from each counter value, so that any position is reached without drawing those before it.
        self._start += self._size
        size = min(max(self._size * 4, BLOCK_MIN), BLOCK_MAX)
        counter, skip = divmod(self._start, 4)
        raw = np.random.Philox(key=self._key, counter=counter).random_raw(size + skip)
        self._block = (((raw >> _SHIFT) + 0.5) * 2.0**-52)[skip:].tolist()
        self._size = size
        self._index = 0
