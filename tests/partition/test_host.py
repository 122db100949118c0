"""The partition host: whatever the pace, the cuts and the crashes, the same logs give the same events."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import Rejected, TwinError
from tests.partition.world import T0_US, Committed, Log, PlainOutbox, cycle, line, new_host, read, recover, replay, settle
from twin_app.kernel import own_steps
from twin_app.kernel.own_steps import Context, offer
from twin_app.partition import ConfigRecord, HostSettings, PartitionHost

EVERY_TICK = HostSettings(checkpoint_ticks=1, vitals_interval_us=1 << 60)
QUIET = HostSettings(vitals_interval_us=1 << 60)


def story(log: Log) -> None:
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
    log.write("Line_A", {"path": "resources.b.capacity", "value": 0}, 5.25)
    log.write("Line_A", {"path": "resources.b.capacity", "value": 99}, 6.0)  # out of bounds: a dead letter
    log.write("Line_A", {"kind": "set", "path": "services.turning.constant", "value": 0.5, "at": 12.5}, 7.0)
    log.write("Line_A", {"path": "resources.b.capacity", "value": 3}, 14.75)
    log.write("nobody", {"path": "resources.b.capacity", "value": 3}, 15.0)  # unknown twin: a dead letter


def run(log: Log, cuts: list[float], host_settings: HostSettings = QUIET) -> Committed:
    """Cycles at the given wall times; each takes the commands that were written by then."""
    host, committed, done = new_host(host_settings), Committed(), 0
    for at_s in cuts:
        ready = [r for r in log.records[done:] if r.timestamp_ms * 1000 <= T0_US + at_s * 1e6]
        settle(host, committed, ready, at_s)
        done += len(ready)
    assert done == len(log.records)
    return committed


def test_events_are_dense_and_every_command_is_answered_once() -> None:
    log = Log()
    story(log)
    committed = run(log, [x * 0.25 for x in range(1, 101)])
    assert [e["seq"] for e in committed.events] == [*range(1, len(committed.events) + 1)]
    answered = [e["cause"]["offset"] for e in committed.events if e["cause"] and e["cause"]["offset"] is not None]
    refused = [letter["offset"] for letter in committed.values("twin-dead-letters")]
    assert refused == [2, 5]
    assert set(answered) | set(refused) == {r.offset for r in log.records}
    assert [letter["code"] for letter in committed.values("twin-dead-letters")] == ["out-of-bounds", "unknown-twin"]


def test_work_in_progress_is_not_lost_when_a_machine_closes() -> None:
    log = Log()
    story(log)
    events = run(log, [x * 0.25 for x in range(1, 101)]).events
    created = {e["entity"] for e in events if e["kind"] == "entity-created"}
    left = {e["entity"] for e in events if e["kind"] == "entity-left"}
    started = [e["sim_time"] for e in events if e["kind"] == "entity-started" and e["payload"]["resource"] == "b"]
    assert [t for t in started if 5.25 < t < 14.75] == []
    assert left < created
    assert len(created) - len(left) == recover_wip(log)


def recover_wip(log: Log) -> int:
    host = recover(run(log, [x * 0.25 for x in range(1, 101)]), log)
    live = host.cells["Line_A"].live
    assert live is not None
    return live.wip


@given(st.lists(st.floats(0.01, 30.0), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_how_the_wall_time_is_cut_never_changes_the_events(cuts: list[float]) -> None:
    """Commands are read before time passes them (as the watermark delay assures), so they act at their own times."""
    log = Log()
    story(log)
    times = {r.timestamp_ms for r in log.records}
    steady = sorted({*cuts, 30.0, *((t * 1000 - T0_US) / 1e6 for t in times)})
    assert run(log, steady).raw("sim-events") == run(log, [0.0, 5.25, 6.0, 7.0, 14.75, 15.0, 30.0]).raw("sim-events")


@given(st.integers(1, 8), st.sampled_from((1, 2, 500)), st.sampled_from((1, 7, 500)))
@settings(max_examples=25, deadline=None)
def test_how_a_cycle_is_sliced_never_changes_what_comes_of_it(commands: int, events: int, entries: int) -> None:
    """Commands are read, applied and written many in a row: in a slice, and between slices, nothing overtakes."""
    log = Log()
    story(log)
    sliced = HostSettings(
        vitals_interval_us=1 << 60, commands_per_slice=commands, events_per_slice=events, entries_per_slice=entries
    )
    one, other = run(log, [3.0, 20.0, 30.0], sliced), run(log, [3.0, 20.0, 30.0])
    assert one.raw("sim-events") == other.raw("sim-events")
    assert one.raw("twin-dead-letters") == other.raw("twin-dead-letters")
    assert one.tables == other.tables


@given(st.integers(1, 10_000), st.integers(1, 7))
@settings(max_examples=25, deadline=None)
def test_a_crash_after_any_cycle_loses_and_doubles_nothing(seed: int, checkpoint_ticks: int) -> None:
    choice = random.Random(seed)
    log = Log()
    story(log)
    cuts = [*sorted(choice.uniform(0, 30) for _ in range(40)), 30.0]
    options = HostSettings(checkpoint_ticks=checkpoint_ticks, vitals_interval_us=1 << 60)
    golden = run(log, cuts, options)
    host, committed, done = new_host(options), Committed(), 0
    for at_s in cuts:
        if choice.random() < 0.4:
            host = recover(committed, log, options)
            done = host.position.next_offset
        ready = [r for r in log.records[done:] if r.timestamp_ms * 1000 <= T0_US + at_s * 1e6]
        if choice.random() < 0.2:  # a cycle that runs and is never committed
            for _ in host.begin(ready, T0_US + round(at_s * 1e6) - 1):
                pass
            host = recover(committed, log, options)
        settle(host, committed, ready, at_s)
        done += len(ready)
    assert committed.raw("sim-events") == golden.raw("sim-events")
    assert committed.raw("twin-dead-letters") == golden.raw("twin-dead-letters")
    assert committed.tables["registry"] == golden.tables["registry"]


def test_a_checkpoint_and_the_ticks_after_it_are_all_ticks_from_the_start() -> None:
    log = Log()
    story(log)
    committed = run(log, [x * 0.5 for x in range(1, 61)], EVERY_TICK)
    from_checkpoint = recover(committed, log).cells["Line_A"].live
    whole = new_host()
    replay(whole, committed.ticks, log.records)
    from_start = whole.cells["Line_A"].live
    assert from_checkpoint is not None
    assert from_start is not None
    assert from_checkpoint.state_hash() == from_start.state_hash()


def test_a_replay_that_comes_out_differently_is_not_accepted() -> None:
    log = Log()
    story(log)
    committed = run(log, [x * 0.5 for x in range(1, 61)])
    log.records[1] = log.records[1]._replace(value=b'{"path": "resources.b.capacity", "value": 1}')
    with pytest.raises(TwinError) as diverged:
        replay(new_host(), committed.ticks, log.records)
    assert diverged.value.code == "replay-diverged"


def test_an_outage_does_not_distort_the_twin() -> None:
    log = Log()
    story(log)
    golden = run(log, [0.0, 5.25, 6.0, 7.0, 14.75, 15.0, 3600.0])
    host, late = new_host(), Committed()
    settle(host, late, log.records, 3600.0)
    assert late.raw("sim-events") == golden.raw("sim-events")


def test_time_does_not_run_past_commands_that_still_wait_in_the_log() -> None:
    log = Log()
    story(log)
    golden = run(log, [0.0, 5.25, 6.0, 7.0, 14.75, 15.0, 60.0])
    host, late = new_host(), Committed()
    for record in log.records:  # one at a time, long after they were written
        cycle(host, late, [record], 60.0, backlog=record is not log.records[-1])
    settle(host, late, [], 60.0)
    assert late.raw("sim-events") == golden.raw("sim-events")


def test_a_cycle_after_an_outage_is_bounded() -> None:
    log = Log()
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
    host, committed = new_host(HostSettings(entries_per_cycle=200, vitals_interval_us=1 << 60)), Committed()
    cycle(host, committed, log.records, 3600.0)
    sizes = [len(committed.outputs)]
    while (done := cycle(host, committed, [], 3600.0)) is not None:
        sizes.append(len(done.outputs))
    assert sum(sizes) > 20_000
    assert max(sizes) < 4_000
    assert committed.ticks[-1].wall_us == T0_US + 3_600_000_000


def test_a_clock_that_steps_back_neither_moves_time_back_nor_loses_anything() -> None:
    log = Log()
    story(log)
    golden = run(log, [0.0, 5.25, 6.0, 7.0, 14.75, 15.0, 30.0])
    host, committed = new_host(QUIET), Committed()
    for at_s, upto in [(0.0, 1), (5.25, 2), (6.0, 3), (-3600.0, 3), (7.0, 4), (3.0, 4), (14.75, 5), (15.0, 6), (30.0, 6)]:
        settle(host, committed, log.records[host.position.next_offset : upto], at_s)
    assert committed.raw("sim-events") == golden.raw("sim-events")
    times = [t.wall_us for t in committed.ticks]
    assert times == sorted(times)


def test_an_idle_twin_costs_no_tick() -> None:
    log = Log()
    log.write("Line_A", {"kind": "register", "blueprint": line(arrivals={})}, 0.0)
    host, committed = new_host(QUIET), Committed()
    cycle(host, committed, log.records, 0.0)
    assert host.next_due_us() is None
    for at_s in range(1, 50):
        assert cycle(host, committed, [], float(at_s)) is None
    assert len(committed.ticks) == 1


def test_a_command_that_sets_off_failures_without_end_does_not_stop_the_others() -> None:
    """Each that fails gives back the unit that lets the next one fail."""
    many = 2_000
    chain = line(twin="Chain", limits={"entities": many}) | {
        "resources": {"m": {"capacity": many, "max_capacity": many + 1}},
        "arrivals": {},
        "flows": {"job": [{"seize": "m"}, {"delay": 1}, {"process": {"resource": "m", "for": "1 / entity.zero"}}]},
        "watch": {},
    }
    log = Log()
    log.write("Chain", {"kind": "register", "blueprint": chain}, 0.0)
    for _ in range(many):
        log.write("Chain", {"kind": "spawn", "twin": "Chain", "flow": "job", "attributes": {"zero": 0}}, 1.0)
    host, committed = new_host(QUIET), Committed()
    settle(host, committed, log.records, 10.0)
    assert host.cells["Chain"].quarantine is None
    log.write("Chain", {"path": "resources.m.capacity", "value": many + 1}, 20.0)
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 20.0)
    settle(host, committed, log.records[-2:], 30.0)
    assert [e["twin"] for e in committed.events if e["kind"] == "twin-quarantined"] == ["Chain"]
    assert any(e["twin"] == "Line_A" for e in committed.events)


def test_a_poisoned_twin_does_not_stop_the_others() -> None:
    loop = {
        "kind": "register",
        "blueprint": line(twin="Loop", limits={"steps_per_instant": 1000})
        | {"flows": {"make": [{"again": {"set": {"entity.n": 1}}}, {"go": "again"}]}},
    }
    log = Log()
    log.write("Loop", loop, 0.0)
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
    log.write("Loop", {"path": "resources.b.capacity", "value": 1}, 20.0)
    host, committed = new_host(QUIET), Committed()
    settle(host, committed, log.records[:2], 0.0)
    settle(host, committed, log.records[2:], 30.0)
    quarantined = [e for e in committed.events if e["kind"] == "twin-quarantined"]
    assert [e["twin"] for e in quarantined] == ["Loop"]
    assert [letter["code"] for letter in committed.values("twin-dead-letters")] == ["twin-quarantined"]
    assert sum(e["twin"] == "Line_A" for e in committed.events) > 50
    host = recover(committed, log)
    assert host.cells["Loop"].quarantine is not None
    settle(host, committed, [], 40.0)
    assert max(e["sim_time"] for e in committed.events if e["twin"] == "Line_A") > 30


def test_a_lack_of_memory_is_never_told_as_a_fault_of_the_model() -> None:
    def greedy(context: Context) -> None:
        raise MemoryError

    offer("greedy", greedy)
    flow = [{"delay": 10}, {"call": {"step": "greedy"}}]
    log, committed = Log(), Committed()
    log.write("Line_A", {"kind": "register", "blueprint": line(flows={"make": flow})}, 0.0)
    host = new_host(EVERY_TICK)
    settle(host, committed, log.records, 0.0)
    with pytest.raises(MemoryError):  # the process ends: nothing of this cycle is committed
        settle(host, committed, [], 60.0)
    assert {event["kind"] for event in committed.events}.isdisjoint({"twin-quarantined", "entity-failed"})
    offer("greedy", lambda context: None)
    host = recover(committed, log, EVERY_TICK)
    settle(host, committed, [], 60.0)
    assert host.cells["Line_A"].quarantine is None
    assert "entity-left" in {event["kind"] for event in committed.events}


def test_event_numbers_are_not_used_twice_after_a_twin_is_removed() -> None:
    log = Log()
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
    log.write("Line_A", {"kind": "remove", "discard_work": True}, 5.0)
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 6.0)
    host, committed = new_host(EVERY_TICK), Committed()
    for at_s, record in zip((0.0, 5.0, 6.0), log.records, strict=True):
        settle(host, committed, [record], at_s)
        host = recover(committed, log, EVERY_TICK)
    settle(host, committed, [], 9.0)
    ids = [e["id"] for e in committed.events]
    assert len(ids) == len(set(ids))
    assert [e["seq"] for e in committed.events] == [*range(1, len(ids) + 1)]


def test_the_registry_table_holds_what_the_board_holds() -> None:
    log = Log()
    story(log)
    committed = run(log, [x * 0.25 for x in range(1, 101)])
    host = recover(committed, log)
    live = host.cells["Line_A"].live
    assert live is not None
    rows: dict[str, Any] = {k.decode(): v for k, v in committed.tables["registry"].items()}
    assert sorted(rows) == sorted(f"Line_A.{path}" for path in live.board.parameters)
    assert b'"value":3' in rows["Line_A.resources.b.capacity"]
    assert b'"offset":4' in rows["Line_A.resources.b.capacity"]


def test_a_register_under_a_foreign_key_is_refused() -> None:
    log = Log()
    log.write("Line_B", {"kind": "register", "twin": "Line_A", "blueprint": line()}, 0.0)
    log.write(None, {"kind": "register", "twin": "Line_A", "blueprint": line()}, 0.0)
    committed = run(log, [1.0])
    assert [letter["code"] for letter in committed.values("twin-dead-letters")] == ["key-mismatch", "key-mismatch"]
    assert committed.events == []


def test_a_replay_follows_what_the_registry_knew_then_and_not_what_it_knows_now() -> None:
    known: set[int] = set()

    def read_with_registry(record: ConfigRecord) -> Any:
        if record.value == b"avro" and 9 not in known:
            raise Rejected("unknown-schema", "schema id 9 is not known")
        return read(record._replace(value=b'{"path": "resources.b.capacity", "value": 1}') if record.value == b"avro" else record)

    def host_on(registry: Any) -> PartitionHost:
        return PartitionHost.open(0, {}, PlainOutbox(), registry, QUIET)

    log, committed = Log(), Committed()
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 0.0)
    log.write("Line_A", b"avro", 1.0)
    log.write("Line_A", b"avro", 2.0)
    host = host_on(read_with_registry)
    settle(host, committed, log.records[:2], 1.0)
    known.add(9)
    settle(host, committed, log.records[2:], 2.0)
    assert [t.refused for t in committed.ticks if t.refused] == [(1,)]
    replay(again := host_on(read_with_registry), committed.ticks, log.records)
    assert again.cells["Line_A"].snapshot() == host.cells["Line_A"].snapshot()
    known.clear()
    with pytest.raises(TwinError) as diverged:
        replay(host_on(read_with_registry), committed.ticks, log.records)
    assert diverged.value.code == "replay-diverged"


def test_a_step_that_nobody_offers_never_stops_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is refused; installed later, a replay still refuses it; taken away later, a replay says that it diverges."""
    monkeypatch.setattr(own_steps, "_known", {})
    log = Log()
    calling = {"flows": {"f": [{"loop": {"times": 1, "do": [{"call": {"step": "grad", "as": "x"}}]}}]}}
    log.write("A", {"kind": "register", "blueprint": calling}, 0.0)
    log.write("Line_A", {"kind": "register", "blueprint": line()}, 1.0)
    log.write("A", {"kind": "register", "blueprint": calling}, 10.0)
    offer("grade", lambda context: 1)
    host, committed = new_host(HostSettings(checkpoint_ticks=1_000, vitals_interval_us=1 << 60)), Committed()
    settle(host, committed, log.records[:2], 5.0)
    [letter] = committed.values("twin-dead-letters")
    assert (letter["offset"], letter["code"]) == (0, "unknown-own-step")
    assert "there is no own step `grad`" in str(letter)
    assert "did you mean `grade`?" in str(letter)
    assert {event["twin"] for event in committed.events} == {"Line_A"}
    offer("grad", lambda context: 1)
    assert sorted(recover(committed, log).cells) == ["Line_A"]
    settle(host, committed, log.records[2:], 20.0)
    assert sorted(recover(committed, log).cells) == ["A", "Line_A"]
    own_steps._known.clear()
    with pytest.raises(TwinError, match="unknown-own-step"):
        recover(committed, log)  # from a checkpoint
    with pytest.raises(TwinError, match="unknown-own-step") as caught:
        replay(new_host(), committed.ticks, log.records)
    assert caught.value.code == "replay-diverged"


def test_a_checkpoint_of_many_twins_never_keeps_the_turn_for_long() -> None:
    """Another gets it at least once in so many bytes; and what was saved in slices is what is recovered."""
    log, committed = Log(), Committed()
    twins = [f"Line_{number}" for number in range(200)]
    for twin in twins:
        log.write(twin, {"kind": "register", "blueprint": line(twin=twin)}, 0.0)
    host = new_host(EVERY_TICK)
    saved = [0]
    for _ in host.begin(log.records, T0_US + 5_000_000):
        saved.append(sum(cell.chunks for cell in host.cells.values()))
    done = host.take()
    assert done is not None
    committed.commit(done)
    sizes = [len(row.value or b"") for row in done.rows if row.key.startswith(b"twin/")]
    assert len(sizes) == len(twins)
    turns = [after - before for before, after in pairwise([*saved, len(twins)])]
    assert max(turns) * min(sizes) <= EVERY_TICK.checkpoint_bytes_per_slice + max(sizes)
    again = recover(committed, log)
    assert {twin: again.cells[twin].snapshot() for twin in twins} == {twin: host.cells[twin].snapshot() for twin in twins}
