"""Visits, loads, bottleneck and limit from blueprints; whatever is not taken into account is listed."""

from __future__ import annotations

import pytest

from models.errors import TwinError
from models.load import load_blueprint
from twin_app.analysis import Explanation, explain
from twin_app.analysis import routes as routes_room
from twin_app.analysis.stations import Station

HEAD = "twin: T\ntime: {unit: minutes}\n"


def explained(flow: str, *, resources: str = "r: {}", more: str = "", arrival: str = "exponential: {mean: 10}") -> Explanation:
    other = "  other:\n    - process: {resource: r, for: 2}\n"
    arrivals = f"arrivals: {{jobs: {{interarrival: {{{arrival}}}, flow: make}}}}"
    text = f"{HEAD}resources: {{{resources}}}\n{arrivals}\n{more}\nflows:\n{other}  make:\n"
    return explain(load_blueprint(text + "".join(f"    {line}\n" for line in flow.strip().splitlines())))


def station(found: Explanation, name: str = "r") -> Station:
    return next(one for one in found.stations if one.resource == name)


def noted(found: Explanation, words: str) -> bool:
    return any(words in note.what for note in found.notes)


PROCESS = "- process: {resource: r, for: 2}"


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        (PROCESS, 1.0),
        (f"- branch: [{{weight: 0.25, go: end}}]\n{PROCESS}", 0.0),  # one arm, its weight is all
        (f"- branch: [{{weight: 0.25, go: end}}, {{go: next}}]\n{PROCESS}", 0.75),
        (f"- branch: [{{weight: 1, do: [{{delay: 1}}]}}, {{weight: 3, go: end}}]\n{PROCESS}", 0.25),
        (PROCESS.replace("- ", "- again: {") + "}\n- branch: [{weight: 0.2, go: again}, {go: next}]", 1.25),
        (f"- loop: {{times: 3, do: [{{{PROCESS[2:]}}}]}}", 3.0),
        ("- spawn: {flow: other, count: 2}", 2.0),
        (f"- batch: {{size: 4}}\n{PROCESS}", 0.25),
        (f"- batch: {{size: 4}}\n- split: {{}}\n{PROCESS}", 1.0),
        (f"- split: {{into: 3}}\n{PROCESS}\n- join: {{}}\n{PROCESS}", 4.0),
        (f"- branch: [{{when: variables.fast > 1, go: end}}]\n{PROCESS}", 1.0),
    ],
)
def test_visits_are_those_of_the_routes(flow: str, expected: float) -> None:
    found = explained(flow, more="variables: {fast: 0}")
    [one, *_] = found.flows
    assert one.visits is not None
    assert one.visits.get("r", 0.0) == pytest.approx(expected)
    assert station(found).load == pytest.approx(expected * 2 / 10)


def test_a_condition_on_the_state_is_never_taken_for_known() -> None:
    found = explained(f"- branch: [{{when: entity.id > 5, go: end}}]\n{PROCESS}")
    assert station(found).load == pytest.approx(0.1)
    assert noted(found, "`entity.id > 5` holds is not known: an equal share for each of 2 ways")
    branch = f"- branch: [{{when: variables.fast > 1, go: end}}]\n{PROCESS}"
    moving = explained(f"- set: {{variables.fast: '2'}}\n{branch}", more="variables: {fast: 0}")
    assert noted(moving, "holds is not known")
    decided = explained(branch, more="variables: {fast: 0}")
    assert noted(decided, "`variables.fast > 1` is taken as false")


def test_a_unit_held_over_several_steps_is_held_for_all_of_them() -> None:
    flow = "- seize: r\n- delay: {exponential: {mean: 2}}\n- branch: [{weight: 0.5, do: [{delay: 4}]}, {go: next}]\n- release: r"
    found = station(explained(flow))
    assert found.service_mean == pytest.approx(4.0)
    assert found.service_scv == pytest.approx((4.0 + 4.0) / 16.0)  # 2² of the exponential, 4²·¼ of the branch
    assert noted(explained(flow), "while the unit is held")


def test_an_overload_is_named_with_its_growth() -> None:
    found = explained("- process: {resource: r, for: 13}")
    assert station(found).state == "overloaded"
    assert station(found).wait_mean is None
    assert "r needs 1.3 of 1 units: the queue grows by 1.38/h." in found.sentence()  # 6/h come, 60/13 are served
    assert found.limit_rate == pytest.approx(1 / 13)


