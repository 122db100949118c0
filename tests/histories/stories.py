"""What the recorded histories tell: between them, everything that the blueprint language and the commands offer."""

from __future__ import annotations

from typing import Any

from tests.partition.world import Log

Document = dict[str, Any]


def machines(twin: str = "Line_A") -> Document:
    """Resources of every discipline, with breakdowns, maintenance, limits, patience and watches."""
    return {
        "twin": twin,
        "seed": 42,
        "variables": {"mode": "auto"},
        "resources": {
            "a": {"capacity": 1, "max_capacity": 3, "discipline": "fifo", "queue_limit": 4},
            "b": {
                "capacity": 1,
                "max_capacity": 3,
                "breakdown": {"time_to_failure": {"exponential": {"mean": 14}}, "repair": {"lognormal": {"mean": 3, "sd": 1}}},
            },
            "c": {
                "capacity": 2,
                "discipline": "preemptive",
                "maintenance": {"every": {"constant": 15}, "duration": {"uniform": {"low": 1, "high": 2}}, "first": 9},
            },
            "d": {
                "capacity": 1,
                "discipline": "lifo",
                "breakdown": {"time_to_failure": {"constant": 21}, "repair_flow": "mend", "policy": "finish"},
            },
            "fitters": {"capacity": 1},
        },
        "services": {
            "turning": {"normal": {"mean": 1.5, "sd": 0.4, "min": 0}},
            "milling": {"constant": 1.75},
            "packing": {"triangular": {"low": 0.5, "mode": 1, "high": 3}},
        },
        "arrivals": {
            "orders": {
                "interarrival": {"exponential": {"mean": 1.6}},
                "flow": "make",
                "attributes": {"priority": {"choice": {"values": [1, 5], "weights": [0.2, 0.8]}}},
            },
            "rush": {"interarrival": {"uniform": {"low": 6, "high": 9}}, "flow": "make", "limit": 4, "on_change": "keep"},
        },
        "flows": {
            "make": [
                {"process": {"resource": "a", "service": "turning", "patience": 3, "on_renege": "give_up", "on_balk": "give_up"}},
                {"branch": [{"when": "variables.mode == 'bypass'", "go": "pack"}, {"go": "next"}]},
                {"process": {"resource": "b", "service": "milling", "priority": "entity.priority", "on_interrupt": "restart"}},
                {"pack": {"process": {"resource": "c", "service": "packing", "priority": "entity.id % 3"}}},
                {"branch": [{"weight": 0.3, "go": "finish"}, {"go": "end"}]},
                {"finish": {"process": {"resource": "d", "for": 0.8}}},
                {"emit": {"kind": "order-packed", "payload": {"id": "entity.id", "cycle_time": "now - entity.created"}}},
            ],
            "mend": [{"seize": "fitters"}, {"delay": {"exponential": {"mean": 1.0}}}, {"release": "fitters"}],
            "give_up": [{"emit": {"kind": "order-lost"}}],
        },
        "watch": {"bottleneck": {"queue": 3, "for": 2}, "growing": {"by": 3}, "starving": {"for": 4}},
    }


def stocks(twin: str = "Plant_B") -> Document:
    """Containers, stores of every order, waiting for conditions, changes and signals, assignments."""
    return {
        "twin": twin,
        "seed": 7,
        "time": {"unit": "minutes", "factor": 0.05},
        "variables": {"gate": "shut", "seen": 0},
        "resources": {"crew": {"capacity": 2, "max_capacity": 4}},
        "containers": {"tank": {"capacity": 20, "level": 8}},
        "stores": {"shelf": {"capacity": 4}, "pile": {"discipline": "lifo"}, "urgent": {"discipline": "priority", "items": [3]}},
        "arrivals": {
            "makers": {"interarrival": {"exponential": {"rate": 0.4}}, "flow": "maker", "attributes": {"size": 2}},
            "takers": {"interarrival": {"normal": {"mean": 3, "sd": 1, "min": 0.5}}, "flow": "taker"},
            "guards": {"interarrival": {"constant": 8}, "flow": "guard"},
        },
        "flows": {
            "maker": [
                {"seize": {"resource": "crew", "units": 1}},
                {"put": {"container": "tank", "amount": "entity.size * 2", "patience": 6, "on_renege": "leave"}},
                {"put": {"store": "shelf", "item": {"of": "entity.id"}}},
                {"put": {"store": "urgent", "item": "entity.id", "priority": "0 - entity.id"}},
                {"leave": {"release": {"resource": "crew"}}},
                {"set": {"variables.seen": "variables.seen + 1", "entity.colour": "'red'"}},
                {"put": {"store": "pile", "item": "entity.id"}},
            ],
            "taker": [
                {"get": {"container": "tank", "amount": 5, "patience": {"exponential": {"mean": 9}}, "on_renege": "end"}},
                {"get": {"store": "shelf", "where": "item.of > 1", "as": "part", "patience": 4, "on_renege": "next"}},
                {"get": {"store": "urgent"}},
                {"emit": {"kind": "taken", "payload": {"item": "entity.item", "seen": "variables.seen"}}},
            ],
            "guard": [
                {"wait_for": {"when": "variables.gate == 'open'", "timeout": 12, "on_timeout": "ring"}},
                {"wait_for": {"change": "resources.crew.capacity", "timeout": 5}},
                {"go": "end"},
                {"ring": {"wait_for": {"signal": "relief", "timeout": 20, "on_timeout": "end"}}},
                {"emit": {"kind": "relieved"}},
            ],
        },
    }


