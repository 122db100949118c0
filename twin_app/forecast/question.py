"""What is asked: a saved state, how far to look ahead, and the scenarios. Plain data, so that any process can answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.commands import KINDS, Command, Forecast
from models.events import utc_from_us
from models.forecasts import BASELINE
from twin_app.switchboard import LiveTwin
from twin_app.switchboard.timescale import UNIT_S, TimeScale

SCENARIO_TOPIC = "scenario"
"""The topic that the cause of an event names where a scenario's own command caused it."""


@dataclass(frozen=True)
class Question:
    """`snapshot`: of a LiveTwin. `horizon`: simulation time units from then. `scenarios`: name -> commands."""

    snapshot: Mapping[str, Any]
    horizon: float
    scenarios: Mapping[str, Sequence[Command]] = field(default_factory=dict)

    @property
    def start(self) -> float:
        """Simulation time of the fork."""
        return self.snapshot["twin"]["now"]

    @property
    def end(self) -> float:
        return self.start + self.horizon

    def instant(self, sim_time: float) -> datetime:
        """The UTC date and time of a simulation time."""
        return utc_from_us(TimeScale(*self.snapshot["scale"]).event_time_us(sim_time))

    @property
    def names(self) -> list[str]:
        """The futures by number: the baseline is 0."""
        return [BASELINE, *self.scenarios]

    def commands(self, future: int) -> Sequence[Command]:
        """The commands of a future; none for the baseline."""
        return list(self.scenarios.values())[future - 1] if future else ()

    def to_plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "snapshot": self.snapshot,
            "horizon": self.horizon,
            "scenarios": [[name, [_plain(command) for command in commands]] for name, commands in self.scenarios.items()],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Question:
        scenarios = {name: [KINDS[item["kind"]].model_validate(item) for item in items] for name, items in plain["scenarios"]}
        return cls(plain["snapshot"], plain["horizon"], scenarios)


def question(live: LiveTwin, horizon: float, scenarios: Mapping[str, Iterable[Command]] | None = None) -> Question:
    """A question about a live twin as it is now. The twin is not touched, and may go on at once."""
    return Question(live.snapshot(), horizon, {name: list(commands) for name, commands in (scenarios or {}).items()})


def asked_by(live: LiveTwin, command: Forecast) -> Question:
    """The question of a `forecast` command."""
    unit_s = UNIT_S[live.twin.blueprint.time.unit]
    return question(live, command.horizon_units(unit_s), command.scenarios)


def _plain(command: Command) -> dict[str, Any]:
    return command.model_dump(mode="json", exclude_defaults=True) | {"kind": command.kind}
