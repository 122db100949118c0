"""desflow in an environment of its own under .run/, so that none of its packages meet ours. Made whole, or not used."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from models.errors import TwinError

DESFLOW = "desflow[kafka]==0.25.0"
HOME = Path(__file__).parents[1] / ".run" / "desflow"
INSTALL_TIMEOUT_S = 300.0


def desflow_python(home: Path = HOME, requirement: str = DESFLOW) -> str:
    """Its interpreter. The environment is made when it is missing or was left half-made.

    Raises TwinError `missing-peer` when it cannot be made: better at the start of a run than in the middle of it.
    """
    python = home / "bin" / "python"
    if not _whole(python):
        print(f"making an environment for {requirement} in {home}", file=sys.stderr)
        try:
            venv.create(home, with_pip=True, clear=True)
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", requirement]
            subprocess.run(install, check=True, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError) as error:
            raise _missing(home, requirement, str(getattr(error, "stderr", None) or error).strip()) from error
        if not _whole(python):
            raise _missing(home, requirement, "it is installed, and cannot be imported")
    return str(python)


def _whole(python: Path) -> bool:
    """Whether both desflow and its Kafka client can be imported there."""
    try:
        return subprocess.run([python, "-c", "import desflow, aiokafka"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def _missing(home: Path, requirement: str, why: str) -> TwinError:
    return TwinError(
        "missing-peer",
        f"{requirement} cannot be measured: {why[-500:]}",
        place=str(home),
        remedy="see that pip reaches a package index, remove the folder, and start again; or choose suites without it",
    )
