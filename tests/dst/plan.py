"""What one simulation does, drawn from its seed: the plant, the commands, the weather and the blows."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from tests.dst.network import Weather

START_S = 1.0
"""The first command is sent then; workers have usually joined."""
MARGIN_S = 5.0
"""A command of a scripted run is sent at least so long before the time at which it is to act."""
TWINS = ("Line_A", "Line_B", "Line_C")
CRASH_POINTS = (
    *("begin", "before-add", "after-add", "before-send", "after-send", "before-offsets", "after-offsets"),
    *("before-commit", "after-commit", "before-store", "after-store", "before-fence", "after-fence"),
    *("recovering-store", "before-fetch", "after-fetch", "after-ends"),
)


class Send(NamedTuple):
    """A command on its way to the config topic."""

    at_s: float
    partition: int
    key: bytes | None
    value: bytes | None
    aborted: bool = False
    """Sent in a transaction that is aborted: its offset stays empty."""


class Blow(NamedTuple):
    """Something happens to a worker or to the broker."""

    at_s: float
    kind: str
    worker: int = 0
    amount: float = 0.0


@dataclass
class Plan:
    """All that a run depends on, but for the order of things, which comes from the same seed."""

    seed: int
    partitions: int = 1
    workers: int = 1
    rough_s: float = 8.0
    """So long the blows fall; after that everything is repaired and the run must come to rest."""
    scripted: bool = False
    """Every command says when it is to act: the events can be foretold without any log."""
    weather: Weather = field(default_factory=Weather)
    lose_delivery: float = 0.0
    repeat_delivery: float = 0.0
    disk_full: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    sends: list[Send] = field(default_factory=list)
    last_at: float = 0.0
    """The latest simulation time at which a command is to act."""
    blows: list[Blow] = field(default_factory=list)


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    plan = Plan(seed, partitions=chance.choice((1, 1, 2)), workers=chance.choice((1, 2, 2, 3)))
    plan.rough_s = chance.uniform(2.5, 8.0)
    plan.scripted = chance.random() < 0.2
    plan.weather = _weather(chance, seed)
    if chance.random() < 0.4:
        plan.repeat_delivery = 0.1
        plan.lose_delivery = 0.0 if plan.scripted else 0.1
    plan.disk_full = seed % 10 == 5
    plan.settings = {
        "min_cycle_ms": chance.choice((50, 200, 500)),
        "batch_records_max": chance.choice((1, 3, 50)),
        "intake_records_max": chance.choice((1, 4, 100)),
        "transaction_timeout_s": chance.choice((2.0, 5.0)),
    }
    plan.host = {
        "checkpoint_ticks": chance.choice((1, 2, 5, 9)),
        "checkpoint_interval_us": chance.choice((1_000_000, 60_000_000)),
        "watermark_delay_us": chance.choice((0, 0, 300_000)),
        "entries_per_cycle": chance.choice((15, 60, 20_000)),
        "entries_per_slice": chance.choice((1, 7, 500)),
    }
    _commands(chance, plan)
    _blows(chance, plan)
    return plan


def _weather(chance: random.Random, seed: int) -> Weather:
    def maybe(most: float) -> float:
        return chance.uniform(0.0, most) if chance.random() < 0.5 else 0.0

    weather = Weather(maybe(0.05), maybe(0.05), maybe(0.03), maybe(0.02), maybe(0.02), maybe(0.01), chance.choice((0.1, 1.0)))
    if seed % 2:  # by turns, not by chance: a short campaign too passes every point
        weather.crash_at, weather.crash = CRASH_POINTS[seed // 2 % len(CRASH_POINTS)], chance.choice((0.02, 0.1, 0.3))
    return weather


def blueprint(chance: random.Random, twin: str, *, lively: bool = True) -> dict[str, Any]:
    """A line of two machines; times in seconds, seldom enough that a run stays short."""
    made: dict[str, Any] = {
        "twin": twin,
        "seed": chance.randrange(1000),
        "variables": {"mode": "auto"},
        "resources": {"a": {"capacity": 1, "max_capacity": 4}, "b": {"capacity": chance.randint(0, 2), "max_capacity": 4}},
        "services": {"turning": {"constant": 0.75}, "milling": {"exponential": {"mean": 1.5}}},
        "arrivals": {"orders": {"interarrival": {"exponential": {"mean": chance.choice((1.5, 4.0))}}, "flow": "make"}},
        "flows": {
            "make": [
                {"process": {"resource": "a", "service": "turning"}},
                {"process": {"resource": "b", "service": "milling", "priority": 1}},
            ]
        },
    }
    if not lively:
        made["arrivals"] = {}
    return made


def _commands(chance: random.Random, plan: Plan) -> None:
    twins = TWINS[: chance.randint(1, 3)]
    home = {twin: chance.randrange(plan.partitions) for twin in twins}
    at_s = START_S
    for twin in twins:
        value = {"kind": "register", "blueprint": blueprint(chance, twin, lively=plan.scripted or chance.random() < 0.8)}
        plan.sends.append(Send(at_s, home[twin], twin.encode(), orjson.dumps(value)))
        at_s += chance.uniform(0.0, 0.4)
    times = sorted(chance.uniform(at_s, plan.rough_s) for _ in range(chance.randint(3, 14)))
    for i, time_s in enumerate(times):
        twin = chance.choice(twins)
        value = _scripted(chance, time_s, i) if plan.scripted else _any(chance, twin)
        if plan.scripted:
            assert isinstance(value, dict)
            plan.last_at = max(plan.last_at, value["at"])
        raw = value if isinstance(value, bytes | None) else orjson.dumps(value)
        plan.sends.append(Send(time_s, home[twin], twin.encode(), raw, not plan.scripted and chance.random() < 0.1))


def _scripted(chance: random.Random, time_s: float, number: int) -> dict[str, Any]:
    at = round(time_s + MARGIN_S) + number / 100 + 0.003  # no two at one time
    return chance.choice(
        (
            {"kind": "set", "path": "resources.b.capacity", "value": chance.randint(0, 4), "at": at},
            {"kind": "set", "path": "services.turning.constant", "value": chance.choice((0.25, 1.0)), "at": at},
            {"kind": "patch", "changes": {"variables.mode": f"m{number}", "resources.a.capacity": 2}, "at": at},
            {"kind": "spawn", "flow": "make", "at": at},
        )
    )


def _any(chance: random.Random, twin: str) -> dict[str, Any] | bytes | None:
    register = {"kind": "register", "blueprint": blueprint(chance, twin), "replace": True}
    kept = {**register, "keep_work": True, "blueprint": _with_a_step(register["blueprint"])}
    choices: list[dict[str, Any] | bytes | None] = [
        {"kind": "set", "path": "resources.b.capacity", "value": chance.randint(0, 4)},
        {"path_id": f"{twin}.resources.a.current_cap", "value": chance.randint(0, 4)},
        {"kind": "set", "path": "resources.b.capacity", "value": 99},
        {"kind": "set", "path": "resources.nowhere.capacity", "value": 1},
        {"kind": "set", "path": "variables.mode", "value": "manual", "at": chance.uniform(0.0, 12.0)},
        {"kind": "set", "path": "resources.b.capacity", "value": 1, "at": chance.uniform(2.0, 9.0), "if_version": 1},
        {"kind": "patch", "changes": {"resources.a.capacity": 1, "variables.mode": "m"}},
        {"kind": "patch", "changes": {"resources.a.capacity": 1, "variables.mode": 7.5}},
        {"kind": "spawn", "flow": "make", "attributes": {"colour": "red"}},
        b"not a command \xff",
        b"{}",
        None,
        {"kind": "remove", "discard_work": True},
        {**register, "discard_work": True},
        {**register, "keep_work": True},
        kept,
    ]
    weights = [4, 4, 2, 1, 3, 2, 3, 1, 4, 1, 1, 1, 1, 1, 1, 1]
    return chance.choices(choices, weights)[0]


def _with_a_step(document: dict[str, Any]) -> dict[str, Any]:
    """The line with a step between the machines. Who stands there has no place in the line without it."""
    turn, mill = document["flows"]["make"]
    return {**document, "flows": {"make": [turn, {"cool": {"delay": 0.5}}, mill]}}


def _blows(chance: random.Random, plan: Plan) -> None:
    kinds = ["kill", "kill", "freeze", "cut", "stop", "broker-down", "wall-step", "compact", "group-offsets", "rejoin", "expire"]
    for _ in range(chance.choice((0, 1, 2, 2, 4))):
        kind = chance.choice(kinds)
        at_s, worker = chance.uniform(0.5, plan.rough_s), chance.randrange(plan.workers)
        amount = chance.uniform(0.1, 2.0)
        if kind in ("freeze", "cut"):
            amount = chance.uniform(0.2, 4.0)
        if kind == "wall-step":
            most = 1.5 if plan.scripted else 10.0 if plan.host["entries_per_cycle"] < 100 else 600.0
            amount = chance.choice((-1.0, 1.0)) * chance.uniform(0.1, chance.choice((1.5, most)))
        plan.blows.append(Blow(at_s, kind, worker, amount))
    plan.blows.sort()