def families(twin: str = "Cell_C") -> Document:
    """Entities that make, wake, interrupt, gather and take apart others; loops and second attempts."""
    return {
        "twin": twin,
        "seed": 99,
        "variables": {"good": 0},
        "resources": {"bench": {"capacity": 2}},
        "arrivals": {
            "kits": {"interarrival": {"exponential": {"mean": 3}}, "flow": "kit"},
            "parts": {
                "interarrival": {"exponential": {"mean": 1.2}},
                "flow": "part",
                "attributes": {"kind": {"choice": {"values": ["frame", "wheel"], "weights": [1, 2]}}},
            },
            "bells": {"interarrival": {"constant": 6.5}, "flow": "bell"},
        },
        "flows": {
            "kit": [
                {"loop": {"times": 2, "do": [{"process": {"resource": "bench", "for": {"uniform": {"low": 0.2, "high": 0.9}}}}]}},
                {
                    "retry": {
                        "do": [{"set": {"variables.good": "variables.good + 1"}}],
                        "until": "variables.good % 3 == 0",
                        "wait": 0.4,
                    }
                },
                {"spawn": {"flow": "leaf", "count": 2, "attributes": {"of": "entity.id"}, "wait": True}},
                {"batch": {"size": 3, "timeout": 7}},
                {"delay": 0.5},
                {"split": {}},
                {"emit": "kit-done"},
            ],
            "leaf": [{"delay": {"for": {"exponential": {"mean": 2}}, "on_interrupt": "end"}}],
            "part": [
                {"assemble": {"needs": {"frame": 1, "wheel": 2}, "kind": "entity.kind"}},
                {"split": {"into": 2}},
                {"delay": "0.3 + entity.part"},
                {"join": {}},
                {"emit": {"kind": "cart-done", "payload": {"at": "now"}}},
            ],
            "bell": [
                {"signal": {"name": "bell", "payload": {"by": "entity.id"}}},
                {"interrupt": {"flow": "leaf", "where": "entity.of % 2 == 0"}},
                {
                    "wait_any": [
                        {"signal": "bell", "go": "next"},
                        {"after": 9, "go": "end"},
                        {"change": "variables.good", "go": "end"},
                    ]
                },
                {"emit": "rung"},
            ],
        },
    }


def failures(twin: str = "Cell_D") -> Document:
    """Tries that fail and are tried again, with what they hold; entities that fail for good."""
    torn = {"fail": {"reason": "torn", "when": "entity.hard", "probability": "variables.share"}}
    attempt = [
        {"seize": "bench"},
        {"loop": {"times": 2, "do": [{"delay": {"uniform": {"low": 0.2, "high": 0.9}}}, torn]}},
        {"release": "bench"},
    ]
    return {
        "twin": twin,
        "seed": 5,
        "variables": {"share": 0.3},
        "resources": {"bench": {"capacity": 2}, "tool": {"capacity": 3}},
        "arrivals": {
            "jobs": {
                "interarrival": {"exponential": {"mean": 0.8}},
                "flow": "job",
                "attributes": {"hard": {"choice": {"values": [True, False], "weights": [3, 1]}}},
            }
        },
        "flows": {
            "job": [
                {"seize": "tool"},
                {"retry": {"do": [{"retry": {"do": attempt, "times": 2}}], "times": 2, "wait": 0.5, "on_give_up": "scrap"}},
                {"fail": {"reason": "not inspected", "probability": 0.1}},
                {"emit": "made"},
            ],
            "scrap": [{"delay": 0.1}, {"fail": "scrapped"}],
        },
    }


