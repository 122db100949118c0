"""The scorecard: every forecast is held against what then happened. Pure: it is shown records of both topics, and keeps sums.

Forecasts must be shown before the events that follow their state: the reader sees to that by holding events back for a while.
It is bounded whatever comes: so many forecasts at a time under judgement, a few sums per twin and kind for those that are done.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from models.scorecard import LIGHT_VALUES, Light, Scorecard
from twin_app.forecast.trust import Tally
from twin_app.forecast.verdicts import Judged, by_kind, tells

OPEN_MAX = 200
"""Forecasts of one twin under judgement at a time; more are skipped, and counted: of one a minute for eight hours, some are."""
OPEN_TOTAL_MAX = 5_000
"""Of all twins together."""
TWINS_MAX = 10_000


class _Twin:
    def __init__(self) -> None:
        self.open: dict[str, Judged] = {}
        self.tallies: dict[str, Tally] = {}
        self.done = self.voided = self.skipped = 0
        self.seq = 0


class Scorecards:
    """All twins of one partition, or of all."""

    def __init__(self) -> None:
        self._twins: OrderedDict[str, _Twin] = OrderedDict()
        self._open = 0

    def forecast(self, record: Mapping[str, Any]) -> None:
        """A revision; later ones of the same forecast take its place. One without an answer, or of too few runs, is none."""
        if record["baseline"] is None or not tells(record):
            return
        twin = self._twin(record["twin"])
        key = record["id"].rpartition(":")[0]
        if key in twin.open:
            if twin.seq <= record["as_of_seq"]:
                twin.open[key] = Judged(record)
        elif twin.seq > record["as_of_seq"] or len(twin.open) >= OPEN_MAX or self._open >= OPEN_TOTAL_MAX:
            twin.skipped += bool(record["final"])
        else:
            twin.open[key] = Judged(record)
            self._open += 1

    def event(self, event: Mapping[str, Any]) -> None:
        """The next event of a twin, in the order of its sequence numbers; a repeated one is passed over."""
        twin = self._twins.get(event["twin"])
        if twin is None or event["seq"] <= twin.seq:
            return
        twin.seq = event["seq"]
        for judged in twin.open.values():
            judged.see(event)
        self._settle(twin)

    def judges(self, twin: str) -> bool:
        """Whether a forecast of the twin waits for what happens."""
        found = self._twins.get(twin)
        return found is not None and bool(found.open)

    def card(self, name: str) -> Scorecard | None:
        """What is known of a twin; None if it never was forecast."""
        twin = self._twins.get(name)
        if twin is None:
            return None
        kinds = [twin.tallies[kind].score() for kind in sorted(twin.tallies)]
        return Scorecard(
            twin=name,
            light=worst([score.light for score in kinds]),
            forecasts=twin.done,
            open=len(twin.open),
            voided=twin.voided,
            skipped=twin.skipped,
            kinds=kinds,
        )

    def cards(self) -> list[Scorecard]:
        """Of all twins, by name."""
        return [card for name in sorted(self._twins) if (card := self.card(name)) is not None]

    def _twin(self, name: str) -> _Twin:
        if name not in self._twins:
            if len(self._twins) >= TWINS_MAX:
                _, gone = self._twins.popitem(last=False)
                self._open -= len(gone.open)
            self._twins[name] = _Twin()
        return self._twins[name]

    def _settle(self, twin: _Twin) -> None:
        """What is done goes into the sums."""
        for key in [key for key, judged in twin.open.items() if judged.done]:
            judged = twin.open.pop(key)
            self._open -= 1
            found = by_kind(judged.verdicts())
            if judged.broken or not found:
                twin.skipped += judged.broken
                continue
            twin.done += 1
            twin.voided += judged.voided
            for kind, verdicts in found.items():
                twin.tallies.setdefault(kind, Tally(kind)).add(verdicts)


def worst(lights: list[Light]) -> Light:
    """Of those that there are."""
    told = [light for light in lights if light != "none"]
    return min(told, key=lambda light: LIGHT_VALUES[light], default="none")
