"""Random small blueprints and command sequences, for the property test of exactness."""

from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from models.commands import Observe

RESOURCES = ("m", "n")

times = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
"""Few different values, so that ties are frequent."""

spans = st.one_of(
    times,
    st.just("entity.size"),
    st.builds(lambda mean: {"exponential": {"mean": mean}}, st.sampled_from([0.5, 1.0, 2.0])),
    st.builds(lambda low: {"uniform": {"low": low, "high": low + 1}}, times),
    st.just({"normal": {"mean": 1.0, "sd": 0.5, "min": 0}}),
    st.just({"choice": {"values": [1, 2, 2.5]}}),
)

resource_names = st.sampled_from(RESOURCES)


@st.composite
def asking(draw: st.DrawFn) -> dict[str, Any]:
    body: dict[str, Any] = {"resource": draw(resource_names)}
    if draw(st.booleans()):
        body["priority"] = draw(st.sampled_from([0, 1, 5, "entity.size"]))
    if draw(st.integers(0, 3)) == 0:
        body["units"] = draw(st.integers(1, 2))
    if draw(st.integers(0, 2)) == 0:
        body["patience"] = draw(spans)
    return body


_FAILS = {"fail": {"reason": "torn", "probability": 0.4}}

steps = st.one_of(
    st.builds(
        lambda body, span, rule: {"process": {**body, "for": span, "on_interrupt": rule}},
        asking(),
        spans,
        st.sampled_from(["resume", "restart", "abandon"]),
    ),
    st.builds(lambda body, name: {"process": {**body, "service": name}}, asking(), st.sampled_from(["s", "c"])),
    st.builds(lambda body: {"seize": body}, asking()),
    st.builds(lambda name: {"release": name}, resource_names),
    st.builds(lambda span: {"delay": span}, spans),
    st.just({"branch": [{"when": "entity.size > 1.5", "go": "end"}]}),
    st.just({"branch": [{"weight": 0.3, "go": "other"}, {"go": "next"}]}),
    st.just({"emit": {"kind": "seen", "payload": {"at": "now", "size": "entity.size"}}}),
    st.just({"set": {"variables.count": "variables.count + 1"}}),
    st.just({"set": {"entity.size": "1 / (variables.count - 2)"}}),
    st.just({"wait_for": {"when": "variables.count > 3", "timeout": 4}}),
    st.just({"wait_for": {"when": "resources.m.queue == 0"}}),
    st.just({"wait_for": {"change": "variables.mode", "timeout": 2.5, "on_timeout": "other"}}),
    st.builds(
        lambda verb, amount, patience: {verb: {"container": "tank", "amount": amount, "patience": patience}},
        st.sampled_from(["put", "get"]),
        st.sampled_from([1, 2.5, 4]),
        spans,
    ),
    st.just({"put": {"store": "shelf", "item": "entity.size", "priority": "entity.size"}}),
    st.just({"get": {"store": "shelf", "patience": 2}}),
    st.just({"get": {"store": "shelf", "where": "item > 1", "patience": 3}}),
    st.just({"wait_for": {"signal": "go", "timeout": 3}}),
    st.just({"loop": {"times": 2, "do": [{"delay": 0.5}, {"process": {"resource": "m", "service": "s"}}]}}),
    st.just({"retry": {"do": [{"delay": 1}], "until": "variables.count > 2", "times": 2, "wait": 0.5}}),
    st.builds(lambda share: {"fail": {"reason": "torn", "probability": share}}, st.sampled_from([0.3, "entity.size / 2"])),
    st.builds(
        lambda ends, body: {
            "retry": {
                "do": [{"seize": body}, {"loop": {"times": 2, "do": [{"delay": 0.5}, _FAILS]}}, {"release": body["resource"]}],
                "times": 2,
                "wait": 0.5,
                **ends,
            }
        },
        st.sampled_from([{}, {"on_give_up": "other"}, {"until": "variables.count > 2"}]),
        asking(),
    ),
    st.just({"spawn": {"flow": "leaf", "count": 2, "wait": True}}),
    st.just({"spawn": "leaf"}),
    st.just({"signal": "go"}),
    st.just({"wait_any": [{"signal": "go", "go": "next"}, {"after": 2, "go": "end"}, {"change": "variables.count"}]}),
    st.just({"batch": {"size": 2, "timeout": 3}}),
    st.just({"split": {}}),
    st.just({"split": {"into": 2}}),
    st.just({"join": {}}),
    st.just({"interrupt": "leaf"}),
    st.just({"delay": {"for": 2, "on_interrupt": "end"}}),
)


