"""Figures per flow: how many left, and their time in system, with quantiles from a sketch of bounded size.

The sketch is DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
2019): quantiles within 1 % of the true value. What is more than 7.8e8 times smaller than the largest (1,024 bins of 2 %) is put
together. Its bins are counts, so that a saved sketch is rebuilt exactly.
"""

from typing import TYPE_CHECKING, Any

from ddsketch import LogCollapsingLowestDenseDDSketch

from twin_app.kernel.calendar import Entry

if TYPE_CHECKING:
    from twin_app.kernel.twin import Twin

ACCURACY = 0.01
BINS_MAX = 1024
QUANTILES = (0.5, 0.9, 0.95, 0.99)


class FlowStatistics:
    """Of the entities that finished a flow (by the flow they began in). `Twin.leave` adds to them."""

    __slots__ = ("finished", "sketch", "time_sum")

    def __init__(self, *, quantiles: bool) -> None:
        self.finished = 0
        self.time_sum = 0.0
        self.sketch: Any = LogCollapsingLowestDenseDDSketch(ACCURACY, BINS_MAX) if quantiles else None

    def figures(self) -> dict[str, Any]:
        """Times in the blueprint's unit."""
        found: dict[str, Any] = {
            "finished": self.finished,
            "time_in_system_mean": self.time_sum / self.finished if self.finished else 0.0,
        }
        if self.sketch is not None:
            for quantile in QUANTILES:
                value = self.sketch.get_quantile_value(quantile)
                found[f"time_in_system_p{quantile * 100:g}"] = value if value is not None else 0.0
        return found

    # -- as data
    def snapshot(self) -> list[Any]:
        return [self.finished, self.time_sum, None if self.sketch is None else _save(self.sketch)]

    def restore(self, data: list[Any]) -> None:
        self.finished, self.time_sum, sketch = data
        if sketch is not None:
            _fill(self.sketch, sketch)


def _save(sketch: Any) -> list[Any]:
    store = sketch._store
    bins = [[index + store.offset, count] for index, count in enumerate(store.bins) if count]
    spread = [sketch._min, sketch._max] if sketch._count else [None, None]
    return [bins, sketch._zero_count, sketch._count, sketch._sum, *spread]


def _fill(sketch: Any, data: list[Any]) -> None:
    bins, sketch._zero_count, sketch._count, sketch._sum, smallest, largest = data
    for key, count in bins:
        sketch._store.add(key, count)
    if smallest is not None:
        sketch._min, sketch._max = smallest, largest


class WarmUp(Entry):
    """The instant at which figures begin to count."""

    __slots__ = ("_twin",)

    def __init__(self, twin: "Twin") -> None:
        super().__init__()
        self.step = self
        self._twin = twin

    def wake(self, entry: Entry) -> None:
        self._twin.reset_statistics()
