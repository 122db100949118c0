"""All faults of a blueprint are told at once: of its shape, and of names and expressions, each with its place and a remedy."""

import pytest

from models.blueprint import Arrival, Blueprint, Resource, Time
from models.check import NEAREST_MAX, every_step
from models.errors import BlueprintError
from models.load import FAULTS_MAX, load_blueprint

FAULTY = """\
twin: T
extra: 1
resources:
  mill: {capacity: -1}
  saw: {capcity: 2}
  drill: {discipline: fifi}
services:
  milling: {exponental: {mean: 1}}
  sawing: {constant: 2}
arrivals:
  orders: {interarrival: {constant: 1}, flow: mak, limits: 3}
flows:
  make:
    - first: {proces: {resource: mill, for: 1}}
    - loop:
        times: 2
        do:
          - inner: {delay: "now +"}
          - delay: {forr: 1}
    - process: {resource: mil, service: sawng}
    - process: {resource: saw, for: "services.milling.mean"}
    - go: frst
    - go: inner
"""

EXPECTED = [
    ("2:1", "unknown-field", None),
    ("4:10", "greater-than-equal", None),
    ("5:9", "unknown-field", "did you mean `capacity`?"),
    ("6:11", "literal-error", "did you mean `fifo`?"),
    ("8:3", "unknown-distribution", "did you mean `exponential`?"),
    ("11:41", "unknown-flow", "did you mean `make`?"),
    ("11:52", "unknown-field", "did you mean `limit`?"),
    ("14:7", "unknown-step", "did you mean `process`?"),
    ("18:21", "bad-expression", None),
    ("19:21", "unknown-field", "did you mean `for`?"),
    ("20:17", "unknown-resource", "did you mean `mill`?"),
    ("20:32", "unknown-service", "did you mean `sawing`?"),
    ("22:7", "unknown-target", "did you mean `first`?"),
]


def test_form_and_names_are_told_together_in_the_order_of_the_text():
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(FAULTY, source="line.yaml")
    told = [(fault.place, fault.code, fault.remedy) for fault in caught.value.errors]
    assert told == [(f"line.yaml:{place}", code, remedy) for place, code, remedy in EXPECTED]


@pytest.mark.parametrize(
    "broken",
    [
        "services: {s: {exponental: {mean: 1}}}",  # what it has is not known
        "resources: {m: {capacity: -1}, s: 5}",
        "machines: {s: {initial: 5}}",
        "arrivals: {s: {flow: f, trace: []}}",
        "variables: {'bad name': 1, s: 2}",
        "schedules: {s: 5}",
        "extra: {s: 1}",
        "time: {unit: eons, start: 2026-11-20T12:00:00Z}",
    ],
)
def test_nothing_is_said_about_names_that_a_misshapen_part_may_have_meant(broken: str):
    text = f"""
twin: T
{broken}
flows:
  f:
    - delay: "services.s.mean + machines.s.state + arrivals.s.rate + variables.s + resources.s.busy"
    - go: nowhere
    - retry: {{do: [{{lost: {{delay: {{forr: 1}}}}}}], until: "true", times: no}}
    - go: lost
"""
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(text)
    codes = [fault.code for fault in caught.value.errors]
    assert codes.count("unknown-target") == 1
    assert [fault.message for fault in caught.value.errors if "`lost`" in fault.message] == []


def test_a_flood_of_faults_is_counted_not_listed():
    """The first faults in full, the nearest name to the first of them, and how many more there are."""
    text = "twin: T\nservices:\n" + "".join(f"  s{number}: {{constnt: 1}}\n" for number in range(150))
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(text)
    *told, more = caught.value.errors
    assert [fault.code for fault in told] == ["unknown-distribution"] * FAULTS_MAX
    assert [fault.remedy for fault in told].count("did you mean `constant`?") == NEAREST_MAX
    assert (more.code, more.message, more.place) == ("more-faults", "and 50 faults more", "<string>")


def test_a_csv_that_cannot_be_read_does_not_hide_the_rest():
    text = "twin: T\narrivals: {a: {csv: x.csv, flow: f}}\nflows: {g: [{dely: 1}]}\n"
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(text, read=lambda name: "no,such\n1,2\n")
    assert [(fault.place, fault.code) for fault in caught.value.errors] == [
        ("<string>:2:16", "bad-csv"),
        ("<string>:2:28", "unknown-flow"),
        ("<string>:3:13", "unknown-step"),
    ]