def test_a_closed_resource_is_no_bottleneck_with_a_figure() -> None:
    found = explained(PROCESS, resources="r: {capacity: 0}")
    assert station(found).state == "closed"
    assert found.limit_rate is None
    assert "r is closed (capacity 0): the queue grows by 6/h." in found.sentence()


def test_breakdowns_take_their_share() -> None:
    broken = "r: {breakdown: {time_to_failure: {exponential: {mean: 90}}, repair: {exponential: {mean: 10}}}}"
    found = explained("- process: {resource: r, for: 9.5}", resources=broken)
    assert station(found).availability == pytest.approx(0.9)
    assert station(found).state == "overloaded"  # 0.95 of the time is asked for, 0.9 is there
    assert noted(found, "availability 0.900")


@pytest.mark.parametrize(
    ("flow", "resources", "more", "words"),
    [
        (PROCESS, "r: {discipline: preemptive}", "", "preemption is not"),
        (PROCESS, "r: {queue_limit: 3}", "", "queue's limit"),
        ("- process: {resource: r, for: 1, patience: 5}", "r: {}", "", "patience"),
        ("- process: {resource: r, for: entity.size}", "r: {}", "", "`entity.size` is not known"),
        ("- process: {resource: r, for: 1, units: entity.size}", "r: {}", "", "how many units"),
        (f"{PROCESS}\n- process: {{resource: r, for: 1, units: 2}}", "r: {capacity: 4}", "", "different numbers"),
        ("- put: {container: c}", "r: {}", "containers: {c: {capacity: 5}}", "container or store"),
        ("- get: {store: c}", "r: {}", "stores: {c: {}}", "container or store"),
        ("- wait_for: {signal: go}", "r: {}", "", "not known: taken as 0"),
        ("- wait_any: [{signal: go}, {after: 3, go: end}]", "r: {}", "", "equal share for each of 2 ways"),
        ("- loop: {while: entity.id > 3, do: [{delay: 1}]}", "r: {}", "", "goes round"),
        ("- retry: {until: entity.id > 3, do: [{delay: 1}]}", "r: {}", "", "tried again"),
        ("- fail: {reason: torn, probability: entity.share}", "r: {}", "", "how often it fails"),
        (PROCESS, "r: {}", "schedules: {s: {steps: [{at: 5, set: {resources.r.capacity: 2}}]}}", "changes over time"),
        (PROCESS, "r: {}", "machines: {m: {initial: a, states: {a: {}}}}", "state machines"),
        ("- again: {delay: 1}\n- go: again", "r: {}", "", "never leave"),
        ("- spawn: {flow: make, count: 2}", "r: {}", "", "never leave"),
    ],
)  # fmt: skip
def test_nothing_is_left_out_in_silence(flow: str, resources: str, more: str, words: str) -> None:
    assert noted(explained(flow, resources=resources, more=more), words)


def test_a_plain_queue_has_nothing_to_note() -> None:
    found = explained("- process: {resource: r, for: {exponential: {mean: 5}}}")
    assert found.notes == ()
    assert station(found).queue_mean == pytest.approx(0.5)  # rho²/(1 - rho)
    assert found.flows[0].time_mean == pytest.approx(10.0)  # 1/(mu - lambda)


def test_a_blueprint_without_arrivals_is_told_so() -> None:
    found = explain(load_blueprint(f"{HEAD}resources: {{r: {{}}}}\nflows: {{make: [{{process: {{resource: r, for: 1}}}}]}}\n"))
    assert "nothing to compute" in found.sentence()
    assert noted(found, "nothing comes by itself")


def test_more_steps_than_can_be_solved_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_room, "NODES_MAX", 2)
    with pytest.raises(TwinError, match="too-large"):
        explained("- delay: 1\n- delay: 1\n- delay: 1")


def test_a_unit_held_for_more_steps_than_can_be_solved_is_said_to_be_unknown() -> None:
    found = explained("- seize: r\n" + "- delay: 1\n" * 201 + "- release: r")
    assert station(found).state == "unknown"
    assert noted(found, "a time for which it is held is not known")
    assert "is not known from the blueprint alone" in found.sentence()