def _failures(log: Log) -> None:
    log.write("Cell_D", {"kind": "register", "blueprint": failures()}, 0.0)
    log.write("Cell_D", {"kind": "set", "path": "variables.share", "value": 0.7}, 8.0)
    log.write("Cell_D", {"kind": "spawn", "flow": "job", "attributes": {"hard": True}}, 12.0)


def _families(log: Log) -> None:
    log.write("Cell_C", {"kind": "register", "blueprint": families()}, 0.0)
    log.write("Cell_C", {"kind": "set", "path": "resources.bench.capacity", "value": 1}, 8.0)
    log.write("Cell_C", {"kind": "spawn", "flow": "kit"}, 12.0)


def _line(log: Log) -> None:
    log.write("Line_A", {"kind": "register", "blueprint": machines(), "id": "first"}, 0.0)
    log.write("Line_A", {"path_id": "Line_A.resources.b.current_cap", "value": 0}, 6.2)
    log.write("Line_A", {"kind": "set", "path": "resources.a.capacity", "value": 3}, 9.5)
    log.write("Line_A", {"kind": "patch", "changes": {"resources.b.capacity": 2, "variables.mode": "bypass"}, "at": 13.0}, 10.0)
    log.write("Line_A", {"kind": "set", "path": "arrivals.orders.mean", "value": 0.9}, 15.0)
    log.write("Line_A", {"kind": "spawn", "flow": "make", "attributes": {"priority": 0}}, 16.5)
    log.write("Line_A", {"kind": "set", "path": "variables.mode", "value": "auto", "if_version": 1}, 21.0)
    log.write("Line_A", {"kind": "set", "path": "resources.c.capacity", "value": 1}, 24.0)


def _stocks(log: Log) -> None:
    log.write("Plant_B", {"kind": "register", "blueprint": stocks()}, 0.0)
    log.write("Plant_B", {"kind": "set", "path": "containers.tank.level", "value": 18.0}, 20.0)
    log.write("Plant_B", {"kind": "set", "path": "stores.shelf.capacity", "value": 6}, 30.0)
    log.write("Plant_B", {"kind": "signal", "name": "relief"}, 57.0)
    log.write("Plant_B", {"kind": "patch", "changes": {"variables.gate": "open", "resources.crew.capacity": 4}}, 70.0)
    log.write("Plant_B", {"kind": "set", "path": "containers.tank.capacity", "value": 12.5}, 81.0)


def _commands(log: Log) -> None:
    """What is refused, late, scheduled, repeated, removed and registered anew; a twin that fails; a twin in event time."""
    small = {"twin": "Small", "seed": 1, "resources": {"m": {"capacity": 1, "max_capacity": 2}}, "flows": {"f": []}}
    small["flows"] = {"f": [{"process": {"resource": "m", "for": {"exponential": {"mean": 2.0}}}}]}
    small["arrivals"] = {"x": {"interarrival": {"constant": 1.5}, "flow": "f"}}
    loop = {
        "twin": "Loop",
        "limits": {"steps_per_instant": 200},
        "flows": {"f": [{"again": {"set": {"entity.n": 1}}}, {"go": "again"}]},
    }
    events = {"twin": "Slow", "time": {"mode": "event", "unit": "hours"}, "seed": 3} | {
        key: small[key] for key in ("resources", "flows", "arrivals")
    }
    log.write("Small", {"kind": "register", "blueprint": small}, 0.0)
    log.write("Loop", {"kind": "register", "blueprint": loop}, 0.5)
    log.write("Slow", {"kind": "register", "blueprint": events}, 0.6)
    for value in (b"nonsense \xff", b"{}", None, {"kind": "set", "path": "resources.m.capacity", "value": 9}):
        log.write("Small", value, 2.0)
    log.write("Small", {"kind": "set", "path": "resources.m.capacity", "value": 2, "at": 8.0}, 2.5)
    log.write("Small", {"kind": "set", "path": "resources.m.capacity", "value": 1, "at": 1.0}, 3.0)
    log.write("Small", {"kind": "set", "path": "resources.m.capacity", "value": 0, "at": 9.0, "if_version": 1}, 3.5)
    log.write("Loop", {"kind": "spawn", "flow": "f"}, 4.0)
    log.write("Loop", {"kind": "spawn", "flow": "f"}, 5.0)
    log.write("Slow", {"kind": "advance", "at": 6.0}, 6.0)
    log.write("Small", {"kind": "register", "blueprint": small}, 7.0)
    log.write("Small", {"kind": "register", "blueprint": small | {"seed": 2}, "replace": True, "discard_work": True}, 11.0)
    log.write("Slow", {"kind": "set", "path": "resources.m.capacity", "value": 2}, 12.0)
    log.write("Small", {"kind": "remove", "discard_work": True}, 15.0)
    log.write("Small", {"kind": "set", "path": "resources.m.capacity", "value": 2}, 15.5)
    log.write("Small", {"kind": "register", "blueprint": small}, 17.0)


