"""A folder with a twin and what happens to it, played live: `blueprint.yaml`, and `commands.yaml`, each command at its `at`.

The last command ends the story. What the twin itself finds out about its story it tells by events of the kind `claim-checked`,
with a text `claim`, `holds` and whatever figures belong to it: they are findings of the demo like its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from models.blueprint import Blueprint
from models.commands import Register
from models.errors import TwinError
from twin_app import local
from twin_app.cli.command_file import Written, read_commands
from twin_app.cli.demo.stage import Stage
from twin_app.cli.demo.tale import Tale, Tell
from twin_app.cli.reading import read_blueprint, read_text
from twin_app.cli.verdict import Finding
from twin_app.cli.words import described, shown
from twin_app.kernel.schedules import UNIT_S

CLAIM = "claim-checked"
OF_COMMANDS_KEPT = "command-scheduled"
"""Told by a worker and not by a run here, which gets each command when its time has come."""
SLACK_S = 60.0
"""How much longer than planned the story may take on a slow machine."""
SEEN = ("sim_time", "kind", "entity", "payload")
"""What of an event is compared: not its place in the stream, where a worker tells more."""
OF_THE_ANSWER = frozenset({"command", "late", "version"})
"""Fields of a payload that answer the sender and say nothing about the twin."""


@dataclass(frozen=True)
class Scenario:
    """A twin, its commands in the order of the file, and when the story ends (blueprint's unit)."""

    blueprint: Blueprint
    commands: tuple[Written, ...]
    until: float

    @property
    def twin(self) -> str:
        return self.blueprint.twin

    def expected(self) -> list[local.Event]:
        """The events of the story, simulated here."""
        commands = [item.command for item in self.commands]
        return local.simulate(self.blueprint, commands, until=self.until).events


def read_scenario(folder: Path, duration_s: float) -> Scenario:
    """The scenario in a folder, so fast that it takes `duration_s` of wall time. Raises TwinError, BlueprintError."""
    blueprint = read_blueprint(folder / "blueprint.yaml")
    file = folder / "commands.yaml"
    commands = read_commands(read_text(file), source=str(file), twin=blueprint.twin)
    ats = [item.command.at for item in commands]
    times = [at for at in ats if isinstance(at, int | float) and at > 0]
    if not times or len(times) < len(ats):
        remedy = "give each an `at` above 0, in the blueprint's unit; the last one ends the story"
        raise TwinError("no-story", "a command of the story does not say when it happens", place=str(file), remedy=remedy)
    time = blueprint.time
    factor = duration_s / (max(times) * UNIT_S[time.unit])
    played = blueprint.model_copy(update={"time": time.model_copy(update={"factor": factor, "mode": "wall"})})
    return Scenario(played, tuple(commands), max(times))


class ScenarioTale(Tale):
    """Registers the twin, sends the commands, and tells what is worth telling until the last event of the story."""

    def __init__(self, stage: Stage, tell: Tell, heard: Callable[[dict[str, Any]], None], scenario: Scenario) -> None:
        super().__init__(stage, tell, heard, workers=1)
        self.scenario = scenario
        self.expected = scenario.expected()
        self.told: list[Mapping[str, Any]] = []
        """The twin's own events, as a consumer gets them."""
        self.present = 0

    def pictures(self) -> list[str]:
        now = self.told[-1]["sim_time"] if self.told else 0.0
        unit = self.scenario.blueprint.time.unit
        return [f"{self.scenario.twin}  {now:.1f} of {self.scenario.until:g} {unit}  {self.present:,} in progress"]

    async def _scenes(self, writer: AIOKafkaProducer, listening: asyncio.Future[None]) -> None:
        scenario, stage = self.scenario, self.stage
        blueprint = scenario.blueprint.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        if scenario.blueprint.description:
            self.tell("demo", scenario.blueprint.description)
        for page in stage.pages.values():
            self.tell("demo", f"to watch it in a browser: {page}#{scenario.twin} (`--stay` keeps it running)")
        self.tell("you", f"register {scenario.twin}, and send {len(scenario.commands)} commands, each kept until its time")
        register = Register(twin=scenario.twin, blueprint=blueprint)
        record = orjson.dumps({"kind": "register", **register.model_dump(exclude_defaults=True)})
        for value in (record, *(item.value for item in scenario.commands)):
            await self._send(writer, scenario.twin, value)
        duration_s = scenario.until * UNIT_S[scenario.blueprint.time.unit] * scenario.blueprint.time.factor
        await self._until(
            lambda: len(self.told) >= len(self.expected), duration_s + SLACK_S, "the last event of the story", listening
        )

    def _take_in(self, event: dict[str, Any]) -> None:
        if event["twin"] != self.scenario.twin or event["kind"] == OF_COMMANDS_KEPT:
            return
        self.told.append(event)
        self.present += (event["kind"] == "entity-created") - (event["kind"] == "entity-left")
        if worth_telling(event) and event["sim_time"] <= self.scenario.until:
            self.tell(f"{self.scenario.twin} {event['sim_time']:8.2f}", sentence(event))

    def findings(self) -> list[Finding]:
        """Whether the story went live as it goes here, and what the twin claims."""
        return [as_simulated(self.expected, self.told), *claims(self.told, self.scenario.until)]


def worth_telling(event: Mapping[str, Any]) -> bool:
    """Whether a listener wants to hear of it: what comes from outside, from the clock and the watches, and what the model says by
    itself; not what each entity does."""
    kind = event["kind"]
    if kind == "parameter-changed":
        by_a_step = (event["cause"] or {}).get("event") is not None
        return not by_a_step or event["payload"]["path"].startswith("machines.")
    if kind == "signal-received":
        return "command" in event["payload"]
    return not kind.startswith("entity-") and kind not in ("try-failed", "queue-growing")


def sentence(event: Mapping[str, Any]) -> str:
    """An event in words, with the name of the command that it answers."""
    payload = event["payload"]
    if event["kind"] == CLAIM:
        return f"{payload['claim']}: {'yes' if payload['holds'] is True else 'NO'}"
    said = described(event["kind"], None, {name: value for name, value in payload.items() if name not in OF_THE_ANSWER})
    return f"{payload['command']}: {said}" if payload.get("command") else said


def as_simulated(expected: list[local.Event], told: list[Mapping[str, Any]]) -> Finding:
    """What was told live is what a run without a broker gives, up to the end of the story."""
    claim = "the story went live as `twin run` simulates it, event for event"
    for number, (here, live) in enumerate(zip(expected, told, strict=False), 1):
        if _seen(*(getattr(here, name) for name in SEEN)) != _seen(*(live[name] for name in SEEN)):
            what = f"{live['kind']} at {live['sim_time']:g}, not {here.kind} at {here.sim_time:g}"
            return Finding(claim, False, f"event {number}: {what}")
    if len(told) < len(expected):
        return Finding(claim, False, f"{len(told):,} events where {len(expected):,} should be")
    return Finding(claim, True, f"{len(expected):,} events compared")


def _seen(sim_time: float, kind: str, entity: int | None, payload: Mapping[str, Any]) -> tuple[Any, ...]:
    """An event as it is compared. Lists and objects travel as texts, and are left out with all texts but the kind."""
    return sim_time, kind, entity, {name: value for name, value in payload.items() if not isinstance(value, list | dict | str)}


def claims(told: list[Mapping[str, Any]], until: float) -> list[Finding]:
    """What the twin claims of its story."""
    found = []
    for event in told:
        if event["kind"] == CLAIM and event["sim_time"] <= until:
            figures = {name: value for name, value in event["payload"].items() if name not in ("claim", "holds")}
            detail = ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in figures.items())
            found.append(Finding(str(event["payload"]["claim"]), event["payload"]["holds"] is True, detail))
    return found or [Finding("the twin says what came of its story", False, f"no event {CLAIM} by {until:g}")]
