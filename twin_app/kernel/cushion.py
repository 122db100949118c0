"""A few megabytes set aside, so that a lack of memory can be told instead of being stuck in.

To pass an exception out of a handler in a long function, CPython 3.11 allocates a number (where in the function it was). If
that fails, it starts to unwind the same frame anew, allocates the number again, and so for ever, holding the interpreter's
lock. Whoever may be the first to meet a MemoryError in such a function therefore gives the cushion up before it goes on.
"""

BYTES = 4 << 20
"""Large enough that the allocator gives it back to the system at once; never written to, so it takes no real memory."""

_cushion: list[bytes] = [bytes(BYTES)]

give_up = _cushion.clear
"""Make room. (A builtin that needs no memory itself.)"""


def put_back() -> None:
    """Have a cushion again. Raises MemoryError where there is no room for it."""
    if not _cushion:
        _cushion.append(bytes(BYTES))