@st.composite
def blueprints(draw: st.DrawFn) -> dict[str, Any]:
    resource = st.fixed_dictionaries(
        {"capacity": st.integers(0, 2), "discipline": st.sampled_from(["priority", "fifo", "lifo", "preemptive"])},
        optional={
            "queue_limit": st.integers(0, 3),
            "breakdown": st.builds(
                lambda mean, policy: {
                    "time_to_failure": {"exponential": {"mean": mean}},
                    "repair": {"constant": 1.0},
                    "policy": policy,
                },
                st.sampled_from([1.0, 4.0]),
                st.sampled_from(["interrupt", "finish"]),
            ),
            "maintenance": st.just({"every": {"constant": 3.0}, "duration": {"constant": 1.0}, "policy": "interrupt"}),
        },
    )
    return {
        "twin": "T",
        "seed": draw(st.integers(0, 5)),
        "variables": {"count": 0, "mode": "auto"},
        "resources": {name: draw(resource) for name in RESOURCES},
        "containers": {"tank": {"capacity": 5, "level": 2}},
        "stores": {"shelf": {"capacity": 2, "discipline": draw(st.sampled_from(["fifo", "lifo", "priority"])), "items": [1]}},
        "services": {"s": {"exponential": {"mean": 1.0}}, "c": {"constant": 1.0}},
        "arrivals": {
            "a": {
                "interarrival": draw(
                    st.sampled_from([{"exponential": {"rate": 0.5}}, {"constant": 1.0}, {"uniform": {"low": 0, "high": 2}}])
                ),
                "flow": "main",
                "limit": 6,
                "attributes": {"size": {"choice": {"values": [1, 2]}}},
                "on_change": draw(st.sampled_from(["redraw", "keep"])),
            }
        },
        "flows": {
            "main": draw(st.lists(steps, min_size=1, max_size=6)),
            "other": draw(st.lists(steps, max_size=2)),
            "leaf": [{"delay": {"for": 1.5, "on_interrupt": "end"}}],
        },
        "time": {"start": "2026-11-20T07:59:57Z"},
        "schedules": draw(
            st.sampled_from(
                [
                    {},
                    {
                        "shift": {
                            "shifts": [{"days": ["fri"], "from": "08:00", "to": "24:00", "set": {"resources.n.capacity": 2}}],
                            "otherwise": {"resources.n.capacity": 0},
                        }
                    },
                ]
            )
        ),
        "watch": {"bottleneck": {"queue": 2, "for": 1.0}, "growing": {"by": 2}, "starving": {"for": 1.0}},
    }


places = st.sampled_from(
    [f"main.{number}" for number in range(6)] + [f"main.{number}.do.0" for number in range(3)] + ["leaf.0", "other.0"]
)


def _says_nothing_twice(seen: dict[str, Any]) -> bool:
    try:
        Observe.model_validate({"twin": "T", **seen})
    except ValidationError:
        return False
    return True


observations = st.builds(
    lambda parts, finished: {
        **{name: value for part in parts for name, value in part.items()},
        **({"finished": finished} if finished else {}),
        "attributes": {"size": 2},
    },
    st.lists(
        st.one_of(
            st.builds(
                lambda name, length, step: {"queues": {name: length}, **({"queue_steps": {name: step}} if step else {})},
                resource_names,
                st.integers(0, 3),
                st.one_of(st.none(), places),
            ),
            st.builds(lambda level: {"levels": {"tank": level}}, st.sampled_from([0.0, 2.0, 7.5])),
            st.builds(lambda items: {"items": {"shelf": items}}, st.lists(st.sampled_from([1, 2]), max_size=3)),
            st.just({"levels": {"shelf": 0}}),
            st.builds(lambda number, step: {"steps": {str(number): step}}, st.integers(1, 6), places),
        ),
        min_size=1,
        max_size=4,
    ),
    st.lists(st.sampled_from(["7", "8", "9"]), unique=True, max_size=2),
).filter(_says_nothing_twice)
"""Entities 1 to 6 are seen at a step, others are seen to have left: nobody both."""

commands = st.one_of(
    st.builds(lambda name, value: ("set", f"resources.{name}.capacity", value), resource_names, st.integers(0, 3)),
    st.builds(lambda value: ("set", "variables.mode", value), st.sampled_from(["auto", "manual"])),
    st.builds(lambda value: ("set", "variables.count", value), st.integers(0, 5)),
    st.builds(
        lambda value: ("patch", {"services.s.mean": value, "services.c.constant": value}), st.sampled_from([0.5, 2.0, -1.0])
    ),
    st.just(("spawn", "main", {"size": 1.0})),
    st.just(("spawn", "other")),
    st.builds(lambda value: ("set", "containers.tank.level", value), st.sampled_from([0.0, 3.0, 9.0])),
    st.builds(lambda value: ("set", "containers.tank.capacity", value), st.sampled_from([1.0, 8.0])),
    st.builds(lambda value: ("set", "stores.shelf.capacity", value), st.integers(0, 3)),
    st.just(("signal", "go", {"by": "x"})),
    st.builds(lambda seen: ("observe", seen), observations),
)


@st.composite
def scripts(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    pairs = draw(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0]), commands), max_size=6))
    return [(at, *command) for at, command in sorted(pairs, key=lambda pair: pair[0])]
