"""The models of SimPy's documentation as blueprints, against plain SimPy generators: the same times, entity by entity.

Both sides get the same recorded arrivals and durations, so that every figure must be equal.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest
import simpy

from tests.kernel.three_ways import blueprint, three_ways, times

Log = list[tuple[float, str, int]]


def recorded(count: int, seed: int, **ranges: tuple[float, float]) -> list[dict[str, Any]]:
    draws = random.Random(seed)
    at, rows = 0.0, []
    for _ in range(count):
        at += draws.expovariate(0.2)
        rows.append({"at": at, "attributes": {name: draws.uniform(*bounds) for name, bounds in ranges.items()}})
    return rows


def told(play: Any, *kinds: str) -> Log:
    return sorted((e.sim_time, e.kind, e.entity) for e in play.told if e.kind in kinds)


@pytest.mark.parametrize("seed", range(3))
def test_bank_renege(seed: int):
    rows = recorded(60, seed, service=(5, 15), patience=(1, 8))
    log: Log = []

    def customer(env: simpy.Environment, number: int, counter: simpy.Resource, row: dict[str, Any]) -> Iterator[Any]:
        yield env.timeout(row["at"])
        with counter.request() as request:
            served = yield request | env.timeout(row["attributes"]["patience"])
            if request in served:
                log.append((env.now, "entity-started", number))
                yield env.timeout(row["attributes"]["service"])
                log.append((env.now, "entity-finished", number))
            else:
                log.append((env.now, "entity-reneged", number))

    env = simpy.Environment()
    counter = simpy.Resource(env, 1)
    for number, row in enumerate(rows, 1):
        env.process(customer(env, number, counter, row))
    env.run()
    model = blueprint(
        resources={"counter": {}},
        arrivals={"a": {"trace": rows, "flow": "customer"}},
        flows={"customer": [{"process": {"resource": "counter", "for": "entity.service", "patience": "entity.patience"}}]},
    )
    assert told(three_ways(model), "entity-started", "entity-finished", "entity-reneged") == sorted(log)
    assert {kind for _, kind, _ in log} == {"entity-started", "entity-finished", "entity-reneged"}


def test_car_wash():
    rows = recorded(80, 1, wash=(3, 9))
    log: Log = []

    def car(env: simpy.Environment, number: int, machines: simpy.Resource, row: dict[str, Any]) -> Iterator[Any]:
        yield env.timeout(row["at"])
        with machines.request() as request:
            yield request
            log.append((env.now, "entity-started", number))
            yield env.timeout(row["attributes"]["wash"])
            log.append((env.now, "entity-finished", number))

    env = simpy.Environment()
    machines = simpy.Resource(env, 2)
    for number, row in enumerate(rows, 1):
        env.process(car(env, number, machines, row))
    env.run()
    model = blueprint(
        resources={"machine": {"capacity": 2}},
        arrivals={"a": {"trace": rows, "flow": "car"}},
        flows={"car": [{"process": {"resource": "machine", "for": "entity.wash"}}]},
    )
    assert told(three_ways(model), "entity-started", "entity-finished") == sorted(log)


def test_machine_shop():
    """Machines that break and are repaired by one repairman, who helps elsewhere when nothing is broken: he is preempted."""
    log: list[tuple[float, str]] = []

    def machine(env: simpy.Environment, name: str, part: float, until_failure: float, repairman: simpy.PreemptiveResource) -> Any:
        broken = False

        def working() -> Iterator[Any]:
            nonlocal broken
            while True:
                left = part
                while left:
                    try:
                        began = env.now
                        yield env.timeout(left)
                        left = 0
                    except simpy.Interrupt:
                        left -= env.now - began
                        broken = True
                        with repairman.request(priority=1) as request:
                            yield request
                            yield env.timeout(30)
                        broken = False
                        repaired.succeed()
                log.append((env.now, name))

        def breaking() -> Iterator[Any]:
            nonlocal repaired
            while True:
                yield env.timeout(until_failure)
                repaired = env.event()
                process.interrupt()
                yield repaired

        repaired = env.event()
        process = env.process(working())
        env.process(breaking())

    def other_jobs(env: simpy.Environment, repairman: simpy.PreemptiveResource) -> Iterator[Any]:
        while True:
            left = 40.0
            while left:
                with repairman.request(priority=2) as request:
                    yield request
                    try:
                        began = env.now
                        yield env.timeout(left)
                        left = 0
                    except simpy.Interrupt:
                        left -= env.now - began
            log.append((env.now, "other"))

    machines = {"m1": (10.3, 307.7), "m2": (11.9, 401.3), "m3": (9.7, 233.1)}
    env = simpy.Environment()
    repairman = simpy.PreemptiveResource(env, 1)
    for name, (part, until_failure) in machines.items():
        machine(env, name, part, until_failure, repairman)
    env.process(other_jobs(env, repairman))
    env.run(until=2_000)

    made = {"emit": {"kind": "made", "payload": {"who": "entity.name"}}}
    model = blueprint(
        resources={
            "repairman": {"discipline": "preemptive"},
            **{
                name: {"breakdown": {"time_to_failure": {"constant": until_failure}, "repair_flow": "repair"}}
                for name, (_, until_failure) in machines.items()
            },
        },
        flows={
            **{
                name: [{"loop": {"while": "true", "do": [{"process": {"resource": name, "for": part}}, made]}}]
                for name, (part, _) in machines.items()
            },
            "repair": [{"process": {"resource": "repairman", "for": 30, "priority": 1}}],
            "other": [
                {"loop": {"while": "true", "do": [{"process": {"resource": "repairman", "for": 40, "priority": 2}}, made]}}
            ],
        },
    )
    script = [(0.0, "spawn", name, {"name": name}) for name in (*machines, "other")]
    play = three_ways(model, script, until=1_999.999)
    ours = [(e.sim_time, e.payload["who"]) for e in play.told if e.kind == "made"]
    assert [who for _, who in sorted(ours)] == [who for _, who in sorted(log)]
    assert [at for at, _ in sorted(ours)] == pytest.approx([at for at, _ in sorted(log)])
    assert times(play, "entity-preempted", resource="repairman"), "the repairman was called away"


def test_movie_renege():
    """Tickets of three movies at one counter; when one is sold out, all who wait for it leave the line at once."""
    draws = random.Random(4)
    rows = [
        {"at": at + draws.random(), "attributes": {"movie": draws.choice("abc"), "tickets": draws.randint(1, 6)}}
        for at in range(90)
    ]
    left = {"a": 50, "b": 50, "c": 50}
    log: Log = []

    def moviegoer(env: simpy.Environment, number: int, counter: simpy.Resource, row: dict[str, Any]) -> Iterator[Any]:
        yield env.timeout(row["at"])
        movie, wanted = row["attributes"]["movie"], row["attributes"]["tickets"]
        if sold_out[movie].triggered:
            log.append((env.now, "gave-up", number))
            return
        with counter.request() as turn:
            result = yield turn | sold_out[movie]
            if turn not in result:
                log.append((env.now, "gave-up", number))
                return
            if left[movie] < wanted:
                yield env.timeout(0.5)
                log.append((env.now, "too-few", number))
                return
            left[movie] -= wanted
            if left[movie] < 2 and not sold_out[movie].triggered:
                sold_out[movie].succeed()
            yield env.timeout(1)
            log.append((env.now, "bought", number))

    env = simpy.Environment()
    sold_out = {movie: env.event() for movie in "abc"}
    counter = simpy.Resource(env, 1)
    for number, row in enumerate(rows, 1):
        env.process(moviegoer(env, number, counter, row))
    env.run()
    assert {kind for _, kind, _ in log} == {"bought", "gave-up", "too-few"}

    sold = {
        f"variables.left_{movie}": f"variables.left_{movie} - (entity.tickets if entity.movie == '{movie}' else 0)"
        for movie in "abc"
    }
    mine = " + ".join(f"(variables.left_{movie} if entity.movie == '{movie}' else 0)" for movie in "abc")
    model = blueprint(
        variables={f"left_{movie}": 50 for movie in "abc"},
        resources={"counter": {}},
        arrivals={"a": {"trace": rows, "flow": "moviegoer"}},
        flows={
            "moviegoer": [
                {"branch": [{"when": f"({mine}) < 2", "go": "gone"}]},
                {"seize": {"resource": "counter"}},
                {
                    "branch": [
                        {"when": f"({mine}) < 2", "go": "gone"},
                        {
                            "when": f"({mine}) < entity.tickets",
                            "do": [{"delay": 0.5}, {"release": "counter"}, {"emit": "too-few"}, {"go": "end"}],
                        },
                    ]
                },
                {"set": sold},
                {"delay": 1},
                {"release": "counter"},
                {"emit": "bought"},
                {"go": "end"},
                {"gone": {"emit": "gave-up"}},
            ]
        },
    )
    play = three_ways(model)
    ours = {
        kind: [(at, number) for at, k, number in told(play, "bought", "too-few") if k == kind] for kind in ("bought", "too-few")
    }
    theirs = {kind: sorted((at, number) for at, k, number in log if k == kind) for kind in ("bought", "too-few")}
    assert ours == theirs
    # Who gives up is the same; here one says so when its turn would have come, there at the moment of the sell-out.
    assert {e.entity for e in play.told if e.kind == "gave-up"} == {number for _, kind, number in log if kind == "gave-up"}


def test_gas_station():
    rows = recorded(60, 8, fuel=(20, 45))
    log: Log = []

    def car(env: simpy.Environment, number: int, row: dict[str, Any]) -> Iterator[Any]:
        yield env.timeout(row["at"])
        fuel = row["attributes"]["fuel"]
        with pumps.request() as request:
            yield request
            yield tank.get(fuel)
            yield env.timeout(fuel / 2)
            log.append((env.now, "entity-finished", number))

    def control(env: simpy.Environment) -> Iterator[Any]:
        while True:
            if tank.level < 50:
                yield env.timeout(30)
                log.append((env.now, "truck", 0))
                yield tank.put(tank.capacity - tank.level)
            yield env.timeout(7)

    env = simpy.Environment()
    pumps = simpy.Resource(env, 2)
    tank = simpy.Container(env, 200, init=200)
    env.process(control(env))
    for number, row in enumerate(rows, 1):
        env.process(car(env, number, row))
    env.run(until=600)
    model = blueprint(
        resources={"pump": {"capacity": 2}},
        containers={"tank": {"capacity": 200, "level": 200}},
        arrivals={"a": {"trace": rows, "flow": "car"}},
        flows={
            "car": [
                {"seize": "pump"},
                {"get": {"container": "tank", "amount": "entity.fuel"}},
                {"delay": "entity.fuel / 2"},
                {"release": "pump"},
            ],
            "control": [
                {
                    "loop": {
                        "while": "true",
                        "do": [
                            {
                                "branch": [
                                    {
                                        "when": "containers.tank.level < 50",
                                        "do": [
                                            {"delay": 30},
                                            {"emit": "truck"},
                                            {
                                                "put": {
                                                    "container": "tank",
                                                    "amount": "containers.tank.capacity - containers.tank.level",
                                                }
                                            },
                                        ],
                                    }
                                ]
                            },
                            {"delay": 7},
                        ],
                    }
                }
            ],
        },
    )
    play = three_ways(model, [(0.0, "spawn", "control")], until=599.999)
    ours = sorted(
        (e.sim_time, 0 if e.kind == "truck" else (e.entity or 0) - 1) for e in play.told if e.kind in ("truck", "entity-finished")
    )
    assert ours == sorted((at, number) for at, _, number in log)
    assert sum(kind == "truck" for _, kind, _ in log) > 2


def test_process_communication():
    """One producer, two consumers over a store, messages in order and none twice."""
    log: list[tuple[float, int]] = []
    env = simpy.Environment()
    pipe = simpy.Store(env)

    def producer() -> Iterator[Any]:
        for number in range(12):
            yield env.timeout(7 if number % 3 else 6)
            yield pipe.put(number)

    def consumer(pause: float) -> Iterator[Any]:
        while True:
            number = yield pipe.get()
            log.append((env.now, number))
            yield env.timeout(pause)

    env.process(consumer(4.5))
    env.process(consumer(23.25))
    env.process(producer())
    env.run(until=200)
    model = blueprint(
        stores={"pipe": {}},
        flows={
            "producer": [
                {"set": {"entity.n": 0}},
                {
                    "loop": {
                        "times": 12,
                        "do": [
                            {"delay": "7 if entity.n % 3 else 6"},
                            {"put": {"store": "pipe", "item": "entity.n"}},
                            {"set": {"entity.n": "entity.n + 1"}},
                        ],
                    }
                },
            ],
            "consumer": [
                {
                    "loop": {
                        "while": "true",
                        "do": [
                            {"get": {"store": "pipe"}},
                            {"emit": {"kind": "read", "payload": {"n": "entity.item"}}},
                            {"delay": "entity.pause"},
                        ],
                    }
                }
            ],
        },
    )
    script = [
        (0.0, "spawn", "consumer", {"pause": 4.5}),
        (0.0, "spawn", "consumer", {"pause": 23.25}),
        (0.0, "spawn", "producer"),
    ]
    play = three_ways(model, script, until=200.0)
    assert [(e.sim_time, e.payload["n"]) for e in play.told if e.kind == "read"] == log
