"""A disk that has no room left: a small file system of its own where that may be mounted, else a limit on the size of files."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

SIZE = "64m"
FILE_BYTES_MAX = 4096
BLOCK = bytes(64 << 10)


class CrampedDisk:
    """The folder of one worker's state, which can be filled up and emptied again while the worker runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
        self.mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        self._filler = folder / "filler"

    def fill(self, pid: int) -> None:
        """From now on the process finds no room."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (FILE_BYTES_MAX, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
            return
        with self._filler.open("wb", buffering=0) as filler:
            for size in (len(BLOCK), 512, 1):
                try:
                    while filler.write(BLOCK[:size]):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """There is room again, for processes that start from now on."""
        if self.mounted:
            self._filler.unlink()

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True, check=False)