def test_a_blueprint_in_python_is_the_one_in_yaml():
    """The same classes are the contract and the builder: what is written in Python is checked and run as the text is."""
    built = Blueprint(
        twin="T",
        time=Time(unit="minutes"),
        resources={"m": Resource(capacity=2, discipline="fifo")},
        services={"s": {"exponential": {"mean": 3.0}}},  # type: ignore[dict-item]  # plain mappings are taken, too
        arrivals={"a": Arrival(interarrival={"constant": 1.0}, flow="f")},  # type: ignore[arg-type]
        flows={"f": [{"process": {"resource": "m", "service": "s"}}, {"loop": {"times": 2, "do": [{"delay": 1}]}}]},  # type: ignore[list-item]
    )
    written = load_blueprint(
        """
twin: T
time: {unit: minutes}
resources: {m: {capacity: 2, discipline: fifo}}
services: {s: {exponential: {mean: 3.0}}}
arrivals: {a: {interarrival: {constant: 1.0}, flow: f}}
flows: {f: [{process: {resource: m, service: s}}, {loop: {times: 2, do: [{delay: 1}]}}]}
"""
    )
    assert built == written
    assert [step.verb for step in every_step(built.flows.values())] == ["process", "loop", "delay"]
    with pytest.raises(ValueError, match="there is no flow `g`"):
        Blueprint(twin="T", arrivals={"a": Arrival(interarrival={"constant": 1.0}, flow="g")})  # type: ignore[arg-type]


QUESTIONS = """\
twin: T
variables: {mode: bypass, stock: 1}
resources: {mill: {}}
arrivals: {orders: {interarrival: {constant: 1}, flow: make, attributes: {customer: 1, due: "now + 9"}}}
flows: {make: [{process: {resource: mill, for: 1}}]}
questions:
  a: {bottleneck: mil, within: 9, above: 0.5}
  b: {quantity: resources.mill.que, at_least: 1, within: 9, above: 0.5}
  c: {quantity: variables.mode, at_least: 1, within: 9, above: 0.5}
  d: {late: {where: {custommer: 2}}, above: 0.5}
  e: {late: {where: {brought_by_a_command: 2}}, above: 0.5}
  f: {bottleneck: anywhere, within: 9, above: 0.5}
"""


def test_what_a_question_asks_about_is_never_found_missing_by_a_forecast():
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(QUESTIONS, source="t.yaml")
    watch = "say it in `watch.bottleneck`"
    assert [(fault.place, fault.code, fault.remedy) for fault in caught.value.errors] == [
        ("t.yaml:7:7", "unknown-resource", "did you mean `mill`?"),
        ("t.yaml:7:7", "no-watch", watch),
        ("t.yaml:8:7", "unknown-quantity", "did you mean `resources.mill.queue`?"),
        ("t.yaml:9:7", "unknown-quantity", "did you mean `variables.stock`?"),
        ("t.yaml:10:22", "unknown-attribute", "did you mean `customer`?"),
        ("t.yaml:12:7", "no-watch", watch),
    ]


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("{late: {}, above: 30}", "less-than-equal"),
        ("{late: {}, above: 0}", "greater-than-equal"),
        ("{late: {}}", "missing-field"),
        ("{late: {}, bottleneck: mill, within: 1, above: 0.5}", "one-question"),
        ("{above: 0.5}", "one-question"),
        ("{quantity: wip, within: 1, above: 0.5}", "one-level"),
        ("{quantity: wip, at_least: 1, at_most: 0, within: 1, above: 0.5}", "one-level"),
        ("{late: {}, at_least: 1, above: 0.5}", "one-level"),
        ("{quantity: wip, at_least: 1, above: 0.5}", "no-window"),
        ("{quantity: wip, at_least: 1, within: 0, above: 0.5}", "greater-than"),
    ],
)
def test_a_question_that_nobody_can_answer_is_refused(question: str, code: str):
    with pytest.raises(BlueprintError) as caught:
        load_blueprint(f"twin: T\nquestions:\n  q: {question}\n", source="t.yaml")
    [fault] = caught.value.errors
    assert fault.code == code
    assert fault.place.startswith("t.yaml:3:")
