"""The simulation: pure, deterministic, and at every instant plain data. `Twin` is the whole of its face."""

from pathlib import Path

from twin_app.kernel.compiled import choose

FORM = choose(Path(__file__).parent)
"""Which form of the kernel runs, in words."""

from twin_app.kernel.emission import Emission, Value  # noqa: E402 - the form is chosen first
from twin_app.kernel.twin import Twin  # noqa: E402

__all__ = ["FORM", "Emission", "Twin", "Value"]
