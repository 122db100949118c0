"""Commands: what a producer writes to the config topic to change a running twin.

These classes are the canonical form: the twin is named, paths are relative to it and use the blueprint's own words. The
spellings that are accepted on the wire (a path that begins with the twin's name, `path_id`, a record without `kind`, Avro)
are turned into this form by `twin_app.switchboard.parse`.

`at` says when a command takes effect: a UTC instant, or a number of simulation time units from the twin's start; without it
a command takes effect at its record's timestamp. `id` is the producer's own, and comes back in the acknowledging event.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, field_validator, model_validator

TWIN_NAME = r"^[A-Za-z0-9_-]{1,100}$"
PATH_CHARS_MAX = 512
NAME_CHARS_MAX = 200
ID_CHARS_MAX = 200
PATCH_CHANGES_MAX = 1_000
FIELDS_MAX = 1_000
SCENARIOS_MAX = 50
SCENARIO_COMMANDS_MAX = 200
OBSERVATIONS_MAX = 1_000
ITEMS_MAX = 10_000
QUEUE_MAX = 1_000_000
LEVEL_MAX = 1e15
VERSION_MAX = 2**53
MOVES_MAX = 1_000

_DURATION = re.compile(r"^\s*(\d{1,12}(?:\.\d{1,9})?)\s*(ms|s|sec|min|m|h|d)\s*$")
_SECONDS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}


def instant(value: object) -> float | datetime:
    """A moment as commands spell it: a finite number of simulation time units, or an ISO 8601 instant with its offset.

    Raises ValueError for anything else; an instant without an offset is refused, because guessing one moves a command by hours.
    """
    if isinstance(value, bool):
        raise ValueError("a moment is a number of simulation time units or an ISO 8601 instant such as 2026-11-22T09:05:00Z")
    if isinstance(value, int | float):
        moment = float(value) if abs(value) <= VERSION_MAX else float("nan")
        if not isfinite(moment):
            raise ValueError("a simulation time is a finite number below 2**53")
        return moment
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not an ISO 8601 instant such as 2026-11-22T09:05:00Z") from None
    if not isinstance(value, datetime):
        raise ValueError("a moment is a number of simulation time units or an ISO 8601 instant such as 2026-11-22T09:05:00Z")
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no UTC offset: end it with Z")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the instant is outside the years 1 to 9999") from None


def duration_s(text: str) -> float:
    """Seconds of a duration such as `90s`, `15 min`, `8h` or `2d`. Raises ValueError for any other spelling."""
    match = _DURATION.match(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a duration such as 90s, 15min, 8h or 2d")
    return float(match[1]) * _SECONDS[match[2]]


Moment = Annotated[float | datetime, BeforeValidator(instant)]
TwinName = Annotated[str, Field(pattern=TWIN_NAME)]
Path = Annotated[str, Field(min_length=1, max_length=PATH_CHARS_MAX)]
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
Version = Annotated[int, Field(ge=0, le=VERSION_MAX)]
Fields = Annotated[dict[Name, JsonValue], Field(max_length=FIELDS_MAX)]


def _loosen(schema: dict[str, Any]) -> None:
    """In the published JSON Schema `twin` is optional: a producer may leave it to the path or to the record's key."""
    schema["required"] = [name for name in schema.get("required", []) if name != "twin"]


