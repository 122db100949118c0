"""How far a process is from its limit of memory, seen from outside.

A process without any memory left cannot be trusted to say so: CPython 3.11 may go round for ever where it has no room to pass
an exception on (see kernel/cushion.py), and whatever else then retries does so, too. Who stays at the limit is out of memory.
"""

from pathlib import Path

OUT_OF_MEMORY = "fork-out-of-memory"
MORE_MEMORY = "shorten the horizon, or give forks more with TWIN_FORECAST_MEMORY_MB"

LOOK_S = 0.25
"""Between two looks."""
LOOKS_MAX = 4
"""So many looks in a row at the limit are one too many: a fork gets through its memory, or says that it does not, sooner."""
AT_LIMIT_BYTES = 512 << 10
"""Less than this is no room: the allocators ask the system for a part of a megabyte and more at a time."""
_KIB = 1 << 10


def at_limit(pid: int | None, limit_bytes: int) -> bool:
    """Whether a process has nearly as much data as its limit, or more. False where the system does not tell."""
    used = data_bytes(pid)
    return used is not None and limit_bytes - used < AT_LIMIT_BYTES


def data_bytes(pid: int | None) -> int | None:
    """What RLIMIT_DATA counts for a process; None where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith("VmData:")), None)
