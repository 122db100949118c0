"""A live twin answers every command, keeps what is scheduled, and comes back from a snapshot as it was."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.blueprint import Blueprint
from models.commands import Advance, Command, Forecast, Observe, Patch, Register, Remove, Set, Signal, Spawn
from models.errors import CheckpointError, Rejected
from models.load import load_blueprint
from tests.switchboard.plants import LINE, line
from twin_app.switchboard import LiveTwin, Source, read_command
from twin_app.switchboard.schedule import PENDING_BYTES_MAX, PENDING_MAX

TWIN = "Line_A"


def source(offset: int) -> Source:
    return Source("twin-config", 0, offset)


def send(live: LiveTwin, sim_time: float, command: Command, offset: int = 1) -> None:
    assert live.advance(sim_time, inclusive=False)
    live.apply(command, effective=live.now, source=source(offset), timestamp=sim_time)


def set_b(value: Any, **fields: Any) -> Set:
    return Set(twin=TWIN, path="resources.b.capacity", value=value, **fields)


def changes_of(live: LiveTwin) -> list[tuple]:
    return [(e.sim_time, e.payload["path"], e.payload["new"], e.cause) for e in live.drain() if e.kind == "parameter-changed"]


def refused(live: LiveTwin, command: Command) -> Rejected:
    live.advance(live.now)
    before = live.state_hash()
    with pytest.raises(Rejected) as caught:
        live.apply(command, effective=live.now, source=source(9))
    assert live.state_hash() == before
    return caught.value


def test_registration_is_not_silent():
    live = LiveTwin.register(line(), source=source(0), command_id="r-1")
    [event] = live.drain()
    assert (event.seq, event.kind, event.cause) == (1, "twin-registered", source(0))
    assert event.payload["command"] == "r-1"
    assert len(event.payload["blueprint_hash"]) == 32


def test_paths_do_not_differ_between_board_and_kernel():
    live = LiveTwin.register(line())
    assert list(live.board.parameters) == list(live.twin.parameters())
    assert {path: parameter.value for path, parameter in live.board.parameters.items()} == live.twin.parameters()


def test_an_accepted_command_does_not_go_unanswered():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, set_b(0, id="c-1"), 7)
    [event] = [e for e in live.drain() if e.kind == "parameter-changed"]
    assert event.payload == {"path": "resources.b.capacity", "old": 1, "new": 0, "version": 1, "command": "c-1"}
    assert (event.sim_time, event.cause) == (1.0, source(7))
    assert live.board.mark("resources.b.capacity") == (1, 1.0, source(7))
    assert live.board.value("resources.b.capacity") == 0


def test_setting_the_same_value_does_not_go_unanswered():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, set_b(1))
    [event] = [e for e in live.drain() if e.kind == "parameter-changed"]
    assert (event.payload["old"], event.payload["new"], event.payload["version"]) == (1, 1, 1)


def test_each_path_of_a_patch_does_not_go_unanswered():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, Patch(twin=TWIN, changes={"services.sawing.low": "3", "services.sawing.high": 5}), 7)
    assert changes_of(live) == [(1.0, "services.sawing.low", 3.0, source(7)), (1.0, "services.sawing.high", 5.0, source(7))]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (set_b(4), "out-of-bounds"),
        (set_b(4.5), "wrong-type"),
        (set_b(True), "wrong-type"),
        (set_b(math.nan), "not-finite"),
        (set_b(1, if_version=3), "stale-version"),
        (Set(twin=TWIN, path="resources.x.capacity", value=1), "unknown-path"),
        (Patch(twin=TWIN, changes={"services.sawing.low": 3, "services.sawing.high": 5, "variables.count": 0.5}), "wrong-type"),
        (Patch(twin=TWIN, changes={"services.sawing.high": 5, "services.sawing.low": 6}), "inconsistent"),
        (
            Patch(twin=TWIN, changes={"variables.count": 1, "variables.mode": "x"}, if_version={"variables.mode": 1}),
            "stale-version",
        ),
        (set_b(4, at=100), "out-of-bounds"),
        (Set(twin=TWIN, path="resources.x.capacity", value=1, at=100), "unknown-path"),
        (set_b(1, at=1e15 + 1), "at-out-of-range"),
        (set_b(1, at="9999-01-01T00:00:00Z", id="x"), None),
        (Spawn(twin=TWIN, flow="mak"), "unknown-flow"),
        (Spawn(twin=TWIN, flow="make", attributes={"x": "y" * 100_000}), "value-too-large"),
        (Spawn(twin=TWIN, flow="make", attributes={"x": math.inf}), "not-finite"),
        (Signal(twin=TWIN, name="og"), "unknown-signal"),
        (Signal(twin=TWIN, name="og", at=100), "unknown-signal"),
        (Advance(twin=TWIN), "not-event-mode"),
        (Forecast(twin=TWIN, horizon=1, scenarios={"s": [set_b(9)]}), "out-of-bounds"),
        (Forecast(twin=TWIN, horizon=1, scenarios={"s": [Spawn(twin=TWIN, flow="x")]}), "unknown-flow"),
        (Register(twin=TWIN, blueprint={"twin": TWIN}), "twin-exists"),
        (Register(twin=TWIN, blueprint={"twin": TWIN}, replace=True), "work-in-progress"),
        (Register(twin=TWIN, blueprint={"resources": 3}, replace=True), "bad-blueprint"),
        (Register(twin=TWIN, blueprint={"twin": "Line_B"}), "key-mismatch"),
        (Remove(twin=TWIN), "work-in-progress"),
    ],
    ids=lambda value: f"{value.kind}" if hasattr(value, "kind") else value,
)
def test_a_refused_command_changes_nothing(command, code):
    live = LiveTwin.register(line())
    live.advance(20.0)
    assert live.wip
    if code is None:
        live.apply(command, effective=live.now)
    else:
        assert refused(live, command).code == code
        assert [e.kind for e in live.drain() if e.cause == source(9)] == []


def test_a_future_command_does_not_act_early_nor_late():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, set_b(0, at=5.5, id="c-1"), 7)
    [event] = [e for e in live.drain() if e.cause == source(7)]
    assert (event.kind, event.sim_time) == ("command-scheduled", 1.0)
    assert event.payload == {"command_kind": "set", "at": 5.5, "command": "c-1"}
    assert live.next_time <= 5.5
    live.advance(5.4)
    assert live.board.value("resources.b.capacity") == 1
    live.advance(9.0)
    assert changes_of(live) == [(5.5, "resources.b.capacity", 0, source(7))]


@pytest.mark.parametrize("scheduled", [False, True])
def test_going_on_for_ever_does_not_miss_an_end(scheduled):
    live = LiveTwin.register(Blueprint(twin=TWIN, flows={"make": [{"delay": 2.0}]}, variables={"x": 0}))
    send(live, 0.0, Spawn(twin=TWIN, flow="make"))
    if scheduled:
        send(live, 0.0, Set(twin=TWIN, path="variables.x", value=1, at=5))
    assert live.advance(math.inf)
    assert (live.now, live.wip, live.next_time) == (5.0 if scheduled else 2.0, 0, math.inf)


def test_a_calendar_instant_does_not_mean_another_simulation_time():
    blueprint = load_blueprint(LINE.replace("{unit: minutes}", "{unit: minutes, factor: 0.5, start: 2026-11-22T09:00:00Z}"))
    live = LiveTwin.register(blueprint)
    live.drain()
    send(live, 0.0, set_b(0, at="2026-11-22T09:05:00Z"))
    live.advance(20.0)
    [event] = [e for e in live.drain() if e.kind == "parameter-changed"]
    assert event.sim_time == 10.0  # five minutes of wall time at factor 0.5 are ten of the twin's
    assert event.event_time_us == 1_795_338_300_000_000
    assert live.scale.event_time_us(live.scale.sim_time(1_795_338_300_001)) == 1_795_338_300_001_000


def test_scheduled_commands_do_not_swap():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, set_b(2, at=5), 1)
    send(live, 1.0, set_b(0, at=4), 2)
    send(live, 1.0, set_b(3, at=5), 3)
    send(live, 5.0, set_b(1), 4)
    live.advance(9.0)
    assert [(time, new, cause.offset) for time, _, new, cause in changes_of(live)] == [(4, 0, 2), (5, 2, 1), (5, 3, 3), (5, 1, 4)]


def test_a_late_command_is_not_dropped_and_not_hidden():
    live = LiveTwin.register(line())
    live.advance(10.0)
    live.drain()
    live.apply(set_b(2), effective=10.0, source=source(1), timestamp=8.0)
    live.apply(set_b(3, at=9), effective=10.0, source=source(2), timestamp=10.0)
    live.apply(Spawn(twin=TWIN, flow="gate", at=9), effective=10.0, source=source(3), timestamp=10.0)
    live.apply(set_b(1), effective=10.0, source=source(4), timestamp=10.0)
    answers = {
        e.cause.offset: e
        for e in live.drain()
        if isinstance(e.cause, Source) and e.kind in ("parameter-changed", "entity-created")
    }
    assert [answers[offset].payload.get("late", False) for offset in (1, 2, 3, 4)] == [True, True, True, False]
    assert {e.sim_time for e in answers.values()} == {10.0}


def test_a_scheduled_command_that_fails_at_its_time_is_not_lost():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, set_b(3, at=5, id="c-1"), 1)
    send(live, 2.0, Set(twin=TWIN, path="resources.b.max_capacity", value=2), 2)
    live.advance(9.0)
    [late] = live.drain_rejections()
    assert (late.source, late.rejected.code, late.command.id) == (source(1), "out-of-bounds", "c-1")
    [event] = [e for e in live.drain() if e.kind == "command-rejected"]
    assert (event.sim_time, event.cause, event.payload["code"], event.payload["command"]) == (
        5.0,
        source(1),
        "out-of-bounds",
        "c-1",
    )
    assert live.drain_rejections() == []
    assert live.board.value("resources.b.capacity") == 1


def test_a_version_guard_is_not_checked_too_early():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, set_b(3, at=5, if_version=1), 1)  # only true once the next one has acted
    send(live, 2.0, set_b(2), 2)
    live.advance(9.0)
    assert [new for _, _, new, _ in changes_of(live)] == [2, 3]
    assert refused(live, set_b(1, at=20, if_version=0)).code == "stale-version"


def test_the_schedule_does_not_grow_without_bound():
    live = LiveTwin.register(line())
    for offset in range(PENDING_MAX):
        live.apply(set_b(1, at=1_000 + offset), effective=0.0, source=source(offset))
    assert refused(live, set_b(1, at=5_000)).code == "schedule-full"
    live.advance(1_000.0)
    live.apply(set_b(1, at=5_000), effective=live.now, source=source(1))
    wide = LiveTwin.register(line())
    big = Patch(twin=TWIN, changes={"variables.anything": ["x" * 16_000]}, at=50)
    for _ in range(PENDING_BYTES_MAX // 17_000):
        wide.apply(big, effective=0.0)
    refusals = [_try(wide, big) for _ in range(5)]
    assert refusals[-1] is not None
    assert refusals[-1].code == "schedule-full"
    assert len(wide.schedule) < PENDING_MAX


def _try(live: LiveTwin, command: Command) -> Rejected | None:
    try:
        live.apply(command, effective=live.now)
    except Rejected as rejected:
        return rejected
    return None


def test_an_entity_sent_in_does_not_go_unanswered():
    live = LiveTwin.register(line())
    live.drain()
    send(live, 1.0, Spawn(twin=TWIN, flow="make", attributes={"priority": 3}, id="s"), 7)
    event = next(e for e in live.drain() if e.kind == "entity-created")
    assert (event.cause, event.payload["command"], event.payload["flow"]) == (source(7), "s", "make")


def test_a_signal_does_not_go_unanswered():
    live = LiveTwin.register(line())
    send(live, 1.0, Spawn(twin=TWIN, flow="gate"), 1)
    live.drain()
    send(live, 2.0, Signal(twin=TWIN, name="go", payload={"x": 1}, id="s"), 7)
    events = live.drain()
    event = next(e for e in events if e.kind == "signal-received")
    assert (event.cause, event.payload["command"], event.payload["signal"]) == (source(7), "s", "go")
    live.advance(3.0)
    assert [e.sim_time for e in live.drain() if e.kind == "entity-left" or e.kind == "entity-finished"] == [3.0]


def test_the_same_blueprint_again_does_not_disturb_the_twin():
    live = LiveTwin.register(line())
    live.advance(20.0)
    live.drain()
    wip, draws = live.wip, live.next_time
    plain = line().model_dump(mode="json", by_alias=True)
    live.apply(Register(twin=TWIN, blueprint=plain, replace=True), effective=live.now, source=source(3))
    assert [(e.kind, e.cause) for e in live.drain()] == [("twin-unchanged", source(3))]
    assert (live.wip, live.next_time) == (wip, draws)


def test_replacing_a_blueprint_does_not_reuse_event_ids_nor_lose_work_silently():
    live = LiveTwin.register(line(), epoch_ms=1_000_000)
    send(live, 1.0, set_b(2), 1)
    send(live, 1.0, set_b(0, at=99), 2)
    live.advance(20.0)
    last = live.drain()[-1]
    wip = live.wip
    other = orjson.loads(orjson.dumps(line().model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    other["services"]["milling"] = {"constant": 7.0}
    assert refused(live, Register(twin=TWIN, blueprint=other)).code == "twin-exists"
    assert refused(live, Register(twin=TWIN, blueprint=other, replace=True)).code == "work-in-progress"
    live.apply(Register(twin=TWIN, blueprint=other, replace=True, discard_work=True), effective=live.now, source=source(5))
    [event] = live.drain()
    assert (event.kind, event.seq, event.cause) == ("twin-replaced", last.seq + 1, source(5))
    assert (event.payload["entities_dropped"], event.payload["commands_dropped"]) == (wip, 1)
    assert event.event_time_us == 1_000_000_000 + 20 * 60_000_000
    assert (live.now, live.wip) == (0.0, 0)
    assert live.board.mark("resources.b.capacity").version == 2
    live.advance(20.0)
    seqs = [e.seq for e in live.drain()]
    assert seqs == list(range(event.seq + 1, event.seq + 1 + len(seqs)))
    assert LiveTwin.restore(live.snapshot()).state_hash() == live.state_hash()


def test_asking_other_questions_changes_nothing_else():
    """No work, no value, no version: a twin that is asked goes on as one that is not."""
    asked, plain = LiveTwin.register(line()), LiveTwin.register(line())
    document = orjson.loads(orjson.dumps(line().model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    question = {"quantity": "resources.b.queue", "at_least": 3, "within": 10, "above": 0.5}
    for live in (asked, plain):
        send(live, 1.0, set_b(2), 1)
        send(live, 1.0, set_b(0, at=99), 2)
        live.advance(20.0)
        live.drain()
    for number, questions in enumerate(({"q": question, "r": question}, {"q": question | {"above": 0.7}}), 3):
        register = Register(twin=TWIN, blueprint=document | {"questions": questions}, replace=True)
        asked.apply(register, effective=asked.now, source=source(number))
        [event] = asked.drain()
        assert (event.kind, event.payload["questions"], event.cause) == ("questions-changed", len(questions), source(number))
        assert asked.board.value("questions.q.above") == questions["q"]["above"]
        send(asked, 20.0, Set(twin=TWIN, path="questions.q.above", value=0.6), 10 + number)
        assert asked.board.value("questions.q.above") == 0.6
        asked.drain()
    assert "questions.r.above" not in asked.board.parameters
    assert refused(asked, Set(twin=TWIN, path="questions.q.above", value=1.0)).code == "out-of-bounds"
    assert asked.board.mark("resources.b.capacity") == plain.board.mark("resources.b.capacity")
    asked = LiveTwin.restore(asked.snapshot())
    told = []
    for live in (asked, plain):
        live.advance(200.0)
        told.append([(e.sim_time, e.kind, e.entity, e.payload) for e in live.drain()])
    assert told[0] == told[1]
    assert asked.board.value("questions.q.above") == 0.6


def test_removing_does_not_lose_work_silently():
    live = LiveTwin.register(line())
    live.advance(20.0)
    live.drain()
    wip = live.wip
    live.apply(Remove(twin=TWIN, discard_work=True), effective=live.now, source=source(3))
    [event] = live.drain()
    assert (event.kind, event.payload) == ("twin-removed", {"entities_dropped": wip, "commands_dropped": 0})
    assert live.removed


def test_a_twin_registered_again_does_not_reuse_event_ids():
    live = LiveTwin.register(line(), seq=41)
    assert [e.seq for e in live.drain()] == [42]
    live.advance(20.0)
    events = live.drain()
    assert [e.seq for e in events] == list(range(43, 43 + len(events)))
    assert all(e.cause is None or 42 < e.cause < e.seq for e in events)


def test_event_mode_does_not_refuse_a_heartbeat():
    blueprint = load_blueprint(LINE.replace("{unit: minutes}", "{unit: minutes, mode: event, factor: 0.1}"))
    live = LiveTwin.register(blueprint, epoch_ms=60_000)
    live.drain()
    command = Advance(twin=TWIN, at=4.0)
    effective = live.effective_time(command, 120_000)
    assert effective == 4.0
    live.advance(effective, inclusive=False)
    live.apply(command, effective=effective, source=source(1))
    assert [(e.kind, e.payload, e.cause) for e in live.drain()][-1] == ("time-advanced", {"to": 4.0}, source(1))
    assert live.effective_time(Advance(twin=TWIN), 600_000) == 9.0  # a factor does not stretch the records' own time
    assert live.effective_time(set_b(1, at=99), 60_000) == 4.0


def test_a_command_is_not_applied_at_another_time_than_asked():
    live = LiveTwin.register(line())
    with pytest.raises(ValueError, match="advance to"):
        live.apply(set_b(1), effective=3.0)


def test_changes_by_the_model_do_not_slip_past_a_version_guard():
    text = LINE + "  count:\n    - set: {variables.count: variables.count + 1}\n"
    live = LiveTwin.register(load_blueprint(text))
    live.drain()
    send(live, 1.0, Spawn(twin=TWIN, flow="count"), 1)
    [event] = [e for e in live.drain() if e.kind == "parameter-changed"]
    assert (event.payload["new"], event.payload["version"]) == (4, 1)
    assert isinstance(event.cause, int)
    assert refused(live, Set(twin=TWIN, path="variables.count", value=9, if_version=0)).code == "stale-version"
    assert live.board.mark("variables.count") == (1, 1.0, None)


@pytest.mark.parametrize("if_version", [0, 1, 2])
def test_a_fork_without_events_does_not_decide_otherwise(if_version):
    text = LINE + "  count:\n    - delay: 3\n    - set: {variables.count: variables.count + 1}\n"
    live = LiveTwin.register(load_blueprint(text))
    send(live, 1.0, Spawn(twin=TWIN, flow="count"), 1)
    guarded = Set(twin=TWIN, path="variables.count", value=9, at=20, if_version=if_version)
    send(live, 2.0, guarded, 2)
    fork = LiveTwin.restore(live.snapshot(), events=False)
    live.advance(30.0)
    fork.advance(30.0)
    assert fork.board.value("variables.count") == live.board.value("variables.count") == (9 if if_version == 1 else 4)
    assert fork.drain() == []
    assert len(fork.rejections) == len(live.rejections) == (if_version != 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: None,
        lambda s: [],
        lambda s: {},
        lambda s: s | {"format": 99},
        lambda s: {k: v for k, v in s.items() if k != "board"},
        lambda s: s | {"board": {"variables.nope": [1, 0.0, None]}},
        lambda s: s | {"board": {"variables.count": 3}},
        lambda s: s | {"schedule": {"order": 1, "pending": [[1.0, 1, {"kind": "nope"}, None]]}},
        lambda s: s | {"schedule": {"order": 1, "pending": [[1.0, 1, {"kind": "set"}, None]]}},
        lambda s: s | {"schedule": None},
        lambda s: s | {"scale": 3},
        lambda s: s | {"twin": {}},
    ],
)
def test_a_damaged_snapshot_is_not_taken_for_a_twin(damage):
    with pytest.raises(CheckpointError):
        LiveTwin.restore(damage(LiveTwin.register(line()).snapshot()))


# -- random histories

PATHS = {
    "resources.a.capacity": st.integers(-1, 4),
    "resources.b.capacity": st.integers(0, 3),
    "resources.b.max_capacity": st.integers(0, 4),
    "services.milling.constant": st.floats(0, 10),
    "services.sawing.low": st.floats(-1, 5),
    "services.sawing.high": st.floats(-1, 5),
    "arrivals.orders.mean": st.sampled_from([0, 0.5, 3, 50]),
    "variables.mode": st.sampled_from(["auto", "bypass", 3]),
    "variables.nope": st.just(1),
}
CHANGES = st.sampled_from(sorted(PATHS)).flatmap(lambda path: st.tuples(st.just(path), PATHS[path]))
MOMENTS = st.none() | st.floats(0, 70)
VERSIONS = st.none() | st.integers(0, 2)


def _document(kind: str, **fields: Any) -> st.SearchStrategy[dict]:
    return st.fixed_dictionaries({"kind": st.just(kind), "at": MOMENTS, **fields})


DOCUMENTS = st.one_of(
    st.tuples(CHANGES, MOMENTS, VERSIONS).map(
        lambda t: {"kind": "set", "path": t[0][0], "value": t[0][1], "at": t[1], "if_version": t[2]}
    ),
    _document("patch", changes=st.lists(CHANGES, min_size=1, max_size=3).map(dict), if_version=VERSIONS),
    _document("spawn", flow=st.sampled_from(["make", "gate", "nope"])),
    _document("signal", name=st.sampled_from(["go", "nope"])),
    st.just({"kind": "forecast", "horizon": 5}),
)
HISTORIES = st.lists(st.tuples(st.floats(0, 60), DOCUMENTS), max_size=12).map(
    lambda steps: sorted(steps, key=lambda step: step[0])
)


def _drive(
    live: LiveTwin, history: list, *, restore_at: int | None = None, budget: int | None = None
) -> tuple[list, list, LiveTwin]:
    """Apply the history; with `restore_at`, go on from a snapshot's bytes before that command; `budget` slices the way."""
    events, outcomes = live.drain(), []

    def go(until: float, inclusive: bool) -> None:
        while not live.advance(until, inclusive=inclusive, budget=budget):
            events.extend(live.drain())

    for index, (sim_time, document) in enumerate([*history, (75.0, None)]):
        if index == restore_at:
            events.extend(live.drain())
            data = live.snapshot()
            again = LiveTwin.restore(orjson.loads(orjson.dumps(data)))
            assert again.snapshot() == data
            again.rejections = live.rejections
            live = again
        go(sim_time, document is None)
        if document is None:
            continue
        try:
            live.apply(read_command(document, TWIN), effective=live.now, source=source(index), timestamp=sim_time)
            outcomes.append((index, "accepted"))
        except Rejected as rejected:
            outcomes.append((index, rejected.code))
        events.extend(live.drain())
    events.extend(live.drain())
    return events, outcomes, live