def _observations(log: Log) -> None:
    log.write("Line_A", {"kind": "register", "blueprint": machines()}, 0.0)
    log.write("Plant_B", {"kind": "register", "blueprint": stocks()}, 0.1)
    log.write("Line_A", {"kind": "observe", "queues": {"a": 4}, "attributes": {"priority": 1}}, 6.0)
    log.write("Line_A", {"kind": "observe", "queues": {"a": 1}, "finished": ["2"], "steps": {"3": "make.2", "1": "make.0"}}, 9.5)
    log.write("Line_A", {"kind": "observe", "steps": {"99": "make.0"}}, 10.0)
    log.write("Plant_B", {"kind": "observe", "levels": {"tank": 9.5}, "items": {"shelf": [3, 1]}}, 12.0)
    log.write("Plant_B", {"kind": "observe", "levels": {"shelf": 0}}, 20.0)


def _migrations(log: Log) -> None:
    """Two twins go on under new blueprints: with a step in front, other disciplines, moves, a flow of another name."""
    log.write("Line_A", {"kind": "register", "blueprint": machines()}, 0.0)
    log.write("Plant_B", {"kind": "register", "blueprint": stocks()}, 0.0)
    log.write("Line_A", {"path": "resources.a.capacity", "value": 2}, 4.0)
    log.write("Line_A", {"path": "resources.a.capacity", "value": 3, "at": 20.0}, 5.0)
    line = machines()
    line["flows"]["make"].insert(0, {"emit": {"kind": "order-seen"}})
    line["flows"]["make"][6] = {"finish": {"delay": 0.5}}
    line["flows"]["lost"] = line["flows"].pop("give_up")
    line["flows"]["make"][1]["process"] |= {"on_renege": "lost", "on_balk": "lost"}
    line["resources"]["a"]["discipline"] = "priority"
    line["resources"]["b"]["capacity"] = 2
    del line["resources"]["c"]["maintenance"]
    line["variables"]["shift"] = 1
    line["schedules"] = {"nights": {"every": 6, "steps": [{"at": 1, "set": {"variables.shift": 2}}]}}
    moves = {"make.finish": "make.finish", "give_up": "lost"}
    again = {"kind": "register", "replace": True, "keep_work": True}
    log.write("Line_A", {**again, "blueprint": line | {"time": {"unit": "hours"}}}, 9.0)
    log.write("Line_A", {**again, "blueprint": line, "moves": moves, "id": "second"}, 12.3)
    plant = stocks()
    plant["time"]["factor"] = 0.1
    plant["containers"]["tank"]["capacity"] = 30
    plant["stores"]["shelf"]["discipline"] = "lifo"
    log.write("Plant_B", {**again, "blueprint": plant}, 14.0)
    log.write("Line_A", {**again, "blueprint": machines(), "moves": {"lost": "give_up"}}, 18.0)


STORIES = {
    "migrations": (_migrations, 26.0),
    "observations": (_observations, 26.0),
    "line": (_line, 30.0),
    "stocks": (_stocks, 90.0),
    "families": (_families, 22.0),
    "failures": (_failures, 22.0),
    "commands": (_commands, 22.0),
}
"""Name -> what is written to the config topic, and the wall time (seconds after the start) at which the story ends."""
