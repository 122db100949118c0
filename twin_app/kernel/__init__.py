"""The simulation: pure, deterministic, and at every instant plain data. `Twin` is the whole of its face."""

from twin_app.kernel.emission import Emission, Value
from twin_app.kernel.twin import Twin

__all__ = ["Emission", "Twin", "Value"]