@given(HISTORIES, st.data())
@settings(max_examples=80, deadline=None)
def test_a_snapshot_at_any_command_loses_nothing(history, data):
    events, outcomes, live = _drive(LiveTwin.register(line()), history)
    restore_at = data.draw(st.integers(0, len(history)))
    again = _drive(LiveTwin.register(line()), history, restore_at=restore_at)
    assert again[0] == events
    assert again[1] == outcomes
    assert again[2].state_hash() == live.state_hash()
    assert [(r.source, r.rejected.code) for r in again[2].rejections] == [(r.source, r.rejected.code) for r in live.rejections]


@given(HISTORIES, st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_slicing_does_not_change_results(history, budget):
    events, outcomes, live = _drive(LiveTwin.register(line()), history)
    sliced = _drive(LiveTwin.register(line()), history, budget=budget)
    assert (sliced[0], sliced[1], sliced[2].state_hash()) == (events, outcomes, live.state_hash())


@given(HISTORIES)
@settings(max_examples=80, deadline=None)
def test_no_command_is_neither_accepted_nor_rejected(history):
    events, outcomes, live = _drive(LiveTwin.register(line()), history)
    answered = [e.cause.offset for e in events if isinstance(e.cause, Source)]
    rejected_late = {late.source.offset for late in live.rejections}
    assert [index for index, _ in outcomes] == list(range(len(history)))
    for index, outcome in outcomes:
        assert (index in answered) == (outcome == "accepted")
    scheduled = {e.cause.offset for e in events if e.kind == "command-scheduled"}
    acted = {
        e.cause.offset for e in events if isinstance(e.cause, Source) and e.kind not in ("command-scheduled", "command-rejected")
    }
    assert scheduled == (scheduled & acted) | rejected_late  # each came to its time before the end, and did one or the other
    assert not acted & rejected_late
    assert [e.seq for e in events] == list(range(1, len(events) + 1))


def test_a_blueprint_is_not_recognised_by_its_layout():
    from twin_app.switchboard import blueprint_hash

    spelled = Blueprint.model_validate(line().model_dump(mode="json", by_alias=True))
    assert blueprint_hash(spelled) == blueprint_hash(line())
    assert blueprint_hash(load_blueprint(LINE.replace("5.0", "6.0"))) != blueprint_hash(line())


def test_a_command_for_this_very_instant_is_not_put_off():
    live = LiveTwin.register(line())
    live.advance(5.0, inclusive=False)
    live.drain()
    live.apply(set_b(2, at=5), effective=5.0, source=source(1), timestamp=5.0)
    assert [event.kind for event in live.drain()] == ["parameter-changed"]
    assert len(live.schedule) == 0


CLOCKWORK = """
twin: Line_A
variables: {mode: auto}
resources: {b: {capacity: 1}}
flows:
  make:
    - delay: 5
    - branch:
        - {when: "variables.mode == 'bypass'", go: bypassed}
    - emit: kept
    - go: end
    - bypassed: {emit: bypassed}
"""


@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("budget", [None, 1])
def test_a_scheduled_command_does_not_come_after_what_happens_at_the_same_time(inclusive, budget):
    live = LiveTwin.register(load_blueprint(CLOCKWORK))
    live.apply(Set(twin=TWIN, path="variables.mode", value="bypass", at=5), effective=0.0)
    live.apply(Spawn(twin=TWIN, flow="make"), effective=0.0)
    while not live.advance(5.0, inclusive=inclusive, budget=budget):
        pass
    live.advance(5.0)
    kinds = [event.kind for event in live.drain() if event.sim_time == 5.0]
    assert kinds.index("parameter-changed") < kinds.index("bypassed")


def test_a_command_that_arrives_does_not_come_after_what_happens_at_the_same_time():
    live = LiveTwin.register(load_blueprint(CLOCKWORK))
    live.apply(Spawn(twin=TWIN, flow="make"), effective=0.0)
    send(live, 5.0, Set(twin=TWIN, path="variables.mode", value="bypass"))
    live.advance(5.0)
    assert "bypassed" in [event.kind for event in live.drain()]


def test_an_observation_is_answered_once_and_its_divergences_follow_from_it():
    live = LiveTwin.register(line())
    send(live, 4.0, Observe(twin=TWIN, queues={"b": 2}, id="o-1"), offset=7)
    events = [event for event in live.drain() if event.sim_time == 4.0 and "entity-" not in event.kind]
    assert [(event.kind, event.cause) for event in events] == [
        ("observation-received", source(7)),
        ("divergence-measured", events[0].seq),
    ]
    assert events[0].payload == {"observations": 1, "command": "o-1"}


def test_an_observation_too_long_for_an_event_is_refused_whole():
    live = LiveTwin.register(line())
    assert refused(live, Observe(twin=TWIN, queues={"b": 1}, attributes={"x": "y" * 70_000})).code == "value-too-large"
    assert refused(live, Observe(twin=TWIN, finished=["99"])).code == "unknown-entity"


def test_no_signal_that_a_machine_or_an_inner_step_waits_for_is_refused():
    blueprint = Blueprint.model_validate(
        {
            "twin": TWIN,
            "machines": {
                "door": {"initial": "shut", "states": {"shut": {"transitions": [{"signal": "knock", "to": "open"}]}, "open": {}}}
            },
            "flows": {
                "f": [{"loop": {"times": 1, "do": [{"wait_any": [{"signal": "bell", "go": "end"}, {"after": 9, "go": "end"}]}]}}]
            },
        }
    )
    live = LiveTwin.register(blueprint)
    live.advance(0.0)
    for name in ("knock", "bell"):
        live.apply(Signal(twin=TWIN, name=name), effective=live.now)
    assert live.board.value("machines.door.state") == "open"
    assert refused(live, Signal(twin=TWIN, name="knok")).code == "unknown-signal"