class BaseCommand(BaseModel):
    """What every command has. Unknown fields are refused; types are not coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=_loosen)

    # Whether the command may be kept until its `at`; the others act when they are read.
    schedulable: ClassVar[bool] = True

    kind: str
    twin: TwinName
    id: Annotated[str, Field(min_length=1, max_length=ID_CHARS_MAX)] | None = None
    at: Moment | None = None


class Register(BaseCommand):
    """Create a twin from its blueprint, or replace the blueprint of one that exists.

    Registering the blueprint that a twin already has changes nothing. A different one needs `replace`, and, when entities
    are in progress, `keep_work` or `discard_work` too: nothing in progress is dropped silently. Where only its `questions` are
    others, all work stays.

    With `keep_work` the twin goes on where it is, under the new blueprint. `moves` says where those go whose step is not in it:
    `{"make.b": "make.pack"}` (`flow.label` or `flow.number`), `{"make": "build"}` for a flow that has another name now,
    `{"machines.door.ajar": "machines.door.open"}`.
    """

    schedulable: ClassVar[bool] = False

    kind: Literal["register"] = "register"
    blueprint: dict[str, JsonValue]
    replace: bool = False
    discard_work: bool = False
    keep_work: bool = False
    moves: Annotated[dict[Path, Path], Field(max_length=MOVES_MAX)] = {}

    @model_validator(mode="after")
    def _kept_or_not(self) -> Register:
        if self.keep_work and self.discard_work:
            raise ValueError("the work is either kept or discarded: give keep_work or discard_work")
        if self.keep_work and not self.replace:
            raise ValueError("keep_work goes with replace: true")
        if self.moves and not self.keep_work:
            raise ValueError("moves go with keep_work: true")
        return self


class Set(BaseCommand):
    """Give one path a value. `if_version` refuses it unless the path is at that version."""

    kind: Literal["set"] = "set"
    path: Path
    value: JsonValue
    if_version: Version | None = None


class Patch(BaseCommand):
    """Give several paths their values at one instant, all or none.

    `if_version` is one version that every path must have, or a map from some of the paths to the version each must have.
    """

    kind: Literal["patch"] = "patch"
    changes: Annotated[dict[Path, JsonValue], Field(min_length=1, max_length=PATCH_CHANGES_MAX)]
    if_version: Version | dict[Path, Version] | None = None

    @field_validator("if_version")
    @classmethod
    def _guards_a_change(cls, versions: object, info: Any) -> object:
        if isinstance(versions, dict):
            stray = [path for path in versions if path not in info.data.get("changes", versions)]
            if stray:
                raise ValueError(f"if_version names {stray[0]!r}, which the patch does not change")
        return versions


class Spawn(BaseCommand):
    """Send one entity into a flow, with attributes that its steps can read."""

    kind: Literal["spawn"] = "spawn"
    flow: Name
    attributes: Fields = {}


class Signal(BaseCommand):
    """Send a named signal to whatever waits for it in the twin."""

    kind: Literal["signal"] = "signal"
    name: Name
    payload: Fields = {}


ScenarioCommand = Annotated[Set | Patch | Spawn | Signal, Field(discriminator="kind")]


class Forecast(BaseCommand):
    """Ask what will happen: run forks of the live twin ahead, as it is and under each scenario.

    `horizon` is a number of simulation time units, or a duration of simulated time such as `8h`. A scenario is a list of
    commands that its forks receive, each at its `at` or else at once.
    """

    schedulable: ClassVar[bool] = False

    kind: Literal["forecast"] = "forecast"
    horizon: Annotated[float, Field(gt=0, le=VERSION_MAX, allow_inf_nan=False)] | str
    scenarios: Annotated[
        dict[Name, Annotated[list[ScenarioCommand], Field(max_length=SCENARIO_COMMANDS_MAX)]], Field(max_length=SCENARIOS_MAX)
    ] = {}

    @field_validator("horizon", mode="before")
    @classmethod
    def _positive(cls, horizon: object) -> object:
        """One message in plain words, instead of one for each type that it might have."""
        if isinstance(horizon, str):
            if duration_s(horizon) <= 0:
                raise ValueError("the horizon must be longer than nothing")
        elif isinstance(horizon, bool) or not isinstance(horizon, int | float) or not 0 < horizon <= VERSION_MAX:
            raise ValueError("the horizon must be a number of time units above 0, or a duration such as 8h")
        return horizon

    def horizon_units(self, unit_s: float) -> float:
        """The horizon in simulation time units of `unit_s` seconds each."""
        return duration_s(self.horizon) / unit_s if isinstance(self.horizon, str) else self.horizon


class Remove(BaseCommand):
    """End a twin. While entities are in progress it needs `discard_work`."""

    schedulable: ClassVar[bool] = False

    kind: Literal["remove"] = "remove"
    discard_work: bool = False


class Observe(BaseCommand):
    """What was seen in reality: the twin is made to agree with it, and each difference is told by a `divergence-measured` event.

    `queues`: resource to the number that waits there. `levels`: container to its level, store to its number of items. `items`:
    store to its items, oldest first. `steps`: entity to the step where it is (`pack`, `make.pack`, `make.2`: a label or a
    number, with its flow unless the entity is in that flow). `finished`: entities that have left. An entity is named by its
    number in the twin, or, with `by`, by the value of that attribute. What has to be created to agree begins at the step, or at
    the one that asks for the resource (`queue_steps` says which, where there are several), with `attributes`.

    The order is levels, items, finished, steps, queues; each takes effect with all that follows from it before the next.
    """

    # What is seen is seen: it acts when it is read, or not at all.
    schedulable: ClassVar[bool] = False

    kind: Literal["observe"] = "observe"
    queues: Annotated[dict[Name, Annotated[int, Field(ge=0, le=QUEUE_MAX)]], Field(max_length=OBSERVATIONS_MAX)] = {}
    levels: Annotated[
        dict[Name, Annotated[float, Field(ge=0, le=LEVEL_MAX, allow_inf_nan=False)]], Field(max_length=OBSERVATIONS_MAX)
    ] = {}
    items: Annotated[dict[Name, Annotated[list[JsonValue], Field(max_length=ITEMS_MAX)]], Field(max_length=OBSERVATIONS_MAX)] = {}
    steps: Annotated[dict[Name, Path], Field(max_length=OBSERVATIONS_MAX)] = {}
    finished: Annotated[list[Name], Field(max_length=OBSERVATIONS_MAX)] = []
    by: Name | None = None
    queue_steps: Annotated[dict[Name, Path], Field(max_length=OBSERVATIONS_MAX)] = {}
    attributes: Fields = {}

    @field_validator("finished", mode="before")
    @classmethod
    def _numbers_are_names(cls, finished: object) -> object:
        """An entity's number may be given as a number, too: in an object it cannot."""
        if not isinstance(finished, list):
            return finished
        return [str(name) if isinstance(name, int) and not isinstance(name, bool) else name for name in finished]

    @model_validator(mode="after")
    def _says_something_once(self) -> Observe:
        stray = next((name for name in self.queue_steps if name not in self.queues), None)
        if stray is not None:
            raise ValueError(f"queue_steps names {stray!r}, which queues does not")
        twice = next((name for name in self.finished if name in self.steps), None)
        twice = next((name for name in self.levels if name in self.items), twice)
        if twice is not None or len(set(self.finished)) < len(self.finished):
            raise ValueError(f"{twice or self.finished!r} is observed twice"[:200])
        if not 0 < self.observations <= OBSERVATIONS_MAX:
            raise ValueError(f"an observation names 1 to {OBSERVATIONS_MAX:,} things, not {self.observations:,}")
        return self

    @property
    def observations(self) -> int:
        """How many things were seen."""
        return len(self.queues) + len(self.levels) + len(self.items) + len(self.steps) + len(self.finished)


class Advance(BaseCommand):
    """Move an event-mode twin's simulation time to `at`, or without it to the record's timestamp: a heartbeat of the source."""

    schedulable: ClassVar[bool] = False

    kind: Literal["advance"] = "advance"


Command = Register | Set | Patch | Spawn | Signal | Observe | Forecast | Remove | Advance

KINDS: dict[str, type[Command]] = {
    "register": Register,
    "set": Set,
    "patch": Patch,
    "spawn": Spawn,
    "signal": Signal,
    "observe": Observe,
    "forecast": Forecast,
    "remove": Remove,
    "advance": Advance,
}


def command_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a command record, for producers and editors."""
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[Command, Field(discriminator="kind")])
    schema = adapter.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Command", **schema}
